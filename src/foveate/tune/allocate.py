"""One budget for many heads: pick one option for each, so that the total loss is least.

    minimise Σ loss[i, x_i]   subject to   Σ cost[i, x_i] ≤ budget

(the multiple-choice knapsack). The multiplier λ of its linear relaxation prices cost: with it the
total loss of any choice is

    bound + Σ surplus[i, x_i] + λ · (unused budget),   surplus = loss + λ cost − the item's least,

and nothing in it is negative. So an option whose surplus exceeds what a known choice loses to the
bound cannot be part of a better one. With hundreds of heads this leaves a handful of options, which
a dynamic program over (cost, loss) pairs settles exactly.

The one thing to know: nothing here knows about attention. Costs and losses are numbers, and
exchanging them turns "least loss within a budget" into "least cost within a bound on the loss".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

_STATES = 100_000  # pairs that the dynamic program keeps; more would not be exact in time


@dataclass(frozen=True)
class Allocation:
    """The options picked, and how good they provably are.

    Args:
        choice: Number of the option of each item.
        cost: Σ cost.
        loss: Σ loss.
        bound: No choice within the budget has a smaller loss than this.
    """

    choice: tuple[int, ...]
    cost: float
    loss: float
    bound: float

    @property
    def gap(self) -> float:
        """At most so much smaller could the loss be; 0 if the choice is proven best."""
        return max(0.0, self.loss - self.bound)


def allocate(
    cost: Tensor | Sequence[Sequence[float]],
    loss: Tensor | Sequence[Sequence[float]],
    budget: float,
) -> Allocation:
    """Pick one option for each item, for the least total loss within a budget of cost.

    Args:
        cost: `[items, options]`, or rows of different lengths; inf marks an option that is none.
        loss: The same.
        budget: Largest Σ cost.

    Returns:
        The choice. Equal losses are broken by lower cost, then by the lower number.

    Raises:
        ValueError: cost and loss differ in shape, or not even the cheapest options fit.
    """
    costs, losses = _tables(cost, loss)
    least = float(costs.min(1).values.sum())
    slack = 1e-12 * max(1.0, abs(budget), least)
    if least > budget + slack:
        raise ValueError(
            f"budget is {budget:.6g}; the cheapest options alone cost {least:.6g}, "
            "so expected at least that"
        )
    price, best = _relax(costs, losses, budget + slack)
    known = _total(losses, best)
    surplus = losses + price * costs
    floor = surplus.min(1, keepdim=True).values
    bound = float(floor.sum()) - price * budget
    surplus = (surplus - floor).masked_fill(costs.isinf() | losses.isinf(), float("inf"))
    found, proven = _search(costs, surplus, budget + slack, price, known - bound)
    if found is not None and _total(losses, found) <= known:
        best = found
    final = _total(losses, best)
    return Allocation(
        tuple(best.tolist()), _total(costs, best), final, final if proven else min(bound, final)
    )


def _tables(cost: object, loss: object) -> tuple[Tensor, Tensor]:
    tables = []
    for table in (cost, loss):
        if not isinstance(table, Tensor):
            rows = [torch.as_tensor(row, dtype=torch.float64) for row in table]  # type: ignore[attr-defined]
            table = torch.nn.utils.rnn.pad_sequence(rows, True, float("inf"))
        tables.append(table.to("cpu", torch.float64))
    costs, losses = tables
    if costs.shape != losses.shape or costs.dim() != 2 or not costs.numel():
        raise ValueError(
            f"cost has shape {list(costs.shape)}, loss {list(losses.shape)}; expected the same "
            "[items, options] of both"
        )
    none = costs.isinf() | losses.isinf()
    if bool(costs.isnan().any() | losses.isnan().any() | none.all(1).any()):
        raise ValueError("cost or loss has NaN or an item without options; expected numbers")
    return costs.masked_fill(none, float("inf")), losses.masked_fill(none, float("inf"))


def _total(table: Tensor, choice: Tensor) -> float:
    return float(table.gather(1, choice[:, None]).sum())


def _relax(costs: Tensor, losses: Tensor, budget: float) -> tuple[float, Tensor]:
    """The multiplier of the relaxation, and a choice within the budget made on the way.

    Each item's useful options lie on the lower convex hull of (cost, loss). Steps along all hulls,
    steepest first, are taken while they fit; the first that does not gives the multiplier.
    """
    steps: list[tuple[float, int, int, float]] = []  # (slope, item, option, more cost)
    choice = []
    for item, (row, values) in enumerate(zip(costs.tolist(), losses.tolist(), strict=True)):
        hull = _hull(row, values)
        choice.append(hull[0])
        for a, b in pairwise(hull):
            more = row[b] - row[a]
            steps.append(((values[b] - values[a]) / more, item, b, more))
    steps.sort()
    spent = sum(row[x] for row, x in zip(costs.tolist(), choice, strict=True))
    price, full = 0.0, set()
    for slope, item, option, more in steps:
        if item in full:
            continue
        if spent + more <= budget:
            choice[item] = option
            spent += more
        else:  # smaller steps of other items may still fit
            price = price or -slope
            full.add(item)
    return price, torch.tensor(choice)


def _hull(costs: list[float], losses: list[float]) -> list[int]:
    """Options on the lower convex hull, from the cheapest on, each with a smaller loss."""
    order = sorted((x for x in range(len(costs)) if costs[x] < float("inf")), key=costs.__getitem__)
    order.sort(key=lambda x: (costs[x], losses[x], x))
    hull: list[int] = []
    for x in order:
        if hull and losses[x] >= losses[hull[-1]]:
            continue
        while len(hull) > 1:
            a, b = hull[-2], hull[-1]
            turn = (losses[b] - losses[a]) * (costs[x] - costs[a])
            if turn < (losses[x] - losses[a]) * (costs[b] - costs[a]):
                break
            hull.pop()
        if hull and costs[x] == costs[hull[-1]]:
            hull.pop()
        hull.append(x)
    return hull


def _search(
    costs: Tensor, surplus: Tensor, budget: float, price: float, gap: float
) -> tuple[Tensor | None, bool]:
    """The best choice whose loss is within `gap` of the bound, and whether it is proven best."""
    gap = gap * (1 + 1e-9) + 1e-12
    proven = True
    cheapest = costs.masked_fill(surplus > gap, float("inf")).min(1).values
    rest = float(cheapest.sum())  # what the items still to come cost at least
    spent, over = torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    trail: list[tuple[Tensor, Tensor]] = []  # (previous state, option) of each state, item by item
    for item in range(costs.shape[0]):
        rest -= float(cheapest[item])
        options = (surplus[item] <= gap).nonzero()[:, 0]
        total = spent[:, None] + costs[item, options]
        loss = over[:, None] + surplus[item, options]
        fits = (loss <= gap) & (total + rest <= budget + 1e-12)
        state, option = fits.nonzero(as_tuple=True)
        total, loss = total[fits], loss[fits]
        front = _front(total, loss - price * total)  # surplus holds the price of cost, loss not
        if len(front) > _STATES:
            proven = False
            front = front[loss[front].argsort(stable=True)[:_STATES].sort().values]
        if not len(front):
            return None, False
        spent, over = total[front], loss[front]
        trail.append((state[front], options[option[front]]))
    at = int((over - price * spent).argmin())
    choice = []
    for state, option in reversed(trail):
        choice.append(int(option[at]))
        at = int(state[at])
    return torch.tensor(choice[::-1]), proven


def _front(cost: Tensor, loss: Tensor) -> Tensor:
    """Numbers of the pairs that no other pair beats in both, by rising cost."""
    order = loss.argsort(stable=True)
    order = order[cost[order].argsort(stable=True)]
    loss = loss[order]
    before = torch.cat([loss.new_full((1,), float("inf")), loss.cummin(0).values[:-1]])
    return order[loss < before]
