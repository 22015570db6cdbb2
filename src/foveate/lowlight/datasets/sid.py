"""Pairs of RAW exposures: SID, Sony part (Chen et al., CVPR 2018); ELD (Wei et al., CVPR 2020)."""

from __future__ import annotations

import os
import re
from pathlib import Path

from torch import Tensor

from .layout import Files, LayoutError, one_of

_NAME = re.compile(r"^(\d)(\d{4})_(\d{2})_([\d.]+)s\.(arw|dng)$", re.IGNORECASE)

MOST_RATIO = 300.0
"""Ratios above this are cut, as the authors do."""


class SIDSony(Files):
    """Samples `(short, long, ratio)`: packed RAW `[4, H/2, W/2]` in R, Gr, Gb, B, white = 1.

    The first digit of a scene's number says its split: 0 train, 1 test, 2 validation; exposures
    stand in the names.

    Args:
        root: The folder that holds `Sony`.
        split: "train", "val" or "test".
        first: Only the first frame of each burst at each exposure, as results are reported.
        without: Scenes left out, e.g. (10034, 10045, 10172), which some studies call misaligned.

    Raises:
        LayoutError: Files are missing, or a short exposure has no long one.
    """

    LAYOUT = "root/Sony/{short,long}/00001_00_0.1s.ARW (scene, burst, exposure)"
    DIGITS = {"train": "0", "test": "1", "val": "2"}  # noqa: RUF012
    PUBLISHED = {"train": 280, "val": 36, "test": 93}  # noqa: RUF012
    """First frames of the public lists."""

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str = "test",
        first: bool = True,
        without: tuple[int, ...] = (),
        partial: bool = False,
    ) -> None:
        one_of("split", split, tuple(self.DIGITS))
        self.open(root, "Sony/short", "Sony/long")
        long = {}
        for path in sorted((self.root / "Sony" / "long").iterdir()):
            match = _NAME.match(path.name)
            if match:
                long.setdefault(match.group(1) + match.group(2), (path, float(match.group(4))))
        self.items = []
        for path in sorted((self.root / "Sony" / "short").iterdir()):
            match = _NAME.match(path.name)
            if not match or match.group(1) != self.DIGITS[split]:
                continue
            scene = match.group(1) + match.group(2)
            if int(scene) in without or (first and match.group(3) != "00"):
                continue
            if scene not in long:
                self.complain(f"{path} has no long exposure")
            target, seconds = long[scene]
            ratio = min(seconds / float(match.group(4)), MOST_RATIO)
            self.items.append((path, target, ratio))
        published = self.PUBLISHED[split] if first and not without else None
        self.check(len(self.items), published, f"short exposures of {split}", partial)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, float]:
        short, long, ratio = self.items[index]
        return _packed(short)[0], _packed(long)[0], ratio


class ELD(Files):
    """Samples `(dark, reference, ratio)`: packed RAW `[4, H/2, W/2]` in R, Gr, Gb, B, white = 1.

    Each scene has 16 files; 1, 6, 11 and 16 are references, and a dark one belongs to the nearest.
    The ratio follows from exposure time and ISO of both.

    Args:
        root: The folder of cameras.
        camera: A key of `CAMERAS`.
        ratio: 100 or 200: files 4, 9, 14 or 5, 10, 15 of each scene.
        partial: Accept fewer scenes than the ten published.

    Raises:
        LayoutError: Files are missing.
        ValueError: An unknown camera or ratio.
    """

    LAYOUT = "root/{SonyA7S2,NikonD850,…}/scene-{1..10}/IMG_{0001..0016}.{ARW,nef,CR2}"
    CAMERAS = {  # noqa: RUF012
        "SonyA7S2": ".ARW",
        "NikonD850": ".nef",
        "CanonEOS70D": ".CR2",
        "CanonEOS700D": ".CR2",
        "CanonEOS5D4": ".CR2",
    }
    DARK = {100: (4, 9, 14), 200: (5, 10, 15)}  # noqa: RUF012
    REFERENCES = (1, 6, 11, 16)
    SCENES = 10

    def __init__(
        self,
        root: str | os.PathLike[str],
        camera: str = "SonyA7S2",
        ratio: int = 100,
        partial: bool = False,
    ) -> None:
        one_of("camera", camera, tuple(self.CAMERAS))
        if ratio not in self.DARK:
            raise ValueError(f"ratio is {ratio}; expected 100 or 200")
        self.open(root, camera)
        self.items, scenes = [], 0
        for number in range(1, self.SCENES + 1):
            folder = self.root / camera / f"scene-{number}"
            if not folder.is_dir():
                continue
            scenes += 1
            for dark in self.DARK[ratio]:
                nearest = min(self.REFERENCES, key=lambda n: abs(n - dark))
                self.items.append(
                    (self._file(folder, dark, camera), self._file(folder, nearest, camera))
                )
        self.check(scenes, self.SCENES, f"scenes of {camera}", partial)

    def _file(self, folder: Path, number: int, camera: str) -> Path:
        for ending in (self.CAMERAS[camera], self.CAMERAS[camera].swapcase(), ".dng"):
            path = folder / f"IMG_{number:04d}{ending}"
            if path.exists():
                return path
        return self.complain(f"{folder / f'IMG_{number:04d}{self.CAMERAS[camera]}'} does not exist")

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, float]:
        dark, reference = self.items[index]
        (short, little), (long, much) = _packed(dark), _packed(reference)
        if little is None or much is None:
            raise LayoutError(f"{dark} or {reference} does not say how it was exposed")
        return short, long, much / little


def _packed(path: Path) -> tuple[Tensor, float | None]:
    """Packed RAW, and exposure time times ISO."""
    from ..raw import read_raw

    raw = read_raw(path)
    return raw.packed[0], raw.light()
