"""Selection: which key blocks each query block visits. One frozen dataclass per system.

A selection arranges the tokens, lays out the blocks, and restores the order afterwards. It never
encodes
numbers and never imports a backend: heavy work goes through the `kernels` it is handed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from ..correct import add_skipped
from ..layouts.blocks import Band, BlockLayout, check_skip

if TYPE_CHECKING:
    from ..backends.base import Backend, Request


@dataclass(frozen=True)
class Selection:
    """Base of all selections; fields are the knobs, checked on creation.

    A new system overrides `layout`, and the other hooks only if it needs them. One that does not
    fit (a second branch around attention, say) overrides `run`.
    """

    name: ClassVar[str]
    skip: float | tuple[float, ...] | None = field(default=None, kw_only=True, repr=False)
    """Second filter: leave P·V of a tile out for a group of rows when every probability in it is at
    most 2^−skip of the largest that the rows have met (SpargeAttn §3.4); per head with a tuple."""
    correct: bool = field(default=False, kw_only=True, repr=False)
    """Let the means of the keys and values of each skipped block stand for the block."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "skip", check_skip(f"{type(self).__name__}.skip", self.skip))
        if not isinstance(self.correct, bool):
            raise TypeError(f"{type(self).__name__}.correct is {self.correct!r}; expected a bool")

    def __str__(self) -> str:
        text = repr(self)
        asked = {"skip": self.skip, "correct": self.correct or None}
        said = [f"{k}={v}" for k, v in asked.items() if v is not None and f"{k}=" not in text]
        return f"{', '.join([text[:-1], *said])})".replace("(, ", "(") if said else text

    def fallback(self, request: Request) -> str | None:
        """Why this input (too small, ragged …) is served dense instead; None if it fits."""
        return None

    def outline(self, causal: bool) -> tuple[tuple[int, int] | None, Band | None]:
        """Block size and band of the layouts to come, so that a backend can refuse in time."""
        return getattr(self, "block", None), None

    def density(self, request: Request) -> float | None:
        """Share of all block pairs that will be visited, None if only the data can tell."""
        return None

    def more(self) -> Selection | None:
        """This selection with a larger budget; None if there is no step before visiting all."""
        return None

    def arrange(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Bring the tokens into the order in which blocks are cut."""
        return q, k, v

    def layout(
        self, q: Tensor, k: Tensor, request: Request, kernels: Backend
    ) -> BlockLayout | None:
        """Choose the blocks; None visits everything that `request.band` allows.

        Args:
            q: Arranged queries, `[B, Hq, Lq, D]`.
            k: Arranged keys, `[B, Hk, Lk, D]`.
            request: The static facts of the call.
            kernels: The backend, for work that is worth a kernel.
        """
        raise TypeError(f"{type(self).__name__} does not define a layout")

    def restore(self, out: Tensor, lse: Tensor) -> tuple[Tensor, Tensor]:
        """Undo `arrange` on out `[B, Hq, Lq, Dv]` and lse `[B, Hq, Lq]`."""
        return out, lse

    def run(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None,
        request: Request,
        kernels: Backend,
    ) -> tuple[Tensor, Tensor]:
        """arrange → select → encode → attend → restore."""
        q, k, v = self.arrange(q, k, v)
        layout = self.layout(q, k, request, kernels)
        return self.restore(*self.visit(q, k, v, mask, layout, request, kernels))

    def over(
        self,
        layout: BlockLayout,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None,
        request: Request,
        kernels: Backend,
    ) -> tuple[Tensor, Tensor]:
        """`run` with a layout that exists already, in the selection's order of tokens."""
        q, k, v = self.arrange(q, k, v)
        return self.restore(*self.visit(q, k, v, mask, layout, request, kernels))

    def visit(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None,
        layout: BlockLayout | None,
        request: Request,
        kernels: Backend,
        tally: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """encode → attend over a layout, and let the means of what it skips join in if asked to.

        Args:
            q, k, v: In the layout's order.
            mask: Bool or additive.
            layout: Visited blocks; None visits everything that `request.band` allows.
            request: The static facts of the call.
            kernels: The backend.
            tally: What the second filter left out, see `Backend.attend`.
        """
        operands = kernels.encode(q, k, v, request)
        more = {} if tally is None else {"tally": tally}
        out, lse = kernels.attend(operands, request, layout, mask, **more)
        if self.correct and layout is not None:
            add_skipped(out, lse, q, k, v, layout, request, kernels)
        return out, lse


def more_mass(share: Any) -> Any:
    """Half of what is missing from a share (or from each of a tuple) added to it."""
    if isinstance(share, tuple):
        return tuple(map(more_mass, share))
    return 1 - (1 - share) / 2


def less_share(share: Any) -> Any:
    """Half of the share that a block must have (or of each of a tuple)."""
    return tuple(map(less_share, share)) if isinstance(share, tuple) else share / 2


def more_blocks(number: Any) -> Any:
    """Twice a number of blocks, or twice a share of them, up to 1; each of a tuple."""
    if isinstance(number, tuple):
        return tuple(map(more_blocks, number))
    return min(1.0, 2 * number) if isinstance(number, float) else 2 * number


def more_bits(skip: Any) -> Any:
    """A threshold of the second filter that leaves out less, by 4 bits: 1/16 of the mass."""
    if isinstance(skip, tuple):
        return tuple(map(more_bits, skip))
    return None if skip is None else skip + 4


def check_block(block: object) -> tuple[int, int]:
    """A block size `(queries, keys)` as a tuple, or an error that names it."""
    ok = isinstance(block, tuple | list) and len(block) == 2
    if not ok or not all(isinstance(x, int) and not isinstance(x, bool) and x >= 1 for x in block):
        raise ValueError(
            f"block is {block!r}; expected two positive ints, (queries, keys), e.g. (128, 128)"
        )
    return tuple(block)
