"""Precisions: how Q, K, P and V are written as numbers, one frozen dataclass per system."""

from __future__ import annotations

from .base import Precision
from .int8 import Int8
from .native import Native
from .recipe import Recipe
from .sage import Sage
from .sage2 import Sage2
from .sage2pp import Sage2pp
from .sage3 import Sage3
from .sagebwd import SageBwd

__all__ = [
    "Int8",
    "Native",
    "Precision",
    "Recipe",
    "Sage",
    "Sage2",
    "Sage2pp",
    "Sage3",
    "SageBwd",
    "precision_named",
]

PRECISIONS: dict[str, type[Precision]] = {
    kind.name: kind for kind in (Native, Int8, Sage, Sage2, Sage2pp, Sage3, SageBwd)
}


def precision_named(name: str) -> Precision:
    """The precision of that name, with its defaults.

    Args:
        name: native, int8, sage, sage2, sage2++, sage3 or sagebwd.

    Raises:
        ValueError: The name is unknown.
    """
    if name in PRECISIONS:
        return PRECISIONS[name]()
    raise ValueError(f'unknown precision "{name}"; precisions are {", ".join(PRECISIONS)}')
