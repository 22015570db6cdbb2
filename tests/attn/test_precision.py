"""Precisions: names, defaults, checks of fields, and the recipes behind them."""

from __future__ import annotations

import dataclasses

import pytest

from foveate.attn.formats import FP4, FP8, Float, Integer, Unsigned
from foveate.attn.precision import (
    Int8,
    Native,
    Precision,
    Sage,
    Sage2,
    Sage2pp,
    Sage3,
    SageBwd,
    precision_named,
)
from foveate.attn.precision.recipe import Recipe, WayBack

NAMES = {
    "native": Native,
    "int8": Int8,
    "sage": Sage,
    "sage2": Sage2,
    "sage2++": Sage2pp,
    "sage3": Sage3,
    "sagebwd": SageBwd,
}


@pytest.mark.parametrize(("name", "kind"), NAMES.items())
def test_a_name_stands_for_its_defaults(name, kind):
    precision = precision_named(name)
    assert precision == kind()
    assert precision.name == name
    assert isinstance(precision, Precision)
    assert hash(precision.recipe(64)) == hash(kind().recipe(64))


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ValueError, match='unknown precision "sage4"; precisions are native, int8'):
        precision_named("sage4")


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Sage2(qk_bits=3), ValueError, "Sage2.qk_bits is 3; expected one of 8, 4"),
        (lambda: Sage2(qk_bits=8.0), ValueError, "Sage2.qk_bits is 8.0"),
        (lambda: Sage2(granularity="row"), ValueError, "'tensor', 'block', 'warp'"),
        (lambda: Sage2(smooth_q=1), ValueError, "Sage2.smooth_q is 1"),
        (lambda: Sage2(pv="fp8"), ValueError, "'e4m3', 'e5m2'"),
        (lambda: Sage2(accumulate="fp16"), ValueError, "Sage2.accumulate"),
        (lambda: Sage2pp(ranges="112/9"), ValueError, "'448/2.25', '224/4.5'"),
        (lambda: Sage2pp(accumulate="fp32"), ValueError, "Sage2pp.accumulate"),
        (lambda: Sage("vX"), ValueError, "'B', 'T', 'vB', 'vT'"),
        (lambda: Sage("vB", accumulate="fp16"), ValueError, 'use variant="B" or "T"'),
        (lambda: SageBwd("row"), ValueError, "SageBwd.scales is 'row'; expected one of 'axis'"),
        (lambda: SageBwd(dp="bfloat16"), ValueError, "'bf16', 'fp16', 'fp32', 'int8'"),
        (lambda: SageBwd(codes="fp8"), ValueError, "expected scales='block'"),
        (lambda: SageBwd(mean_term=1), TypeError, "SageBwd.mean_term is 1"),
        (lambda: Sage3("fp4"), ValueError, "'nvfp4', 'mxfp4'"),
        (lambda: Int8(smooth_k="yes"), TypeError, "Int8.smooth_k is 'yes'; expected True or False"),
        (lambda: Int8(bits=8), TypeError, "unexpected keyword"),
    ],
)
def test_fields_are_checked_on_creation(make, error, words):
    with pytest.raises(error, match=words.replace("(", r"\(")):
        make()


def test_precisions_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Int8().smooth_k = False


def test_recipes_say_what_the_papers_say():
    assert Native().recipe(64) == Recipe()
    assert Int8().recipe(64) == Recipe(
        q=Integer(8, "token"),
        k=Integer(8, "block"),
        p=Unsigned(255, "tile"),
        v=Integer(8, "channel+tile"),
        smooth_k=True,
        smooth_v=True,
        mean_every=8,
        tile=128,
    )
    assert Int8().recipe(128).tile == 64
    assert Sage().recipe(64) == Recipe(
        q=Integer(8, "block"),
        k=Integer(8, "block"),
        p=Float("float16"),
        v=Float("float16"),
        smooth_k=True,
        accumulate="fp16+fp32",
        chain=16,
        tile=64,
    )
    better, published = SageBwd().recipe(64), SageBwd("block").recipe(64)
    assert dataclasses.replace(better, back=None) == Int8().recipe(64)
    assert better.back == WayBack()
    assert published == Recipe(
        q=Integer(8, "block"),
        k=Integer(8, "block"),
        p=Unsigned(127, "tile"),
        v=Integer(8, "tile"),
        smooth_k=True,
        block_q=64,
        tile=64,
        back=WayBack(rows=64, keys=64, scales="block", delta="out"),
    )
    int4 = Sage2(qk_bits=4).recipe(64)
    assert (int4.q, int4.k) == (Integer(4, "thread"), Integer(4, "thread"))
    assert (int4.smooth_q, int4.smooth_k, int4.accumulate) == (True, True, "fp22+fp32")
    assert not Sage2().recipe(64).smooth_q
    narrow = Sage2pp().recipe(64)
    assert (narrow.p, narrow.v) == (FP8("e4m3", 448.0), FP8("e4m3", 2.25))
    assert (narrow.accumulate, narrow.chain, narrow.tile) == ("fp16+fp32", 32, 64)
    assert Sage3().recipe(64).p == FP4("nvfp4", True)
    assert Sage3("mxfp4").recipe(64).v == FP4("mxfp4", False)


def test_float16_chains_cannot_overflow():
    for ranges in ("448/2.25", "224/4.5"):
        recipe = Sage2pp(ranges=ranges).recipe(64)
        assert recipe.tile * recipe.p.limit * recipe.v.limit <= 65504
