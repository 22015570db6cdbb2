"""Programs with several budgets and few options a layer: feasible, near the bound, and quick."""

from __future__ import annotations

import itertools

import pytest
import torch

from foveate.tune.allocate import allocate
from foveate.tune.program import METHODS, Pool, Program, solve

pytest.importorskip("scipy", reason="pip install scipy")


def made(layers, heads, options, budgets, distinct, seed, tight=0.5):
    """A random program in which more cost means less loss, as for spans."""
    g = torch.Generator().manual_seed(seed)
    level = torch.linspace(0.05, 1, options).double()
    steep = torch.rand(layers, heads, 1, generator=g).double() * 6 + 0.5
    loss = torch.exp(-steep * 3 * level) * torch.rand(layers, heads, 1, generator=g).double()
    loss = loss + 0.02 * torch.rand(layers, heads, options, generator=g)
    cost = level ** (0.5 + torch.rand(budgets, 1, 1, 1, generator=g).double())
    cost = cost * (1 + 0.1 * torch.rand(budgets, 1, 1, options, generator=g))
    bound = torch.full((budgets,), tight * layers * heads)
    return Program(loss, cost, bound, distinct)


def brute_force(program):
    """The least loss of everything that is allowed."""
    layers, heads, options = program.loss.shape
    best = float("inf")
    for flat in itertools.product(range(options), repeat=layers * heads):
        choice = torch.tensor(flat).view(layers, heads)
        if program.allows(choice):
            best = min(best, program.total(choice))
    return best


@pytest.mark.parametrize("distinct", [1, 2, None])
@pytest.mark.parametrize("seed", range(3))
def test_small_programs_as_by_brute_force(distinct, seed):
    program = made(2, 3, 4, 2, distinct, seed)
    least = brute_force(program)
    exact = solve(program, "exact")
    assert exact.loss == pytest.approx(least, rel=1e-6)
    assert exact.bound <= least + 1e-9
    assert program.allows(exact.choice)
    relaxed = solve(program, "lagrange")
    assert program.allows(relaxed.choice)
    assert relaxed.bound <= least + 1e-9 <= relaxed.loss + 2e-9


@pytest.mark.parametrize("distinct", [1, 2, None])
def test_the_relaxation_is_near_what_highs_proves_best(distinct):
    program = made(6, 6, 8, 3, distinct, seed=5)
    exact, relaxed = solve(program, "exact", gap=1e-6), solve(program, "lagrange")
    assert relaxed.bound <= exact.loss * (1 + 1e-9)
    assert relaxed.loss <= exact.loss * 1.01
    assert relaxed.loss >= exact.bound - 1e-9


@pytest.mark.parametrize("method", METHODS)
def test_never_worse_than_one_option_for_all(method):
    program = made(4, 4, 6, 2, 2, seed=7)
    found = solve(program, method)
    for option in range(6):
        single = torch.full((4, 4), option)
        if program.allows(single):
            assert found.loss <= program.total(single)
    assert program.allows(found.choice)
    torch.testing.assert_close(found.cost, program.spent(found.choice))
    assert found.loss == pytest.approx(program.total(found.choice))
    assert all(len(row.unique()) <= 2 for row in found.choice)


def test_one_budget_without_limits_is_a_knapsack():
    program = made(5, 4, 6, 1, None, seed=2)
    found = solve(program)
    best = allocate(program.cost[0].reshape(20, 6), program.loss.reshape(20, 6), 10.0)
    assert found.method == "knapsack"
    assert found.loss == pytest.approx(best.loss)


def test_losses_below_zero_and_budgets_from_below():
    """Signed losses may be gains, and the original asks for a least density, too."""
    program = made(3, 4, 5, 1, 2, seed=4)
    cost = torch.cat([program.cost, -program.cost])
    bound = torch.tensor([8.0, -7.2])
    program = Program(program.loss - 0.3, cost, bound, 2)
    found = [solve(program, method) for method in ("exact", "lagrange")]
    for one in found:
        assert program.allows(one.choice)
        assert 7.2 - 1e-9 <= float(one.cost[0]) <= 8.0 + 1e-9
    assert found[1].loss == pytest.approx(found[0].loss, abs=0.05)


def test_a_pool_serves_the_next_program():
    pool = Pool()
    first = made(6, 8, 8, 2, 2, seed=1)
    solve(first, "lagrange", pool=pool)
    met = len(pool.rows)
    tighter = Program(first.loss, first.cost, first.bound * 0.9, 2)
    with_pool, alone = solve(tighter, "lagrange", pool=pool), solve(tighter, "lagrange")
    assert len(pool.rows) >= met > 0
    assert with_pool.loss == pytest.approx(alone.loss, rel=5e-3)


@pytest.mark.parametrize(("layers", "heads", "limit"), [(32, 32, 30), (80, 64, 120)])
def test_large_programs_are_quick_and_near_their_bound(layers, heads, limit):
    torch.set_num_threads(1)
    program = made(layers, heads, 48, 4, 2, seed=0)
    found = solve(program, seconds=25)
    assert program.allows(found.choice)
    assert found.gap < 2e-3
    assert found.seconds < limit  # seconds on idle cores; the limit allows for busy ones


def test_bad_input_is_named():
    loss = torch.rand(2, 3, 4)
    with pytest.raises(ValueError, match=r"budget 1 is 0.1; the cheapest options alone cost 6"):
        solve(Program(loss, torch.ones(2, 1, 1, 4), torch.tensor([10.0, 0.1])))
    with pytest.raises(ValueError, match=r"cost has shape \[2, 1, 1, 5\]"):
        Program(loss, torch.ones(2, 1, 1, 5), torch.ones(2))
    with pytest.raises(ValueError, match="distinct is 3"):
        Program(loss, torch.ones(1, 1, 1, 4), torch.ones(1), 3)
    with pytest.raises(ValueError, match="NaN or infinity"):
        Program(loss / 0, torch.ones(1, 1, 1, 4), torch.ones(1))
    with pytest.raises(ValueError, match=r"loss has shape \[3, 4\]"):
        Program(loss[0], torch.ones(1, 1, 1, 4), torch.ones(1))
    with pytest.raises(ValueError, match='method is "gurobi"'):
        solve(Program(loss, torch.ones(1, 1, 1, 4), torch.tensor([9.0])), "gurobi")
    # each budget can be kept, but not both together
    split = torch.tensor([[1.0, 0.0], [0.0, 1.0]])[:, None, None]
    both = Program(torch.rand(1, 1, 2), split, torch.tensor([0.5, 0.5]), 2)
    with pytest.raises(ValueError, match="no choice within all 2 budgets was found"):
        solve(both)
