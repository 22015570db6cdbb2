"""The backdrop: sky, floor, shadows and marks on the floor, as float pictures [H, W, 3] in 0..1.

The one thing to know: functions named after a verb change a picture in place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scipy.spatial import ConvexHull, QhullError

from .camera import Camera
from .solids import Solid

SKY_TOP = np.array([0.86, 0.88, 0.90], np.float32)
SKY_LOW = np.array([0.965, 0.96, 0.945], np.float32)
FLOOR = np.array([0.90, 0.89, 0.865], np.float32)
FLOOR_ODD = np.array([0.872, 0.862, 0.838], np.float32)
WATER = np.array([0.66, 0.76, 0.80], np.float32)
WATER_ODD = np.array([0.64, 0.745, 0.79], np.float32)
WATER_LEVEL = -0.5  # metres
LINE = np.array([0.74, 0.73, 0.70], np.float32)
GRID = 0.5  # metres between floor lines
SCALE = 2  # the body is drawn this many times finer; `halved` knows it


def sun_of(camera: Camera) -> np.ndarray:
    """Towards the light: over the viewer's left shoulder, so that no view is dark."""
    back = -camera.forward
    back[2] = 0
    back /= max(np.linalg.norm(back), 1e-6)
    left = -camera.axes[0]
    sun = 0.45 * back + 0.5 * left + np.array([0.0, 0.0, 0.95])
    return sun / np.linalg.norm(sun)


def ground(camera: Camera, width: int, height: int, dry: bool) -> np.ndarray:
    """Sky and floor: checks of half a metre with lines, fading into the sky."""
    focal = camera.focal(height)
    x = (np.arange(width) + 0.5 - width / 2) / focal
    y = (np.arange(height) + 0.5 - height / 2) / focal
    axes, eye = camera.axes, camera.eye
    slope = x[None, :, None] * axes[0] + y[:, None, None] * axes[1] + axes[2]  # [H, W, 3]
    lift = np.clip(slope[..., 2] * 1.6 + 0.25, 0, 1)[..., None]
    picture = (SKY_LOW * (1 - lift) + SKY_TOP * lift).astype(np.float32)
    down = np.minimum(slope[..., 2], -1e-6)
    level = 0.0 if dry else WATER_LEVEL
    t = (level - eye[2]) / down
    if eye[2] <= level:
        return picture
    at = eye[:2] + t[..., None] * slope[..., :2]
    away = np.linalg.norm(at - np.asarray(camera.target)[:2], axis=2)
    cell = at / GRID
    odd = (np.floor(cell).sum(2) % 2).astype(np.float32)
    # one pixel covers about t/focal/|slope_z| metres of floor: lines and checks fade below that
    pixel = t / focal / np.maximum(-down, 1e-3) / GRID
    near = np.abs(cell - np.round(cell)).min(2)
    line = np.clip(1.2 - near / np.maximum(0.55 * pixel, 0.012), 0, 1) * np.clip(
        0.35 / np.maximum(pixel, 1e-6), 0, 1
    )
    even = np.clip(1.5 - pixel, 0, 1) * odd
    if dry:
        floor = FLOOR + (FLOOR_ODD - FLOOR) * even[..., None]
        floor = floor + (LINE - floor) * (0.8 * line)[..., None]
    else:
        floor = WATER + (WATER_ODD - WATER) * even[..., None]
    shown = np.clip((9.0 - away) / 6.0, 0, 1) * (slope[..., 2] < -1e-3)
    picture += (floor - picture) * (shown**1.5)[..., None]
    return picture.astype(np.float32)


