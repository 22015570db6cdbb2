"""Motion: from a sentence to physically plausible human motion, without motion data.

The one thing to know: every stage takes and returns plain values that can be saved, looked at and
edited, so each can be run alone:

    text ─ design ─▶ KeyframePlan ─ animate ─▶ plan with poses ─ fill ─▶ MotionClip ─ track ─▶
    MotionClip ─ export ─▶ file

`import foveate.motion` loads nothing but this file; a name is imported when it is first used. The
package names differ from the verbs (`filling` holds `fill`), because a module of the same name
would hide the function.

The method is that of FreeMotion (Zhang et al., ECCV 2024, arXiv 2406.10740): a language model
plans key poses, and physics does the rest.
"""

from __future__ import annotations

from typing import Any

from ..lazy import find

_PLACES = {
    # data model
    "BODY": "body",
    "BodyShape": "body",
    "Pose": "pose",
    "KeyframePlan": "plan",
    "Keyframe": "plan",
    "PoseGoal": "plan",
    "Contact": "plan",
    "Gait": "plan",
    "Root": "plan",
    "StyleSpec": "plan",
    "Scene": "scene",
    "SceneObject": "scene",
    "MotionClip": "clip",
    "Report": "clip",
    # stages
    "design": "designer",
    "animate": "designer",
    "edit": "editing",
    "realize": "filling",
    "fill": "filling",
    "liven": "secondary",
    "track": "tracking",
    "lint": "check",
    "repair": "check",
    "export": "exchange",
    "load": "exchange",
    "synthesize": "synthesis",
}
"""Public name → module that holds it."""

__all__ = sorted(_PLACES)


def __getattr__(name: str) -> Any:
    value = find(__name__, name, _PLACES, "foveate[motion]")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
