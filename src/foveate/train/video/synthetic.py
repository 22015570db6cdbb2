"""A film without a film: coloured shapes that move over gradients, made from a seed.

The one thing to know: it is for tests and first trials, where no film is at hand. Motion is
linear with reflection at the borders, so frames that are not there can be predicted.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..recipe import generator
from .film import Film

SHOT = 48
"""Frames of a shot."""


def moving_shapes(frames: int = 960, size: int = 64, seed: int = 0) -> Film:
    """A film of shots of 48 frames, each with its own background and two or three shapes.

    Args:
        frames: Length.
        size: Side of the square frames.
        seed: Another number, another film.

    Raises:
        ValueError: A number is too small.
    """
    for name, value, least in (("frames", frames, 1), ("size", size, 8)):
        if value < least:
            raise ValueError(f"{name} is {value}; expected at least {least}")
    shots = [
        _shot(min(SHOT, frames - first), size, generator(seed, first))
        for first in range(0, frames, SHOT)
    ]
    return Film(torch.cat(shots), list(range(SHOT, frames, SHOT)), "moving shapes")


def _shot(frames: int, size: int, draw: torch.Generator) -> Tensor:
    """One shot, uint8 `[frames, size, size, 3]`."""

    def random(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=draw)

    axis = (torch.arange(size) + 0.5) / size
    y, x = axis[:, None], axis[None, :]
    corners = random(2, 2, 3)
    ground = (
        corners[0, 0] * ((1 - y) * (1 - x))[..., None]
        + corners[0, 1] * ((1 - y) * x)[..., None]
        + corners[1, 0] * (y * (1 - x))[..., None]
        + corners[1, 1] * (y * x)[..., None]
    )
    clip = ground.expand(frames, -1, -1, -1).clone()
    time = torch.arange(frames)
    for _ in range(int(torch.randint(2, 4, (), generator=draw))):
        start, speed = random(2), (random(2) - 0.5) * 0.06
        path = (start + time[:, None] * speed) % 2
        centre = torch.where(path > 1, 2 - path, path)  # there and back between the borders
        radius = 0.08 + 0.14 * float(random(()))
        dy = (y[None] - centre[:, 0, None, None]).abs()
        dx = (x[None] - centre[:, 1, None, None]).abs()
        distance = torch.hypot(dy, dx) if random(()) < 0.5 else torch.maximum(dy, dx)
        inside = ((radius - distance) * size + 0.5).clamp(0, 1)[..., None]  # soft edge of a pixel
        clip = clip * (1 - inside) + random(3) * inside
    return (clip * 255).round().to(torch.uint8)
