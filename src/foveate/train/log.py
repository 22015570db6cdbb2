"""What a training says: one line of JSON for each step in a file, one line on a terminal.

The one thing to know: the file goes as far as the checkpoint beside it. A run that is taken up
again drops the lines that came after its checkpoint, so a log has each step once, however often
the run was stopped.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Record = dict[str, Any]
"""One line: always "step"; "loss", "lr", "grad_norm" of a step, or what an evaluation found."""


class Journal:
    """Records of a training, in memory and, if it has a folder, in `log.jsonl` there.

    Args:
        folder: Where the file is; None keeps records in memory only.
        steps: Steps done already; later lines of an older run are dropped.
    """

    NAME = "log.jsonl"

    def __init__(self, folder: Path | None, steps: int = 0) -> None:
        self.path = None if folder is None else folder / self.NAME
        self.records: list[Record] = []
        if self.path is not None:
            self.records = [r for r in read_log(self.path) if r["step"] <= steps]
            _replace(self.path, "".join(map(_line, self.records)))

    def add(self, records: Iterable[Record]) -> None:
        """Append records; on disk when this returns."""
        records = list(records)
        self.records += records
        if self.path is not None and records:
            with self.path.open("a", encoding="utf-8") as file:
                file.write("".join(map(_line, records)))


def read_log(path: str | os.PathLike[str]) -> list[Record]:
    """The records of a log, or of the log in a folder; a line that was cut short is left out."""
    path = Path(path)
    path = path / Journal.NAME if path.is_dir() else path
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            break  # a machine that lost power while writing; nothing after it can be trusted
    return found


class ProgressLine:
    """A line on stderr that says how far a training is; silent where there is no terminal.

    Args:
        label: What is trained.
        quiet: Never print.
    """

    WIDTH, EVERY = 24, 0.1

    def __init__(self, label: str = "training", quiet: bool = False) -> None:
        self.label = label
        self.shown = not quiet and sys.stderr.isatty()
        self.first: tuple[float, int] | None = None
        self.last = -math.inf

    def __call__(self, step: int, steps: int, record: Record | None = None) -> None:
        """`step` of `steps` are done; `record` is the last one."""
        now = time.monotonic()
        if not self.shown or (now - self.last < self.EVERY and step < steps):
            return
        self.last = now
        self.first = self.first or (now, step)
        begin, before = self.first
        full = round(self.WIDTH * step / max(1, steps))
        parts = [f"{self.label} {'█' * full}{'░' * (self.WIDTH - full)} {step}/{steps}"]
        if record and "loss" in record:
            parts.append(f"loss {record['loss']:.4f}")
        if step > before:
            left = (now - begin) / (step - before) * (steps - step)
            parts.append(f"{left / 60:.0f} min left" if left > 90 else f"{left:.0f} s left")
        end = "\n" if step >= steps else ""
        print("\r\033[K" + "  ".join(parts), end=end, file=sys.stderr, flush=True)


def _line(record: Record) -> str:
    finite = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in record.items()
    }
    return json.dumps(finite, allow_nan=False) + "\n"


def _replace(path: Path, text: str) -> None:
    """Write a file, all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    work = path.with_name(path.name + ".tmp")
    work.write_text(text, encoding="utf-8")
    os.replace(work, path)
