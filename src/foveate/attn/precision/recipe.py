"""Recipe: everything a backend has to know about a precision, as one flat frozen value.

A precision (`Int8`, `Sage2`, …) is what people choose; its recipe is what backends read. Two
precisions with equal recipes compute the same numbers. The order of operations, for every recipe
and backend:

    k' = k − mean(k) if smooth_k                      (per batch and kv head, in float32)
    q' = q − q̄ if smooth_q                            (q̄: mean of each block of `block_q` queries)
    Ŝ  = q_scale · k_scale · ⟨q̂, k̂⟩ + q̄·k'            (the last term only if smooth_q)
    s  = scale · log2(e) · Ŝ  + log2(e) · mask
    online softmax in base 2 over tiles of `tile` keys; P written in `p`, V or v − v̄ in `v`
    out = O / l · v_scale (+ v̄);   lse = ln2 · (m + log2 l)  (+ scale · q·k̄ if smooth_k)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..formats import Float, Format

_PLAIN = Float()

Accumulate = Literal["fp32", "fp22", "fp22+fp32", "fp16", "fp16+fp32"]
"""Where P·V is summed. fp32: float32 throughout. fp22: each step of `chain` keys is truncated to
13 mantissa bits (FP8 tensor cores), O included. fp22+fp32: the same inside one tile, then float32.
fp16 / fp16+fp32: rounded to float16 after each `chain` keys, O included / inside one tile."""


@dataclass(frozen=True)
class Recipe:
    """Formats of Q, K, P and V, what is smoothed, and where P·V is summed."""

    q: Format = _PLAIN
    k: Format = _PLAIN
    p: Format = _PLAIN
    v: Format = _PLAIN
    smooth_q: bool = False
    smooth_k: bool = False
    smooth_v: bool = False
    accumulate: Accumulate = "fp32"
    chain: int = 32  # keys per matrix instruction: where fp22 and fp16 sums are rounded
    denominator: Literal["exact", "quantized"] = (
        "exact"  # l sums p before or after it is written in `p`
    )
    mean_every: int = 1  # means of K and V over every n-th token only, as long as that leaves 256
    block_q: int = 128  # queries that share a mean (smooth_q) and a "block" scale
    warp_q: int = 32  # queries per warp, for the granularities "warp" and "thread"
    tile: int = 128  # keys per step of the online softmax, and per "block" scale of K
