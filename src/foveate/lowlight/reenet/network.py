"""The three modules: unprocess U, reconstruct E, process P.

    R̂_s = U(I_s);   Â = clip(k·R̂_s, −0.1, 1.2);   R̂_l = g·Â + E(Â, R̂_s, k);   Î_l = P(R̂_l, I_s, k)

The *bridge* is ours, and off by default (docs/reenet.md tells what is known of it). With it, E also
says how far it trusts the amplified RAW (g, 1 before training), since at k = 300 that is mostly
clipped noise. And P sees the dark picture, brightened by k^(1/2.2), and chooses for every pixel
between two analytic renderings to add its residual to, that of R̂_l and that of k·I_s, since a
mosaic holds a third of a picture's numbers. Without the bridge g = 1, and P sees R̂_l alone.

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
        bridge: Let E distrust the amplified RAW, and P see the dark picture.
    """

    unprocess: tuple[int, ...] = (16, 32, 64)
    reconstruct: tuple[int, ...] = (16, 32, 64)
    process: tuple[int, ...] = (16, 32, 64)
    contrast: float = 0.5
    amplify: bool = True
    bridge: bool = False

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

    def __init__(self, widths: tuple[int, ...], bridge: bool = True) -> None:
        super().__init__()
        self.body = UNet(13, 5 if bridge else 4, widths)

    def forward(self, amplified: Tensor, raw: Tensor, ratio: Tensor) -> Tensor:
        """RAW at the target exposure, `[B, 4, h, w]`; `ratio` is `[B]`."""
        plane = _plane(ratio, raw)
        found = self.body(torch.cat([amplified, tau(amplified), tau(raw, 1e4), plane], 1))
        trust = 2 * torch.sigmoid(found[:, 4:]) if found.shape[1] > 4 else 1.0
        return trust * amplified + found[:, :4]


class Process(nn.Module):
    """P: RAW at the target exposure to sRGB, a residual on the mean camera's rendering."""

    def __init__(self, widths: tuple[int, ...], camera: Camera, bridge: bool = True) -> None:
        super().__init__()
        self.contrast, self.base, self.bridge = float(camera.contrast), camera.base, bridge
        self.register_buffer("matrix", camera.ccm.clone(), persistent=False)
        self.body = UNet(21, 16, widths) if bridge else UNet(8, 12, widths)

    def render(self, raw: Tensor) -> Tensor:
        """The analytic rendering, `[B, 3, 2h, 2w]`."""
        rgb = torch.einsum("ij,bjhw->bihw", self.matrix, mosaic.demosaic(raw).clamp(max=1))
        return response.encode(rgb, self.contrast, self.base)

    def forward(self, raw: Tensor, dark: Tensor, ratio: Tensor) -> Tensor:
        """sRGB at the target exposure, not clipped.

        Args:
            raw: RAW at the target exposure, `[B, 4, h, w]`.
            dark: The picture as it was taken, `[B, 3, 2h, 2w]`.
            ratio: k, `[B]`.
        """
        seen = [raw, tau(raw)]
        if not self.bridge:
            return self.render(raw) + F.pixel_shuffle(self.body(torch.cat(seen, 1)), 2)
        k = ratio.reshape(-1, 1, 1, 1)
        bright = (dark * k ** (1 / response.GAMMA)).clamp(max=2)
        seen += [F.pixel_unshuffle(bright, 2), _plane(ratio, raw)]
        found = F.pixel_shuffle(self.body(torch.cat(seen, 1)), 2)
        share = torch.sigmoid(found[:, 3:])
        light = k * response.decode(dark, self.contrast, self.base)
        direct = response.encode(light, self.contrast, self.base)
        return share * self.render(raw) + (1 - share) * direct + found[:, :3]


def _plane(ratio: Tensor, like: Tensor) -> Tensor:
    return (ratio.log2() / 8).reshape(-1, 1, 1, 1).expand_as(like[:, :1])


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
        self.reconstruct = Reconstruct(self.config.reconstruct, self.config.bridge)
        self.process = Process(self.config.process, camera, self.config.bridge)

    def expose(self, raw: Tensor, ratio: Tensor) -> Tensor:
        """RAW at the target exposure, `[B, 4, h, w]`; `ratio` is k, `[B]`."""
        k = ratio.reshape(-1, 1, 1, 1)
        amplified = (k * raw if self.config.amplify else raw).clamp(LOW, HIGH)
        return self.reconstruct(amplified, raw, ratio)

    def from_raw(self, raw: Tensor, ratio: Tensor) -> Tensor:
        """Past U: RAW after gains `[B, 4, h, w]` to sRGB `[B, 3, 2h, 2w]`, not clipped."""
        return self.process(self.expose(raw, ratio), self.process.render(raw), ratio)

    def forward(self, srgb: Tensor, ratio: Tensor, level: Tensor | None = None) -> Tensor:
        """Enhanced sRGB, `[B, 3, H, W]` in [0, 1] except while training.

        Args:
            srgb: `[B, 3, H, W]` in [0, 1], even sizes.
            ratio: k, `[B]`.
            level: See `Unprocess.level`.
        """
        out = self.process(self.expose(self.unprocess(srgb, level), ratio), srgb, ratio)
        return out if self.training else out.clamp(0, 1)
