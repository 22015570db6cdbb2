"""Pairs of exposures from a user's own RAW files: to train on, and to measure what RAW is good for.

The one thing to know: crops are cut from both RAW files at the same even place and turned into
pictures afterwards, so mosaic, pictures and RAW always agree.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from . import mosaic
from .isp import Camera
from .pairs import Pair, join
from .raw import read_raw


class RawFolder:
    """A user's own exposure-bracketed RAW files as pairs.

    Args:
        root: Folder with the files and `pairs.csv`, whose columns are `short`, `long` and, if
            wished, `ratio`; without it the ratio follows from exposure times and ISO.

    Raises:
        FileNotFoundError: No such folder, list, or file in it.
        ValueError: A row without a ratio, or two files of different size.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        path = self.root / "pairs.csv"
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} is missing; expected a list with the columns short,long,ratio"
            )
        with path.open(newline="") as file:
            self.rows = list(csv.DictReader(file))
        for number, row in enumerate(self.rows):
            for name in ("short", "long"):
                if not row.get(name):
                    raise ValueError(f'{path}, row {number + 1}: no "{name}"')
                if not (self.root / row[name]).is_file():
                    raise FileNotFoundError(f"{path}, row {number + 1}: no file {row[name]}")

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Pair:
        row = self.rows[index]
        short, long = read_raw(self.root / row["short"]), read_raw(self.root / row["long"])
        if short.packed.shape != long.packed.shape:
            raise ValueError(
                f"{row['short']} is {[*short.packed.shape]} and {row['long']} "
                f"{[*long.packed.shape]}; expected files of one camera"
            )
        ratio = float(row.get("ratio") or 0)
        if not ratio:
            if not short.light() or not long.light():
                raise ValueError(
                    f"{row['short']} or {row['long']} has no exposure time; "
                    "write the ratio into pairs.csv"
                )
            ratio = long.light() / short.light()
        camera = _one(long.camera)
        return Pair(
            short.packed,
            long.packed.clamp(0, 1),
            camera.render(short.packed),
            camera.render(long.packed),
            torch.tensor([ratio]),
            torch.tensor([math.nan]),
            camera,
        )


class RawSource:
    """Endless random crops of RAW pairs, a function of the step alone: `Source` for real files.

    Args:
        folder: The pairs.
        indices: Which of them; None takes all.
        patch: Edge of a crop in pixels, even.
        batch: Crops per step.
        seed: Of places and flips.
        device: Where crops go.
        held: Pairs of files that are kept in memory.

    Raises:
        ValueError: No pairs, or an odd patch.
    """

    def __init__(
        self,
        folder: RawFolder,
        indices: Sequence[int] | None = None,
        patch: int = 96,
        batch: int = 16,
        seed: int = 0,
        device: Any = "cpu",
        held: int = 16,
    ) -> None:
        self.indices = list(range(len(folder))) if indices is None else list(indices)
        if not self.indices or patch % 2:
            raise ValueError(
                f"{len(self.indices)} pairs, patch {patch}; expected some pairs and an even patch"
            )
        self.patch, self.batch, self.seed = patch, batch, seed
        self.device = torch.device(device)
        self._read = lru_cache(maxsize=held)(folder.__getitem__)

    def __call__(self, step: int) -> Pair:
        """The crops of one step."""
        return self.make(self.batch, self.seed * 7_368_787 + step)

    def parameters(self) -> dict[str, Any]:
        """What decides the crops, as plain values."""
        return {"raw_pairs": self.indices, "patch": self.patch, "batch": self.batch}

    def make(self, count: int, seed: int) -> Pair:
        """Some random crops; equal seeds give equal crops."""
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randint(len(self.indices), (count,), generator=generator).tolist()
        places = torch.rand(count, 2, generator=generator).tolist()
        flips = torch.randint(2, (count, 2), generator=generator).bool().tolist()
        crops = [
            crop(self._read(self.indices[n]), place, self.patch, flip)
            for n, place, flip in zip(chosen, places, flips, strict=True)
        ]
        return join(crops).to(self.device)


def crop(
    pair: Pair, place: Sequence[float], patch: int, flips: Sequence[bool] = (False, False)
) -> Pair:
    """A crop of one pair (B = 1), with its pictures developed anew.

    Args:
        pair: Of whole files.
        place: Where, as shares of the room that there is, down and across.
        patch: Edge in pixels, even.
        flips: Mirror upside down, and left to right; the mosaic keeps its phase.

    Raises:
        ValueError: The files are smaller than the patch.
    """
    short, long = (
        mosaic.pack(_cut(mosaic.unpack(x), place, patch, flips))
        for x in (pair.short_raw, pair.long_raw)
    )
    pictures = {"short": pair.camera.render(short), "long": pair.camera.render(long)}
    return replace(pair, short_raw=short, long_raw=long, **pictures)


def _cut(values: Tensor, place: Sequence[float], patch: int, flips: Sequence[bool]) -> Tensor:
    room = [size - patch - 2 for size in values.shape[-2:]]  # a flip takes two lines
    if min(room) < 0:
        raise ValueError(
            f"files are {values.shape[-2]} × {values.shape[-1]}; expected at least {patch + 2} "
            "in both directions, or take a smaller patch"
        )
    for dim, share, free, flipped in zip((-2, -1), place, room, flips, strict=True):
        begin = int(share * (free // 2 + 1)) * 2  # even, or colours would change places
        values = values.narrow(dim, min(begin, free // 2 * 2), patch + 2)
        values = mosaic.flip(values, dim) if flipped else values.narrow(dim, 0, patch)
    return values


def _one(camera: Camera) -> Camera:
    """A camera as a batch of one."""
    return camera.at(None)
