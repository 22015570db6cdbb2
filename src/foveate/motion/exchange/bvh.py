"""BVH: the text format of motion capture, written and read.

The one thing to know: numbers in a BVH have no unit. We write centimetres; a reader guesses the
unit from the size of the skeleton unless it is told. Rotations are written Z Y X (intrinsic),
unwrapped, and where the middle angle allows two solutions the one nearest to the frame before is
taken.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .. import rotations as rot
from ..clip import write_atomic
from .skeletal import SkeletalMotion

CENTIMETRES = 100.0


def write_bvh(motion: SkeletalMotion, path: str | Path, names: list[str] | None = None) -> Path:
    """Write a motion; the file appears complete or not at all.

    Args:
        motion: File frame, metres.
        path: Where; the folder must exist.
        names: Other names for the joints, in the same order.
    """
    write_atomic(path, bvh_text(motion, names).encode())
    return Path(path)


def bvh_text(motion: SkeletalMotion, names: list[str] | None = None) -> str:
    """The text of a BVH file."""
    names = names or motion.names
    children: dict[int, list[int]] = {}
    for joint, parent in enumerate(motion.parents):
        children.setdefault(parent, []).append(joint)
    lines, order = ["HIERARCHY"], []

    def describe(joint: int, depth: int) -> None:
        order.append(joint)
        tab = "\t" * depth
        root = motion.parents[joint] < 0
        # the first frame's place is in the channels; a root offset would be added to it by some
        offset = np.zeros(3) if root else motion.offsets[joint] * CENTIMETRES
        move = "6 Xposition Yposition Zposition " if root else "3 "
        lines.append(f"{tab}{'ROOT' if root else 'JOINT'} {names[joint]}")
        lines.append(f"{tab}{{")
        lines.append(f"{tab}\tOFFSET " + _numbers(offset))
        lines.append(f"{tab}\tCHANNELS {move}Zrotation Yrotation Xrotation")
        for child in children.get(joint, []):
            describe(child, depth + 1)
        if joint not in children:
            tip = motion.ends.get(joint, np.array([0.0, 0.05, 0.0])) * CENTIMETRES
            lines.extend(
                [
                    f"{tab}\tEnd Site",
                    f"{tab}\t{{",
                    f"{tab}\t\tOFFSET " + _numbers(tip),
                    f"{tab}\t}}",
                ]
            )
        lines.append(f"{tab}}}")

    describe(motion.parents.index(-1), 0)
    angles = np.degrees(_steady(rot.to_euler(motion.turns, "ZYX")))[:, order]
    rows = np.concatenate([motion.root * CENTIMETRES, angles.reshape(len(angles), -1)], axis=1)
    lines += ["MOTION", f"Frames: {len(rows)}", f"Frame Time: {1 / motion.fps:.9f}"]
    lines += [_numbers(row) for row in rows]
    return "\n".join(lines) + "\n"


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{v:.5f}" for v in np.asarray(values) + 0.0)


def _steady(angles: np.ndarray) -> np.ndarray:
    """Z Y X angles [T, J, 3] without jumps: (z+π, π−y, x+π) is the same rotation."""
    steady = angles.copy()
    for t in range(1, len(steady)):
        first = steady[t]
        other = first + np.pi
        other[..., 1] = np.pi - first[..., 1]
        last = steady[t - 1]
        options = [x - 2 * np.pi * np.round((x - last) / (2 * np.pi)) for x in (first, other)]
        far = [np.abs(x - last).sum(-1) for x in options]
        # the other solution is taken only where it is clearly nearer: near a tie it would flicker
        steady[t] = np.where((far[1] < far[0] - 1e-3)[..., None], options[1], options[0])
    return steady


class BrokenBVH(ValueError):
    """The file is not a BVH; the message names the line."""


class _Words:
    """The words of a hierarchy with the lines they stand on."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.words = [
            (word, number)
            for number, line in enumerate(text.splitlines(), 1)
            for word in line.split()
        ]
        self.at = 0

    def take(self, expected: str | None = None) -> str:
        if self.at >= len(self.words):
            raise self.broken(f"the file ends where {expected or 'more'} was expected")
        word = self.words[self.at][0]
        if expected is not None and word.lower().rstrip(":") != expected.lower().rstrip(":"):
            raise self.broken(f'expected "{expected}", found "{word}"')
        self.at += 1
        return word

    def number(self, kind: type = float) -> float:
        word = self.take()
        try:
            value = kind(word)
        except ValueError:
            self.at -= 1
            raise self.broken(f'expected a number, found "{word}"') from None
        if not np.isfinite(value):
            self.at -= 1
            raise self.broken(f'"{word}" is not a finite number')
        return value

    def peek(self) -> str:
        return self.words[self.at][0] if self.at < len(self.words) else ""

    def broken(self, why: str) -> BrokenBVH:
        line = self.words[min(self.at, len(self.words) - 1)][1] if self.words else 1
        return BrokenBVH(f"{self.name} line {line}: {why}")


