"""The table of docs/lowlight.md, from lowlight-enhance.json.

The one thing to know: it reads results only, so it runs without what the measurement needs.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "lowlight-enhance.json"
NOT_YET = "Not measured yet: `python -m benchmarks.lowlight_enhance` fills this in."


def parts() -> dict[str, Callable[[], str]]:
    """The generated part of docs/lowlight.md."""
    return {"enhance": lambda: table(load())}


def load() -> dict[str, Any] | None:
    """The results, or None."""
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else None


def table(result: dict[str, Any] | None) -> str:
    """Means over photographs, the best in bold."""
    if result is None:
        return NOT_YET
    methods = result["summary"]
    ratios = list(next(iter(methods.values())))
    columns = [
        *((f"PSNR, {r} times darker", lambda by, r=r: by[r]["psnr"], 1) for r in ratios),
        ("one gain allowed", lambda by: _mean(by, "matched"), 1),
        ("SSIM", lambda by: _mean(by, "ssim"), 3),
    ]
    head = ["method", *(name for name, _, _ in columns)]
    best = [max(value(by) for by in methods.values()) for _, value, _ in columns]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for method, by in methods.items():
        cells = []
        for (_, value, digits), most in zip(columns, best, strict=True):
            shown = f"{value(by):.{digits}f}"
            cells.append(f"**{shown}**" if shown == f"{most:.{digits}f}" else shown)
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", _how(result)])


def _mean(by: dict[str, dict[str, float]], key: str) -> float:
    return statistics.mean(values[key] for values in by.values())


def _how(result: dict[str, Any]) -> str:
    photos = result["photos"]
    return (
        f"Simulated low light: {len(photos)} photographs ({', '.join(photos)}), "
        f"longest side {result['side']}, 8 bits without JPEG; denoising as by default."
    )
