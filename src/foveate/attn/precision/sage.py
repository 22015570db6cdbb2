"""Sage: SageAttention, INT8 scores and float16 (or INT8) P·V.

Idea: the outliers of K are a channel bias that all tokens share. Subtracting the mean key removes
it without changing the softmax, and then INT8 is enough for Q·Kᵀ.

    variant   Q, K              P                    V                 P·V sums
    B         INT8 per block    float16              float16           float16 tile, then float32
    T         INT8 per token    float16              float16           float16 tile, then float32
    vB        INT8 per block    INT8, static 1/127   INT8 per channel  exact
    vT        INT8 per token    INT8, static 1/127   INT8 per channel  exact

Knobs: the variant; vB and vT lose every p below 0.004, so use them only where cosine stays high.
Paper: SageAttention (arXiv 2410.02367), section 3 and table 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..formats import Float, Integer, Unsigned
from .base import Precision
from .fields import flags, one_of
from .recipe import Recipe


@dataclass(frozen=True)
class Sage(Precision):
    """SageAttention, its four variants.

    Args:
        variant: "B", "T", "vB" or "vT".
        smooth_k: Subtract the mean key first.
        smooth_v: Subtract the mean value first and add it to the output.
        accumulate: Where float16 P·V of B and T is summed: "fp16+fp32" (the paper), "fp32", or
            "fp16" (the whole output in float16). vB and vT sum integers exactly and take no other
            value.
    """

    variant: Literal["B", "T", "vB", "vT"] = "B"
    smooth_k: bool = True
    smooth_v: bool = False
    accumulate: Literal["fp16+fp32", "fp32", "fp16"] = "fp16+fp32"

    name: ClassVar[str] = "sage"

    def __post_init__(self) -> None:
        one_of(self, "variant", ("B", "T", "vB", "vT"))
        one_of(self, "accumulate", ("fp16+fp32", "fp32", "fp16"))
        flags(self, "smooth_k", "smooth_v")
        if self.variant in ("vB", "vT") and self.accumulate != "fp16+fp32":
            raise ValueError(
                f"Sage.accumulate is {self.accumulate!r} but variant {self.variant!r} sums "
                'integers exactly; leave accumulate out, or use variant="B" or "T"'
            )

    def recipe(self, head_dim: int) -> Recipe:
        rows = Integer(8, "token" if self.variant in ("T", "vT") else "block")
        integers = self.variant in ("vB", "vT")
        return Recipe(
            q=rows,
            k=rows,
            p=Unsigned(127, "running") if integers else Float("float16"),
            v=Integer(8, "channel") if integers else Float("float16"),
            smooth_k=self.smooth_k,
            smooth_v=self.smooth_v,
            accumulate="fp32" if integers else self.accumulate,
            chain=16,
            tile=64,
        )
