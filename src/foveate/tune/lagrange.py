"""Lagrangian relaxation of a `Program`: a bound, and a choice that nearly meets it.

Multipliers λ price the budgets; each layer is then best on its own (all pairs of options are
tried), and no choice within the budgets loses less than

    Σ_l min_x Σ_h (loss + λ·cost)[l, h, x_h] − λ·bound.

The best λ comes out of column generation: a linear program over the layers' choices met so far
gives the next λ, until none improves it. An integer program over those choices, and another one
over the options that a better choice could hold, make a choice within the budgets.

The one thing to know: the bound holds for any λ that is not negative, however it was found.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .highs import best_rows, relaxation, whole

if TYPE_CHECKING:
    from .program import Pool, Program

_ROUNDS = 120  # of column generation; programs of 80 × 64 heads took fewer than 10
_VARIABLES = 4000  # of the last integer program; more do not pay in the time there is


def relax(
    program: Program, pool: Pool, begin: float, seconds: float, gap: float
) -> tuple[Tensor, float, int]:
    """A choice and a bound.

    Args:
        program: What is to be minimised.
        pool: Rows met before; grows.
        begin: When the search began, `time.monotonic()`.
        seconds: About how long it may take.
        gap: Good enough, as a share of the bound.

    Returns:
        The choice `[layers, heads]`, the bound, and the rounds of column generation.

    Raises:
        ValueError: No choice within all budgets was found.
    """
    best = _Best(program)
    for option in range(program.loss.shape[2]):
        best.consider(single := torch.full(program.loss.shape[:2], option))
        pool.add(single)
    for row in program.cost:
        pool.add(_price(row, program.distinct)[0])  # the cheapest of each budget
    bound, anchor, used, rounds = _generate(program, pool, best, gap, begin + 0.6 * seconds)
    if best.loss - bound > gap * abs(bound):
        left = max(1.0, begin + seconds - time.monotonic())
        best.consider(best_rows(program, pool, 0.4 * left, gap))
    if best.loss - bound > gap * abs(bound):
        left = max(1.0, begin + seconds - time.monotonic())
        allowed, all_of_them = _worth_trying(program, anchor, best.loss - bound)
        for layer, row in used:
            allowed[layer, row] = True
        if best.choice is not None:
            allowed.scatter_(1, best.choice, True)
        before = best.loss
        choice, low = whole(program, allowed, left, gap)
        best.consider(choice)
        if all_of_them:  # a better choice than before is among these options
            bound = max(bound, min(low, before))
    if best.choice is None:
        raise ValueError(
            f"no choice within all {len(program.bound)} budgets was found; expected wider ones"
        )
    return best.choice, bound, rounds


class _Best:
    """The best choice met so far that is allowed."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.choice: Tensor | None = None
        self.loss = float("inf")

    def consider(self, choice: Tensor | None) -> None:
        if choice is not None and self.program.allows(choice):
            loss = self.program.total(choice)
            if loss < self.loss:
                self.choice, self.loss = choice, loss


def _generate(
    program: Program, pool: Pool, best: _Best, gap: float, until: float
) -> tuple[float, Tensor, list[tuple[int, Tensor]], int]:
    """Column generation: the bound, its multipliers, the rows its mixtures hold, and rounds."""
    bound, anchor = -float("inf"), torch.zeros(len(program.bound), dtype=torch.float64)
    value, multipliers, used = relaxation(program, pool)
    rounds = 0
    while rounds < _ROUNDS:
        rounds += 1
        fresh = 0
        # between the best multipliers and the newest ones: alone, the newest jump to and fro
        for part in (0.5, 0.0):
            at = part * anchor + (1 - part) * multipliers
            choice, priced = _price(program.loss + _weighted(program.cost, at), program.distinct)
            fresh += pool.add(choice)
            best.consider(choice)
            reached = priced - float(at @ program.bound)
            if reached > bound:
                bound, anchor = reached, at
        if not fresh or value - bound <= 0.1 * gap * abs(value) or time.monotonic() > until:
            break
        value, multipliers, used = relaxation(program, pool)
    return bound, anchor, used, rounds


def _worth_trying(program: Program, anchor: Tensor, spread: float) -> tuple[Tensor, bool]:
    """Options that a choice within `spread` of the bound may hold, bool `[layers, options]`.

    A layer whose priced value is more than `spread` above its least cannot be part of one. The
    nearest come first, as far as HiGHS can take them; also says whether these are all.
    """
    layers, heads, options = program.loss.shape
    values = program.loss + _weighted(program.cost, anchor)
    allowed = torch.zeros(layers, options, dtype=torch.bool)
    if program.distinct is None:
        surplus = values - values.amin(2, keepdim=True)
        allowed = (surplus <= spread).any(1)
        return allowed, True
    table = values.sum(1) if program.distinct == 1 else _pairs(values)  # [layers, sets]
    surplus = table - table.amin(1, keepdim=True)
    near = (surplus <= spread).nonzero()
    for number in surplus[near[:, 0], near[:, 1]].argsort().tolist():
        if int(allowed.sum()) * heads > _VARIABLES:
            return allowed, False
        layer, one = near[number].tolist()
        allowed[layer, one // options if program.distinct == 2 else one] = True
        allowed[layer, one % options] = True
    return allowed, True


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
    best = _pairs(values).min(1)
    first = best.indices // values.shape[2]
    both = torch.stack([first, best.indices % values.shape[2]], 1)  # [layers, 2]
    at = both[:, None, :].expand(-1, values.shape[1], -1)
    second = values.gather(2, at).argmin(2)  # [layers, heads]
    return both.gather(1, second), float(best.values.sum())


def _pairs(values: Tensor) -> Tensor:
    """Least value of each layer with two options: `[layers, options · options]`.

    Each pair counts once, its smaller option first; the others are infinite.
    """
    layers, _, options = values.shape
    table = values.new_full((layers, options, options), float("inf"))
    for option in range(options):
        both = torch.minimum(values[:, :, option : option + 1], values[:, :, option:])
        table[:, option, option:] = both.sum(1)
    return table.flatten(1)
