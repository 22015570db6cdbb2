"""Inputs D1 to D4 and what was published or first measured on them: the golden figures.

Tests hold the reference backend to these figures, and `ablations.py` uses the same inputs.

    D1  Q, K, V ~ N(0, 1)
    D2  a bias in each channel: Q + 4·g, K + 8·g', V = 8.5 + 0.5·N; errors are of out − 8.5
    D3  a sink: key 0 gets logit T from every query and has value 0
    D4  a long, positive V: 1 + 0.25·N, for what a 22-bit accumulator loses with length

The one thing to know: D2 hangs on the draw of 128 channel biases: its errors differ tenfold between
draws, so a figure on D2 means little without its draw or a spread. All figures are for one head and
2048 tokens unless named.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from foveate.attn.backends.base import Request
from foveate.attn.backends.reference import backend
from foveate.attn.formats import FP4, FP8, Float, Integer, Unsigned
from foveate.attn.layouts.blocks import Band, BlockLayout
from foveate.attn.precision.recipe import Recipe

HALF, EXACT = Float("float16"), Float("float32")
V_OFFSET = 8.5


def gaussian(seed: int = 0, length: int = 2048, dim: int = 128) -> tuple[Tensor, Tensor, Tensor]:
    """D1: q, k, v `[1, 1, length, dim]`."""
    normal = _normal(seed)
    return normal(length, dim), normal(length, dim), normal(length, dim)


def biased(seed: int = 0, length: int = 2048, dim: int = 64) -> tuple[Tensor, Tensor, Tensor]:
    """D2: channel-biased q and k, and v with a common offset, `[1, 1, length, dim]`."""
    normal = _normal(seed)
    q = normal(length, dim) + 4 * normal(1, dim)
    k = normal(length, dim) + 8 * normal(1, dim)
    return q, k, V_OFFSET + 0.5 * normal(length, dim)


def sink(logit: float, seed: int = 0, length: int = 2048) -> tuple[Tensor, Tensor, Tensor]:
    """D3: key 0 gets `logit` from every query, and its value is 0; `[1, 1, length, 64]`."""
    q, k, v = gaussian(seed, length, 64)
    q[..., 0], k[..., 0] = 8.0, 0.0
    k[:, :, 0], v[:, :, 0] = 0.0, 0.0
    k[:, :, 0, 0] = logit * math.sqrt(64) / 8
    return q, k, v


def long(length: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """D4: 64 queries, `length` keys, v = 1 + 0.25·N, `[1, 1, ·, 64]`."""
    normal = _normal(seed)
    return normal(64, 64), normal(length, 64), 1 + 0.25 * normal(length, 64)


def run(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    recipe: Recipe,
    *,
    band: Band | None = None,
    layout: BlockLayout | None = None,
    mask: Tensor | None = None,
    scale: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Out and lse of the reference backend, without the public call around it."""
    kind = None if mask is None else "bool" if mask.dtype == torch.bool else "additive"
    request = Request(
        recipe=recipe,
        batch=q.shape[0],
        q_heads=q.shape[1],
        kv_heads=k.shape[1],
        q_length=q.shape[2],
        k_length=k.shape[2],
        head_dim=q.shape[3],
        v_dim=v.shape[3],
        dtype=q.dtype,
        device=q.device,
        scale=q.shape[3] ** -0.5 if scale is None else scale,
        band=band,
        mask=kind,
    )
    if (reason := backend.refuses(request)) is not None:
        raise ValueError(f"recipe is refused: {reason}")
    return backend.attend(backend.encode(q, k, v, request), request, layout, mask)


