"""Every environment variable that foveate reads; those of its own in one table.

The one thing to know: an unset and an empty variable mean the same, the default.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Variable:
    """One environment variable: its name, what it does, what holds when it is unset."""

    name: str
    meaning: str
    default: str

    def get(self) -> str | None:
        """The value, or None when unset or empty."""
        return os.environ.get(self.name) or None


CACHE = Variable(
    "FOVEATE_CACHE",
    "folder for converted models",
    "$XDG_CACHE_HOME/foveate, else ~/.cache/foveate",
)
TARGET = Variable(
    "FOVEATE_TARGET",
    "instruction set of the cpu backend: portable, avx2 or avx512",
    "the best one this CPU has",
)

VARIABLES: tuple[Variable, ...] = (CACHE, TARGET)
"""All of them, for `foveate doctor` and the docs."""


def foreign(name: str) -> str | None:
    """A variable that belongs to another program (a key, a display); None when unset or empty."""
    return os.environ.get(name) or None


def cache_folder() -> Path:
    """Where converted models are kept; not created here."""
    chosen = CACHE.get()
    if chosen:
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "foveate"


def table() -> list[dict[str, str | None]]:
    """Name, meaning, default and current value of each variable."""
    return [
        {"name": v.name, "meaning": v.meaning, "default": v.default, "value": v.get()}
        for v in VARIABLES
    ]
