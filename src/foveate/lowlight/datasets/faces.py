"""Faces: WIDER FACE (Yang et al., CVPR 2016) and, in the dark, DARK FACE (Yang et al., 2020)."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor

from .layout import Files, LayoutError, numbers, one_of, pictures, read


class DarkFace(Files):
    """Samples `(picture, boxes)` with boxes float `[N, 4]`: x1, y1, x2, y2 in pixels.

    Args:
        root: The folder that holds `images` (or `image`) and `label`.
        partial: Accept fewer files than published.

    Raises:
        LayoutError: Files are missing or damaged.
    """

    LAYOUT = "root/images/*.png and root/label/*.txt (a count, then x1 y1 x2 y2 a line)"
    PUBLISHED = 6000

    def __init__(self, root: str | os.PathLike[str], partial: bool = False) -> None:
        self.open(root, "label")
        folder = next(
            (self.root / n for n in ("images", "image") if (self.root / n).is_dir()), None
        )
        if folder is None:
            self.complain(f"{self.root / 'images'} does not exist")
        self.items = [(p, self.root / "label" / f"{p.stem}.txt") for p in pictures(folder)]
        self.items.sort(key=lambda item: (len(item[0].stem), item[0].stem))  # 2 before 10
        self.check(len(self.items), self.PUBLISHED, "pictures", partial)
        missing = [label for _, label in self.items if not label.exists()]
        if missing:
            self.complain(f"{len(missing)} labels are missing, the first is {missing[0]}")

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        path, label = self.items[index]
        lines = [line for line in label.read_text().splitlines() if line.strip()]
        rows = [numbers(line, label)[:4] for line in lines[1:]]
        if (
            not lines
            or int(numbers(lines[0], label)[0]) != len(rows)
            or any(len(r) < 4 for r in rows)
        ):
            raise LayoutError(f"{label} is damaged; expected a count and as many boxes")
        return read(path), torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)


class WiderFace(Files):
    """Samples `(picture, target)`.

    A target has boxes float `[N, 4]` (x1, y1, x2, y2) and the authors' attributes, int64 `[N]`
    each: blur, expression, illumination, invalid, occlusion, pose.

    Args:
        root: The folder that holds `WIDER_train`, `WIDER_val` and `wider_face_split`.
        split: "train" or "val"; the test pictures have no public boxes.
        partial: Accept fewer files than published.

    Raises:
        LayoutError: Files are missing or damaged.
    """

    LAYOUT = (
        "root/WIDER_{train,val}/images/EVENT/*.jpg and "
        "root/wider_face_split/wider_face_{train,val}_bbx_gt.txt"
    )
    COUNTS = {"train": 12_880, "val": 3_226}  # noqa: RUF012
    ATTRIBUTES = ("blur", "expression", "illumination", "invalid", "occlusion", "pose")

    def __init__(
        self, root: str | os.PathLike[str], split: str = "val", partial: bool = False
    ) -> None:
        one_of("split", split, tuple(self.COUNTS))
        table = f"wider_face_split/wider_face_{split}_bbx_gt.txt"
        self.open(root, f"WIDER_{split}/images", table)
        path = self.root / table
        lines = iter(path.read_text(encoding="utf-8").splitlines())
        self.items = []
        for name in lines:
            if not name.strip():
                continue
            count = int(numbers(next(lines, "nothing"), path)[0])
            # a picture without faces has one line of zeros all the same
            rows = [numbers(next(lines, "nothing"), path) for _ in range(max(count, 1))]
            picture = self.root / f"WIDER_{split}" / "images" / name.strip()
            if not picture.exists():
                if partial:
                    continue
                self.complain(f"{picture} does not exist, though {path.name} names it")
            self.items.append((picture, rows[:count]))
        self.check(len(self.items), self.COUNTS[split], f"pictures of {split}", partial)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Any]]:
        path, rows = self.items[index]
        columns = len(rows[0]) if rows else 4 + len(self.ATTRIBUTES)
        table = torch.tensor(rows, dtype=torch.float32).reshape(len(rows), columns)
        boxes = table[:, :4]
        target: dict[str, Any] = {
            "boxes": torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)
        }
        for number, name in enumerate(self.ATTRIBUTES):
            target[name] = table[:, 4 + number].long()
        return read(path), target
