"""The seven factors, and the input that a set of them makes of an exposure pair.

From the short RAW only those steps of the camera are run whose factor is off. Then, on top of what
the file holds, the exposure is raised: by k where it is known (T), else by one fixed gain; in
linear light where the file is linear (L), else on code values.

Four controls keep the comparison fair. The response is no pure power law, since under one L would
say nothing beyond T. Every configuration ends in the same display encoding: the network predicts
a residual on the input as the mean camera would show it, and sees both encodings of it, so no
configuration has to learn the curve. Nothing is clipped before the network sees it, so that a
fixed gain that is too high loses nothing. And the network is told the gain that was applied:
without L the arithmetic of T (codes times k^(1/2.2)) is only nearly right, and must not hide what T
knows.

The one thing to know: W off does not leave the channels unbalanced, it applies a preset (the mean
camera's gains) instead of the scene's own; so the file with nothing on is a valid 8-bit sRGB file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import mosaic, response
from ..isp import Camera
from ..jpeg import compress
from ..pairs import Pair

FACTORS = {
    "L": "linearity",
    "T": "exposure time",
    "W": "white balance",
    "B": "bit depth",
    "M": "mosaic",
    "C": "camera colours",
    "J": "no compression",
}
"""Code → what RAW has and sRGB lacks."""

QUALITY = 95


@dataclass(frozen=True)
class Factors:
    """A set of factors that are on.

    Args:
        on: Codes, in any order.

    Raises:
        ValueError: An unknown code.
    """

    on: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "on", frozenset(self.on))
        unknown = sorted(self.on - FACTORS.keys())
        if unknown:
            raise ValueError(f"unknown factors {unknown}; factors are {', '.join(FACTORS)}")

    @classmethod
    def of(cls, codes: str | Iterable[str]) -> Factors:
        """From "LT", "all", "none" or a list of codes."""
        named = {"all": tuple(FACTORS), "none": ()}
        return cls(frozenset(named.get(codes, codes) if isinstance(codes, str) else codes))

    def __contains__(self, code: str) -> bool:
        return code in self.on

    def __str__(self) -> str:
        return "".join(code for code in FACTORS if code in self.on) or "none"

    @property
    def all(self) -> bool:
        """Is this the RAW file?"""
        return len(self.on) == len(FACTORS)


def preset(camera: Camera) -> Camera:
    """The same cameras with the white balance of the mean camera instead of the scene's."""
    return camera.with_wb(Camera.mean().wb.to(camera.wb))


def stored(pair: Pair, factors: Factors) -> Tensor:
    """What the file holds: packed RAW `[B, 4, h, w]` with M, else RGB `[B, 3, 2h, 2w]`.

    With all factors this is `pair.short_raw` itself, with none the 8-bit sRGB file of a camera that
    stands at its preset white balance.
    """
    camera = pair.camera if "W" in factors else preset(pair.camera)
    if not any(code not in factors for code in "LBMCJ"):
        return pair.short_raw  # a file without processing: gains are applied by the reader
    x = pair.short_raw * camera.plane_gains()
    if "M" not in factors:
        x = mosaic.demosaic(x)
    if "C" not in factors:
        x = _colours(x, camera.ccm)
    if "L" in factors and "B" in factors and "J" in factors:
        return x
    return _coded(x, camera, factors)


def _colours(x: Tensor, matrix: Tensor) -> Tensor:
    """The colour matrix; on a mosaic, by way of its filled-in picture."""
    if x.shape[1] == 3:
        return torch.einsum("...ij,...jhw->...ihw", matrix, x)
    return mosaic.sample(torch.einsum("...ij,...jhw->...ihw", matrix, mosaic.demosaic(x)))


def _coded(x: Tensor, camera: Camera, factors: Factors) -> Tensor:
    """Through the response, rounded and compressed where those are off, and back where L is on."""
    y = camera.encode(x)
    if "B" not in factors:
        y = response.quantise(y)
    if "J" not in factors:
        y = _compressed(y, "B" in factors)
    if "L" in factors:
        return camera.decode(y)
    return y


def _compressed(y: Tensor, deep: bool) -> Tensor:
    """JPEG; a mosaic plane by plane; with deep codes, only what JPEG loses is lost."""
    if y.shape[1] == 3:
        lossy = compress(y, QUALITY)
    else:
        planes = y.flatten(0, 1).unsqueeze(1).expand(-1, 3, -1, -1)
        lossy = compress(planes, QUALITY).mean(1).unflatten(0, y.shape[:2])
    return lossy + (y - response.quantise(y)) if deep else lossy


def build_input(
    pair: Pair, factors: Factors, gain: float, tell: bool = True
) -> tuple[Tensor, Tensor]:
    """What the network sees, and what its residual is added to.

    Args:
        pair: Exposure pairs.
        factors: Which are on.
        gain: The fixed gain where the ratio is not known: the geometric mean of training ratios.
        tell: Add a plane log₂(gain) / 8.

    Returns:
        Both encodings of the input and the plane `[B, C, h, w]`, C = 9 with M and 25 without, and
        the base `[B, 3, 2h, 2w]`, the input as the mean camera shows it.
    """
    x = stored(pair, factors)
    if x is pair.short_raw:
        camera = pair.camera if "W" in factors else preset(pair.camera)
        x = x * camera.plane_gains()
    k = pair.ratio if "T" in factors else torch.full_like(pair.ratio, gain)
    k = k.reshape(-1, 1, 1, 1)
    mean = Camera.mean().to(x.device)
    if "L" in factors:
        light = x * k
        code = mean.encode(light)
    else:
        code = x * k ** (1 / response.GAMMA)
        light, code = code.clamp_min(0) ** response.GAMMA, code.clamp(max=1)
    seen = torch.cat([response.tau(light), code], 1)
    light = light.clamp(max=1)
    if "M" in factors:
        light, code = mosaic.demosaic(light), mosaic.demosaic(code)
    else:
        seen = F.pixel_unshuffle(seen, 2)
    if tell:
        seen = torch.cat([seen, (k.log2() / 8).expand_as(seen[:, :1])], 1)
    return seen, _shown(light, code, factors, mean)


def untold_input(pair: Pair, factors: Factors, gain: float) -> tuple[Tensor, Tensor]:
    """The comparison without the last control: exposure time only as amplification."""
    return build_input(pair, factors, gain, tell=False)


def _shown(light: Tensor, code: Tensor, factors: Factors, mean: Camera) -> Tensor:
    """The display encoding: one and the same for every configuration."""
    if "C" not in factors:
        return mean.encode(light) if "L" in factors else code.clamp(0, 1)
    if "L" in factors:
        return mean.encode(mean.to_srgb(light))
    return (mean.to_srgb(light).clamp_min(1e-12) ** (1 / response.GAMMA)).clamp(0, 1)


def naive_input(pair: Pair, factors: Factors, gain: float) -> tuple[Tensor, Tensor]:
    """The comparison without controls: one encoding, and no picture to add a residual to."""
    seen, base = build_input(pair, factors, gain, tell=False)
    half = seen.shape[1] // 2
    if "M" in factors:
        kept = seen[:, :half] if "L" in factors else seen[:, half:]
    else:
        both = F.pixel_shuffle(seen, 2)
        kept = F.pixel_unshuffle(both[:, :3] if "L" in factors else both[:, 3:], 2)
    return kept, torch.zeros_like(base)
