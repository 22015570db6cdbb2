"""A frame: what a clause asks for. Which action, with which part, where to, how often, how fast.

The one thing to know: `slots.read` fills it in; numbers are None where the text gives none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .lexicon import Sense
from .tokens import Token
from .words import FUNCTION_WORDS, LIGHT_VERBS, SUBJECTS


@dataclass(frozen=True)
class Limb:
    """A body part that a clause names: `part` of `words.PARTS`, side L, R, B or "", preposition."""

    part: str
    side: str
    prep: str
    at: int


@dataclass
class Frame:
    """What a clause asks for. Numbers are None where the text gives none."""

    sense: Sense | None = None
    verb: str = ""
    limbs: list[Limb] = field(default_factory=list)
    directions: list[str] = field(default_factory=list)
    objects: list[tuple[str, str, str]] = field(default_factory=list)  # kind, word, preposition
    degrees: float | None = None
    metres: float | None = None
    seconds: float | None = None
    times: int | None = None
    steps: int | None = None
    turns: float | None = None
    speed: float = 1.0
    amount: float = 1.0
    styles: dict[str, float] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    relation: str = "then"
    joined_by: str = ""
    text: str = ""
    confidence: float = 1.0

    def side(self, *parts: str, default: str = "R") -> str:
        """L, R or B: the side of the first limb of these parts (any, if none is named)."""
        for limb in self.limbs:
            if limb.side and (not parts or limb.part in parts):
                return limb.side
        return default

    def limb(self, *parts: str) -> Limb | None:
        """The first limb of these parts."""
        return next((limb for limb in self.limbs if limb.part in parts), None)

    def setting(self, name: str, default: str = "") -> str:
        """A fixed argument of the sense."""
        return dict(self.sense.settings).get(name, default) if self.sense else default

    def direction(self, default: str = "", among: Sequence[str] = ()) -> str:
        """The first direction named (of those in `among`), else the sense's own, else default."""
        for direction in self.directions:
            if not among or direction in among:
                return direction
        return self.setting("direction", default)

    def object(self, *kinds: str) -> tuple[str, str, str] | None:
        """(kind, word, preposition) of the first thing of these kinds (any, if none is given)."""
        return next((o for o in self.objects if not kinds or o[0] in kinds), None)

    def count(self, default: int, most: int = 12) -> int:
        """How often, within reason; `again and again` and durations are the caller's."""
        return max(1, min(most, self.times if self.times is not None else default))


def content_words(tokens: Sequence[Token]) -> list[Token]:
    """The words that should have been understood: no punctuation, no small words."""
    return [
        t
        for t in tokens
        if t.text[0].isalpha()
        and not t.who
        and t.text not in FUNCTION_WORDS
        and t.text not in SUBJECTS
        and not (LIGHT_VERBS & set(t.lemmas) and not t.used)
    ]


def is_low(frame: Frame | None) -> bool:
    """Whether an action left the body lower than standing."""
    low = ("squat", "crouch", "kneel", "sit", "lie", "bend", "sit_floor", "bow", "bend_knees")
    return frame is not None and frame.sense is not None and frame.sense.name in low


def is_within(frame: Frame, frames: list[Frame]) -> bool:
    """Whether going down, as said before, is part of this action."""
    low = ("pat", "pick_up", "tie_shoes", "look_under")
    last = frames[-1].sense if frames else None
    down = last is not None and last.name in ("bend", "crouch", "squat")
    return down and frame.sense is not None and frame.sense.name in low
