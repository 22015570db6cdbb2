"""Studies: things of a scene put at random, gaps between stones, and what each stage is worth.

The one thing to know: success is defined as in the paper where it gives a definition (sit: pelvis
within 20 cm of the seat for a second; lie: pelvis and head within 20 cm of the bed; reach: hand
within 5 cm for half a second), and a fall or a helper force is always a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..check import measure
from ..check.surfaces import depth_in
from ..clip import MotionClip
from ..scene import Scene, SceneObject
from .prompts import Prompt

SEAT = 0.093  # metres: the pelvis above the face that it sits on
Step = Callable[[str], None]


def interactions(
    kind: str, count: int = 20, seed: int = 0, step: Step | None = None
) -> dict[str, Any]:
    """Sit, lie or reach with things put at random.

    Args:
        kind: "sit", "lie" or "reach".
        count: Placements.
        seed: Of the placements.
        step: Called before each.

    Returns:
        `success` (share), `error_m` (mean distance to the target at the best moment) and `trials`.
    """
    text, place, judge = _KINDS[kind]
    rng = np.random.default_rng(seed)
    trials = []
    for n in range(count):
        if step:
            step(f"{kind} {n + 1} of {count}")
        scene = place(rng)
        clip, note = _performed(text, scene)
        ok, error = judge(clip, scene) if clip is not None else (False, None)
        unaided = clip is not None and clip.report.physical is True and not clip.report.fell
        trials.append({"success": bool(ok and unaided), "error_m": error, "note": note})
    errors = [t["error_m"] for t in trials if t["error_m"] is not None]
    return {
        "kind": kind,
        "text": text,
        "success": float(np.mean([t["success"] for t in trials])),
        "error_m": float(np.mean(errors)) if errors else None,
        "trials": trials,
    }


def _performed(text: str, scene: Scene) -> tuple[MotionClip | None, str]:
    from ..lang import design_offline
    from ..synthesis import perform

    try:
        return perform(design_offline(text, scene)), ""
    except (ValueError, RuntimeError, ArithmeticError, LookupError) as error:
        return None, f"{type(error).__name__}: {error}"


def _chair(rng: np.random.Generator) -> Scene:
    """A chair one to two and a half metres away that looks about towards the body."""
    away, bearing = rng.uniform(1.2, 2.5), np.radians(rng.uniform(-25, 25))
    seat = SceneObject(
        name="chair",
        size=(0.45, 0.5, float(rng.uniform(0.40, 0.48))),
        position=(float(away * np.cos(bearing)), float(away * np.sin(bearing)), 0.0),
        yaw_deg=float(180 + np.degrees(bearing) + rng.uniform(-20, 20)),
        affordances=["sit"],
    )
    return Scene(name="chair", objects=[seat])


def _bed(rng: np.random.Generator) -> Scene:
    """A bed right behind the body, a little off."""
    bed = SceneObject(
        name="bed",
        size=(2.1, 1.0, float(rng.uniform(0.40, 0.48))),
        position=(float(-1.27 + rng.uniform(-0.04, 0.02)), float(rng.uniform(-0.1, 0.1)), 0.0),
        affordances=["sit", "lie"],
    )
    return Scene(name="bed", objects=[bed])


def _cup(rng: np.random.Generator) -> Scene:
    """A cup within the reach of the right arm, on a pedestal."""
    x, y, z = rng.uniform(0.35, 0.55), rng.uniform(-0.35, 0.0), rng.uniform(0.75, 1.2)
    stand = SceneObject(name="pedestal", size=(0.12, 0.12, float(z)), position=(x, y, 0.0))
    cup = SceneObject(
        name="cup",
        shape="cylinder",
        size=(0.07, 0.07, 0.1),
        position=(float(x), float(y), float(z)),
        affordances=["reach"],
    )
    return Scene(name="cup", objects=[stand, cup])


def _near_for(distance: np.ndarray, metres: float, seconds: float, fps: float) -> bool:
    return float((distance <= metres).sum() / fps) >= seconds


def _sat(clip: MotionClip, scene: Scene) -> tuple[bool, float]:
    item = scene["chair"]
    # people sit on the front two thirds: the target lies 5 cm before the middle of the seat
    x, y = item.world(np.array([0.05, 0.0]))
    distance = np.linalg.norm(clip.root_pos - [x, y, item.top + SEAT], axis=1)
    return _near_for(distance, 0.2, 1.0, clip.fps) or bool(
        (distance[-max(1, round(0.3 * clip.fps)) :] <= 0.2).all()
    ), float(distance.min())


def _lay(clip: MotionClip, scene: Scene) -> tuple[bool, float]:
    item = scene["bed"]
    pelvis = -depth_in(item, clip.root_pos)
    head = -depth_in(item, clip.sites("head_back")[:, 0])
    worst = np.maximum(pelvis, head)
    return _near_for(worst, 0.2, 0.4, clip.fps), float(np.maximum(worst, 0).min())


def _reached(clip: MotionClip, scene: Scene) -> tuple[bool, float]:
    distance = np.maximum(-depth_in(scene["cup"], clip.sites("R_hand")[:, 0]), 0)
    return _near_for(distance, 0.05, 0.5, clip.fps), float(distance.min())


_KINDS = {
    "sit": ("walk to the chair and sit down", _chair, _sat),
    "lie": ("lie down on the bed", _bed, _lay),
    "reach": ("reach for the cup with the right hand and hold it", _cup, _reached),
}


def stones(
    gaps: Iterable[float] = (0.45, 0.55, 0.65, 0.75),
    placements: int = 5,
    seed: int = 0,
    step: Step | None = None,
) -> list[dict[str, Any]]:
    """Stepping stones with growing distances between their middles.

    Returns:
        For each gap the share of placements crossed without a fall or a helper force.
    """
    rows = []
    for gap in gaps:
        rng = np.random.default_rng(seed)
        crossed = []
        for n in range(placements):
            if step:
                step(f"stones {gap:.2f} m, {n + 1} of {placements}")
            scene = _stones(gap, rng)
            clip, _ = _performed("walk over the stepping stones", scene)
            crossed.append(clip is not None and _crossed(clip, scene))
        rows.append({"gap_m": gap, "crossed": float(np.mean(crossed)), "placements": placements})
    return rows


def _stones(gap: float, rng: np.random.Generator, count: int = 5) -> Scene:
    items = [_stone(0, 0.0, 0.0, 0.9)]
    x = 0.15
    for i in range(1, count + 1):
        x += gap * float(rng.uniform(0.95, 1.0))
        items.append(_stone(i, x, float(0.1 * (-1) ** i + rng.uniform(-0.04, 0.04)), 0.36))
    return Scene(name="stones", objects=items, floor=False)


def _stone(i: int, x: float, y: float, wide: float) -> SceneObject:
    return SceneObject(
        name=f"stone{i}",
        shape="cylinder",
        size=(wide, wide, 0.2),
        position=(x, y, -0.2),
        affordances=["step"],
    )


def _crossed(clip: MotionClip, scene: Scene) -> bool:
    report = clip.report
    far = max(item.position[0] for item in scene.objects)
    dry = clip.sites("L_ankle", "R_ankle")[..., 2].min() > -0.05
    there = clip.root_pos[-1, 0] > far - 0.35
    return bool(dry and there and report.physical is True and not report.fell)


def filling(prompts: Iterable[Prompt], step: Step | None = None) -> Iterator[dict[str, Any]]:
    """What each stage is worth: lines between the keys, the full filling, the simulated body.

    Yields:
        A row for each prompt and stage with its measures.
    """
    from .. import fill
    from ..synthesis import perform
    from .bench import offline

    for prompt in prompts:
        plan = offline(prompt, 0)
        for stage, make in (
            ("linear", lambda plan=plan: fill(plan, 30, method="linear")),
            ("filled", lambda plan=plan: fill(plan, 30)),
            ("performed", lambda plan=plan: perform(plan)),
        ):
            if step:
                step(f"{prompt.name}, {stage}")
            clip = make()
            yield {"name": prompt.name, "stage": stage, **measure(clip).to_json()}
