"""Names of choices: what they stand for, and what is said about those that stand for nothing."""

from __future__ import annotations

import re

import pytest

from foveate import Int8, Sage2, Sage2pp, Sparge, TopK, Window, XAttention
from foveate.models.spec import Choice, parse


@pytest.mark.parametrize(
    ("name", "choice"),
    [
        ("foveate", Choice()),
        ("foveate:int8", Choice(precision="int8")),
        ("foveate:sage2++", Choice(precision="sage2++")),
        ("foveate:xattention+sage2", Choice("xattention", "sage2")),
        ("foveate:sage2+++xattention", Choice("xattention", "sage2++")),
        ("foveate:window(1024,64)", Choice(Window(1024, 64))),
        ("foveate:window(1024, sink=64) + int8", Choice(Window(1024, 64), "int8")),
        ("foveate:sage2(qk_bits=4)", Choice(precision=Sage2(qk_bits=4))),
        ("foveate:sage2(pv=e5m2)", Choice(precision=Sage2(pv="e5m2"))),
        ("foveate:topk(0.25)+sage2++(qk_bits=4)", Choice(TopK(0.25), Sage2pp(qk_bits=4))),
        ("foveate:sparge(0.95)+int8", Choice(Sparge(0.95), "int8")),
        ("foveate:sparge(keep=0.3,similarity=0.1)", Choice(Sparge(keep=0.3, similarity=0.1))),
        ("foveate:xattention((0.9,0.8),stride=8)", Choice(XAttention((0.9, 0.8), stride=8))),
        ("foveate:int8(smooth_v=False)", Choice(precision=Int8(smooth_v=False))),
    ],
)
def test_name_stands_for_choice(name, choice):
    assert parse(name) == choice


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sdpa", "foveate:<select>"),
        ("foveate:", "foveate:<select>"),
        ("foveate:sage4", '"sage4", which is no selection and no precision; selections are dense'),
        ("foveate:int8+sage2", "more than one precision"),
        ("foveate:window(8,0)+topk(4)", "more than one select"),
        ("foveate:window", "write for example window(1024,64)"),
        ("foveate:window(1024", 'never closes it; add ")"'),
        ("foveate:int8+", "expected"),
        ("foveate:int8)", 'expected "+" and another term'),
        ("foveate:window(a.b)", "cannot read the arguments"),
        ("foveate:window(**{})", "cannot read the arguments"),
        ("foveate:window(open('x'))", "cannot read the arguments"),
        ("foveate:sage2(qk_bits=5)", '"sage2(qk_bits=5)" in'),
        ("foveate:dense(3)", "takes no arguments here"),
        ("foveate:vsa", "write for example vsa((8,16,16),keep=4)"),
        ("foveate:vsa(3)", "VSA.grid is 3; expected the lengths of the axes"),
        ("foveate:sparge(3)", "expected a share above 0 and up to 1"),
        ("foveate:sparge(keep=0.0)", "expected an int of at least 1 (blocks) or a float in (0, 1]"),
        ("foveate:xattention(stride=24)", "does not divide a block of 128"),
    ],
)
def test_wrong_name_says_what_is_wrong(name, words):
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        parse(name)
    assert "\n" not in str(caught.value)


def test_unknown_keyword_is_a_type_error():
    with pytest.raises(TypeError, match="bits"):
        parse("foveate:sage2(bits=4)")
