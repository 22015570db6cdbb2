"""NPZ: our own archive, which SMPL tools can read too, and the archives of others.

The one thing to know: `poses` and `trans` are joint rotations on *our* skeleton in T-pose frames,
not a fit of SMPL; the archive also carries `qpos` and everything else a clip knows, so that reading
it back loses nothing.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from .. import rotations as rot
from ..body import BODY, JOINTS, PARENTS
from ..clip import MotionClip, write_atomic
from ..plan import KeyframePlan
from .positions import from_positions
from .retarget import to_clip
from .skeletal import SkeletalMotion, from_qpos, t_offsets

SMPL_WIDTH = 72  # 24 joints of three numbers; the two hands are zero


class BrokenNPZ(ValueError):
    """The archive cannot be read as motion."""


def write_npz(clip: MotionClip, path: str | Path, plan: KeyframePlan | None = None) -> Path:
    """Write a clip, and its plan if given; the file appears complete or not at all."""
    write_atomic(path, npz_bytes(clip, plan))
    return Path(path)


def plan_of(path: str | Path) -> KeyframePlan | None:
    """The plan that an archive of ours carries; None if it carries none.

    Raises:
        ValueError: The archive or the plan in it is damaged.
        OSError: It cannot be read.
    """
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            text = str(archive["plan_json"]) if "plan_json" in archive.files else ""
    except (ValueError, EOFError, zipfile.BadZipFile):
        raise BrokenNPZ(f"{path.name}: not a NumPy archive (.npz) without pickles") from None
    return KeyframePlan.from_json(text) if text else None


def npz_bytes(clip: MotionClip, plan: KeyframePlan | None = None) -> bytes:
    """The bytes of the archive."""
    motion = from_qpos(clip.qpos, clip.body, clip.fps)
    vectors = rot.log(motion.turns)
    padded = np.zeros((len(clip), SMPL_WIDTH))
    padded[:, :66] = vectors.reshape(len(clip), 66)
    arrays: dict[str, Any] = {
        "fps": np.array(float(clip.fps)),
        "mocap_framerate": np.array(float(clip.fps)),
        "joints": rot.to_file(clip.joints),
        "poses": padded,
        "trans": motion.root,
        "betas": np.zeros(10),
        "contacts": clip.foot_contacts,
        "skeleton_offsets": motion.offsets,
        "joint_names": np.array(JOINTS),
        "parents": np.array(PARENTS),
        "up": np.array("y"),
        "text": np.array(clip.text),
        "key_frames": np.array([frame for frame, _ in clip.keys], int),
        "key_names": np.array([name for _, name in clip.keys], str),
        "report_json": np.array(json.dumps(clip.report.to_json())),
    }
    with np.load(io.BytesIO(clip.to_bytes()), allow_pickle=False) as own:
        arrays |= {name: own[name] for name in own.files}
    if plan is not None:
        arrays["plan_json"] = np.array(json.dumps(plan.to_json()))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def read_npz(path: str | Path, fps: float | None = None) -> MotionClip:
    """Read our archive, an AMASS-like one (poses, trans), or joint positions (joints).

    Args:
        path: The file.
        fps: Frames per second if the archive does not say; 30 if neither does.

    Raises:
        BrokenNPZ: Nothing in it can be read as motion.
        OSError: It cannot be read.
    """
    path = Path(path)
    data = path.read_bytes()
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            if isinstance(archive, np.ndarray):
                raise BrokenNPZ(f"{path.name}: a single array; expected an archive (.npz)")
            held = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, BrokenNPZ):
            raise
        raise BrokenNPZ(f"{path.name}: not a NumPy archive (.npz) without pickles") from None
    try:
        if "meta" in held and "qpos" in held:
            return MotionClip.from_bytes(data)
        rate = _rate(held, fps)
        text = str(held["text"]) if "text" in held and held["text"].ndim == 0 else ""
        if "poses" in held and "trans" in held:
            return _from_smpl(held, rate, text)
        for name in ("joints", "positions", "keypoints3d"):
            if name in held:
                return from_positions(held[name], rate, text)
        if "qpos" in held:
            return MotionClip(fps=rate, qpos=held["qpos"], source="imported", text=text)
    except (ValueError, TypeError, KeyError) as error:
        raise BrokenNPZ(f"{path.name}: {error}") from None
    there = ", ".join(sorted(held)[:8]) or "nothing"
    raise BrokenNPZ(
        f"{path.name}: it holds {there}; expected qpos, or poses and trans, or joints [T, 22, 3]"
    )


def _rate(held: dict[str, np.ndarray], fps: float | None) -> float:
    for name in ("fps", "mocap_framerate", "mocap_frame_rate"):
        if fps is None and name in held:
            fps = float(held[name])
    rate = 30.0 if fps is None else float(fps)
    if not (np.isfinite(rate) and 1 <= rate <= 1000):
        raise ValueError(f"{rate} frames per second; expected 1 to 1000")
    return rate


def _from_smpl(held: dict[str, np.ndarray], fps: float, text: str) -> MotionClip:
    """Axis-angle rotations of SMPL's joints; z points up unless the archive says otherwise."""
    poses, trans = np.asarray(held["poses"], float), np.asarray(held["trans"], float)
    poses = poses.reshape(len(poses), -1)
    if poses.shape[1] < 66 or trans.shape != (len(poses), 3):
        raise ValueError(
            f"poses {list(poses.shape)} and trans {list(trans.shape)}; "
            "expected [T, ≥ 66] and [T, 3]"
        )
    turns = rot.exp(poses[:, :66].reshape(-1, 22, 3))
    if str(held.get("up", "z")) != "y":
        upright = rot.axis_angle([1.0, 0.0, 0.0], np.radians(-90.0))
        trans = rot.rotate(upright, trans)
        turns[:, 0] = rot.multiply(upright, turns[:, 0])
    offsets = np.asarray(held.get("skeleton_offsets", t_offsets(BODY)), float)
    motion = SkeletalMotion(list(JOINTS), list(PARENTS), offsets, turns, trans, fps)
    return to_clip(motion, text)
