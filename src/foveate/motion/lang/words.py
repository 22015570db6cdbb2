"""Closed word lists of the offline designer: what a word can be, apart from the actions.

The one thing to know: the words stand in `words.txt`; this file reads them. `words.txt`,
`lexicon.txt` and `synonyms.txt` are all the English there is.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import TypeVar

Value = TypeVar("Value")


def _lists() -> dict[str, list[str]]:
    """Name of a list → its lines; an indented line belongs to the one before."""
    text = resources.files(__package__).joinpath("words.txt").read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line.startswith("[") and line.endswith("]"):
            name = line[1:-1]
            found[name] = []
        elif line.startswith("  ") and found[name]:
            found[name][-1] += " " + line.strip()
        else:
            found[name].append(line.strip())
    return found


def _table(name: str, value: Callable[[str], Value]) -> dict[str, Value]:
    """Word → what stands before the colon."""
    rows = (line.split(": ", 1) for line in LISTS[name])
    return {word: value(head) for head, words in rows for word in words.split()}


def _words(name: str) -> set[str]:
    return {word for line in LISTS[name] for word in line.split()}


def _amount_of(text: str) -> tuple[str, float]:
    name, number = text.split()
    return name, float(number)


LISTS = _lists()
NUMBERS = _table("numbers", float)
"""Words that stand for a number."""
TIMES = _table("times", int)
"""Adverbs that stand for a count."""
UNITS = _table("units", _amount_of)
"""Unit word → (kind, factor). `turn` and `circle` count only after a number."""
PARTS = _table("parts", str)
"""Noun → the part or landmark it names."""
CLASSES: dict[str, set[str]] = {
    "arm": {"arm", "hand", "elbow", "wrist"},
    "leg": {"leg", "knee", "foot", "heel", "toe"},
    "head": {"head", "chin", "face"},
    "torso": {"torso", "chest", "waist", "back", "hip", "pelvis", "stomach"},
}
"""Part class of the lexicon's patterns → parts it admits. `$part` admits all of them."""
OBJECTS = _table("objects", str)
"""Noun → the kind of thing it is. A noun outside is kept as text and reported."""
DIRECTIONS = _table("directions", str)
"""Word → direction, seen from the character."""
TEMPO = _table("tempo", float)
"""Manner → factor on speed."""
AMOUNT = _table("amount", float)
"""Manner → factor on amplitude."""
STYLES = _table("styles", _amount_of)
"""Manner → (one of the eight styles, strength)."""
LIGHT_VERBS = _words("light")
"""Verbs that carry no action of their own when another word in the clause does."""
SUBJECTS = _words("subjects")
"""Who moves."""
FUNCTION_WORDS = _words("function")
"""Words that never count as content when coverage is reported."""
SMALL_WORDS = FUNCTION_WORDS - {"up", "down", "out", "off", "over", "turn", "hello", "goodbye"}
"""Words a pattern may step over."""
CONTRACTIONS = {
    short: full for full, short in (line.split(": ", 1) for line in LISTS["contractions"])
}
COMPOUNDS = {
    pattern.strip(): read.strip()
    for pattern, read in (line.split("=>", 1) for line in LISTS["compounds"])
}
"""Regular expression → what it is read as, before the words are told apart."""
IRREGULAR = _table("irregular", str)
"""Inflected form → lemma, where the rules of `tokens.lemmas` would miss."""
