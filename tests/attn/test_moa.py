"""MoA: each head sees its sink and its own window, whatever the shape of the call."""

from __future__ import annotations

import pytest
import torch

from foveate import MoA, attention, plan
from foveate.attn.select.moa import cache_size

from .kit import random

ALPHA, BETA = (0.0, 128.0, -64.0, 320.0), (0.5, 0.0, 0.75, 0.25)


def pairs(select: MoA, q_length: int, k_length: int, heads: int) -> torch.Tensor:
    """Which pairs each head sees, from the words at the top of the file: bool `[H, Lq, Lk]`."""
    n = select.length or k_length
    i = torch.arange(q_length)[:, None] + k_length - q_length
    j = torch.arange(k_length)[None]
    shift = (k_length - q_length) % select.block
    named = select.heads or 1
    seen = []
    for head in range(heads):
        at = head * named // heads
        a = select.alpha[at] if isinstance(select.alpha, tuple) else select.alpha
        b = select.beta[at] if isinstance(select.beta, tuple) else select.beta
        c = max(min(int(a + b * n), n), select.sink + select.block)
        c = -(-c // select.block) * select.block
        if select.rule == "tokens" or shift or q_length == 1:
            near, first = j > i - (c - select.sink), j < select.sink
        else:
            w = (c - select.sink) // select.block
            if select.rule == "profile":
                w = max(1, int(a // select.block + b * n / select.block))
            near = j // select.block > i // select.block - w
            first = j // select.block < select.sink // select.block
        seen.append((near | first) & (j <= i))
    return torch.stack(seen)


def exact(q, k, v, seen):
    """Attention over given pairs, in float64."""
    group = q.shape[1] // k.shape[1]
    k, v = (x.double().repeat_interleave(group, 1) for x in (k, v))
    scores = (q.double() @ k.mT * q.shape[3] ** -0.5).masked_fill(~seen, float("-inf"))
    return scores.softmax(-1).nan_to_num() @ v


def tensors(q_length, k_length, heads=4, kv_heads=2, batch=1):
    return (
        random(batch, heads, q_length, 32, seed=1),
        random(batch, kv_heads, k_length, 32, seed=2),
        random(batch, kv_heads, k_length, 32, seed=3),
    )


@pytest.mark.parametrize("rule", ["blocks", "tokens", "profile"])
@pytest.mark.parametrize(
    "lengths", [(500, 500), (1, 500), (180, 500), (192, 512), (60, 60), (64, 64)], ids=str
)
@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_each_head_sees_what_the_words_say(rule, lengths, backend):
    select = MoA(ALPHA, BETA, rule=rule)
    q, k, v = tensors(*lengths)
    out = attention(q, k, v, select=select, causal=True, precision="native", backend=backend)
    expected = exact(q, k, v, pairs(select, *lengths, heads=4))
    torch.testing.assert_close(out.double(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("named", [1, 2, 4])
def test_rules_may_name_query_heads_key_heads_or_none(named):
    alpha, beta = ALPHA[:named], BETA[:named]
    select = MoA(alpha[0], beta[0]) if named == 1 else MoA(alpha, beta)
    q, k, v = tensors(300, 300)
    out = attention(q, k, v, select=select, causal=True, precision="native")
    expected = exact(q, k, v, pairs(select, 300, 300, heads=4))
    torch.testing.assert_close(out.double(), expected, rtol=1e-4, atol=1e-5)


def test_small_blocks_and_no_sink():
    select = MoA((0.0, 40.0), (0.25, 0.0), sink=0, block=16)
    q, k, v = tensors(200, 200)
    out = attention(q, k, v, select=select, causal=True, precision="native")
    expected = exact(q, k, v, pairs(select, 200, 200, heads=4))
    torch.testing.assert_close(out.double(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rule", ["blocks", "tokens"])
def test_a_text_read_in_whole_blocks_gives_what_it_gives_at_once(rule):
    q, k, v = tensors(512, 512)
    select = MoA(ALPHA, BETA, length=512, rule=rule)
    at_once = attention(q, k, v, select=select, causal=True, precision="native")
    parts = [
        attention(
            q[:, :, a:b],
            k[:, :, :b],
            v[:, :, :b],
            select=select,
            causal=True,
            precision="native",
        )
        for a, b in ((0, 128), (128, 192), (192, 448), (448, 512))
    ]
    torch.testing.assert_close(torch.cat(parts, 2), at_once, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("q_length", [300, 1, 64])
@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_left_padding_changes_nothing_but_its_own_rows(q_length, backend):
    """Sinks used to be the padding itself: a padded row then saw no first token at all."""
    q, k, v = tensors(q_length, 300, batch=3)
    pads = (0, 70, 300)
    mask = torch.stack([torch.arange(300) >= pad for pad in pads])[:, None, None]
    select = MoA(ALPHA, BETA, length=300)
    options = {"select": select, "causal": True, "precision": "native", "backend": backend}
    out, lse = attention(q, k, v, mask=mask, return_lse=True, **options)
    for row, pad in enumerate(pads):
        hidden = max(0, pad - (300 - q_length))
        assert bool((out[row, :, :hidden] == 0).all())
        assert bool((lse[row, :, :hidden] == float("-inf")).all())
        if hidden < q_length and pad < 300:
            one = slice(row, row + 1)
            alone = attention(q[one, :, hidden:], k[one, :, pad:], v[one, :, pad:], **options)
            torch.testing.assert_close(out[one, :, hidden:], alone)


def test_other_masks_hide_pairs_beside_the_rule():
    q, k, v = tensors(300, 300)
    mask = torch.ones(1, 1, 1, 300, dtype=torch.bool)
    mask[..., 100:120] = False  # not at the front: no padding
    select = MoA(ALPHA, BETA)
    out = attention(q, k, v, select=select, causal=True, precision="native", mask=mask)
    seen = pairs(select, 300, 300, heads=4) & mask[0, 0]
    torch.testing.assert_close(out.double(), exact(q, k, v, seen), rtol=1e-4, atol=1e-5)


def test_full_spans_are_dense():
    q, k, v = tensors(300, 300)
    full = attention(q, k, v, select=MoA(0.0, 1.0), causal=True, precision="native")
    dense = attention(q, k, v, causal=True, precision="native")
    torch.testing.assert_close(full, dense, rtol=1e-5, atol=1e-6)


def test_it_works_with_quantized_numbers():
    q, k, v = tensors(512, 512)
    select = MoA(ALPHA, BETA)
    exactly = attention(q, k, v, select=select, causal=True, precision="native")
    coded = attention(q, k, v, select=select, causal=True, precision="int8")
    assert float((coded - exactly).abs().sum() / exactly.abs().sum()) < 0.03


def test_cache_sizes_of_hand_made_cases():
    assert cache_size(0, 0.5, 2048) == 1024
    assert cache_size(-1024, 0.5, 2048) == 128  # at least the sink and one block
    assert cache_size(100, 0, 2048) == 128
    assert cache_size(129, 0, 2048) == 192  # whole blocks
    assert cache_size(0, 2.0, 1000) == 1024  # clipped to 1000, then rounded up
    assert cache_size(0, 1.0, 50) == 128  # may exceed a short text
    assert cache_size(8192, 0, 4096) == 4096
    assert cache_size(10.9, 0.1, 1809) == 192  # int(191.8) = 191


def test_density_is_the_share_of_blocks_visited():
    q, k, v = tensors(512, 512)
    made = plan(q, k, v, select=MoA(ALPHA, BETA), causal=True, backend="reference")
    layout = made.layout(q, k)
    assert made.select.density(made.request) == pytest.approx(layout.density())
    assert layout.band is None
    assert layout.counts.shape == (1, 4, 8)
    # head 1 keeps 128 keys: the sink and one block
    assert layout.counts[0, 1].tolist() == [1, 2, 2, 2, 2, 2, 2, 2]


def test_without_causality_it_is_served_dense_and_says_so():
    q, k, v = tensors(100, 100)
    made = plan(q, k, v, select=MoA(0.0, 0.5))
    assert "windows of recent keys need causal=True" in made.explain()
    torch.testing.assert_close(
        made.run(q, k, v), attention(q, k, v, precision="auto"), rtol=1e-5, atol=1e-6
    )


def test_more_sees_more():
    select, last = MoA(ALPHA, BETA), None
    while select is not None:
        spans = select.spans(4096)
        assert last is None or all(a >= b for a, b in zip(spans, last, strict=True))
        last, select = spans, select.more()
        assert len(spans) == 4
    assert last == (4096,) * 4


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"MoA.sink is 10; expected whole blocks"):
        MoA(0.0, 0.5, sink=10)
    with pytest.raises(ValueError, match=r"MoA.alpha has 2 values and beta 3"):
        MoA((1.0, 2.0), (1.0, 2.0, 3.0))
    with pytest.raises(ValueError, match=r"MoA.beta is -0.5"):
        MoA(0.0, -0.5)
    with pytest.raises(ValueError, match=r"MoA.rule is 'pages'"):
        MoA(0.0, 0.5, rule="pages")
    with pytest.raises(ValueError, match=r"MoA.alpha is nan"):
        MoA(float("nan"))
    with pytest.raises(ValueError, match=r"MoA.length is 0"):
        MoA(0.0, 0.5, length=0)
    q, k, v = tensors(100, 100)
    with pytest.raises(ValueError, match=r"rules for 3 heads; expected one rule, .* 4, or .* 2"):
        attention(q, k, v, select=MoA((1.0, 2.0, 3.0)), causal=True)
    with pytest.raises(ValueError, match="no default alpha; pass MoA"):
        attention(q, k, v, select="moa", causal=True)
