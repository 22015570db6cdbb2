"""Reading a clause: every word is tried as a limb, a number, a direction, a manner, a thing.

The one thing to know: `left` and `right` are a side when a body part follows (or `with his left`),
and a direction otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

from .clauses import Clause
from .frames import Frame, Limb
from .lexicon import DETERMINERS, Match, matches
from .tokens import Token
from .words import AMOUNT, DIRECTIONS, OBJECTS, PARTS, STYLES, TEMPO, TIMES, UNITS

SIDES = {"left": "L", "right": "R", "both": "B"}
PREPOSITIONS = {
    "with", "on", "to", "at", "against", "behind", "over", "toward", "towards", "from", "in",
    "onto", "of", "front", "across", "above", "around", "for", "near", "using", "into", "under",
}  # fmt: skip
AUXILIARY = {"is", "are", "was", "does", "starts", "begins", "tries", "to", "who", "and"}
PAIRED = {
    "arm", "hand", "elbow", "wrist", "shoulder", "leg", "knee", "foot", "heel", "toe", "ear", "hip",
}  # fmt: skip


def read(clause: Clause) -> Frame:
    """The frame of one clause; its tokens are marked as used where they were understood."""
    tokens = clause.tokens
    found = matches(tokens)
    best = found[0] if found else None
    frame = Frame(relation=clause.relation, joined_by=clause.joined_by)
    frame.text = " ".join(t.text for t in tokens)
    if best is not None:
        frame.sense = best.sense
        frame.verb = tokens[best.head].lemma
        frame.confidence = 0.8 if best.via else 1.0
        for i in best.positions:
            tokens[i].used = True
        _subject(tokens, best.head)
    _slots(frame, tokens, best)
    return frame


def _subject(tokens: list[Token], head: int) -> None:
    """`a waiter carries`, `my dog is running`: the noun before the verb is who moves."""
    at = head - 1
    while at > 0 and (tokens[at].text in AUXILIARY or tokens[at].text.endswith("ly")):
        at -= 1
    if at < 0 or tokens[at].text in OBJECTS:
        return
    first = at
    while first > 0 and at - first < 3 and tokens[first - 1].text not in DETERMINERS:
        first -= 1  # "a tired old nurse"
    if first > 0 and tokens[first - 1].text in DETERMINERS:
        for token in tokens[first : at + 1]:
            token.who = not (set(token.lemmas) & (set(STYLES) | set(AMOUNT) | set(TEMPO)))
    elif at == 0 and tokens[0].text not in STYLES and tokens[head].text != tokens[head].lemma:
        tokens[0].who = True  # "grandma shuffles"


def _slots(frame: Frame, tokens: list[Token], match: Match | None) -> None:
    for i, token in enumerate(tokens):
        handled = (
            _limb(frame, tokens, i)
            or _number(frame, tokens, i)
            or _side_or_direction(frame, tokens, i, match)
            or _manner(frame, tokens, i)
            or _thing(frame, tokens, i, match)
        )
        token.used = token.used or handled


def _limb(frame: Frame, tokens: list[Token], i: int) -> bool:
    token = tokens[i]
    lemma = next((x for x in token.lemmas if x in PARTS), None)
    if lemma is None or _is_unit(tokens, i):
        return False
    part = PARTS[lemma]
    before = [t.text for t in tokens[:i]]
    if part == "back" and (
        not before or before[-1] not in ("his", "her", "their", "the", "lower", "on")
    ):
        return False  # a direction
    if part == "side":
        return False
    if part == "face" and token.text in ("faces", "facing") and frame.verb == "face":
        return False
    side, prep = "", ""
    for word in reversed(before[-5:]):
        if word in PREPOSITIONS:
            prep = word
            break
        if word in SIDES and not side:
            side = SIDES[word]
        elif word in ("one", "a", "single"):
            side = side or "one"
        elif word in ("other", "opposite"):
            side = side or "other"
        elif word not in (
            "his",
            "her",
            "their",
            "the",
            "its",
            "your",
            "my",
            "of",
            "own",
            "and",
            "or",
        ):
            if word in AMOUNT or word in TEMPO or word in STYLES or word in ("lower", "upper"):
                continue
            break
    if not side and prep and prep in before[-5:]:
        # "with both of his hands" has its side before a preposition
        place = len(before) - 1 - before[::-1].index(prep)
        if prep == "of" and place and before[place - 1] in SIDES:
            side = SIDES[before[place - 1]]
    if {"left", "right"} <= set(before[-4:]) and "and" in before[-3:]:
        side = "B"
    plural = token.text not in (lemma,) and part in PAIRED
    if not side and plural:
        side = "B"
    if part in PAIRED and side == "one":
        side = ""
    frame.limbs.append(Limb(part, side, prep, i))
    return True


def _is_unit(tokens: list[Token], i: int) -> bool:
    """Whether `foot`, `feet` is a length here: after a number that is not `one` or `both`."""
    return (
        i > 0
        and tokens[i].text in ("feet", "foot", "ft")
        and tokens[i - 1].value is not None
        and tokens[i - 1].text not in ("one", "half")
        and not any(t.text in ("on", "with") for t in tokens[max(0, i - 3) : i])
    )


def _number(frame: Frame, tokens: list[Token], i: int) -> bool:
    token = tokens[i]
    brief = {"moment": 1.5, "second": 1.0, "while": 3.0, "minute": 8.0, "instant": 0.4, "bit": 1.0}
    if token.text in brief and i > 1 and [t.text for t in tokens[i - 2 : i]] == ["for", "a"]:
        frame.seconds = brief[token.text]
        return True
    if token.text in TIMES and token.text != "again":
        if token.text == "once" and i == 0:
            return False
        frame.times = TIMES[token.text]
        return True
    if token.text == "again":  # "stands up again" is once; "again and again" is often
        if [t.text for t in tokens[i + 1 : i + 3]] == ["and", "again"]:
            frame.times = 4
        return True
    if token.text == "longer" and i == len(tokens) - 1 and frame.times is None:
        frame.times = None if frame.seconds else 6  # "wave longer", not "longer steps"
        return True
    if token.value is None:
        return False
    value = token.value
    following = tokens[i + 1 : i + 5]
    if token.text == "half" and following and following[0].text == "way":
        return False
    for offset, unit in enumerate(following):
        kinds = [UNITS[x] for x in (unit.text, *unit.lemmas) if x in UNITS]
        if unit.value is not None and kinds == [] and unit.value < 1:
            value *= unit.value if offset else 1
            continue
        if unit.text in ("a", "an", "of", "more", "full", "complete", "big", "small", "or", "and"):
            continue
        if kinds:
            kind, factor = kinds[0]
            if kind == "turns" and token.text == "one" and unit.text == "circle":
                pass
            amount = value * factor
            match kind:
                case "deg":
                    frame.degrees = amount
                case "m":
                    frame.metres = amount
                case "s":
                    frame.seconds = min(amount, 20.0)
                case "times":
                    frame.times = max(1, round(amount))
                case "steps":
                    frame.steps = max(1, round(amount))
                case "turns":
                    frame.turns = amount
            unit.used = True
            return True
        if value == int(value) and value >= 2 and frame.times is None and offset <= 1:
            continue
        break
    if token.text in ("one", "half", "quarter") or value < 1:
        if "half" in token.text:
            frame.amount *= 0.6
        return True
    if frame.times is None and value == int(value):
        if value > 20:
            frame.degrees = value
        else:
            frame.times = int(value)  # "five jumping jacks", "3 punches"
    return True


def _side_or_direction(frame: Frame, tokens: list[Token], i: int, match: Match | None) -> bool:
    token = tokens[i]
    word = token.text
    if word == "alternately" or word in ("alternate", "alternating"):
        frame.flags.add("alternate")
        return True
    if word in ("updown", "sidetoside", "inplace", "incircle", "level", "aside"):
        frame.flags.add(word)
        return True
    if word not in DIRECTIONS:
        return False
    following = [t for t in tokens[i + 1 : i + 4] if t.text not in ("and", "or")]
    previous = [t.text for t in tokens[max(0, i - 2) : i]]
    if word in SIDES:
        part = next((x for t in following[:2] for x in t.lemmas if x in PARTS), None)
        if part not in (None, "side", "back") and not _crosses_preposition(following):
            return True  # a side; the limb took it
        if (
            previous[-1:]
            and previous[-1] in ("his", "her", "their", "your", "my", "the")
            and "with" in previous
        ):
            frame.limbs.append(Limb("arm", SIDES[word], "with", i))
            return True
    if word in ("in", "over", "round") and match is not None and following:
        return False  # before a thing these are not directions of their own
    if word == "back" and any(x.part == "back" and x.at == i for x in frame.limbs):
        return True
    direction = DIRECTIONS[word]
    if direction not in frame.directions:
        frame.directions.append(direction)
    return True


def _crosses_preposition(following: Sequence[Token]) -> bool:
    return bool(following) and following[0].text in PREPOSITIONS


def _manner(frame: Frame, tokens: list[Token], i: int) -> bool:
    token = tokens[i]
    words = (token.text, *token.lemmas)
    if token.text == "left" or (token.used and token.text in ("high", "up")):
        return False
    tempo = next((TEMPO[w] for w in words if w in TEMPO), None)
    if tempo is not None:
        very = i > 0 and tokens[i - 1].text in ("very", "really", "extremely", "so")
        frame.speed *= tempo ** (1.5 if very else 1.0)
        return True
    style = next((STYLES[w] for w in words if w in STYLES), None)
    if style is not None and not (
        token.text in ("child", "kid") and i < 3 and not _like(tokens, i)
    ):
        name, strength = style
        slight = i > 0 and tokens[i - 1].text in ("slightly", "bit", "little")
        frame.styles[name] = max(frame.styles.get(name, 0.0), strength * (0.5 if slight else 1.0))
        return True
    if token.text in AMOUNT and token.value is None:
        frame.amount *= AMOUNT[token.text]
        if token.text in ("high", "low", "wide"):
            frame.flags.add(token.text)
        return True
    if token.text in ("repeatedly", "continuously", "constantly", "forever"):
        frame.times = frame.times or 4
        return True
    return False


def _like(tokens: list[Token], i: int) -> bool:
    return any(t.text in ("like", "as") for t in tokens[max(0, i - 4) : i])


def _thing(frame: Frame, tokens: list[Token], i: int, match: Match | None) -> bool:
    token = tokens[i]
    lemma = next((x for x in (token.text, *token.lemmas) if x in OBJECTS), None)
    if lemma is None or (match is not None and i == match.head and i == 0):
        return False
    if match is not None and i == match.head and OBJECTS[lemma] not in ("drink", "stair"):
        return True
    prep = ""
    for before in reversed(tokens[max(0, i - 4) : i]):
        if before.text in PREPOSITIONS and before.text != "of":
            prep = before.text
            break
    frame.objects.append((OBJECTS[lemma], lemma, prep))
    return True
