"""Sage2: SageAttention2, INT4 or INT8 scores and FP8 P·V.

Idea: finer scale groups that cost nothing (per thread) and a smoothed Q make 4 bits enough for
Q·Kᵀ; FP8 holds the many small probabilities that INT8 loses. The FP8 tensor core sums in 22 bits
only, so each tile is summed there and then added to a float32 output (two-level accumulation).

    Ŝ = q_scale · k_scale · ⟨q̂, k̂⟩ + q̄·k'       P̂ = E4M3(448 · p)       V̂ = E4M3(v / v_scale[c])
    R = trunc22(Σ over 32 keys) twice per tile of 64, then O ← α·O + R

Knobs: qk_bits; granularity; smooth_q (needed for 4 bits, so on there by default); smooth_v (when V
has a large common offset); accumulate; denominator ("quantized" divides by Σ P̂: better if such a V
is not smoothed). The lse always uses the exact sum.
Paper: SageAttention2 (arXiv 2411.10958), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..formats import FP8, Integer
from ..formats.fp8 import LARGEST
from .base import Precision
from .fields import flags, one_of
from .recipe import Recipe

GRANULARITIES = ("tensor", "block", "warp", "thread", "token")


@dataclass(frozen=True)
class Sage2(Precision):
    """SageAttention2.

    Args:
        qk_bits: 8 or 4.
        granularity: Rows of Q and K that share a scale: "tensor", "block", "warp", "thread",
            "token".
        smooth_q: Subtract the mean of each block of 128 queries; None means qk_bits == 4.
        smooth_k: Subtract the mean key first.
        smooth_v: Subtract the mean value first and add it to the output.
        pv: "e4m3" or "e5m2".
        accumulate: "fp22+fp32" (the paper), "fp22" (one level, drifts with length) or "fp32".
        tile: Keys per step of the online softmax, 64 or 128.
        denominator: "exact" or "quantized".
    """

    qk_bits: Literal[8, 4] = 8
    granularity: Literal["tensor", "block", "warp", "thread", "token"] = "thread"
    smooth_q: bool | None = None
    smooth_k: bool = True
    smooth_v: bool = False
    pv: Literal["e4m3", "e5m2"] = "e4m3"
    accumulate: Literal["fp22+fp32", "fp22", "fp32"] = "fp22+fp32"
    tile: Literal[64, 128] = 64
    denominator: Literal["exact", "quantized"] = "exact"

    name: ClassVar[str] = "sage2"

    def __post_init__(self) -> None:
        one_of(self, "qk_bits", (8, 4))
        one_of(self, "granularity", GRANULARITIES)
        one_of(self, "smooth_q", (None, True, False))
        flags(self, "smooth_k", "smooth_v")
        one_of(self, "pv", ("e4m3", "e5m2"))
        one_of(self, "accumulate", ("fp22+fp32", "fp22", "fp32"))
        one_of(self, "tile", (64, 128))
        one_of(self, "denominator", ("exact", "quantized"))

    def recipe(self, head_dim: int) -> Recipe:
        rows = Integer(self.qk_bits, self.granularity)
        fp8 = FP8(self.pv, LARGEST[self.pv])
        return Recipe(
            q=rows,
            k=rows,
            p=fp8,
            v=fp8,
            smooth_q=self.qk_bits == 4 if self.smooth_q is None else self.smooth_q,
            smooth_k=self.smooth_k,
            smooth_v=self.smooth_v,
            accumulate=self.accumulate,
            chain=32,
            denominator=self.denominator,
            tile=self.tile,
        )
