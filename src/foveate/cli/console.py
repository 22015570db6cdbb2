"""What the verbs share on a terminal: the error for bad input, tables, progress, JSON.

The one thing to know: results go to stdout, everything else (progress, warnings) to stderr, so that
a result can always be piped.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any


class BadInput(Exception):
    """Something the user can mend, said in one line that names the way out."""


def print_json(value: Any) -> None:
    """One JSON document on stdout; NaN and infinity, which JSON lacks, become null."""
    print(json.dumps(_finite(value), indent=2, allow_nan=False))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns aligned with spaces: flush right where every cell is a number, else flush left."""
    body = [list(row) for row in rows]
    columns = [[header[i], *(row[i] for row in body)] for i in range(len(header))]
    widths = [max(map(len, column)) for column in columns]
    right = [i > 0 and any(c[1:]) and all(map(_is_number, c[1:])) for i, c in enumerate(columns)]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(w) if flush else cell.ljust(w)
            for cell, w, flush in zip(cells, widths, right, strict=True)
        )
        return "  ".join(padded).rstrip()

    rule = "  ".join("─" * w for w in widths).rstrip()
    return "\n".join([line(header), rule, *map(line, body)])


class Progress:
    """A progress line on stderr, only on a terminal; a context manager.

    Args:
        total: Steps to expect.
        label: What is being done.
        quiet: Print nothing at all.
    """

    WIDTH = 24

    def __init__(self, total: int, label: str, quiet: bool = False) -> None:
        self.total = max(1, total)
        self.label = label
        self.shown = not quiet and sys.stderr.isatty()
        self.done = 0
        self.begin = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self.shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def step(self, text: str = "", advance: int = 1) -> None:
        """One step further; `text` says what comes next."""
        self.done = min(self.total, self.done + advance)
        if not self.shown:
            return
        full = round(self.WIDTH * self.done / self.total)
        bar = "█" * full + "░" * (self.WIDTH - full)
        seconds = time.monotonic() - self.begin
        line = f"{self.label} {bar} {self.done}/{self.total} {seconds:.0f} s  {text}"
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


def _is_number(cell: str) -> bool:
    return cell[:1].isdigit() or cell[:1] in ("", "-", "−", "+", "·")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
