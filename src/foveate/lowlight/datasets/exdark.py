"""ExDark: 7363 dark pictures with boxes of twelve classes (Loh and Chan, CVIU 2019)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .layout import Files, LayoutError, one_of, pictures, read

CLASSES = (
    "Bicycle",
    "Boat",
    "Bottle",
    "Bus",
    "Car",
    "Cat",
    "Chair",
    "Cup",
    "Dog",
    "Motorbike",
    "People",
    "Table",
)
LIGHTS = (
    "Low",
    "Ambient",
    "Object",
    "Single",
    "Weak",
    "Strong",
    "Screen",
    "Window",
    "Shadow",
    "Twilight",
)
SPLITS = ("train", "val", "test")
PUBLISHED = 7363


class ExDark(Files):
    """Samples `(picture, target)`.

    A target is a dictionary: boxes float `[N, 4]` (x1, y1, x2, y2 in pixels), labels int64 `[N]`,
    label (class of the picture), light (one of `LIGHTS`, or None) and indoors (or None).

    Args:
        root: The folder that holds `ExDark`.
        split: "train", "val", "test", or "all"; all but "all" need `imageclasslist.txt`.
        partial: Accept fewer files than published.

    Raises:
        LayoutError: Files are missing or annotations are damaged.
    """

    LAYOUT = (
        "root/ExDark/{Bicycle,Boat,…}/*, root/ExDark_Annno/{class}/NAME.jpg.txt, "
        "root/imageclasslist.txt"
    )

    def __init__(
        self, root: str | os.PathLike[str], split: str = "all", partial: bool = False
    ) -> None:
        one_of("split", split, (*SPLITS, "all"))
        self.open(root, "ExDark")
        facts = self._list(split)
        notes = next((p for p in (self.root / "ExDark_Annno", self.root / "ExDark_Anno",
                                  self.root / "Annotations") if p.is_dir()), None)  # fmt: skip
        if notes is None:
            self.complain(f"{self.root / 'ExDark_Annno'} does not exist")
        found, self.items = 0, []
        for number, name in enumerate(CLASSES):
            for path in pictures(self.root / "ExDark" / name):
                found += 1
                fact = facts.get(path.name.lower())
                if split != "all" and (fact is None or SPLITS[fact[3] - 1] != split):
                    continue
                self.items.append((path, number, notes / name / f"{path.name}.txt", fact))
        self.classes = CLASSES
        self.check(found, PUBLISHED, "pictures", partial)

    def _list(self, split: str) -> dict[str, tuple[int, int, int, int]]:
        """File name → class, light, indoors (1) or outdoors (2), split; all from 1."""
        path = self.root / "imageclasslist.txt"
        if not path.exists():
            if split != "all":
                self.complain(f"{path} does not exist, which says what belongs to {split}")
            return {}
        facts = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.split()
            if len(words) == 5 and all(word.isdigit() for word in words[1:]):
                facts[words[0].lower()] = tuple(map(int, words[1:]))
        return facts

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Any]]:
        path, number, note, fact = self.items[index]
        boxes, labels = _boxes(note)
        target = {
            "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            "labels": torch.tensor(labels, dtype=torch.int64),
            "label": number,
            "light": LIGHTS[fact[1] - 1] if fact else None,
            "indoors": fact[2] == 1 if fact else None,
        }
        return read(path), target


def _boxes(path: Path) -> tuple[list[list[float]], list[int]]:
    """Lines "Class left top width height …"; the first line is a remark."""
    if not path.exists():
        raise LayoutError(f"{path} does not exist; expected the boxes of its picture")
    boxes, labels = [], []
    for line in path.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if len(words) < 5 or words[0] not in CLASSES:
            continue
        x, y, w, h = (float(word) for word in words[1:5])
        boxes.append([x, y, x + w, y + h])
        labels.append(CLASSES.index(words[0]))
    return boxes, labels
