"""Cubes: a grid of tokens cut into boxes, one box in each block.

Along every axis the grid is cut into ceil(length / side) parts; a cube is one part of each axis.
All cubes own a block of `volume` slots. A cube with fewer tokens fills the front of its block, in
row-major order, and leaves the rest empty: zeros, which a mask hides where they are keys.

The one thing to know: everything follows from sizes, so tables are made once and kept.
Source: Video Sparse Attention (arXiv 2505.13389), section 2.2; balanced parts and the choice of a
cube are our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import prod

import torch
from torch import Tensor


@dataclass(frozen=True)
class Cubes:
    """How a grid is cut.

    Args:
        grid: Tokens along each axis, slowest first: (T, Y, X), or (Y, X).
        cube: Tokens of a full cube along each axis.
        balanced: Cut an axis into parts that differ by one token at most (21 into 4 4 4 3 3 3)
            instead of full parts and a rest (4 4 4 4 4 1).
    """

    grid: tuple[int, ...]
    cube: tuple[int, ...]
    balanced: bool = False

    @property
    def parts(self) -> tuple[int, ...]:
        """Cubes along each axis."""
        return tuple(-(-n // side) for n, side in zip(self.grid, self.cube, strict=True))

    @property
    def number(self) -> int:
        """Cubes in all, N."""
        return prod(self.parts)

    @property
    def volume(self) -> int:
        """Slots of a cube, E."""
        return prod(self.cube)

    @property
    def tokens(self) -> int:
        """Tokens of the grid, L."""
        return prod(self.grid)

    @property
    def slots(self) -> int:
        """Slots in all, N · E."""
        return self.number * self.volume

    @property
    def exact(self) -> bool:
        """Whether every cube is full."""
        return self.slots == self.tokens

    def lengths(self, axis: int) -> list[int]:
        """Tokens of each part of an axis."""
        n, side, parts = self.grid[axis], self.cube[axis], self.parts[axis]
        if self.balanced:
            return [n // parts + (i < n % parts) for i in range(parts)]
        return [min(side, n - i * side) for i in range(parts)]

    def sizes(self, device: torch.device | None = None) -> Tensor:
        """Tokens of each cube, int64 `[N]`. Cached: do not write."""
        return _tables(self, device)[0]

    def places(self, device: torch.device | None = None) -> Tensor:
        """Slot of each token, by its row-major number, int64 `[L]`. Cached: do not write."""
        return _tables(self, device)[1]

    def filled(self, device: torch.device | None = None) -> Tensor:
        """Slots that hold a token, bool `[N · E]`. Cached: do not write."""
        return _tables(self, device)[2]

    def tile(self, x: Tensor) -> Tensor:
        """Tokens `[B, H, L, D]` to slots `[B, H, N · E, D]`; empty slots are 0."""
        if not self.exact:
            empty = x.new_zeros(*x.shape[:2], self.slots, x.shape[3])
            return empty.index_copy(2, self.places(x.device), x)
        axes = len(self.grid)
        # [B, H, n₀, c₀, n₁, c₁, …, D]: numbers of cubes first, then places inside
        pairs = [size for both in zip(self.parts, self.cube, strict=True) for size in both]
        split = x.reshape(*x.shape[:2], *pairs, x.shape[3])
        order = [0, 1, *range(2, 2 + 2 * axes, 2), *range(3, 2 + 2 * axes, 2), 2 + 2 * axes]
        return split.permute(order).reshape(x.shape)

    def untile(self, x: Tensor) -> Tensor:
        """Slots `[B, H, N · E, …]` back to tokens `[B, H, L, …]`."""
        if not self.exact:
            return x.index_select(2, self.places(x.device))
        axes = len(self.grid)
        split = x.reshape(*x.shape[:2], *self.parts, *self.cube, *x.shape[3:])
        pairs = [2 + at for axis in range(axes) for at in (axis, axis + axes)]
        order = [0, 1, *pairs, *range(2 + 2 * axes, split.dim())]
        return split.permute(order).reshape(x.shape)

    def lift(self, x: Tensor) -> Tensor:
        """One row per cube, `[B, H, N, D]`, to one per token, `[B, H, L, D]`."""
        return x.index_select(2, self.places(x.device) // self.volume)


def pool(x: Tensor, sizes: Tensor | None, volume: int) -> Tensor:
    """Mean of the tokens of each cube.

    Args:
        x: Slots, `[B, H, N · E, D]`; empty ones are 0.
        sizes: Tokens of each cube, `[N]`; None when all are full.
        volume: E.

    Returns:
        float32 (float64 for float64) `[B, H, N, D]`.
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    cubes = x.unflatten(2, (-1, volume))
    if sizes is None:
        return cubes.mean(3, dtype=dtype)
    return cubes.sum(3, dtype=dtype) / sizes.to(dtype).unsqueeze(-1)


