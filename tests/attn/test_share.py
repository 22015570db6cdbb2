"""The share rule: which blocks have their share, and that nothing collects more mass."""

from __future__ import annotations

import pytest
import torch

from foveate import Sparge, XAttention, attention, plan
from foveate.attn.layouts.blocks import BlockLayout
from foveate.attn.layouts.budget import Budget, choose
from foveate.attn.layouts.convert import to_dense


def visits(scores, budget, allowed=None, kept=None):
    nq, nk = scores.shape[-2:]
    everything = torch.ones(1, nq, nk, dtype=torch.bool)
    allowed = everything if allowed is None else allowed
    kept = ~everything if kept is None else kept
    return to_dense(BlockLayout(*choose(scores, budget, allowed, kept), (1, 1), (nq, nk)))[0]


def test_a_block_is_visited_when_it_has_its_share():
    scores = torch.tensor([[[[0.5, 0.3, 0.1, 0.06, 0.04]]]])
    for share, expected in ((0.5, "10000"), (0.3, "11000"), (0.06, "11110"), (0.0, "11111")):
        found = visits(scores, Budget(share=share))[0, 0]
        assert "".join("01"[int(x)] for x in found) == expected
    # shares are of the row's total, whatever that is
    assert visits(7 * scores, Budget(share=0.3))[0, 0].tolist() == [True, True, False, False, False]


def test_kept_blocks_are_added_and_no_row_is_empty():
    scores = torch.tensor([[[[0.5, 0.3, 0.2], [0.0, 0.0, 0.0], [0.4, 0.3, 0.3]]]])
    kept = torch.tensor([[[False, False, True], [False, True, False], [False] * 3]])
    found = visits(scores, Budget(share=0.9), kept=kept)[0]
    assert found.tolist() == [[False, False, True], [False, True, False], [True, False, False]]
    least = visits(scores, Budget(share=0.9, at_least=2), kept=kept)[0]
    assert least.tolist() == [[True, True, True], [False, True, False], [True, True, False]]


def test_what_is_not_allowed_has_no_part():
    scores = torch.tensor([[[[0.9, 0.06, 0.04]]]])
    allowed = torch.tensor([[[False, True, True]]])
    assert visits(scores, Budget(share=0.5), allowed)[0, 0].tolist() == [False, True, False]


def test_heads_may_have_shares_of_their_own():
    scores = torch.tensor([0.6, 0.4]).expand(1, 2, 1, 2)
    found = visits(scores, Budget(share=(0.5, 0.3)))
    assert found[:, 0].tolist() == [[True, False], [True, True]]
    with pytest.raises(ValueError, match="budget has 3 values"):
        visits(scores, Budget(share=(0.1, 0.2, 0.3)))


def test_no_rule_collects_more_mass_with_as_many_blocks():
    g = torch.Generator().manual_seed(0)
    scores = (4 * torch.randn(1, 3, 40, 60, generator=g)).softmax(-1)
    found = visits(scores, Budget(share=0.01))
    collected = scores[0][found].sum()
    for budget in (
        *(Budget(mass=m / 50) for m in range(1, 50)),
        *(Budget(count=c) for c in range(1, 40)),
    ):
        other = visits(scores, budget)
        if other.sum() <= found.sum():
            assert scores[0][other].sum() <= collected + 1e-5


@pytest.mark.parametrize("kind", [Sparge, XAttention])
def test_selections_take_a_share(kind):
    g = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, 4, 1024, 64, generator=g) for _ in range(3))
    q = 30 * q  # or all blocks would be much alike
    densities = []
    for share in (0.4, 0.12, 0.02):
        decided = plan(q, k, v, select=kind(share=share), causal=True)
        densities.append(decided.layout(q, k).density())
    assert densities[0] < densities[1] < densities[2]
    exact = attention(q, k, v, causal=True, precision="native")
    found = attention(q, k, v, select=kind(share=1e-30), causal=True, precision="native")
    assert torch.allclose(found, exact, atol=1e-5)
    assert kind(share=0.1).more().share == 0.05


@pytest.mark.parametrize("kind", [Sparge, XAttention])
def test_one_knob_at_a_time(kind):
    with pytest.raises(ValueError, match=r"share = 0\.1 beside"):
        kind(share=0.1, threshold=0.9)
    with pytest.raises(ValueError, match="share is 0; expected a share above 0"):
        kind(share=0)
    with pytest.raises(ValueError, match="none of mass, count and share"):
        Budget()
    with pytest.raises(ValueError, match="has mass and share; expected exactly one"):
        Budget(mass=0.5, share=0.1)


def test_group_shares_the_smallest():
    g = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, h, 1024, 64, generator=g) for h in (4, 2, 2))

    def layout(share):
        select = XAttention(share=share, group="mean")
        return plan(q, k, v, select=select, causal=True).layout(q, k).to_dense()[0]

    found = layout((0.9, 0.05, 0.1, 0.9))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[:2], layout(0.05)[:2])
    assert torch.equal(found[2:], layout(0.1)[2:])
