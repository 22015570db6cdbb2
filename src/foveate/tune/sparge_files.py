"""Published parameter files of SpargeAttn: read them into one selection for each layer.

Such a file is a dictionary of tensors, one value for each head, under

    <module>.inner_attention.{is_sparse, cdfthreshd, simthreshd1, simthreshd2, pvthreshd}

The one thing to know: their thresholds were found with the rule that leaves out the block which
crosses the threshold, and are used with the first block always visited; the selections made here
say both. Units agree: pvthreshd is our `skip`, in powers of two.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from foveate.attn.select import SELECTIONS, Selection

_KEY = re.compile(r"(?:(?P<module>.+)\.)?(?P<name>is_sparse|cdfthreshd|simthreshd[12]|pvthreshd)")
_NEEDED = ("is_sparse", "cdfthreshd", "simthreshd1", "pvthreshd")
_LEAST = 1e-6  # smallest threshold that means something: at least one block is visited anyway


def read_sparge_file(
    path: str | os.PathLike[str], block: tuple[int, int] = (128, 64)
) -> dict[str, Selection]:
    """Selections of a published file of tuned SpargeAttn parameters.

    Args:
        path: A file written with torch.save.
        block: Queries and keys per block that they were tuned with; 128 and 64 everywhere but on
            Hopper.

    Returns:
        For each attention module, in the order of their numbers, a `Sparge` with one threshold,
        similarity and skip for each head. Heads that are not sparse visit everything.

    Raises:
        ValueError: The file is not one of these, or a module lacks parameters.
    """
    content = _read(Path(path).expanduser())
    modules: dict[str, dict[str, Tensor]] = {}
    for key, value in content.items():
        match = _KEY.fullmatch(key)
        if match is None:
            raise ValueError(
                f'{path}: "{key}" is no parameter of SpargeAttn; expected keys that end in '
                f"{', '.join(_NEEDED)}"
            )
        module = (match["module"] or "").removesuffix(".inner_attention")
        modules.setdefault(module, {})[match["name"]] = value
    if not modules:
        raise ValueError(f"{path} holds no parameters")
    return {name: _selection(path, name, modules[name], block) for name in sorted(modules, key=_by)}


def _read(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except Exception as error:  # what a damaged file raises depends on where it is damaged
        raise ValueError(
            f"{path} cannot be read as tensors saved by torch: "
            f"{(str(error) or type(error).__name__).splitlines()[0]}"
        ) from None
    if not isinstance(content, dict) or not all(
        isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items()
    ):
        raise ValueError(f"{path} holds {type(content).__name__}; expected a dictionary of tensors")
    return content


def _by(module: str) -> list[Any]:
    """Order of modules: numbers inside names count as numbers."""
    return [(int(x), "") if x.isdigit() else (-1, x) for x in re.split(r"(\d+)", module)]


def _selection(path: Any, name: str, found: dict[str, Tensor], block: tuple[int, int]) -> Selection:
    missing = [key for key in _NEEDED if key not in found]
    if missing:
        raise ValueError(f'{path}: module "{name}" lacks {", ".join(missing)}')
    heads = {key: found[key].numel() for key in _NEEDED}
    if len(set(heads.values())) > 1 or not heads["is_sparse"]:
        raise ValueError(f'{path}: module "{name}" has parameters for {heads} heads')
    tau, theta, skip = (
        found[key].flatten().double() for key in ("cdfthreshd", "simthreshd1", "pvthreshd")
    )
    sparse = found["is_sparse"].flatten() > 0  # a bool, or the float that a cast has made of it
    tau = torch.where(sparse, tau.clamp(_LEAST, 1.0), 1.0)
    theta = torch.where(sparse, theta.clamp(-1.0, 1.0), -1.0)
    return SELECTIONS["sparge"](
        threshold=_tuple(tau),
        similarity=_tuple(theta) if bool((theta >= 0).any()) else None,
        rule="exclusive",
        sink=True,
        block=block,
        skip=_tuple(skip.clamp(min=_LEAST)),
    )


def _tuple(values: Tensor) -> tuple[float, ...]:
    return tuple(round(x, 6) for x in values.tolist())
