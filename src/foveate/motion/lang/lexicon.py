"""The lexicon: which actions are known, and where a clause speaks of one.

The one thing to know: `lexicon.txt` says how people say things, `acts/` says what the body does.
Words outside the file are looked up in `synonyms.txt`, verbs distilled from WordNet that lead to a
sense.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources

from .tokens import Token
from .words import (
    AMOUNT,
    CLASSES,
    DIRECTIONS,
    FUNCTION_WORDS,
    LIGHT_VERBS,
    NUMBERS,
    OBJECTS,
    PARTS,
    SMALL_WORDS,
    STYLES,
    SUBJECTS,
    TEMPO,
    TIMES,
    UNITS,
)

USUAL = ("walk", "wave", "sit", "jump", "pick_up", "dance")
"""What is named where nothing known looks like the words."""
MAX_SKIP = 5
"""Small words a pattern may step over between two of its words."""


@dataclass(frozen=True)
class Sense:
    """One action.

    Attributes:
        name: What reports call it.
        primitive: The function of `acts/` that performs it.
        settings: Fixed arguments of the primitive, as text.
        forms: The patterns, as typed in `lexicon.txt`.
    """

    name: str
    primitive: str
    settings: tuple[tuple[str, str], ...]
    forms: tuple[str, ...]


@dataclass(frozen=True)
class Match:
    """A pattern found in a clause: which sense, at which tokens, and how strongly."""

    sense: Sense
    positions: tuple[int, ...]
    score: float
    via: str = field(default="", compare=False)

    @property
    def head(self) -> int:
        """Index of the word that names the action."""
        return self.positions[0]


@functools.cache
def senses() -> dict[str, Sense]:
    """Every sense by name, in the order of the file."""
    found: dict[str, Sense] = {}
    header = None
    for line in _read("lexicon.txt"):
        if line.startswith("["):
            name, rest = line.strip("[]").split(":")
            primitive, *settings = rest.split()
            header = (name, primitive, tuple(tuple(s.split("=")) for s in settings))
        elif header:
            forms = tuple(form.strip() for form in line.split(";") if form.strip())
            found[header[0]] = Sense(*header, forms)
    return found


@functools.cache
def synonyms() -> dict[str, tuple[str, ...]]:
    """Verb → senses it may mean, from `synonyms.txt`."""
    return {
        verb: tuple(names.split())
        for verb, names in (line.split(":") for line in _read("synonyms.txt"))
    }


@functools.cache
def right_words() -> frozenset[str]:
    """English words that only look like misspellings of ours, from `spelled.txt`."""
    return frozenset(word for line in _read("spelled.txt") for word in line.split())


def surface_forms() -> int:
    """How many ways of saying things the lexicon holds, synonyms not counted."""
    return sum(len(sense.forms) for sense in senses().values())


@functools.cache
def vocabulary() -> frozenset[str]:
    """Every word with a meaning here; what spelling is repaired towards."""
    words = set().union(
        PARTS, OBJECTS, DIRECTIONS, TEMPO, AMOUNT, STYLES, NUMBERS, TIMES, UNITS, LIGHT_VERBS
    )
    words |= SUBJECTS | FUNCTION_WORDS | set(synonyms()) | {"second", "other", "opposite"}
    for entry in _entries():
        for element in entry[0]:
            words.update(a for a in element if not a.startswith("$"))
    return frozenset(words)


@functools.cache
def action_words() -> frozenset[str]:
    """First words of patterns: those that can open a clause."""
    first = {word for elements, _ in _entries() for word in elements[0] if word[0] != "$"}
    return frozenset(first | set(synonyms()))


def matches(tokens: Sequence[Token]) -> list[Match]:
    """Every pattern that fits somewhere in the clause, best first.

    A word counts 2, a small word 1, a class 1.9; each step over costs 0.05. A head that stands
    where a noun stands (after `the`, `his`, `right`) counts 2 less, unless a verb without a meaning
    of its own (`does a kick`) leads to it.
    """
    found: dict[tuple[str, int], Match] = {}
    for elements, sense in _entries():
        for start, token in enumerate(tokens):
            if not _fits(elements[0], tokens, start):
                continue
            positions = _extend(elements, tokens, start)
            if positions is None:
                continue
            score = sum(_weight(e) for e in elements) + _standing(tokens, start, len(elements))
            if any(lemma in PARTS for lemma in token.lemmas):
                score -= 0.5  # "rotates the arms forward" is told by its verb
            score -= 0.05 * (positions[-1] - positions[0] + 1 - len(positions))
            key = (sense.name, start)
            if score > 0 and (key not in found or score > found[key].score):
                found[key] = Match(sense, positions, score)
    for start, token in enumerate(tokens):
        for lemma in token.lemmas:
            if lemma in action_words() and lemma in synonyms():
                score = 1.5 + _standing(tokens, start, 1)
                name = synonyms()[lemma][0]
                if score > 0 and not any(m.head == start for m in found.values()):
                    found[name, start] = Match(senses()[name], (start,), score, via=lemma)
    order = {name: i for i, name in enumerate(senses())}
    return sorted(found.values(), key=lambda m: (-m.score, m.head, order[m.sense.name]))


def nearest(words: Sequence[str], count: int = 3) -> list[str]:
    """The known actions that look most like these words, for saying what would work."""
    import difflib

    first = {}
    for sense in senses().values():
        for form in sense.forms if sense.primitive != "unsupported" else ():
            first.setdefault(form.split()[0].split("|")[0], sense.name)
    scored = [
        (difflib.SequenceMatcher(None, word, form).ratio(), name)
        for word in words
        for form, name in first.items()
    ]
    close = sorted((s for s in scored if s[0] > 0.65), key=lambda s: (-s[0], s[1]))
    names = dict.fromkeys([*(name for _, name in close), *USUAL])
    return [name.replace("_", " ") for name in list(names)[:count]]


@functools.cache
def _entries() -> tuple[tuple[tuple[tuple[str, ...], ...], Sense], ...]:
    """(pattern as tuples of alternatives, sense), in the order of the file."""
    return tuple(
        (tuple(tuple(element.split("|")) for element in form.split()), sense)
        for sense in senses().values()
        for form in sense.forms
    )


def _extend(
    elements: Sequence[tuple[str, ...]], tokens: Sequence[Token], start: int
) -> tuple[int, ...] | None:
    """Where the elements lie when the first is at `start`, or None."""
    positions = [start]
    for element in elements[1:]:
        at = positions[-1] + 1
        skipped = 0
        while at < len(tokens) and not _fits(element, tokens, at):
            if not (_may_skip(tokens[at]) or _with_part(tokens, at)) or skipped == MAX_SKIP:
                return None
            at += 1
            skipped += 1
        if at >= len(tokens):
            return None
        positions.append(at)
    return tuple(positions)


def _fits(element: tuple[str, ...], tokens: Sequence[Token], at: int) -> bool:
    token = tokens[at]
    for alternative in element:
        if alternative[0] != "$":
            if alternative in token.lemmas or alternative == token.text:
                return True
        elif alternative == "$lr":
            if token.text in ("left", "right") and not _is_side(tokens, at):
                return True
        elif alternative == "$dir":
            if token.text in DIRECTIONS and not _is_side(tokens, at):
                return True
        elif alternative == "$part":
            if any(lemma in PARTS and lemma != "side" for lemma in token.lemmas):
                return True
        elif alternative[1:] in CLASSES:
            if any(PARTS.get(lemma) in CLASSES[alternative[1:]] for lemma in token.lemmas):
                return True
        elif any(OBJECTS.get(lemma) == alternative[1:] for lemma in token.lemmas):
            return True
    return False


def _is_side(tokens: Sequence[Token], at: int) -> bool:
    """Whether `left` or `right` belongs to a part that follows."""
    following = tokens[at + 1].lemmas if at + 1 < len(tokens) else ()
    return tokens[at].text in ("left", "right") and any(x in PARTS for x in following)


def _weight(element: tuple[str, ...]) -> float:
    if element[0][0] == "$":
        return 1.9
    return 1.0 if element[0] in SMALL_WORDS else 2.0


def _may_skip(token: Token) -> bool:
    if not token.text[0].isalpha():
        return token.value is not None
    words = {token.text, token.lemma}
    return token.value is not None or any(
        words & set(table) for table in (SMALL_WORDS, TEMPO, AMOUNT, STYLES, DIRECTIONS, TIMES)
    )


def _with_part(tokens: Sequence[Token], at: int) -> bool:
    """`with both hands`: a part that only says with what."""
    is_part = any(lemma in PARTS for lemma in tokens[at].lemmas)
    return is_part and any(t.text == "with" for t in tokens[max(0, at - 3) : at])


DETERMINERS = {"a", "an", "the", "his", "her", "their", "its", "my", "your", "this", "that"}
BEFORE_NOUNS = {*DETERMINERS, "left", "right", "both", "with", "on", "of", "in", "at", "from"}


def _standing(tokens: Sequence[Token], start: int, length: int) -> float:
    """What the place of the head adds: 0 where a verb may stand, less where a noun stands."""
    token = tokens[start]
    before = tokens[start - 1] if start else None
    is_thing = any(lemma in PARTS or lemma in OBJECTS for lemma in token.lemmas)
    light = any(LIGHT_VERBS & set(t.lemmas) for t in tokens[:start])
    # "a jump", "two quick steps": a clause that is only a name for an action
    light |= all(
        t.text in BEFORE_NOUNS or t.value is not None or t.lemma in AMOUNT or t.lemma in TEMPO
        for t in tokens[:start]
    ) and not any(
        lemma in LIGHT_VERBS or lemma in action_words()
        for t in tokens[start + 1 :]
        for lemma in t.lemmas
    )
    with_before = any(t.text == "with" for t in tokens[max(0, start - 4) : start])
    if length > 1 and is_thing:  # "hands on hips", "with arms out"
        return 0.0 if with_before or start <= 2 else -0.5
    noun_place = before is not None and (
        before.text in BEFORE_NOUNS
        or before.value is not None
        or before.lemma in AMOUNT
        or (before.lemma in TEMPO and before.lemma[-2:] != "ly")
    )
    is_thing = is_thing and token.form != "ing"  # "is boxing" is no box
    if is_thing and length == 1 and before is not None and before.text not in SUBJECTS:
        return -2.0
    if noun_place and token.form != "ing":
        return 0.0 if light else (-2.0 if length == 1 else -1.0)
    if token.form == "ed" and length == 1 and before is not None and before.text in BEFORE_NOUNS:
        return -2.0
    return 0.0


def _read(name: str) -> list[str]:
    """Lines of a data file without comments and empty ones."""
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    lines = (re.sub(r"\s+#.*|^#.*", "", line).strip() for line in text.splitlines())
    return [line for line in lines if line]
