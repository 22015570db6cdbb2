"""Orders of the tokens of an image or a video: neighbours in the grid become neighbours in a row.

A block of consecutive tokens is a good unit of selection only if its tokens are alike. In row-major
order a block of 128 tokens is a thin stripe; along a Hilbert curve, or cube by cube, it is a
compact piece of the picture.

The one thing to know: an order depends on the grid alone, so permutations are made once and kept.
Tokens before and after the grid (text) stay where they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod

import torch
from torch import Tensor

Axis = tuple[int, int]  # signed step in the row-major number of a token, length


@dataclass(frozen=True)
class Order:
    """Base of all orders of the tokens of a grid.

    Args:
        grid: Tokens along each axis, slowest first: (T, Y, X), or (Y, X).
        first: Tokens before the grid (text, say); a field of every order, the last one.
    """

    grid: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "grid", axis_lengths(self, "grid", self.grid))
        if not isinstance(self.first, int) or isinstance(self.first, bool) or self.first < 0:
            raise ValueError(
                f"{type(self).__name__}.first is {self.first!r}; expected an int of at least 0"
            )

    @property
    def end(self) -> int:
        """The first token after the grid."""
        return self.first + prod(self.grid)

    def sequence(self) -> Tensor:
        """Row-major numbers of the grid's tokens in their new order, int64 `[T·Y·X]`."""
        raise TypeError(f"{type(self).__name__} does not define a sequence")

    def permutation(self, length: int, device: torch.device | None = None) -> Tensor:
        """Where each token of the new order comes from, int64 `[length]`. Cached: do not write."""
        return _permutations(self, length, device)[0]

    def inverse(self, length: int, device: torch.device | None = None) -> Tensor:
        """Where each token went: `x[permutation][inverse] == x`. Cached: do not write."""
        return _permutations(self, length, device)[1]


@dataclass(frozen=True)
class Hilbert(Order):
    """Along a space-filling curve; consecutive tokens are neighbours in the grid, always.

    Built by halving the box: a long box is cut across, other boxes are walked as a U of three
    parts. Cuts at even places keep every part walkable from corner to neighbouring corner, so a
    step is never longer than 1, for grids of any size and any number of axes.
    Source: the curve of SpargeAttn (arXiv 2502.18137), section 3.7; this construction is our own.

    Args:
        grid: Tokens along each axis, slowest first.
        first: Tokens before the grid.
    """

    first: int = 0

    def sequence(self) -> Tensor:
        steps = [prod(self.grid[i + 1 :]) for i in range(len(self.grid))]
        axes = sorted(zip(steps, self.grid, strict=True), key=lambda axis: -axis[1])
        # from corner to neighbouring corner an even axis can always be walked, an odd one only if
        # all are odd
        main = next((axis for axis in axes if axis[1] % 2 == 0), axes[0])
        axes.remove(main)
        path: list[int] = []
        _walk(0, main, axes, path)
        return torch.tensor(path)


@dataclass(frozen=True)
class Tiles(Order):
    """Cube by cube, row-major inside each and from cube to cube; cubes at the far edges may be
    smaller.

    Args:
        grid: Tokens along each axis, slowest first.
        cube: Tokens of a cube along each axis.
        first: Tokens before the grid.
    """

    cube: tuple[int, ...] = (4, 4, 4)
    first: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "cube", axis_lengths(self, "cube", self.cube))
        if len(self.cube) != len(self.grid):
            raise ValueError(
                f"Tiles.cube has {len(self.cube)} axes, the grid {len(self.grid)}; expected as many"
            )

    def sequence(self) -> Tensor:
        place = torch.zeros(self.grid, dtype=torch.int64)
        inside = torch.zeros(self.grid, dtype=torch.int64)
        for axis, (length, size) in enumerate(zip(self.grid, self.cube, strict=True)):
            shape = [-1 if i == axis else 1 for i in range(len(self.grid))]
            at = torch.arange(length).view(shape)
            place = place * -(-length // size) + at // size
            inside = inside * size + at % size
        return (place * prod(self.cube) + inside).flatten().argsort()


def _walk(start: int, main: Axis, others: list[Axis], path: list[int]) -> None:
    """Visit a box from its corner `start` to the corner at the other end of its main axis."""
    step, length = main
    others = sorted((axis for axis in others if axis[1] > 1), key=lambda axis: -axis[1])
    if not others:
        path.extend(range(start, start + step * length, step))
        return
    if length == 2:  # out through one half, back through the other
        out = next((axis for axis in others if axis[1] % 2 == 0), others[0])
        others.remove(out)
        _walk(start, out, others, path)
        _walk(start + step + out[0] * (out[1] - 1), (-out[0], out[1]), others, path)
        return
    (up, height), *rest = others
    if length >= 4 and (2 * length > 3 * height or height == 2):
        near = _even_half(length)
        _walk(start, (step, near), others, path)
        _walk(start + step * near, (step, length - near), others, path)
        return
    # a U: up through one half of the near part, across the far part, down through the other half
    near, half = _even_half(height), length // 2
    _walk(start, (up, near), [(step, half), *rest], path)
    _walk(start + up * near, main, [(up, height - near), *rest], path)
    _walk(
        start + up * (near - 1) + step * (length - 1),
        (-up, near),
        [(-step, length - half), *rest],
        path,
    )


def _even_half(length: int) -> int:
    """The even number next to length / 2, at least 2."""
    return max(2, 2 * ((length + 2) // 4))


@lru_cache(maxsize=32)
def _permutations(order: Order, length: int, device: torch.device | None) -> tuple[Tensor, Tensor]:
    if order.end > length:
        raise ValueError(
            f"{order} ends at token {order.end}, but there are {length}; expected a grid that fits"
        )
    with torch.inference_mode(False):  # a cached tensor must be usable in every later mode
        there = torch.arange(length)
        there[order.first : order.end] = order.sequence() + order.first
        back = torch.empty_like(there)
        back[there] = torch.arange(length)
        return there.to(device), back.to(device)


def axis_lengths(owner: object, field: str, value: object) -> tuple[int, ...]:
    """A tuple of one to four ints of at least 1."""
    ok = isinstance(value, tuple | list) and 1 <= len(value) <= 4
    if not ok or not all(isinstance(x, int) and not isinstance(x, bool) and x >= 1 for x in value):
        raise ValueError(
            f"{type(owner).__name__}.{field} is {value!r}; expected the lengths of the axes, "
            "e.g. (T, Y, X)"
        )
    return tuple(value)
