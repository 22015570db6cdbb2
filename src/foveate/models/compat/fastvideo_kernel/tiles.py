"""What the functions on tiled tokens share: checks of sizes, and the fine stage itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from foveate import BlockLayout, attention
from foveate.attn import check


def attend(
    q: Tensor, k: Tensor, v: Tensor, layout: BlockLayout, sizes: Tensor
) -> tuple[Tensor, Tensor]:
    """Fine stage, without the padding of keys."""
    volume = layout.block[1]
    filled = (torch.arange(volume, device=q.device) < sizes.unsqueeze(1)).view(1, 1, 1, -1)
    return attention(q, k, v, select=layout, precision="native", mask=filled, return_lse=True)


def volume_of(block_size: int | Sequence[int]) -> int:
    """Tokens of a cube."""
    if isinstance(block_size, int) and not isinstance(block_size, bool):
        return block_size if block_size in (64, 128, 256) else block_size**3
    if len(block_size) != 3:
        raise ValueError(f"block_size is {block_size!r}; expected a volume, or (t, h, w)")
    return int(block_size[0]) * int(block_size[1]) * int(block_size[2])


def sizes_of(name: str, sizes: Tensor, what: str, x: Tensor, volume: int) -> Tensor:
    """The sizes, once they fit the tensor they speak of."""
    check.check_tensors(**{name: sizes})
    if x.shape[2] % volume:
        raise ValueError(
            f"{what} has {x.shape[2]} slots; expected a multiple of the tile volume {volume}"
        )
    if list(sizes.shape) != [x.shape[2] // volume]:
        raise ValueError(
            f"{name} has shape {list(sizes.shape)}; expected [{x.shape[2] // volume}], one for "
            f"each tile of {what}"
        )
    return sizes.to(x.device)


def blocks_of(q: Tensor, k: Tensor, rows: int, columns: int) -> tuple[int, int]:
    """Queries and keys of a block, from the number of blocks."""
    for what, x, number in (("q", q, rows), ("k", k, columns)):
        if number < 1 or x.shape[2] % number:
            raise ValueError(
                f"{what} has {x.shape[2]} slots, which {number} blocks do not divide; expected "
                "blocks of one size"
            )
    return q.shape[2] // rows, k.shape[2] // columns
