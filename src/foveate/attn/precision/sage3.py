"""Sage3: SageAttention3, 4-bit microscaling for both products.

Idea: E2M1 codes with a scale for every 16 values follow the data closely enough for attention. The
scales are E4M3, whose range P ∈ [0, 1] would use badly: p is first multiplied by 448 · 6 = 2688
(two-level P), without which every group below 0.006 vanishes. The same second level per head,
max|x| / 2688, does this for Q, K and V (global_scale; not in the paper).

    p' = 2688 · 2^(s − m)     scale = E4M3(max of 16 / 6)     P̂ = E2M1(p' / scale)

m is the running maximum and values are divided by the rounded scale (the paper prints the tile's
maximum; with the running one the factor cancels in O / l). Groups run along D for Q and K, along
the keys for P and V. With format "mxfp4" groups have 32 values and a power-of-two scale,
2^(floor(log2 max) − 2), largest code 6; such scales span the float range, so both second levels are
left out there.

Knobs: format; two_level; global_scale; the three smoothings (Q and K are needed).
Paper: SageAttention3 (arXiv 2505.11594), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..formats import FP4
from .base import Precision
from .fields import flags, one_of
from .recipe import Recipe


@dataclass(frozen=True)
class Sage3(Precision):
    """SageAttention3.

    Args:
        format: "nvfp4" or "mxfp4".
        two_level: Scale P by 2688 before its groups are scaled (nvfp4 only).
        global_scale: One more float32 scale per head of Q, K and V (nvfp4 only).
        smooth_q: Subtract the mean of each block of 128 queries.
        smooth_k: Subtract the mean key first.
        smooth_v: Subtract the mean value first and add it to the output.
        tile: Keys per step of the online softmax, 64 or 128.
    """

    format: Literal["nvfp4", "mxfp4"] = "nvfp4"
    two_level: bool = True
    global_scale: bool = True
    smooth_q: bool = True
    smooth_k: bool = True
    smooth_v: bool = False
    tile: Literal[64, 128] = 128

    name: ClassVar[str] = "sage3"

    def __post_init__(self) -> None:
        one_of(self, "format", ("nvfp4", "mxfp4"))
        flags(self, "two_level", "global_scale", "smooth_q", "smooth_k", "smooth_v")
        one_of(self, "tile", (64, 128))

    def recipe(self, head_dim: int) -> Recipe:
        levels = self.format == "nvfp4"
        fp4 = FP4(self.format, self.global_scale and levels)
        return Recipe(
            q=fp4,
            k=fp4,
            p=FP4(self.format, self.two_level and levels),
            v=fp4,
            smooth_q=self.smooth_q,
            smooth_k=self.smooth_k,
            smooth_v=self.smooth_v,
            tile=self.tile,
        )
