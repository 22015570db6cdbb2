"""One option for each head under several budgets, with few different options in a layer.

    minimise Σ loss[l, h, x_lh]   subject to   Σ cost[m, l, h, x_lh] ≤ bound[m]  for every budget m,
                                               |{x_l1, x_l2, …}| ≤ distinct      for every layer l

With one budget and no limit on a layer this is `allocate`, which is exact. Otherwise small programs
go to HiGHS as they are, and large ones through Lagrangian relaxation: multipliers λ price the
budgets, each layer is then best on its own (all pairs of options are tried), and no choice within
the budgets loses less than

    Σ_l min_x Σ_h (loss + λ·cost)[l, h, x_h] − λ·bound.

The best λ comes out of column generation: a linear program over the layers' choices met so far
gives the next λ, until none improves it. An integer program over those choices, and another one
over the options in them, make a choice within the budgets; its gap to the bound is reported.

The one thing to know: nothing here knows about attention; heads, layers, options may be anything.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .allocate import allocate

METHODS = ("auto", "exact", "lagrange")
SMALL = 3000  # layers · heads · options that HiGHS settles in seconds
_ROUNDS = 120  # of column generation; programs of 80 × 64 heads need about 40


@dataclass(frozen=True, eq=False)
class Program:
    """What is to be minimised.

    Args:
        loss: `[layers, heads, options]`.
        cost: `[budgets, layers, heads, options]`, or anything that broadcasts to it.
        bound: Largest Σ cost of each budget, `[budgets]`.
        distinct: Different options in a layer, at most: 1, 2, or None for no limit.

    Raises:
        ValueError: Shapes do not fit, a number is NaN, or distinct is out of range.
    """

    loss: Tensor
    cost: Tensor
    bound: Tensor
    distinct: int | None = None

    def __post_init__(self) -> None:
        loss = torch.as_tensor(self.loss).to("cpu", torch.float64)
        bound = torch.as_tensor(self.bound).to("cpu", torch.float64)
        if loss.dim() != 3 or not loss.numel() or bound.dim() != 1 or not len(bound):
            raise ValueError(
                f"loss has shape {list(loss.shape)} and bound {list(bound.shape)}; expected "
                "[layers, heads, options] and [budgets]"
            )
        cost = torch.as_tensor(self.cost).to("cpu", torch.float64)
        try:
            cost = cost.expand(len(bound), *loss.shape)
        except RuntimeError:
            raise ValueError(
                f"cost has shape {list(cost.shape)}; expected [budgets, layers, heads, options], "
                f"here {[len(bound), *loss.shape]}"
            ) from None
        if not bool(loss.isfinite().all() and cost.isfinite().all() and bound.isfinite().all()):
            raise ValueError("loss, cost or bound has NaN or infinity; expected numbers")
        if self.distinct is not None and self.distinct not in (1, 2):
            raise ValueError(f"distinct is {self.distinct!r}; expected 1, 2 or None")
        for name, value in (("loss", loss), ("cost", cost), ("bound", bound)):
            object.__setattr__(self, name, value)

    def total(self, choice: Tensor) -> float:
        """Σ loss of a choice, `[layers, heads]`."""
        return float(self.loss.gather(2, choice[..., None]).sum())

    def spent(self, choice: Tensor) -> Tensor:
        """Σ cost of a choice, `[budgets]`."""
        at = choice[None, ..., None].expand(len(self.bound), *choice.shape, 1)
        return self.cost.gather(3, at).sum((1, 2, 3))

    def allows(self, choice: Tensor) -> bool:
        """Whether a choice is within all budgets and limits."""
        slack = 1e-9 * self.bound.abs().clamp(min=1)
        if bool((self.spent(choice) > self.bound + slack).any()):
            return False
        limit = self.distinct or choice.shape[1]
        return all(len(row.unique()) <= limit for row in choice)


@dataclass(frozen=True, eq=False)
class Solution:
    """The options picked, and how good they provably are.

    Args:
        choice: Number of the option of each head, `[layers, heads]`.
        loss: Σ loss.
        cost: Σ cost of each budget, `[budgets]`.
        bound: No choice that is allowed has a smaller loss than this.
        method: How it was found.
        seconds: How long that took.
    """

    choice: Tensor
    loss: float
    cost: Tensor
    bound: float
    method: str
    seconds: float

    @property
    def gap(self) -> float:
        """At most so much smaller could the loss be, as a share of it; 0 if proven best."""
        return max(0.0, self.loss - self.bound) / max(abs(self.loss), 1e-300)


@dataclass(eq=False)
class Pool:
    """Choices of single layers met so far; programs that differ in bounds alone may share it."""

    rows: dict[tuple[int, bytes], Tensor] = field(default_factory=dict)

    def add(self, choice: Tensor) -> int:
        """Keep the rows of a choice `[layers, heads]`; how many of them are new."""
        known = len(self.rows)
        for layer, row in enumerate(choice.short()):
            self.rows.setdefault((layer, row.numpy().tobytes()), row.long())
        return len(self.rows) - known


def solve(
    program: Program,
    method: str = "auto",
    *,
    seconds: float = 60.0,
    gap: float = 1e-4,
    pool: Pool | None = None,
) -> Solution:
    """Pick one option for each head.

    Args:
        program: What is to be minimised.
        method: "exact" is HiGHS on the whole program, "lagrange" the relaxation and its polish;
            "auto" chooses by size.
        seconds: About how long to search; the best choice found by then is returned.
        gap: Good enough: stop when no choice can be better by more than this share.
        pool: Rows met while solving similar programs; grows.

    Returns:
        The solution; never worse than the best single option for all heads that is allowed.

    Raises:
        ValueError: Nothing is allowed, or the method is unknown.
        ModuleNotFoundError: scipy is not installed.
    """
    if method not in METHODS:
        raise ValueError(f'method is "{method}"; expected one of {", ".join(METHODS)}')
    begin = time.monotonic()
    least = program.cost.min(3).values.sum((1, 2))
    for number, (low, bound) in enumerate(zip(least.tolist(), program.bound.tolist(), strict=True)):
        if low > bound + 1e-9 * max(1.0, abs(bound)):
            raise ValueError(
                f"budget {number} is {bound:.6g}; the cheapest options alone cost {low:.6g}, so "
                "expected at least that"
            )
    options = program.loss.shape[2]
    free = program.distinct is None or program.distinct >= min(options, program.loss.shape[1])
    if free and len(program.bound) == 1 and method == "auto":
        return _knapsack(program, begin)
    if method == "exact" or (method == "auto" and program.loss.numel() <= SMALL):
        found = _exact(program, begin, seconds, gap)
        if found is not None:
            return found
    return _lagrange(program, begin, seconds, gap, pool or Pool())


def _knapsack(program: Program, begin: float) -> Solution:
    layers, heads, options = program.loss.shape
    flat = (x.reshape(layers * heads, options) for x in (program.cost[0], program.loss))
    best = allocate(*flat, float(program.bound[0]))
    choice = torch.tensor(best.choice).view(layers, heads)
    return _solution(program, choice, best.bound, "knapsack", begin)


def _exact(program: Program, begin: float, seconds: float, gap: float) -> Solution | None:
    from .highs import whole

    everything = torch.ones(program.loss.shape[0], program.loss.shape[2], dtype=torch.bool)
    choice, bound = whole(program, everything, seconds, gap)
    if choice is None:
        return None
    return _solution(program, choice, bound, "exact", begin)


def _lagrange(program: Program, begin: float, seconds: float, gap: float, pool: Pool) -> Solution:
    from .highs import best_rows, relaxation, whole

    layers, heads, options = program.loss.shape
    known: Tensor | None = None

    def consider(choice: Tensor | None) -> None:
        nonlocal known
        if choice is None or not program.allows(choice):
            return
        if known is None or program.total(choice) < program.total(known):
            known = choice

    for option in range(options):
        single = torch.full((layers, heads), option)
        pool.add(single)
        consider(single)
    for row in program.cost:
        pool.add(_price(row, program.distinct)[0])  # the cheapest of each budget
    bound, anchor, rounds = -float("inf"), torch.zeros(len(program.bound), dtype=torch.float64), 0
    value, multipliers, used = relaxation(program, pool)
    while rounds < _ROUNDS and time.monotonic() - begin < 0.6 * seconds:
        rounds += 1
        fresh = 0
        # between the best multipliers and the newest ones: alone, the newest jump to and fro
        for part in (0.5, 0.0):
            at = part * anchor + (1 - part) * multipliers
            choice, priced = _price(program.loss + _weighted(program.cost, at), program.distinct)
            fresh += pool.add(choice)
            consider(choice)
            reached = priced - float(at @ program.bound)
            if reached > bound:
                bound, anchor = reached, at
        if not fresh or value - bound <= 0.1 * gap * abs(value):
            break
        value, multipliers, used = relaxation(program, pool)
    left = max(1.0, seconds - (time.monotonic() - begin))

    def good() -> bool:
        return known is not None and program.total(known) - bound <= gap * abs(bound)

    allowed = torch.zeros(layers, options, dtype=torch.bool)
    for layer, row in used:
        allowed[layer, row] = True
    if not good():
        consider(best_rows(program, pool, 0.4 * left, gap))
    if not good():
        if known is not None:
            allowed.scatter_(1, known, True)
        consider(whole(program, allowed, 0.6 * left, gap)[0])
    if known is None:
        raise ValueError(
            f"no choice within all {len(program.bound)} budgets was found; expected wider ones"
        )
    return _solution(program, known, bound, f"lagrange, {rounds} rounds", begin)


def _weighted(cost: Tensor, weights: Tensor) -> Tensor:
    """Σ_m weights[m] · cost[m], `[layers, heads, options]`, without copying broadcast costs."""
    total: Any = 0.0
    for row, weight in zip(cost, weights.tolist(), strict=True):
        if weight:
            total = total + weight * row
    return torch.as_tensor(total, dtype=torch.float64)


def _price(values: Tensor, distinct: int | None) -> tuple[Tensor, float]:
    """The choice of least value, each layer on its own: `[layers, heads]`, and Σ of its values.

    Args:
        values: `[layers, heads, options]`.
        distinct: Different options in a layer, at most.
    """
    if distinct is None:
        best = values.min(2)
        return best.indices, float(best.values.sum())
    if distinct == 1:
        best = values.sum(1).min(1)
        return best.indices[:, None].expand(values.shape[:2]).contiguous(), float(best.values.sum())
    values = values.contiguous()
    pairs: list[Tensor] = []
    for option in range(values.shape[2]):
        pairs.append(torch.minimum(values[:, :, option : option + 1], values).sum(1))
    table = torch.stack(pairs, 1).flatten(1)  # [layers, options · options]
    best = table.min(1)
    first = best.indices // values.shape[2]
    both = torch.stack([first, best.indices % values.shape[2]], 1)  # [layers, 2]
    at = both[:, None, :].expand(-1, values.shape[1], -1)
    second = values.gather(2, at).argmin(2)  # [layers, heads]
    return both.gather(1, second), float(best.values.sum())


def _solution(
    program: Program, choice: Tensor, bound: float, method: str, begin: float
) -> Solution:
    loss = program.total(choice)
    seconds = time.monotonic() - begin
    return Solution(choice, loss, program.spent(choice), min(bound, loss), method, seconds)
