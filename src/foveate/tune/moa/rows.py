"""The lists of numbers in a plan: one for each layer, one number for each head."""

from __future__ import annotations

import math
from typing import Any

from ..profile import ProfileError

Rows = tuple[tuple[float, ...] | None, ...]


class PlanError(ProfileError):
    """A plan that cannot be read, is incomplete, or belongs to another model."""


def rows_of(name: str, value: Any) -> Rows:
    """The numbers of a list of lists, checked; None for layers without."""
    if not isinstance(value, list | tuple) or not value:
        raise PlanError(f"{name} is {type(value).__name__}; expected one list for each layer")
    rows: list[tuple[float, ...] | None] = []
    for layer, row in enumerate(value):
        if row is None:
            rows.append(None)
            continue
        good = isinstance(row, list | tuple) and row
        if not good or not all(map(_number, row)):
            raise PlanError(
                f"layer {layer} of {name} is {str(row)[:60]}; expected finite numbers, one per head"
            )
        rows.append(tuple(map(float, row)))
    return tuple(rows)


def shape_of(sizes: list[int | None]) -> str:
    """Heads of layers, in words."""
    kinds = sorted({str(size or "no") for size in sizes})
    return f"{len(sizes)} layers of {' or '.join(kinds)} heads"


def check_length(length: Any) -> None:
    """Make sure that N is a number of tokens."""
    if not isinstance(length, int) or isinstance(length, bool) or length < 1:
        raise ValueError(f"length is {length!r}; expected a number of tokens, at least 1")


def _number(x: Any) -> bool:
    """Whether x can be a float that is finite."""
    if isinstance(x, bool) or not isinstance(x, int | float):
        return False
    try:
        return math.isfinite(x)
    except OverflowError:  # JSON knows integers that no float is
        return False
