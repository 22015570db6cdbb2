"""Pictures as arrays: one frame, one pose from several sides, a sheet of keys, a turntable.

The one thing to know: everything returns uint8 [height, width, 3]; `png` makes bytes of it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .. import rotations as rot
from ..body import BODY, JOINTS, Body
from ..clip import MotionClip
from ..kinematics import fk
from ..pose import Pose
from ..scene import Scene
from .camera import Camera, framing
from .figure import figure
from .painter import Painter
from .stage import clip_cameras, ghost_solids, has_floor, overlays, scene_solids

INK = (35, 32, 27)
SOFT = (109, 103, 93)
PAPER = (251, 250, 247)
LABELS = (
    "head",
    "L_wrist",
    "R_wrist",
    "L_elbow",
    "R_elbow",
    "L_knee",
    "R_knee",
    "L_foot",
    "R_foot",
)
FEEDBACK_VIEWS = ("front-left", "side", "front")


def renderer(width: int = 640, height: int = 480, kind: str = "auto") -> Any:
    """See `foveate.motion.render.renderer`."""
    if kind in ("auto", "painter"):
        return Painter(width, height)
    if kind == "gl":
        from .gl import GLRenderer

        return GLRenderer(width, height)
    raise ValueError(f'renderer is "{kind}"; expected "auto", "painter" or "gl"')


def png(picture: np.ndarray) -> bytes:
    """PNG bytes of a picture."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


@lru_cache(maxsize=16)
def font(size: int) -> ImageFont.ImageFont:
    """Pillow's own typeface at a size in pixels."""
    return ImageFont.load_default(size)


def frame_picture(
    clip: MotionClip,
    frame: int,
    width: int = 640,
    height: int = 480,
    camera: Camera | None = None,
    marks: bool = False,
    kind: str = "auto",
) -> np.ndarray:
    """One frame of a clip.

    Args:
        clip: The clip.
        frame: Its number; negative counts from the end.
        width: Pixels.
        height: Pixels.
        camera: Chosen to show the whole clip if None.
        marks: Contacts, centre of mass and forward arrow on the floor.
        kind: Renderer, see `renderer`.
    """
    if not -len(clip) <= frame < len(clip):
        raise ValueError(f"frame is {frame}; the clip has frames 0 to {len(clip) - 1}")
    frame %= len(clip)
    camera = camera or clip_cameras(clip.joints, width, height)[frame]
    with renderer(width, height, kind) as draw:
        decals = _decals(clip, frame) if marks else []
        solids = figure(clip.joints[frame], clip.rotations[frame], clip.body)
        return draw.draw(
            solids, camera, scene_solids(clip.scene), decals, floor=has_floor(clip.scene)
        )


def clip_frames(
    clip: MotionClip,
    width: int = 640,
    height: int = 480,
    *,
    azimuth: float = 150.0,
    cameras: Sequence[Camera] | None = None,
    marks: bool = False,
    kind: str = "auto",
    step: Callable[[int, int], None] | None = None,
    threads: int = 2,
) -> Iterator[np.ndarray]:
    """The frames of a clip in order, drawn as they are asked for.

    Args:
        clip: The clip.
        width: Pixels.
        height: Pixels.
        azimuth: Looking direction in degrees relative to where the body faces at first.
        cameras: One for each frame, instead.
        marks: Contacts, centre of mass and forward arrow on the floor.
        kind: Renderer, see `renderer`.
        step: Called with (frames done, frames in all).
        threads: Painters that work at once; OpenGL uses one.
    """
    facing = float(np.degrees(rot.yaw_of(clip.rotations[0, 0])))
    cameras = cameras or clip_cameras(clip.joints, width, height, azimuth + facing)
    scene, floor = scene_solids(clip.scene), has_floor(clip.scene)
    with renderer(width, height, kind) as draw:

        def one(frame: int) -> np.ndarray:
            solids = figure(clip.joints[frame], clip.rotations[frame], clip.body)
            decals = _decals(clip, frame) if marks else []
            return draw.draw(solids, cameras[frame], scene, decals, floor=floor)

        if not isinstance(draw, Painter) or threads < 2:
            for frame in range(len(clip)):
                yield one(frame)
                if step:
                    step(frame + 1, len(clip))
            return
        one(0)  # the background is kept from here on, not drawn twice
        with ThreadPoolExecutor(threads) as pool:
            ahead: list = []
            following = iter(range(len(clip)))
            try:
                for frame in following:
                    ahead.append(pool.submit(one, frame))
                    if len(ahead) > 2 * threads:
                        yield ahead.pop(0).result()
                        if step:
                            step(frame - 2 * threads + 1, len(clip))
                while ahead:
                    yield ahead.pop(0).result()
                    if step:
                        step(len(clip) - len(ahead), len(clip))
            finally:
                for job in ahead:
                    job.cancel()


