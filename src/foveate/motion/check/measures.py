"""Physical measures of a clip: what slides, sinks, hovers, trembles or tips over.

The one thing to know: everything is measured on the body's own shapes (soles as boxes, limbs as
capsules) against the scene, never on joint centres alone, and what a clip says about its contacts
is used only to know *when* a part should stand still. Definitions are those of the physical metrics
in common use (penetration, float, skate, jitter), in the units of their names.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from .. import rotations as rot
from ..body import DOF_HIGH, DOF_LOW, Body
from ..clip import FOOT_PARTS, MotionClip
from ..kinematics import centre_of_mass, site_positions
from .surfaces import clearance, self_depth, surface_depth

Array = rot.Array
TOUCH = 0.02  # metres: a point nearer to the surface than this may be in contact
STILL = 0.3  # m/s: and slower than this
PRESSED = 0.006  # metres: so near, a foot touches even while it slides
SLIDING = 0.8  # m/s: but faster than this it swings
GRAVITY = 9.81


@dataclass(frozen=True)
class Measures:
    """Numbers of one clip; None where they do not apply.

    Attributes:
        seconds: Duration.
        sink_cm: Deepest point below a surface in any frame.
        sink_mm: Mean depth of the lowest point over frames, beyond 5 mm.
        float_mm: Mean height of the lowest contact point over frames with contact, beyond 5 mm.
        contacts: Number of foot contacts (a heel or a toe, standing for 0.1 s or longer).
        slide_cm: Largest horizontal drift of a foot during one contact.
        slide_mean_cm: Mean over contacts.
        skate_mm: Mean horizontal displacement of a contacting foot point from frame to frame.
        skate_ratio: Share of frames near the ground in which a foot point moves faster than
            0.2 m/s.
        jitter: Mean third difference of joint positions, 100 m/s³.
        self_mm: Mean depth to which body parts pass through each other.
        unbalanced: Share of quiet frames (centre of mass slower than 0.1 m/s) in which the centre
            of mass is beside the support; None if no frame is quiet.
        unsupported: Share of frames in which nothing touches and the body does not fall freely.
        over_range_deg: Largest excess of a joint over its range.
        tracking_cm, residual, saturation, fell: From the report of a simulated clip.
    """

    seconds: float
    sink_cm: float
    sink_mm: float
    float_mm: float
    contacts: int
    slide_cm: float
    slide_mean_cm: float
    skate_mm: float
    skate_ratio: float
    jitter: float
    self_mm: float
    unbalanced: float | None
    unsupported: float
    over_range_deg: float
    tracking_cm: float | None
    residual: float
    saturation: float | None
    fell: bool | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(clip: MotionClip) -> Measures:
    """All measures of a clip."""
    touching = foot_contacts(clip)
    slides = [drift for _, _, drift in slides_of(clip, touching)]
    depth = -clearance(clip)  # positive: below
    step, near = _steps(clip)
    feet = np.linalg.norm(step, axis=-1)
    standing = touching[1:] & touching[:-1]
    low = contact_heights(clip, touching)
    hinges = clip.qpos[:, 7:]
    excess = np.maximum(DOF_LOW - hinges, hinges - DOF_HIGH).max()
    quiet, outside = balance(clip)
    report = clip.report
    return Measures(
        seconds=clip.duration,
        sink_cm=float(max(0.0, depth.max()) * 100),
        sink_mm=float(np.maximum(depth - 0.005, 0).mean() * 1000),
        float_mm=float(np.maximum(low - 0.005, 0).mean() * 1000) if len(low) else 0.0,
        contacts=len(slides),
        slide_cm=float(max(slides, default=0.0) * 100),
        slide_mean_cm=float(np.mean(slides) * 100) if slides else 0.0,
        skate_mm=float(feet[standing].mean() * 1000) if standing.any() else 0.0,
        skate_ratio=float((feet[near] * clip.fps > 0.2).mean()) if near.any() else 0.0,
        jitter=jitter(clip),
        self_mm=float(self_depth(clip)[0].mean() * 1000),
        unbalanced=float(outside[quiet].mean()) if quiet.any() else None,
        unsupported=float(unsupported(clip).mean()),
        over_range_deg=float(max(0.0, np.degrees(excess))),
        tracking_cm=report.tracking_error_cm,
        residual=report.residual_force,
        saturation=report.torque_saturation,
        fell=report.fell,
    )


# ---- feet


def foot_points(clip: MotionClip) -> Array:
    """Heel left, toe left, heel right, toe right: their middles on the sole, [T, 4, 3]."""
    names = [
        f"{s}_{end}_{edge}" for s in "LR" for end in ("heel", "ball") for edge in ("in", "out")
    ]
    corners = site_positions(clip.joints, clip.rotations, names, clip.body)
    return corners.reshape(len(clip), 4, 2, 3).mean(2)


def foot_contacts(clip: MotionClip) -> Array:
    """Whether left heel, left toe, right heel, right toe stand, bool [T, 4].

    Near a surface and slow; where the clip names its foot contacts, also among those.
    """
    points = foot_points(clip)
    depth, speed = surface_depth(clip.scene, points), _speed(points, clip.fps)
    found = ((depth > -TOUCH) & (speed < STILL)) | ((depth > -PRESSED) & (speed < SLIDING))
    if any(part in clip.contacts for part in (*FOOT_PARTS, "L_foot", "R_foot")):
        found &= clip.foot_contacts
    return found


def _speed(points: Array, fps: float) -> Array:
    if len(points) < 2:
        return np.zeros(points.shape[:-1])
    return np.linalg.norm(np.gradient(points, 1 / fps, axis=0), axis=-1)


def _steps(clip: MotionClip) -> tuple[Array, Array]:
    """Horizontal steps of the four foot points [T − 1, 4, 2], and which start near a surface."""
    points = foot_points(clip)
    near = surface_depth(clip.scene, points) > -0.05
    return np.diff(points[..., :2], axis=0), near[:-1]


def spans(flags: Array, least: int = 1) -> list[tuple[int, int]]:
    """Runs of True in flags [T] as (first, last), at least `least` long."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(flags, int), [0]])))
    return [(int(a), int(b - 1)) for a, b in edges.reshape(-1, 2) if b - a >= least]


