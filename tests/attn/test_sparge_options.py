"""Sparge's options: protected tokens, orders, and inputs and values that do not fit."""

from __future__ import annotations

import pytest
import torch

from foveate import Hilbert, Sparge, Tiles, attention, plan
from tests.attn.kit import inputs, visited

SMALL = (16, 8)


def test_protected_tokens_are_visited_as_queries_and_as_keys():
    q, k, _ = inputs(1, 1, 1, 96, 128)
    found = visited(Sparge(0.1, protect=((30, 41), (127, 128)), block=SMALL), q, k)[0, 0]
    plain = visited(Sparge(0.1, block=SMALL), q, k)[0, 0]
    assert bool(found[:, [3, 4, 5, 15]].all())
    # query i stands at i + 32, so tokens 32 … 40 are queries 0 … 8, and token 127 is the last
    assert bool(found[[0, 5]].all())
    others = [j for j in range(16) if j not in (3, 4, 5, 15)]
    assert torch.equal(found[1:5][:, others], plain[1:5][:, others])
    sink = visited(Sparge(0.1, sink=True, block=SMALL), q, k)[0, 0]
    assert bool(sink[:, 0].all())
    assert torch.equal(sink[:, 1:], plain[:, 1:])


ORDERS = (Hilbert((4, 6, 8), first=5), Tiles((4, 6, 8), (2, 2, 4), first=5))


@pytest.mark.parametrize("order", ORDERS, ids=["hilbert", "tiles"])
def test_order_is_undone(order):
    q, k, v = inputs(2, 4, 2, 200, 200)
    expected = attention(q, k, v, return_lse=True, precision="native")
    select = Sparge((1.0, 1.0, 1.0, 0.99999), order=order, block=SMALL)  # all but nothing left out
    found = attention(q, k, v, select=select, return_lse=True, precision="native")
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-3, atol=2e-3)
    select = Sparge(0.5, order=order, block=SMALL)
    out, lse = attention(q, k, v, select=select, return_lse=True, precision="native")
    there, back = order.permutation(200), order.inverse(200)
    moved = [x[:, :, there] for x in (q, k, v)]
    other, other_lse = attention(
        *moved, select=Sparge(0.5, block=SMALL), return_lse=True, precision="native"
    )
    torch.testing.assert_close(out, other[:, :, back])
    torch.testing.assert_close(lse, other_lse[:, :, back])


def test_protected_tokens_are_named_in_the_old_order():
    order = Hilbert((8, 16), first=10)
    q, k, _ = inputs(1, 1, 1, 140, 140)
    select = Sparge(0.05, order=order, protect=((0, 10), (20, 21)), block=SMALL)
    moved = [x[:, :, order.permutation(140)] for x in (q, k)]
    found = visited(select, *moved)[0, 0]
    place = int(order.inverse(140)[20])
    assert bool(found[:, [0, 1, place // 8]].all())
    assert bool(found[[0, place // 16]].all())


def test_order_that_has_no_meaning_is_refused():
    q, k, v = inputs(1, 2, 1, 200, 200)
    select = Sparge(order=ORDERS[0], block=SMALL)
    with pytest.raises(ValueError, match=r"Sparge\.order is set and causal=True"):
        attention(q, k, v, select=select, causal=True)
    with pytest.raises(ValueError, match=r"Sparge\.order is set and a mask is given"):
        attention(q, k, v, select=select, mask=torch.ones(200, 200, dtype=torch.bool))
    assert "not the same tokens" in plan(q[:, :, 1:], k, v, select=select).explain()
    short = [x[:, :, :150] for x in (q, k, v)]
    assert "150 tokens do not hold the grid" in plan(*short, select=select).explain()


@pytest.mark.parametrize(
    ("lengths", "words"),
    [
        ((1, 4000), "1 queries do not fill one block of 128"),
        ((100, 100), "100 queries do not fill one block of 128"),
        ((128, 128), "128 keys make 2 blocks of 64, too few to choose from"),
    ],
    ids=str,
)
def test_small_inputs_are_served_dense_and_say_so(lengths, words):
    q, k, v = inputs(1, 2, 1, *lengths)
    made = plan(q, k, v, select="sparge", causal=True)
    assert "served dense instead of Sparge(" in made.explain()
    assert words in made.explain()
    torch.testing.assert_close(made.run(q, k, v), attention(q, k, v, causal=True))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Sparge(0.0), "Sparge.threshold is 0.0; expected a share above 0 and up to 1"),
        (lambda: Sparge(1.01), "Sparge.threshold is 1.01"),
        (lambda: Sparge((0.5, 2.0)), r"Sparge.threshold is \(0.5, 2.0\)"),
        (lambda: Sparge(keep=0), "Sparge.keep is 0; expected an int of at least 1"),
        (lambda: Sparge(keep=1.5), "Sparge.keep is 1.5"),
        (lambda: Sparge(0.9, keep=0.5), "Sparge has keep = 0.5 beside a threshold"),
        (lambda: Sparge(keep=0.5, at_least=2), "Sparge has keep = 0.5 beside a threshold"),
        (lambda: Sparge(similarity="high"), "Sparge.similarity is 'high'; expected a number"),
        (lambda: Sparge(rule="some"), "expected one of 'inclusive', 'exclusive'"),
        (lambda: Sparge(at_least=-1), "Sparge.at_least is -1; expected an int of at least 0"),
        (lambda: Sparge(count_of="none"), "expected one of 'all', 'visible'"),
        (lambda: Sparge(protect=((5, 5),)), r"Sparge.protect is \(\(5, 5\),\); expected ranges"),
        (lambda: Sparge(protect=(0, 77)), r"Sparge.protect is \(0, 77\)"),
        (lambda: Sparge(block=128), "block is 128; expected two positive ints"),
    ],
)
def test_senseless_options_are_refused(make, words):
    with pytest.raises(ValueError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_name_stands_for_the_defaults():
    assert (Sparge().threshold, Sparge().at_least, Sparge().keep) == (0.95, 4, None)
    assert (Sparge(0.95).at_least, Sparge(keep=0.5).at_least) == (0, 0)
    assert Sparge(at_least=2) == Sparge(0.95, at_least=2)
    assert repr(Sparge()) == "Sparge(threshold=0.95, at_least=4)"
    assert repr(Sparge(keep=0.5, skip=20)) == "Sparge(keep=0.5, skip=20.0)"
    assert Sparge(keep=0.5).threshold is None


def test_options_of_the_wrong_kind_are_refused():
    with pytest.raises(TypeError, match=r"Sparge\.smooth_k is 1; expected True or False"):
        Sparge(smooth_k=1)
    with pytest.raises(TypeError, match=r"Sparge\.order is \(4, 4\); expected Hilbert"):
        Sparge(order=(4, 4))
    q, k, v = inputs(1, 4, 2, 300, 300)
    for field in ("threshold", "keep", "similarity"):
        with pytest.raises(ValueError, match=rf"Sparge\.{field} has 2 values; expected one, or"):
            attention(q, k, v, select=Sparge(**{field: (0.5, 0.6)}))


def test_options_travel_through_the_operator():
    from foveate.attn.spelling import read_choice, spell_choice

    for select in (
        Sparge(),
        Sparge(keep=(3, 0.5), similarity=(-1.0, 0.2), protect=((0, 77),), order=ORDERS[0]),
        Sparge((0.9, 0.5), order=ORDERS[1], rule="exclusive", skip=9.0),
    ):
        assert read_choice(spell_choice(select, "auto", "auto"))[0] == select
