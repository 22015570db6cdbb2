"""The three modules: unprocess U, reconstruct E, process P.

    R̂_s = U(I_s);   Â = clip(k·R̂_s, −0.1, 1.2);   R̂_l = Â + E(Â, R̂_s, k);   Î_l = P(R̂_l)

RAW here is linear camera RGB in RGGB planes, *after the camera's gains*, so that neutral is neutral
and P has no white balance to guess; every RAW file tells its gains.

The one thing to know: each module is an analytic step of a mean camera plus a learned residual, so
an untrained network already is the analytic pipeline. U's residual is relative to the picture's
own light level, since RAW of a dark picture is around 0.001.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import mosaic, response
from ..isp import Camera
from ..response import tau
from ..unet import UNet

LOW, HIGH = -0.1, 1.2


@dataclass(frozen=True)
class Config:
    """Sizes, and the switches of the ablations.

    Args:
        unprocess: Widths of U's levels.
        reconstruct: Widths of E's levels.
        process: Widths of P's levels.
        contrast: Tone curve of the mean camera (`response`).
        amplify: Multiply by k between U and E; without, E is only told k.
    """

    unprocess: tuple[int, ...] = (16, 32, 64)
    reconstruct: tuple[int, ...] = (16, 32, 64)
    process: tuple[int, ...] = (16, 32, 64)
    contrast: float = 0.5
    amplify: bool = True

    def parameters(self) -> dict[str, Any]:
        """All choices as plain values."""
        return asdict(self)

    @classmethod
    def from_parameters(cls, values: dict[str, Any]) -> Config:
        """The configuration that gave `parameters`."""
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


class Unprocess(nn.Module):
    """U: sRGB to an estimate of its RAW, with a learned colour matrix and gains (12 numbers).

    Args:
        widths: Of the U-Net's levels.
        camera: Whose inverse it starts from.
    """

    def __init__(self, widths: tuple[int, ...], camera: Camera) -> None:
        super().__init__()
        self.contrast, self.base = float(camera.contrast), camera.base
        # the gains cancel in RAW after gains; they stay learnable
        self.matrix = nn.Parameter(torch.linalg.inv(camera.ccm))
        self.gains = nn.Parameter(torch.ones(3))
        self.body = UNet(36, 4, widths)

    def linearise(self, srgb: Tensor) -> Tensor:
        """Code values to light with the mean camera's curve, `[B, 3, H, W]` both."""
        return response.decode(srgb, self.contrast, self.base)

    def level(self, srgb: Tensor) -> Tensor:
        """Mean light of whole pictures, `[B, 1, 1, 1]`; what residuals are relative to."""
        return self.linearise(srgb).mean((1, 2, 3), keepdim=True) + 1e-4

    def forward(self, srgb: Tensor, level: Tensor | None = None) -> Tensor:
        """RAW `[B, 4, H/2, W/2]` of `[B, 3, H, W]`; `level` is the whole picture's for a tile."""
        linear = self.linearise(srgb)
        if level is None:
            level = self.level(srgb)
        colour = torch.einsum("ij,bjhw->bihw", self.matrix, linear) * self.gains[:, None, None]
        seen = torch.cat([srgb, tau(linear / level, 10.0), tau(linear, 1e4)], 1)
        residual = self.body(F.pixel_unshuffle(seen, 2))
        return mosaic.sample(colour) + level * residual


class Reconstruct(nn.Module):
    """E: removes noise and restores what was clipped or rounded away, as a residual."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.body = UNet(13, 4, widths)

    def forward(self, amplified: Tensor, raw: Tensor, ratio: Tensor) -> Tensor:
        """Residual `[B, 4, h, w]` of the amplified RAW; `ratio` is `[B]`."""
        plane = (ratio.log2() / 8).reshape(-1, 1, 1, 1).expand_as(raw[:, :1])
        return self.body(torch.cat([amplified, tau(amplified), tau(raw, 1e4), plane], 1))


class Process(nn.Module):
    """P: RAW at the target exposure to sRGB, a residual on the mean camera's rendering."""

    def __init__(self, widths: tuple[int, ...], camera: Camera) -> None:
        super().__init__()
        self.contrast, self.base = float(camera.contrast), camera.base
        self.register_buffer("matrix", camera.ccm.clone(), persistent=False)
        self.body = UNet(8, 12, widths)

    def render(self, raw: Tensor) -> Tensor:
        """The analytic rendering, `[B, 3, 2h, 2w]`."""
        rgb = torch.einsum("ij,bjhw->bihw", self.matrix, mosaic.demosaic(raw).clamp(max=1))
        return response.encode(rgb, self.contrast, self.base)

    def forward(self, raw: Tensor) -> Tensor:
        """sRGB `[B, 3, 2h, 2w]`, not clipped."""
        residual = F.pixel_shuffle(self.body(torch.cat([raw, tau(raw)], 1)), 2)
        return self.render(raw) + residual


class Guided(nn.Module):
    """U, E and P together.

    Args:
        config: Sizes and switches.
    """

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config = config or Config()
        camera = Camera.mean(contrast=self.config.contrast)
        self.unprocess = Unprocess(self.config.unprocess, camera)
        self.reconstruct = Reconstruct(self.config.reconstruct)
        self.process = Process(self.config.process, camera)

    def expose(self, raw: Tensor, ratio: Tensor) -> Tensor:
        """RAW at the target exposure, `[B, 4, h, w]`; `ratio` is k, `[B]`."""
        k = ratio.reshape(-1, 1, 1, 1)
        amplified = (k * raw if self.config.amplify else raw).clamp(LOW, HIGH)
        return amplified + self.reconstruct(amplified, raw, ratio)

    def forward(self, srgb: Tensor, ratio: Tensor, level: Tensor | None = None) -> Tensor:
        """Enhanced sRGB, `[B, 3, H, W]` in [0, 1] except while training.

        Args:
            srgb: `[B, 3, H, W]` in [0, 1], even sizes.
            ratio: k, `[B]`.
            level: See `Unprocess.level`.
        """
        out = self.process(self.expose(self.unprocess(srgb, level), ratio))
        return out if self.training else out.clamp(0, 1)
