"""Window: each query sees the nearest keys, and a few first ones.

Query i stands at position i' = i + Lk − Lq. It sees
    causal:      i' − span < j ≤ i'
    otherwise:   |i' − j| < span
and the first `sink` keys, as far as they are not ahead of the window. Knobs: `span` (cost is linear
in it) and `sink` (a handful keeps language models stable). Source: StreamingLLM (Xiao et al.,
2023), §3.2.

The one thing to know: the blocks follow from sizes by arithmetic, so nothing of size Lq × Lk is
ever made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from ..layouts.blocks import Band, BlockLayout
from ..layouts.windows import band_density, band_layout
from .base import Selection, check_block, more_bits

if TYPE_CHECKING:
    from ..backends.base import Backend, Request


@dataclass(frozen=True)
class Window(Selection):
    """Visit the nearest `span` keys (on each side if not causal) and the first `sink`.

    Args:
        span: Keys of the window; the query's own position counts.
        sink: First keys that stay visible.
        block: Queries and keys per block of the layout.

    Raises:
        ValueError: span < 1, sink < 0, or a bad block.
    """

    span: int
    sink: int = 0
    # as wide as a tile of 128 keys, and narrower in queries: fewer masked pairs along the window's
    # two edges
    block: tuple[int, int] = (64, 128)
    name: ClassVar[str] = "window"

    def __post_init__(self) -> None:
        super().__post_init__()
        for field, least in (("span", 1), ("sink", 0)):
            value = getattr(self, field)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(
                    f"Window.{field} is {value!r}; expected an int of at least {least}"
                )
        object.__setattr__(self, "block", check_block(self.block))

    def band(self, causal: bool) -> Band:
        """The rule on single pairs."""
        return Band(before=self.span - 1, after=0 if causal else self.span - 1, sink=self.sink)

    def outline(self, causal: bool) -> tuple[tuple[int, int] | None, Band | None]:
        return self.block, self.band(causal)

    def density(self, request: Request) -> float | None:
        return band_density(*self._sizes(request))

    def more(self) -> Window:
        return replace(self, span=2 * self.span, skip=more_bits(self.skip))

    def layout(
        self, q: Tensor, k: Tensor, request: Request, kernels: Backend
    ) -> BlockLayout | None:
        return band_layout(*self._sizes(request), q.device)

    def _sizes(self, request: Request) -> tuple[Band, tuple[int, int], tuple[int, int]]:
        band = self.band(causal=request.band is not None and request.band.after == 0)
        return band, (request.q_length, request.k_length), self.block
