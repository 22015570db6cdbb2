"""What all datasets share: finding files, checking counts, saying what was expected."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

PICTURES = (".jpg", ".jpeg", ".png", ".bmp")


class LayoutError(ValueError):
    """A folder does not hold what a dataset needs; the message shows the layout expected."""


class Files(Dataset[Any]):
    """A dataset of files.

    Attributes:
        root: The folder.
        items: What `__getitem__` reads, one tuple for each sample.
    """

    LAYOUT = ""
    """The tree that is expected under root, for messages."""

    root: Path
    items: list[tuple[Any, ...]]

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.root)!r}, {len(self)} samples)"

    def open(self, root: str | os.PathLike[str], *needed: str) -> Path:
        """Set root; every needed path below it must exist.

        Raises:
            LayoutError: Something is missing.
        """
        self.root = Path(root).expanduser()
        for name in ("", *needed):
            if not (self.root / name).exists():
                self.complain(f"{self.root / name} does not exist")
        return self.root

    def check(self, found: int, published: int | None, what: str, partial: bool) -> None:
        """Compare a count with the published one.

        Raises:
            LayoutError: There is nothing, or less than published and `partial` is False.
        """
        if found == 0:
            self.complain(f"no {what} were found under {self.root}")
        if published is not None and found != published and not partial:
            self.complain(
                f"{found} {what} were found under {self.root}, {published} are published; "
                "complete the copy, or pass partial=True"
            )

    def complain(self, problem: str) -> NoReturn:
        """Raise `LayoutError` with the problem and the expected layout."""
        raise LayoutError(
            f"{type(self).__name__}: {problem}; expected {' '.join(self.LAYOUT.split())}"
        )


def pictures(folder: Path, below: bool = False) -> list[Path]:
    """Pictures of a folder by name, endings in any case; with those in folders in it if `below`."""
    if not folder.is_dir():
        return []
    found = folder.rglob("*") if below else folder.iterdir()
    return sorted(p for p in found if p.suffix.lower() in PICTURES and not p.name.startswith("."))


def read(path: Path) -> Tensor:
    """A picture, uint8 `[3, H, W]`, upright.

    Raises:
        ModuleNotFoundError: Pillow is not installed.
        LayoutError: The file is damaged.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise LayoutError(f"{path} cannot be read as a picture: {error}") from None
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def one_of(name: str, value: str, known: Sequence[str]) -> str:
    """The value, if it is known.

    Raises:
        ValueError: It is not.
    """
    if value not in known:
        raise ValueError(f'{name} is "{value}"; expected one of {", ".join(known)}')
    return value


def numbers(line: str, path: Path) -> list[float]:
    """The numbers of a line of text.

    Raises:
        LayoutError: One of them is none.
    """
    try:
        return [float(word) for word in line.split()]
    except ValueError:
        raise LayoutError(f'{path} has the line "{line.strip()}"; expected numbers') from None
