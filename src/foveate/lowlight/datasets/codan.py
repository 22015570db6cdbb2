"""CODaN: pictures of ten classes by day and by night (Lengyel et al., ICCV 2021)."""

from __future__ import annotations

import os

from torch import Tensor

from .layout import Files, one_of, pictures, read

CLASSES = (
    "Bicycle",
    "Car",
    "Motorbike",
    "Bus",
    "Boat",
    "Cat",
    "Dog",
    "Bottle",
    "Cup",
    "Chair",
)
COUNTS = {"train": 10_000, "val": 500, "test_day": 2_500, "test_night": 2_500}


class CODaN(Files):
    """Samples `(picture, class number)`.

    Args:
        root: The folder that holds `data`.
        split: "train", "val", "test_day" or "test_night".
        half: None for all; 0 or 1 for the first or second half of each class by file name. The
            half split serves studies that adapt on one half of the night pictures and test on the
            other; which half others used is not published, so report both.
        partial: Accept fewer files than published.

    Raises:
        LayoutError: Files are missing.
        ValueError: An unknown split or half.
    """

    LAYOUT = "root/data/{train,val,test_day,test_night}/{Bicycle,Car,…}/*.jpg"

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str = "test_night",
        half: int | None = None,
        partial: bool = False,
    ) -> None:
        one_of("split", split, tuple(COUNTS))
        if half not in (None, 0, 1):
            raise ValueError(f"half is {half}; expected 0, 1 or None")
        folder = self.open(root, f"data/{split}") / "data" / split
        present = {p.name.lower(): p for p in folder.iterdir() if p.is_dir()}
        found, self.items = 0, []
        for number, name in enumerate(CLASSES):
            if name.lower() not in present:
                self.complain(f"the class {name} is missing in {folder}")
            files = pictures(present[name.lower()])
            found += len(files)
            middle = (len(files) + 1) // 2
            files = files if half is None else files[:middle] if half == 0 else files[middle:]
            self.items += [(path, number) for path in files]
        self.classes = CLASSES
        self.check(found, COUNTS[split], f"pictures of {split}", partial)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path, number = self.items[index]
        return read(path), number
