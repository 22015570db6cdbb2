"""Reference: a clip made smooth and sampled at the control rate, with speeds and accelerations.

The one thing to know: where soles touch is decided here, from the reference alone: a contact point
counts while it is near its surface and nearly at rest. The simulator's own contacts of a sole
flicker, and a controller that follows them falls. For what else touches, see `contacts`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation, RotationSpline

from .. import rotations as rot
from ..body import JOINT
from ..clip import MotionClip
from ..engine import mujoco
from ..kinematics import centre_of_mass, fk_qpos, site_positions
from ..rotations import Array
from ..scene import Scene
from .flights import Flight, flights_of

NEAR = 0.014  # metres from the surface
NEAR_BEHIND = 0.03  # the same while a body rests on more than its feet
SLOW = 0.18  # metres per second
PUSHING = 0.08  # metres from the surface, right before and after a flight
EARLY = 0.15  # seconds: a seat is met a little before or after it was planned
SMOOTH = 7  # samples of the moving average
LIMIT = 80.0  # largest reference acceleration, rad/s² or m/s²
FEET = ("heel_in", "heel_out", "ball_in", "ball_out", "toe_in", "toe_out")


@dataclass(frozen=True)
class Reference:
    """A clip at the control rate; N samples.

    Attributes:
        rate: Samples per second.
        qpos, qvel, qacc: `[N, 54]`, `[N, 53]`, `[N, 53]`.
        com, com_vel, com_acc: `[N, 3]`.
        joints: Joint places `[N, 22, 3]`.
        feet, feet_vel, feet_acc: Of the left and right ankle, `[N, 2, 3]`.
        feet_quat: Their orientation `[N, 2, 4]`.
        feet_turn: Their angular velocity in the world `[N, 2, 3]`.
        sites: Names of the candidate contact points.
        points: Their places `[N, S, 3]`.
        surface: Height of what is below them `[N, S]`.
        active: Whether each carries weight in the reference, bool `[N, S]`.
        resting: Whether more than feet may carry weight (or soon will), bool `[N]`.
        seated: Whether something that cannot be balanced on (a seat, the back) carries, `[N]`.
        leaning: Whether the left and the right arm may carry, bool `[N, 2]`.
        flights: Times in the air.
    """

    rate: float
    qpos: Array
    qvel: Array
    qacc: Array
    com: Array
    com_vel: Array
    com_acc: Array
    joints: Array
    feet: Array
    feet_vel: Array
    feet_acc: Array
    feet_quat: Array
    feet_turn: Array
    sites: tuple[str, ...]
    points: Array
    surface: Array
    active: np.ndarray
    resting: np.ndarray
    seated: np.ndarray
    leaning: np.ndarray
    flights: tuple[Flight, ...] = ()

    def __len__(self) -> int:
        return len(self.qpos)


def reference_of(
    clip: MotionClip, model: mujoco.MjModel, rate: float = 100.0, *, toes: bool = False
) -> Reference:
    """Sample a clip at `rate` and differentiate it.

    Args:
        clip: Kinematic.
        model: Its body in its scene.
        rate: Samples per second.
        toes: Let the tips of the toes carry weight too when the whole sole stands. Their joint is
            weak, and pushed hard they sink in and creep; but they widen the support.
    """
    qpos = _sampled(clip, rate)
    qvel = _smooth(_differences(model, qpos, rate))
    qacc = np.clip(_smooth(_gradient(qvel, rate)), -LIMIT, LIMIT)
    places, turns = fk_qpos(qpos, clip.body)
    com = centre_of_mass(places, turns, clip.body)
    com_vel = _smooth(_gradient(com, rate))
    com_acc = np.clip(_smooth(_gradient(com_vel, rate)), -LIMIT, LIMIT)
    sites = tuple(f"{side}_{end}" for side in "LR" for end in FEET)
    points = site_positions(places, turns, sites, clip.body)
    scene = clip.scene or Scene()
    surface = scene.height(points[..., :2])
    speed = np.linalg.norm(_gradient(points, rate), axis=-1)
    resting = _resting(clip, rate, len(qpos), _is_foot)
    # behind a knee the sole rolls about the balls of the toes, which rise a little
    near = np.abs(points[..., 2] - surface) < np.where(resting, NEAR_BEHIND, NEAR)[:, None]
    flights = flights_of(clip, com, com_vel, rate)
    pushes = _pushing(flights, np.abs(points[..., 2] - surface))
    declared = _declared(clip, sites, rate, pushes, toes)
    active = _steady(((near & (speed < SLOW)) | pushes) & declared, round(0.03 * rate))
    ankles = [JOINT["L_ankle"], JOINT["R_ankle"]]
    feet, feet_quat = places[:, ankles], turns[:, ankles]
    feet_vel = _smooth(_gradient(feet, rate))
    return Reference(
        rate,
        qpos,
        qvel,
        qacc,
        com,
        com_vel,
        com_acc,
        places,
        feet,
        feet_vel,
        np.clip(_smooth(_gradient(feet_vel, rate)), -LIMIT, LIMIT),
        feet_quat,
        _turning(feet_quat, rate),
        sites,
        points,
        surface,
        active,
        resting,
        _resting(clip, rate, len(qpos), _is_balanced),
        np.stack([_resting(clip, rate, len(qpos), _is_not_arm(s)) for s in "LR"], axis=1),
        flights,
    )


def _sampled(clip: MotionClip, rate: float) -> Array:
    count = max(2, round(clip.duration * rate) + 1)
    at = np.minimum(np.arange(count) / rate, clip.duration)
    if len(clip) < 4:
        frames = np.minimum(np.round(at * clip.fps).astype(int), len(clip) - 1)
        return clip.qpos[frames].copy()
    found = np.empty((count, 54))
    plain = [*range(3), *range(7, 54)]
    found[:, plain] = CubicSpline(clip.times, clip.qpos[:, plain], bc_type="clamped")(at)
    turns = RotationSpline(clip.times, Rotation.from_quat(clip.root_quat, scalar_first=True))
    found[:, 3:7] = turns(at).as_quat(scalar_first=True)
    return found


def _differences(model: mujoco.MjModel, qpos: Array, rate: float) -> Array:
    """Central differences in the tangent space, `[N, 53]`."""
    count = len(qpos)
    found = np.zeros((count, model.nv))
    for i in range(count):
        a, b = max(0, i - 1), min(count - 1, i + 1)
        mujoco.mj_differentiatePos(model, found[i], (b - a) / rate, qpos[a], qpos[b])
    return found


def _turning(quats: Array, rate: float) -> Array:
    """Angular velocity in the world of rotations `[N, K, 4]`, `[N, K, 3]`."""
    found = np.zeros((*quats.shape[:2], 3))
    if len(quats) > 2:
        change = rot.log(rot.multiply(quats[2:], rot.inverse(quats[:-2])))
        found[1:-1] = change * rate / 2
    return _smooth(found)


def _gradient(values: Array, rate: float) -> Array:
    return np.gradient(values, 1 / rate, axis=0) if len(values) > 1 else np.zeros_like(values)


def _smooth(values: Array) -> Array:
    """Moving average over SMOOTH samples, shorter at the ends."""
    half = SMOOTH // 2
    padded = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
    index = np.arange(len(values))
    low, high = np.maximum(index - half, 0), np.minimum(index + half + 1, len(values))
    width = (high - low).reshape(-1, *[1] * (values.ndim - 1))
    return (padded[high] - padded[low]) / width


def _is_foot(part: str) -> bool:
    return part.partition("_")[2] in ("foot", "toes", "heel")


def _is_balanced(part: str) -> bool:
    """Whether the weight over a part is controlled by pushing with it."""
    return _is_foot(part) or part.partition("_")[2] in ("knee", "hand", "elbow")


def _is_not_arm(side: str) -> Callable[[str], bool]:
    return lambda part: part not in (f"{side}_hand", f"{side}_elbow")


def _resting(clip: MotionClip, rate: float, count: int, but: Callable[[str], bool]) -> np.ndarray:
    """When parts touch by the schedule, EARLY before and after too, bool `[count]`.

    Args:
        clip: With its contacts.
        rate: Samples per second.
        count: Of samples.
        but: Parts that do not count.
    """
    found = np.zeros(count, bool)
    for part, touches in clip.contacts.items():
        if but(part):
            continue
        for frame in np.flatnonzero(touches):
            first = round((frame / clip.fps - EARLY) * rate)
            # a seat that was planned to be left must not be held on to
            late = EARLY if _is_balanced(part) else 0.0
            last = round((frame / clip.fps + late) * rate)
            found[max(0, first) : last + 1] = True
    return found


def _declared(
    clip: MotionClip, sites: tuple[str, ...], rate: float, pushes: np.ndarray, toes: bool
) -> np.ndarray:
    """Where the clip's own schedule allows a point to touch; everywhere if it has none."""
    allowed = np.zeros_like(pushes)
    if not clip.contacts:
        return np.ones_like(allowed)
    at = np.arange(len(pushes)) / rate * clip.fps
    low = np.clip(np.floor(at + 1e-6).astype(int), 0, len(clip) - 1)
    high = np.clip(np.ceil(at - 1e-6).astype(int), 0, len(clip) - 1)
    flies = not np.any(list(clip.contacts.values()), axis=0).all()
    ends = FEET if flies or toes else tuple(end for end in FEET if "toe" not in end)
    soon = np.zeros_like(allowed)
    later = np.zeros_like(allowed)
    for part, touches in clip.contacts.items():
        if not _is_foot(part):
            continue
        names = clip.body.contact_points[part]
        if part.endswith("_foot"):
            names = tuple(f"{part[:2]}{end}" for end in ends)
        columns = [sites.index(name) for name in names]
        allowed[:, columns] |= (touches[low] & touches[high])[:, None]
        soon[:, columns] |= touches[low, None]
        later[:, columns] |= touches[high, None]
    # a foot that rolls changes its name between two frames; a push cannot do without it then
    return allowed | (soon & later & pushes)


def _pushing(flights: tuple[Flight, ...], height: Array) -> np.ndarray:
    """Points that a push or a landing needs, however fast the plan moves them, bool `[N, S]`."""
    found = np.zeros(height.shape, bool)
    for flight in flights:
        for first, last in ((flight.start, flight.off), (flight.down, flight.low)):
            found[first : last + 1] = height[first : last + 1] < PUSHING
    return found


def _steady(active: np.ndarray, shortest: int) -> np.ndarray:
    """Contacts without gaps or flashes shorter than `shortest` samples."""
    found = active.copy()
    for value in (False, True):  # first close gaps, then drop flashes
        for column in found.T:
            edges = np.flatnonzero(np.diff(column.astype(int))) + 1
            runs = np.split(np.arange(len(column)), edges)
            for run in runs[1:-1]:
                if len(run) < shortest and column[run[0]] == value:
                    column[run] = not value
    return found
