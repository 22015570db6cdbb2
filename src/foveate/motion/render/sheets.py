"""Several pictures at once: sheets of key poses, two clips side by side, a pose all around."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from .. import rotations as rot
from ..body import BODY, Body
from ..clip import MotionClip
from ..kinematics import fk
from ..pose import Pose
from ..scene import Scene
from .camera import framing
from .figure import figure
from .pictures import INK, PAPER, SOFT, around, clip_frames, font, renderer
from .stage import clip_cameras, has_floor, pose_solids, scene_solids


def contact_sheet(
    items: MotionClip | Sequence[tuple[Pose, str]],
    *,
    body: Body | None = None,
    scene: Scene | None = None,
    columns: int = 6,
    tile: tuple[int, int] = (220, 260),
    title: str | None = None,
    most: int = 18,
    kind: str = "auto",
) -> np.ndarray:
    """Key poses left to right with number, name and time.

    Args:
        items: A clip (its keys; frames spread over it if it has fewer than two), or poses with
            what to write under each.
        body: Whose proportions; those of the clip if None.
        scene: What stands around; that of the clip if None.
        columns: Tiles in a row.
        tile: Width and height of one, pixels.
        title: Above all; the clip's text if None.
        most: No more tiles than this; spread over the keys.
        kind: Renderer, see `renderer`.
    """
    if isinstance(items, MotionClip):
        body, scene = body or items.body, scene or items.scene
        title = items.text if title is None else title
        shown = [(items.pose(f), label) for f, label in _key_frames(items, most)]
    else:
        shown = list(items)
        if len(shown) > most:
            shown = [shown[i] for i in np.linspace(0, len(shown) - 1, most).round().astype(int)]
    if not shown:
        raise ValueError("a contact sheet needs at least one pose")
    body = body or BODY
    columns = min(columns, len(shown))
    rows = -(-len(shown) // columns)
    head, gap, foot = (44 if title else 12), 8, 22
    width = columns * (tile[0] + gap) + gap
    height = head + rows * (tile[1] + foot + gap)
    sheet = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    if title:
        pen.text((gap + 2, 12), _fitting(title, width - 2 * gap, 18), fill=INK, font=font(18))
    objects = scene_solids(scene)
    facing = float(np.degrees(rot.yaw_of(shown[0][0].root_quat)))
    with renderer(*tile, kind) as draw:
        for i, (pose, label) in enumerate(shown):
            x = gap + (i % columns) * (tile[0] + gap)
            y = head + (i // columns) * (tile[1] + foot + gap)
            places, turns = fk(pose.root_pos, pose.root_quat, pose.joint_quat, body)
            camera = framing(around(places), *tile, azimuth=150 + facing, elevation=-12)
            camera = replace(camera, distance=float(np.clip(camera.distance, 2.6, 5.0)))
            picture = draw.draw(
                figure(places, turns, body), camera, objects, floor=has_floor(scene)
            )
            sheet.paste(Image.fromarray(picture), (x, y))
            pen.text((x + 2, y + tile[1] + 3), f"{i + 1}", fill=(11, 110, 99), font=font(13))
            label = _fitting(label, tile[0] - 30, 13)
            pen.text((x + 26, y + tile[1] + 3), label, fill=SOFT, font=font(13))
    return np.asarray(sheet)


def _fitting(text: str, width: int, size: int) -> str:
    """The text, cut so that it fits."""
    text = " ".join(text.split())
    if font(size).getlength(text) <= width:
        return text
    while text and font(size).getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"


def _key_frames(clip: MotionClip, most: int) -> list[tuple[int, str]]:
    """Frames with their labels: the keys, and between distant keys one each second or so."""
    keys = sorted({frame: name for frame, name in clip.keys if 0 <= frame < len(clip)}.items())
    if len(keys) < 2:
        at = np.linspace(0, len(clip) - 1, min(most, 8, len(clip))).round().astype(int)
        return [(int(f), f"{f / clip.fps:.2f} s") for f in dict.fromkeys(at)]
    shown: list[tuple[int, str]] = []
    for (frame, name), (following, _) in pairwise([*keys, keys[-1]]):
        shown.append((frame, name))
        between = int((following - frame) / clip.fps / 1.2)
        shown += [
            (round(frame + (following - frame) * i / (between + 1)), "")
            for i in range(1, between + 1)
        ]
    if len(shown) > most:
        shown = [shown[i] for i in np.linspace(0, len(shown) - 1, most).round().astype(int)]
    return [(f, f"{f / clip.fps:.2f} s  {name}") for f, name in shown]


def side_by_side(first: MotionClip, second: MotionClip, **options: Any) -> Iterator[np.ndarray]:
    """Frames of two clips next to each other, from the same camera, as long as the longer one."""
    width, height = options.pop("width", 480), options.pop("height", 480)
    both = np.concatenate([first.joints, second.joints])
    facing = float(np.degrees(rot.yaw_of(first.rotations[0, 0])))
    camera = clip_cameras(both, width, height, options.pop("azimuth", 150.0) + facing)[0]
    count = max(len(first), len(second))
    streams = [
        clip_frames(clip, width, height, cameras=[camera] * len(clip), **options)
        for clip in (first, second)
    ]
    last: list[np.ndarray | None] = [None, None]
    for _ in range(count):
        last = [next(s, keep) for s, keep in zip(streams, last, strict=True)]
        yield np.concatenate(last, axis=1)


def turntable(
    pose: Pose, body: Body = BODY, frames: int = 48, width: int = 480, height: int = 480
) -> Iterator[np.ndarray]:
    """A pose seen once around."""
    places = fk(pose.root_pos, pose.root_quat, pose.joint_quat, body)[0]
    solids = pose_solids(pose, body)
    camera = framing(around(places), width, height)
    with renderer(width, height) as draw:
        for i in range(frames):
            turned = replace(camera, azimuth=camera.azimuth + 360 * i / frames)
            yield draw.draw(solids, turned)
