"""Candidates: what a head may be given, and what each choice costs it and loses.

A `Grid` holds one selection and the values its knobs may take (`threshold` or `share`, and
SpargeAttn's `similarity`). `judge` lets the selection choose blocks for every value and asks the
evidence for the error, all heads at once.

The one thing to know: block scores are made once for each value of the slow knob. The selection's
own call of `kernels.choose` is listened to, and repeated for all thresholds together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from foveate import plan
from foveate.attn.layouts.rules import block_regions
from foveate.attn.select import Selection

from .capture import Captured
from .evidence import Evidence, gather

THRESHOLDS = (
    *(0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.74, 0.77, 0.8, 0.82, 0.84, 0.86, 0.88),
    *(0.89, 0.9, 0.91, 0.92, 0.93, 0.94, 0.95, 0.955, 0.96, 0.965, 0.97, 0.975, 0.98, 0.984),
    *(0.987, 0.99, 0.992, 0.994, 0.996, 0.998, 1.0),
)
"""Thresholds tried, dense near 1, where most heads end."""

LIKENESS = (0.2, 0.3, 0.4, 0.5)
"""Values of SpargeAttn's judge that may be tried beside "off": blocks less alike than this are
always visited. With them, SmolLM2 was no better on held-out text (six layers, 2048 and 4096 tokens,
density 0.4: relative L1 0.0509, 0.0501 without), so they are left out unless asked for."""

SHARES = (
    *(0.5, 0.3, 0.2, 0.15, 0.12, 0.1, 0.08, 0.06, 0.05, 0.04, 0.032, 0.025, 0.02, 0.016, 0.013),
    *(1e-2, 8e-3, 6e-3, 5e-3, 4e-3, 3.2e-3, 2.5e-3, 2e-3, 1.6e-3, 1.3e-3, 1e-3, 7e-4, 5e-4, 3e-4),
    *(2e-4, 1e-4, 5e-5, 1e-5, 1e-6),
)
"""Shares tried, evenly spaced in the logarithm; the last visits practically everything."""

VALUES = {"threshold": THRESHOLDS, "share": SHARES}
"""What each head gets a value of, and the values tried, by rising density."""

KNOBS = {"sparge": ("threshold", "share", "similarity"), "xattention": ("threshold", "share")}
"""Selections that can be tuned, and the knobs that heads may get values of."""

_OFF = -1.0  # how "no judge" is written among the values of several heads


@dataclass(frozen=True)
class Grid:
    """One selection, and the values its knobs may take for each head.

    Args:
        base: The selection with all other options; its own knobs are ignored.
        values: Of the knob, by rising density; None takes those of `VALUES`.
        likeness: Values of the judge; None is off. Only for SpargeAttn.
        knob: "threshold" (mass to collect) or "share" (own mass of each visited block).
    """

    base: Selection
    values: tuple[float, ...] | None = None
    likeness: tuple[float | None, ...] = (None,)
    knob: str = "threshold"

    def __post_init__(self) -> None:
        if self.base.name not in KNOBS:
            raise ValueError(
                f'select "{self.base.name}" has no thresholds to tune; '
                f"expected one of {', '.join(KNOBS)}"
            )
        if self.knob not in VALUES:
            raise ValueError(f'knob is "{self.knob}"; expected {" or ".join(VALUES)}')
        if self.values is None:
            object.__setattr__(self, "values", VALUES[self.knob])
        if self.likeness != (None,) and "similarity" not in KNOBS[self.base.name]:
            raise ValueError(f'likeness is {self.likeness}; "{self.base.name}" has no such judge')
        if getattr(self.base, "group", None) is not None:
            raise ValueError("heads that share a map (group) have no thresholds of their own")
        if getattr(self.base, "order", None) is not None:
            raise ValueError("order is set; tuning knows language models only")
        if self.base.skip is not None:
            raise ValueError("skip is set; tune without it and add it afterwards")

    @cached_property
    def candidates(self) -> tuple[tuple[float, float | None], ...]:
        """(value, likeness) of each candidate; values change fastest."""
        return tuple((x, like) for like in self.likeness for x in self.values)

    def at(self, candidate: int) -> Selection:
        """The selection that gives every head the same candidate."""
        return self._with(*self.candidates[candidate])

    def mixed(self, choice: Sequence[int]) -> Selection:
        """The selection that gives each query head its own candidate."""
        values, likes = zip(*(self.candidates[c] for c in choice), strict=True)
        if all(like is None for like in likes):
            return self._with(values, None)
        return self._with(values, tuple(_OFF if like is None else like for like in likes))

    def _with(self, value: Any, like: Any) -> Selection:
        options = {f.name: getattr(self.base, f.name) for f in fields(self.base)}
        options |= dict.fromkeys((*VALUES, "similarity") & options.keys(), None)
        options |= {self.knob: value} | ({"similarity": like} if like is not None else {})
        return type(self.base)(**options)


@dataclass(frozen=True, eq=False)
class Judged:
    """What every candidate costs and loses in one layer.

    Args:
        density: Visited ÷ visible blocks, `[C, Hq]`.
        retained: Mean mass on visited blocks, `[C, Hq]`.
        error: Σ |out − exact| over the sampled rows, `[C, Hq]`.
        size: Σ |exact| over the sampled rows, `[Hq]`.
    """

    density: Tensor
    retained: Tensor
    error: Tensor
    size: Tensor

    @property
    def relative(self) -> Tensor:
        """Each head's relative L1, `[C, Hq]`."""
        return self.error / self.size.clamp(min=1e-30)

    @property
    def share(self) -> Tensor:
        """Each head's part in the relative L1 of the layer, times heads: their mean is that of the
        whole output `[B, Hq, L, Dv]`, which is how the papers define it. `[C, Hq]`."""
        return self.error / self.size.mean().clamp(min=1e-30)


