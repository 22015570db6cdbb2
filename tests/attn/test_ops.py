"""The operators: opcheck, fakes that agree with kernels, and torch.compile in a fresh process."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import ClassVar

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from foveate import Band, BlockLayout, Int8, Sage2, TopK, Window, attention, attention_varlen
from foveate.attn.select import Dense
from foveate.attn.spelling import Blocks, read_choice, spell_choice

OP = torch.ops.foveate.attention.default
VARLEN = torch.ops.foveate.attention_varlen.default
# inputs without grad: there is no autograd formula to check
CHECKS = ("test_schema", "test_faketensor", "test_aot_dispatch_dynamic")


def qkv(tokens_first=False, v_dim=40, length=33):
    shapes = ((2, 4, length, 64), (2, 2, 65, 64), (2, 2, 65, v_dim))
    if tokens_first:
        return [torch.randn(b, n, h, d).transpose(1, 2) for b, h, n, d in shapes]
    return [torch.randn(shape) for shape in shapes]


def layout(band=None):
    return BlockLayout.from_dense(torch.rand(1, 4, 3, 3) > 0.4, (16, 32), (33, 65), band)


@pytest.mark.parametrize("tokens_first", [False, True], ids=["heads", "tokens"])
@pytest.mark.parametrize(
    "select", ["dense", Window(9, 2), TopK(2, block=(16, 16)), "layout"], ids=str
)
def test_opcheck_passes(tokens_first, select):
    select = layout(Band(after=3)) if select == "layout" else select
    tables = (select.counts, select.indices) if isinstance(select, BlockLayout) else (None, None)
    mask = torch.rand(33, 65) > 0.2
    choice = spell_choice(select, "native", "reference")
    args = (*qkv(tokens_first), mask, *tables, choice, True, 0.2)
    torch.library.opcheck(OP, args, test_utils=CHECKS)


def test_opcheck_of_varlen_passes():
    q, k = torch.randn(20, 4, 64), torch.randn(30, 2, 64)
    cu_q, cu_k = torch.tensor([0, 5, 20]), torch.tensor([0, 12, 30])
    choice = spell_choice("dense", Int8(), "reference")
    torch.library.opcheck(VARLEN, (q, k, k, cu_q, cu_k, choice, False, None), test_utils=CHECKS)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("tokens_first", [False, True], ids=["heads", "tokens"])
def test_fake_agrees_with_the_kernel(dtype, tokens_first):
    real = [x.to(dtype) for x in qkv(tokens_first)]
    out, lse = attention(*real, return_lse=True)
    with FakeTensorMode() as mode:
        fake = [mode.from_tensor(x) for x in real]
        fake_out, fake_lse = attention(*fake, return_lse=True)
    for ours, theirs in ((out, fake_out), (lse, fake_lse)):
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype
        assert ours.stride() == theirs.stride()


def test_meta_tensors_give_meta_results():
    q, k, v = (x.to("meta") for x in qkv(tokens_first=True))
    out, lse = attention(q, k, v, return_lse=True)
    assert out.is_meta
    assert out.shape == (2, 4, 33, 40)
    assert out.transpose(1, 2).is_contiguous()
    assert lse.shape == (2, 4, 33)


class Marked(torch.Tensor):
    """A subclass without meaning of its own."""


@pytest.mark.parametrize("kind", [torch.nn.Parameter, lambda x: x.as_subclass(Marked)])
def test_other_kinds_of_tensors_are_served(kind):
    # once, these went through the operator into the public call and back, without end
    q, k, v = qkv()
    with torch.no_grad():
        out = attention(kind(q), kind(k), kind(v), causal=True)
        assert torch.equal(out, attention(q, k, v, causal=True))
        packed = [kind(x[0].transpose(0, 1)) for x in (q, k, v)]
        cu_q, cu_k = torch.tensor([0, 33]), torch.tensor([0, 65])
        alone = attention(q[:1], k[:1], v[:1])[0].transpose(0, 1)
        torch.testing.assert_close(torch.Tensor(attention_varlen(*packed, cu_q, cu_k)), alone)


def test_modes_see_the_operator():
    from torch.utils._python_dispatch import TorchDispatchMode

    class Listener(TorchDispatchMode):
        heard: ClassVar[list] = []

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.heard.append(str(func))
            return func(*args, **(kwargs or {}))

    q, k, v = qkv()
    with Listener(), Listener():
        out = attention(q, k, v)
    assert Listener.heard.count("foveate.attention.default") == 2
    assert torch.equal(out, attention(q, k, v))


def test_fake_refuses_what_the_call_refuses():
    with FakeTensorMode(), pytest.raises(ValueError, match="k has 3 heads, which does not divide"):
        attention(torch.empty(1, 4, 8, 64), *[torch.empty(1, 3, 8, 64)] * 2)


def test_operator_computes_what_the_call_computes():
    q, k, v = qkv()
    mask = torch.randn(33, 65)
    for select in ("dense", Window(9, 2), TopK(0.5, block=(16, 16)), layout()):
        tables = (
            (select.counts, select.indices) if isinstance(select, BlockLayout) else (None, None)
        )
        choice = spell_choice(select, Sage2(qk_bits=4), "auto")
        out, lse = OP(q, k, v, mask, *tables, choice, True, None)
        expected, expected_lse = attention(
            q, k, v, mask=mask, select=select, precision=Sage2(4), causal=True, return_lse=True
        )
        assert torch.equal(out, expected)
        assert torch.equal(lse, expected_lse)


def test_operator_checks_a_layout_that_it_is_handed():
    bad = layout()
    choice = spell_choice(bad, "native", "reference")
    with pytest.raises(ValueError, match="indices go from"):
        OP(*qkv(), None, bad.counts, bad.indices + 7, choice, False, None)


@pytest.mark.parametrize(
    "value",
    [
        Dense(),
        Window(9, sink=2),
        TopK(0.25),
        TopK(3, block=(64, 32)),
    ],
    ids=str,
)
def test_choices_are_read_as_they_were_written(value):
    text = spell_choice(value, Sage2(qk_bits=4), "cpu")
    assert read_choice(text) == (value, Sage2(qk_bits=4), "cpu")
    assert "|" in text


def test_layouts_are_spelled_without_their_tables():
    band = Band(before=(1, 2, None, 4), after=0, sink=3)
    select, precision, backend = read_choice(spell_choice(layout(band), "auto", "auto"))
    assert select == Blocks((16, 32), (33, 65), band, None)
    assert (precision, backend) == ("auto", "auto")


def test_only_choices_can_be_spelled():
    with pytest.raises(TypeError, match="int is neither a selection, a precision nor a name"):
        spell_choice(3, "auto", "auto")
    with pytest.raises(ValueError, match=r"expected select\|precision\|backend"):
        read_choice("dense")
    with pytest.raises(ValueError, match="malformed node"):
        read_choice("__import__('os').getcwd()|auto|auto")


FRESH = """
    import torch
    torch.set_num_threads(1)
    import foveate
    from foveate import attention, BlockLayout, Band, Window, Sage2

    layout = BlockLayout.from_dense(torch.rand(1, 1, 3, 3) > .3, (16, 32), (33, 65), Band(after=9))
    mask = torch.rand(33, 65) > .3

    def f(q, k, v, mask, layout):
        a, lse = attention(q, k, v, select=layout, return_lse=True)
        b = attention(q, k, v, select=Window(20, 4), causal=True, precision="int8")
        c = attention(q * 2, k, v, mask=mask, precision=Sage2(qk_bits=4), scale=0.3)
        return a + 1, lse, b * 2, c.transpose(1, 2).reshape(2, 33, -1)

    q, k, v = (torch.randn(2, n, h, 64).transpose(1, 2) for n, h in ((33, 4), (65, 2), (65, 2)))
    compiled = torch.compile(f, fullgraph=True, backend="{backend}")
    for ours, theirs in zip(compiled(q, k, v, mask, layout), f(q, k, v, mask, layout)):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
        assert ours.stride() == theirs.stride()
    print("agreed")
