"""Reading: the ending of a file's name chooses the reader."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..clip import MotionClip
from . import READABLE, humanml
from .bvh import read_bvh
from .gltf_read import read_glb
from .npz import read_npz
from .positions import from_positions
from .retarget import to_clip


def load(path: str | Path, fps: float | None = None) -> MotionClip:
    """See `foveate.motion.load`."""
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in READABLE:
        raise ValueError(f'"{path.name}" cannot be read; expected one of {", ".join(READABLE)}')
    if not path.is_file():
        raise FileNotFoundError(f'"{path}" is not a file')
    if ending == ".npz":
        return read_npz(path, fps)
    if ending == ".bvh":
        return _named(path, lambda: to_clip(read_bvh(path)))
    if ending == ".glb":
        return _named(path, lambda: _from_glb(path))
    if ending == ".csv":
        return _named(path, lambda: _from_csv(path, fps or 30.0))
    return _named(path, lambda: _from_features(path))


def _named(path: Path, make) -> MotionClip:
    """Errors that do not name the file get its name in front."""
    try:
        return make()
    except ValueError as error:
        text = str(error)
        raise ValueError(text if text.startswith(path.name) else f"{path.name}: {text}") from None


def _from_glb(path: Path) -> MotionClip:
    motion, extras = read_glb(path)
    text = extras.get("text", "") if isinstance(extras, dict) else ""
    return to_clip(motion, text if isinstance(text, str) else "")


def _from_csv(path: Path, fps: float) -> MotionClip:
    lines = path.read_text(encoding="utf-8").splitlines()
    if len(lines) < 2:
        raise ValueError(f"{len(lines)} lines; expected rows of qpos, 54 numbers each")
    first = lines[0].split(",")
    head = 1 if first and not _is_number(first[0]) else 0
    table = np.loadtxt(lines[head:], delimiter=",", ndmin=2)
    if table.shape[1] == 55 and head and first[0].strip() == "time":
        if len(table) > 1:
            fps = 1 / float(np.median(np.diff(table[:, 0])))
        table = table[:, 1:]
    return MotionClip(fps=fps, qpos=table, source="imported")


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _from_features(path: Path) -> MotionClip:
    try:
        held = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError, zipfile.BadZipFile):
        raise ValueError("not a NumPy array (.npy) without pickles") from None
    if held.ndim == 3 and held.shape[1:] == (22, 3):
        return from_positions(held, humanml.FPS)
    clip = from_positions(humanml.recover(held), humanml.FPS)
    return replace(clip, report=replace(clip.report, notes=[*clip.report.notes, "from features"]))
