"""SageBwd: 8-bit attention that can be trained, forward and backward.

Idea: six of the seven products of attention and its gradient run on 8-bit integers: Q·Kᵀ (twice),
P·V, Pᵀ·dO, dS·K, dSᵀ·Q. The seventh, dP = dO·Vᵀ, keeps 16 bits, because its error has a mean: it
goes straight into dS = P ∘ (dP − δ) and adds up along the keys into dQ and dK, while rounding
errors of dS itself cancel.

    scales    "axis" (default)                       "block" (as published)
    Q, K, V   token, block, channel and tile         one scale for each block of 64 rows
    P there   u8, its row's maximum in the tile      7 bits, its row's maximum in the tile
    P, dS     a scale along the axis not summed      one scale for each tile of 64 × 64
    δ         Σ P∘dP                                 Σ dO∘O

"axis" is two to three times closer to exact gradients at the size of scores that a fresh model has
(docs/sagebwd.md); with larger scores the forward's error is all that counts. δ from the products
instead of the rounded output makes the rows of dS sum to 0 as they should. Scales of the forward in
"axis" are those of `Int8`, so its fast kernels serve.

Knobs: the fields below; all but `scales` are there to study what matters.
Paper: SageBwd (arXiv 2505.11594, section 4; arXiv 2603.02170). How it trains: docs/sagebwd.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from ..formats import FP8, Integer, Unsigned
from .base import Precision
from .fields import flags, one_of
from .int8 import Int8
from .recipe import Recipe, WayBack


@dataclass(frozen=True)
class SageBwd(Precision):
    """SageBwd, 8-bit attention for training.

    Args:
        scales: "axis", or "block" as published.
        delta: Where δ comes from: "products" (Σ P∘dP, one more pass over the keys) or "out"
            (Σ dO∘O). None is "products" for axis, "out" for block.
        dp: How dO and V are written for dP: "bf16", "fp16", "fp32" (float32, or float64 for float64
            inputs) or "int8".
        smooth_k: Subtract the mean key first; needed wherever K has a channel bias.
        smooth_q: Subtract the mean of each block of queries as well, put back exactly in the scores
            and in dK.
        p_scale: Scale of P in the forward: "row" (its maximum in the tile) or "static" (1 / levels;
            loses small probabilities).
        codes: "int8", or "fp8": everything that is INT8 in E4M3 instead, with scales="block" only
            and a static P in the forward. Worse, as the paper says; here to see how much.
        mean_term: Add rowsum(dS) · k̄ to dQ, as the first version of the paper does. With
            delta="out" that is rounding error times k̄.
    """

    scales: Literal["axis", "block"] = "axis"
    delta: Literal["products", "out"] | None = None
    dp: Literal["bf16", "fp16", "fp32", "int8"] = "bf16"
    smooth_k: bool = True
    smooth_q: bool = False
    p_scale: Literal["row", "static"] = "row"
    mean_term: bool = False
    codes: Literal["int8", "fp8"] = "int8"

    name: ClassVar[str] = "sagebwd"
    trainable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        one_of(self, "scales", ("axis", "block"))
        one_of(self, "delta", (None, "products", "out"))
        one_of(self, "dp", ("bf16", "fp16", "fp32", "int8"))
        one_of(self, "p_scale", ("row", "static"))
        one_of(self, "codes", ("int8", "fp8"))
        flags(self, "smooth_k", "smooth_q", "mean_term")
        if self.codes == "fp8" and (self.scales, self.p_scale) != ("block", "row"):
            raise ValueError(
                f"SageBwd.codes is 'fp8' with scales={self.scales!r} and p_scale={self.p_scale!r}; "
                "expected scales='block' and p_scale left out"
            )

    def recipe(self, head_dim: int) -> Recipe:
        axis = self.scales == "axis"
        size = 128 if axis else 64
        there = Int8(self.smooth_k).recipe(head_dim) if axis else _published(self.smooth_k)
        p = Unsigned(there.p.levels, "tile" if self.p_scale == "row" else "running")
        if self.codes == "fp8":
            there = replace(there, q=FP8(), k=FP8(), v=FP8())
            p = FP8()
        return replace(
            there,
            smooth_q=self.smooth_q,
            p=p,
            back=WayBack(
                rows=size,
                keys=size,
                scales=self.scales,
                delta=self.delta or ("products" if axis else "out"),
                dp=self.dp,
                mean_term=self.mean_term,
                codes=self.codes,
            ),
        )


def _published(smooth_k: bool) -> Recipe:
    """The forward of the paper: one scale for each block of 64 rows, P per row, 7 bits."""
    return Recipe(
        q=Integer(8, "block"),
        k=Integer(8, "block"),
        p=Unsigned(127, "tile"),
        v=Integer(8, "tile"),
        smooth_k=smooth_k,
        block_q=64,
        tile=64,
    )
