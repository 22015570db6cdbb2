"""Rules of sparse selection on captured layers: the (density, error) curve of each.

The one thing to know: a rule is block scores, a budget and what is always visited; everything else
(queries, keys, exact evidence) is the same for all rules, so only the rule differs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from foveate import Sparge, XAttention, plan
from foveate.attn.layouts.budget import Budget
from foveate.tune.capture import Captured
from foveate.tune.evidence import gather

DENSITIES = (0.1, 0.15, 0.25, 0.35, 0.5)
ERRORS = (0.05, 0.08)
MASSES = (
    *(0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.84, 0.87, 0.9, 0.92, 0.94, 0.95),
    *(0.96, 0.97, 0.98, 0.985, 0.99, 0.994, 0.997, 0.999, 0.9995, 0.9999),
)
COUNTS = (0.02, 0.05, 0.08, 0.11, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
SHARES = tuple(0.5 * 1.5**-step for step in range(24))  # down to 4e-5

Record = dict[str, Any]


@dataclass(frozen=True)
class Rule:
    """A way from block scores to visited blocks; its knob is tried at every value.

    Args:
        select: The selection whose scores, blocks and judge are used.
        knob: "mass", "count" or "share", which field of `budget` takes the values.
        budget: The other fields of the budget.
        forced: The first block and the diagonal are always visited; the released SpargeAttn does
            not do that.
        scores: Other scores than the selection's own, (layer, block, scores) → scores.
        queries: Other queries for the scores, q → q.
    """

    select: Any
    knob: str = "mass"
    budget: dict[str, Any] = field(default_factory=dict)
    forced: bool = True
    scores: Callable[[Captured, tuple[int, int], Tensor], Tensor] | None = None
    queries: Callable[[Tensor], Tensor] | None = None


class _Heard(Exception):
    """Carries what a selection would choose from."""


class _Ear:
    """A backend that stops a selection where it chooses."""

    def __init__(self, kernels: Any) -> None:
        self.kernels = kernels

    def __getattr__(self, name: str) -> Any:
        return getattr(self.kernels, name)

    def choose(self, scores: Tensor, budget: Budget, allowed: Tensor, kept: Tensor) -> Any:
        raise _Heard(scores, allowed, kept)


def curve(seen: Captured, rule: Rule, rows: int, cache: dict[Any, Any]) -> list[Record]:
    """Density, retained mass and error for every value of a rule's knob, in one layer."""
    block = rule.select.outline(seen.causal)[0]
    q, k = rule.queries(seen.q) if rule.queries else seen.q, seen.k
    decided = _planned(seen, rule.select)
    try:
        rule.select.layout(q, k, decided.request, _Ear(decided.kernels))
        raise RuntimeError(f"{rule.select} chose nothing")
    except _Heard as heard:
        scores, allowed, kept = heard.args
    if rule.scores is not None:
        scores = rule.scores(seen, block, scores)
    if not rule.forced:
        # only what the judge keeps: whole rows and whole columns
        whole = [(kept | ~allowed).all(dim, keepdim=True) for dim in (-1, -2)]
        kept = allowed & (whole[0] | whole[1]) if rule.select.similarity else kept & False
    key = (seen.layer, seen.q.shape[2], block, rule.select.correct)
    if key not in cache:
        cache.clear()  # one at a time: they are large
        cache[key] = gather(seen, block, rows, rule.select.correct)
    evidence = cache[key]
    values = {"mass": MASSES, "count": COUNTS, "share": SHARES}[rule.knob]
    visible = allowed.expand(scores.shape).sum((-1, -2))[0]
    found = []
    for value in values:
        budget = Budget(**{rule.knob: value}, **rule.budget)
        counts, indices = decided.kernels.choose(scores, budget, allowed, kept)
        visits = _dense(counts[0], indices[0])
        retained, error = evidence.judge(visits[None])
        found.append(
            {
                "knob": value,
                "density": float((visits.sum((-1, -2)) / visible).mean()),
                "retained": float(retained.mean()),
                "error": float(error.sum() / evidence.size.sum()),
            }
        )
    return found


def _dense(counts: Tensor, indices: Tensor) -> Tensor:
    used = torch.arange(indices.shape[-1]) < counts.unsqueeze(-1)
    empty = torch.zeros(indices.shape, dtype=torch.int8)
    return empty.scatter_add_(-1, indices.long(), used.to(torch.int8)) > 0


def mean_curve(curves: list[list[Record]]) -> list[Record]:
    """The mean over layers at each value of the knob."""
    return [
        {name: sum(point[name] for point in points) / len(points) for name in points[0]}
        for points in zip(*curves, strict=True)
    ]


def read_off(points: list[Record], x: str, value: float, y: str) -> float | None:
    """y where x has a value, between the two nearest points; None outside of the curve.

    Errors are interpolated by their logarithm.
    """
    log = y == "error"
    ordered = sorted((p[x], p[y]) for p in points)
    for (x0, y0), (x1, y1) in pairwise(ordered):
        if x0 <= value <= x1:
            part = (value - x0) / (x1 - x0) if x1 > x0 else 0.0
            if log and y0 > 0 and y1 > 0:
                return math.exp(math.log(y0) + part * (math.log(y1) - math.log(y0)))
            return y0 + part * (y1 - y0)
    return None


