"""VSA: a coarse look at cubes of a video decides which cubes are looked at closely.

The tokens of a (T, Y, X) grid are cut into cubes (4 × 4 × 4 = 64 tokens), one cube to a block:

    q̄, k̄, v̄: mean of each cube       Sᵢⱼ = scale · ⟨q̄ᵢ, k̄ⱼ⟩
    coarse    O_c = softmax over j of S · v̄, the same for all tokens of a cube
    fine      O_f = attention of each token over the tokens of the `keep` cubes with the highest S
    out       G_c ∘ O_c + G_f ∘ O_f

Gates G belong to a model: `foveate.gated_attention` takes them with each call, and
`foveate.models.video.VideoSparseAttention` learns them. Without gates, in `attention`, G_f is 1 and
G_c is the field `coarse`, which is 0: nothing is added that nobody asked for. (Elsewhere a missing
gate may mean a weight of 1.) lse is that of the fine stage. The choice of cubes has no gradient,
all else has; ties go to the lower cube.

Knobs: `keep` (quality against cost), `cube`, and what the paper does not have, each off by default:
`own`, `mass`, `sized`, `balanced`, `correct`. Not causal, no masks: every token is one of the grid.
The choice costs one product of pooled tensors, a few rows at a time; its table is cubes × keep.
Paper: Video Sparse Attention (arXiv 2505.13389), sections 2.2 and 2.3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from ..layouts.blocks import BlockLayout
from ..layouts.cubes import Cubes, choose_cube, pool
from ..layouts.orders import axis_lengths
from . import fields
from .base import Selection, more_bits, more_blocks
from .stages import stages
from .top_cubes import top_cubes

if TYPE_CHECKING:
    from ..backends.base import Backend, Request


@dataclass(frozen=True)
class VSA(Selection):
    """Visit the `keep` best cubes of keys for each cube of queries.

    Args:
        grid: Tokens along each axis, slowest first: (T, Y, X), or (Y, X) with a cube of two sides.
        cube: Tokens of a cube along each axis; an int is a volume, and the cube of it that leaves
            the fewest slots empty is taken (`choose_cube`).
        keep: Cubes of keys visited: an int, or a share (float in (0, 1], rounded up).
        coarse: Weight of the coarse stage where no gate is given, or one for each query head.
        kv_grid: Grid of the keys, if it is not that of the queries.
        kv_cube: Cube of the keys, if it is not that of the queries.
        own: The cube of the queries themselves is always among those kept.
        mass: Keep more cubes than `keep` where it takes more to collect this share of the coarse
            probabilities (float in (0, 1]).
        sized: A cube of n tokens counts n times in the coarse stage (ln n joins its score); without
            it a cube of 2 tokens at the edge weighs as much as a full one.
        balanced: Cut axes into parts as equal as possible, see `Cubes`.
        correct: The means of the cubes left out join the fine stage, n keys each: less is lost
            where nothing was trained. See `Selection`.
        skip: Second filter, see `Selection`.

    Raises:
        TypeError, ValueError: A field is not of its kind or out of range.
    """

    grid: tuple[int, ...]
    cube: tuple[int, ...] | int = (4, 4, 4)
    keep: int | float = 32
    coarse: float | tuple[float, ...] = 0.0
    kv_grid: tuple[int, ...] | None = None
    kv_cube: tuple[int, ...] | int | None = None
    own: bool = False
    mass: float | None = None
    sized: bool = False
    balanced: bool = False
    name: ClassVar[str] = "vsa"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "grid", axis_lengths(self, "grid", self.grid))
        object.__setattr__(self, "cube", _cube_of(self, "cube", self.cube, self.grid))
        if self.kv_grid is not None:
            object.__setattr__(self, "kv_grid", axis_lengths(self, "kv_grid", self.kv_grid))
        if self.kv_cube is not None:
            grid = self.kv_grid or self.grid
            object.__setattr__(self, "kv_cube", _cube_of(self, "kv_cube", self.kv_cube, grid))
        elif self.kv_grid is not None:
            _cube_of(self, "cube", self.cube, self.kv_grid)  # as many axes
        fields.flags(self, "own", "sized", "balanced")
        check_keep("VSA.keep", self.keep)
        number = self.keys.number
        if isinstance(self.keep, int) and self.keep > number:
            sides, grid = ("×".join(map(str, x)) for x in (self.keys.cube, self.keys.grid))
            raise ValueError(
                f"VSA.keep is {self.keep}, more than the {number} cubes of {sides} in a grid of "
                f"{grid}; expected 1 to {number}, or a share such as 0.125"
            )
        fields.numbers(self, "coarse")
        if self.mass is not None:
            fields.shares(self, "mass")
            if isinstance(self.mass, tuple):
                raise ValueError(f"VSA.mass is {self.mass!r}; expected one share for all heads")
        if self.own and self.queries != self.keys:
            raise ValueError(
                "VSA.own is set and the keys have a grid of their own; expected one of the two, "
                "since only tokens of the same grid have a cube of their own"
            )

    def __repr__(self) -> str:
        return fields.brief(self)

    @property
    def queries(self) -> Cubes:
        """The cubes of the queries."""
        return Cubes(self.grid, self.cube, self.balanced)

    @property
    def keys(self) -> Cubes:
        """The cubes of the keys and values."""
        return Cubes(self.kv_grid or self.grid, self.kv_cube or self.cube, self.balanced)

    @property
    def kept(self) -> int:
        """Cubes of keys that each cube of queries visits, without `mass`."""
        return cubes_kept(self.keep, self.keys.number)

    @property
    def has_coarse(self) -> bool:
        """Whether a call without gates adds the coarse stage."""
        return any(fields.each(self.coarse))

    def fallback(self, request: Request) -> str | None:
        self.check_call(
            request.q_length,
            request.k_length,
            request.q_heads,
            request.band is not None,
            request.mask is not None,
        )
        if self.has_coarse or not self.visits_all:
            return None
        return f"keep = {self.keep} leaves none of {self.keys.number} cubes out"

    @property
    def visits_all(self) -> bool:
        """Whether the fine stage is dense."""
        return self.kept == self.keys.number

    def check_call(
        self, q_length: int, k_length: int, heads: int, causal: bool = False, mask: bool = False
    ) -> None:
        """Raise ValueError for calls that have no meaning here."""
        if causal:
            raise ValueError(
                "VSA is set and causal=True; expected causal=False, since cubes of a video have no "
                "order in which they would be hidden from one another"
            )
        if mask:
            raise ValueError(
                "VSA is set and a mask is given; expected None, since every token is one of the "
                "grid and means of cubes cannot follow a mask"
            )
        if isinstance(self.coarse, tuple) and len(self.coarse) != heads:
            raise ValueError(
                f"VSA.coarse has {len(self.coarse)} values; expected one, or one for each head of "
                f"q, {heads}"
            )
        for what, length, cubes in (("q", q_length, self.queries), ("k", k_length, self.keys)):
            if length != cubes.tokens:
                field = "grid" if what == "q" or self.kv_grid is None else "kv_grid"
                raise ValueError(
                    f"{what} has {length} tokens, but VSA.{field} {cubes.grid} holds "
                    f"{cubes.tokens}; expected a grid with as many tokens as {what}"
                )

    def outline(self, causal: bool) -> tuple[tuple[int, int] | None, None]:
        return (self.queries.volume, self.keys.volume), None

    def density(self, request: Request) -> float | None:
        return None if self.mass is not None else self.kept / self.keys.number

    def more(self) -> VSA | None:
        if self.visits_all:
            return None
        keep = min(more_blocks(self.kept), self.keys.number)
        return replace(self, keep=keep, skip=more_bits(self.skip))

    def arrange(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.queries.tile(q), self.keys.tile(k), self.keys.tile(v)

    def restore(self, out: Tensor, lse: Tensor) -> tuple[Tensor, Tensor]:
        return self.queries.untile(out), self.queries.untile(lse)

    def layout(self, q: Tensor, k: Tensor, request: Request, kernels: Backend) -> BlockLayout:
        return self.choose(*self.means(q, k), request.scale)

    def means(self, q: Tensor, *keys: Tensor) -> tuple[Tensor, ...]:
        """Means of the cubes of tiled queries, and of tiled keys and values, `[B, H, N, D]`."""
        here, there = self.queries, self.keys
        sizes = (None if c.exact else c.sizes(q.device) for c in (here, there))
        first, rest = sizes
        return pool(q, first, here.volume), *(pool(x, rest, there.volume) for x in keys)

    def choose(self, q: Tensor, k: Tensor, scale: float) -> BlockLayout:
        """The cubes to visit, from the means of queries and keys."""
        with torch.no_grad():
            counts, indices = top_cubes(
                q, k, self.kept, scale, bias=self.log_sizes(q), own=self.own, mass=self.mass
            )
        here, there = self.queries, self.keys
        lengths = (here.slots, there.slots)
        return BlockLayout(counts, indices, (here.volume, there.volume), lengths, skip=self.skip)

    def log_sizes(self, like: Tensor) -> Tensor | None:
        """ln of the tokens of each cube of keys, `[N]`, if the coarse stage is to know them."""
        if not self.sized or self.keys.exact:
            return None  # the same for all cubes changes nothing
        return self.keys.sizes(like.device).to(like.dtype).log()

    def run(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None,
        request: Request,
        kernels: Backend,
    ) -> tuple[Tensor, Tensor]:
        return self.over(None, q, k, v, mask, request, kernels)

    def over(
        self,
        layout: BlockLayout | None,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None,
        request: Request,
        kernels: Backend,
    ) -> tuple[Tensor, Tensor]:
        def attend(q, k, v, layout, mask):
            kind = None if mask is None else "bool" if mask.dtype == torch.bool else "additive"
            facts = replace(
                request,
                q_length=q.shape[2],
                k_length=k.shape[2],
                block=layout.block,
                mask=kind,
                skip=layout.skip,
            )
            return kernels.attend(kernels.encode(q, k, v, facts), facts, layout, mask)

        coarse = per_head(self.coarse, q)
        return stages(self, q, k, v, request.scale, attend, coarse, 1.0, layout)


def check_keep(name: str, keep: object) -> None:
    """Raise ValueError unless this is a number or a share of cubes."""
    whole = isinstance(keep, int) and not isinstance(keep, bool) and keep >= 1
    if not whole and not (isinstance(keep, float) and 0 < keep <= 1):
        raise ValueError(
            f"{name} is {keep!r}; expected an int of at least 1 (cubes) or a float in (0, 1] "
            "(share)"
        )


def cubes_kept(keep: int | float, number: int) -> int:
    """Cubes that `keep` stands for, of `number`: an int as it is, a share rounded up.

    A sparsity ρ is the share 1 − ρ; what floating point adds to it does not cost a cube.
    """
    if isinstance(keep, int):
        return min(keep, number)
    return min(max(ceil(keep * number - 1e-9 * number), 1), number)


def per_head(value: float | tuple[float, ...], like: Tensor) -> Tensor | float:
    """One number, or one per head as `[Hq, 1, 1]`."""
    if not isinstance(value, tuple):
        return value
    return torch.tensor(value, dtype=like.dtype, device=like.device).view(-1, 1, 1)


def _cube_of(owner: VSA, field: str, cube: Any, grid: tuple[int, ...]) -> tuple[int, ...]:
    """A cube of as many axes as the grid; a volume becomes the cube that wastes least."""
    if isinstance(cube, int) and not isinstance(cube, bool) and cube >= 1:
        return choose_cube(grid, cube)
    cube = axis_lengths(owner, field, cube)
    if len(cube) != len(grid):
        raise ValueError(
            f"VSA.{field} has {len(cube)} axes, the grid {len(grid)}; expected as many, or a "
            "volume in tokens such as 64"
        )
    return cube
