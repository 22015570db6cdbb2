"""What the body does for each primitive of the lexicon.

The one thing to know: a primitive is a function `(frame, state) -> list[Step]`. It may change the
state (posture, what is held); steps give only the angles that change. `perform` finds it by name:
in `gestures.GESTURES`, in `sports.SHOTS`, or among the functions of the other files.
"""

from __future__ import annotations

from collections.abc import Callable

from ..frames import Frame
from ..score import State, Step
from . import (
    animals,
    arms,
    bending,
    characters,
    combat,
    everyday,
    exercises,
    footwork,
    hands,
    head,
    jumping,
    kneeling,
    legs,
    locomotion,
    parts,
    posture,
    reaching,
    things,
    whole,
)
from .gestures import GESTURES, gesture
from .sports import SHOTS, shot

Primitive = Callable[[Frame, State], list[Step]]

_FILES = (
    animals,
    arms,
    bending,
    characters,
    combat,
    everyday,
    exercises,
    footwork,
    hands,
    head,
    jumping,
    kneeling,
    legs,
    locomotion,
    parts,
    posture,
    reaching,
    things,
    whole,
)
_ALIASES = {"touch": hands.touch_, "shiver": whole.shiver}


def known(name: str) -> bool:
    """Whether there is such a primitive."""
    return _find(name) is not None


def perform(name: str, frame: Frame, state: State) -> list[Step]:
    """The steps of a primitive.

    Raises:
        ValueError: There is no such primitive.
    """
    found = _find(_variant(name, frame, state))
    if found is None:
        raise ValueError(f"no primitive is called {name!r}")
    return found(frame, state)


def _variant(name: str, frame: Frame, state: State) -> str:
    """`kind=` of a sense may name another row of the table; so may a word of the clause."""
    kind = frame.setting("kind")
    if kind and f"{name}_{kind}" in GESTURES:
        return f"{name}_{kind}"
    if name == "climb_rope" and kind == "pullup":
        return "pullup"
    raised = min(state.dofs.get(f"{side}_shoulder.elevation", 0.0) for side in "LR") > 120
    if name == "clap" and ("overhead" in frame.directions or raised):
        return "clap_high"
    if name == "heart":
        arms = any(limb.part in ("arm", "elbow") for limb in frame.limbs)
        return "heart_arms" if arms or "overhead" in frame.directions else "heart"
    if name == "tennis" and kind == "forehand":
        return "forehand"
    return name


def _find(name: str) -> Primitive | None:
    if name in GESTURES:
        return lambda frame, state: gesture(name, frame, state)
    if name in SHOTS:
        return lambda frame, state: shot(name, frame, state)
    if name in _ALIASES:
        return _ALIASES[name]
    for module in _FILES:
        found = getattr(module, name, None)
        if found is not None and getattr(found, "__module__", "") == module.__name__:
            return found
    return None