def judge(seen: Captured, grid: Grid, rows: int = 8, backend: str = "auto") -> Judged:
    """Try every candidate of a grid on one layer.

    Args:
        seen: Queries, keys and values of the layer.
        grid: What to try.
        rows: Sampled rows of each block of queries.
        backend: Who makes the block scores.

    Returns:
        Costs and losses.
    """
    visits, allowed, block = visits_of(seen, grid, backend)
    evidence = gather(seen, block, rows, grid.base.correct)
    retained, error = evidence.judge(visits)
    return Judged(density_of(visits, allowed), retained, error, evidence.size)


def density_of(visits: Tensor, allowed: Tensor) -> Tensor:
    """Visited ÷ visible blocks of each head, `[..., Hq]`, from bool `[..., Hq, nQ, nK]`."""
    visible = allowed.expand(visits.shape[-3:]).sum((-1, -2))
    return (visits & allowed).sum((-1, -2)) / visible.clamp(min=1)


def visits_of(
    seen: Captured, grid: Grid, backend: str = "auto"
) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """Blocks that each candidate visits.

    Returns:
        visits: Bool `[C, Hq, nQ, nK]`.
        allowed: Blocks with a visible pair, bool `[Hq or 1, nQ, nK]`.
        block: Queries and keys per block.
    """
    block = grid.base.outline(seen.causal)[0]
    block = (block, block) if isinstance(block, int) else block
    lengths = (seen.q.shape[2], seen.k.shape[2])
    parts = []
    for like in grid.likeness:
        select = grid._with(grid.values[0], like)
        decided = plan(
            seen.q,
            seen.k,
            seen.v,
            select=select,
            precision="native",
            causal=seen.causal,
            scale=seen.scale,
            backend=backend,
        )
        allowed, _ = block_regions(decided.request.band, lengths, block, seen.q.device)
        if type(decided.select) is not type(select):  # served dense, whatever the value
            parts.append(allowed.expand(len(grid.values), seen.q.shape[1], -1, -1))
            continue
        ear = _Ear(decided.kernels)
        layout = select.layout(seen.q, seen.k, decided.request, ear)
        parts.append(_repeat(ear, layout, decided.kernels, grid))
    return torch.cat(parts), allowed, block


def _repeat(ear: _Ear, layout: Any, kernels: Any, grid: Grid) -> Tensor:
    """What the selection would visit for every value of its knob, bool `[T, Hq, nQ, nK]`."""
    if len(ear.calls) != 1:
        raise RuntimeError(f"the selection called choose {len(ear.calls)} times; expected once")
    layout = layout.to_dense()
    scores, budget, allowed, kept = ear.calls[0]
    heads, count = scores.shape[1], len(grid.values)
    # one call for all: a copy of every head for each value
    name = {"threshold": "mass"}.get(grid.knob, grid.knob)
    every = replace(budget, **{name: tuple(x for x in grid.values for _ in range(heads))})
    allowed, kept = (
        x if x.shape[-3] == 1 else x.repeat(*(1,) * (x.dim() - 3), count, 1, 1)
        for x in (allowed, kept)
    )
    counts, indices = kernels.choose(scores.repeat(1, count, 1, 1), every, allowed, kept)
    visits = _dense(counts[0], indices[0]).unflatten(0, (count, heads))
    if not torch.equal(visits[0], layout.expand(1, heads, -1, -1)[0]):
        raise RuntimeError("the selection changes what choose returned, so it cannot be repeated")
    return visits


def _dense(counts: Tensor, indices: Tensor) -> Tensor:
    """Bool `[H, nQ, nK]` of a layout's counts and indices."""
    used = torch.arange(indices.shape[-1], device=counts.device) < counts.unsqueeze(-1)
    empty = torch.zeros(indices.shape, dtype=torch.int8, device=counts.device)
    return empty.scatter_add_(-1, indices.long(), used.to(torch.int8)) > 0


class _Ear:
    """A backend that remembers what it was asked to choose from."""

    def __init__(self, kernels: Any) -> None:
        self.kernels, self.calls = kernels, []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.kernels, name)

    def choose(self, scores: Tensor, budget: Any, allowed: Tensor, kept: Tensor) -> Any:
        self.calls.append((scores, budget, allowed, kept))
        return self.kernels.choose(scores, budget, allowed, kept)


__all__ = [
    "KNOBS",
    "LIKENESS",
    "SHARES",
    "THRESHOLDS",
    "VALUES",
    "Evidence",
    "Grid",
    "Judged",
    "density_of",
    "judge",
    "visits_of",
]
