"""Cubes: where each token goes, which cube wastes least, and calls that have no meaning."""

from __future__ import annotations

from math import prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foveate import VSA, attention, gated_attention
from foveate.attn.layouts.cubes import Cubes, choose_cube, pool

GOLDEN = {  # grid: cubes along each axis, tokens, slots
    (5, 9, 10): ((2, 3, 3), 450, 1152),
    (21, 30, 52): ((6, 8, 13), 32760, 39936),
    (21, 45, 80): ((6, 12, 20), 75600, 92160),
    (16, 28, 52): ((4, 7, 13), 23296, 23296),
    (20, 48, 80): ((5, 12, 20), 76800, 76800),
    (16, 32, 32): ((4, 8, 8), 16384, 16384),
}


@pytest.mark.parametrize("grid", GOLDEN, ids=str)
def test_golden_sizes(grid):
    cubes = Cubes(grid, (4, 4, 4))
    assert (cubes.parts, cubes.tokens, cubes.slots) == GOLDEN[grid]
    assert cubes.number == prod(GOLDEN[grid][0])
    assert cubes.exact == (cubes.tokens == cubes.slots)


def test_golden_cubes_of_an_odd_grid():
    sizes = [64, 64, 32, 64, 64, 32, 16, 16, 8, 16, 16, 8, 16, 16, 8, 4, 4, 2]
    cubes = Cubes((5, 9, 10), (4, 4, 4))
    assert cubes.sizes().tolist() == sizes
    filled = cubes.filled().view(18, 64)
    assert filled.sum(1).tolist() == sizes
    assert all(bool(row[:n].all()) for row, n in zip(filled, sizes, strict=True))  # at the front
    places = cubes.places().view(5, 9, 10)
    assert places[0, 0, :5].tolist() == [0, 1, 2, 3, 64]
    assert places[0, 1, 0] == 4
    assert places[1, 0, 0] == 16
    assert places[0, 0, 8:].tolist() == [128, 129]
    assert places[0, 1, 8] == 130  # packed: this cube is 4 × 4 × 2
    assert places[4, 8, 8:].tolist() == [17 * 64, 17 * 64 + 1]


def test_balanced_parts():
    cubes = Cubes((21, 8), (4, 4), balanced=True)
    assert cubes.lengths(0) == [4, 4, 4, 3, 3, 3]
    assert cubes.lengths(1) == [4, 4]
    assert cubes.sizes().view(6, 2)[:, 0].tolist() == [16, 16, 16, 12, 12, 12]
    assert Cubes((21, 8), (4, 4)).lengths(0) == [4, 4, 4, 4, 4, 1]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 5)), min_size=1, max_size=3),
    st.booleans(),
)
def test_there_and_back(axes, balanced):
    cubes = Cubes(tuple(n for n, _ in axes), tuple(c for _, c in axes), balanced)
    sizes, places = cubes.sizes(), cubes.places()
    assert int(sizes.sum()) == cubes.tokens
    assert int(sizes.min()) >= 1
    assert len(places.unique()) == cubes.tokens
    x = torch.randn(2, 1, cubes.tokens, 3)
    tiled = cubes.tile(x)
    assert tiled.shape == (2, 1, cubes.slots, 3)
    assert torch.equal(cubes.untile(tiled), x)
    assert not tiled[:, :, ~cubes.filled()].any()
    means = pool(tiled, sizes, cubes.volume)
    number = places // cubes.volume
    expected = torch.stack([x[:, :, number == n].mean(2) for n in range(cubes.number)], 2)
    torch.testing.assert_close(means, expected)
    assert torch.equal(cubes.lift(means), means[:, :, number])