def slides_of(clip: MotionClip, touching: Array | None = None) -> list[tuple[str, tuple, float]]:
    """Each foot contact of 0.1 s or longer: part, (first, last) frame, drift in metres.

    A foot that stands on heel and toe may roll over either; the steadier of the two counts.
    """
    touching = foot_contacts(clip) if touching is None else touching
    points = foot_points(clip)[..., :2]
    least = max(2, round(0.1 * clip.fps))
    found = []
    for side, heel in (("L", 0), ("R", 2)):
        for first, last in spans(touching[:, heel] | touching[:, heel + 1], least):
            drifts = []
            for point in (heel, heel + 1):
                # the part of the contact in which this point stands
                own = spans(touching[first : last + 1, point], least)
                if own:
                    a, b = max(own, key=lambda s: s[1] - s[0])
                    path = points[first + a : first + b + 1, point]
                    brief = b - a + 1 < 0.6 * (last - first + 1)  # says little about the whole
                    drifts.append((brief, _drift(path)))
            if drifts:
                found.append((f"{side}_foot", (first, last), min(drifts)[1]))
    return found


def _drift(path: Array) -> float:
    """Largest distance from the place where the path mostly is."""
    return float(np.linalg.norm(path - np.median(path, axis=0), axis=1).max())


def contact_heights(clip: MotionClip, touching: Array) -> Array:
    """Height of the lower of the standing foot points over its surface, for frames with any."""
    height = -surface_depth(clip.scene, foot_points(clip))
    height = np.where(touching, height, np.inf).min(1)
    return height[np.isfinite(height)]


# ---- the whole body


def jitter(clip: MotionClip) -> float:
    """Mean length of the third difference of joint positions, in 100 m/s³."""
    if len(clip) < 4:
        return 0.0
    third = np.diff(clip.joints, 3, axis=0) * clip.fps**3
    return float(np.linalg.norm(third, axis=-1).mean() / 100)


def com(clip: MotionClip) -> Array:
    """Centre of mass, [T, 3]."""
    return centre_of_mass(clip.joints, clip.rotations, clip.body)


@lru_cache(maxsize=32)
def _support_sites(body: Body) -> tuple[str, ...]:
    """All points on which a body may rest."""
    return tuple(dict.fromkeys(name for sites in body.contact_points.values() for name in sites))


def support_points(clip: MotionClip) -> tuple[Array, Array]:
    """Contact points of the whole body [T, N, 3] and which of them touch, bool [T, N]."""
    names = _support_sites(clip.body)
    points = site_positions(clip.joints, clip.rotations, names, clip.body)
    return points, surface_depth(clip.scene, points) > -0.035


def balance(clip: MotionClip) -> tuple[Array, Array]:
    """Which frames are quiet, and in which the centre of mass lies beside the support, [T]."""
    mass = com(clip)
    quiet = _speed(mass, clip.fps) < 0.1
    points, touch = support_points(clip)
    outside = np.zeros(len(clip), bool)
    for t in np.flatnonzero(quiet):
        outside[t] = touch[t].any() and _beside(mass[t, :2], points[t][touch[t], :2]) > 0.01
    return quiet, outside


def _beside(point: Array, support: Array) -> float:
    """Distance from a point [2] to the hull of points [N, 2]; 0 inside."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        hull = ConvexHull(support)
    except (QhullError, ValueError):  # fewer than three points, or all on a line
        return float(np.linalg.norm(support - point, axis=1).min())
    return float(max(0.0, (hull.equations[:, :2] @ point + hull.equations[:, 2]).max()))


def unsupported(clip: MotionClip) -> Array:
    """Frames in which nothing touches and the centre of mass does not fall freely, bool [T]."""
    _, touch = support_points(clip)
    free = ~touch.any(1)
    if len(clip) < 5 or not free.any():
        return free & False
    height = com(clip)[:, 2]
    fall = np.gradient(np.gradient(height, 1 / clip.fps), 1 / clip.fps)
    return free & (fall > -0.4 * GRAVITY)
