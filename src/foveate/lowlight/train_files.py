"""What a training leaves beside the loop's checkpoint and log: settings, weights, a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from . import weights

QUIET = {"step", "lr", "loss", "grad_norm", "seconds"}
"""Names of a log that are not drawn, or drawn first."""


def write_start(folder: str | Path | None, told: Mapping[str, Any]) -> None:
    """Write `run.json` for people; what decides whether a training goes on is in the checkpoint."""
    if folder is not None and not (Path(folder) / "checkpoint.safetensors").exists():
        text = json.dumps(told, indent=2) + "\n"
        weights.write_bytes(Path(folder) / "run.json", text.encode())


def write_end(
    folder: str | Path | None,
    model: nn.Module,
    told: Mapping[str, Any],
    log: list[dict[str, float]],
    best: dict[str, float] | None,
    steps: int,
    trained: bool,
) -> None:
    """Write `model.safetensors` and `loss.png`, unless nothing was trained and they are there."""
    if folder is None or (not trained and (Path(folder) / "model.safetensors").exists()):
        return
    about = {"settings": dict(told), "step": steps, "best": best}
    weights.save(Path(folder) / "model.safetensors", model.state_dict(), about)
    plot_log(log, Path(folder) / "loss.png")


def plot_log(log: list[dict[str, float]], path: str | Path) -> bool:
    """Draw the loss, its parts and what was checked over steps; False without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return False
    names = sorted({name for entry in log for name in entry} - QUIET)
    figure = Figure(figsize=(6, 2.2 * (1 + len(names))), layout="constrained")
    for row, name in enumerate(["loss", *names]):
        axes = figure.add_subplot(1 + len(names), 1, row + 1)
        points = [(entry["step"], entry[name]) for entry in log if name in entry]
        axes.plot(*zip(*points, strict=True), color="#2a6f97")
        axes.set_ylabel(name)
        axes.grid(alpha=0.3)
    axes.set_xlabel("step")
    figure.savefig(path, dpi=110)
    return True