def summary(points: list[Record]) -> Record:
    """What tables need of a curve."""
    return {
        "error_at": {f"{d:g}": read_off(points, "density", d, "error") for d in DENSITIES},
        "retained_at": {f"{d:g}": read_off(points, "density", d, "retained") for d in DENSITIES},
        "density_for": {f"{e:g}": read_off(points, "error", e, "density") for e in ERRORS},
        "curve": [{k: round(v, 6) for k, v in point.items()} for point in points],
    }


# --- rules ---------------------------------------------------------------------------------------


def sparge_rules() -> dict[str, Rule]:
    """SpargeAttn's choices, ours first, then as released."""
    base, ours = Sparge(threshold=0.9), {"at_least": 4}
    released = {"inclusive": False}
    return {
        "share": Rule(base, "share"),
        "share, mean correction": Rule(replace(base, correct=True), "share"),
        "mass, at least 4": Rule(base, budget=ours),
        "mass, at least 4, mean correction": Rule(replace(base, correct=True), budget=ours),
        "inclusive": Rule(base),
        "exclusive": Rule(base, budget=released),
        "inclusive, judge 0.3": Rule(replace(base, similarity=0.3)),
        "top-k of visible": Rule(base, "count", {"count_of": "visible"}),
        "top-k of all": Rule(base, "count"),
        "released: mass, judge 0.6": Rule(replace(base, similarity=0.6), "mass", released, False),
        "released: mass, judge 0.3": Rule(replace(base, similarity=0.3), "mass", released, False),
        "released: mass, judge off": Rule(base, "mass", released, False),
        "released: top-k": Rule(base, "count", {}, False),
        "random blocks": Rule(base, "count", {"count_of": "visible"}, scores=_random),
        "true mass": Rule(base, "share", scores=_true),
    }


def xattention_rules() -> dict[str, Rule]:
    """XAttention's choices: the released rule at several strides, and what could stand for it."""
    first = {"kept_first": True}
    base = XAttention(stride=16)
    at = {stride: replace(base, stride=stride) for stride in (4, 8, 16, 64)}
    rules = {f"released: stride {stride}": Rule(at[stride], budget=first) for stride in at}
    rules |= {
        "stride 16, share": Rule(base, "share"),
        "stride 16, share, mean correction": Rule(replace(base, correct=True), "share"),
        "stride 16, mean correction": Rule(replace(base, correct=True), budget=first),
        "stride 16, at least 4": Rule(base, budget=first | {"at_least": 4}),
        "stride 8, temperature of the paper": Rule(
            replace(at[8], temperature="paper"), budget=first
        ),
        "stride 16, temperature of the paper": Rule(
            replace(base, temperature="paper"), budget=first
        ),
        "stride 16, top-k of visible": Rule(base, "count", first | {"count_of": "visible"}),
        "stride 16, diagonal": Rule(base, budget=first, queries=_diagonal(16)),
        "stride 16, random pattern": Rule(base, budget=first, queries=_scattered(16)),
        "stride 8, diagonal": Rule(at[8], budget=first, queries=_diagonal(8)),
        "stride 8, random pattern": Rule(at[8], budget=first, queries=_scattered(8)),
        "block means": Rule(base, budget=first, scores=_pooled),
        "block means, share": Rule(base, "share", scores=_pooled),
        "random blocks": Rule(base, "count", first | {"count_of": "visible"}, scores=_random),
        "true mass": Rule(base, "share", scores=_true),
    }
    return rules


def _random(seen: Captured, block: tuple[int, int], scores: Tensor) -> Tensor:
    return torch.rand(scores.shape, generator=torch.Generator().manual_seed(seen.layer))


def _true(seen: Captured, block: tuple[int, int], scores: Tensor) -> Tensor:
    """Exact mass of each block, from a sample of rows: what an estimate could reach at best."""
    return gather(seen, block, 16).block_mass()[None]


def _pooled(seen: Captured, block: tuple[int, int], scores: Tensor) -> Tensor:
    """SpargeAttn's scores with another selection's blocks."""
    select = Sparge(threshold=0.9, block=block)
    decided = _planned(seen, select)
    return select.scores(seen.q, seen.k, decided.request, decided.kernels)


def _planned(seen: Captured, select: Any) -> Any:
    return plan(
        *(seen.q, seen.k, seen.v),
        select=select,
        precision="native",
        causal=seen.causal,
        scale=seen.scale,
    )


def _diagonal(stride: int) -> Callable[[Tensor], Tensor]:
    """Antidiagonals of these queries are the diagonals of the real ones."""
    return lambda q: _regrouped(q, torch.arange(stride - 1, -1, -1))


def _scattered(stride: int) -> Callable[[Tensor], Tensor]:
    """One random element for each row and column of a cell, the same ones in all cells."""
    order = torch.randperm(stride, generator=torch.Generator().manual_seed(0))
    return lambda q: _regrouped(q, order)


def _regrouped(x: Tensor, order: Tensor) -> Tensor:
    """The tokens of every whole group of len(order) in another order."""
    whole = x.shape[2] // len(order) * len(order)
    groups = x[:, :, :whole].unflatten(2, (-1, len(order)))
    return torch.cat([groups[:, :, :, order].flatten(2, 3), x[:, :, whole:]], dim=2)
