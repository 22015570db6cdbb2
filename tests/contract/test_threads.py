"""Threads, ours and the caller's, change nothing but the time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from foveate import Window, attention
from foveate.attn.precision import precision_named
from tests.contract.cases import Shape, backends

RUNS = [
    pytest.param(backend, name, id=f"{backend}-{name}")
    for name in ("native", "int8", "sage2", "sage3")
    for backend in backends(precision_named(name))
]


@pytest.mark.parametrize(("backend", "precision"), RUNS)
@pytest.mark.parametrize("threads", [2, 3, 7])
def test_number_of_threads_does_not_change_the_result(backend, precision, threads):
    q, k, v = Shape(2, 4, 2, 150, 300, 64).tensors()
    options = {"precision": precision, "backend": backend, "causal": True, "return_lse": True}
    torch.set_num_threads(1)
    alone, alone_lse = attention(q, k, v, **options)
    torch.set_num_threads(threads)
    out, lse = attention(q, k, v, **options)
    # torch's own products may sum in another order; a code may round the other way for it
    allowed = {"rtol": 1e-5, "atol": 2e-6} if precision == "native" else {"rtol": 0, "atol": 2e-2}
    torch.testing.assert_close(out, alone, **allowed)
    torch.testing.assert_close(lse, alone_lse, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("backend", "precision"), RUNS)
def test_calls_from_several_threads_do_not_meet(backend, precision):
    torch.set_num_threads(2)
    calls = [Shape(1, 4, 2, 60 + 7 * n, 100 + 40 * n, 64).tensors() for n in range(8)]

    def run(tensors):
        return attention(
            *tensors, select=Window(64, 4), causal=True, precision=precision, backend=backend
        )

    expected = [run(tensors) for tensors in calls]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            for out, alone in zip(pool.map(run, calls), expected, strict=True):
                torch.testing.assert_close(out, alone, rtol=1e-5, atol=2e-2)
