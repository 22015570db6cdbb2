"""Public names of a room that are imported when they are first used.

The one thing to know: a library that is missing is named with the extra that brings it; a module of
our own that is missing is a mistake of ours, and stays visible as one.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any


def find(room: str, name: str, places: Mapping[str, str], extra: str) -> Any:
    """A room's public name.

    Args:
        room: The package's full name, "foveate.motion".
        name: What is asked of it.
        places: Public name → module that holds it, relative to the room.
        extra: What to install where a library is missing.

    Raises:
        AttributeError: The room has no such name.
        ModuleNotFoundError: A library is not installed.
    """
    if name not in places:
        raise AttributeError(f"module {room!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f".{places[name]}", room), name)
    except ModuleNotFoundError as error:
        if (error.name or "foveate").startswith("foveate"):
            raise
        raise ModuleNotFoundError(
            f'{room}.{name} needs {error.name}, which is not installed; pip install "{extra}"',
            name=error.name,
        ) from error
