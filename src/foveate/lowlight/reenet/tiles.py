"""Large pictures in tiles, within bounded memory.

The one thing to know: tiles begin at multiples of 8 pixels, so that the mosaic and the networks'
pooling fall as they would without tiles, and each is computed with a margin that is then cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

UNIT = 8


def boxes(height: int, width: int, tile: int) -> Iterator[tuple[int, int, int, int]]:
    """(top, left, bottom, right) of tiles that cover a picture."""
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            yield top, left, min(top + tile, height), min(left + tile, width)


def tiled(
    work: Callable[[Tensor], Tensor],
    picture: Tensor,
    tile: int = 512,
    margin: int = 64,
    step: Callable[[], None] | None = None,
) -> Tensor:
    """Run `work` on tiles and join the results.

    Args:
        work: `[B, 3, h, w]` to the same shape; h and w are multiples of 8.
        picture: `[B, 3, H, W]`, any size.
        tile: Edge of a tile without its margin, a multiple of 8.
        margin: Pixels of context on each side, a multiple of 8.
        step: Called after each tile.

    Returns:
        `[B, 3, H, W]`.

    Raises:
        ValueError: tile or margin is no multiple of 8.
    """
    if tile % UNIT or margin % UNIT or tile <= 0 or margin < 0:
        raise ValueError(f"tile is {tile} and margin {margin}; expected multiples of {UNIT}")
    height, width = picture.shape[-2:]
    out = torch.empty_like(picture)
    for top, left, bottom, right in boxes(height, width, tile):
        y, x = max(0, top - margin), max(0, left - margin)
        part = picture[..., y : min(height, bottom + margin), x : min(width, right + margin)]
        pad = (0, -part.shape[-1] % UNIT, 0, -part.shape[-2] % UNIT)
        done = work(F.pad(part, pad, mode="replicate") if any(pad) else part)
        done = done[..., top - y : bottom - y, left - x : right - x]
        out[..., top:bottom, left:right] = done
        if step is not None:
            step()
    return out
