"""XAttention: visit the key blocks whose antidiagonals carry most of the attention.

Cut Q·Kᵀ into cells of S × S (S: `stride`). Any vertical line and any diagonal that crosses a cell
meets its antidiagonal once, so the antidiagonal alone tells whether something is in the cell:

    Z(u, w) = temperature · mean over t of scale · ⟨q[u·S + S−1−t], k[w·S + t]⟩
    P = softmax over w of Z        A(I, J) = Σ P over the cells of the block (I, J)

Each row of blocks visits the fewest blocks whose share of A reaches `threshold`. Under causal
attention the first block and those on the diagonal come first, and their mass counts.

Cells lie at absolute positions, so a token's cell does not depend on how a prompt is cut into
chunks, and ragged ends are averaged over what they have. A call with a mask is served dense, since
hidden tokens would take mass; `attention_varlen` leaves padding out. Knobs: `threshold` (quality),
`stride` (the estimate costs 1/S of Q·Kᵀ), `temperature`.
Paper: XAttention (arXiv 2503.16428), sections 2.1 and 2.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor

from ..layouts.blocks import BlockLayout
from ..layouts.budget import Budget
from ..layouts.convert import lists, to_dense
from ..layouts.rules import block_regions
from . import fields
from .base import Selection, less_share, more_bits, more_mass

if TYPE_CHECKING:
    from ..backends.base import Backend, Request


@dataclass(frozen=True)
class XAttention(Selection):
    """XAttention.

    Args:
        threshold: Share of the estimated mass to collect, in (0, 1], or one for each query head.
            0.9 is what the authors advise for any model, and what it is if nothing is given.
        stride: Tokens along a side of a cell; divides `block`. 4 to 64; 8 or 16 are good.
        block: Queries and keys per block.
        temperature: "code" averages the logits of an antidiagonal (as released; the published
            thresholds belong to it), "paper" is √S times sharper, a float is that many times.
        sink: Always visit the first block of keys; under causal attention it is visited anyway.
        recent: Always visit the diagonal; under causal attention it is visited anyway.
        group: Query heads that share a key head visit the same blocks: by the "mean" or the "max"
            of their scores (and the largest of their thresholds or the smallest of their shares),
            or all that any of them chooses, "union". None lets each choose for itself.
        last_dense: So many of the last queries visit everything.
        share: Visit every block whose own share of the estimated mass is at least this, in (0, 1],
            or one for each query head, instead of collecting `threshold`: at equal density it
            loses less.
        skip: Second filter, see `Selection`.
        correct: Mean correction, see `Selection`.

    Raises:
        TypeError, ValueError: A field is not of its kind or out of range.
    """

    threshold: float | tuple[float, ...] | None = None
    stride: int = 16
    block: int = 128
    temperature: Literal["code", "paper"] | float = "code"
    sink: bool = False
    recent: bool = False
    group: Literal["mean", "union", "max"] | None = None
    last_dense: int = 0
    share: float | tuple[float, ...] | None = None

    name: ClassVar[str] = "xattention"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.share is None and self.threshold is None:
            object.__setattr__(self, "threshold", 0.9)
        if self.share is not None and self.threshold is not None:
            raise ValueError(
                f"XAttention has share = {self.share!r} beside threshold = {self.threshold!r}; "
                "expected one of them"
            )
        fields.shares(self, "threshold" if self.share is None else "share")
        fields.whole(self, "block", 1)
        fields.whole(self, "stride", 1)
        if self.block % self.stride:
            raise ValueError(
                f"XAttention.stride is {self.stride}, which does not divide a block of "
                f"{self.block}; expected block % stride == 0, e.g. {math.gcd(self.block, 16)}"
            )
        if self.temperature not in ("code", "paper"):
            fields.numbers(self, "temperature")
            if isinstance(self.temperature, tuple) or self.temperature <= 0:
                raise ValueError(
                    f'XAttention.temperature is {self.temperature!r}; expected "code", "paper" or '
                    "a number above 0"
                )
        fields.flags(self, "sink", "recent")
        fields.one_of(self, "group", (None, "mean", "union", "max"))
        fields.whole(self, "last_dense", 0)

    def __repr__(self) -> str:
        return fields.brief(self)

    def factor(self, scale: float) -> float:
        """What the mean of an antidiagonal is multiplied by before the softmax."""
        if self.temperature == "code":
            return scale
        return scale * (math.sqrt(self.stride) if self.temperature == "paper" else self.temperature)

    def outline(self, causal: bool) -> tuple[tuple[int, int], None]:
        return (self.block, self.block), None

    def fallback(self, request: Request) -> str | None:
        fields.for_heads(self, request, "threshold", "share")
        lq, lk = request.q_length, request.k_length
        if request.mask is not None:
            return fields.HIDES
        if lq < self.block:
            return f"{lq} queries do not fill one block of {self.block}"
        if lk <= 2 * self.block:
            return (
                f"{lk} keys make {-(-lk // self.block)} blocks of {self.block}, "
                "too few to choose from"
            )
        if self.share is None and min(fields.each(self.threshold)) >= 1:
            return "threshold = 1 leaves nothing out"
        return None

    def more(self) -> XAttention:
        skip = more_bits(self.skip)
        if self.share is not None:
            return replace(self, share=less_share(self.share), skip=skip)
        return replace(self, threshold=more_mass(self.threshold), skip=skip)

    def scores(self, q: Tensor, k: Tensor, request: Request, kernels: Backend) -> Tensor:
        """A, what `layout` chooses by: `[B, Hq, nQ, nK]`; a full row sums to block / stride."""
        return kernels.antidiagonal(
            q,
            k,
            factor=self.factor(request.scale),
            stride=self.stride,
            block=self.block,
            causal=request.band is not None and request.band.after is not None,
        )

    def layout(self, q: Tensor, k: Tensor, request: Request, kernels: Backend) -> BlockLayout:
        return self.spend(self.scores(q, k, request, kernels), request, kernels)

    def spend(self, scores: Tensor, request: Request, kernels: Backend) -> BlockLayout:
        """The layout that follows from `scores`."""
        lengths, block = (request.q_length, request.k_length), (self.block, self.block)
        allowed, kept = self._regions(request)
        shared = request.q_heads // request.kv_heads
        mass, share = self.threshold, self.share
        if self.group in ("mean", "max"):
            scores = scores.unflatten(1, (-1, shared))
            scores = scores.mean(2) if self.group == "mean" else scores.amax(2)
            mass, share = _of_groups(mass, shared, max), _of_groups(share, shared, min)
        budget = Budget(mass, share=share, kept_first=True)
        counts, indices = kernels.choose(scores, budget, allowed, kept)
        if self.group == "union" and shared > 1:
            visits = to_dense(BlockLayout(counts, indices, block, lengths))
            counts, indices = lists(visits.unflatten(1, (-1, shared)).any(2))
        if self.group is not None and shared > 1:
            counts, indices = (x.repeat_interleave(shared, 1) for x in (counts, indices))
        return BlockLayout(counts, indices, block, lengths, skip=self.skip)

    def _regions(self, request: Request) -> tuple[Tensor, Tensor]:
        """Where a row may choose and what it always visits, bool `[1, nQ, nK]`."""
        lq, lk = lengths = (request.q_length, request.k_length)
        block = (self.block, self.block)
        allowed, kept = block_regions(request.band, lengths, block, request.device)
        if not (self.sink or self.recent or self.last_dense):
            return allowed, kept
        kept = kept.clone()
        left = torch.arange(0, lk, self.block, device=request.device)
        top = torch.arange(0, lq, self.block, device=request.device).unsqueeze(-1)
        if self.sink:
            kept[..., 0] = True
        if self.recent:
            here = top + (lk - lq)
            kept |= (left < here + self.block) & (left + self.block > here)
        if self.last_dense:  # rows that hold one of the last queries
            kept |= (top + self.block).clamp(max=lq) > lq - self.last_dense
        return allowed, kept & allowed


def _of_groups(values: Any, size: int, pick: Callable[..., float]) -> Any:
    """One value for each group of heads, where there is one for each head."""
    if not isinstance(values, tuple):
        return values
    return tuple(pick(values[i : i + size]) for i in range(0, len(values), size))