def test_the_cube_that_wastes_least():
    assert choose_cube((16, 28, 52)) == (4, 4, 4)
    assert choose_cube((1, 32, 56)) == (1, 8, 8)  # an image
    assert choose_cube((1, 30, 52)) == (1, 16, 4)
    assert choose_cube((32, 56), 64) == (8, 8)
    for grid in ((21, 30, 52), (21, 45, 80), (5, 9, 10), (3, 7, 100)):
        cube = choose_cube(grid)
        assert prod(cube) == 64
        assert max(cube) <= 4 * min(cube)
        assert Cubes(grid, cube).slots <= Cubes(grid, (4, 4, 4)).slots
    assert Cubes((21, 30, 52), choose_cube((21, 30, 52))).slots == 36608  # of 39936 with 4 × 4 × 4
    assert choose_cube((21, 30, 52), aspect=1) == (4, 4, 4)
    assert VSA((21, 30, 52), cube=64).cube == choose_cube((21, 30, 52))
    with pytest.raises(ValueError, match="aspect is 1, but every cube of 8 tokens in 2 axes"):
        choose_cube((9, 9), 8, aspect=1)


def call(**options):
    tokens, dtype = options.pop("tokens", 450), options.pop("dtype", torch.float32)
    gates = {x: options.pop(x) for x in ("coarse_gate", "fine_gate") if x in options}
    others = {x: options.pop(x) for x in ("causal", "mask") if x in options}
    select = VSA(**{"grid": (5, 9, 10), "keep": 4, **options})
    q = torch.ones(1, 2, tokens, 16, dtype=dtype)
    if gates:
        gates = {name.removesuffix("_gate"): x for name, x in gates.items()}
        return gated_attention(q, q, q, select=select, **{"coarse": 0, **gates})
    return attention(q, q, q, select=select, **others)


BAD = {
    "tokens": ({"tokens": 451}, ValueError, "q has 451 tokens, but VSA.grid (5, 9, 10) holds 450"),
    "keep": ({"keep": 19}, ValueError, "more than the 18 cubes of 4×4×4 in a grid of 5×9×10"),
    "no keep": ({"keep": 0}, ValueError, "VSA.keep is 0; expected an int of at least 1"),
    "share": ({"keep": 1.5}, ValueError, "VSA.keep is 1.5"),
    "axes": ({"cube": (4, 4)}, ValueError, "VSA.cube has 2 axes, the grid 3"),
    "axes of keys": ({"kv_grid": (4, 4)}, ValueError, "VSA.cube has 3 axes, the grid 2"),
    "grid": ({"grid": (5, 0, 10)}, ValueError, "VSA.grid is (5, 0, 10)"),
    "coarse": ({"coarse": (1, 2, 3)}, ValueError, "VSA.coarse has 3 values; expected one"),
    "own": ({"own": True, "kv_grid": (4, 9, 10)}, ValueError, "VSA.own is set and the keys"),
    "own type": ({"own": 1}, TypeError, "VSA.own is 1; expected True or False"),
    "mass": ({"mass": 0.0}, ValueError, "VSA.mass is 0.0"),
    "masses": ({"mass": (0.5, 0.5)}, ValueError, "expected one share for all heads"),
    "causal": ({"causal": True}, ValueError, "VSA is set and causal=True"),
    "masked": ({"mask": torch.ones(450, 450, dtype=torch.bool)}, ValueError, "a mask is given"),
    "integers": ({"dtype": torch.int32}, TypeError, "int32"),
    "integer gates": (
        {"coarse_gate": torch.ones(450, 16, dtype=torch.int32)},
        TypeError,
        "coarse has dtype int32; expected a float dtype",
    ),
    "gate shape": (
        {"fine_gate": torch.ones(1, 3, 450, 16)},
        ValueError,
        "fine has shape [1, 3, 450, 16]; expected one that broadcasts to [B, Hq, Lq, Dv]",
    ),
    "no gate": ({"coarse_gate": None}, TypeError, "coarse is None; expected a tensor"),
    "gates of heads": ({"coarse_gate": (1.0,)}, ValueError, "coarse has 1 values; expected one"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("training", [False, True], ids=["frozen", "training"])
def test_what_has_no_meaning_is_refused(name, training, monkeypatch):
    options, error, words = BAD[name]
    if training and name != "integers":
        ones = torch.ones
        monkeypatch.setattr(
            torch,
            "ones",
            lambda *shape, dtype: ones(*shape, dtype=dtype, requires_grad=True),
        )
    with pytest.raises(error) as caught:
        call(**options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_selections_take_no_gates():
    q = torch.ones(1, 2, 64, 16)
    with pytest.raises(TypeError, match="select is str; expected a VSA"):
        gated_attention(q, q, q, select="topk", coarse=0)
