"""Threads of the kernels: same numbers for any count, and what a pool of workers may meet."""

from __future__ import annotations

import threading

import pytest
import torch

from foveate import PackedKV, Window, attention
from foveate.attn.precision import Int8, Native, Sage2, Sage3
from tests.contract.cases import Shape
from tests.cpu.kit import named, python

PRECISIONS = [Native(), Int8(), Sage2(granularity="tensor"), Sage2(4), Sage3()]
CALLS = {
    "plain": ({}, Shape(2, 4, 2, 150, 700, 64)),
    "window": ({"select": Window(200, 8), "causal": True}, Shape(1, 4, 2, 400, 600, 32)),
    "decode": ({"causal": True}, Shape(2, 8, 2, 3, 700, 64)),
}


@pytest.mark.parametrize("precision", PRECISIONS, ids=named)
@pytest.mark.parametrize("kind", CALLS)
def test_results_are_the_same_to_the_bit(target, precision, kind):
    options, shape = CALLS[kind]
    tensors = shape.tensors()
    run = {"precision": precision, "backend": "cpu", "return_lse": True, **options}
    alone, alone_lse = attention(*tensors, **run)
    for threads in (2, 4):
        torch.set_num_threads(threads)
        out, lse = attention(*tensors, **run)
        assert torch.equal(out, alone), f"{threads} threads"
        assert torch.equal(lse, alone_lse), f"{threads} threads"


def test_two_callers_at_once(target):
    """One caller has the pool, the other works alone; neither sees the other's data."""
    torch.set_num_threads(2)
    calls = [Shape(1, 4, 2, 300, 500 + 60 * n, 64).tensors() for n in range(2)]
    expected = [attention(*tensors, precision="int8", backend="cpu") for tensors in calls]
    wrong, gate = [], threading.Barrier(2)

    def run(n: int) -> None:
        torch.set_num_threads(2)
        gate.wait()
        for turn in range(20):
            out = attention(*calls[n], precision="int8", backend="cpu")
            if not torch.equal(out, expected[n]):
                wrong.append((n, turn))

    callers = [threading.Thread(target=run, args=(n,)) for n in range(2)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def test_two_callers_share_packed_keys(target):
    q, k, v = Shape(1, 8, 2, 4, 600, 64).tensors()
    kv = PackedKV(k, v, precision="int8", backend="cpu")
    expected = kv.attend(q, causal=True)
    found = []

    def run() -> None:
        torch.set_num_threads(2)
        found.extend(kv.attend(q, causal=True) for _ in range(20))

    callers = [threading.Thread(target=run) for _ in range(2)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(found) == 40
    assert all(torch.equal(out, expected) for out in found)


PRELUDE = """
import os, signal, torch
from foveate import attention
torch.manual_seed(0)
q, k, v = (torch.randn(1, 8, 200, 32) for _ in range(3))
def run(threads):
    torch.set_num_threads(threads)
    out = attention(q, k, v, precision="native", backend="cpu")
    torch.set_num_threads(1)  # torch's own threads do hang in a child
    return out
def child(work):
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)  # a child that hangs ends with this signal
        try:
            os._exit(0 if work() else 3)
        except BaseException:
            os._exit(4)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
torch.set_num_threads(1)
"""


def test_a_growing_pool():
    """New workers once took up the work of the turn before they were born: memory of a call that
    had returned, read and counted down."""
    # each child has a fresh pool; the first calls leave something stale behind
    code = """
alone = run(1)
def work():
    return all(torch.equal(run(n), alone) for n in (2, 2, 3, 6, 8, 2, 12))
for _ in range(10):
    assert (status := child(work)) == 0, status
print("ok")
"""
    done = python(PRELUDE + code)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "ok\n"


def test_a_fork_after_use_starts_its_own_workers():
    """A child of fork() has none of its parent's threads, so a pool it inherits would wait for
    ever."""
    code = """
def work():
    if not torch.equal(run(2), alone):
        return False
    return child(lambda: torch.equal(run(3), alone)) == 0  # and so does the child of a child
alone = run(2)
assert (status := child(work)) == 0, status
assert torch.equal(run(2), alone)
print("ok")
"""
    done = python(PRELUDE + code)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "ok\n"


def test_memory_that_cannot_be_had_is_a_memory_error(target):
    q, k, v = Shape(1, 1, 1, 200, 300, 64).tensors()
    alone = attention(q, k, v, precision="native", backend="cpu")
    torch.set_num_threads(2)
    far = k[:, :, :1].expand(1, 1, 1 << 42, 64)  # one row, seen again and again
    with pytest.raises(MemoryError):
        attention(q, far, far, precision="native", backend="cpu")
    assert torch.equal(attention(q, k, v, precision="native", backend="cpu"), alone)