def cast_shadows(
    picture: np.ndarray, solids: Sequence[Solid], camera: Camera, depth: np.ndarray
) -> None:
    """Lay soft shadows of solids onto the floor of `picture`, in place."""
    height, width = picture.shape[:2]
    sun = sun_of(camera)
    outlines = [o for s in solids if (o := _fallen(s, sun, camera, width, height)) is not None]
    if not outlines:
        return
    blur = max(1.0, height / 160)
    points = np.concatenate(outlines)
    low = np.maximum(points.min(0) - 3 * blur, 0).astype(int) // 2 * 2
    high = np.minimum(points.max(0) + 3 * blur + 1, [width, height]).astype(int)
    size = (high - low) // 2 + 1
    if (high <= low).any():
        return
    mask = Image.new("L", tuple(size))  # half as fine: it is blurred anyway
    draw = ImageDraw.Draw(mask)
    for outline in outlines:
        draw.polygon([tuple(p) for p in (outline - low) / 2], fill=255)
    soft = mask.filter(ImageFilter.GaussianBlur(blur / 2))
    soft = soft.resize(tuple(size * 2), Image.Resampling.BILINEAR)
    wide, tall = high - low
    dark = np.asarray(soft, np.float32)[:tall, :wide] * np.float32(0.30 / 255)
    rows, columns = slice(low[1], high[1]), slice(low[0], high[0])
    dark[depth[::SCALE, ::SCALE][rows, columns] < np.inf] = 0  # shadows fall on the floor only
    picture[rows, columns] *= (1 - dark)[..., None]


_TURN = np.linspace(0, 2 * np.pi, 14, endpoint=False)
_RING = np.stack([np.cos(_TURN), np.sin(_TURN), np.zeros_like(_TURN)], 1)


def _fallen(
    solid: Solid, sun: np.ndarray, camera: Camera, width: int, height: int
) -> np.ndarray | None:
    """Outline in pixels of a solid's shadow on the floor."""
    centres, radii = solid.reach()
    if solid.kind == "mesh" or centres[:, 2].max() < -0.02:
        return None
    fallen = centres - sun * (centres[:, 2:] / sun[2])
    if solid.kind == "ellipsoid" and len(centres) == 8:
        spread = fallen[:, None] * 0.82 + fallen.mean(0) * 0.18  # corners of its box stick out
    else:
        spread = fallen[:, None] + _RING * np.maximum(radii, 1e-3)[:, None, None]
    pixel, deep = camera.project(spread.reshape(-1, 3), width, height)
    return convex_hull(pixel) if (deep > 0.1).all() else None


def decorate(picture: np.ndarray, decals: Sequence, camera: Camera) -> None:
    """Lay polygons onto the floor of `picture` in place, antialiased by drawing them finer."""
    height, width = picture.shape[:2]
    layer = Image.new("RGBA", (width * SCALE, height * SCALE))
    draw = ImageDraw.Draw(layer)
    for points, colour in decals:
        pixel, deep = camera.project(points, width * SCALE, height * SCALE)
        if (deep > 0.1).all() and len(pixel) > 2:
            draw.polygon([tuple(p) for p in pixel], fill=tuple(colour))
    bounds = layer.getbbox()
    if bounds is None:
        return
    x0, y0 = bounds[0] // SCALE, bounds[1] // SCALE
    x1, y1 = -(-bounds[2] // SCALE), -(-bounds[3] // SCALE)
    crop = layer.crop((x0 * SCALE, y0 * SCALE, x1 * SCALE, y1 * SCALE))
    fine = np.asarray(crop, np.float32) / 255
    fine[..., :3] *= fine[..., 3:]
    small = halved(fine)
    target = picture[y0:y1, x0:x1]
    target *= 1 - small[..., 3:]
    target += small[..., :3]


def halved(fine: np.ndarray) -> np.ndarray:
    """Means of 2 × 2 pixels."""
    rows = fine[0::2] + fine[1::2]
    return (rows[:, 0::2] + rows[:, 1::2]) * np.float32(0.25)


def convex_hull(points: np.ndarray) -> np.ndarray | None:
    """Corners of the convex hull of points [N, 2], in order; None if they lie on a line."""
    try:
        return points[ConvexHull(points).vertices]
    except QhullError:
        return None
