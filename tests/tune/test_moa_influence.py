"""Influence: what hiding keys does to the loss, held to doing it."""

from __future__ import annotations

import pytest
import torch

from foveate.tune.moa.gradients import backward
from foveate.tune.moa.influence import SCORES, influence, window_losses

HEADS, KV_HEADS, LENGTH, DIM, BLOCK = 4, 2, 50, 8, 8
BLOCKS = -(-LENGTH // BLOCK)


@pytest.fixture
def case():
    """q, k, v and dL/dO of one layer in float64, K and V repeated, and the exact A and O."""
    g = torch.Generator().manual_seed(0)
    q, d_out = (torch.randn(HEADS, LENGTH, DIM, generator=g).double() for _ in range(2))
    k, v = (torch.randn(KV_HEADS, LENGTH, DIM, generator=g).double() for _ in range(2))
    keys, values = (x.repeat_interleave(HEADS // KV_HEADS, 0) for x in (k, v))
    ahead = torch.ones(LENGTH, LENGTH, dtype=torch.bool).triu(1)
    mass = (q @ keys.mT * DIM**-0.5).masked_fill(ahead, float("-inf")).softmax(-1)
    return q, k, v, d_out, values, mass


def removed(mass, values, d_out, visible):
    """dO · (O with only the visible keys − O) of every row, `[H, L]`."""
    kept = mass * visible
    total = kept.sum(-1, keepdim=True)
    kept = torch.where(total > 0, kept / total.clamp(min=1e-300), 0.0)
    return (d_out * (kept @ values - mass @ values)).sum(-1)


def by_blocks(x):
    """Sums over pairs of blocks, `[H, L, L]` → `[H, n, n]`."""
    more = BLOCKS * BLOCK - LENGTH
    x = torch.nn.functional.pad(x, (0, more, 0, more))
    return x.unflatten(-1, (BLOCKS, BLOCK)).sum(-1).unflatten(1, (BLOCKS, BLOCK)).sum(2)


def test_single_pairs_are_worth_what_removing_them_changes(case):
    q, k, v, d_out, values, mass = case
    found = influence(q, k, v, d_out, DIM**-0.5, BLOCK)
    change = torch.zeros_like(mass)
    for j in range(LENGTH):
        change[..., j] = removed(mass, values, d_out, torch.arange(LENGTH) != j)
    torch.testing.assert_close(found.signed, by_blocks(change), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found.abs, by_blocks(change.abs()), rtol=1e-10, atol=1e-12)


def test_the_first_row_loses_all_it_has(case):
    # it has one key: nothing is left to take over its mass, and its output becomes 0
    q, k, v, d_out, values, _ = case
    found = influence(q, k, v, d_out, DIM**-0.5, block=1)
    expected = -(d_out[:, 0] * values[:, 0]).sum(-1)
    torch.testing.assert_close(found.signed[:, 0, 0], expected)


@pytest.mark.parametrize("sink", [0, 1, 2])
def test_windows_jointly_are_worth_what_hiding_the_rest_changes(case, sink):
    q, k, v, d_out, values, mass = case
    found = influence(q, k, v, d_out, DIM**-0.5, BLOCK, sink)
    joint, signed = found.windows("joint"), found.windows("joint_signed")
    block = torch.arange(LENGTH) // BLOCK
    for width in range(1, BLOCKS + 1):
        seen = (block[:, None] - block < width) | (block < sink)
        change = removed(mass, values, d_out, seen)
        torch.testing.assert_close(signed[:, width], change.sum(1), rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(joint[:, width], change.abs().sum(1), rtol=1e-9, atol=1e-12)
    assert bool((joint[:, BLOCKS - sink :] == 0).all())


def test_the_sum_of_single_pairs_is_not_the_joint_change(case):
    """Why there is a joint score: pairs hidden together share one renormalisation."""
    q, k, v, d_out, _, _ = case
    found = influence(q, k, v, d_out, DIM**-0.5, BLOCK)
    apart, together = found.windows("signed")[:, 1], found.windows("joint_signed")[:, 1]
    assert float((apart - together).abs().max()) > 0.1 * float(together.abs().max())


def test_window_losses_are_what_windows_hide(case):
    blocks = torch.rand(3, 7, 7, generator=torch.Generator().manual_seed(1)).double()
    found = window_losses(blocks, sink=2)
    i, j = torch.arange(7)[:, None], torch.arange(7)
    for width in range(8):
        hidden = (j <= i - width) & (j >= 2) & (j <= i)
        torch.testing.assert_close(found[:, width], (blocks * hidden).sum((1, 2)))


def test_an_unknown_score_is_named(case):
    found = influence(*case[:4], DIM**-0.5, BLOCK)
    with pytest.raises(ValueError, match='score is "sum"; expected one of abs, signed'):
        found.windows("sum")


def test_a_model_hands_over_gradients_of_its_own_loss(tiny, tokens):
    """The gradient of each layer's output, held to a small change of that output."""
    torch.set_num_threads(1)
    model = tiny().double()
    given, answer = tokens[:, :97], torch.zeros(97, dtype=torch.bool)
    answer[80:90] = True
    seen = {}
    loss = backward(
        model, given, answer, lambda layer, q, k, v, d_out, scale: seen.update({layer: d_out})
    )
    assert sorted(seen) == [0, 1]
    assert seen[0].shape == (4, 96, 16)

    def shifted(step):
        """The loss when the first layer's attention output moves by a step."""

        def hook(module, args, kwargs):
            moved = args[0].clone()
            moved += step.transpose(0, 1).reshape(1, 96, 64)
            return (moved,), kwargs

        handle = model.model.layers[0].self_attn.o_proj.register_forward_pre_hook(
            hook, with_kwargs=True
        )
        with torch.no_grad():
            logits = model(given[:, :-1]).logits[0, 79:89]
        handle.remove()
        return float(torch.nn.functional.cross_entropy(logits, given[0, 80:90]))

    assert loss == pytest.approx(shifted(torch.zeros(4, 96, 16).double()), rel=1e-6)
    way = torch.randn(4, 96, 16, generator=torch.Generator().manual_seed(2)).double()
    slope = (shifted(1e-4 * way) - shifted(-1e-4 * way)) / 2e-4
    assert slope == pytest.approx(float((way * seen[0].double()).sum()), rel=1e-3)


def test_the_model_is_as_it_was_afterwards(tiny, tokens):
    torch.set_num_threads(1)
    model = tiny()
    before = model.config._attn_implementation
    answer = torch.ones(65, dtype=torch.bool)
    backward(model, tokens[:, :65], answer, lambda *given: None)
    assert model.config._attn_implementation == before
    assert not any(module.training for module in model.modules())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert not any(getattr(m, "gradient_checkpointing", False) for m in model.modules())
    with pytest.raises(ValueError, match="answer has no True after the first token"):
        backward(model, tokens[:, :65], torch.zeros(65, dtype=torch.bool), lambda *given: None)


def test_padding_after_the_answer_has_no_influence(tiny, tokens):
    torch.set_num_threads(1)
    model = tiny()
    answer = torch.zeros(129, dtype=torch.bool)
    answer[50:60] = True
    found = {}

    def visit(layer, q, k, v, d_out, scale):
        found[layer] = influence(q, k, v, d_out, scale, block=16)

    backward(model, tokens[:, :129], answer, visit)
    for layer in (0, 1):
        for score in SCORES[:2]:
            table = getattr(found[layer], score)
            assert bool((table[:, 4:] == 0).all())  # rows from 64 on
            assert bool((table[:, :4] != 0).any())
