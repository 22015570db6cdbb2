"""Linear and integer programs of `program.py`, handed to HiGHS through scipy.

The one thing to know: values are scaled so that losses are about 1, because HiGHS has absolute
tolerances; what it returns is rounded, and whoever asked checks it against the true budgets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .program import Pool, Program

_PENALTY = 1e3  # of a unit of cost above a budget, in units of the largest loss of a layer


def relaxation(program: Program, pool: Pool) -> tuple[float, Tensor, list[tuple[int, Tensor]]]:
    """The linear program over known rows: mixtures of rows of each layer, within the budgets.

    Returns:
        Its least loss; the multipliers of the budgets, `[budgets]`, not negative; and the rows
        (layer, `[heads]`) that the best mixtures hold.
    """
    optimize, sparse = _scipy()
    scale, layers, losses, costs = _columns(program, pool)
    budgets = len(program.bound)
    count = len(losses)
    # one more variable for each budget: how far it is exceeded, at a price
    objective = torch.cat([losses, torch.full((budgets,), _PENALTY, dtype=torch.float64)])
    within = torch.cat([costs, -torch.eye(budgets, dtype=torch.float64)], 1)
    member = sparse.csr_array(
        ([1.0] * count, (layers.numpy(), range(count))),
        shape=(program.loss.shape[0], count + budgets),
    )
    found = optimize.linprog(
        objective.numpy(),
        A_ub=within.numpy(),
        b_ub=program.bound.numpy(),
        A_eq=member,
        b_eq=[1.0] * program.loss.shape[0],
        method="highs",
    )
    if found.x is None:
        raise ValueError(f"the linear program could not be solved: {found.message}")
    multipliers = -torch.from_numpy(found.ineqlin.marginals.copy()).clamp(max=0)
    rows = list(pool.rows.values())
    keys = list(pool.rows)
    used = [(keys[i][0], rows[i]) for i in range(count) if found.x[i] > 1e-6]
    return float(found.fun) * scale, multipliers * scale, used


def best_rows(program: Program, pool: Pool, seconds: float, gap: float) -> Tensor | None:
    """The best choice that is made of known rows, `[layers, heads]`; None if none was found."""
    optimize, sparse = _scipy()
    _, layers, losses, costs = _columns(program, pool)
    count = len(losses)
    member = sparse.csr_array(
        ([1.0] * count, (layers.numpy(), range(count))), shape=(program.loss.shape[0], count)
    )
    found = optimize.milp(
        losses.numpy(),
        integrality=[1] * count,
        bounds=optimize.Bounds(0, 1),
        constraints=[
            optimize.LinearConstraint(member, 1, 1),
            optimize.LinearConstraint(costs.numpy(), ub=program.bound.numpy()),
        ],
        options={"time_limit": seconds, "mip_rel_gap": gap},
    )
    if found.x is None:
        return None
    rows = list(pool.rows.values())
    choice = torch.zeros(program.loss.shape[:2], dtype=torch.long)
    best = torch.full((program.loss.shape[0],), -1.0)
    for i, share in enumerate(found.x):
        if share > best[layers[i]]:
            best[layers[i]], choice[layers[i]] = share, rows[i]
    return choice


def whole(
    program: Program, allowed: Tensor, seconds: float, gap: float
) -> tuple[Tensor | None, float]:
    """The best choice among some options of each layer.

    Args:
        program: What is to be minimised.
        allowed: Options that a layer may use, bool `[layers, options]`.
        seconds: Time limit.
        gap: Stop when no choice can be better by more than this share.

    Returns:
        The choice `[layers, heads]`, None if none was found; and a bound on the loss of all
        choices among these options.
    """
    for shrink in (0.0, 1e-6):  # rounding may exceed a budget by a hair: then with a little less
        choice, bound = _whole(program, allowed, seconds, gap, shrink)
        if choice is None or program.allows(choice):
            break
    return choice, bound


def _whole(
    program: Program, allowed: Tensor, seconds: float, gap: float, shrink: float
) -> tuple[Tensor | None, float]:
    optimize, sparse = _scipy()
    layers, heads, options = program.loss.shape
    scale = _scale(program)
    layer, head, option = allowed[:, None, :].expand(layers, heads, options).nonzero(as_tuple=True)
    count = len(layer)
    limited = program.distinct is not None
    crowded = allowed.sum(1) > (program.distinct or 0) if limited else torch.zeros(layers).bool()
    flags = (allowed & crowded[:, None]).nonzero()  # (layer, option) that need a 0/1 of their own
    place = torch.full((layers, options), -1)
    place[flags[:, 0], flags[:, 1]] = torch.arange(len(flags))
    total = count + len(flags)

    def matrix(rows: Tensor, columns: Tensor, values: Tensor, height: int) -> Any:
        return sparse.csr_array(
            (values.numpy(), (rows.numpy(), columns.numpy())), shape=(height, total)
        )

    ones, at = torch.ones(count, dtype=torch.float64), torch.arange(count)
    each = matrix(layer * heads + head, at, ones, layers * heads)
    rules = [optimize.LinearConstraint(each, 1, 1)]
    costs = program.cost[:, layer, head, option]  # [budgets, count]
    padded = torch.cat([costs, torch.zeros(len(costs), len(flags), dtype=torch.float64)], 1)
    ceiling = program.bound - shrink * program.bound.abs().clamp(min=1)
    rules.append(optimize.LinearConstraint(padded.numpy(), ub=ceiling.numpy()))
    if len(flags):
        tied = (place[layer, option] >= 0).nonzero()[:, 0]
        rows = torch.arange(len(tied))
        one = torch.ones(len(tied), dtype=torch.float64)
        uses = matrix(
            torch.cat([rows, rows]),
            torch.cat([tied, count + place[layer[tied], option[tied]]]),
            torch.cat([one, -one]),
            len(tied),
        )
        rules.append(optimize.LinearConstraint(uses, ub=0))
        several = matrix(
            flags[:, 0],
            count + torch.arange(len(flags)),
            torch.ones(len(flags), dtype=torch.float64),
            layers,
        )
        rules.append(optimize.LinearConstraint(several, ub=program.distinct))
    losses = torch.cat(
        [program.loss[layer, head, option] / scale, torch.zeros(len(flags), dtype=torch.float64)]
    )
    found = optimize.milp(
        losses.numpy(),
        integrality=[1] * total,
        bounds=optimize.Bounds(0, 1),
        constraints=rules,
        options={"time_limit": max(0.1, seconds), "mip_rel_gap": gap},
    )
    low = found.mip_dual_bound
    bound = -float("inf") if low is None else float(low) * scale
    if found.x is None:
        return None, bound
    share = torch.full((layers, heads, options), -1.0, dtype=torch.float64)
    share[layer, head, option] = torch.from_numpy(found.x[:count])
    return share.argmax(2), bound


def _columns(program: Program, pool: Pool) -> tuple[float, Tensor, Tensor, Tensor]:
    """Scale; layer `[C]`, loss ÷ scale `[C]` and cost `[budgets, C]` of each known row."""
    layers = torch.tensor([layer for layer, _ in pool.rows])
    rows = torch.stack(list(pool.rows.values()))  # [C, heads]
    scale = _scale(program)
    at = layers[:, None], torch.arange(rows.shape[1]), rows  # [C, heads]
    losses = program.loss[at].sum(1) / scale
    costs = torch.stack([row[at].sum(1) for row in program.cost])
    return scale, layers, losses, costs


def _scale(program: Program) -> float:
    """The largest loss of a layer, a number of its own order."""
    return max(float(program.loss.abs().amax(2).sum(1).max()), 1e-300)


def _scipy() -> tuple[Any, Any]:
    try:
        from scipy import optimize, sparse
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "scipy":
            raise
        raise ModuleNotFoundError(
            'this needs scipy, which is not installed; pip install "foveate[tune]"', name="scipy"
        ) from None
    return optimize, sparse
