"""Names of x-attention: their signatures, what they compute, and what the originals got wrong."""

from __future__ import annotations

import inspect

import pytest
import torch

from foveate import XAttention, attention
from foveate.models.compat.xattn import Xattention_prefill, find_blocks_chunked, xattn_estimate
from tests.attn.kit import inputs, rows_of, visited, waves


def defaults(function):
    parameters = inspect.signature(function).parameters.items()
    return {n: p.default for n, p in parameters if p.default is not inspect.Parameter.empty}


def test_signatures_are_those_of_the_original():
    shared = {"norm": 1, "use_triton": True, "causal": True, "kdb": 1}
    shared |= {"keep_sink": False, "keep_recent": False}
    assert defaults(xattn_estimate) == shared | {
        "softmax": True,
        "threshold": 0.9,
        "chunk_size": 16384,
        "select_mode": "inverse",
    }
    assert list(inspect.signature(xattn_estimate).parameters)[:4] == [
        "query_states",
        "key_states",
        "block_size",
        "stride",
    ]
    assert defaults(Xattention_prefill) == shared | {
        "threshold": 0.8,
        "block_size": 128,
        "chunk_size": None,
    }
    assert list(inspect.signature(find_blocks_chunked).parameters) == [
        "input_tensor",
        "current_index",
        "threshold",
        "num_to_choose",
        "decoding",
        "mode",
        "causal",
    ]


def test_golden_estimate():
    q, k = waves(32)
    # the inputs' four columns of zeros make D 8: norm undoes 1/√8 in favour of 1/√4
    sums, visits = xattn_estimate(q, k, 8, 4, norm=0.5**0.5, threshold=0.8)
    expected = torch.tensor([0.157595, 0.584621, 1.257784, 0], dtype=torch.float64)
    torch.testing.assert_close(sums[0, 0, 2], expected, rtol=0, atol=1e-5)
    assert "/".join(rows_of(visits[0, 0])) == "1000/1100/1110/1011"
    _, visits = xattn_estimate(q[:, :, 16:], k, 8, 4, norm=0.5**0.5, threshold=0.8)
    assert rows_of(visits[0, 0]) == ["1110", "1011"]


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "all"])
def test_chunks_and_ways_change_nothing(causal):
    q, k, _ = inputs(2, 4, 2, 300, 300, dim=64)
    sums, visits = xattn_estimate(q, k, 64, 16, causal=causal)
    assert sums.shape == visits.shape == (2, 4, 5, 5)
    again = xattn_estimate(q, k, 64, 16, causal=causal, chunk_size=2048, use_triton=False)
    assert torch.equal(again[0], sums)
    assert torch.equal(again[1], visits)
    groups = torch.tensor([4.0, 4, 4, 4, 3])  # groups of 16 queries per row of blocks
    torch.testing.assert_close(sums.sum(-1), groups.expand(2, 4, 5), rtol=1e-4, atol=1e-4)


def test_prefill_is_exact_on_its_blocks():
    q, k, v = inputs(2, 4, 2, 500, 500, dim=64)
    for options in ({}, {"threshold": torch.tensor([0.2, 0.5, 0.9, 1.0])}, {"causal": False}):
        out = Xattention_prefill(3 * q, k, v, 16, **options)
        _, visits = xattn_estimate(3 * q, k, 128, 16, **{"threshold": 0.8, **options})
        pairs = visits.repeat_interleave(128, 2).repeat_interleave(128, 3)[:, :, :500, :500]
        causal = options.get("causal", True)
        expected = attention(3 * q, k, v, mask=pairs, causal=causal, precision="native")
        torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-4)


def test_decoding_and_short_prompts_are_dense():
    q, k, v = inputs(1, 4, 2, 1, 700, dim=64)
    expected = attention(q, k, v, causal=True, precision="native")
    torch.testing.assert_close(Xattention_prefill(q, k, v, 16), expected)


def test_sink_keeps_a_column():
    q, k, _ = inputs(1, 1, 1, 160, 160, dim=8)
    _, plain = xattn_estimate(4 * q, k, 16, 4, threshold=0.1, causal=False)
    _, sink = xattn_estimate(4 * q, k, 16, 4, threshold=0.1, causal=False, keep_sink=True)
    assert not bool(plain[..., 0].all() | plain[..., 0, :].all())
    assert bool(sink[..., 0].all())
    assert not bool(sink[..., 0, :].all())
    _, recent = xattn_estimate(4 * q, k, 16, 4, threshold=0.1, causal=False, keep_recent=True)
    assert bool(recent[0, 0].diagonal().all())
    select = XAttention(0.1, stride=4, block=16, recent=True)
    assert torch.equal(recent, visited(select, 4 * q, k, backend="auto"))


def test_blocks_of_a_chunk():
    scores = torch.tensor([[0, 0.3, 0.1, 0.06, 0.5, 0.04, 0.9, 0.9]]).view(1, 1, 1, 8)
    for threshold, expected in ((0.0, "10000100"), (0.3, "10001100"), (0.61, "11001100")):
        # without the two columns of the future
        found = find_blocks_chunked(scores, 5, threshold, None, False)
        assert rows_of(found[0, 0]) == [expected]
    found = find_blocks_chunked(scores, 5, None, 3, False)
    assert rows_of(found[0, 0]) == ["10001100"]
    # The first chunk once kept one block too many, since column 0 is its diagonal.
    first = torch.tensor([[1.0, 0, 0, 0], [0.4, 0.6, 0, 0], [0.2, 0.3, 0.5, 0]]).view(1, 1, 3, 4)
    found = find_blocks_chunked(first, 0, 0.6, None, False)
    assert rows_of(found[0, 0]) == ["1000", "1100", "1010"]
    everywhere = find_blocks_chunked(scores, 0, 0.5, None, False, causal=False)
    assert rows_of(everywhere[0, 0]) == ["00000011"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"softmax": False}, "softmax is False; expected True"),
        ({"kdb": 2}, "kdb is 2; expected 1"),
        ({"select_mode": "slash"}, "select_mode is 'slash'"),
        ({"threshold": 1.2}, r"threshold is 1\.2; expected numbers from 0 to 1"),
        ({"threshold": torch.ones(3)}, r"XAttention\.threshold has 3 values"),
        ({"norm": 0}, "norm is 0; expected a number above 0"),
        ({"stride": 24}, "stride is 24, which does not divide a block of 128"),
    ],
)
def test_what_cannot_be_honoured_is_refused(options, words):
    q, k, _ = inputs(1, 2, 1, 300, 300, dim=64)
    with pytest.raises(ValueError, match=words) as caught:
        xattn_estimate(q, k, **{"block_size": 128, "stride": 16, **options})
    assert "\n" not in str(caught.value)


def test_other_senseless_calls_are_refused():
    q, k, v = inputs(1, 2, 1, 300, 300, dim=64)
    with pytest.raises(ValueError, match="kdb is 4"):
        Xattention_prefill(q, k, v, 16, kdb=4)
    scores = torch.rand(1, 1, 2, 4)
    for arguments, words in (
        ((0, 0.5, None, True), "decoding is True; expected False"),
        ((0, None, None, False), "expected exactly one of them"),
        ((0, 0.5, None, False, "prefill"), "mode is 'prefill'"),
    ):
        with pytest.raises(ValueError, match=words):
            find_blocks_chunked(scores, *arguments)
    with pytest.raises(ValueError, match=r"input_tensor is \[2, 4\]"):
        find_blocks_chunked(scores[0, 0], 0, 0.5, None, False)
