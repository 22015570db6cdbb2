"""True block mass of a head, and what selections visit of it."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("transformers", reason='pip install "foveate[models]"')

from foveate import Dense, Sparge, TopK, XAttention
from foveate.measure.block_mass import block_mass


@pytest.fixture
def tokens():
    return torch.randint(3, 101, (1, 1100), generator=torch.Generator().manual_seed(1))


def test_mass_is_a_causal_distribution_and_dense_keeps_all(tiny, tokens):
    found = block_mass(tiny(), tokens, {"dense": Dense()}, layer=1)
    mass = torch.tensor(found["mass"])
    assert found["tokens"] == 1024
    assert mass.shape == (16, 16)
    assert torch.allclose(mass.sum(-1), torch.ones(16), atol=1e-3)
    assert mass.triu(1).abs().max() == 0
    way = found["ways"][0]
    assert (way["density"], way["layer_density"]) == (1, 1)
    assert way["retained"] == pytest.approx(1, abs=1e-4)


def test_visits_are_those_of_the_selection(tiny, tokens):
    ways = {
        "sparge": Sparge(threshold=0.6),
        "xattention": XAttention(threshold=0.6),
        "one block": TopK(1),
        "by layer": (None, TopK(1)),
    }
    found = block_mass(tiny(), tokens, ways, layer=1)
    records = {way["label"]: way for way in found["ways"]}
    mass = torch.tensor(found["mass"])
    for way in records.values():
        visits = torch.tensor([[x == "1" for x in row] for row in way["visits"]])
        assert not visits.triu(1).any()
        assert visits.diagonal().all()
        assert way["density"] == pytest.approx(int(visits.sum()) / 136)
        assert way["retained"] == pytest.approx(float((mass * visits).sum() / 16), abs=1e-4)
        assert way["density"] < 1
    assert records["by layer"]["visits"] == records["one block"]["visits"]


def test_blocks_that_are_no_cells_are_refused(tiny, tokens):
    with pytest.raises(ValueError, match=r"blocks of \(96, 96\); expected multiples of 64"):
        block_mass(tiny(), tokens, {"odd": TopK(2, block=(96, 96))}, layer=1)
