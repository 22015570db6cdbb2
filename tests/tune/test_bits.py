"""Bits for each layer, and thresholds under a budget at every length."""

from __future__ import annotations

import itertools
import json

import pytest
import torch

from foveate import Native, accelerate
from foveate.attn.precision import Sage2
from foveate.tune import ProfileError
from foveate.tune.bits import Policy, choose, similarity
from foveate.tune.search import Table
from foveate.tune.several import spend_at

MODES = ("sage2(qk_bits=4)", "sage2", "native")


def made(layers=6, inputs=3, seed=0):
    """Similarities that rise with the bits, some layers harder than others."""
    g = torch.Generator().manual_seed(seed)
    hard = torch.rand(layers, 1, generator=g).double() * 0.2
    easy = torch.tensor([1.0, 0.15, 0.001], dtype=torch.float64)
    noise = 1e-3 * torch.rand(inputs, layers, 3, generator=g)
    return 1 - hard * easy - noise * easy


@pytest.mark.parametrize("budget", [4, 5.5, 8, 12])
def test_a_budget_is_spent_as_by_brute_force(budget):
    x, cost = made(), (4, 8, 16)
    policy = choose(x, MODES, cost, budget=budget)
    loss = 1 - (x.mean(0) - x.std(0))
    best = min(
        sum(float(loss[layer, mode]) for layer, mode in enumerate(row))
        for row in itertools.product(range(3), repeat=6)
        if sum(cost[mode] for mode in row) <= budget * 6
    )
    got = sum(float(loss[layer, row[0]]) for layer, row in enumerate(policy.layers))
    assert got == pytest.approx(best, abs=1e-12)
    assert policy.notes["cost"] <= budget


def test_a_floor_takes_the_cheapest_that_reaches_it():
    score = torch.tensor([[0.99, 0.995, 1.0], [0.9, 0.98, 1.0], [0.5, 0.7, 0.9]])
    policy = choose(score[None], MODES, (4, 8, 16), floor=0.97)
    assert policy.layers == ((0,), (1,), (2,))  # the last reaches it nowhere: its best
    # the spread over inputs counts: one bad input makes a layer dearer
    shaky = torch.stack([score, score])
    shaky[1, 0, 0] = 0.95
    assert choose(shaky, MODES, (4, 8, 16), floor=0.96, spread=0).layers[0] == (0,)
    assert choose(shaky, MODES, (4, 8, 16), floor=0.96, spread=1).layers[0] == (1,)


def test_steps_have_ranges_and_files_come_back(tmp_path):
    x = torch.ones(1, 2, 5, 3)
    x[0, 0, 0, 0] = 0.5  # the first step of layer 0 needs more
    x[0, 1, 4, :2] = 0.5  # and the last of layer 1 needs everything
    policy = choose(x, MODES, (4, 8, 16), floor=0.9)
    assert policy.layers == ((1, 0, 0, 0, 0), (0, 0, 0, 0, 2))
    policy.save(tmp_path / "p.json")
    again = Policy.load(tmp_path / "p.json")
    assert (again.modes, again.layers) == (policy.modes, policy.layers)
    row = json.loads((tmp_path / "p.json").read_text())["layers"][0]
    assert row == [
        {"steps": [0, 0], "precision": "sage2"},
        {"steps": [1, 4], "precision": "sage2(qk_bits=4)"},
    ]
    assert again.precisions(0) == ("sage2", Sage2(qk_bits=4))
    assert again.precisions(4) == (Sage2(qk_bits=4), "native")


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"format": "x"}', '{"format": "foveate precisions", "version": 1, "modes": []}'],
)
def test_a_damaged_file_is_refused(text, tmp_path):
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(ProfileError, match=r"p\.json\" cannot be read"):
        Policy.load(tmp_path / "p.json")


@torch.inference_mode()
def test_layers_of_a_model_are_judged_and_get_their_precision(tiny, tokens):
    torch.set_num_threads(1)
    model = tiny()
    found = similarity(model, [(0, tokens[:, :200]), (9, tokens[:, 200:400])], MODES)
    assert found.shape == (2, 2, 3)
    assert bool((found[..., 0] < found[..., 1]).all())
    assert bool((found[..., 2] > 0.9999).all())
    policy = choose(found, MODES, (4, 8, 16), floor=0.9999)
    assert policy.precisions() == ("native", "native")
    dense = model(tokens[:, :200]).logits
    with accelerate(model, precision=policy.precisions()):
        torch.testing.assert_close(model(tokens[:, :200]).logits, dense, rtol=1e-4, atol=1e-4)
    with accelerate(model, precision=(Native(), "sage2")):
        mixed = model(tokens[:, :200]).logits
    assert float((mixed - dense).abs().max()) > 1e-4
    with pytest.raises(ValueError, match="precision has 3 precisions; expected one, or one for"):
        accelerate(model, precision=("native",) * 3)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="exactly one of budget and floor"):
        choose(made(), MODES, (4, 8, 16))
    with pytest.raises(ValueError, match=r"similarities has shape \[3, 6, 3\].* with 2 modes"):
        choose(made(), MODES[:2], (4, 8), budget=6)
    with pytest.raises(ValueError, match="the cheapest options alone cost"):
        choose(made(), MODES, (4, 8, 16), budget=3)
    with pytest.raises(ProfileError, match="layers differ in their number of steps"):
        Policy(MODES, ((0,), (0, 1)))
    with pytest.raises(ProfileError, match=r"layer 1 has \[7\]; expected numbers below 3"):
        Policy(MODES, ((0,), (7,)))
    with pytest.raises(ValueError, match="step is 2; expected 0 to 0"):
        Policy(MODES, ((0,),)).precisions(2)


def test_thresholds_keep_to_the_density_at_every_length():
    """One budget for all lengths let the short text be denser, for the long one's sake."""
    pytest.importorskip("scipy", reason="pip install scipy")
    g = torch.Generator().manual_seed(0)
    level = torch.linspace(0.1, 1, 8).double()[:, None]

    def table(more):
        steep = 1 + 5 * torch.rand(1, 8, generator=g).double()
        density = (level.expand(8, 8) * more).clamp(max=1)
        return Table((0, 1), density, density, torch.exp(-steep * level), density)

    tables = {1024: table(1.3), 4096: table(0.8)}
    found = spend_at(tables, 0.5)
    assert found.choice.shape == (2, 4)
    assert bool((found.cost / 8 <= 0.5 + 1e-9).all())
    for candidate in range(8):
        at = [candidate] * 8
        if all(t.of(at)["density"] <= 0.5 for t in tables.values()):
            alone = sum(t.of(at)["l1"] for t in tables.values()) / 2
            assert found.loss / 8 <= alone + 1e-9
    with pytest.raises(ValueError, match="density has 3 values; expected one, or 2"):
        spend_at(tables, [0.5, 0.5, 0.5])
    with pytest.raises(ValueError, match="tables differ"):
        spend_at({}, 0.5)
