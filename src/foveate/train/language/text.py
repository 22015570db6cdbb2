"""Text as numbers: what is trained on, what is held out, and batches of both.

The one thing to know: the last tenth of each file is held out, so training never sees the end of
a text and is measured on every text.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..recipe import Share, generator

Encode = Callable[[str], list[int]]
HELD_OUT = 0.1


def bytes_of(text: str) -> list[int]:
    """The bytes of a text in UTF-8: a vocabulary of 256 that needs no tokenizer."""
    return list(text.encode("utf-8"))


@dataclass(frozen=True, eq=False)
class Text:
    """Tokens to train on, and tokens held out.

    Args:
        train, held_out: int64 `[n]`, on the CPU.
    """

    train: Tensor
    held_out: Tensor

    @classmethod
    def of(cls, texts: Iterable[str], encode: Encode) -> Text:
        """Encode texts and hold out the last tenth of each.

        Args:
            texts: At least one.
            encode: Text to token numbers, such as `bytes_of` or a tokenizer's `encode`.

        Raises:
            ValueError: There is no text.
        """
        parts = [torch.tensor(encode(text), dtype=torch.int64) for text in texts]
        if not sum(map(len, parts)):
            raise ValueError("texts are empty; expected at least one text with a token in it")
        cuts = [round(len(part) * (1 - HELD_OUT)) for part in parts]
        pairs = list(zip(parts, cuts, strict=True))
        return cls(torch.cat([p[:c] for p, c in pairs]), torch.cat([p[c:] for p, c in pairs]))

    @classmethod
    def from_files(cls, paths: Iterable[str | os.PathLike[str]], encode: Encode) -> Text:
        """`of` files in UTF-8."""
        return cls.of([Path(path).read_text(encoding="utf-8") for path in paths], encode)

    def batches(
        self, size: int, length: int, device: torch.device | str = "cpu", seed: int = 0
    ) -> Callable[[int, Share], Tensor]:
        """Random stretches to train on, for `fit`.

        Args:
            size: Stretches in a batch, over all processes.
            length: Tokens that are predicted in each; a stretch has one more.
            device: Where batches go.
            seed: Another seed is another order.

        Returns:
            A function (number, share) → int64 `[size / world, length + 1]`.

        Raises:
            ValueError: The text is shorter than one stretch.
        """
        room = len(self.train) - length
        if room <= 0:
            raise ValueError(
                f"the text has {len(self.train)} tokens to train on; expected more than {length}, "
                "the length of a stretch (give a longer text, or a smaller length)"
            )
        tokens = self.train.to(device)
        ahead = torch.arange(length + 1, device=device)

        def batch(number: int, share: Share) -> Tensor:
            starts = torch.randint(room, (size,), generator=generator(seed, number))
            starts = starts[share.of(size).start : share.of(size).stop].to(device)
            return tokens[starts[:, None] + ahead]

        return batch

    def stretches(self, length: int, device: torch.device | str = "cpu", most: int = 64) -> Tensor:
        """Stretches of the held-out text that do not overlap, spread over all of it.

        Returns:
            int64 `[n, length + 1]`, n at most `most`.

        Raises:
            ValueError: Less is held out than one stretch.
        """
        count = len(self.held_out) // (length + 1)
        if not count:
            raise ValueError(
                f"{len(self.held_out)} tokens are held out; expected at least {length + 1}, one "
                "stretch (give a longer text, or a smaller length)"
            )
        whole = self.held_out[: count * (length + 1)].view(count, length + 1)
        chosen = torch.linspace(0, count - 1, min(most, count)).round().long()
        return whole[chosen].to(device)
