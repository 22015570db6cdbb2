"""Allocation: exact on small problems, proven near the bound on large ones."""

from __future__ import annotations

import itertools

import pytest
import torch

from foveate.tune.allocate import allocate


def brute_force(cost, loss, budget):
    """The least loss of all choices within the budget."""
    best = float("inf")
    for choice in itertools.product(*(range(len(row)) for row in cost)):
        spent = sum(row[x] for row, x in zip(cost, choice, strict=True))
        if spent <= budget + 1e-12:
            best = min(best, sum(row[x] for row, x in zip(loss, choice, strict=True)))
    return best


@pytest.mark.parametrize("seed", range(40))
def test_four_heads_with_four_levels_as_by_brute_force(seed):
    torch.manual_seed(seed)
    cost, loss = torch.rand(4, 4).tolist(), torch.rand(4, 4).tolist()
    low = sum(min(row) for row in cost)
    budget = low + float(torch.rand(())) * (4 - low)
    found = allocate(cost, loss, budget)
    assert found.loss == pytest.approx(brute_force(cost, loss, budget), abs=1e-12)
    assert found.cost <= budget + 1e-9
    assert found.loss == pytest.approx(
        sum(row[x] for row, x in zip(loss, found.choice, strict=True))
    )
    assert found.gap == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_whole_numbers_with_many_ties_as_by_brute_force(seed):
    torch.manual_seed(seed)
    cost, loss = torch.randint(0, 4, (5, 4)).tolist(), torch.randint(0, 4, (5, 4)).tolist()
    for budget in range(sum(min(row) for row in cost), 15):
        assert allocate(cost, loss, budget).loss == brute_force(cost, loss, budget)


def test_rows_of_different_lengths():
    found = allocate([[1, 2, 3], [5], [1, 4]], [[9, 4, 1], [7], [3, 0]], 9)
    assert found.choice == (2, 0, 0)
    assert (found.cost, found.loss) == (9, 11)


def test_exchanged_roles_give_the_least_cost_for_a_bound_on_the_loss():
    torch.manual_seed(3)
    cost, loss = torch.rand(4, 4).tolist(), torch.rand(4, 4).tolist()
    found = allocate(loss, cost, 1.5)
    assert found.loss == pytest.approx(brute_force(loss, cost, 1.5))


def test_hundreds_of_heads_are_settled_with_a_small_gap():
    torch.manual_seed(0)
    level = torch.linspace(0.05, 1, 24).double()
    steep = torch.rand(270, 1).double() * 6 + 1
    cost = (level ** (torch.rand(270, 1).double() + 0.5)).clamp(max=1)
    loss = (1 - level) ** 2 * steep + 0.01 * torch.rand(270, 24)
    found = allocate(cost, loss, 0.4 * 270)
    assert found.cost <= 108
    assert found.gap <= 1e-3 * found.loss
    even = [(loss[:, x].sum().item()) for x in range(24) if cost[:, x].sum() <= 108]
    assert found.loss < 0.9 * min(even)  # one level for all is clearly worse


def test_a_budget_above_everything_takes_the_least_losses():
    cost, loss = [[1.0, 2.0], [3.0, 1.0]], [[5.0, 0.0], [2.0, 2.0]]
    found = allocate(cost, loss, 100)
    assert found.choice == (1, 1)  # equal losses: the cheaper one
    assert found.gap == 0


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"cheapest options alone cost 3, so expected at least"):
        allocate([[1, 2], [2, 3]], [[1, 0], [1, 0]], 2.5)
    with pytest.raises(ValueError, match=r"cost has shape \[1, 2\], loss \[1, 3\]"):
        allocate([[1, 2]], [[1, 2, 3]], 4)
    with pytest.raises(ValueError, match="NaN or an item without options"):
        allocate([[1, float("nan")]], [[1, 2]], 4)