def exact(
    q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None = None, bias: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Dense attention and lse in float64, all scores at once; empty rows give 0 and −inf."""
    group = q.shape[1] // k.shape[1]
    q, k, v = (x.double() for x in (q, k, v))
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    s = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    if bias is not None:
        s = s + bias.double()
    if seen is not None:
        s = s.masked_fill(~seen, -torch.inf)
    lse = s.logsumexp(-1)
    p = torch.exp(s - torch.where(lse == -torch.inf, 0.0, lse)[..., None])
    return p @ v, lse


def scores(
    bits: int, granularity: str = "thread", smooth: str = "", p: object = HALF, v: object = HALF
) -> Recipe:
    """INT8 or INT4 scores, some smoothing ("", "q", "k" or "qk"), and a P·V of choice."""
    rows = Integer(bits, granularity)
    return Recipe(q=rows, k=rows, p=p, v=v, smooth_q="q" in smooth, smooth_k="k" in smooth, tile=64)


def pv(p: object, v: object, tile: int = 64) -> Recipe:
    """Exact scores with P and V as given."""
    return Recipe(q=EXACT, k=EXACT, p=p, v=v, tile=tile)


def fp8(recipe: Recipe, accumulate: str = "fp22+fp32", p_range=448.0, v_range=448.0) -> Recipe:
    """The recipe with an E4M3 P·V."""
    formats = {"p": FP8("e4m3", p_range), "v": FP8("e4m3", v_range)}
    return replace(recipe, **formats, accumulate=accumulate, chain=32)


def fp4(kind: str = "nvfp4", only: str = "qkpv", smooth: str = "qk") -> Recipe:
    """FP4 with both second levels for the named operands, the others exact."""
    fmt = FP4(kind, kind == "nvfp4")
    formats = {name: fmt if name in only else EXACT for name in "qkpv"}
    return Recipe(**formats, smooth_q="q" in smooth, smooth_k="k" in smooth, tile=128)


@dataclass(frozen=True)
class Golden:
    """A case with its figures; None where none was given."""

    name: str
    inputs: Callable[[int], tuple[Tensor, Tensor, Tensor]]  # from a seed
    recipe: Recipe
    cosine: str  # percent, as printed: its digits say how exact it is
    relative_l1: str | None = None
    offset: float = 0.0  # taken off both outputs before they are compared
    seeds: tuple[int, ...] = (0,)  # figures are means over these draws


E5M2 = FP8("e5m2", 57344.0)
STATIC = {"p": Unsigned(127, "running"), "v": Integer(8, "channel")}

D1 = [
    Golden("int8 token, fp16 pv", gaussian, scores(8, "token", "k"), "99.9957", "0.0091"),
    Golden("int8 thread, fp16 pv", gaussian, scores(8, "thread", "k"), "99.9938", "0.0110"),
    Golden("int8 warp, fp16 pv", gaussian, scores(8, "warp", "k"), "99.9921", "0.0124"),
    Golden("int8 block, fp16 pv", gaussian, scores(8, "block", "k"), "99.9915", "0.0129"),
    Golden("int8 tensor, fp16 pv", gaussian, scores(8, "tensor", "k"), "99.9890", "0.0147"),
    Golden("int8 token, int8 pv", gaussian, scores(8, "token", "k", **STATIC), "99.960", "0.0265"),
    Golden("int8 block, int8 pv", gaussian, scores(8, "block", "k", **STATIC), "99.956", "0.0282"),
    Golden("e4m3 pv, fp32", gaussian, fp8(scores(8, smooth="k"), "fp32"), "99.930", "0.0373"),
    Golden("e4m3 pv, fp22+fp32", gaussian, fp8(scores(8, smooth="k")), "99.930", "0.0373"),
    *[
        Golden(
            f"e4m3 pv, fp16 chain {p:g}/{v:g}",
            gaussian,
            fp8(scores(8, smooth="k"), "fp16+fp32", p, v),
            "99.928",
            "0.0379",
        )
        for p, v in ((448, 2.25), (224, 4.5), (112, 9))
    ],
    Golden("e5m2 pv", gaussian, scores(8, smooth="k", p=E5M2, v=E5M2), "99.739", "0.0720"),
    Golden("int4 token", gaussian, fp8(scores(4, "token", "qk")), "98.54", "0.170"),
    Golden("int4 thread", gaussian, fp8(scores(4, "thread", "qk")), "97.90", "0.206"),
    Golden("int4 block", gaussian, fp8(scores(4, "block", "qk")), "97.10", "0.244"),
    Golden("int4 tensor", gaussian, fp8(scores(4, "tensor", "qk")), "96.33", "0.276"),
    Golden("nvfp4", gaussian, fp4(), "98.18", "0.190"),
    Golden("mxfp4", gaussian, fp4("mxfp4"), "96.95", "0.244"),
    Golden("nvfp4 only q, k", gaussian, fp4(only="qk"), "99.05", "0.136"),
    Golden("nvfp4 only p", gaussian, fp4(only="p", smooth=""), "99.58", "0.092"),
    Golden("nvfp4 only v", gaussian, pv(EXACT, FP4("nvfp4", False), 128), "99.54", "0.096"),
]

D2 = {  # bits and smoothing: cosine in percent, INT8 or INT4 per thread with an exact P·V
    (8, ""): "99.04",
    (8, "k"): "99.993",
    (8, "q"): "99.991",
    (8, "qk"): "99.999",
    (4, ""): "35.4",
    (4, "k"): "96.9",
    (4, "q"): "96.3",
    (4, "qk"): "99.75",
}

D3 = [
    Golden(f"{name}, T={logit}", partial(sink, logit), recipe, figure, seeds=(0, 1, 2, 3))
    for name, recipe, figures in (
        ("fp16 pv", pv(HALF, HALF), ("100", "100", "100")),
        ("e4m3 pv", fp8(pv(EXACT, EXACT)), ("99.93", "99.93", "99.93")),
        ("int8 pv, static", pv(**STATIC), ("99.87", "56.5", "11.1")),
        ("nvfp4 direct p", pv(FP4("nvfp4", False), EXACT, 128), ("99.47", "49.2", "7.7")),
        ("nvfp4 two-level p", pv(FP4("nvfp4", True), EXACT, 128), ("99.49", "99.19", "99.19")),
    )
    for logit, figure in zip((4, 8, 10), figures, strict=True)
]

D4 = [  # length, relative L2 of one level, of two levels, against float32 sums
    (4096, "2.8e-3", "5.3e-5"),
    (65536, "4.4e-2", "5.2e-5"),
]


def _normal(seed: int) -> Callable[[int, int], Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return lambda rows, columns: torch.randn(1, 1, rows, columns, generator=generator)
