"""The control: one plain U-Net from sRGB to sRGB, of the same size, without RAW.

    Î_l = base + net([I_s, base, log k]);   base = I_s·k^(1/2.2), or the mean camera's rendering

It knows the ratio of exposures as REENet does, and sees the picture brightened by it, because a
network that had to learn the amplification would be a straw man. `base="camera"` is the stronger
control: it is handed the analytic inverse and forward camera that REENet starts from.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import response
from ..unet import UNet, parameters, widths_for

BASES = ("power", "camera")


class PlainUNet(nn.Module):
    """A U-Net of a given size.

    Args:
        size: Parameters it should at least have: those of the network that it is compared with.
        base: "power" or "camera", what the picture is brightened with.
        contrast: Tone curve of the mean camera, for "camera".

    Raises:
        ValueError: An unknown base.
    """

    CHANNELS, OUT = 28, 12

    def __init__(self, size: int, base: str = "power", contrast: float = 0.5) -> None:
        super().__init__()
        if base not in BASES:
            raise ValueError(f'unknown base "{base}"; bases are {", ".join(BASES)}')
        self.base, self.contrast = base, contrast
        self.widths = widths_for(size, self.CHANNELS, self.OUT)
        self.body = UNet(self.CHANNELS, self.OUT, self.widths)

    def brighten(self, srgb: Tensor, ratio: Tensor) -> Tensor:
        """The picture at k times the exposure, by arithmetic alone."""
        k = ratio.reshape(-1, 1, 1, 1)
        if self.base == "power":
            return (srgb * k ** (1 / response.GAMMA)).clamp(max=1)
        return response.encode(k * response.decode(srgb, self.contrast), self.contrast)

    def forward(self, srgb: Tensor, ratio: Tensor) -> Tensor:
        """Enhanced sRGB, `[B, 3, H, W]` in [0, 1] except while training."""
        base = self.brighten(srgb, ratio)
        planes = (
            (ratio.log2() / 8).reshape(-1, 1, 1, 1).expand(-1, 4, *(s // 2 for s in srgb.shape[2:]))
        )
        seen = torch.cat([F.pixel_unshuffle(torch.cat([srgb, base], 1), 2), planes], 1)
        out = base + F.pixel_shuffle(self.body(seen), 2)
        return out if self.training else out.clamp(0, 1)

    def size(self) -> int:
        """How many parameters it has."""
        return parameters(self)
