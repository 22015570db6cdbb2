"""Orders of tokens: curves without jumps, cubes, and what they do to blocks."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foveate import Hilbert, Tiles
from foveate.attn.backends import backend_named


def steps(order):
    """Distance in the grid from each token to the next, and the tokens in order."""
    sequence = order.sequence()
    places = torch.stack(torch.unravel_index(sequence, order.grid), 1)
    return (places[1:] - places[:-1]).abs().sum(1), sequence


@pytest.mark.parametrize("axes", [1, 2, 3], ids=lambda n: f"{n} axes")
def test_curve_visits_each_token_once_and_never_jumps(axes):
    for grid in itertools.product(range(1, 8), repeat=axes):
        moves, sequence = steps(Hilbert(grid))
        assert sequence.sort().values.equal(torch.arange(len(sequence)))
        assert len(moves) == 0 or int(moves.max()) == 1, grid


@settings(deadline=None, max_examples=25)
@given(grid=st.tuples(*[st.integers(1, 40)] * 2, st.integers(1, 20)))
def test_curve_never_jumps_in_larger_boxes(grid):
    moves, sequence = steps(Hilbert(grid))
    assert sequence.sort().values.equal(torch.arange(len(sequence)))
    assert len(moves) == 0 or int(moves.max()) == 1


def test_cubes_are_visited_whole():
    order = Tiles((4, 5, 6), (2, 2, 3))
    sequence = order.sequence()
    assert sequence.sort().values.equal(torch.arange(120))
    places = torch.stack(torch.unravel_index(sequence, order.grid), 1)
    cubes = [tuple(c) for c in (places // torch.tensor([2, 2, 3])).tolist()]
    changes = [a for a, b in itertools.pairwise(cubes) if a != b]
    assert len(changes) + 1 == len(set(cubes)) == 2 * 3 * 2
    assert places[:12].tolist() == [[t, y, x] for t in range(2) for y in range(2) for x in range(3)]


@pytest.mark.parametrize("order", [Hilbert((3, 4, 5), first=7), Tiles((3, 4, 5), first=7)], ids=str)
def test_permutation_has_an_inverse_and_leaves_the_text_alone(order):
    there, back = order.permutation(80), order.inverse(80)
    x = torch.arange(80)
    assert torch.equal(x[there][back], x)
    assert there[:7].tolist() == list(range(7))
    assert there[67:].tolist() == list(range(67, 80))
    assert there is Hilbert.permutation(order, 80)  # made once


def test_blocks_along_the_curve_are_more_alike_than_rows():
    # a smooth field on a video's grid: neighbours in space and time are similar
    grid = (8, 16, 16)
    t, y, x = (torch.linspace(0, 1, n) for n in grid)
    field = torch.stack(
        [
            torch.sin(7 * t.view(-1, 1, 1) * f + 6 * y.view(-1, 1) + 5 * x * f + f)
            + torch.cos(9 * y.view(-1, 1) * x * f + f)
            for f in torch.linspace(0.3, 3, 16)
        ],
        -1,
    ).view(1, 1, -1, 16)

    def likeness(x):
        return float(backend_named("reference").block_means(x, 64, likeness=True)[1].mean())

    rows = likeness(field)
    for order in (Hilbert(grid), Tiles(grid, (4, 4, 4))):
        assert likeness(field[:, :, order.permutation(field.shape[2])]) > rows + 0.05


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Hilbert(()), r"Hilbert.grid is \(\); expected the lengths of the axes"),
        (lambda: Hilbert((2, 0)), r"Hilbert.grid is \(2, 0\)"),
        (lambda: Hilbert(64), "Hilbert.grid is 64"),
        (lambda: Hilbert((2, 2), first=-1), "Hilbert.first is -1; expected an int of at least 0"),
        (lambda: Tiles((2, 2, 2), (1, 1)), "Tiles.cube has 2 axes, the grid 3"),
        (lambda: Tiles((2, 2), (1, 1.5)), "Tiles.cube is"),
        (lambda: Hilbert((4, 4)).permutation(15), "ends at token 16, but there are 15"),
    ],
)
def test_senseless_orders_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
