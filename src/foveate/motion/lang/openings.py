"""What the words after a comma or `and` open with: a verb, an action as a noun, a further part.

The one thing to know: many words are both (`drinks`, `steps`, `arms`); what follows them decides.
"""

from __future__ import annotations

from collections.abc import Sequence

from .lexicon import action_words
from .tokens import Token
from .words import AMOUNT, DIRECTIONS, FUNCTION_WORDS, OBJECTS, PARTS, TEMPO

ARMS = {"hand", "arm", "palm", "fist", "elbow"}


def inflected(token: Token) -> bool:
    """`drinks` after a comma or `and`: a verb of its own, though it may be a thing elsewhere."""
    part = any(lemma in PARTS for lemma in token.lemmas)
    return not part and token.lemma in action_words() and token.text == f"{token.lemma}s"


def names_action(tokens: Sequence[Token]) -> bool:
    """`a right hook`, `two jumps`: an action as a noun, after `and`."""
    words = list(tokens[:4])
    if not words or not (words[0].text in ("a", "an", "one") or words[0].value is not None):
        return False
    for token in words[1:]:
        thing = any(lemma in PARTS or lemma in OBJECTS for lemma in token.lemmas)
        if not thing and any(x in action_words() and x not in DIRECTIONS for x in token.lemmas):
            return True
        if any(lemma in PARTS for lemma in token.lemmas):
            continue  # "a knee strike"
        if token.text not in (*DIRECTIONS, *AMOUNT, *TEMPO) and token.form != "ing":
            return False
    return False


def is_noun(tokens: Sequence[Token], i: int) -> bool:
    """Whether a word that can be a thing is one here: nothing follows that a verb would take."""
    if i + 1 >= len(tokens):
        bare = tokens[i].text == tokens[i].lemma
        return bare and not (i == 0 and any(x in action_words() for x in tokens[i].lemmas))
    word = tokens[i + 1].text
    if word in ("a", "an", "the", "his", "her", "their", "some", "it", "from") or word in OBJECTS:
        return False
    return word in FUNCTION_WORDS or not word[0].isalpha()


def places_part(tokens: Sequence[Token]) -> bool:
    """`and your left hand behind your back`: where a further part goes, the verb left out."""
    words = [t.text for t in tokens[:4]]
    at = next((i for i, t in enumerate(tokens[:4]) if any(x in ARMS for x in t.lemmas)), None)
    if at is None or not {"left", "right", "other"} & set(words[:at]):
        return False
    rest = [t.text for t in tokens[at + 1 : at + 2]]
    return bool(rest and rest[0] in ("behind", "on", "over", "above", "in"))
