"""Rules: what must be true of a motion that shows what a sentence says.

The one thing to know: a `Rule` asks something of events or of the whole clip and answers with yes
or no and what it measured. Rules are written by hand from the sentences, without looking at any
system's output, and are loose: they must pass for every good performance, and fail for a body that
just stands there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .. import rotations as rot
from ..check.measures import spans
from ..clip import MotionClip
from .events import Array, Event, lifted, relative, site_of


@dataclass(frozen=True)
class Rule:
    """One assertion.

    Args:
        text: In words.
        check: Clip → whether it holds, and what was measured.
    """

    text: str
    check: Callable[[MotionClip], tuple[bool, str]]


def happens(event: Event, seconds: float = 0.1) -> Rule:
    """The event is the case for so long, all in all."""

    def check(clip: MotionClip) -> tuple[bool, str]:
        total = float(event.mask(clip).sum() / clip.fps)
        return total >= min(seconds, 0.9 * clip.duration), f"{total:.2f} s"

    return Rule(f"{event.text} for {seconds} s", check)


def repeats(event: Event, times: int) -> Rule:
    """The event begins at least so many times."""

    def check(clip: MotionClip) -> tuple[bool, str]:
        count = len(spans(event.mask(clip)))
        return count >= times, f"{count} times"

    return Rule(f"{event.text}, {times} times", check)


def first(one: Event, then: Event) -> Rule:
    """Both happen, and the first begins before the second."""

    def check(clip: MotionClip) -> tuple[bool, str]:
        a, b = np.flatnonzero(one.mask(clip)), np.flatnonzero(then.mask(clip))
        if not len(a) or not len(b):
            return False, "one of them never"
        return bool(a[0] < b[-1]), f"{a[0] / clip.fps:.2f} s, then {b[-1] / clip.fps:.2f} s"

    return Rule(f"{one.text}, then {then.text}", check)


def never(event: Event, tolerance: float = 0.1) -> Rule:
    """The event is the case for less than `tolerance` seconds."""

    def check(clip: MotionClip) -> tuple[bool, str]:
        total = float(event.mask(clip).sum() / clip.fps)
        return total < tolerance, f"{total:.2f} s"

    return Rule(f"never {event.text}", check)


def ends(event: Event) -> Rule:
    """The event is the case in the last frame."""

    def check(clip: MotionClip) -> tuple[bool, str]:
        return bool(event.mask(clip)[-1]), "at the end"

    return Rule(f"ends with {event.text}", check)


def upright_end() -> Rule:
    """The pelvis ends near the height at which it began."""

    def check(clip: MotionClip) -> tuple[bool, str]:
        drop = float(clip.root_pos[0, 2] - clip.root_pos[-1, 2])
        return drop < 0.12, f"pelvis {100 * drop:.0f} cm lower"

    return Rule("ends standing", check)


def swings(site: str, times: int, metres: float = 0.04) -> Rule:
    """A site goes back and forth along its main direction, each time by so much."""

    def check(clip: MotionClip) -> tuple[bool, str]:
        path = relative(clip, site)
        centred = path - path.mean(0)
        main = np.linalg.svd(centred, full_matrices=False)[2][0]
        count = _reversals(centred @ main, metres)
        return count >= times, f"{count} turns"

    return Rule(f"{site} goes back and forth {times} times", check)


def _reversals(values: Array, least: float) -> int:
    """How often values [T] turn round after having gone at least `least`."""
    count, low, high, going = 0, values[0], values[0], 0
    for v in values:
        low, high = min(low, v), max(high, v)
        if going >= 0 and high - v >= least:
            count, going, low = count + (going > 0), -1, v
        elif going <= 0 and v - low >= least:
            count, going, high = count + (going < 0), 1, v
    return count


def _yaw(clip: MotionClip) -> Array:
    return np.degrees(np.unwrap(rot.yaw_of(clip.root_quat)))


def turns(degrees: float, tolerance: float = 35.0) -> Rule:
    """The body has turned by so much at the end, positive to the left."""

    def check(clip: MotionClip) -> tuple[bool, str]:
        yaw = _yaw(clip)
        net = float(yaw[-1] - yaw[0])
        return abs(net - degrees) <= tolerance, f"{net:.0f}°"

    return Rule(f"turns by {degrees:.0f}° ± {tolerance:.0f}°", check)


def turns_either(degrees: float, tolerance: float = 40.0) -> Rule:
    """The body has turned by so much at the end, to whichever side."""

    def check(clip: MotionClip) -> tuple[bool, str]:
        yaw = _yaw(clip)
        net = float(yaw[-1] - yaw[0])
        return abs(abs(net) - degrees) <= tolerance, f"{net:.0f}°"

    return Rule(f"turns by {degrees:.0f}° to either side", check)


def winds(degrees: float) -> Rule:
    """At some time the body has turned by at least so much."""

    def check(clip: MotionClip) -> tuple[bool, str]:
        most = float(np.abs(_yaw(clip) - _yaw(clip)[0]).max())
        return most >= degrees, f"{most:.0f}°"

    return Rule(f"turns by {degrees:.0f}° or more", check)


def _path(clip: MotionClip) -> Array:
    """Horizontal travel [T, 2] in the direction faced at first: forward, left."""
    turn = rot.yaw_quat(-rot.yaw_of(clip.root_quat[:1]))
    return rot.rotate(turn, clip.root_pos - clip.root_pos[0])[:, :2]


def travels(forward: float | None = None, left: float | None = None) -> Rule:
    """The pelvis ends at least so far forward (negative: back) or left (negative: right)."""

    def check(clip: MotionClip) -> tuple[bool, str]:
        end = _path(clip)[-1]
        ok = True
        for value, wanted in zip(end, (forward, left), strict=True):
            if wanted is not None:
                ok &= bool(value >= wanted if wanted >= 0 else value <= wanted)
        return ok, f"{end[0]:+.2f} m forward, {end[1]:+.2f} m left"

    words = [f"{v:+} m {w}" for v, w in ((forward, "forward"), (left, "left")) if v is not None]
    return Rule(f"travels {' and '.join(words)} or more", check)


def stays(metres: float = 0.5) -> Rule:
    """The pelvis never leaves a circle around where it began."""

    def check(clip: MotionClip) -> tuple[bool, str]:
        far = float(np.linalg.norm(_path(clip), axis=1).max())
        return far <= metres, f"{far:.2f} m away"

    return Rule(f"stays within {metres} m", check)


def steps(count: int) -> Rule:
    """Feet leave the floor and come back, together at least so many times."""

    def check(clip: MotionClip) -> tuple[bool, str]:
        found = sum(len(spans(lifted(s, 0.02).mask(clip), 3)) for s in "LR")
        return found >= count, f"{found} steps"

    return Rule(f"{count} steps", check)


def alternates(count: int = 4) -> Rule:
    """Left and right feet leave the floor in turn."""

    def check(clip: MotionClip) -> tuple[bool, str]:
        begun = [(a, s) for s in "LR" for a, _ in spans(lifted(s, 0.02).mask(clip), 3)]
        order = [s for _, s in sorted(begun)]
        changes = sum(a != b for a, b in pairwise(order))
        return changes >= count - 1, f"{''.join(order) or 'no steps'}"

    return Rule(f"feet alternate over {count} steps", check)


def speed(at_least: float = 0.0, at_most: float = 99.0) -> Rule:
    """Mean horizontal speed of the pelvis while it travels, m/s."""

    def check(clip: MotionClip) -> tuple[bool, str]:
        v = np.linalg.norm(np.diff(clip.root_pos[:, :2], axis=0), axis=1) * clip.fps
        moving = v > 0.15
        mean = float(v[moving].mean()) if moving.any() else 0.0
        return at_least <= mean <= at_most, f"{mean:.2f} m/s"

    text = f"goes at {at_least} m/s or more" if at_least else f"goes at {at_most} m/s at most"
    return Rule(text, check)


def moves(site: str, metres: float) -> Rule:
    """A site's place relative to the pelvis spans at least so much."""

    def check(clip: MotionClip) -> tuple[bool, str]:
        span = float(np.ptp(relative(clip, site), axis=0).max())
        return span >= metres, f"{span:.2f} m"

    return Rule(f"{site} moves by {metres} m", check)


