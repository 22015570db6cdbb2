"""The network after REENet as a method of `foveate enhance`.

The one thing to know: below the ratios it was trained for (3, or 1.6 stops) the result is mixed
with the picture itself, so that a push of 0 changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .reenet.model import REENet
from .reenet.tiles import UNIT

LEAST = math.log2(3)
"""The smallest push that the network was trained for, in stops."""


@dataclass(frozen=True)
class Exposed:
    """A decision: how many stops, and the light level of the whole picture."""

    ev: float
    level: float
    model: REENet = field(repr=False)
    denoises: bool = True
    margin: int = 64

    def apply(self, tile: np.ndarray, box: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
        """float32 `[h, w, 3]` in [0, 1]; best where tiles begin at multiples of 8."""
        share = min(1.0, self.ev / LEAST)
        if share <= 0:
            return tile
        height, width = tile.shape[:2]
        picture = _tensor(tile)
        pad = (0, -width % UNIT, 0, -height % UNIT)
        picture = F.pad(picture, pad, mode="replicate") if any(pad) else picture
        ratio = torch.tensor([2.0 ** max(self.ev, LEAST)])
        done = self.model.network(picture, ratio, torch.full((1, 1, 1, 1), self.level))
        done = done[0, :, :height, :width].permute(1, 2, 0).numpy()
        return tile + np.float32(share) * (done - tile)

    def blended(self, newer: Exposed, share: float) -> Exposed:
        """As `Decision.blended`."""
        stops = (1 - share) * self.ev + share * newer.ev
        light = (1 - share) * math.log(self.level) + share * math.log(newer.level)
        return Exposed(stops, math.exp(light), newer.model)


def reenet(
    strength: float, ev: float | None, weights: str | None
) -> Callable[[np.ndarray], Exposed]:
    """The method.

    Args:
        strength: Times the stops.
        ev: Stops; None chooses by brightness.
        weights: A file of weights; None takes those that ship.

    Raises:
        ValueError: The weights are missing or of another kind.
    """
    try:
        model = REENet.load(weights)
    except FileNotFoundError as error:
        raise ValueError(str(error)) from None

    def decide(thumbnail: np.ndarray) -> Exposed:
        picture = _tensor(thumbnail)
        stops = float(model.auto_ratio(picture).log2()) if ev is None else ev
        return Exposed(stops * strength, float(model.level(picture)), model)

    return decide


def _tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None]
