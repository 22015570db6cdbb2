"""Dense visits every key that the rules allow; `Given` stands for a caller's own layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from ..layouts.blocks import Band, BlockLayout, Outline
from ..layouts.windows import band_density
from .base import Selection

if TYPE_CHECKING:
    from ..backends.base import Backend, Request

_COUNTED_IN = (128, 128)  # densities of dense calls are stated in blocks of this size


@dataclass(frozen=True)
class Dense(Selection):
    """Visit everything; nothing is ever left out."""

    name: ClassVar[str] = "dense"

    def layout(
        self, q: Tensor, k: Tensor, request: Request, kernels: Backend
    ) -> BlockLayout | None:
        return None

    def density(self, request: Request) -> float | None:
        if request.band is None:
            return 1.0
        return band_density(request.band, (request.q_length, request.k_length), _COUNTED_IN)


@dataclass(frozen=True)
class Given(Selection):
    """Stands for a BlockLayout that the caller passes; holds its static facts, not its tensors."""

    given: Outline
    name: ClassVar[str] = "layout"

    def outline(self, causal: bool) -> tuple[tuple[int, int] | None, Band | None]:
        return self.given.block, self.given.band

    def layout(
        self, q: Tensor, k: Tensor, request: Request, kernels: Backend
    ) -> BlockLayout | None:
        raise TypeError("this plan was made for a BlockLayout; pass it when it runs")