def choose_cube(grid: tuple[int, ...], volume: int = 64, aspect: int = 4) -> tuple[int, ...]:
    """The cube of a given volume that leaves the fewest slots of a grid empty.

    Among cubes that do equally well the most compact one (smallest sum of sides), then the one that
    is longest along the last axes. An axis of one token gets a side of 1.

    Args:
        grid: Tokens along each axis.
        volume: Tokens of a full cube.
        aspect: The longest side may be so many times the shortest, over the axes of more than one
            token. Flat cubes would waste little, but hold tokens that are not alike.

    Raises:
        ValueError: No cube of this volume has this aspect; the message names the least that has.
    """
    sides = [d for d in range(1, volume + 1) if volume % d == 0]
    choices = [[1] if n == 1 else sides for n in grid]
    cubes = [cube for cube in product(*choices) if prod(cube) == volume]
    if not cubes:
        raise ValueError(
            f"cube is {volume} tokens and the grid {tuple(grid)}; expected a volume that its axes "
            "of more than one token can share, or a cube as a tuple"
        )
    stretch = {cube: _stretch(cube, grid) for cube in cubes}
    fit = [cube for cube in cubes if stretch[cube] <= aspect]
    if not fit:
        raise ValueError(
            f"aspect is {aspect}, but every cube of {volume} tokens in {len(grid)} axes is longer; "
            f"expected at least {min(stretch.values()):g}"
        )
    return min(fit, key=lambda cube: (Cubes(tuple(grid), cube).slots, sum(cube), cube))


def _stretch(cube: tuple[int, ...], grid: tuple[int, ...]) -> float:
    sides = [side for side, n in zip(cube, grid, strict=True) if n > 1] or [1]
    return max(sides) / min(sides)


@lru_cache(maxsize=64)
def _tables(cubes: Cubes, device: torch.device | None) -> tuple[Tensor, Tensor, Tensor]:
    """Sizes, places and filled slots."""
    with torch.inference_mode(False):  # a cached tensor must be usable in every later mode
        axes = len(cubes.grid)
        sizes = torch.ones(cubes.parts, dtype=torch.int64)
        cube = torch.zeros(cubes.grid, dtype=torch.int64)
        inside = torch.zeros(cubes.grid, dtype=torch.int64)
        for axis in range(axes):
            shape = [-1 if i == axis else 1 for i in range(axes)]
            lengths = torch.tensor(cubes.lengths(axis))
            sizes = sizes * lengths.view(shape)
            part = torch.arange(len(lengths)).repeat_interleave(lengths)
            offset = torch.arange(cubes.grid[axis]) - (lengths.cumsum(0) - lengths)[part]
            cube = cube * len(lengths) + part.view(shape)
            inside = inside * lengths[part].view(shape) + offset.view(shape)
        sizes, places = sizes.flatten(), (cube * cubes.volume + inside).flatten()
        filled = (torch.arange(cubes.volume) < sizes.unsqueeze(1)).flatten()
        return sizes.to(device), places.to(device), filled.to(device)
