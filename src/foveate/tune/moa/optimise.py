"""From profiles to plans: the best rules for every head at several lengths at once.

Each profiled length has its own loss and its own budget of density; further lengths have a budget
alone. Losses at different lengths are not added: a front of plans is made by keeping all but one
of them below a bound (the ε-constraint method) and minimising that one. Validation then chooses.

The one thing to know: a plan of the front is best for its own bounds up to the gap it reports;
plans that are no better than another one in any loss are dropped.
Source: MoA (arXiv 2406.14909v3), §4.3, Eq. 6; the intervals of losses as in its appendix.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from ..program import Pool, Program, Solution, solve
from .rules import Rules

SHARES = ("sum", "max")
NORMS = ("head", "layer")


@dataclass(frozen=True, eq=False)
class Found:
    """One plan of the front.

    Args:
        choice: Rule of each head, `[layers, heads]`.
        losses: Σ loss at each profiled length, `[lengths]`.
        density: Mean density at each length that has a budget, `[budgets]`.
        solution: How the solver found it.
    """

    choice: Tensor
    losses: Tensor
    density: Tensor
    solution: Solution


@dataclass(frozen=True, eq=False)
class Problem:
    """What plans are chosen from.

    Args:
        rules: The candidates.
        windows: For each profiled length the loss of windows of 0 … n blocks,
            `[layers, heads, n + 1]`.
        density: The budget: largest mean density at every length; or one number for each of
            `lengths` and `beyond`.
        beyond: Further lengths that have a budget.
        distinct: Different rules in a layer, at most: 1, 2 or None.
        least: Smallest mean density at every length, as a share of the budget; the original asks
            0.9, and so does `Settings`.

    Raises:
        ValueError: A density is outside (0, 1], or their number does not fit.
    """

    rules: Rules
    windows: dict[int, Tensor]
    density: float | Sequence[float]
    beyond: Sequence[int] = ()
    distinct: int | None = 2
    least: float = 0.0

    def __post_init__(self) -> None:
        given = self.density if isinstance(self.density, (list, tuple)) else [self.density]
        bounds = list(given) * len(self.lengths) if len(given) == 1 else list(given)
        if len(bounds) != len(self.lengths) or not all(0 < x <= 1 for x in bounds):
            raise ValueError(
                f"density is {self.density}; expected a number above 0, at most 1, or one for each "
                f"of the {len(self.lengths)} lengths"
            )
        object.__setattr__(self, "density", tuple(map(float, bounds)))

    @property
    def lengths(self) -> tuple[int, ...]:
        """All lengths that have a budget, the profiled ones first."""
        return (*self.windows, *(n for n in self.beyond if n not in self.windows))

    @property
    def loss(self) -> Tensor:
        """Loss of each rule for each head, float64 `[profiled lengths, layers, heads, rules]`."""
        return torch.stack([self.rules.loss(w.double(), n) for n, w in self.windows.items()])

    @property
    def cost(self) -> Tensor:
        """Density of each rule, float64 `[lengths, rules]`."""
        return torch.stack([self.rules.density(n) for n in self.lengths])

    def program(self, loss: Tensor, below: Sequence[tuple[Tensor, float]] = ()) -> Program:
        """Minimise one loss within the budgets, and others below a bound.

        Args:
            loss: `[layers, heads, rules]`.
            below: Pairs (another loss, its bound).
        """
        items = loss.shape[0] * loss.shape[1]
        cost = [row.expand(loss.shape) for row in self.cost]
        bound = [x * items for x in self.density]
        if self.least:
            cost += [-row for row in cost]
            bound += [-self.least * x for x in bound]
        for other, limit in below:
            unit = max(float(other.abs().mean()), 1e-300)  # budgets of like size, for the solver
            cost.append(other / unit)
            bound.append(limit / unit)
        limits = torch.tensor(bound, dtype=torch.float64)
        return Program(loss, torch.stack(cost), limits, self.distinct)


def shared(windows: Tensor, group: int, how: str = "sum") -> Tensor:
    """One loss for the query heads that share a key head, `[..., Hq, n]` → `[..., Hk, n]`.

    Args:
        windows: Losses of query heads.
        group: Query heads for each key head; they are neighbours.
        how: "sum" or "max".
    """
    if how not in SHARES:
        raise ValueError(f'how is "{how}"; expected {" or ".join(SHARES)}')
    grouped = windows.unflatten(-2, (-1, group))
    return grouped.sum(-2) if how == "sum" else grouped.amax(-2)


def normalised(windows: Tensor, by: str | None) -> Tensor:
    """Losses `[layers, heads, n]` as shares of the largest one of their head or layer.

    Args:
        windows: The losses.
        by: "head", "layer", or None to leave them.
    """
    if by is None:
        return windows
    if by not in NORMS:
        raise ValueError(f'by is "{by}"; expected {", ".join(NORMS)} or None')
    most = windows.abs().amax(-1, keepdim=True)
    if by == "layer":
        most = most.amax(-2, keepdim=True)
    return windows / most.clamp(min=1e-30)


def front(
    problem: Problem,
    intervals: int = 4,
    *,
    seconds: float = 60.0,
    method: str = "auto",
    tick: Callable[[str], None] | None = None,
) -> list[Found]:
    """Plans of which none is worse than another one at every length.

    Args:
        problem: What to choose from.
        intervals: Parts that each loss's range is cut into; with three lengths that takes up to
            3 + 3 · intervals² programs.
        seconds: About how long one program may take.
        method: Of `solve`.
        tick: Called after each program.

    Returns:
        At least one plan, by rising loss at the longest length.

    Raises:
        ValueError: No plan is within the budgets.
    """
    losses, pool, found = problem.loss, Pool(), []

    def add(primary: int, below: Sequence[tuple[Tensor, float]] = ()) -> None:
        program = problem.program(losses[primary], below)
        try:
            best = solve(program, method, seconds=seconds, pool=pool)
        except ValueError:
            if not below:
                raise
        else:
            found.append(_found(problem, losses, best))
        if tick is not None:
            tick(f"{len(found)} plans")

    count = len(losses)
    for primary in range(count):
        add(primary)
    ends = torch.stack([one.losses for one in found])
    low, high = ends.amin(0), ends.amax(0)
    steps = torch.linspace(0, 1, intervals + 1, dtype=torch.float64)[1:, None]
    limits = low + steps * (high - low)  # upper ends of the intervals, [intervals, losses]
    for primary in range(count if bool((high > low).any()) else 0):
        others = [i for i in range(count) if i != primary]
        for combination in product(range(intervals), repeat=len(others)):
            add(
                primary,
                [
                    (losses[i], float(limits[step, i]))
                    for i, step in zip(others, combination, strict=True)
                ],
            )
    return _undominated(found)


def programs(lengths: int, intervals: int = 4) -> int:
    """How many programs `front` solves, at most."""
    return lengths + (lengths * intervals ** (lengths - 1) if lengths > 1 else 0)


def _found(problem: Problem, losses: Tensor, best: Solution) -> Found:
    at = best.choice[None, ..., None].expand(len(losses), *best.choice.shape, 1)
    total = losses.gather(3, at).sum((1, 2, 3))
    density = problem.cost[:, best.choice].mean((1, 2))
    return Found(best.choice, total, density, best)


def _undominated(found: list[Found]) -> list[Found]:
    kept: list[Found] = []
    for one in sorted(found, key=lambda f: f.losses.flip(0).tolist()):
        if not any(bool((other.losses <= one.losses).all()) for other in kept):
            kept.append(one)
    return kept
