"""The method `reenet`: the trained network after REENet, as people use it.

The one thing to know: the exposure ratio and the level of light are decided once, on a thumbnail,
so that all tiles of a picture and all frames of a scene are exposed alike. A camera's RAW file goes
past the first module: its light is known and need not be estimated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .reenet.model import REENet
from .reenet.tiles import tiled


@dataclass(frozen=True, eq=False)
class Exposure:
    """A decision of the network.

    Attributes:
        model: The network.
        ratio: Target over given exposure time.
        level: Mean light of the picture, as the network wants it.
    """

    model: REENet
    ratio: float
    level: Tensor

    margin = 64
    own_threads = True

    @property
    def ev(self) -> float:
        """The ratio in stops."""
        return float(np.log2(max(self.ratio, 1e-6)))

    def apply(self, tile: np.ndarray, box: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
        """As `Decision.apply`."""
        if self.ratio <= 1:
            return tile
        batch = torch.from_numpy(np.ascontiguousarray(tile)).permute(2, 0, 1)[None]
        ratio = torch.tensor([self.ratio])
        with torch.no_grad():
            out = tiled(lambda part: self.model.network(part, ratio, self.level), batch)
        return out[0].permute(1, 2, 0).numpy()

    def blended(self, newer: Exposure, share: float) -> Exposure:
        """As `Decision.blended`, the ratio in stops."""
        ev = (1 - share) * self.ev + share * newer.ev
        level = (1 - share) * self.level + share * newer.level
        return replace(newer, ratio=float(2**ev), level=level)


class Chooser:
    """Decides by the network.

    Args:
        strength: Power of the ratio: 0 changes nothing, 2 pushes twice as many stops.
        ev: Stops to push by; None chooses by the light that the network sees.
        weights: A file, or None for the weights that ship.

    Raises:
        FileNotFoundError: The weights are missing.
    """

    def __init__(self, strength: float, ev: float | None, weights: str | None) -> None:
        self.model, self.strength, self.ev = REENet.load(weights), strength, ev

    def __call__(self, thumbnail: np.ndarray) -> Exposure:
        small = torch.from_numpy(np.ascontiguousarray(thumbnail)).permute(2, 0, 1)[None]
        with torch.no_grad():
            ratio = float(self.model.ratio(small, ev=self.ev)) ** self.strength
            return Exposure(self.model, ratio, self.model.level(small))

    def raw(self, path: Path) -> tuple[np.ndarray, float]:
        """A camera's RAW file: uint16 `[H, W, 3]`, upright, and the stops it was pushed by."""
        from .raw import read_raw

        file = read_raw(path)
        ev: Any = None if self.ev is None else self.ev * self.strength
        with torch.no_grad():
            if ev is None:
                plain = file.camera.render(file.packed, bits=None)
                ev = float(self.model.ratio(plain).log2()) * self.strength
            out = self.model.enhance_raw(path, ev=ev)
        pixels = out.clamp(0, 1).mul(65535).round().permute(1, 2, 0).to(torch.int32).numpy()
        return pixels.astype(np.uint16), ev
