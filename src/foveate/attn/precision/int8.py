"""Int8: INT8 for both products, made for CPUs with 8-bit dot products (VNNI).

Idea: SageAttention's INT8 scores with one Q scale per row, and an INT8 P·V that loses nothing to a
static scale of P: each row of P is scaled by its own maximum in the tile, which uses all 255
levels, and the factor 2^(m_tile − m) / 255 joins the rescaling of the output that online softmax
does anyway.

    Ŝ = q_scale[i] · k_scale[tile] · ⟨q̂, k̂⟩        P̂ = round(255 · 2^(s − m_tile))
    O += 2^(m_tile − m) / 255 · v_scale[tile, c] · ⟨P̂, v̂⟩     out = O / l + v̄[c]

l sums p before it is rounded. What stays: a tile that holds a strong sink cannot show its other
keys (p below 1/510 of the sink's is lost there). Scales of K and V belong to one tile, so keys can
be appended without touching the tiles before them (`PackedKV`).

Knobs: smooth_k (exact; keep it on unless K has no channel bias), smooth_v (exact; costs one mean).
Paper: SageAttention (arXiv 2410.02367); per-row P as in SageBwd (arXiv 2505.11594), section 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..formats import Integer, Unsigned
from .base import Precision
from .fields import flags
from .recipe import Recipe


@dataclass(frozen=True)
class Int8(Precision):
    """INT8 Q, K, V and an 8-bit P with a scale per row and tile.

    Args:
        smooth_k: Subtract the mean key first.
        smooth_v: Subtract the mean value first and add it to the output.
    """

    smooth_k: bool = True
    smooth_v: bool = True

    name: ClassVar[str] = "int8"

    def __post_init__(self) -> None:
        flags(self, "smooth_k", "smooth_v")

    def recipe(self, head_dim: int) -> Recipe:
        return Recipe(
            q=Integer(8, "token"),
            k=Integer(8, "block"),
            p=Unsigned(255, "tile"),
            v=Integer(8, "channel+tile"),
            smooth_k=self.smooth_k,
            smooth_v=self.smooth_v,
            mean_every=8,  # a better mean is not worth reading all of K and V once more
            # a tile of K and V should stay in a 32 KB first-level cache beside the scores
            tile=128 if head_dim <= 64 else 64,
        )
