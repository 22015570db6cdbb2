"""Sage2pp: SageAttention2++, FP8 P·V summed in float16.

Idea: FP8 products with a float16 accumulator run at twice the rate of those with a float32 one.
Narrower code ranges keep a chain of 64 keys below float16's 65504: P_r · V_r ≤ 1023. The chain is
rounded to float16 after each 32 keys and then added to the float32 output.

    P̂ = E4M3(P_r · p)     V̂ = E4M3(v / v_scale[c]), v_scale = max|v| / V_r    64 · P_r · V_r = 64512

Knobs: ranges "448/2.25" (as released, better with sinks) or "224/4.5" (as in the paper); the rest
as Sage2.
Paper: SageAttention2++ (arXiv 2505.21136), section 3 and table 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..formats import FP8, Integer
from .base import Precision
from .fields import flags, one_of
from .recipe import Recipe
from .sage2 import GRANULARITIES


@dataclass(frozen=True)
class Sage2pp(Precision):
    """SageAttention2++.

    Args:
        qk_bits: 8 or 4.
        granularity: Rows of Q and K that share a scale: "tensor", "block", "warp", "thread",
            "token".
        smooth_q: Subtract the mean of each block of 128 queries; None means qk_bits == 4.
        smooth_k: Subtract the mean key first.
        smooth_v: Subtract the mean value first and add it to the output.
        ranges: Largest codes of P and V, "448/2.25" or "224/4.5".
        accumulate: "fp16+fp32"; the only one, since its ranges exist for it (Sage2 has the others).
        denominator: "exact" or "quantized".
    """

    qk_bits: Literal[8, 4] = 8
    granularity: Literal["tensor", "block", "warp", "thread", "token"] = "thread"
    smooth_q: bool | None = None
    smooth_k: bool = True
    smooth_v: bool = False
    ranges: Literal["448/2.25", "224/4.5"] = "448/2.25"
    accumulate: Literal["fp16+fp32"] = "fp16+fp32"
    denominator: Literal["exact", "quantized"] = "exact"

    name: ClassVar[str] = "sage2++"

    def __post_init__(self) -> None:
        one_of(self, "qk_bits", (8, 4))
        one_of(self, "granularity", GRANULARITIES)
        one_of(self, "smooth_q", (None, True, False))
        flags(self, "smooth_k", "smooth_v")
        one_of(self, "ranges", ("448/2.25", "224/4.5"))
        one_of(self, "accumulate", ("fp16+fp32",))
        one_of(self, "denominator", ("exact", "quantized"))

    def recipe(self, head_dim: int) -> Recipe:
        rows = Integer(self.qk_bits, self.granularity)
        p_range, v_range = map(float, self.ranges.split("/"))
        return Recipe(
            q=rows,
            k=rows,
            p=FP8("e4m3", p_range),
            v=FP8("e4m3", v_range),
            smooth_q=self.qk_bits == 4 if self.smooth_q is None else self.smooth_q,
            smooth_k=self.smooth_k,
            smooth_v=self.smooth_v,
            accumulate=self.accumulate,
            chain=32,
            denominator=self.denominator,
            tile=64,
        )
