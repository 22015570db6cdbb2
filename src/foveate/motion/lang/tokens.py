"""From text to tokens: normalising, numbers, lemmas, repair of small spelling mistakes.

The one thing to know: a token keeps the word as it was typed (`text`), because what was not
understood is reported in the user's own words.
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass, field

from .words import COMPOUNDS, CONTRACTIONS, IRREGULAR, NUMBERS, TIMES

WORD = re.compile(r"\d+(?:\.\d+)?|°|[a-z]+(?:[-'][a-z]+)*|[,;.!?:]")


@dataclass
class Token:
    """One word.

    Attributes:
        text: The word as typed, lower case.
        lemmas: What its dictionary form may be, most likely first.
        value: The number it stands for, or None.
        form: "ing", "ed" or "" by its ending.
        used: Whether some rule understood it.
        who: Whether it only says who moves; such a word counts neither as understood nor as not.
    """

    text: str
    lemmas: tuple[str, ...]
    value: float | None = None
    form: str = ""
    used: bool = field(default=False, compare=False)
    who: bool = field(default=False, compare=False)

    @property
    def lemma(self) -> str:
        """The likeliest dictionary form."""
        return self.lemmas[0]

    def __repr__(self) -> str:
        return self.text


def tokenize(
    text: str, known: Set[str], right: Set[str] = frozenset()
) -> tuple[list[Token], list[str]]:
    """The tokens of a text, and a note for each spelling that was repaired.

    Args:
        text: What the user typed.
        known: Every lemma and closed-class word that has a meaning here.
        right: Words without a meaning here that look like mistakes and are not (`waiter`).

    Returns:
        Tokens with punctuation among them, and notes like `read "wavs" as "waves"`.
    """
    notes: list[str] = []
    tokens = []
    for word in WORD.findall(normalize(text)):
        if re.fullmatch(r"\d+(?:\.\d+)?", word):
            tokens.append(Token(word, (word,), float(word)))
            continue
        if not word[0].isalpha():
            tokens.append(Token(word, (word,)))
            continue
        token = _token(word, known)
        if not any(lemma in known or lemma in right for lemma in token.lemmas):
            better = repair(word, known)
            if better is not None:
                notes.append(f'read "{word}" as "{better}"')
                token = _token(better, known)
        tokens.append(token)
    return tokens, notes


def normalize(text: str) -> str:
    """Lower case, plain quotes, contractions opened, compounds made one word."""
    text = text.lower().replace("’", "'").replace("‘", "'").replace("–", "-").replace("—", ", ")
    text = text.replace("½", " half ").replace("&", " and ").replace("\n", ". ")
    text = re.sub(r"(\d)\s*([a-z°])", r"\1 \2", text)  # 2m, 90°
    text = re.sub(r"(\d),(\d)", r"\1.\2", text)
    for short, full in CONTRACTIONS.items():
        text = re.sub(rf"\b{re.escape(short)}(?!\w)", full, text)
    text = re.sub(r"'s\b|s'(?=\s)", lambda m: "s" if m[0] == "s'" else "", text)
    for pattern, compound in COMPOUNDS.items():
        text = re.sub(pattern, compound, text)
    return re.sub(r"\b(left|right)-(handed|hand|arm|leg|foot|footed)\b", r"\1 \2", text)


def lemmas(word: str) -> tuple[str, ...]:
    """Dictionary forms a word may have, the regular rules of English backwards.

    >>> lemmas("jumping")
    ('jump', 'jumpe', 'jumping')
    """
    if word in IRREGULAR:
        return tuple(dict.fromkeys((IRREGULAR[word], word)))
    found: list[str] = []

    def stem(base: str) -> None:
        if len(base) < 2:
            return
        if len(base) > 3 and base[-1] == base[-2] and base[-1] not in "lsz":
            found.append(base[:-1])  # hopping → hop
        found.extend((base, base + "e"))
        if len(base) > 3 and base[-1] == base[-2]:
            found.append(base[:-1])

    if word.endswith("ing") and len(word) > 4:
        stem(word[:-3])
    elif word.endswith("ied") and len(word) > 4:
        found.append(word[:-3] + "y")
    elif word.endswith("ed") and len(word) > 3:
        stem(word[:-2])
    elif word.endswith("ies") and len(word) > 4:
        found.append(word[:-3] + "y")
    elif word.endswith("es") and len(word) > 3:
        found.extend((word[:-1], word[:-2]) if word[-3] not in "sxzh" else (word[:-2], word[:-1]))
    elif word.endswith("s") and not word.endswith(("ss", "us")) and len(word) > 2:
        found.append(word[:-1])
    return tuple(dict.fromkeys([*found, word]))


def _token(word: str, known: Set[str]) -> Token:
    forms = lemmas(word)
    # A word that is known as it stands ("left", "sides", "across") keeps its own reading too, but
    # a known base form comes first so that "waves" is the verb.
    ordered = [f for f in forms if f in known] + [f for f in forms if f not in known]
    form = "ing" if word.endswith("ing") else "ed" if word.endswith("ed") else ""
    value = NUMBERS.get(word)
    if value is None and word in TIMES:
        value = float(TIMES[word])
    return Token(word, tuple(ordered), value, form)


def repair(word: str, known: Set[str]) -> str | None:
    """The one known word within edit distance one, if there is exactly one; None otherwise.

    Short words are left alone: every four-letter word is close to some other.
    """
    if len(word) < 5:
        return None
    ending = next((e for e in ("ing", "ed", "es", "s", "") if word.endswith(e)), "")
    base = word[: len(word) - len(ending)] if ending else word
    for candidate_word, tail in ((word, ""), (base, ending)):
        if len(candidate_word) < 5:
            continue
        found = sorted(k for k in known if len(k) > 3 and _one_edit(candidate_word, k))
        same = [k for k in found if k[0] == candidate_word[0]]
        best = same or found
        if len(best) == 1:
            return best[0] + tail
    return None


def _one_edit(a: str, b: str) -> bool:
    """Whether one insertion, deletion, replacement or swap of neighbours turns a into b."""
    if abs(len(a) - len(b)) > 1 or a == b:
        return False
    i = 0
    while i < min(len(a), len(b)) and a[i] == b[i]:
        i += 1
    if len(a) == len(b):
        swapped = a[:i] + a[i : i + 2][::-1] + a[i + 2 :]
        return a[i + 1 :] == b[i + 1 :] or swapped == b
    longer, shorter = (a, b) if len(a) > len(b) else (b, a)
    return longer[i + 1 :] == shorter[i:]
