"""Tracking: from a kinematic clip to one that a simulated body really performed.

The one thing to know: trackers are tried in order and the report says what was tried, what was
kept, and how far it is from what was wanted. Nothing falls back in silence, and a clip that needed
a helper force is marked `physical = False`. Feet that slid are set back at the end (`cleaning`),
and the report says by how much.

| id | method | helper force |
|---|---|---|
| T1 | whole-body quadratic program, several sets of weights | none |
| T2 | sampling of servo targets, from shortly before T1 failed | none |
| T4 | the same with a bounded helper wrench on the pelvis | reported |
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..clip import MotionClip

if TYPE_CHECKING:
    import mujoco

    from .qp import Rollout
    from .reference import Reference

__all__ = ["METHODS", "track"]

METHODS = ("auto", "T1", "T2", "T4", "rescue", "none")
GOOD_CM, GOOD_END_CM = 8.5, 15.0
"""Mean and last joint distance in cm up to which a clip counts as tracked; jumps reach 8."""
FINE_CM, STILL_CM = 3.0, 0.9
"""Below this joint distance, and this slide of a standing foot, no further weights are tried."""
LEAD = 0.5  # seconds before the fall at which sampling takes over
ASSIST = (0.3, 1.0)  # shares of body weight, tried in order


def track(
    clip: MotionClip,
    method: str = "auto",
    *,
    patience: float = 2.0,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> MotionClip:
    """Let a simulated body perform a clip.

    Args:
        clip: What to perform; its contacts, if any, say what may carry weight when.
        method: "auto" tries T1, T2 and T4 in order and keeps the first that is good, "rescue"
            does so without another try of T1; "T1", "T2" and "T4" are one tracker; "none" returns
            the clip as it is.
        patience: Seconds of motion for which "auto" and "rescue" may sample (T2), which costs
            about ten times as long; what is left after T1 failed must be shorter.
        seed: Of the sampling.
        progress: Called with (steps done, steps in all) of the current attempt.

    Returns:
        A clip with source "simulated", as long as the given one, whose report tells everything.

    Raises:
        ValueError: method is unknown.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; expected {', '.join(METHODS)}")
    if method == "none":
        return clip
    begin = time.perf_counter()
    from ..mjcf import model_of
    from .cleaning import clean
    from .qp import PRESETS, QPTracker
    from .reference import reference_of

    model = model_of(clip.shape, clip.scene)
    reference = reference_of(clip, model)
    tracker = QPTracker(model, reference)
    tried: list[_Attempt] = []

    def good() -> bool:
        return any(attempt.good for attempt in tried)

    if method in ("auto", "T1"):
        for toes in (True, False) if _over_toes(clip) else (False, True):
            wanted = reference_of(clip, model, toes=toes)
            if tried and np.array_equal(wanted.active, tried[0].reference.active):
                break  # the toes carry already
            name = ", on the toes" if toes else ""
            for preset in PRESETS:
                rollout = QPTracker(model, wanted).run(preset, progress)
                tried.append(_Attempt("T1", f"{preset}{name}", rollout, wanted, clip))
                if tried[-1].fine:
                    break
            if good():
                break
    if method == "T2" or (method in ("auto", "rescue") and not good()):
        before = tracker.run(PRESETS[0])
        start = _resumed(before, reference)
        left = (len(reference) - start) / reference.rate
        if method == "T2" or left <= patience:
            rollout = _sampled(clip, model, reference, before, start, seed, progress)
            tried.append(_Attempt("T2", "sampling", rollout, reference, clip))
    if method == "T4" or (method in ("auto", "rescue") and not good()):
        for share in ASSIST:
            rollout = tracker.run(PRESETS[0], progress, assist=share)
            name = f"helper up to {share:.0%} of the weight"
            tried.append(_Attempt("T4", name, rollout, reference, clip))
            if tried[-1].good:
                break
    best = min(tried, key=lambda a: a.rank)
    found = _finished(clip, best, tried, reference, model)
    if best.good:
        found = clean(found)
    found.report.seconds["track"] = round(time.perf_counter() - begin, 4)
    return found


def _resumed(before: Rollout, reference: Reference) -> int:
    """Where sampling begins: shortly before T1 fell, or at the beginning if it only strayed."""
    return max(0, len(before.qpos) - round(LEAD * reference.rate)) if before.fell else 0


