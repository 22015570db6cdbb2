"""Sparge: visit the key blocks that carry most of the attention between block means.

Queries and keys that stand side by side are mostly alike, so the mean of a block can speak for it:

    k ← k − mean(k);  q̄ᵢ, k̄ⱼ: mean of each block;  P̂ᵢ = softmax over j of scale · ⟨q̄ᵢ, k̄ⱼ⟩

and each row visits the fewest blocks whose share of P̂ reaches `threshold`.

A mean speaks badly for a block whose rows differ. The judge measures s(X) = |1/n Σ xₐ/|xₐ||², the
mean cosine within the block; a block with s ≤ `similarity` is never skipped, and its mean attracts
nobody's share. 0 ≤ s ≤ 1 always, and about 1/n for unrelated rows, so every `similarity` below 0
means the same: judge off. Under causal attention the first block and those on the diagonal are
always visited, so each query sees itself.

Knobs: `threshold` (mass; the quality knob), or `keep` (a number or share of blocks: a fixed cost);
`similarity`; `rule`; `order` for video and images; `skip`, the second filter, inside the kernel.
The map costs one product of pooled tensors, 1/(bq · bk) of Q·Kᵀ. A call with a mask is served
dense, since hidden tokens would have a part in the map; `attention_varlen` leaves padding out.
Paper: SpargeAttn (arXiv 2502.18137), sections 3.2 to 3.4 and 3.7.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor

from ..layouts.blocks import BlockLayout
from ..layouts.budget import Budget, check_count
from ..layouts.orders import Order
from ..layouts.rules import block_regions
from . import fields
from .base import Selection, check_block, less_share, more_bits, more_blocks, more_mass

if TYPE_CHECKING:
    from ..backends.base import Backend, Request

THRESHOLD, AT_LEAST = 0.95, 4
"""What `Sparge()` stands for. Chosen on the queries and keys of a language model (SmolLM2-135M,
4096 tokens of a novel, causal, layers 2 to 28), by relative L1 at equal density: the inclusive rule
is ahead of the exclusive one (0.100 to 0.108 at density 0.36); the judge only costs (0.127 with
similarity 0.3, 0.112 without, at 0.34); at least four blocks, for rows where P̂ is too sure of
itself, are ahead of none (0.072 to 0.080 at 0.37). `Sparge()` visits 0.42 of the visible blocks
there, at a relative L1 of 0.056."""


@dataclass(frozen=True)
class Sparge(Selection):
    """SpargeAttn's first filter; `skip` adds the second.

    Args:
        threshold: Share of the mass between block means to collect, in (0, 1], or one for each
            query head. `Sparge()` stands for threshold 0.95, at_least 4.
        keep: Visit so many best blocks instead: an int, or a share (float in (0, 1], rounded down)
            of `count_of`, or one for each query head. For mass *and* at least k blocks, use
            threshold with `at_least`.
        share: Visit every block whose own share of the mass between block means is at least this,
            in (0, 1], or one for each query head, instead of collecting `threshold`: at equal
            density it loses less.
        similarity: Blocks whose mean cosine is at most this are always visited; None or below 0
            turns the judge off. One number, or one for each query head.
        rule: "inclusive" visits the block that crosses the threshold; "exclusive", as released,
            stops before it.
        at_least: Visit at least so many best blocks, beside threshold: a little better at equal
            density, and what `Sparge()` does with 4.
        count_of: What a share in `keep` counts: "all" blocks of the keys (as released), or those
            that are "visible" to the row.
        sink: Always visit the first block of keys; under causal attention it is visited anyway.
        keep_tail: Always visit the last block of queries and of keys if it is not full, as the
            released code does by accident.
        protect: Ranges of tokens (start, stop) whose blocks are always visited, as queries and as
            keys: text among image tokens, say.
        smooth_k: Subtract the mean key first. It changes nothing but what the judge sees.
        block: Queries and keys per block.
        order: Order in which the tokens of a video or an image are cut into blocks, `Hilbert(grid)`
            or `Tiles(grid, cube)`; not under causal attention, nor with a mask.
        skip: Second filter, see `Selection`.
        correct: Mean correction, see `Selection`.

    Raises:
        TypeError, ValueError: A field is not of its kind or out of range.
    """

    threshold: float | tuple[float, ...] | None = None
    keep: int | float | tuple[int | float, ...] | None = None
    similarity: float | tuple[float, ...] | None = None
    rule: Literal["inclusive", "exclusive"] = "inclusive"
    at_least: int = 0
    count_of: Literal["all", "visible"] = "all"
    sink: bool = False
    keep_tail: bool = False
    protect: tuple[tuple[int, int], ...] = ()
    smooth_k: bool = True
    block: tuple[int, int] = (128, 64)
    order: Order | None = None
    share: float | tuple[float, ...] | None = None

    name: ClassVar[str] = "sparge"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.share is not None:
            fields.shares(self, "share")
            if self.threshold is not None or self.keep is not None:
                raise ValueError(
                    f"Sparge has share = {self.share!r} beside a threshold or keep; expected one "
                    "of them"
                )
        elif self.keep is not None:
            if isinstance(self.keep, list):
                object.__setattr__(self, "keep", tuple(self.keep))
            for one in fields.each(self.keep):
                check_count("Sparge.keep", one)
            if self.threshold is not None or self.at_least:
                raise ValueError(
                    f"Sparge has keep = {self.keep!r} beside a threshold or at_least; expected one "
                    "way of counting (threshold with at_least is both mass and a number)"
                )
        else:
            if self.threshold is None:
                object.__setattr__(self, "threshold", THRESHOLD)
                object.__setattr__(self, "at_least", self.at_least or AT_LEAST)
            fields.shares(self, "threshold")
        if self.similarity is not None:
            fields.numbers(self, "similarity")
        fields.one_of(self, "rule", ("inclusive", "exclusive"))
        fields.whole(self, "at_least", 0)
        fields.one_of(self, "count_of", ("all", "visible"))
        fields.flags(self, "sink", "keep_tail", "smooth_k")
        fields.ranges(self, "protect")
        object.__setattr__(self, "block", check_block(self.block))
        if self.order is not None and not isinstance(self.order, Order):
            raise TypeError(
                f"Sparge.order is {self.order!r}; expected Hilbert(grid), Tiles(grid, cube) or None"
            )

    def __repr__(self) -> str:
        return fields.brief(self)

    @property
    def budget(self) -> Budget:
        """How much of a row is visited."""
        return Budget(
            mass=self.threshold,
            count=self.keep,
            inclusive=self.rule == "inclusive",
            at_least=self.at_least,
            count_of=self.count_of,
            share=self.share,
        )

    @property
    def judges(self) -> bool:
        """Whether any head looks at similarity."""
        return any(one >= 0 for one in fields.each(self.similarity))

    def fallback(self, request: Request) -> str | None:
        fields.for_heads(self, request, "threshold", "keep", "share", "similarity")
        if self.order is not None and (why := self._misfit(request)) is not None:
            return why
        (bq, bk), lq, lk = self.block, request.q_length, request.k_length
        if request.mask is not None:
            return fields.HIDES
        if lq < bq:
            return f"{lq} queries do not fill one block of {bq}"
        if lk <= 2 * bk:
            return f"{lk} keys make {-(-lk // bk)} blocks of {bk}, too few to choose from"
        knob = "keep" if self.threshold is None else "threshold"
        if self.share is None and all(
            isinstance(x, float) and x >= 1 for x in fields.each(getattr(self, knob))
        ):
            return f"{knob} = 1.0 leaves nothing out"
        return None

    def more(self) -> Sparge:
        skip = more_bits(self.skip)
        if self.share is not None:
            return replace(self, share=less_share(self.share), skip=skip)
        if self.keep is not None:
            return replace(self, keep=more_blocks(self.keep), skip=skip)
        return replace(self, threshold=more_mass(self.threshold), skip=skip)

    def arrange(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if self.order is None:
            return q, k, v
        there = self.order.permutation(q.shape[2], q.device)
        return tuple(x.index_select(2, there) for x in (q, k, v))

    def restore(self, out: Tensor, lse: Tensor) -> tuple[Tensor, Tensor]:
        if self.order is None:
            return out, lse
        back = self.order.inverse(out.shape[2], out.device)
        return out.index_select(2, back), lse.index_select(2, back)

    def layout(self, q: Tensor, k: Tensor, request: Request, kernels: Backend) -> BlockLayout:
        lengths = (request.q_length, request.k_length)
        means, alike = self._means(q, k, kernels)
        allowed, kept = self._regions(request, alike)
        scores = _map(*means, request.scale, allowed, alike[1] if alike else None)
        counts, indices = kernels.choose(scores, self.budget, allowed, kept)
        return BlockLayout(counts, indices, self.block, lengths, skip=self.skip)

    def scores(self, q: Tensor, k: Tensor, request: Request, kernels: Backend) -> Tensor:
        """P̂, what `layout` chooses by: `[B, Hq, nQ, nK]`; a row without any candidate is 0."""
        means, alike = self._means(q, k, kernels)
        allowed, _ = self._regions(request, alike)
        return _map(*means, request.scale, allowed, alike[1] if alike else None)

    def _means(
        self, q: Tensor, k: Tensor, kernels: Backend
    ) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor] | None]:
        """Block means of q and k, and with the judge which blocks may be skipped, `[B, Hq, n]`."""
        bq, bk = self.block
        queries, q_likeness = kernels.block_means(q, bq, likeness=self.judges)
        # the mean key follows from the means of its blocks; only the judge needs it in every row
        keys, k_likeness = kernels.block_means(k, bk, likeness=self.judges and not self.smooth_k)
        if self.smooth_k:
            mean = _weights(k.shape[2], bk, keys) @ keys
            if self.judges:
                keys, k_likeness = kernels.block_means(k, bk, mean, likeness=True)
            else:
                keys = keys - mean
        if not self.judges:
            return (queries, keys), None
        least = torch.tensor(fields.each(self.similarity), dtype=q_likeness.dtype, device=q.device)
        least = least.view(-1, 1)
        k_likeness = k_likeness.repeat_interleave(q.shape[1] // k.shape[1], 1)
        alike = tuple((x > least) | (least < 0) for x in (q_likeness, k_likeness))
        return (queries, keys), alike

    def _regions(
        self, request: Request, alike: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        """Where a row may choose and what it always visits, bool `[1 or B, 1 or Hq, nQ, nK]`."""
        lengths = (request.q_length, request.k_length)
        allowed, kept = block_regions(request.band, lengths, self.block, request.device)
        rows, columns = _always(self, lengths, request.device)
        kept = kept | rows.unsqueeze(-1) | columns
        if alike is not None:
            kept = kept | ~alike[0].unsqueeze(-1) | ~alike[1].unsqueeze(-2)
        return allowed, kept & allowed

    def _misfit(self, request: Request) -> str | None:
        """Why the tokens cannot be put in order, or None; refuses what has no meaning."""
        if request.band is not None:
            raise ValueError(
                "Sparge.order is set and causal=True; expected one of them, since a new order of "
                "the tokens changes who comes before whom"
            )
        if request.mask is not None:
            raise ValueError(
                "Sparge.order is set and a mask is given, which speaks of the old order; expected "
                "one of them (use attention_varlen for padding)"
            )
        lq, lk = request.q_length, request.k_length
        if lq != lk:
            return f"{lq} queries and {lk} keys are not the same tokens, which order needs"
        if self.order.end > lk:
            return f"{lk} tokens do not hold the grid of {self.order}"
        return None


def _map(
    queries: Tensor, keys: Tensor, scale: float, allowed: Tensor, alike: Tensor | None
) -> Tensor:
    """Softmax over the key blocks that may be chosen; rows without any are 0."""
    groups = queries.shape[1] // keys.shape[1]
    scores = queries.unflatten(1, (-1, groups)) @ keys.unsqueeze(2).transpose(-1, -2)
    scores = scores.flatten(1, 2).mul_(scale)
    candidates = allowed if alike is None else allowed & alike.unsqueeze(-2)
    return scores.masked_fill_(~candidates, float("-inf")).softmax(-1).nan_to_num_(nan=0.0)


def _weights(length: int, rows: int, like: Tensor) -> Tensor:
    """Share of all tokens that each block has, `[n]`."""
    weights = torch.full((like.shape[2],), rows / length, dtype=like.dtype, device=like.device)
    weights[-1] = (length - rows * (len(weights) - 1)) / length
    return weights.view(1, 1, 1, -1)


@lru_cache(maxsize=64)
def _always(
    chosen: Sparge, lengths: tuple[int, int], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Blocks of queries `[nQ]` and of keys `[nK]` that are always visited, bool. Cached."""
    with torch.inference_mode(False):  # a cached tensor must be usable in every later mode
        token = torch.arange(lengths[1])
        guarded = torch.zeros(lengths[1], dtype=torch.bool)
        for start, stop in chosen.protect:
            guarded |= (token >= start) & (token < stop)
        if chosen.order is not None:
            guarded = guarded[chosen.order.permutation(lengths[1])]
        own = torch.zeros(lengths[0], dtype=torch.bool)  # the queries are the last tokens
        shared = min(lengths)
        own[lengths[0] - shared :] = guarded[lengths[1] - shared :]
        found = []
        for marks, length, rows in zip((own, guarded), lengths, chosen.block, strict=True):
            blocks = torch.zeros(-(-length // rows), dtype=torch.bool)
            blocks[marks.nonzero().flatten() // rows] = True
            if chosen.keep_tail and length % rows:
                blocks[-1] = True
            found.append(blocks)
        found[1][0] |= chosen.sink
        return found[0].to(device), found[1].to(device)
