"""Memory of a call grows with the length, not with its square, and nothing is left behind."""

from __future__ import annotations

import json

import pytest
import torch

from foveate import PackedKV
from foveate.measure.memory import resident
from tests.contract.cases import Shape
from tests.cpu.kit import SANITIZED, python

CODE = """
import json, torch
from foveate import Window, attention
from foveate.measure.memory import peak_memory
torch.set_num_threads(1)
def extra(length, select, precision):
    q, k, v = (torch.randn(1, 1, length, 64, dtype=torch.bfloat16) for _ in range(3))
    with peak_memory() as peak:
        out = attention(q, k, v, select=select, causal=True, precision=precision, backend="cpu")
    return peak.extra
extra(1024, "dense", "int8")  # what is loaded and kept once
print(json.dumps([[extra(length, Window(256, 16), precision) for length in (16384, 32768)]
                  for precision in ("native", "int8", "sage2", "sage3")]))
"""


@pytest.mark.skipif(SANITIZED, reason="a sanitizer keeps freed memory")
def test_extra_memory_is_linear_in_length():
    done = python(CODE)
    assert done.returncode == 0, done.stderr[-2000:]
    for precision, (half, whole) in zip(
        ("native", "int8", "sage2", "sage3"), json.loads(done.stdout), strict=True
    ):
        if whole is None:
            pytest.skip("this system does not say what a process needs")
        # out, codes and scales need 0.2 to 1 KiB a token; one bit for each pair, 2 or 4 KiB
        assert half <= 24 << 20, f"{precision}: {half >> 14} B a token"
        assert whole <= 48 << 20, f"{precision}: {whole >> 15} B a token"


TRAINING = """
import json, torch
from foveate import attention
from foveate.measure.memory import peak_memory
torch.set_num_threads(1)
def extra(length, precision):
    q, k, v = (torch.randn(1, 1, length, 64, requires_grad=True) for _ in range(3))
    with peak_memory() as peak:
        out = attention(q, k, v, causal=True, precision=precision, backend="cpu")
        torch.autograd.grad(out, (q, k, v), torch.ones_like(out))
    return peak.extra
extra(1024, "native")  # what is loaded and kept once
print(json.dumps([[extra(length, precision) for length in (4096, 8192)]
                  for precision in ("native", "sagebwd")]))
"""


@pytest.mark.skipif(SANITIZED, reason="a sanitizer keeps freed memory")
def test_memory_of_training_is_linear_in_length():
    done = python(TRAINING)
    assert done.returncode == 0, done.stderr[-2000:]
    for precision, found in zip(("native", "sagebwd"), json.loads(done.stdout), strict=True):
        if None in found:
            pytest.skip("this system does not say what a process needs")
        # 3 to 10 KiB a token; P alone in float32 would be 16 and 32 KiB
        assert found[0] <= 48 << 20, f"{precision}: {found[0] >> 12} B a token"
        assert found[1] <= 96 << 20, f"{precision}: {found[1] >> 13} B a token"


@pytest.mark.skipif(SANITIZED, reason="a sanitizer keeps freed memory")
def test_calls_and_packed_keys_give_their_memory_back(target):
    from foveate import attention

    q, k, v = Shape(1, 4, 4, 64, 4096, 64).tensors()

    def once() -> None:
        kv = PackedKV(k, v, precision="int8", backend="cpu")  # 2 MiB of codes
        kv.append(k[:, :, :700], v[:, :, :700])
        kv.attend(q)
        attention(q, k, v, precision="sage2", backend="cpu")

    # the extension keeps up to 64 MiB of freed buffers for the next call (csrc/memory.cc): let it
    # have them first
    for _ in range(15):
        once()
    before = resident()
    if before is None:
        pytest.skip("this system does not say what a process needs")
    for _ in range(20):
        once()
    assert resident() - before < 40 << 20, "20 rounds of 6 MiB left more than 40 MiB behind"


@pytest.mark.parametrize("precision", ["native", "int8"])
def test_nbytes_counts_codes_of_the_tokens_held(target, precision):
    _, k, v = Shape(1, 4, 2, 1, 4096, 64).tensors(torch.bfloat16)
    kv = PackedKV(k, v, precision=precision, backend="cpu")
    values = 2 * 4096 * 2 * 64
    each = 1 if precision == "int8" else 2
    assert values * each <= kv.nbytes <= values * each * 1.1 + 4096
