"""Checks of a selection's fields: one line with the field, what was expected and what came."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..backends.base import Request


def one_of(owner: object, field: str, choices: tuple[Any, ...]) -> None:
    """Raise ValueError unless the field's value is one of the choices (True is not 1 here)."""
    value = getattr(owner, field)
    if not any(value == choice and type(value) is type(choice) for choice in choices):
        expected = ", ".join(map(repr, choices))
        raise ValueError(f"{_name(owner, field)} is {value!r}; expected one of {expected}")


def flags(owner: object, *fields: str) -> None:
    """Raise TypeError unless each field's value is a bool."""
    for field in fields:
        if not isinstance(value := getattr(owner, field), bool):
            raise TypeError(f"{_name(owner, field)} is {value!r}; expected True or False")


def whole(owner: object, field: str, least: int) -> None:
    """Raise ValueError unless the field's value is an int of at least `least`."""
    value = getattr(owner, field)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{_name(owner, field)} is {value!r}; expected an int of at least {least}")


def shares(owner: object, field: str) -> None:
    """Make the field a float in (0, 1], or a tuple of them, one for each query head."""
    value = getattr(owner, field)
    for one in each(value):
        if not _is_number(one) or not 0 < one <= 1:
            raise ValueError(
                f"{_name(owner, field)} is {value!r}; expected a share above 0 and up to 1, "
                "or one for each query head"
            )
    object.__setattr__(owner, field, _as_floats(value))


def numbers(owner: object, field: str) -> None:
    """Make the field a finite float, or a tuple of them, one for each query head."""
    value = getattr(owner, field)
    for one in each(value):
        if not _is_number(one):
            raise ValueError(
                f"{_name(owner, field)} is {value!r}; expected a number, or one for each query head"
            )
    object.__setattr__(owner, field, _as_floats(value))


def ranges(owner: object, field: str) -> None:
    """Make the field a tuple of ranges of tokens, (start, stop) with 0 ≤ start < stop."""

    def is_range(one: object) -> bool:
        return (
            isinstance(one, tuple | list)
            and len(one) == 2
            and all(isinstance(x, int) and not isinstance(x, bool) for x in one)
            and 0 <= one[0] < one[1]
        )

    value = getattr(owner, field)
    if not isinstance(value, tuple | list) or not all(map(is_range, value)):
        raise ValueError(
            f"{_name(owner, field)} is {value!r}; expected ranges of tokens (start, stop) with "
            "0 ≤ start < stop, e.g. ((0, 77),)"
        )
    object.__setattr__(owner, field, tuple((one[0], one[1]) for one in value))


def for_heads(owner: object, request: Request, *fields: str) -> None:
    """Raise ValueError unless fields that are tuples have one value per query head."""
    for field in fields:
        value = getattr(owner, field)
        if isinstance(value, tuple) and len(value) != request.q_heads:
            raise ValueError(
                f"{_name(owner, field)} has {len(value)} values; expected one, or one for each "
                f"head of q, {request.q_heads}"
            )


def brief(owner: Any) -> str:
    """The call that makes this value, its first field and what is not at its default."""
    known = sorted(dataclasses.fields(owner), key=lambda field: field.kw_only)
    said = [
        f"{field.name}={value!r}"
        for field in known
        if (value := getattr(owner, field.name)) != field.default
        or (field is known[0] and value is not None)
    ]
    return f"{type(owner).__name__}({', '.join(said)})"


def each(value: object) -> tuple:
    """The values of a field that is one value or one per head; none for None."""
    if value is None:
        return ()
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def _is_number(x: object) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x)


def _as_floats(value: Any) -> float | tuple[float, ...]:
    return tuple(map(float, value)) if isinstance(value, tuple | list) else float(value)


def _name(owner: object, field: str) -> str:
    return f"{type(owner).__name__}.{field}"


HIDES = (
    "a mask hides keys that the estimate would count (leave padding out with attention_varlen; "
    "BlockLayout, Window and TopK take masks)"
)
"""Why a selection that estimates mass serves a masked call dense."""
