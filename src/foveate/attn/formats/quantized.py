"""Quantized: codes and the scales that give them back their size."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SMALLEST = 2.0**-100
"""Floor of a group's largest magnitude: a divisor is never zero, and an all-zero group has codes 0.

A floor, not an addition: adding a constant would coarsen the step of groups that are merely small.
"""


@dataclass(frozen=True, eq=False)
class Quantized:
    """x[n, c] ≈ scale[rows[n], c] · tile_scale[n // tile, c] · group_scale[n, c] · codes[n, c].

    Args:
        codes: `[B, H, L, D]` in the narrowest dtype that holds them exactly: int8 for integers,
            float8 for FP8, float8_e4m3fn for E2M1 (whose values are all E4M3 values), or a float
            dtype when nothing is quantised.
        scale: `[B, H, S, 1]` for Q and K, `[B, H, 1, D or 1]` for V; None for 1.
        rows: Which of the S scales a row uses, int64 `[L]`; None when scale broadcasts as it is.
        tile_scale: A scale per tile of rows and channel, `[B, H, nTiles, D]`; None for 1.
        group_scale: FP4's scale of 16 or 32 values, already repeated, `[B, H, L, D]`; None for 1.
        tile: Rows per entry of tile_scale.
    """

    codes: Tensor
    scale: Tensor | None = None
    rows: Tensor | None = None
    tile_scale: Tensor | None = None
    group_scale: Tensor | None = None
    tile: int = 128

    def row_scale(self) -> Tensor | None:
        """`scale` with one entry per row, `[B, H, L, 1]`; None for 1."""
        if self.scale is None or self.rows is None:
            return self.scale
        return self.scale[:, :, self.rows]

    def values(self, start: int, stop: int, dtype: torch.dtype) -> Tensor:
        """Codes of some rows times their group scale, `[B, H, rows, D]`, exact in float32."""
        values = self.codes[:, :, start:stop].to(dtype)
        if self.group_scale is not None:
            values = values * self.group_scale[:, :, start:stop]
        return values

    def decode(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The numbers that the codes stand for, `[B, H, L, D]`."""
        length = self.codes.shape[2]
        x = self.values(0, length, dtype)
        if self.tile_scale is not None:
            x = x * self.tile_scale.repeat_interleave(self.tile, dim=2)[:, :, :length]
        scale = self.row_scale()
        return x if scale is None else x * scale
