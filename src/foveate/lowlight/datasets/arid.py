"""ARID: actions in the dark, eleven classes of video clips (Xu et al., 2020)."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor

from .layout import Files, LayoutError

CLASSES = (
    "Drink",
    "Jump",
    "Pick",
    "Pour",
    "Push",
    "Run",
    "Sit",
    "Stand",
    "Turn",
    "Walk",
    "Wave",
)


class ARID(Files):
    """Samples `(clip, class number)` with clips uint8 `[T, 3, H, W]`.

    Args:
        root: The folder that holds the clips.
        table: A list of the authors, with lines "number class path", paths below root.
        frames: Length of a clip, taken from its middle; shorter videos repeat their last frame.
        interval: Frames from one to the next.
        count: Clips the list should have, e.g. 823 for the test list of split 1; None accepts any.

    Raises:
        LayoutError: The list or a clip is missing.
    """

    LAYOUT = "root/{Drink,Jump,…}/*.mp4 and a list with lines: number class path"

    def __init__(
        self,
        root: str | os.PathLike[str],
        table: str | os.PathLike[str],
        frames: int = 16,
        interval: int = 2,
        count: int | None = None,
    ) -> None:
        if frames < 1 or interval < 1:
            raise ValueError(f"frames is {frames}, interval {interval}; expected at least 1")
        self.open(root)
        path = Path(table).expanduser()
        if not path.exists():
            self.complain(f"the list {path} does not exist")
        self.frames, self.interval, self.items = frames, interval, []
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.replace(",", " ").split()
            if len(words) < 3 or not words[0].isdigit():
                continue  # its heading
            clip = self.root / " ".join(words[2:])
            if not clip.exists():
                self.complain(f"{clip} does not exist, though {path.name} names it")
            number = int(words[1])
            if not 0 <= number < len(CLASSES):
                self.complain(f"{path.name} has the class {number}; there are {len(CLASSES)}")
            self.items.append((clip, number))
        self.classes = CLASSES
        self.check(len(self.items), count, f"clips of {path.name}", partial=False)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path, number = self.items[index]
        import av

        try:
            with av.open(str(path)) as file:
                frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
        except av.error.FFmpegError as error:
            raise LayoutError(f"{path} cannot be read as a video: {error.strerror}") from None
        if not frames:
            raise LayoutError(f"{path} holds no frame")
        length = (self.frames - 1) * self.interval
        first = max(0, (len(frames) - 1 - length) // 2)
        chosen = [min(first + i * self.interval, len(frames) - 1) for i in range(self.frames)]
        clip = torch.stack([torch.from_numpy(frames[i]) for i in chosen])
        return clip.permute(0, 3, 1, 2), number
