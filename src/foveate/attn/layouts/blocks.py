"""BlockLayout: which blocks of keys each block of queries visits.

The same idea as FlexAttention's BlockMask and FlashAttention's count and index pairs: a count and an
ascending list of key blocks for each block of queries. Edges inside a block are described by a `Band`,
a rule on single (query, key) pairs that every kernel knows how to apply.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Band:
    """Which keys a query sees, by distance. Query i stands at position i' = i + Lk − Lq.

    Key j is visible when −after ≤ i' − j ≤ before, or when j < sink and i' − j ≥ −after.
    None means unlimited. A tuple gives one value per query head. Causal attention is Band(after=0).
    """

    before: int | tuple[int, ...] | None = None
    after: int | None = None
    sink: int | tuple[int, ...] = 0


@dataclass(frozen=True, eq=False)
class BlockLayout:
    """Visited key blocks.

    Args:
        counts: Number of visited key blocks, int32 `[B or 1, Hq or 1, nQ]`.
        indices: Their numbers, ascending, int32 `[B or 1, Hq or 1, nQ, nK]`; entries from `counts` on
            are ignored but must be in range.
        block: Queries and keys per block, `(bq, bk)`.
        lengths: `(Lq, Lk)`; nQ = ceil(Lq / bq), nK = ceil(Lk / bk).
        band: A rule for single pairs, applied inside visited blocks; None applies none.
    """

    counts: Tensor
    indices: Tensor
    block: tuple[int, int]
    lengths: tuple[int, int]
    band: Band | None = None