def _sampled(
    clip: MotionClip,
    model: mujoco.MjModel,
    reference: Reference,
    before: Rollout,
    start: int,
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> Rollout:
    """T1 until `start`, sampling from there."""
    from .qp import Rollout
    from .sampling import Sampler

    state = (before.qpos[start], before.qvel[start]) if start else None
    after = Sampler(model, reference, clip.body, clip.scene, seed).run(start, state, progress)
    joined = (
        np.concatenate([getattr(before, name)[:start], getattr(after, name)])
        for name in ("qpos", "qvel", "force", "saturated", "residual")
    )
    return Rollout(*joined, after.fell)


def _over_toes(clip: MotionClip) -> bool:
    """Whether the clip kneels down over its toes, which nobody does without pressing with them."""
    if not {"L_knee", "R_knee", "L_toes", "R_toes"} <= set(clip.contacts):
        return False
    others = [touches for part, touches in clip.contacts.items() if not part.endswith("_toes")]
    both = clip.contacts["L_toes"] & clip.contacts["R_toes"]
    return bool((both & ~np.any(others, axis=0)).sum() > 0.2 * clip.fps)


class _Attempt:
    """One rollout and how good it is."""

    def __init__(
        self, tracker: str, preset: str, rollout: Rollout, reference: Reference, clip: MotionClip
    ) -> None:
        from ..check.measures import slides_of
        from ..kinematics import fk_qpos

        self.tracker, self.preset, self.rollout = tracker, preset, rollout
        self.reference = reference
        count = len(rollout.qpos)
        if count:
            places = fk_qpos(rollout.qpos, clip.body)[0]
            error = np.linalg.norm(places - reference.joints[:count], axis=-1).mean(axis=1) * 100
        else:
            error = np.array([1e3])
        self.mean, self.end = float(error.mean()), float(error[-1])
        self.done = count / len(reference)
        self.slide = 0.0
        if self.good:
            made = performed(clip, rollout.qpos, reference)
            self.slide = 100 * max((drift for _, _, drift in slides_of(made)), default=0.0)

    @property
    def good(self) -> bool:
        return not self.rollout.fell and self.mean <= GOOD_CM and self.end <= GOOD_END_CM

    @property
    def fine(self) -> bool:
        return self.good and self.mean <= FINE_CM and self.slide <= STILL_CM

    @property
    def rank(self) -> tuple[bool, bool, float]:
        """Lower is better: good, then not fallen, then near, with feet that stand."""
        far = self.mean + 3 * max(0.0, self.slide - STILL_CM)
        return not self.good, self.rollout.fell, far + 100 * (1 - self.done)

    def __str__(self) -> str:
        text = f"{self.tracker} ({self.preset}): {self.mean:.1f} cm on average"
        return text + (f", fell after {self.done:.0%}" if self.rollout.fell else "")


def _finished(
    clip: MotionClip,
    best: _Attempt,
    tried: list[_Attempt],
    reference: Reference,
    model: mujoco.MjModel,
) -> MotionClip:
    """The clip at its own rate, with its report."""
    from copy import deepcopy

    rollout = best.rollout
    rows = rollout.qpos if len(rollout.qpos) else reference.qpos[:1]
    samples = np.clip(clip.times * reference.rate, 0, len(rows) - 1)
    made = performed(clip, rows, reference)
    report = deepcopy(clip.report)
    report.tracker, report.preset = best.tracker, best.preset
    report.fell, report.good = rollout.fell, best.good
    report.physical = best.tracker != "T4" and not rollout.fell
    report.tracking_error_cm, report.end_error_cm = round(best.mean, 3), round(best.end, 3)
    nearest = np.round(samples).astype(int)
    if len(rollout.force):
        report.residual_force = round(float(rollout.residual.mean()), 5)
        report.residual_peak = round(float(rollout.residual.max()), 5)
        report.torque_saturation = round(float(rollout.saturated.mean()), 5)
        report.ground_force = [round(float(value), 1) for value in rollout.force[nearest]]
    report.attempts = [*report.attempts, *map(str, tried)]
    if rollout.fell:
        report.notes.append(
            f"the body fell after {best.done:.0%} of the motion; the rest shows where it stopped"
        )
    elif best.tracker == "T4":
        report.notes.append(
            f"assisted: a helper force of {report.residual_force:.1%} of the weight on average"
        )
    report.versions |= _versions()
    return made.with_(report=report)


def performed(clip: MotionClip, rows: np.ndarray, reference: Reference) -> MotionClip:
    """The clip with simulated poses `[N, 54]` at the reference's rate instead of its own."""
    qpos = _between(rows, np.clip(clip.times * reference.rate, 0, len(rows) - 1))
    return clip.with_(qpos=qpos, source="simulated", contacts=_contacts(clip, qpos))


def _between(rows: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Rows at fractional indices, quaternions on the shorter arc."""
    low = np.floor(samples).astype(int)
    high = np.minimum(low + 1, len(rows) - 1)
    share = (samples - low)[:, None]
    other = rows[high].copy()
    flip = (rows[low, 3:7] * other[:, 3:7]).sum(1) < 0
    other[flip, 3:7] *= -1
    found = (1 - share) * rows[low] + share * other
    found[:, 3:7] /= np.linalg.norm(found[:, 3:7], axis=1, keepdims=True)
    return found


def _contacts(clip: MotionClip, qpos: np.ndarray) -> dict[str, np.ndarray]:
    """The schedule's contacts, as far as the simulated points really are at their surface."""
    from ..scene import Scene

    made = clip.with_(qpos=qpos)
    scene = clip.scene or Scene()
    found = {}
    for part, wanted in clip.contacts.items():
        points = made.sites(*clip.body.contact_points[part])
        above = points[..., 2] - scene.height(points[..., :2])
        found[part] = wanted & (above.min(axis=1) < 0.02)
    return found


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("mujoco", "mink", "daqp", "numpy", "scipy")}
