"""What a backend is: encode, then attend. Selections and precisions never import one.

The one thing to know: a backend reads a `Recipe` and a `BlockLayout`, never the names of systems,
so any selection works with any precision. A backend that cannot run a request says why in one line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ..layouts.blocks import Band, BlockLayout
from ..layouts.budget import Budget
from ..precision.recipe import Recipe


@dataclass(frozen=True)
class Request:
    """The static facts of one call: no tensor data, so it can be cached and printed."""

    recipe: Recipe
    batch: int
    q_heads: int
    kv_heads: int
    q_length: int
    k_length: int
    head_dim: int
    v_dim: int
    dtype: torch.dtype
    device: torch.device
    scale: float
    band: Band | None  # causal and window rule of the whole call
    mask: str | None  # None, "bool" or "additive"
    block: tuple[int, int] | None = (
        None  # queries and keys per block of the layout, if there is one
    )
    layout_band: Band | None = None  # the layout's own band; holds together with `band`
    # The second filter: P·V of a tile is left out for a group of rows when every probability in it
    # is at most 2^−skip of the largest so far (one value, or one for each query head).
    skip: float | tuple[float, ...] | None = None
    skip_rows: int = 8  # rows of such a group; groups begin at multiples of it


class Backend(Protocol):
    name: str

    def refuses(self, request: Request) -> str | None:
        """None if this backend can run the request, else the reason, e.g. "needs AVX2"."""

    def encode(self, q: Tensor, k: Tensor, v: Tensor, request: Request) -> Any:
        """Write q `[B, Hq, Lq, D]`, k `[B, Hk, Lk, D]`, v `[B, Hk, Lk, Dv]` as the recipe says."""

    def attend(
        self,
        operands: Any,
        request: Request,
        layout: BlockLayout | None,
        mask: Tensor | None,
        *,
        into: tuple[Tensor, Tensor] | None = None,
        tally: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Online softmax over the visited blocks.

        `layout` None visits everything that `request.band` allows; the layout's own band holds as
        well. Returns out `[B, Hq, Lq, Dv]` in q's dtype and lse float32 `[B, Hq, Lq]`.

        Args:
            operands: What `encode` returned.
            request: The static facts.
            layout: Visited blocks.
            mask: Bool or additive.
            into: out and lse of other keys for the same queries; the result is that of both sets
                of keys together, and is written there.
            tally: int64 `[B, Hq, 2]`; the second filter adds the pairs of (row, key) it looked at,
                and those of them that it left out.
        """

    def backward(
        self,
        dout: Tensor,
        dlse: Tensor | None,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        out: Tensor,
        lse: Tensor,
        request: Request,
        layout: BlockLayout | None,
        mask: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of q, k and v of an exact call, in their dtypes and contiguous.

        Deterministic. Arguments as in `attend`; `out` and `lse` are its results, `dout` and `dlse`
        (None for zeros) their gradients.
        """

    def block_means(
        self, x: Tensor, rows: int, mean: Tensor | None = None, likeness: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Mean of each block of rows, and how alike its rows are.

        Args:
            x: `[B, H, L, D]`.
            rows: Rows per block; the last block may be shorter, its mean is over what it has.
            mean: Subtracted from every row first, `[B, H, 1, D]`.
            likeness: Also return likeness(X) = |1/n · Σ xₐ/|xₐ||², the mean cosine of all pairs
                (rows of zeros count as 0).

        Returns:
            Means `[B, H, n, D]` and likeness `[B, H, n]` or None; float32 (float64 for float64).
        """

    def antidiagonal(
        self, q: Tensor, k: Tensor, *, factor: float, stride: int, block: int, causal: bool
    ) -> Tensor:
        """Softmax mass of each pair of blocks, estimated from strided antidiagonals.

        Z(u, w) = factor · mean over t of ⟨q[u·S + S−1−t], k[w·S + t]⟩ over the pairs that exist;
        token i of q stands at position i + Lk − Lq, and groups u, w of S positions begin at
        multiples of S. P = softmax over w (causal: w ≤ u). A(I, J) sums P over the groups u with
        a token in the I-th block of queries and the groups w of the J-th block of keys.

        Returns:
            A `[B, Hq, ceil(Lq / block), ceil(Lk / block)]`; float32 (float64 for float64).
        """

    def choose(
        self, scores: Tensor, budget: Budget, allowed: Tensor, kept: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Blocks to visit for given scores; see `layouts.budget.choose`, which defines it.

        Returns:
            counts int32 `[B, Hq, nQ]` and indices int32 `[B, Hq, nQ, nK]` of a BlockLayout.
        """
