"""Ctrl-C and SIGTERM: noted when they come, obeyed when the step at hand is done."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stopping() -> Iterator[list[float]]:
    """A list that is no longer empty once Ctrl-C or SIGTERM came; a second Ctrl-C stops at once."""
    told: list[float] = []
    if threading.current_thread() is not threading.main_thread():
        yield told  # only the main thread may handle signals
        return
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: object) -> None:
        # torchrun passes on the Ctrl-C that a terminal sent to us as well: that is still the first
        if told and number == signal.SIGINT and time.monotonic() - told[0] > 1:
            raise KeyboardInterrupt
        told.append(time.monotonic())

    for number in before:
        signal.signal(number, note)
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
