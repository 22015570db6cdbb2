"""The one network body of the room: a U-Net without normalisation layers.

Two 3 × 3 convolutions with LeakyReLU(0.2) per level, 2 × 2 max-pooling down, 2 × 2 transposed
convolution up, skips by concatenation: the network of Chen et al., "Learning to See in the Dark"
(CVPR 2018), at any widths. Nothing normalises, because that would hide the scale of the exposure.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class UNet(nn.Module):
    """`[B, channels, h, w]` to `[B, out, h, w]`, any size.

    Args:
        channels: Of the input.
        out: Of the output.
        widths: Channels of each level, the finest first.
        zero: Begin with an output of zeros, for a residual.
    """

    def __init__(self, channels: int, out: int, widths: Sequence[int], zero: bool = True) -> None:
        super().__init__()
        inputs = [channels, *widths[:-1]]
        self.down = nn.ModuleList(Block(a, b) for a, b in zip(inputs, widths, strict=True))
        pairs = list(itertools.pairwise(widths))[::-1]
        self.rise = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in pairs)
        self.up = nn.ModuleList(Block(2 * a, a) for a, _ in pairs)
        self.last = nn.Conv2d(widths[0], out, 1)
        if zero:
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Sizes that the levels do not divide are padded by mirroring their edge, and cropped."""
        height, width = x.shape[-2:]
        unit = 2 ** (len(self.down) - 1)
        pad = (0, -width % unit, 0, -height % unit)
        if any(pad):
            x = F.pad(x, pad, mode="replicate")
        kept = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else F.max_pool2d(x, 2))
            kept.append(x)
        for rise, block, skip in zip(self.rise, self.up, kept[-2::-1], strict=True):
            x = block(torch.cat([rise(x), skip], 1))
        return self.last(x)[..., :height, :width]


class Block(nn.Module):
    """Two convolutions, each followed by LeakyReLU(0.2)."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, out, 3, padding=1)
        self.second = nn.Conv2d(out, out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.first(x), 0.2, inplace=True)
        return F.leaky_relu(self.second(x), 0.2, inplace=True)


def parameters(model: nn.Module) -> int:
    """How many numbers a model holds."""
    return sum(p.numel() for p in model.parameters())


def widths_for(target: int, channels: int, out: int, levels: int = 3) -> tuple[int, ...]:
    """Doubling widths whose U-Net has at least `target` parameters, and hardly more."""
    first = 4
    while True:
        widths = tuple(first * 2**level for level in range(levels))
        with torch.device("meta"):
            if parameters(UNet(channels, out, widths)) >= target:
                return widths
        first += 1