def read_bvh(path: str | Path, scale: float | None = None) -> SkeletalMotion:
    """Read any BVH.

    Args:
        path: The file.
        scale: Metres per unit of the file; guessed from the size of the skeleton if None.

    Raises:
        BrokenBVH: It is not a BVH, or it ends too early; the message names the line.
        OSError: It cannot be read.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise BrokenBVH(f"{path.name} line 1: not a text file; expected a BVH") from None
    return parse_bvh(text, path.name, scale)


def parse_bvh(text: str, name: str = "bvh", scale: float | None = None) -> SkeletalMotion:
    """`read_bvh` of a text."""
    words = _Words(text, name)
    names: list[str] = []
    parents: list[int] = []
    offsets: list[list[float]] = []
    channels: list[list[str]] = []
    ends: dict[int, np.ndarray] = {}

    def joint(parent: int) -> None:
        index = len(names)
        label = words.take()
        names.append(label)
        parents.append(parent)
        offsets.append([0.0, 0.0, 0.0])
        channels.append([])
        words.take("{")
        while words.peek() != "}":
            word = words.take().lower()
            if word == "offset":
                offsets[index] = [words.number() for _ in range(3)]
            elif word == "channels":
                channels[index] = [_channel(words) for _ in range(int(words.number(int)))]
            elif word == "joint":
                joint(index)
            elif word == "end":
                words.take("Site")
                words.take("{")
                words.take("OFFSET")
                ends[index] = np.array([words.number() for _ in range(3)])
                words.take("}")
            else:
                words.at -= 1
                raise words.broken(f'"{words.peek()}" has no meaning inside a joint')
        words.take("}")

    words.take("HIERARCHY")
    words.take("ROOT")
    try:
        joint(-1)
    except RecursionError:
        raise words.broken("joints are nested too deeply") from None
    words.take("MOTION")
    words.take("Frames:")
    frames = int(words.number(int))
    words.take("Frame")
    words.take("Time:")
    dt = words.number()
    width = sum(map(len, channels))
    if frames < 1 or not 1e-4 <= dt <= 10:
        raise words.broken(f"{frames} frames of {dt} s; expected at least one, of 0.0001 to 10 s")
    if not width:
        raise words.broken("no joint has channels, so nothing can move")
    table = _table(words, frames, width)
    local, moves = _decode(table, channels, np.array(offsets))
    metres = scale or _guess_unit(np.array(offsets), parents, ends)
    return SkeletalMotion(
        names=names,
        parents=parents,
        offsets=np.array(offsets) * metres,
        turns=rot.continuous(local),
        root=moves * metres,
        fps=1 / dt,
        ends={k: v * metres for k, v in ends.items()},
    )


def _channel(words: _Words) -> str:
    word = words.take()
    if word.lower() not in {f"{a}{kind}" for a in "xyz" for kind in ("position", "rotation")}:
        words.at -= 1
        raise words.broken(f'"{word}" is not a channel; expected for example Xrotation')
    return word.lower()


def _table(words: _Words, frames: int, width: int) -> np.ndarray:
    rest = words.words[words.at :]
    needed = frames * width
    if len(rest) != needed:
        last = rest[-1][1] if rest else words.words[-1][1]
        raise BrokenBVH(
            f"{words.name} line {last}: {frames} frames of {width} numbers make {needed}, "
            f"but {len(rest)} follow"
        )
    try:
        table = np.array([float(w) for w, _ in rest]).reshape(frames, width)
    except ValueError:
        for word, line in rest:
            try:
                float(word)
            except ValueError:
                raise BrokenBVH(f'{words.name} line {line}: "{word}" is not a number') from None
        raise
    if not np.isfinite(table).all():
        line = rest[int(np.flatnonzero(~np.isfinite(table).ravel())[0])][1]
        raise BrokenBVH(f"{words.name} line {line}: a number is not finite")
    return table


def _decode(
    table: np.ndarray, channels: list[list[str]], offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Local rotations [T, J, 4] and root positions [T, 3] in the file's unit."""
    local = np.tile(rot.IDENTITY, (len(table), len(channels), 1))
    root = np.tile(offsets[0], (len(table), 1))
    column = 0
    for index, names in enumerate(channels):
        for name in names:
            values = table[:, column]
            column += 1
            axis = "xyz".index(name[0])
            if name.endswith("position"):
                if index == 0:  # positions below the root stretch bones; a rigid body has none
                    root[:, axis] = values
                continue
            turn = rot.axis_angle(np.eye(3)[axis], np.radians(values))
            local[:, index] = rot.multiply(local[:, index], turn)
    return local, root


def _guess_unit(offsets: np.ndarray, parents: list[int], ends: dict[int, np.ndarray]) -> float:
    """Metres per unit: the usual unit in which the skeleton is as tall as a person.

    The size is the longest chain of bones from one tip to another along the vertical spread of the
    rest pose; a T-pose and a star pose have about the same.
    """
    place = np.zeros_like(offsets)
    for joint, parent in enumerate(parents):
        if parent >= 0:
            place[joint] = place[parent] + offsets[joint]
    tips = [place[j] + tip for j, tip in ends.items()]
    points = np.concatenate([place, np.array(tips).reshape(-1, 3)])
    size = float(np.ptp(points, axis=0).max())
    if size <= 0:
        return 0.01
    units = (1.0, 0.01, 0.001, 0.0254, 0.0254 / 0.45)  # the last is that of CMU's conversions
    for unit in units:
        if 1.3 <= size * unit <= 2.2:
            return unit
    return 1.72 / size
