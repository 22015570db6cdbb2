"""What a backend is: encode, then attend. Selections and precisions never import one.

The one thing to know: a backend reads a `Recipe` and a `BlockLayout`, never the names of systems,
so any selection works with any precision. A backend that cannot run a request says why in one line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ..layouts.blocks import Band, BlockLayout
from ..precision.recipe import Recipe


@dataclass(frozen=True)
class Request:
    """The static facts of one call: no tensor data, so it can be cached and printed."""

    recipe: Recipe
    batch: int
    q_heads: int
    kv_heads: int
    q_length: int
    k_length: int
    head_dim: int
    v_dim: int
    dtype: torch.dtype
    device: torch.device
    scale: float
    band: Band | None  # causal and window rule of the whole call
    mask: str | None  # None, "bool" or "additive"
    block: tuple[int, int] | None = (
        None  # queries and keys per block of the layout, if there is one
    )
    layout_band: Band | None = None  # the layout's own band; holds together with `band`


class Backend(Protocol):
    name: str

    def refuses(self, request: Request) -> str | None:
        """None if this backend can run the request, else the reason, e.g. "needs AVX2"."""

    def encode(self, q: Tensor, k: Tensor, v: Tensor, request: Request) -> Any:
        """Write q `[B, Hq, Lq, D]`, k `[B, Hk, Lk, D]`, v `[B, Hk, Lk, Dv]` as the recipe says."""

    def attend(
        self, operands: Any, request: Request, layout: BlockLayout | None, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Online softmax over the visited blocks.

        `layout` None visits everything that `request.band` allows; the layout's own band holds as
        well. Returns out `[B, Hq, Lq, Dv]` in q's dtype and lse float32 `[B, Hq, Lq]`.
        """
