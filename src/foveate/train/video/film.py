"""Films as training data: decoded once into a file of small frames, then read as clips.

A film becomes `frames.u8`, `[frames, size, size, 3]`, the centre square of each frame, and
`film.json` with its cuts. Clips never run over a cut. The film is split into up to 40 stretches;
every eighth is held out.

The one thing to know: a batch is a function of its number, as `foveate.train.fit` asks: clip, and
whether it is mirrored, follow from (seed, number, sample).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...env import cache_folder
from ..recipe import generator

VERSION = 1
CUT = 18.0
"""Mean change of thumbnails between two frames, in levels of 255, from which it is a cut."""


class Film:
    """Frames of a film and where clips of it may start.

    Args:
        frames: uint8, `[N, size, size, 3]`; a memory map will do.
        cuts: Frames that begin a shot, without 0.
        name: What it is called in messages.
    """

    STRETCHES, EVERY = 40, 8

    def __init__(self, frames: Tensor, cuts: list[int], name: str = "film") -> None:
        self.frames, self.cuts, self.name = frames, cuts, name

    def __len__(self) -> int:
        return len(self.frames)

    def starts(self, length: int, held_out: bool = False) -> Tensor:
        """First frames of all clips of a length that lie in one shot and one stretch, int64.

        Raises:
            ValueError: There is none.
        """
        size = len(self)
        bounds = {0, size, *self.cuts}
        # a short film has fewer stretches: each should have room for a few clips
        count = max(self.EVERY, min(self.STRETCHES, size // (4 * length)))
        edges = [round(i * size / count) for i in range(count + 1)]
        found: list[int] = []
        for number, (low, high) in enumerate(pairwise(edges)):
            if (number % self.EVERY == self.EVERY - 1) != held_out:
                continue
            inner = sorted({low, high, *(b for b in bounds if low < b < high)})
            for first, last in pairwise(inner):
                found.extend(range(first, last - length + 1))
        if not found:
            raise ValueError(
                f"{self.name} has no {'held-out ' * held_out}shot of {length} frames; expected a "
                "longer film, or fewer frames in a clip"
            )
        return torch.tensor(found)

    def clip(self, start: int, length: int, mirrored: bool = False) -> Tensor:
        """One clip, uint8 `[length, size, size, 3]`."""
        clip = self.frames[start : start + length]
        return clip.flip(2) if mirrored else clip.clone()

    def batch(self, starts: Tensor, length: int, seed: int, number: int, samples: range) -> Tensor:
        """Some samples of the batch of a number, uint8 `[B, length, size, size, 3]`."""
        clips = []
        for sample in samples:
            draw = generator(seed, number, sample)
            start = int(starts[torch.randint(len(starts), (), generator=draw)])
            mirrored = bool(torch.rand((), generator=draw) < 0.5)
            clips.append(self.clip(start, length, mirrored))
        return torch.stack(clips)


def open_film(
    path: str | os.PathLike[str],
    *,
    size: int = 64,
    fps: float = 12.0,
    folder: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Film:
    """A film, decoded on first use and read from the cache afterwards.

    Args:
        path: Any video that PyAV reads.
        size: Side of the square frames.
        fps: Frames taken for each second; not more than the film has.
        folder: Where decoded films are kept; None is `foveate`'s cache.
        progress: Called with frames seen and frames to expect (0 if not known).

    Raises:
        ValueError: The file is not there, or is no video.
        ModuleNotFoundError: PyAV is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path} is not there; expected a video file")
    if isinstance(size, bool) or not isinstance(size, int) or size < 8:
        raise ValueError(f"size is {size!r}; expected an int of at least 8")
    home = Path(folder) if folder is not None else cache_folder() / "films"
    place = home / f"{_mark(path)}-{size}-{fps:g}"
    if not (place / "film.json").exists():
        _decode(path, place, size, fps, progress)
    facts = json.loads((place / "film.json").read_text())
    shape = (facts["frames"], size, size, 3)
    count = facts["frames"] * size * size * 3
    flat = torch.from_file(
        str(place / "frames.u8"), shared=False, size=count, dtype=torch.uint8
    )  # a private memory map: pages come from the disk as they are read
    return Film(flat.view(shape), facts["cuts"], path.name)


def frames_of(path: Path, size: int, fps: float) -> Iterator[tuple[Tensor, int]]:
    """Centre squares of the frames at `fps`, uint8 `[size, size, 3]`, and frames to expect."""
    av = import_av()
    try:
        with av.open(str(path)) as film:
            stream = film.streams.video[0]
            stream.thread_type = "AUTO"
            rate = float(stream.average_rate or 24)
            keep = min(1.0, fps / rate)
            expected = int((stream.frames or 0) * keep)
            for number, frame in enumerate(film.decode(stream)):
                if int((number + 1) * keep) == int(number * keep):
                    continue
                factor = size / min(frame.width, frame.height)
                wide, high = (max(size, round(x * factor)) for x in (frame.width, frame.height))
                whole = frame.reformat(wide, high, "rgb24", interpolation="AREA").to_ndarray()
                left, top = (wide - size) // 2, (high - size) // 2
                yield torch.from_numpy(whole[top : top + size, left : left + size].copy()), expected
    except (av.error.FFmpegError, IndexError) as error:
        raise ValueError(f"{path} cannot be read as a video ({error})") from None


def _decode(path: Path, place: Path, size: int, fps: float, progress) -> None:
    """Write frames and cuts; the folder's film.json comes last and makes it whole."""
    place.mkdir(parents=True, exist_ok=True)
    work = place / f"frames.{os.getpid()}.tmp"
    cuts: list[int] = []
    before, count = None, 0
    try:
        with work.open("wb") as file:
            for frame, expected in frames_of(path, size, fps):
                file.write(frame.numpy().tobytes())
                small = thumbnail(frame)
                if before is not None and is_cut(before, small):
                    cuts.append(count)
                before, count = small, count + 1
                if progress is not None:
                    progress(count, expected)
        if not count:
            raise ValueError(f"{path} has no frames")
        os.replace(work, place / "frames.u8")
    finally:
        work.unlink(missing_ok=True)
    facts = {"version": VERSION, "name": path.name, "frames": count, "size": size, "fps": fps}
    text = json.dumps({**facts, "cuts": cuts})
    mark = place / f"film.{os.getpid()}.tmp"
    mark.write_text(text)
    os.replace(mark, place / "film.json")


def thumbnail(frame: Tensor) -> Tensor:
    """A frame as 8 × 8 mean colours, float32 `[3, 8, 8]`."""
    return torch.nn.functional.adaptive_avg_pool2d(frame.permute(2, 0, 1).float(), 8)


def is_cut(before: Tensor, after: Tensor) -> bool:
    """Whether two thumbnails belong to different shots."""
    return float((before - after).abs().mean()) > CUT


def import_av() -> Any:
    """PyAV, or an error that says how to get it."""
    try:
        import av
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            'reading and writing videos needs av, which is not installed; pip install "foveate'
            '[train]"',
            name="av",
        ) from None
    return av


def _mark(path: Path) -> str:
    """A name for the cache that changes with the file: its hash, of the ends of long files."""
    digest = hashlib.sha256(f"{VERSION} {path.stat().st_size}".encode())
    with path.open("rb") as file:
        digest.update(file.read(1 << 20))
        file.seek(max(0, path.stat().st_size - (1 << 20)))
        digest.update(file.read())
    return digest.hexdigest()[:16]
