"""One option for each head under several budgets, with few different options in a layer.

    minimise Σ loss[l, h, x_lh]   subject to   Σ cost[m, l, h, x_lh] ≤ bound[m]  for every budget m,
                                               |{x_l1, x_l2, …}| ≤ distinct      for every layer l

With one budget and no limit on a layer this is `allocate`, which is exact. Otherwise small programs
go to HiGHS as they are (`highs.py`), and large ones through Lagrangian relaxation (`lagrange.py`),
which reports how far from the best it may be.

The one thing to know: nothing here knows about attention; heads, layers, options may be anything.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .allocate import allocate

METHODS = ("auto", "exact", "lagrange")
SMALL = 3000  # layers · heads · options that HiGHS settles in seconds


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
    from .lagrange import relax

    pool = Pool() if pool is None else pool
    choice, bound, rounds = relax(program, pool, begin, seconds, gap)
    return _solution(program, choice, bound, f"lagrange, {rounds} rounds", begin)


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


def _solution(
    program: Program, choice: Tensor, bound: float, method: str, begin: float
) -> Solution:
    loss = program.total(choice)
    seconds = time.monotonic() - begin
    return Solution(choice, loss, program.spent(choice), min(bound, loss), method, seconds)
