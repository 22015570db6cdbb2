"""Checks of a clip: what a person would call wrong when watching, with frames and numbers.

The one thing to know: limits are those at which a flaw begins to be seen; each is a constant here.
"""

from __future__ import annotations

import numpy as np

from .. import rotations as rot
from ..body import DOF_HIGH, DOF_LOW, DOFS, JOINTS
from ..clip import MotionClip
from . import measures as m
from .finding import Finding, ordered

SLIDE_CM = (1.0, 3.0)  # warn, error
SINK_CM = (1.0, 3.0)
FLOAT_CM = 1.5
RANGE_DEG = (2.0, 10.0)
SELF_CM = (1.0, 4.0)
JITTER = 30.0  # 100 m/s³; recorded motion has 1 to 10
TRACK_CM = 10.0
SPEED_CAPS = {"shoulder": 800, "elbow": 900, "hip": 600, "knee": 900, "spine": 250, "neck": 400}
"""Degrees per second that a person can reach."""
ROOT_SPEED = 6.0  # m/s


def lint_clip(clip: MotionClip) -> list[Finding]:
    """All findings of a clip, errors first."""
    touching = m.foot_contacts(clip)
    found = [
        *_range(clip),
        *_speed(clip),
        *_jump(clip),
        *_slide(clip, touching),
        *_sink(clip),
        *_float(clip),
        *_self(clip),
        *_balance(clip),
        *_support(clip),
        *_tremble(clip),
        *_report(clip),
    ]
    return ordered(found)


def _grade(value: float, limits: tuple[float, float]) -> str:
    return "error" if value > limits[1] else "warn"


def _range(clip: MotionClip) -> list[Finding]:
    found = []
    degrees = np.degrees(clip.qpos[:, 7:])
    low, high = np.degrees(DOF_LOW), np.degrees(DOF_HIGH)
    for i, dof in enumerate(DOFS):
        excess = np.maximum(low[i] - degrees[:, i], degrees[:, i] - high[i])
        for first, last in m.spans(excess > RANGE_DEG[0]):
            worst = first + int(excess[first : last + 1].argmax())
            value = float(degrees[worst, i])
            limit = float(high[i] if value > high[i] else low[i])
            found.append(
                Finding(
                    "J-RANGE",
                    _grade(float(excess[worst]), RANGE_DEG),
                    f"{dof.name} reaches {value:.0f}°, its range ends at {limit:.0f}°",
                    part=dof.name,
                    frames=(first, last),
                    value=value,
                    limit=limit,
                    unit="deg",
                    fix="clamp",
                )
            )
    return found


def cap_of(name: str) -> float:
    """Fastest turn of a degree of freedom, degrees per second."""
    joint = name.partition(".")[0]
    return next((cap for key, cap in SPEED_CAPS.items() if key in joint), 1000.0)


def _speed(clip: MotionClip) -> list[Finding]:
    """Turning speed of joints; of the joint, since hinges spin where two of them line up."""
    found = []
    if len(clip) < 2:
        return found
    quats = clip.joint_quats
    speed = np.degrees(rot.angle_between(quats[:-1], quats[1:])) * clip.fps  # [T − 1, 21]
    for i, name in enumerate(JOINTS[1:]):
        cap = cap_of(name)
        for first, last in m.spans(speed[:, i] > 1.1 * cap):
            value = float(speed[first : last + 1, i].max())
            found.append(
                Finding(
                    "J-SPEED",
                    "error" if value > 2 * cap else "warn",
                    f"{name} turns at {value:.0f} °/s; people reach about {cap:.0f}",
                    part=name,
                    frames=(first, last + 1),
                    value=value,
                    limit=cap,
                    unit="deg/s",
                    fix="smooth",
                )
            )
    root = np.linalg.norm(np.diff(clip.root_pos, axis=0), axis=1) * clip.fps
    for first, last in m.spans(root > ROOT_SPEED):
        value = float(root[first : last + 1].max())
        text = f"the pelvis moves at {value:.1f} m/s; expected at most {ROOT_SPEED:.0f}"
        found.append(
            Finding(
                "J-SPEED", "error", text, "pelvis", "", (first, last + 1), value, ROOT_SPEED, "m/s",
                "smooth",
            )
        )  # fmt: skip
    return found


def _jump(clip: MotionClip) -> list[Finding]:
    """A frame in which the joints' step is far larger than in its neighbourhood."""
    if len(clip) < 8:
        return []
    step = np.linalg.norm(np.diff(clip.joints, axis=0), axis=-1).max(1)
    found = []
    for first, last in m.spans(_sudden(step)):
        value = float(step[first : last + 1].max() * 100)
        text = f"joints move {value:.0f} cm from one frame to the next, far more than around it"
        frames = (first, last + 1)
        found.append(Finding("JUMP", "error", text, "", "", frames, value, None, "cm", "bridge"))
    return found


