"""Writing: the ending of a file's name chooses the writer, keywords are its options."""

from __future__ import annotations

import inspect
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .. import rotations as rot
from ..body import DOFS, PARENTS
from ..clip import MotionClip, write_atomic
from . import FORMATS, humanml
from .bvh import write_bvh
from .gltf import write_glb
from .mesh import Mesh, join, of_solid
from .names import FAMILIES, WRITABLE
from .npz import write_npz
from .skeletal import T_POSE, SkeletalMotion, from_qpos


def export(clip: MotionClip, path: str | Path, **options: Any) -> Path:
    """See `foveate.motion.export`."""
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in FORMATS:
        known = ", ".join(FORMATS)
        raise ValueError(f'cannot write "{path.name}"; expected a name that ends in {known}')
    if not path.parent.is_dir():
        raise FileNotFoundError(f'folder "{path.parent}" does not exist; make it first')
    writer = _writer(ending)
    known_options = list(inspect.signature(writer).parameters)[2:]
    for name in options:
        if name not in known_options:
            have = ", ".join(known_options) or "none"
            raise ValueError(f'{ending} has no option "{name}"; its options: {have}')
    writer(clip, path, **options)
    return path


def _writer(ending: str) -> Callable[..., None]:
    if ending in WRITERS:
        return WRITERS[ending]
    from ..render import files  # needs Pillow, and for videos an encoder

    return getattr(files, f"to_{ending[1:]}")


def to_bvh(
    clip: MotionClip,
    path: Path,
    skeleton: str = "foveate",
    root_motion: str = "keep",
    fps: float | None = None,
    scale: float = 1.0,
) -> None:
    """BVH in centimetres.

    Args:
        clip: What to write.
        path: Where.
        skeleton: Whose joint names: foveate, mixamo, cmu, unity, unreal, smpl.
        root_motion: "keep", "in_place" (no horizontal travel) or "xz_only" (no vertical).
        fps: Another rate.
        scale: Times the size.
    """
    if skeleton not in WRITABLE:
        raise ValueError(f'skeleton is "{skeleton}"; expected one of {", ".join(WRITABLE)}')
    if not 0.001 <= scale <= 1000:
        raise ValueError(f"scale is {scale}; expected 0.001 to 1000")
    motion = _skeletal(clip if fps is None else clip.resampled(fps), root_motion)
    motion.offsets = motion.offsets * scale
    motion.root = motion.root * scale
    motion.ends = {joint: tip * scale for joint, tip in motion.ends.items()}
    write_bvh(motion, path, list(FAMILIES[skeleton].values()))


def to_glb(
    clip: MotionClip,
    path: Path,
    skin: bool = True,
    root_motion: str = "keep",
    fps: float | None = None,
) -> None:
    """GLB with skeleton, skin, scene and the timeline in `asset.extras`."""
    clip = clip if fps is None else clip.resampled(fps)
    write_glb(
        _skeletal(clip, root_motion),
        path,
        skin=figure_mesh(clip) if skin else None,
        scene=scene_mesh(clip),
        extras=timeline(clip),
    )


def to_vrma(clip: MotionClip, path: Path) -> None:
    """A VRM animation: the same skeleton with VRM's bone names, no mesh."""
    write_glb(_skeletal(clip, "keep"), path, vrm=True, extras=timeline(clip))


def to_features(clip: MotionClip, path: Path) -> None:
    """HumanML3D features."""
    found = humanml.features(_skeletal(clip, "keep"))
    buffer = io.BytesIO()
    np.save(buffer, found)
    write_atomic(path, buffer.getvalue())


def to_csv(clip: MotionClip, path: Path) -> None:
    """qpos with the time in front and a line of names."""
    root = ["x", "y", "z", "qw", "qx", "qy", "qz"]
    head = ",".join(["time", *root, *(dof.name for dof in DOFS)])
    rows = np.concatenate([clip.times[:, None], clip.qpos], axis=1)
    lines = [",".join(f"{v:.9g}" for v in row) for row in rows]
    write_atomic(path, ("\n".join([head, *lines]) + "\n").encode())


