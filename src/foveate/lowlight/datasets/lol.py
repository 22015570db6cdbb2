"""LOL: 500 pairs of a low and a normal exposure (Wei et al., BMVC 2018)."""

from __future__ import annotations

import os

from torch import Tensor

from .layout import Files, one_of, pictures, read


class LOL(Files):
    """Samples `(low, normal)`, uint8 `[3, 400, 600]` each.

    Args:
        root: The folder that holds `our485` and `eval15`.
        split: "our485" (to train) or "eval15".
        partial: Accept fewer files than published.

    Raises:
        LayoutError: Files are missing, or a picture has no partner.
    """

    LAYOUT = "root/{our485,eval15}/{low,high}/*.png, partners named alike"
    COUNTS = {"our485": 485, "eval15": 15}  # noqa: RUF012

    def __init__(
        self, root: str | os.PathLike[str], split: str = "eval15", partial: bool = False
    ) -> None:
        one_of("split", split, tuple(self.COUNTS))
        self.open(root, f"{split}/low", f"{split}/high")
        self.items = []
        for low in pictures(self.root / split / "low"):
            high = self.root / split / "high" / low.name
            if not high.exists():
                self.complain(f"{low} has no partner {high}")
            self.items.append((low, high))
        self.check(len(self.items), self.COUNTS[split], f"pairs of {split}", partial)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        low, high = self.items[index]
        return read(low), read(high)
