"""Synthesis: the whole way from a sentence to a clip.

The one thing to know: it only strings the stages together; each can be called alone. What the
stages can do for one another lives here too: a plan that no body can perform at its speed is
slowed down and filled in again before sampling or, as the last resort, a helper force is tried.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .clip import MotionClip
from .plan import KeyframePlan, StyleSpec
from .scene import Scene

SLOWER = 1.3  # a plan that nobody can follow takes this much longer the second time


def synthesize(
    text: str,
    *,
    designer: Any = "auto",
    animator: str = "auto",
    physics: str = "auto",
    scene: Scene | str | None = None,
    style: StyleSpec | str | None = None,
    seed: int = 0,
    fps: float = 30.0,
    candidates: int = 1,
    budget: Any = None,
    progress: Callable[[str], None] | None = None,
) -> MotionClip:
    """From a sentence to a motion.

    Args:
        text: What the person does.
        designer: "auto" or "offline" for the built-in designer, or a provider of
            `foveate.motion.mllm`.
        animator: How a model realises the poses: "auto", "direct", "loop" or "none".
        physics: As `method` of `track`; "none" leaves the clip kinematic.
        scene: What stands around, a name, or a path.
        style: A StyleSpec or the name of a style, over whatever the text says.
        seed: The same seed gives the same clip.
        fps: Frames per second.
        candidates: Plans to choose from (only with a model).
        budget: Limits of calls and tokens of a model.
        progress: Called with the name of each stage as it begins.

    Returns:
        A clip whose report tells how it came about.

    Raises:
        ValueError: The text is empty, or something named does not exist.
    """
    from . import animate, design
    from .lang import style_named

    say = progress or (lambda stage: None)
    if not text.strip():
        raise ValueError("text is empty; expected a sentence such as 'a person waves'")
    if isinstance(scene, str):
        scene = Scene.named(scene)
    provider = None if isinstance(designer, str) else designer
    say("design")
    begin = time.perf_counter()
    options = {"candidates": candidates, "budget": budget} if provider is not None else {}
    plan = design(text, scene=scene, provider=provider, seed=seed, **options)
    if style is not None:
        plan.style = style_named(style) if isinstance(style, str) else style
    if provider is not None:
        say("animate")
        feedback = "direct" if animator == "auto" else animator
        plan = animate(plan, provider=provider, feedback=feedback)
    seconds = time.perf_counter() - begin
    clip = perform(plan, physics=physics, fps=fps, progress=progress)
    clip.report.seconds["design"] = round(seconds, 4)
    return clip


def perform(
    plan: KeyframePlan,
    *,
    physics: str = "auto",
    fps: float = 30.0,
    alive: float = 0.0,
    progress: Callable[[str], None] | None = None,
) -> MotionClip:
    """Fill a plan and let a body perform it, slower if need be.

    Args:
        plan: With or without realised poses.
        physics: As `method` of `track`.
        fps: Frames per second.
        alive: How much breathing and sway is laid over the motion; see `liven`.
        progress: Called with the name of each stage as it begins.
    """
    from . import fill, liven, track

    say = progress or (lambda stage: None)
    say("fill")
    clip = liven(fill(plan, fps), alive, plan.seed)
    if physics == "none":
        return clip
    say("track")
    if physics != "auto":
        return track(clip, physics)
    first = track(clip, "T1")
    if first.report.good:
        return first
    say("slower")
    slow = liven(fill(plan, fps, tempo=1 / SLOWER), alive, plan.seed)
    second = track(slow, "T1")
    second.report.attempts = [
        *first.report.attempts,
        f"slowed down {SLOWER} times",
        *second.report.attempts,
    ]
    if second.report.good:
        second.report.notes.append(f"slowed down {SLOWER} times, for balance")
        return second
    say("rescue")
    last = track(clip, "rescue", seed=plan.seed)
    last.report.attempts = [*second.report.attempts, *last.report.attempts]
    return last