def to_mjcf(clip: MotionClip, path: Path) -> None:
    """The body's MJCF with every frame as a keyframe."""
    from ..mjcf import mjcf

    text = mjcf(clip.shape, clip.scene)
    keys = "\n".join(
        f'    <key name="f{t:04d}" time="{time:.4f}" qpos="{" ".join(f"{v:.6g}" for v in row)}"/>'
        for t, (time, row) in enumerate(zip(clip.times, clip.qpos, strict=True))
    )
    block = f"  <keyframe>\n{keys}\n  </keyframe>\n</mujoco>"
    write_atomic(path, (text.rstrip().removesuffix("</mujoco>") + block + "\n").encode())


def to_npz(clip: MotionClip, path: Path, plan: Any = None) -> None:
    """Our archive, with the plan inside if given."""
    write_npz(clip, path, plan)


def to_html(
    clip: MotionClip, path: Path, plan: Any = None, planned: MotionClip | None = None
) -> None:
    """The viewer page; a switch shows `planned` in the place of the clip."""
    from ..viewer import write_page

    write_page(clip, path, plan=plan, planned=planned)


def to_plan(clip: MotionClip, path: Path, plan: Any = None) -> None:
    """The plan a clip was made from, which must be given."""
    if plan is None:
        raise ValueError(".json holds a plan; give it with plan=…")
    write_atomic(path, (json.dumps(plan.to_json(), indent=2) + "\n").encode())


def _skeletal(clip: MotionClip, root_motion: str) -> SkeletalMotion:
    motion = from_qpos(clip.qpos, clip.body, clip.fps)
    if root_motion == "in_place":
        motion.root = np.stack(
            [
                motion.root[0, 0].repeat(len(clip)),
                motion.root[:, 1],
                motion.root[0, 2].repeat(len(clip)),
            ],
            axis=1,
        )
    elif root_motion == "xz_only":
        motion.root = motion.root * [1, 0, 1] + [0, motion.root[0, 1], 0]
    elif root_motion != "keep":
        raise ValueError(
            f'root_motion is "{root_motion}"; expected "keep", "in_place" or "xz_only"'
        )
    return motion


def figure_mesh(clip: MotionClip) -> Mesh:
    """The figure's skin in the T-pose, file frame, every vertex carried by one joint."""
    from ..render.figure import parts_of
    from ..render.solids import cone, ellipsoid

    offsets = from_qpos(clip.qpos[:1], clip.body, clip.fps).offsets
    place = offsets.copy()
    for joint in range(1, 22):
        place[joint] += place[PARENTS[joint]]
    meshes = []
    for kind, joint, first, second, radii, colour in parts_of(clip.body):
        a, b = np.asarray(first, float), np.asarray(second, float)
        solid = cone(a, b, *radii, colour) if kind == "cone" else ellipsoid(a, np.eye(3), b, colour)
        mesh = of_solid(solid)
        back = rot.inverse(T_POSE[joint])
        mesh.points = rot.to_file(rot.rotate(back, mesh.points)) + place[joint]
        mesh.normals = rot.to_file(rot.rotate(back, mesh.normals))
        mesh.joints = np.full(len(mesh.points), joint)
        meshes.append(mesh)
    return join(meshes)


def scene_mesh(clip: MotionClip) -> Mesh | None:
    """The scene's objects in the file frame; None if there are none."""
    from ..render.stage import scene_solids

    solids = scene_solids(clip.scene)
    if not solids:
        return None
    mesh = join([of_solid(solid) for solid in solids])
    mesh.points, mesh.normals = rot.to_file(mesh.points), rot.to_file(mesh.normals)
    return mesh


def timeline(clip: MotionClip) -> dict[str, Any]:
    """What a viewer shows beside the motion, as plain values."""
    return {
        "text": clip.text,
        "fps": clip.fps,
        "source": clip.source,
        "keys": [[frame, name] for frame, name in clip.keys],
        "units": "metres, Y up, facing +Z",
    }


WRITERS: dict[str, Callable[..., None]] = {
    ".npz": to_npz,
    ".bvh": to_bvh,
    ".glb": to_glb,
    ".vrma": to_vrma,
    ".npy": to_features,
    ".csv": to_csv,
    ".xml": to_mjcf,
    ".html": to_html,
    ".json": to_plan,
}
