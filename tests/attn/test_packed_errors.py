"""PackedKV: what it refuses, in one line, and that a refusal changes nothing."""

from __future__ import annotations

import pytest
import torch

from foveate import BackendError, PackedKV, TopK, Window
from foveate.attn.layouts import Band
from tests.attn.test_packed import queries, tokens
from tests.contract.cases import backends, dense, relative_l1


@pytest.mark.parametrize("backend", backends())
def test_bad_tokens_are_refused(backend):
    k, v = tokens(100)
    with pytest.raises(ValueError, match="expected one length, at least one token"):
        PackedKV(k[:, :, :0], v[:, :, :0], backend=backend)
    with pytest.raises(ValueError, match=r"v \[1, 2, 99, 40\]; expected one length"):
        PackedKV(k, v[:, :, 1:], precision="native", backend=backend)
    with pytest.raises(ValueError, match="k has 3 dimensions"):
        PackedKV(k[0], v[0], backend=backend)
    with pytest.raises(TypeError, match=r"k is list; expected a torch.Tensor"):
        PackedKV([1.0], v, backend=backend)
    with pytest.raises(TypeError, match="dtypes float32, float32 and bfloat16"):
        PackedKV(k, v.bfloat16(), backend=backend)
    with pytest.raises(ValueError, match=r"k requires grad.*no_grad"):
        PackedKV(k.clone().requires_grad_(), v, backend=backend)
    with pytest.raises(ValueError, match='unknown precision "int7"'):
        PackedKV(k, v, precision="int7", backend=backend)
    with pytest.raises(ValueError, match='unknown backend "gpu"'):
        PackedKV(k, v, backend="gpu")


@pytest.mark.parametrize("backend", backends())
def test_bad_appends_are_refused_and_change_nothing(backend):
    k, v = tokens(600)
    kv = PackedKV(k, v, precision="native", backend=backend)
    expected = kv.attend(q := queries(2))
    one = (k[:, :, :1], v[:, :, :1])
    wanted = r"this PackedKV expects float32 \[1, 2, 'L', 64\] on cpu"
    with pytest.raises(ValueError, match=wanted):
        kv.append(one[0].bfloat16(), one[1].bfloat16())
    with pytest.raises(ValueError, match=wanted):
        kv.append(one[0][..., :32], one[1])
    with pytest.raises(ValueError, match=wanted):
        kv.append(one[0][:, :1], one[1][:, :1])
    with pytest.raises(ValueError, match=r"v is float32 \[1, 2, 3, 40\].*'L', 40\]"):
        kv.append(one[0], v[:, :, :3])
    with pytest.raises(ValueError, match="k is float32"):
        kv.append(one[0][0], one[1][0])
    with pytest.raises(TypeError, match=r"v is NoneType; expected a torch.Tensor"):
        kv.append(one[0], None)
    with pytest.raises(ValueError, match="v requires grad"):
        kv.append(one[0], one[1].clone().requires_grad_())
    assert kv.length == 600
    assert torch.equal(kv.attend(q), expected)


@pytest.mark.parametrize("backend", backends())
def test_bad_queries_are_refused(backend):
    kv = PackedKV(*tokens(100), precision="native", backend=backend)
    with pytest.raises(ValueError, match="k has 2 heads, which does not divide q's 3"):
        kv.attend(queries(1, 3))
    with pytest.raises(ValueError, match="k has head size 64, q has 32"):
        kv.attend(queries(1, 2, 32))
    with pytest.raises(ValueError, match="batch sizes 2, 1 and 1"):
        kv.attend(queries(1).repeat(2, 1, 1, 1))
    with pytest.raises(TypeError, match="dtypes bfloat16, float32 and float32"):
        kv.attend(queries(1).bfloat16())
    with pytest.raises(ValueError, match="q requires grad"):
        kv.attend(queries(1).requires_grad_())
    with pytest.raises(ValueError, match=r"mask has shape \[99\]"):
        kv.attend(queries(1), mask=torch.ones(99, dtype=torch.bool))
    with pytest.raises(ValueError, match="scale is nan"):
        kv.attend(queries(1), scale=float("nan"))
    with pytest.raises(TypeError, match="causal is 1"):
        kv.attend(queries(1), causal=1)
    with pytest.raises(ValueError, match=r"select is TopK.*Window\(span, sink\)"):
        kv.attend(queries(1), select=TopK(2))
    with pytest.raises(ValueError, match='unknown select "narrow"'):
        kv.attend(queries(1), select="narrow")
    with pytest.raises(TypeError, match=r"select is Band.*Window\(span, sink\)"):
        kv.attend(queries(1), select=Band(after=0))


def test_a_backend_that_cannot_is_refused_with_its_reason():
    k, v = tokens(100)
    with pytest.raises(BackendError, match="needs float32, bfloat16 or float16, not float64"):
        PackedKV(k.double(), v.double(), backend="cpu")
    if "cpu" in backends():
        kv = PackedKV(k, v)
        assert kv.attend(queries(1)).shape == (1, 8, 1, 40)
    kv = PackedKV(k.double(), v.double())
    q = queries(2).double()
    assert relative_l1(kv.attend(q), dense(q, k, v)[0]) <= 1e-12


@pytest.mark.parametrize("options", [{"skip": 8.0}, {"correct": True}], ids=str)
def test_options_of_a_window_are_not_dropped(options):
    """skip and correct came to every selection later, and a window was read for its band only."""
    kv = PackedKV(*tokens(100), precision="native")
    with pytest.raises(ValueError, match="attend takes neither"):
        kv.attend(queries(2), select=Window(50, **options))