def _decals(clip: MotionClip, frame: int) -> list:
    touching = [part for part, touches in clip.contacts.items() if touches[frame]]
    return overlays(clip.joints[frame], clip.rotations[frame], clip.body, touching)


def pose_picture(
    pose: Pose,
    body: Body = BODY,
    *,
    scene: Scene | None = None,
    views: Sequence[str] = FEEDBACK_VIEWS,
    ghost: Pose | None = None,
    touching: Iterable[str] = (),
    labels: bool = False,
    focus: str | None = None,
    size: int = 384,
    marks: bool = True,
    kind: str = "auto",
) -> np.ndarray:
    """A pose from several sides, side by side: what an animator is shown.

    Args:
        pose: The pose.
        body: Whose proportions.
        scene: What stands around.
        views: Names of views, see `VIEWS` and "top"; relative to the character.
        ghost: The key before, in translucent grey.
        touching: Parts in contact, by the names of `Body.contact_points`.
        labels: Write the names of the main joints.
        focus: A site to come close to (0.8 m).
        size: Edge of a tile, pixels.
        marks: Marks on the floor.
        kind: Renderer, see `renderer`.

    Returns:
        uint8 [size, size · len(views), 3].

    Raises:
        ValueError: An unknown view or site.
    """
    places, turns = fk(pose.root_pos, pose.root_quat, pose.joint_quat, body)
    solids = figure(places, turns, body)
    if ghost is not None:
        solids = [*ghost_solids(ghost, body), *solids]
    decals = overlays(places, turns, body, touching) if marks else []
    facing = float(np.degrees(rot.yaw_of(turns[0])))
    seen = around(
        places,
        None if ghost is None else fk(ghost.root_pos, ghost.root_quat, ghost.joint_quat, body)[0],
    )
    tiles = []
    with renderer(size, size, kind) as draw:
        objects = scene_solids(scene)
        for view in views:
            camera = framing(seen, size, size)
            camera = replace(camera, distance=float(np.clip(camera.distance, 2.3, 6.0))).looking(
                view
            )
            camera = replace(camera, azimuth=camera.azimuth + facing)
            if focus is not None:
                at = pose.sites(focus, body=body)[0]
                camera = replace(camera, target=tuple(at), distance=0.8)
            picture = draw.draw(solids, camera, objects, decals, floor=has_floor(scene))
            tile = Image.fromarray(picture)
            _caption(tile, view, camera, places if labels else None)
            tiles.append(np.asarray(tile))
    return np.concatenate(tiles, axis=1)


def around(places: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
    """Corners of a box around joints, and around others if given, [8, 3]."""
    points = places if others is None else np.concatenate([places, others])
    low, high = points.min(0) - [0.1, 0.1, 0.05], np.add(points.max(0), (0.1, 0.1, 0.25))
    return np.array(
        [[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]
    )


def _caption(tile: Image.Image, text: str, camera: Camera, places: np.ndarray | None) -> None:
    draw = ImageDraw.Draw(tile)
    draw.text((8, 6), text, fill=SOFT, font=font(max(11, tile.height // 26)))
    if places is None:
        return
    rows = [JOINTS.index(name) for name in LABELS]
    pixels, _ = camera.project(places[rows], *tile.size)
    for name, (x, y) in zip(LABELS, pixels, strict=True):
        draw.text((x + 5, y - 5), name, fill=INK, font=font(11), stroke_width=2, stroke_fill=PAPER)
