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

`WayBack` says how the gradients are computed; without one they are those of exact numbers.
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
class WayBack:
    """How the five products of the backward pass are written as numbers.

    Q and K are written as on the way there (q̂, s_q, k̂, s_k), P comes back from lse and those codes:

        S  = scale · s_q · s_k · ⟨q̂, k̂⟩ (+ mask)    P = exp(S − (lse − scale · q·k̄))
        dP = dO·Vᵀ    dS = P ∘ (dP − δ)    dV = Pᵀ·dO    dQ = scale · dS·K    dK = scale · dSᵀ·Q

    scales "axis": every operand of a product has a scale along the axis that is not summed.

        dV += a[c] · Σ_r P̂·dÔ    P' = P · s_o[r]     a[c] = max_r P' / 255       over `rows` queries
        dK += b[c] · Σ_r D̂·q̂     D' = dS · s_q[r]    b[c] = max_r |D'| / 127     over `rows` queries
        dQ += e[r] · Σ_c D̂·k̂     D' = dS · s_k[c]    e[r] = max_c |D'| / 127     over `keys` keys

    with dÔ = round(dO / s_o), s_o[r] = max|dO[r]| / 127. scales "block": P and dS have one scale
    for each tile of `rows` × `keys` (limit 127), dO one for each block of `rows`. scales "none":
    nothing is written in integers (what remains is the order of the sums). Rounding is to nearest
    even; a tile whose largest value is 0 has codes 0; sums over tiles are float32 (float64 for
    float64). Blocks of rows begin anew in each block of queries of a layout; tiles of keys at 0.

    delta: δ[r] = Σ_c P∘dP, over all visited keys and with P before it is rounded ("products"), or
    Σ dO∘O ("out"); minus the gradient of lse. dp: how dO and V are written for dP; "int8": one
    scale for each row ("axis") or block ("block"). Since dQ meets K without its mean, it gets
    scale · k̄ · (gradient of lse), which is what the rows of dS sum to; with mean_term the sums
    themselves, rounding errors and all, take that place.
    """

    rows: int = 128
    keys: int = 128
    scales: Literal["axis", "block", "none"] = "axis"
    delta: Literal["products", "out"] = "products"
    dp: Literal["bf16", "fp16", "fp32", "int8"] = "bf16"
    mean_term: bool = False
    codes: Literal["int8", "fp8"] = "int8"  # fp8: E4M3 with largest code 448, for dO, P and dS


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
    back: WayBack | None = None  # None: gradients in exact numbers
