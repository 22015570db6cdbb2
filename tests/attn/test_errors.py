"""Bad input: one line that names the argument, what was expected, what came, and the way out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

from foveate import (
    BackendError,
    Band,
    BlockLayout,
    Int8,
    TopK,
    Window,
    attention,
    attention_varlen,
    plan,
)
from foveate.attn.select import Selection


def qkv(batch=1, heads=4, length=16, dim=64, dtype=torch.float32):
    return [torch.randn(batch, heads, length, dim, dtype=dtype) for _ in range(3)]


def layout(lengths=(16, 16), batch=1, heads=1, block=(8, 8), band=None):
    grid = [-(-length // size) for length, size in zip(lengths, block, strict=True)]
    visits = torch.ones(batch, heads, *grid, dtype=torch.bool)
    return BlockLayout.from_dense(visits, block, lengths, band)


def with_q(*shape, **options):
    return lambda: attention(torch.randn(*shape), *qkv()[1:], **options)


def with_option(**options):
    return lambda: attention(*qkv(), **options)


def with_kv(k_shape, v_shape=None):
    return lambda: attention(qkv()[0], torch.randn(k_shape), torch.randn(v_shape or k_shape))


CASES = {
    "rank": (with_q(4, 16, 64), ValueError, "q has 3 dimensions, [4, 16, 64]; expected 4"),
    "batch": (with_q(2, 4, 16, 64), ValueError, "batch sizes 2, 1 and 1"),
    "heads": (
        with_q(1, 6, 16, 64),
        ValueError,
        "k has 4 heads, which does not divide q's 6; expected Hq % Hk == 0 (q [1, 6, 16, 64]",
    ),
    "no heads": (with_kv((1, 0, 16, 64)), ValueError, "k has 0 heads"),
    "v heads": (with_kv((1, 4, 16, 64), (1, 2, 16, 64)), ValueError, "v has 2 heads, k has 4"),
    "v length": (with_kv((1, 4, 16, 64), (1, 4, 15, 64)), ValueError, "v has 15 keys, k has 16"),
    "head size": (with_kv((1, 4, 16, 32)), ValueError, "k has head size 32, q has 64"),
    "small head": (
        lambda: attention(*qkv(dim=4)),
        ValueError,
        "q has head size 4; expected 8 to 256",
    ),
    "big head": (lambda: attention(*qkv(dim=264)), ValueError, "q has head size 264"),
    "big value": (
        with_kv((1, 4, 16, 64), (1, 4, 16, 300)),
        ValueError,
        "v has head size 300; expected 1 to 256",
    ),
    "dtypes": (
        lambda: attention(qkv()[0], *qkv(dtype=torch.bfloat16)[1:]),
        TypeError,
        "q, k and v have dtypes float32, bfloat16 and bfloat16; expected one dtype",
    ),
    "integers": (
        lambda: attention(*[torch.ones(1, 1, 4, 8, dtype=torch.int64)] * 3),
        TypeError,
        "q has dtype int64; expected float32, bfloat16, float16, float64",
    ),
    "not a tensor": (
        lambda: attention([1.0], *qkv()[1:]),
        TypeError,
        "q is list; expected a torch.Tensor",
    ),
    "sparse": (
        lambda: attention(torch.zeros(1, 1, 8, 8).to_sparse(), *qkv()[1:]),
        TypeError,
        "q has layout torch.sparse_coo",
    ),
    "devices": (
        lambda: attention(qkv()[0], *[x.to("meta") for x in qkv()[1:]]),
        ValueError,
        "q, k and v are on cpu, meta and meta; expected one device",
    ),
    "scale nan": (with_option(scale=float("nan")), ValueError, "scale is nan; expected a finite"),
    "scale inf": (with_option(scale=float("inf")), ValueError, "scale is inf"),
    "scale 0": (with_option(scale=0.0), ValueError, "scale is 0.0; expected a finite number"),
    "scale tensor": (with_option(scale=torch.tensor(1.0)), TypeError, "scale is Tensor"),
    "causal": (with_option(causal=1), TypeError, "causal is 1; expected True or False"),
    "mask shape": (
        with_option(mask=torch.ones(16, 17, dtype=torch.bool)),
        ValueError,
        "mask has shape [16, 17]; expected one that broadcasts to [B, Hq, Lq, Lk] = [1, 4, 16, 16]",
    ),
    "mask rank": (
        with_option(mask=torch.ones(1, 1, 1, 16, 16, dtype=torch.bool)),
        ValueError,
        "mask has shape [1, 1, 1, 16, 16]",
    ),
    "mask dtype": (
        with_option(mask=torch.ones(16, 16, dtype=torch.int32)),
        TypeError,
        "mask has dtype int32; expected bool (True = attend)",
    ),
    "mask type": (with_option(mask=[True]), TypeError, "mask is list; expected a torch.Tensor"),
    "mask device": (
        with_option(mask=torch.ones(16, 16, dtype=torch.bool, device="meta")),
        ValueError,
        "mask is on meta, q on cpu",
    ),
    "precision": (
        with_option(precision="sage4"),
        ValueError,
        'unknown precision "sage4"; precisions are native, int8, sage, sage2, sage2++, sage3',
    ),
    "precision class": (
        with_option(precision=Int8),
        TypeError,
        "precision is the class Int8; expected an instance, Int8()",
    ),
    "precision type": (with_option(precision=8), TypeError, "precision is int; expected a name"),
    "select": (
        with_option(select="windows"),
        ValueError,
        'unknown select "windows"; selections are dense, window, topk, sparge, xattention',
    ),
    "select without a grid": (
        with_option(select="vsa"),
        ValueError,
        'select "vsa" has no default grid; pass VSA(grid) instead of the name',
    ),
    "select without default": (
        with_option(select="window"),
        ValueError,
        'select "window" has no default span; pass Window(span) instead of the name',
    ),
    "select class": (with_option(select=Window), TypeError, "select is the class Window"),
    "select type": (with_option(select=3), TypeError, "select is int; expected a name"),
    "backend": (
        with_option(backend="cuda"),
        ValueError,
        'unknown backend "cuda"; backends are auto, cpu, reference',
    ),
    "backend later": (with_option(backend="triton"), ValueError, 'backend "triton" is planned'),
    "backend type": (with_option(backend=None), TypeError, "backend is NoneType"),
    "layout lengths": (
        with_option(select=layout((16, 24))),
        ValueError,
        "select is a BlockLayout for lengths (16, 24); expected (Lq, Lk) = (16, 16)",
    ),
    "layout heads": (
        with_option(select=layout(heads=2)),
        ValueError,
        "select is a BlockLayout for 2 heads; expected 1 or q's 4",
    ),
    "layout batch": (with_option(select=layout(batch=3)), ValueError, "for batch size 3"),
    "layout band": (
        with_option(select=layout(band=Band(before=(1, 2)))),
        ValueError,
        "select has a Band for 2 heads; expected one value, or one per head of q, 4",
    ),
    "layout device": (
        with_option(select=layout().to("meta")),
        ValueError,
        "select is a BlockLayout on meta, q is on cpu; use layout.to(q.device)",
    ),
    "unknown keyword": (with_option(dropout=0.1), TypeError, "dropout"),
    "window span": (lambda: Window(0), ValueError, "Window.span is 0; expected an int of at least"),
    "window sink": (lambda: Window(4, sink=-1), ValueError, "Window.sink is -1"),
    "window block": (lambda: Window(4, block=(0, 8)), ValueError, "block is (0, 8)"),
    "topk": (lambda: TopK(1.5), ValueError, "TopK.k is 1.5; expected an int of at least 1"),
    "topk bool": (lambda: TopK(True), ValueError, "TopK.k is True"),
    "band type": (lambda: Band(before=1.5), TypeError, "Band.before is 1.5"),
    "band sink": (lambda: Band(sink=-2), ValueError, "Band.sink is -2"),
    "varlen rank": (
        lambda: attention_varlen(*qkv(), *[torch.tensor([0, 16])] * 2),
        ValueError,
        "q has 4 dimensions, [1, 4, 16, 64]; expected 3, [ΣLq, Hq, D]",
    ),
    "varlen total": (
        lambda: attention_varlen(*[torch.randn(9, 2, 8)] * 3, *[torch.tensor([0, 8])] * 2),
        ValueError,
        "cu_seqlens_q goes from 0 to 8; expected to rise from 0 to 9",
    ),
    "varlen order": (
        lambda: attention_varlen(*[torch.randn(9, 2, 8)] * 3, *[torch.tensor([0, 5, 4, 9])] * 2),
        ValueError,
        "cu_seqlens_q goes from 0 to 9; expected to rise",
    ),
    "varlen dtype": (
        lambda: attention_varlen(*[torch.randn(9, 2, 8)] * 3, *[torch.tensor([0.0, 9.0])] * 2),
        TypeError,
        "cu_seqlens_q has dtype float32; expected int32 or int64",
    ),
    "varlen counts": (
        lambda: attention_varlen(
            *[torch.randn(9, 2, 8)] * 3, torch.tensor([0, 9]), torch.tensor([0, 4, 9])
        ),
        ValueError,
        "cu_seqlens_q names 1 sequences, cu_seqlens_k 2",
    ),
    "varlen layout": (
        lambda: attention_varlen(
            *[torch.randn(9, 2, 8)] * 3, *[torch.tensor([0, 9])] * 2, select=layout((9, 9))
        ),
        TypeError,
        "select is a BlockLayout, which has one pair of lengths",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_gives_one_clear_line(name):
    call, kind, text = CASES[name]
    with pytest.raises(kind, match=re.escape(text)) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_named_backend_never_falls_back_and_carries_its_refusal():
    q, k, v = qkv(dtype=torch.float64)
    with pytest.raises(BackendError, match='backend "cpu" cannot run native here: ') as caught:
        attention(q, k, v, backend="cpu", precision="native")
    assert list(caught.value.refusals) == ["cpu"]
    assert 'backend="reference" can' in str(caught.value)
    assert attention(q, k, v, precision="native").dtype == torch.float64


def test_error_without_any_backend_lists_every_refusal(monkeypatch):
    from foveate.attn import backends

    class Never:
        def refuses(self, request):
            return "needs a full moon"

    monkeypatch.setattr(backends, "backend_named", lambda name: Never())
    backends.refresh()
    with pytest.raises(BackendError) as caught:
        attention(*qkv(), precision="native")
    backends.refresh()
    assert caught.value.refusals == dict.fromkeys(backends.BACKENDS, "needs a full moon")
    assert str(caught.value).count("needs a full moon") == 2


def test_errors_are_not_cached_away():
    # a plan is cached by sizes; a bad call after a good one of the same sizes must still fail
    q, k, v = qkv()
    attention(q, k, v, causal=True)
    with pytest.raises(TypeError, match="causal is 1"):
        attention(q, k, v, causal=1)
    with pytest.raises(ValueError, match="scale is -1"):
        attention(q, k, v, scale=-1)


def test_unhashable_selection_is_named():
    @dataclass(frozen=True)
    class Listed(Selection):
        spans: list
        name: ClassVar[str] = "listed"

    with pytest.raises(TypeError, match="cannot be hashed"):
        attention(*qkv(), select=Listed([1, 2]))


def test_plan_refuses_other_inputs_than_it_was_made_for():
    q, k, v = qkv()
    made = plan(q, k, v)
    longer = qkv(length=17)
    with pytest.raises(ValueError, match=r"q is float32 \[1, 4, 17, 64\].*this plan expects"):
        made.run(*longer)
    with pytest.raises(ValueError, match="mask is bool; this plan was made for None"):
        made.run(q, k, v, mask=torch.ones(16, 16, dtype=torch.bool))