"""


def run_fresh(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_first_call_of_a_fresh_process_compiles_as_one_graph():
    assert "agreed" in run_fresh(FRESH.format(backend="aot_eager"))


@pytest.mark.slow
def test_first_call_of_a_fresh_process_compiles_with_inductor():
    assert "agreed" in run_fresh(FRESH.format(backend="inductor"))


def test_compiled_call_serves_other_lengths():
    compiled = torch.compile(
        lambda q, k, v: attention(q, k, v, causal=True) + 1,
        fullgraph=True,
        dynamic=True,
        backend="aot_eager",
    )
    for length in (33, 40, 1):
        q, k, v = qkv(length=length)
        torch.testing.assert_close(compiled(q, k, v), attention(q, k, v, causal=True) + 1)


def test_compiled_varlen_is_one_graph():
    q, k = torch.randn(20, 4, 64), torch.randn(30, 2, 64)
    cu_q, cu_k = torch.tensor([0, 5, 20]), torch.tensor([0, 12, 30])
    compiled = torch.compile(
        lambda *args: attention_varlen(*args, causal=True), fullgraph=True, backend="aot_eager"
    )
    expected = attention_varlen(q, k, k, cu_q, cu_k, causal=True)
    torch.testing.assert_close(compiled(q, k, k, cu_q, cu_k), expected)
