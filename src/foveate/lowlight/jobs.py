"""Which files become which: one picture, one video, or a folder with everything below it.

The one thing to know: a target that exists is done. So a run that was stopped goes on where it was
when it is started again, because files appear complete or not at all.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .files import PLAIN, RAW, VIDEO

KNOWN = PLAIN | RAW | VIDEO
RAW_BECOMES = ".jpg"
"""What a camera's file becomes in a folder; a file named on its own may become anything."""


@dataclass(frozen=True)
class Job:
    """One file to enhance."""

    source: Path
    target: Path

    @property
    def video(self) -> bool:
        """Whether it moves."""
        return self.source.suffix.lower() in VIDEO

    @property
    def done(self) -> bool:
        """Whether the target is there already."""
        return self.target.exists()


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        jobs: In the order of names.
        folder: Whether a folder was given.
        others: Files in it that are neither pictures nor videos.
    """

    jobs: list[Job]
    folder: bool
    others: int = 0


def plan(source: str | os.PathLike[str], target: str | os.PathLike[str] | None) -> Plan:
    """Find what to do.

    Args:
        source: A picture, a video, or a folder (searched with all folders in it, without hidden
            ones).
        target: A file or a folder; None puts the result beside the source, named "…-bright".

    Raises:
        FileNotFoundError: There is no such source.
        ValueError: Source and target do not fit together, or nothing in the folder can be
            enhanced.
    """
    source = Path(source)
    if not source.exists():
        raise FileNotFoundError(f"{source} does not exist; name a picture, a video or a folder")
    if source.is_dir():
        return _folder(source, Path(target) if target else _beside(source))
    kind = source.suffix.lower()
    if kind not in KNOWN:
        raise ValueError(
            f'{source.name} ends in "{kind}", which is none of {", ".join(sorted(PLAIN))}, '
            f"of camera RAW or of video; rename or convert it"
        )
    into = _into(source, target)
    if into.resolve() == source.resolve():
        raise ValueError(f"{into} is the source itself; choose another name, it is not replaced")
    allowed = VIDEO if kind in VIDEO else PLAIN
    if into.suffix.lower() not in allowed:
        what = "video" if kind in VIDEO else "picture"
        raise ValueError(
            f'{source.name} is a {what}, but "{into.name}" does not end in one of '
            f"{', '.join(sorted(allowed))}"
        )
    return Plan([Job(source, into)], folder=False)


def _into(source: Path, target: str | os.PathLike[str] | None) -> Path:
    """The file that one file becomes."""
    if target is None:
        return _beside(source)
    into = Path(target)
    if into.is_dir() or str(target).endswith(("/", os.sep)):
        return into / _same(source)
    return into


def _same(source: Path) -> str:
    return source.stem + RAW_BECOMES if source.suffix.lower() in RAW else source.name


def _beside(source: Path) -> Path:
    if source.is_dir():
        source = source.resolve()  # of "." too
        return source.with_name(f"{source.name}-bright")
    ending = Path(_same(source)).suffix
    return source.with_name(f"{source.stem}-bright{ending}")


def _folder(source: Path, target: Path) -> Plan:
    if target.exists() and not target.is_dir():
        raise ValueError(f"{source} is a folder, but {target} is a file; name a folder")
    if target.resolve() == source.resolve():
        raise ValueError(f"{target} is the source itself; choose another folder")
    jobs, taken, others = [], set(), 0
    for place, folders, names in os.walk(source):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and (Path(place) / name).resolve() != target.resolve()
        )
        for name in sorted(names):
            path = Path(place) / name
            if name.startswith("."):
                continue
            if path.suffix.lower() not in KNOWN:
                others += 1
                continue
            into = target / path.relative_to(source).with_name(_same(path))
            if into in taken or (_same(path) != name and _same(path) in names):
                # a camera that writes RAW and JPEG side by side
                into = into.with_name(f"{path.stem}-{path.suffix[1:].lower()}{RAW_BECOMES}")
            taken.add(into)
            jobs.append(Job(path, into))
    if not jobs:
        raise ValueError(f"{source} holds no picture and no video ({others} other files)")
    return Plan(jobs, folder=True, others=others)
