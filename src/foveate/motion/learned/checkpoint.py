"""Checkpoints: what training needs to go on, in one file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from ..clip import write_atomic


def keep(path: str | Path, **held: Any) -> None:
    """Write a checkpoint; complete or not at all."""
    buffer = io.BytesIO()
    torch.save(held, buffer)
    write_atomic(path, buffer.getvalue())


def read(path: str | Path) -> dict[str, Any]:
    """The content of a checkpoint; ValueError if it is none."""
    try:
        held = torch.load(path, weights_only=True)
    except Exception as error:  # torch raises half a dozen kinds
        raise ValueError(f"{path} is not a checkpoint: {str(error).splitlines()[0]}") from None
    if not isinstance(held, dict) or not {"config", "policy", "world"} <= set(held):
        raise ValueError(f"{path} is not a checkpoint of the learned tracker")
    return held


def load(net: torch.nn.Module, weights: dict[str, Any], path: str | Path) -> None:
    """Give a net its weights; ValueError if they are those of another kind of net."""
    try:
        net.load_state_dict(weights)
    except RuntimeError:
        raise ValueError(
            f"{path} was written by another version of the learned tracker; train anew"
        ) from None