def keeps(site: str, metres: float = 0.2) -> Rule:
    """A site's place relative to the chest spans at most so much."""

    def check(clip: MotionClip) -> tuple[bool, str]:
        turn = rot.inverse(clip.rotations[:, 9])
        path = rot.rotate(turn, site_of(clip, site) - clip.joints[:, 9])
        span = float(np.ptp(path, axis=0).max())
        return span <= metres, f"{span:.2f} m"

    return Rule(f"{site} keeps still", check)


def fast(site: str, metres_per_second: float) -> Rule:
    """A site reaches a speed."""

    def check(clip: MotionClip) -> tuple[bool, str]:
        v = np.linalg.norm(np.diff(relative(clip, site), axis=0), axis=1) * clip.fps
        top = float(v.max(initial=0.0))
        return top >= metres_per_second, f"{top:.1f} m/s"

    return Rule(f"{site} reaches {metres_per_second} m/s", check)


def lasts(at_least: float = 0.0, at_most: float = 60.0) -> Rule:
    """The clip's duration."""

    def check(clip: MotionClip) -> tuple[bool, str]:
        return at_least <= clip.duration <= at_most, f"{clip.duration:.1f} s"

    return Rule(f"lasts {at_least} to {at_most} s", check)


def looks(side: str, degrees: float = 25.0) -> Rule:
    """The head turns to a side relative to the pelvis ("L", "R", or "B" for both)."""

    def check(clip: MotionClip) -> tuple[bool, str]:
        head = rot.multiply(rot.inverse(clip.root_quat), clip.rotations[:, 15])
        ahead_ = rot.rotate(head, [1.0, 0.0, 0.0])
        yaw = np.degrees(np.arctan2(ahead_[:, 1], ahead_[:, 0]))
        left, right = float(yaw.max()), float(-yaw.min())
        ok = {"L": left >= degrees, "R": right >= degrees, "B": min(left, right) >= degrees}[side]
        return ok, f"{left:.0f}° left, {right:.0f}° right"

    return Rule(f"head turns {side} by {degrees:.0f}°", check)
