"""Peak memory of a block of code.

The one thing to know: on Linux the kernel keeps the peak itself, and it can be reset, so nothing
between two samples is missed; elsewhere the answer is None rather than a guess.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


@dataclass
class Peak:
    """Filled when the block ends: bytes above what was in use before it; None if unknown."""

    extra: int | None = None


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """Measure how much more memory than before a block needs at its worst.

    Counts resident pages of the whole process. Memory that was freed but is still held by the
    allocator would be reused unseen, so it is given back to the system first (glibc only).
    """
    peak = Peak()
    _give_back()
    before = _reset()
    try:
        yield peak
    finally:
        after = _read("VmHWM")
        if before is not None and after is not None:
            peak.extra = max(0, after - before)


def resident() -> int | None:
    """Bytes of memory in use now; None if the system does not say."""
    return _read("VmRSS")


def _give_back() -> None:
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _reset() -> int | None:
    """Set the kernel's peak to what is in use now, and return that."""
    try:
        _RESET.write_text("5")
    except OSError:
        return None
    return _read("VmRSS")


def _read(field: str) -> int | None:
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None
