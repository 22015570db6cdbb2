"""Checks of a precision's fields: one line with the field, what was expected and what came."""

from __future__ import annotations

from typing import Any


def one_of(owner: object, field: str, choices: tuple[Any, ...]) -> None:
    """Raise ValueError unless the field's value is one of the choices (True is not 1 here)."""
    value = getattr(owner, field)
    if not any(value == choice and type(value) is type(choice) for choice in choices):
        expected = ", ".join(map(repr, choices))
        raise ValueError(f"{type(owner).__name__}.{field} is {value!r}; expected one of {expected}")


def flags(owner: object, *fields: str) -> None:
    """Raise TypeError unless each field's value is a bool."""
    for field in fields:
        value = getattr(owner, field)
        if not isinstance(value, bool):
            raise TypeError(f"{type(owner).__name__}.{field} is {value!r}; expected True or False")
