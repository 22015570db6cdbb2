"""MotionClip: motion as frames, and Report: how it was made and how good it is.

The one thing to know: `qpos` is the truth; joints and rotations are worked out from it when asked.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from .body import BODY, Body, BodyShape, body_of
from .kinematics import fk_qpos, hinges_to_quats, site_positions, split_qpos
from .plan import CONTACT_PARTS
from .pose import Pose
from .report import Report
from .rotations import Array
from .scene import Scene

FOOT_PARTS = ("L_heel", "L_toes", "R_heel", "R_toes")
"""Order of the four foot contacts in files."""


@dataclass(frozen=True)
class MotionClip:
    """Frames of motion.

    Args:
        fps: Frames per second.
        qpos: Pelvis position 3, quaternion 4, hinges in radians 47: `[T, 54]`.
        shape: Whose body.
        contacts: Part → whether it touches in each frame, bool `[T]`.
        source: "kinematic", "simulated" or "imported".
        keys: (frame, id of the key) pairs.
        text: What was asked for.
        scene: What stands around.
        report: How it was made.

    Raises:
        ValueError: fps is not positive, or a shape is wrong, or a value is not finite.
    """

    fps: float
    qpos: Array
    shape: BodyShape = BODY.shape
    contacts: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    source: str = "kinematic"
    keys: tuple[tuple[int, str], ...] = ()
    text: str = ""
    scene: Scene | None = None
    report: Report = field(default_factory=Report)

    def __post_init__(self) -> None:
        qpos = np.array(self.qpos, float)
        if qpos.ndim != 2 or qpos.shape[1] != 54 or len(qpos) < 1 or not np.isfinite(qpos).all():
            raise ValueError(
                f"MotionClip.qpos has shape {list(qpos.shape)}; expected [T, 54], T ≥ 1, all finite"
            )
        if not self.fps > 0:
            raise ValueError(f"MotionClip.fps is {self.fps}; expected a positive rate")
        qpos.setflags(write=False)
        object.__setattr__(self, "qpos", qpos)
        contacts = {}
        for part, touches in self.contacts.items():
            if part not in CONTACT_PARTS:
                raise ValueError(
                    f"unknown contact part {part!r}; parts: {', '.join(CONTACT_PARTS)}"
                )
            contacts[part] = np.asarray(touches, bool)
            if contacts[part].shape != (len(qpos),):
                raise ValueError(
                    f"contacts[{part!r}] has shape {list(contacts[part].shape)}; "
                    f"expected [{len(qpos)}], one for each frame"
                )
        object.__setattr__(self, "contacts", contacts)

    def __len__(self) -> int:
        return len(self.qpos)

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the last."""
        return (len(self) - 1) / self.fps

    @property
    def times(self) -> Array:
        """Seconds of each frame, `[T]`."""
        return np.arange(len(self)) / self.fps

    @property
    def body(self) -> Body:
        return body_of(self.shape)

    @cached_property
    def _fk(self) -> tuple[Array, Array]:
        return fk_qpos(self.qpos, self.body)

    @property
    def joints(self) -> Array:
        """Joint places in metres, simulation frame, `[T, 22, 3]`."""
        return self._fk[0]

    @property
    def rotations(self) -> Array:
        """World rotations of the joints, `[T, 22, 4]`."""
        return self._fk[1]

    @property
    def joint_quats(self) -> Array:
        """Rotations of joints 1 … 21 relative to rest, `[T, 21, 4]`."""
        return hinges_to_quats(split_qpos(self.qpos)[2])

    @property
    def root_pos(self) -> Array:
        return self.qpos[:, :3]

    @property
    def root_quat(self) -> Array:
        return self.qpos[:, 3:7]

    @property
    def root_lin_vel(self) -> Array:
        """Velocity of the pelvis by central differences, m/s, `[T, 3]`."""
        if len(self) < 2:
            return np.zeros((len(self), 3))
        return np.gradient(self.root_pos, 1 / self.fps, axis=0)

    def sites(self, *names: str) -> Array:
        """Places of named sites, `[T, len(names), 3]`."""
        return site_positions(*self._fk, names, self.body)

    def pose(self, frame: int) -> Pose:
        """One frame as a Pose."""
        return Pose.from_qpos(self.qpos[frame])

    @property
    def foot_contacts(self) -> NDArray[np.bool_]:
        """Whether L heel, L toes, R heel, R toes touch, `[T, 4]`."""
        none = np.zeros(len(self), bool)
        columns = []
        for part in FOOT_PARTS:
            whole = self.contacts.get(f"{part[:2]}foot", none)
            columns.append(self.contacts.get(part, none) | whole)
        return np.stack(columns, axis=1)

    def with_(self, **changes: Any) -> MotionClip:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def resampled(self, fps: float) -> MotionClip:
        """The same motion at another rate: root straight, rotations on arcs between frames."""
        from scipy.spatial.transform import Rotation, Slerp

        if not fps > 0:
            raise ValueError(f"fps is {fps}; expected a positive rate")
        if fps == self.fps or len(self) == 1:
            return replace(self, fps=fps)
        count = int(np.floor(self.duration * fps + 1e-9)) + 1
        at = np.minimum(np.arange(count) / fps, self.duration)
        qpos = np.empty((count, 54))
        for column in (*range(3), *range(7, 54)):
            qpos[:, column] = np.interp(at, self.times, self.qpos[:, column])
        turns = Slerp(self.times, Rotation.from_quat(self.root_quat, scalar_first=True))(at)
        qpos[:, 3:7] = turns.as_quat(scalar_first=True)
        nearest = np.clip(np.round(at * self.fps).astype(int), 0, len(self) - 1)
        return replace(
            self,
            fps=fps,
            qpos=qpos,
            contacts={part: touches[nearest] for part, touches in self.contacts.items()},
            keys=tuple((min(count - 1, round(f / self.fps * fps)), name) for f, name in self.keys),
        )

    # ---- the clip's own file; other formats live in `exchange`

    def to_bytes(self) -> bytes:
        """Compressed NumPy archive that `from_bytes` reads; no pickles."""
        meta = {
            "version": 1,
            "fps": self.fps,
            "shape": self.shape.model_dump(),
            "source": self.source,
            "keys": [list(key) for key in self.keys],
            "text": self.text,
            "scene": self.scene.to_json() if self.scene else None,
            "report": self.report.to_json(),
        }
        parts = list(self.contacts)
        table = (
            np.stack([self.contacts[p] for p in parts], 1) if parts else np.zeros((len(self), 0))
        )
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            qpos=self.qpos,
            contact_table=table.astype(bool),
            contact_parts=np.array(parts, dtype=str),
            meta=np.array(json.dumps(meta)),
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> MotionClip:
        """Raises ValueError if it is not such an archive."""
        try:
            if not data.startswith(b"PK"):
                raise BadZipFile("it is not a NumPy archive")
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                meta = json.loads(str(archive["meta"]))
                table = archive["contact_table"]
                parts = [str(part) for part in archive["contact_parts"]]
                return cls(
                    fps=meta["fps"],
                    qpos=archive["qpos"],
                    shape=BodyShape(**meta["shape"]),
                    contacts={part: table[:, i] for i, part in enumerate(parts)},
                    source=meta["source"],
                    keys=tuple((int(f), str(name)) for f, name in meta["keys"]),
                    text=meta["text"],
                    scene=Scene.from_json(meta["scene"]) if meta["scene"] else None,
                    report=Report.from_json(meta["report"]),
                )
        except (OSError, EOFError, KeyError, TypeError, AttributeError, BadZipFile) as error:
            raise ValueError(f"not a motion clip of foveate: {error}") from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the archive; the file appears complete or not at all."""
        write_atomic(path, self.to_bytes())


def write_atomic(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that it is complete or not there at all."""
    target = Path(path)
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
