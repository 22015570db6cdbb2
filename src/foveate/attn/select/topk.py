"""TopK: visit the k key blocks whose mean key looks most like the mean query of the block.

score(i, j) = ⟨mean of query block i, mean of key block j⟩ for each batch and query head; the k
largest of each row are visited. With causal attention the first block and those on the diagonal are
always among them.

Knob: `k`, an int (blocks) or a fraction of the blocks a row may see. Cheap (one product of pooled
tensors) and
coarse: it serves as a building block and a baseline, since a mean hides single strong keys.
Source: the pooled block scores common to MInference (Jiang et al., 2024) and MoBA (Lu et al.,
2025).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from ..layouts.blocks import BlockLayout
from ..layouts.rules import block_regions, by_count, pool_blocks
from .base import Selection, check_block, more_bits, more_blocks

if TYPE_CHECKING:
    from ..backends.base import Backend, Request


@dataclass(frozen=True)
class TopK(Selection):
    """Visit the best k key blocks of each query block.

    Args:
        k: Blocks per row (int ≥ 1), or a fraction (float, 0 < k ≤ 1) of the blocks that the row may
            see.
        block: Queries and keys per block.

    Raises:
        ValueError: k or block is out of range.
    """

    k: int | float
    block: tuple[int, int] = (128, 128)
    name: ClassVar[str] = "topk"

    def __post_init__(self) -> None:
        super().__post_init__()
        k = self.k
        ok = (isinstance(k, int) and not isinstance(k, bool) and k >= 1) or (
            isinstance(k, float) and 0 < k <= 1
        )
        if not ok:
            raise ValueError(
                f"TopK.k is {k!r}; expected an int of at least 1 (blocks) or a float in (0, 1] "
                "(share)"
            )
        object.__setattr__(self, "block", check_block(self.block))

    def fallback(self, request: Request) -> str | None:
        blocks = -(-request.k_length // self.block[1])
        if blocks <= (self.k if isinstance(self.k, int) else 1):
            return (
                f"{request.k_length} keys make {blocks} block{'s' * (blocks != 1)} of "
                f"{self.block[1]}, "
                "none of which could be left out"
            )
        return "k = 1.0 leaves nothing out" if self.k == 1.0 and isinstance(self.k, float) else None

    def more(self) -> TopK:
        return replace(self, k=more_blocks(self.k), skip=more_bits(self.skip))

    def layout(
        self, q: Tensor, k: Tensor, request: Request, kernels: Backend
    ) -> BlockLayout | None:
        lengths = (request.q_length, request.k_length)
        queries, keys = pool_blocks(q, self.block[0]), pool_blocks(k, self.block[1])
        groups = request.q_heads // request.kv_heads
        scores = queries.unflatten(1, (-1, groups)) @ keys.unsqueeze(2).transpose(
            -1, -2
        )  # [B, Hk, G, nQ, nK]
        allowed, kept = block_regions(request.band, lengths, self.block, q.device)
        visits = by_count(scores.flatten(1, 2), self.k, allowed, kept)
        return BlockLayout.from_dense(visits, self.block, lengths)
