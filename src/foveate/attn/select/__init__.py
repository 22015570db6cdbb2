"""Selections, and the names that stand for them.

The one thing to know: a new selection is one file here plus one line in `SELECTIONS`.
"""

from __future__ import annotations

from .base import Selection
from .dense import Dense, Given
from .moa import MoA
from .sparge import Sparge
from .topk import TopK
from .vsa import VSA
from .window import Window
from .xattention import XAttention

SELECTIONS: dict[str, type[Selection]] = {
    cls.name: cls for cls in (Dense, Window, TopK, Sparge, XAttention, MoA, VSA)
}
"""Every selection that exists, by name."""

PLANNED: tuple[str, ...] = ()
"""Names that are reserved for systems which are not built yet."""


def selection_named(name: str) -> Selection:
    """The selection that a name stands for, with its defaults.

    Raises:
        ValueError: The name is unknown, planned only, or has no defaults.
    """
    known = ", ".join([*SELECTIONS, *PLANNED])
    if name in PLANNED:
        raise ValueError(
            f'select "{name}" is planned but not built yet; selections here are '
            f"{', '.join(SELECTIONS)}"
        )
    if name not in SELECTIONS:
        raise ValueError(f'unknown select "{name}"; selections are {known}')
    try:
        return SELECTIONS[name]()
    except TypeError:
        knob = SELECTIONS[name].__match_args__[0]
        cls = SELECTIONS[name].__name__
        raise ValueError(
            f'select "{name}" has no default {knob}; pass {cls}({knob}) instead of the name'
        ) from None


__all__ = [
    "PLANNED",
    "SELECTIONS",
    "Dense",
    "Given",
    "MoA",
    "Selection",
    "Sparge",
    "TopK",
    "VSA",
    "Window",
    "XAttention",
    "selection_named",
]
