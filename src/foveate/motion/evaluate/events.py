"""Events: things that are or are not the case in a frame of a clip.

The one thing to know: heights are above the floor, distances in metres, and sides are the
character's own; `rules.py` asks how long, how often and in which order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .. import rotations as rot
from ..body import DOF
from ..check.surfaces import depth_in, surface_depth
from ..clip import MotionClip

Array = np.ndarray


@dataclass(frozen=True)
class Event:
    """Something that is or is not the case in a frame.

    Args:
        text: In words.
        mask: Clip → bool [T].
    """

    text: str
    mask: Callable[[MotionClip], Array]

    def __and__(self, other: Event) -> Event:
        return Event(
            f"{self.text} and {other.text}", lambda clip: self.mask(clip) & other.mask(clip)
        )

    def __or__(self, other: Event) -> Event:
        return Event(
            f"{self.text} or {other.text}", lambda clip: self.mask(clip) | other.mask(clip)
        )


# ---- sites in space


def site_of(clip: MotionClip, name: str) -> Array:
    """Places of a site, [T, 3]."""
    return clip.sites(name)[:, 0]


def as_seen(clip: MotionClip, points: Array) -> Array:
    """Vectors [T, 3] as the character sees them: forward, left, up."""
    return rot.rotate(rot.yaw_quat(-rot.yaw_of(clip.root_quat)), points)


def relative(clip: MotionClip, name: str) -> Array:
    """A site relative to the pelvis, as the character sees it, [T, 3]."""
    return as_seen(clip, site_of(clip, name) - clip.root_pos)


def above(site: str, other: str, by: float = 0.0) -> Event:
    """`site` is higher than `other` by at least `by` metres."""
    return Event(
        f"{site} above {other}" + (f" by {by} m" if by else ""),
        lambda clip: site_of(clip, site)[:, 2] >= site_of(clip, other)[:, 2] + by,
    )


def higher(site: str, metres: float) -> Event:
    """`site` is at least so high."""
    return Event(f"{site} above {metres} m", lambda clip: site_of(clip, site)[:, 2] >= metres)


def lower(site: str, metres: float) -> Event:
    """`site` is at most so high."""
    return Event(f"{site} below {metres} m", lambda clip: site_of(clip, site)[:, 2] <= metres)


def near(site: str, other: str, metres: float) -> Event:
    """Two sites are close together."""
    return Event(
        f"{site} within {metres} m of {other}",
        lambda clip: np.linalg.norm(site_of(clip, site) - site_of(clip, other), axis=1) <= metres,
    )


def apart(site: str, other: str, metres: float) -> Event:
    """Two sites are far from each other."""
    return Event(
        f"{site} farther than {metres} m from {other}",
        lambda clip: np.linalg.norm(site_of(clip, site) - site_of(clip, other), axis=1) >= metres,
    )


def ahead(site: str, metres: float) -> Event:
    """`site` is so far in front of the pelvis."""
    return Event(
        f"{site} at least {metres} m ahead of the pelvis",
        lambda clip: relative(clip, site)[:, 0] >= metres,
    )


def beside(site: str, metres: float) -> Event:
    """`site` is so far out to its own side (first letter L or R) of the pelvis."""
    sign = 1 if site[0] == "L" else -1
    return Event(
        f"{site} at least {metres} m out to the side",
        lambda clip: sign * relative(clip, site)[:, 1] >= metres,
    )


def at_object(site: str, name: str, metres: float) -> Event:
    """`site` is close to the surface of an object of the scene."""

    def mask(clip: MotionClip) -> Array:
        return depth_in(clip.scene[name], site_of(clip, site)) >= -metres

    return Event(f"{site} within {metres} m of the {name}", mask)


def bent(name: str, at_least: float) -> Event:
    """A joint angle (`L_knee.flex`; `B_` for both sides; `torso` for the spine) is large enough."""
    joint, _, dof = name.partition(".")
    if joint == "torso":
        rows = [DOF[f"spine{i}.{dof}"] for i in (1, 2, 3)]
        return Event(
            f"torso {dof} at least {at_least}°",
            lambda clip: np.degrees(clip.qpos[:, 7:][:, rows].sum(1)) >= at_least,
        )
    sides = [f"{s}{name[1:]}" for s in "LR"] if joint.startswith("B_") else [name]
    rows = [DOF[n] for n in sides]
    return Event(
        f"{name} at least {at_least}°",
        lambda clip: (np.degrees(clip.qpos[:, 7:][:, rows]) >= at_least).all(1),
    )


def leaning(at_least: float) -> Event:
    """The trunk (pelvis to neck) leans forward from the vertical by so many degrees."""

    def mask(clip: MotionClip) -> Array:
        trunk = as_seen(clip, clip.joints[:, 12] - clip.joints[:, 0])
        return np.degrees(np.arctan2(trunk[:, 0], trunk[:, 2])) >= at_least

    return Event(f"trunk leans forward by {at_least}°", mask)


def leaning_to(side: str, at_least: float) -> Event:
    """The trunk leans to a side by so many degrees."""
    sign = 1 if side == "L" else -1

    def mask(clip: MotionClip) -> Array:
        trunk = as_seen(clip, clip.joints[:, 12] - clip.joints[:, 0])
        return np.degrees(np.arctan2(sign * trunk[:, 1], trunk[:, 2])) >= at_least

    return Event(f"trunk leans to its {side} by {at_least}°", mask)


def lowered(metres: float) -> Event:
    """The pelvis is so much lower than in the first frame."""
    return Event(
        f"pelvis {metres} m lower than at first",
        lambda clip: clip.root_pos[:, 2] <= clip.root_pos[0, 2] - metres,
    )


def raised(metres: float) -> Event:
    """The pelvis is so much higher than in the first frame."""
    return Event(
        f"pelvis {metres} m higher than at first",
        lambda clip: clip.root_pos[:, 2] >= clip.root_pos[0, 2] + metres,
    )


def lifted(side: str, metres: float = 0.06) -> Event:
    """The sole of a foot is off its surface."""
    names = [f"{side}_{end}_{edge}" for end in ("heel", "toe") for edge in ("in", "out")]

    def mask(clip: MotionClip) -> Array:
        return (surface_depth(clip.scene, clip.sites(*names)) < -metres).all(1)

    return Event(f"{side} foot off the floor by {metres} m", mask)


def grounded(side: str) -> Event:
    """Some part of a foot touches a surface."""
    names = [f"{side}_{end}_{edge}" for end in ("heel", "toe") for edge in ("in", "out")]

    def mask(clip: MotionClip) -> Array:
        return (surface_depth(clip.scene, clip.sites(*names)) > -0.025).any(1)

    return Event(f"{side} foot on the floor", mask)


def airborne() -> Event:
    """Neither foot touches."""
    return Event(
        "both feet in the air",
        lambda clip: ~grounded("L").mask(clip) & ~grounded("R").mask(clip),
    )


def facing_down() -> Event:
    """The trunk is nearer to the horizontal than to the vertical."""

    def mask(clip: MotionClip) -> Array:
        trunk = clip.joints[:, 12] - clip.joints[:, 0]
        return np.abs(trunk[:, 2]) < 0.5 * np.linalg.norm(trunk, axis=1)

    return Event("trunk nearly horizontal", mask)
