"""Large pictures in tiles: where they lie, and several at once.

The one thing to know: a tile begins at a multiple of `denoise.STEP` also with its margin, so that
the pyramids of neighbours agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

TILE = 1024
"""Side of a tile without its margin, in pixels; a multiple of `denoise.STEP`."""

Box = tuple[slice, slice]


def side_by_side(
    work: Callable[[Any], None], boxes: Iterable[Any], one_by_one: bool = False
) -> None:
    """Do the same for several tiles at once, on as many threads as torch has, four at most.

    More would not be much quicker, and each holds a tile in floating point. Work that has threads
    of its own is done one by one.
    """
    threads = min(4, torch.get_num_threads())
    if threads == 1 or one_by_one:
        for box in boxes:
            work(box)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(work, boxes):
            pass


def tiles(
    size: tuple[int, int], margin: int = 0, side: int = TILE
) -> Iterator[tuple[Box, Box, Box]]:
    """Cut a picture into tiles.

    Args:
        size: Its height and width.
        margin: Pixels that a tile sees around itself; a multiple of `denoise.STEP`.
        side: Of a tile without its margin.

    Yields:
        What a tile sees of the picture, its own part of that, and its own part of the picture.
    """
    for y in range(0, size[0], side):
        for x in range(0, size[1], side):
            place = (slice(y, min(y + side, size[0])), slice(x, min(x + side, size[1])))
            outer = tuple(
                slice(max(0, s.start - margin), min(s.stop + margin, n))
                for s, n in zip(place, size, strict=True)
            )
            inner = tuple(
                slice(s.start - o.start, s.stop - o.start)
                for s, o in zip(place, outer, strict=True)
            )
            yield outer, inner, place
