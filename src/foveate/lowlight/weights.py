"""Weights on disk: safetensors, never pickle, and never half a file.

The one thing to know: a file's metadata is one JSON document under the key "foveate", so that a
network is rebuilt from its file alone.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

KEY = "foveate"


def save(path: str | Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write tensors and a description; the file appears complete or not at all.

    Args:
        path: Where to; its folder is made when missing.
        tensors: Name → tensor of any dtype, on any device.
        about: Plain values that JSON can hold.

    Raises:
        ModuleNotFoundError: safetensors is not installed.
    """
    codec = _safetensors()
    path = Path(path)
    held = {name: value.detach().to("cpu").contiguous().clone() for name, value in tensors.items()}
    data = codec.save(held, metadata={KEY: json.dumps(about)})
    write_bytes(path, data)


def load(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors on the CPU and the description that `save` wrote.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged, or of another kind.
        ModuleNotFoundError: safetensors is not installed.
    """
    codec, path = _safetensors(), Path(path)
    data = path.read_bytes()
    try:
        size = int.from_bytes(data[:8], "little")
        about = json.loads(json.loads(data[8 : 8 + size])["__metadata__"][KEY])
        tensors = codec.load(data)
    except Exception as error:
        raise ValueError(
            f"{path} is not a file of weights made by foveate ({error or type(error).__name__}); "
            "expected safetensors with a description"
        ) from None
    return tensors, about


def half(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights with half the bytes: float32 becomes float16."""
    return {k: v.to(torch.float16) if v.dtype == torch.float32 else v for k, v in state.items()}


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file by way of a neighbour that then takes its name."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(name, 0o644)  # mkstemp makes files that only their owner reads
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] != "safetensors":
            raise
        raise ModuleNotFoundError(
            "weights are kept in safetensors, which is not installed; "
            'pip install "foveate[lowlight]"',
            name="safetensors",
        ) from None
    return safetensors.torch
