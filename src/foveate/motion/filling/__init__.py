"""Filling: from key poses to motion, kinematically.

The one thing to know: expand (keys to knots) → shift (weight before a foot lifts) → retime → frames
(one whole-body solve each). Nothing here knows forces; what it promises is that planted parts do
not slide, that the weight is where the feet can carry it, and that joints stay within limits and
speeds. Source: stage two of FreeMotion interpolates linearly; contacts, centre of mass and timing
are ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..clip import MotionClip, Report
from ..plan import KeyframePlan

if TYPE_CHECKING:
    from .knots import Knot
    from .solver import Solver
    from .style import Style

__all__ = ["fill", "realize"]

PAPER_FPS = 20.0


def realize(plan: KeyframePlan) -> KeyframePlan:
    """The plan with the pose of every key solved for its angles, goals, contacts and balance.

    Args:
        plan: Keys that already have a pose keep it.

    Returns:
        A new plan.

    Raises:
        ValueError: A key names something that is not there, or asks for what the body cannot do.
    """
    from ..pose import Pose
    from .layers import without_layers

    knots, _ = _expanded(without_layers(plan)[0])
    solved = {knot.key: Pose.from_qpos(knot.qpos) for knot in knots if knot.key}
    made = plan.model_copy(deep=True)
    for key in made.keys:
        if key.pose is None:
            key.pose = solved.get(key.id)
    return made


def fill(
    plan: KeyframePlan,
    fps: float = 30.0,
    *,
    method: str = "full",
    tempo: float = 1.0,
    overlap: float = 0.025,
    progress: Callable[[int, int], None] | None = None,
) -> MotionClip:
    """Fill a plan in.

    Args:
        plan: With or without realised poses.
        fps: Frames per second; contacts are snapped to frames.
        method: "full", or "linear": straight interpolation between the realised keys, as in the
            paper (which uses 20 fps), with no weight shifts, steps or contacts in between.
        tempo: Speed of everything but flights, relative to the plan.
        overlap: Seconds by which hands follow their arms.
        progress: Called with (frames done, frames in all).

    Returns:
        A kinematic clip with its contacts.

    Raises:
        ValueError: fps or method is wrong, or the plan cannot be posed.
    """
    if method not in ("full", "linear"):
        raise ValueError(f'method is {method!r}; expected "full" or "linear"')
    if not 5 <= fps <= 240:
        raise ValueError(f"fps is {fps}; expected 5 to 240")
    begin = time.perf_counter()
    if method == "linear":
        clip = _linear(plan, fps)
    else:
        clip = _full(plan, fps, tempo, overlap, progress)
    clip.report.seconds["fill"] = round(time.perf_counter() - begin, 4)
    clip.report.seed = plan.seed
    return clip


def _expanded(plan: KeyframePlan, style: Style | None = None) -> tuple[list[Knot], Solver]:
    from .expand import Expander
    from .style import Style

    # gaits take over a key's travel, so the caller's plan is left alone
    expander = Expander(plan.model_copy(deep=True), style or Style.of(plan))
    return expander.run(), expander.solver


def _full(
    plan: KeyframePlan,
    fps: float,
    tempo: float,
    overlap: float,
    progress: Callable[[int, int], None] | None,
) -> MotionClip:
    from ..scene import Scene
    from .frames import Filler
    from .layers import lay_over, without_layers
    from .style import Style
    from .support import with_shifts
    from .timing import retime

    style = Style.of(plan)
    main, layers = without_layers(looped(plan))
    knots, solver = _expanded(main)
    knots = with_shifts(knots, solver)
    notes = retime(knots, fps, style)
    filler = Filler(knots, solver, plan.scene or Scene(), fps, style, overlap)
    if layers:
        lay_over(filler.reference, layers, main.keys, knots, fps)
    qpos = filler.run(progress)
    keys = tuple((round(knot.t * fps), knot.key) for knot in knots if knot.key)
    return MotionClip(
        fps=fps,
        qpos=qpos,
        shape=plan.body,
        contacts=filler.contacts(),
        keys=keys,
        text=plan.text,
        scene=plan.scene,
        report=Report(notes=[*plan.notes, *notes]),
    )


def _linear(plan: KeyframePlan, fps: float) -> MotionClip:
    """The paper's filling: positions on lines, rotations on arcs between keys."""
    from .layers import without_layers

    made = realize(without_layers(plan)[0])
    count = round(plan.duration * fps) + 1
    rows, keys = [], made.keys
    near = keys[0].pose.to_qpos()
    for frame in range(count):
        t = frame / fps
        index = max(i for i, key in enumerate(keys) if key.t <= t + 1e-9)
        key = keys[index]
        if index + 1 < len(keys):
            start = key.t + key.hold
            span = max(keys[index + 1].t - start, 1e-6)
            s = float(np.clip((t - start) / span, 0.0, 1.0))
            pose = key.pose.lerp(keys[index + 1].pose, s)
        else:
            pose = key.pose
        near = pose.to_qpos(near[7:])
        rows.append(near)
    marks = tuple((round(key.t * fps), key.id) for key in keys)
    return MotionClip(
        fps=fps,
        qpos=np.array(rows),
        shape=plan.body,
        keys=marks,
        text=plan.text,
        scene=plan.scene,
        report=Report(notes=list(plan.notes)),
    )


def looped(plan: KeyframePlan) -> KeyframePlan:
    """The plan with its cycle written out, root advance and all; itself if it has none."""
    loop = plan.loop
    if loop is None or loop.count < 2:
        return plan.model_copy(update={"loop": None}) if loop else plan
    ids = [key.id for key in plan.keys]
    first, last = ids.index(loop.start_key), ids.index(loop.end_key)
    if last <= first:
        raise ValueError(f"loop ends at {loop.end_key!r}, not after its start {loop.start_key!r}")
    cycle = plan.keys[first + 1 : last + 1]
    period = plan.keys[last].t + plan.keys[last].hold - plan.keys[first].t
    keys = list(plan.keys[: last + 1])
    for n in range(1, loop.count):
        for key in cycle:
            update = {"id": f"{key.id}~{n + 1}", "t": key.t + n * period}
            keys.append(key.model_copy(update=update, deep=True))
    shift = (loop.count - 1) * period
    keys += [key.model_copy(update={"t": key.t + shift}) for key in plan.keys[last + 1 :]]
    return plan.model_copy(update={"keys": keys, "loop": None})
