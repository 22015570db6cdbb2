"""Ways to attend that the study of video sparse attention compares, as layers of a `VideoDiT`.

All share projections, norms and positions with `DenseAttention`; only what meets what differs, and
`pairs` says how many pairs of tokens that is.

The one thing to know: definitions are those of the paper's section 3.1 where it gives them; where
it is silent the choice is written at the class.
Source: Video Sparse Attention (arXiv 2505.13389), section 3.1 and appendix C.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import inf

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from foveate import VSA
from foveate.models.video import GATE
from foveate.train.video.flops import vsa_pairs
from foveate.train.video.gathered import GatheredAttention, attended
from foveate.train.video.model import DenseAttention, Grid, Maker


def masked(q: Tensor, k: Tensor, v: Tensor, select: VSA, cubes: Tensor) -> Tensor:
    """What `attended` computes, as dense attention with a mask.

    At the study's length it takes a third of the time of gathering on a GPU; it needs L² bytes and
    more, so it is no way for long videos.
    """
    number, volume, kind = select.keys.number, select.keys.volume, q.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else q.dtype
    hidden = torch.full((*cubes.shape[:3], number), -inf, dtype=dtype, device=q.device)
    hidden.scatter_(-1, cubes, 0.0)
    rows = hidden[:, :, :, None, :, None].expand(-1, -1, -1, volume, -1, volume)
    return scaled_dot_product_attention(q, k, v, attn_mask=rows.reshape(*q.shape[:3], -1))


class Sparse(GatheredAttention):
    """VSA; on a GPU its fine stage is masked."""

    @staticmethod
    def attend(q: Tensor, k: Tensor, v: Tensor, select: VSA, cubes: Tensor) -> Tensor:
        return (masked if q.is_cuda else attended)(q, k, v, select, cubes)


class CompressKV(DenseAttention):
    """All queries, keys and values averaged over boxes of 2 × 2 × 2."""

    def __init__(self, dim: int, heads: int, grid: Grid, box: Grid = (2, 2, 2)) -> None:
        super().__init__(dim, heads)
        self.cubes = VSA(grid, box, keep=1.0).queries

    def mix(self, q: Tensor, k: Tensor, v: Tensor, x: Tensor) -> Tensor:
        k, v = (self.cubes.tile(y).unflatten(2, (-1, self.cubes.volume)).mean(3) for y in (k, v))
        return scaled_dot_product_attention(q, k, v)

    def pairs(self, tokens: int) -> float:
        return tokens * self.cubes.number


class Boxes(DenseAttention):
    """Tokens attend inside boxes of the grid: frames, places over time, or windows of either."""

    def __init__(self, dim: int, heads: int, grid: Grid, box: Grid) -> None:
        super().__init__(dim, heads)
        self.cubes = VSA(grid, box, keep=1.0).queries
        if not self.cubes.exact:
            raise ValueError(f"box is {box}, which does not divide the grid {grid}")

    def mix(self, q: Tensor, k: Tensor, v: Tensor, x: Tensor) -> Tensor:
        batch, heads = q.shape[:2]
        number, volume = self.cubes.number, self.cubes.volume
        rows = (
            self.cubes.tile(y).reshape(batch * heads, number, volume, -1).flatten(0, 1).unsqueeze(1)
            for y in (q, k, v)
        )
        out = scaled_dot_product_attention(*rows)
        return self.cubes.untile(out.reshape(batch, heads, number * volume, -1))

    def pairs(self, tokens: int) -> float:
        return tokens * self.cubes.volume


class Local(DenseAttention):
    """Each cube attends to the 3 × 3 × 3 cubes around it; at an edge the window moves inside."""

    def __init__(self, dim: int, heads: int, select: VSA, reach: int = 3) -> None:
        super().__init__(dim, heads)
        self.select = select
        parts = select.queries.parts
        sides = [min(reach, n) for n in parts]
        at = torch.cartesian_prod(*(torch.arange(n) for n in parts))
        near = torch.cartesian_prod(*(torch.arange(n) for n in sides))
        first = torch.stack(
            [
                (at[:, i] - side // 2).clamp(0, n - side)
                for i, (n, side) in enumerate(zip(parts, sides, strict=True))
            ],
            dim=1,
        )
        place = first[:, None] + near[None]  # [N, kept, 3]
        cubes = (place[..., 0] * parts[1] + place[..., 1]) * parts[2] + place[..., 2]
        self.register_buffer("cubes", cubes, persistent=False)

    def mix(self, q: Tensor, k: Tensor, v: Tensor, x: Tensor) -> Tensor:
        rows = self.select.arrange(q, k, v)
        cubes = self.cubes.expand(*q.shape[:2], -1, -1)
        return self.select.queries.untile(Sparse.attend(*rows, self.select, cubes))

    def pairs(self, tokens: int) -> float:
        return tokens * self.cubes.shape[1] * self.select.keys.volume


class FineOnly(Sparse):
    """VSA without the output of the coarse stage, which still chooses."""

    def __init__(self, dim: int, heads: int, select: VSA, **options) -> None:
        super().__init__(dim, heads, select, **options)
        delattr(self, GATE)

    def add_coarse(self, out: Tensor, means: tuple[Tensor, ...], x: Tensor) -> Tensor:
        return out

    def pairs(self, tokens: int) -> float:
        fine, coarse = vsa_pairs(self.select)
        return fine + coarse / 2  # scores, but no sum of values


class MaxPooled(Sparse):
    """The largest value of each channel stands for a cube."""

    def means(self, *rows: Tensor) -> tuple[Tensor, ...]:
        volume = self.select.queries.volume
        return tuple(y.float().unflatten(2, (-1, volume)).amax(3) for y in rows)


class ConvPooled(Sparse):
    """A learned 3D convolution (kernel = stride = cube) of each head's channels stands for a cube.

    It begins as torch begins convolutions; one each for q, k and v, shared by the heads.
    """

    def __init__(self, dim: int, heads: int, select: VSA, **options) -> None:
        super().__init__(dim, heads, select, **options)
        size = dim // heads
        self.poolers = nn.ModuleList(
            nn.Linear(select.queries.volume * size, size) for _ in range(3)
        )
        for pooler in self.poolers:
            pooler.passes = heads * select.queries.number

    def means(self, *rows: Tensor) -> tuple[Tensor, ...]:
        volume = self.select.queries.volume
        return tuple(
            pool(y.unflatten(2, (-1, volume)).flatten(3)).float()
            for pool, y in zip(self.poolers, rows, strict=True)
        )


def alternating(*makers: Callable[[], nn.Module]) -> Maker:
    """One maker after the other, over and over."""
    return lambda layer: makers[layer % len(makers)]()


def arms(dim: int, heads: int, select: VSA) -> dict[str, Maker]:
    """Every way to attend, by name.

    Args:
        dim: Width.
        heads: Heads.
        select: The VSA of the arm "VSA"; others follow from its grid and cube.
    """
    grid = select.grid
    t, y, x = grid
    whole = partial(DenseAttention, dim, heads)
    boxes = partial(Boxes, dim, heads, grid)
    frame, over_time = partial(boxes, (1, y, x)), partial(boxes, (t, 1, 1))
    # the paper: windows of 2 frames, and of 8 of 32 places along each side
    frames, places = partial(boxes, (2, y, x)), partial(boxes, (t, max(1, y // 4), max(1, x // 4)))

    def vsa(kind: type = Sparse, **fields) -> Maker:
        return lambda _: kind(dim, heads, replace(select, **fields))

    number = select.keys.number
    sweep = sorted({max(1, round(select.kept * f)) for f in (0.25, 0.5, 2.0)})
    return {
        "dense": lambda _: whole(),
        "VSA": vsa(),
        "Compress KV": lambda _: CompressKV(dim, heads, grid),
        "Spatial-Temporal": alternating(frame, over_time),
        "Spatial-Full": alternating(frame, frame, frame, frame, whole),
        "Strided Window": alternating(frames, places),
        "Local": lambda _: Local(dim, heads, select),
        "fine stage only": vsa(FineOnly),
        "max pooling": vsa(MaxPooled),
        "conv pooling": vsa(ConvPooled),
        **{f"VSA K={k}": vsa(keep=k) for k in sweep if k <= number},
    }