def _sudden(step: np.ndarray) -> np.ndarray:
    """Steps [T] more than five times those up to three frames away, and above 4 cm."""
    padded = np.pad(step, 4, mode="edge")
    around = np.stack([padded[i : i + len(step)] for i in (0, 1, 2, 6, 7, 8)])
    return (step > 0.04) & (step > 5 * np.maximum(around.max(0), 0.004))


def _slide(clip: MotionClip, touching: np.ndarray) -> list[Finding]:
    found = []
    for part, frames, drift in m.slides_of(clip, touching):
        value = drift * 100
        if value > SLIDE_CM[0]:
            found.append(
                Finding(
                    "SLIDE",
                    _grade(value, SLIDE_CM),
                    f"{part} slides {value:.1f} cm while it stands",
                    part=part,
                    frames=frames,
                    value=value,
                    limit=SLIDE_CM[0],
                    unit="cm",
                    fix="pin",
                )
            )
    return found


def _sink(clip: MotionClip) -> list[Finding]:
    depth = -m.clearance(clip) * 100
    found = []
    for first, last in m.spans(depth > SINK_CM[0]):
        value = float(depth[first : last + 1].max())
        text = f"the body is up to {value:.1f} cm below a surface"
        grade = _grade(value, SINK_CM)
        found.append(
            Finding("SINK", grade, text, "", "", (first, last), value, SINK_CM[0], "cm", "lift")
        )
    return found


def _float(clip: MotionClip) -> list[Finding]:
    """Frames whose contacts are told by the clip, but whose foot points hover."""
    told = clip.foot_contacts
    if not told.any():
        return []
    height = -m.surface_depth(clip.scene, m.foot_points(clip)) * 100
    lowest = np.where(told, height, np.inf).min(1)
    found = []
    hovering = np.isfinite(lowest) & (lowest > FLOAT_CM)
    for first, last in m.spans(hovering, max(2, round(0.08 * clip.fps))):
        value = float(lowest[first : last + 1].max())
        text = f"the standing foot hovers up to {value:.1f} cm above its surface"
        found.append(
            Finding("FLOAT", "warn", text, "", "", (first, last), value, FLOAT_CM, "cm", "lower")
        )
    return found


def _self(clip: MotionClip) -> list[Finding]:
    depth, pairs = m.self_depth(clip)
    found = []
    for first, last in m.spans(depth * 100 > SELF_CM[0]):
        worst = first + int(depth[first : last + 1].argmax())
        value = float(depth[worst] * 100)
        one, other = pairs[worst]
        text = f"{one} and {other} are {value:.1f} cm inside each other"
        grade = _grade(value, SELF_CM)
        found.append(
            Finding(
                "SELF", grade, text, f"{one}+{other}", "", (first, last), value, SELF_CM[0], "cm"
            )
        )
    return found


def _balance(clip: MotionClip) -> list[Finding]:
    quiet, outside = m.balance(clip)
    found = []
    for first, last in m.spans(quiet & outside, max(2, round(0.2 * clip.fps))):
        seconds = (last - first + 1) / clip.fps
        text = f"the body rests for {seconds:.1f} s with its centre of mass beside its support"
        found.append(Finding("BAL", "warn", text, "", "", (first, last), seconds, 0.2, "s"))
    return found


def _support(clip: MotionClip) -> list[Finding]:
    found = []
    for first, last in m.spans(m.unsupported(clip), max(2, round(0.1 * clip.fps))):
        seconds = (last - first + 1) / clip.fps
        text = f"for {seconds:.1f} s nothing touches, yet the body does not fall"
        found.append(
            Finding("C-NONE", "error", text, "", "", (first, last), seconds, 0.1, "s", "lower")
        )
    return found


def _tremble(clip: MotionClip) -> list[Finding]:
    value = m.jitter(clip)
    if value <= JITTER:
        return []
    text = f"mean jerk is {value:.0f} · 100 m/s³; recorded motion has 1 to 10"
    return [
        Finding("JITTER", "warn", text, value=value, limit=JITTER, unit="100 m/s³", fix="smooth")
    ]


def _report(clip: MotionClip) -> list[Finding]:
    report, found = clip.report, []
    if report.fell:
        found.append(Finding("FALL", "error", "the simulated body fell"))
    error = report.tracking_error_cm
    if error is not None and error > TRACK_CM:
        text = f"on average {error:.1f} cm between the simulated joints and the planned ones"
        found.append(Finding("TRACK", "warn", text, value=error, limit=TRACK_CM, unit="cm"))
    if report.residual_force > 0:
        share = 100 * report.residual_force
        text = f"a helper force of {share:.1f} % of the body's weight held the body"
        found.append(Finding("HELPER", "warn", text, value=share, limit=0.0, unit="%"))
    return found
