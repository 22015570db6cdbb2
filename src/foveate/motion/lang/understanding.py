"""Understanding: from a text to frames, what is left out filled in from what was said before.

The one thing to know: `then his left one`, `lowers it`, `again` and `does the same with the other
arm` take verb, part or side from the clause before. What stays without a meaning is kept in
`Reading.unread`, never guessed silently.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from .clauses import Clause, split
from .frames import Frame, Limb, content_words, is_low, is_within
from .lexicon import nearest, right_words, senses, vocabulary
from .negation import denied
from .score import other
from .slots import read
from .tokens import Token, tokenize
from .words import LIGHT_VERBS, PARTS, STYLES


class NotUnderstood(ValueError):
    """No action was found in the text.

    Attributes:
        tokens: The words that could not be read.
        nearest: Known actions that look most like them.
    """

    def __init__(self, message: str, tokens: list[str], nearest: list[str]) -> None:
        super().__init__(message)
        self.tokens, self.nearest = tokens, nearest


@dataclass
class Reading:
    """What was made of a text.

    Attributes:
        frames: One for each action, in order of time.
        notes: What was repaired, assumed or left out, a line each.
        matched: Content words that were understood.
        unmatched: Content words that were not.
        unread: Clauses in which no action was found.
        confidence: 0 … 1.
    """

    frames: list[Frame] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    matched: list[str] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    confidence: float = 1.0

    def summary(self) -> str:
        """`understood 6 of 8 content words; ignored: …`."""
        known, total = len(self.matched), len(self.matched) + len(self.unmatched)
        text = f"understood {known} of {total} content words"
        return text + (f"; ignored: {', '.join(self.unmatched)}" if self.unmatched else "")


def understand(text: str) -> Reading:
    """Read a text.

    Raises:
        ValueError: The text is empty.
        NotUnderstood: No action was found; the error names words and known actions near them.
    """
    if not text or not text.strip():
        raise ValueError('text is empty; expected a sentence such as "a person waves"')
    tokens, notes = tokenize(text, vocabulary(), right_words())
    if not any(t.text[0].isalpha() for t in tokens):
        raise ValueError(f"text is {text.strip()!r}; expected an English sentence")
    left, not_done = denied(tokens)
    found = Reading(notes=[*notes, *(f'left out, as it is denied: "{text}"' for text in not_done)])
    for clause in split(left):
        frame = read(clause)
        resolved = _resolve(frame, clause, found)
        if resolved and "to" in frame.joined_by.split() and is_within(frame, found.frames):
            resolved[0].styles |= found.frames.pop().styles
            # "bends down to stroke a cat": the second bends down by itself
        if resolved is None:
            continue
        found.frames += resolved
    content = content_words(tokens)
    found.matched = [t.text for t in content if t.used]
    found.unmatched = list(dict.fromkeys(t.text for t in content if not t.used))
    _beyond(found)
    if not found.frames and not_done:  # "does not move"
        found.frames.append(Frame(sense=senses()["stand"], verb="stand", text="stands still"))
        found.frames[0].seconds = 3.0
    if not found.frames:
        _without_verb(found, tokens)
    if not found.frames:
        _raise_not_understood(found, tokens)
    share = len(found.matched) / max(1, len(found.matched) + len(found.unmatched))
    sure = sum(f.confidence for f in found.frames) / len(found.frames)
    penalty = 0.8 ** len(found.unread)
    found.confidence = round(min(1.0, (0.4 + 0.6 * share) * sure * penalty), 3)
    return found


def _resolve(frame: Frame, clause: Clause, found: Reading) -> list[Frame] | None:
    """The frame with gaps filled; None when nothing in it is an action."""
    last = found.frames[-1] if found.frames else None
    _take_sides(frame, last)
    if frame.sense is not None:
        _take_part(frame, last)
        if frame.sense.name == "backstep" and last and last.sense and last.sense.name == "turn":
            # "turns around and walks back" returns, it does not walk backwards
            frame.sense, frame.directions = senses()["walk"], ["forward"]
        if frame.sense.name == "stand_up" and (frame.times or 0) > 1 and is_low(last):
            assert last is not None
            pair, count, frame.times = [last, frame], min(frame.times or 1, 8), None
            return [frame, *(replace(f) for _ in range(count - 1) for f in pair)]
        return [frame]
    words = [t.text for t in clause.tokens]
    light = any(LIGHT_VERBS & set(t.lemmas) for t in clause.tokens)
    if last is not None:
        again = {"again", "repeat", "repeats", "repeating"} & set(words)
        same = "same" in words or "likewise" in words
        gap = not _unknown_words(clause)
        if "back" in words and gap and not frame.limbs and not {"left", "right"} & set(words):
            return [_back(frame, last, words)]
        if same and not frame.times and (frame.limbs or frame.directions):
            _use(clause)
            return [_like_last(frame, f, times_more=False) for f in _since_side(found.frames)]
        if again or same or (gap and (frame.limbs or frame.directions or frame.times)):
            _use(clause)
            return [_like_last(frame, last, times_more="repeat" in "".join(words))]
    part = next((limb for limb in frame.limbs if not limb.prep or limb.prep == "of"), None)
    if part is not None and (
        frame.directions or frame.degrees is not None or "level" in frame.flags
    ):
        frame.sense, frame.confidence = senses()["move_part"], 0.5
        unknown = _unknown_words(clause)
        if unknown:
            found.notes.append(
                f'"{" ".join(t.text for t in unknown)}" is not known; moved the {part.part} by its '
                "direction"
            )
        return [frame]
    if frame.styles and not _unknown_words(clause) and last is not None:
        last.styles |= frame.styles
        return []
    if not light and (frame.styles or frame.speed != 1.0) and last is not None:
        last.styles |= frame.styles
        last.speed *= frame.speed
    if _unknown_words(clause):
        found.unread.append(frame.text)
    return None


def _unknown_words(clause: Clause) -> list[Token]:
    return [t for t in content_words(clause.tokens) if not t.used]


def _use(clause: Clause) -> None:
    for token in clause.tokens:
        if token.text in ("same", "again", "repeat", "repeats", "repeating", "likewise"):
            token.used = True


def _take_sides(frame: Frame, last: Frame | None) -> None:
    """`other`, `opposite`: the side that was not named before."""
    before = next((x.side for x in last.limbs if x.side in ("L", "R")), "R") if last else "R"
    frame.limbs = [
        replace(limb, side=other(before)) if limb.side == "other" else
        replace(limb, side="") if limb.side == "one" else limb
        for limb in frame.limbs
    ]  # fmt: skip
    if "other side" in frame.text and not frame.limbs and last and last.limbs:
        frame.limbs = [replace(x, side=other(x.side)) for x in last.limbs]


def _take_part(frame: Frame, last: Frame | None) -> None:
    """`lowers it`: the part of the clause before."""
    needs = frame.sense is not None and frame.sense.primitive == "part"
    if needs and not frame.limbs and last is not None:
        frame.limbs = list(last.limbs)
        if not frame.limbs:
            frame.limbs = [Limb("arm", "B", "", 0)]


def _like_last(frame: Frame, last: Frame, times_more: bool) -> Frame:
    """The action before once more, with whatever this clause changes."""
    made = replace(
        last,
        relation=frame.relation, joined_by=frame.joined_by, limbs=list(last.limbs),
        directions=list(last.directions), flags=set(last.flags), styles=dict(last.styles),
    )  # fmt: skip
    if frame.limbs:
        sides = [x for x in frame.limbs if x.side]
        same = [x for x in frame.limbs if any(x.part == y.part for y in last.limbs)]
        only_side = all(x.prep == "with" and x.part in ("arm", "hand") for x in frame.limbs)
        if sides and (same or only_side) and last.limbs:
            made.limbs = [replace(x, side=sides[0].side) if x.side else x for x in last.limbs]
            if not any(x.side for x in last.limbs):
                made.limbs = [replace(last.limbs[0], side=sides[0].side), *last.limbs[1:]]
        else:
            made.limbs = list(frame.limbs)
    elif set(frame.directions) & {"left", "right"} and any(
        x.side in "LR" for x in last.limbs if x.side
    ):
        side = "L" if "left" in frame.directions else "R"
        made.limbs = [replace(x, side=side) if x.side else x for x in last.limbs]
    if frame.directions and not (frame.limbs and not last.directions):
        made.directions = [
            d
            for d in frame.directions
            if d != "back" or not {"left", "right"} & set(frame.directions)
        ]
    for name in ("degrees", "metres", "seconds", "steps", "turns"):
        if getattr(frame, name) is not None:
            setattr(made, name, getattr(frame, name))
    if frame.times is not None:
        # "repeats this three times" says how often in all
        made.times = max(1, frame.times - 1) if times_more else frame.times
    made.text = frame.text
    return made


def _back(frame: Frame, last: Frame, words: list[str]) -> Frame:
    """`and back down`, `then back up`, `and back`: undoes what came before."""
    low = is_low(last)
    if "down" in words and not low:
        frame.sense = senses()["lower"]
        frame.limbs = list(last.limbs) or [Limb("arm", "B", "", 0)]
    elif last.sense is not None and last.sense.name in ("walk", "run", "jog", "step", "sidestep"):
        frame.sense = senses()["walk"]
        frame.directions = ["back"]
    else:
        frame.sense = senses()["neutral" if not low else "straighten"]
    frame.confidence = 0.8
    return frame


def _since_side(frames: list[Frame]) -> list[Frame]:
    """The last frames that speak of the same limb: what `does the same` repeats."""
    found = [frames[-1]]
    for frame in reversed(frames[:-1]):
        if not frame.limbs or {x.side for x in frame.limbs} != {x.side for x in found[0].limbs}:
            break
        found.insert(0, frame)
    return found


def _beyond(found: Reading) -> None:
    """Actions that are known by name but cannot be played are taken out and named."""
    for frame in [f for f in found.frames if f.sense and f.sense.primitive == "unsupported"]:
        found.frames.remove(frame)
        found.unread.append(frame.text)
        found.notes.append(f'"{frame.text}" is acrobatics beyond the offline designer; left out')


GREETINGS = {"hello", "hi", "hey", "goodbye", "bye", "welcome", "greetings"}
MOODS = {"happy": "cheer", "angry": "stomp", "proud": "hands_hips", "drunk": "hip_sway"}
"""Style → what is acted when a text names a mood and nothing to do."""


def _without_verb(found: Reading, tokens: list[Token]) -> None:
    """`hello`, `a sad person`: a greeting is waved; a mood is acted, or stood."""
    if GREETINGS & {t.text for t in tokens}:
        found.frames.append(Frame(sense=senses()["wave"], verb="wave", text="hello"))
        return
    styled = next((t for t in tokens if t.text in STYLES), None)
    if styled is None or any("beyond" in note for note in found.notes):
        return
    name, strength = STYLES[styled.text]
    act = MOODS.get(name, "stand")
    frame = Frame(sense=senses()[act], verb=act, text=styled.text, styles={name: strength})
    frame.confidence, frame.seconds = 0.5, 3.0 if act == "stand" else None
    found.frames.append(frame)
    found.unread.clear()
    styled.used = True
    found.matched.append(styled.text)
    found.unmatched = [word for word in found.unmatched if word != styled.text]
    shown = "stands like that" if act == "stand" else f"shown as: {act.replace('_', ' ')}"
    found.notes.append(f'"{styled.text}" names no action; {shown}')


def _raise_not_understood(found: Reading, tokens: list[Token]) -> None:
    beyond = next((n for n in found.notes if "beyond" in n), "")
    content = [t.text for t in content_words(tokens) if not LIGHT_VERBS & set(t.lemmas)]
    words = found.unmatched or content or found.unread
    verbs = [w for w in words if w not in PARTS] or words
    options = ["jump", "spin", "jumping jack"] if beyond else nearest(verbs)
    message = (
        f"{beyond or 'no action was understood'} (words not understood: {', '.join(words)}); "
        f"the nearest known actions are {', '.join(options)}"
    )
    raise NotUnderstood(message, words, options)
