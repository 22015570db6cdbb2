"""What the tests of the cpu backend share: targets, precisions with all their options, and calls.

A call is a small record; its tensors follow from its name. The reference's answer is computed once
and serves every target.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import product
from pathlib import Path

import torch
from torch import Tensor

from foveate import Band, BlockLayout, Window, attention
from foveate.attn import backends
from foveate.attn.precision import Int8, Native, Precision, Sage, Sage2, Sage2pp, Sage3
from tests.contract.cases import Shape, relative_l1

try:
    from foveate import _native

    TARGETS = tuple(_native.available())
except ImportError:
    _native = None
    TARGETS = ()

ROOT = Path(__file__).parents[2]
SANITIZED = "libasan" in os.environ.get("LD_PRELOAD", "")


def force(target: str) -> None:
    """Make one target active, "" the best; plans made for another one are forgotten."""
    _native.set_target(target)
    backends.refresh()


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that finds the same foveate as this one."""
    path = os.pathsep.join(p for p in sys.path if p)
    flags = ["-S"] if sys.flags.no_site else []
    return subprocess.run(
        [sys.executable, *flags, "-c", code],
        env={**os.environ, "PYTHONPATH": path, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )


# Every option that the kernels take, not every combination of them.
OPTIONS: tuple[Precision, ...] = (
    Native(),
    *(Int8(smooth_k=k, smooth_v=v) for k, v in product((True, False), repeat=2)),
    *(Sage(x) for x in ("B", "T", "vB", "vT")),
    *(Sage(x, accumulate=a) for x, a in product(("B", "T"), ("fp32", "fp16"))),
    Sage("B", smooth_k=False),
    Sage("T", smooth_v=True),
    Sage("vT", smooth_k=False, smooth_v=True),
    *(
        Sage2(bits, grain, smooth_q=smooth)
        for bits, grain, smooth in product(
            (8, 4), ("tensor", "block", "warp", "thread", "token"), (False, True)
        )
    ),
    *(Sage2(accumulate=a, tile=t) for a, t in product(("fp22+fp32", "fp22", "fp32"), (64, 128))),
    *(Sage2(pv="e5m2", accumulate=a) for a in ("fp22+fp32", "fp22", "fp32")),
    *(Sage2(4, g, tile=128) for g in ("tensor", "warp", "thread", "token")),
    *(Sage2(smooth_q=True, smooth_k=k, smooth_v=v) for k, v in product((True, False), repeat=2)),
    *(Sage2pp(bits, ranges=r) for bits, r in product((8, 4), ("448/2.25", "224/4.5"))),
    Sage2pp(granularity="block", smooth_v=True),
    Sage3(),
    *(Sage3(two_level=t, global_scale=g) for t, g in ((False, True), (True, False), (False,) * 2)),
    *(
        Sage3(f, smooth_q=q, smooth_k=k)
        for f in ("nvfp4", "mxfp4")
        for q, k in ((False, True), (True, False))
    ),
    *(Sage3(f, smooth_v=True, tile=t) for f, t in product(("nvfp4", "mxfp4"), (64, 128))),
)
PRECISIONS = tuple({p.recipe(64): p for p in reversed(OPTIONS)}.values())[::-1]


def named(precision: Precision) -> str:
    """Short test id: the class, and the options that are not its defaults."""
    defaults = type(precision)()
    options = [
        f"{name}={value}"
        for name, value in vars(precision).items()
        if value != getattr(defaults, name)
    ]
    return "-".join([precision.name, *options])


@dataclass(frozen=True)
class Call:
    """One call; tensors, mask and layout follow from the name."""

    name: str
    shape: Shape
    causal: bool = False
    select: Callable[[tuple[int, int]], object] | None = None
    mask: Callable[[Tensor, Tensor], Tensor] | None = None
    dtype: torch.dtype = torch.float32
    scale: float | None = None

    def arguments(self) -> tuple[tuple[Tensor, ...], dict]:
        """q, k, v, and the options of `foveate.attention`."""
        torch.manual_seed(zlib.crc32(self.name.encode()))
        q, k, v = self.shape.tensors(self.dtype)
        options = {"causal": self.causal, "scale": self.scale}
        if self.select is not None:
            options["select"] = self.select((q.shape[2], k.shape[2]))
        if self.mask is not None:
            options["mask"] = self.mask(q, k)
        return (q, k, v), options


def backward_arguments(call: Call, precision: str | Precision):
    """q, k, v, a gradient of the output, and the options of `attn.gradient.gradients`."""
    (q, k, v), options = call.arguments()
    torch.manual_seed(7)
    dout = torch.randn(*q.shape[:3], v.shape[3]).to(q.dtype)
    names = {"mask": None, "select": "dense", "causal": False, "scale": None}
    rest = {name: options.get(name, usual) for name, usual in names.items()}
    return (q, k, v), dout, {**rest, "precision": precision}


def check_gradients(found, exact, like, limit: float) -> None:
    """Gradients have the shapes and dtypes of their tensors, and are near the exact ones."""
    for x, true, tensor in zip(found, exact, like, strict=True):
        assert x.shape == tensor.shape
        assert x.dtype == tensor.dtype
        assert relative_l1(x, true) < limit


def blocks(bq: int, bk: int, share: float = 0.6, band: Band | None = None, per_head: int = 1):
    """Makes layouts of that block size with holes."""

    def make(lengths: tuple[int, int]) -> BlockLayout:
        grid = (-(-lengths[0] // bq), -(-lengths[1] // bk))
        visits = torch.rand(1, per_head, *grid) < share
        return BlockLayout.from_dense(visits, (bq, bk), lengths, band)

    return make


def window(*arguments, **options):
    return lambda lengths: Window(*arguments, **options)


BAND = Band(before=(20, 90, None, 150), after=40, sink=(0, 3, 0, 40))
SMALL = Shape(2, 4, 2, 70, 150, 32)
CALLS = (
    Call("plain", Shape(2, 4, 2, 70, 150, 64, order="tokens")),
    Call("causal", Shape(1, 4, 1, 130, 201, 40, v_dim=24, order="offset"), causal=True),
    Call("more queries than keys", Shape(1, 2, 2, 150, 99, 72, v_dim=136), causal=True),
    Call("wide heads", Shape(1, 1, 1, 40, 129, 256, v_dim=200)),
    Call("decode", Shape(2, 8, 2, 1, 300, 64), causal=True),
    Call("decode a few", Shape(1, 6, 2, 7, 270, 128, order="tokens"), causal=True),
    Call("decode a window", Shape(1, 8, 1, 16, 261, 32), True, window(70, 9)),
    Call("decode with masks", Shape(1, 4, 2, 5, 130, 16), mask=lambda q, k: torch.randn(4, 5, 130)),
    Call("window", Shape(1, 4, 2, 200, 261, 32), True, window(40, 5)),
    Call("window both ways", Shape(1, 2, 1, 200, 150, 32), False, window(33, 70)),
    Call("blocks of 32 keys", Shape(1, 4, 4, 100, 300, 32), False, blocks(16, 32, per_head=4)),
    Call("blocks of 64 keys", Shape(2, 4, 2, 300, 300, 16), True, blocks(200, 64)),
    Call("blocks of 100 keys", Shape(1, 2, 1, 200, 330, 24), False, blocks(48, 100)),
    Call("blocks of 128 keys", Shape(1, 4, 2, 150, 400, 32), False, blocks(64, 128, 0.5)),
    Call("blocks and a band", Shape(1, 4, 2, 150, 260, 32), True, blocks(40, 48, 0.7, BAND, 4)),
    Call("pairs masked", SMALL, mask=lambda q, k: torch.rand(q.shape[2], k.shape[2]) > 0.4),
    Call("keys masked", SMALL, True, mask=lambda q, k: torch.rand(2, 1, 1, k.shape[2]) > 0.4),
    Call("bias", SMALL, True, mask=lambda q, k: torch.randn(1, 4, q.shape[2], k.shape[2])),
    Call("bias of minus infinity", SMALL, mask=lambda q, k: minus_infinity(q, k)),
    Call("blocks and a mask", SMALL, False, blocks(16, 40), lambda q, k: torch.rand(70, 150) > 0.3),
    Call("large scale", SMALL, scale=2.0),
    Call("small scale", SMALL, scale=1e-3),
    Call("bfloat16", replace(SMALL, order="tokens"), True, dtype=torch.bfloat16),
    Call("float16", replace(SMALL, order="offset"), True, dtype=torch.float16),
)


def minus_infinity(q: Tensor, k: Tensor) -> Tensor:
    bias = torch.randn(q.shape[0], 1, q.shape[2], k.shape[2])
    return bias.masked_fill(torch.rand_like(bias) > 0.5, -torch.inf)


@dataclass(frozen=True, eq=False)
class Answer:
    """Arguments of a call and what the reference makes of them."""

    tensors: tuple[Tensor, ...]
    out: Tensor
    lse: Tensor
    options: dict = field(default_factory=dict)


@cache
def reference(call: Call, precision: Precision) -> Answer:
    tensors, options = call.arguments()
    out, lse = attention(
        *tensors, precision=precision, backend="reference", return_lse=True, **options
    )
    return Answer(tensors, out, lse, options)
