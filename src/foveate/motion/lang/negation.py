"""What a text says is *not* done: `without turning round`, `does not walk, she just waves`.

The one thing to know: what is denied is taken out of the words before they are split into clauses,
and a note says so; `not too fast` loses only those words, `never stops waving` waves on.
"""

from __future__ import annotations

from collections.abc import Sequence

from .lexicon import action_words
from .tokens import Token
from .words import LIGHT_VERBS, SUBJECTS

INSTEAD = (("instead", "of"), ("rather", "than"))
DEGREES = {"too", "very", "so", "really", "quite", "that"}
ENDS = {
    ",", ";", ".", "!", "?", ":", "but", "then", "while", "as", "before", "after", "until", "only",
    "just",
}  # fmt: skip
"""Words at which what is denied ends."""


def denied(tokens: Sequence[Token]) -> tuple[list[Token], list[str]]:
    """The words without what is denied.

    Args:
        tokens: Of the whole text.

    Returns:
        The tokens that are left, and what was taken out, as text. Tokens taken out are marked as
        used: they were understood.
    """
    kept: list[Token] = []
    out: list[str] = []
    i = 0
    while i < len(tokens):
        last = _end(tokens, i)
        if last > i:
            for token in tokens[i:last]:
                token.used = True
            if tokens[last - 1].lemma != "stop":  # "never stops waving" leaves nothing out
                out.append(" ".join(t.text for t in tokens[i:last]))
            i = last
            continue
        kept.append(tokens[i])
        i += 1
    return kept, out


def _end(tokens: Sequence[Token], i: int) -> int:
    """Index after what the word at `i` denies; `i` if it denies nothing."""
    word = tokens[i].text
    pair = (word, tokens[i + 1].text) if i + 1 < len(tokens) else ("", "")
    if word not in ("not", "never", "without") and pair not in INSTEAD:
        return i
    start = i + (2 if pair in INSTEAD else 1)
    following = tokens[start:]
    if not following or following[0].text in ("only", "just"):
        return i
    if any(lemma == "stop" for lemma in following[0].lemmas) and len(following) > 1:
        return start + 1 if following[1].form == "ing" else i
    if word == "not" and following[0].text in DEGREES:
        return min(start + 2, len(tokens))
    bare = word in ("not", "never")  # "not walk", but "without walking", "instead of walking"
    helped = bare and i > 0 and tokens[i - 1].text in ("do", "does", "did", "will", "can")
    if not helped and not any(_acts(t) and (bare or t.form == "ing") for t in following[:2]):
        return i
    at = start
    while at < len(tokens) and tokens[at].text not in ENDS:
        if at > start and tokens[at].text in ("he", "she", "they", "i"):
            break  # "instead of running he walks"
        if tokens[at].text == "and" and at + 1 < len(tokens):
            goes_on = tokens[at + 1]
            verb = goes_on.text == goes_on.lemma if bare else goes_on.form == "ing"
            if goes_on.text in SUBJECTS or (_acts(goes_on) and not verb):
                break
        at += 1
    return at


def _acts(token: Token) -> bool:
    return any(x in action_words() or x in LIGHT_VERBS for x in token.lemmas)
