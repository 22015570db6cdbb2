"""How numbers are written: one small frozen value per format.

A format says *how* a tensor is written, never *who* writes it: backends read these values and do
the work. The one thing to know: every format here is a value with an exact definition, and
`backends/reference/` is that definition in plain torch.

Symbols: x ≈ scale · code. `limit` is the largest magnitude a code may have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Granularity = Literal[
    "tensor", "block", "warp", "thread", "token", "channel", "channel+tile", "tile"
]
"""Which elements share one scale; Q and K use the first five, V the last three.

tensor: one per (batch, head). block: 128 queries / `tile` keys. warp: 32 queries / 64 keys.
thread: rows that one GPU lane owns. token: one per row. channel: one per column of V.
channel+tile: one per column of V in each tile of keys. tile: one per tile of keys of V.
"""


@dataclass(frozen=True)
class Float:
    """Floating point without a scale. dtype "input" means the dtype of q, k and v."""

    dtype: Literal["input", "float32", "bfloat16", "float16"] = "input"


@dataclass(frozen=True)
class Integer:
    """Symmetric integers: code = clamp(round(x / scale), −limit, limit), scale = max|x| / limit.

    8 bits: limit 127. 4 bits: limit 7. Rounding is to nearest even.
    """

    bits: Literal[8, 4] = 8
    granularity: Granularity = "token"

    @property
    def limit(self) -> int:
        return 127 if self.bits == 8 else 7


@dataclass(frozen=True)
class Unsigned:
    """P as unsigned integers: code = round(levels · 2^(s − m)).

    max "tile": m is the row's maximum in this tile, so each tile uses every level (needs one factor
    per row and tile). max "running": m is the running maximum, a static scale of 1 / levels.
    """

    levels: Literal[255, 127] = 255
    max: Literal["tile", "running"] = "tile"


@dataclass(frozen=True)
class FP8:
    """8-bit floats. Codes are scaled so that the largest magnitude is `limit`, then clamped.

    For P the scale is static (p · limit); for V it is one per channel (max|v| / limit).
    """

    kind: Literal["e4m3", "e5m2"] = "e4m3"
    limit: float = 448.0


@dataclass(frozen=True)
class FP4:
    """E2M1 codes with one scale per group along the contraction axis.

    nvfp4: groups of 16, scale E4M3 = round(max / 6). mxfp4: groups of 32, scale a power of two.
    second_level: for Q, K, V one more float32 scale per (batch, head), max|x| / (448 · 6);
    for P the static factor 448 · 6 (two-level P). Without it small groups vanish.
    """

    kind: Literal["nvfp4", "mxfp4"] = "nvfp4"
    second_level: bool = True

    @property
    def group(self) -> int:
        return 16 if self.kind == "nvfp4" else 32


Format = Float | Integer | Unsigned | FP8 | FP4
