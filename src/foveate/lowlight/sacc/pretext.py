"""Pretext tasks of SACC-PT: put the pieces of a picture back, say how they are turned.

The one thing to know: a task turns pictures `[B, 3, H, W]` and class numbers `[B]` into puzzles,
and a head on the frozen model's features guesses the class. The tasks, from hard to easy:

- `RotatedJigsaw()`: each class is a permutation of 3 × 3 tiles and a turn of every tile;
- `RotatedJigsaw(rotation="global")`: a permutation, and one turn of the whole;
- `RotatedJigsaw(rotation="none")`, `RotatedJigsaw(grid=2, classes=24, rotation="none")`: jigsaws;
- `RotatedJigsaw(grid=1)`: which of four ways is up.

Source: the rotated jigsaw is named in Wang et al., ACM MM 2022; its construction is ours (grid 3,
30 classes of greatest distance, tiles with margins, after the jigsaw of the same group's HLA-Face).
"""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .frozen import Frozen

_POOL = 4000  # random candidates among which the next class is the one farthest from all others


class RotatedJigsaw:
    """Cut, permute, turn, put together.

    Args:
        grid: Tiles a side; 1 leaves turning the whole picture.
        classes: Permutations to choose from (for "per_tile": pairs of permutation and turns).
        cell: Pixels a side of a cell of the grid. Pictures are cropped to grid · cell at random,
            smaller ones are enlarged first.
        tile: Pixels a side that are kept of a cell, from a random place in it, so that edges do not
            match; at most `cell`.
        rotation: "per_tile", "global" or "none"; a grid of 1 always turns.
        seed: Of the choice of classes.

    Raises:
        ValueError: An argument is out of range, or there are fewer permutations than classes.
    """

    def __init__(
        self,
        grid: int = 3,
        classes: int = 30,
        cell: int = 85,
        tile: int = 64,
        rotation: str = "per_tile",
        seed: int = 0,
    ) -> None:
        if rotation not in ("per_tile", "global", "none"):
            raise ValueError(f'rotation is "{rotation}"; expected per_tile, global or none')
        if grid < 1 or not 1 <= tile <= cell:
            raise ValueError(
                f"grid {grid}, cell {cell}, tile {tile}; expected grid >= 1 and 1 <= tile <= cell"
            )
        self.grid, self.cell, self.tile = grid, cell, tile
        self.rotation = "global" if grid == 1 else rotation
        tiles = grid * grid
        if grid == 1:
            classes = 1
        elif self.rotation != "per_tile" and classes > math.factorial(tiles):
            raise ValueError(
                f"classes is {classes}, but {tiles} tiles have {math.factorial(tiles)} permutations"
            )
        codes = distant_codes(tiles, classes, turned=self.rotation == "per_tile", seed=seed)
        self.order, self.turns = codes % tiles, codes // tiles  # both [classes, tiles]

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.order) * (4 if self.rotation == "global" else 1)

    @property
    def size(self) -> int:
        """Pixels a side of a puzzle."""
        return self.grid * self.tile

    def labels(self, count: int, generator: torch.Generator) -> Tensor:
        """Class numbers at random, int64 `[count]`, on the generator's device."""
        device = generator.device
        return torch.randint(self.classes, (count,), generator=generator, device=device)

    def __call__(self, image: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Puzzles of a batch.

        Args:
            image: `[B, 3, H, W]`.
            labels: Class of each, int64 `[B]`.
            generator: Of crops and of the tiles' places, on the image's device.

        Returns:
            `[B, 3, size, size]`.
        """
        tiles = self._tiles(self._crop(image, generator), generator)  # [B, n, 3, t, t]
        b = len(tiles)
        row = torch.arange(b, device=image.device)[:, None]
        turns = None
        if self.rotation == "global":
            labels, turns = labels // 4, labels % 4
        order = self.order.to(image.device)[labels]
        tiles = tiles[row, order]
        if self.rotation == "per_tile":
            each = self.turns.to(image.device)[labels].flatten()
            tiles = _turned(tiles.flatten(0, 1), each).view_as(tiles)
        grid, t = self.grid, self.tile
        whole = tiles.view(b, grid, grid, 3, t, t).permute(0, 3, 1, 4, 2, 5)
        whole = whole.reshape(b, 3, grid * t, grid * t)
        return whole if turns is None else _turned(whole, turns)

    def _crop(self, image: Tensor, generator: torch.Generator) -> Tensor:
        side = self.grid * self.cell
        if min(image.shape[-2:]) < side:
            scale = side / min(image.shape[-2:])
            size = [max(side, round(s * scale)) for s in image.shape[-2:]]
            image = F.interpolate(image, size, mode="bilinear", align_corners=False)
        y, x = (_draw((1,), s - side + 1, generator)[0] for s in image.shape[-2:])
        return image[..., y : y + side, x : x + side]

    def _tiles(self, image: Tensor, generator: torch.Generator) -> Tensor:
        cells = image.unflatten(-1, (self.grid, self.cell)).unflatten(-3, (self.grid, self.cell))
        cells = cells.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)  # [B, n, 3, cell, cell]
        at = _draw((cells.shape[1], 2), self.cell - self.tile + 1, generator)
        t = self.tile
        pieces = [cells[:, i, :, y : y + t, x : x + t] for i, (y, x) in enumerate(at)]
        return torch.stack(pieces, 1)


class PretextHead(nn.Module):
    """Guesses the class of a puzzle from a feature map: two convolutions, flatten, linear.

    Args:
        channels: Of the feature map.
        classes: Of the task.
        size: Height and width that the map is averaged down to, at most 8 × 8: flattening keeps
            where things are, which the task asks for.
        width: Channels inside.
    """

    def __init__(self, channels: int, classes: int, size: tuple[int, int], width: int = 64) -> None:
        super().__init__()
        self.size = (min(8, size[0]), min(8, size[1]))
        self.c1 = nn.Conv2d(channels, width, 3, padding=1)
        self.c2 = nn.Conv2d(width, width, 3, padding=1)
        self.out = nn.Linear(width * self.size[0] * self.size[1], classes)
        for layer in self.children():
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Logits `[B, classes]` of features `[B, channels, h, w]`."""
        x = F.adaptive_avg_pool2d(features, self.size)
        x = F.relu(self.c2(F.relu(self.c1(x))))
        return self.out(x.flatten(1))


class Features(nn.Module):
    """A frozen model up to one of its layers.

    Args:
        model: The model.
        layer: Name of a module that gives a map `[B, C, h, w]`; None takes the last one whose map
            is at least 3 × 3 (else 2 × 2).
        size: Pixels a side of the pictures that will come, for the search.

    Raises:
        ValueError: There is no such layer.
    """

    def __init__(self, model: Frozen | nn.Module, layer: str | None = None, size: int = 64) -> None:
        super().__init__()
        self.model = Frozen.of(model)
        maps = self._maps(size)
        if layer is None:
            layer = next(
                (n for least in (3, 2) for n, s in reversed(maps.items()) if min(s[2:]) >= least),
                None,
            )
        if layer is None or layer not in maps:
            known = ", ".join(list(maps)[-8:]) or "none"
            raise ValueError(
                f"layer is {layer!r}; expected a module with a map [B, C, h, w]: {known}"
            )
        self.layer = layer
        self.channels, self.size = maps[layer][1], tuple(maps[layer][2:])
        self._held: Tensor | None = None
        self._hook = self.model.model.get_submodule(layer).register_forward_hook(self._hold)

    def forward(self, image: Tensor) -> Tensor:
        """The layer's map of `[B, 3, H, W]` in [0, 1]."""
        self.model.model(self.model.normalised(image))
        held, self._held = self._held, None
        return held

    def remove(self) -> None:
        """Take the hook off the model again; the features are of no use afterwards."""
        self._hook.remove()

    def _hold(self, _module: nn.Module, _input: object, output: Tensor) -> None:
        self._held = output

    def _maps(self, size: int) -> dict[str, tuple[int, ...]]:
        """Shapes of all feature maps, in the order in which they arise."""
        found: dict[str, tuple[int, ...]] = {}

        def note(name: str):
            def hook(_module: nn.Module, _input: object, output: object) -> None:
                if isinstance(output, Tensor) and output.dim() == 4:
                    found.pop(name, None)
                    found[name] = tuple(output.shape)

            return hook

        hooks = [
            module.register_forward_hook(note(name))
            for name, module in self.model.model.named_modules()
            if name
        ]
        try:
            with torch.no_grad():
                image = torch.rand(1, 3, size, size, device=self.model.device)
                self.model.model(self.model.normalised(image))
        finally:
            for hook in hooks:
                hook.remove()
        return found


def distant_codes(tiles: int, classes: int, turned: bool, seed: int = 0) -> Tensor:
    """Permutations (and turns) that differ in as many places as possible, chosen greedily.

    Args:
        tiles: Places.
        classes: How many are wanted.
        turned: Let every tile be turned as well.
        seed: Of the random candidates.

    Returns:
        int64 `[classes, tiles]`: tile + tiles · (quarter turns), all rows different.
    """
    generator = torch.Generator().manual_seed(seed)
    if not turned and tiles <= 6:
        pool = torch.tensor(list(itertools.permutations(range(tiles))))
        pool = pool[torch.randperm(len(pool), generator=generator)]
    else:
        pool = torch.rand(_POOL, tiles, generator=generator).argsort(-1)
        if turned:
            pool = pool + tiles * torch.randint(4, pool.shape, generator=generator)
        pool = pool.unique(dim=0)[torch.randperm(len(pool.unique(dim=0)), generator=generator)]
    if classes > len(pool):
        raise ValueError(f"classes is {classes}; expected at most {len(pool)}")
    picked = [pool[0]]
    nearest = (pool != pool[0]).sum(-1)
    while len(picked) < classes:
        best = pool[nearest.argmax()]
        picked.append(best)
        nearest = torch.minimum(nearest, (pool != best).sum(-1))
    return torch.stack(picked)


def _turned(image: Tensor, turns: Tensor) -> Tensor:
    """Square pictures `[B, 3, s, s]`, each turned by its number of quarter turns `[B]`."""
    every = torch.stack([torch.rot90(image, k, (-2, -1)) for k in range(4)])
    return every[turns, torch.arange(len(image), device=image.device)]


def _draw(shape: tuple[int, ...], below: int, generator: torch.Generator) -> list:
    """Numbers in [0, below) as nested lists; one wait for the device whatever the shape."""
    return torch.randint(below, shape, generator=generator, device=generator.device).tolist()
