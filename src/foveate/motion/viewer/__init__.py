"""The viewer: one HTML page that plays a clip, works offline and needs no second file.

The one thing to know: the page carries everything inside it: three.js (MIT licence, text in
`three.LICENSE`; bundled by `bundle/package.json`), the clip as GLB, and what the linter found.
"""

from __future__ import annotations

import base64
import json
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from .. import rotations as rot
from ..check import CODES, lint, measure
from ..check.measures import com, spans, support_points
from ..clip import MotionClip, write_atomic
from ..plan import KeyframePlan

__all__ = ["page", "write_page"]

FILES = (
    ("STYLE", "page.css"),
    ("THREE", "three.min.js"),
    ("STAGE", "stage.js"),
    ("APP", "app.js"),
)
"""Place in `page.html` and what is put there."""

LANES = {
    "L_foot": "left foot",
    "R_foot": "right foot",
    "L_toes": "left toes",
    "R_toes": "right toes",
    "pelvis": "seat",
    "back": "back",
    "L_hand": "left hand",
    "R_hand": "right hand",
    "L_knee": "left knee",
    "R_knee": "right knee",
}


def write_page(
    clip: MotionClip,
    path: str | Path,
    plan: KeyframePlan | None = None,
    planned: MotionClip | None = None,
) -> Path:
    """Write the page; the file appears complete or not at all. See `page`."""
    write_atomic(path, page(clip, plan, planned).encode())
    return Path(path)


def page(
    clip: MotionClip, plan: KeyframePlan | None = None, planned: MotionClip | None = None
) -> str:
    """The viewer page of a clip.

    Args:
        clip: What to play.
        plan: Its plan; the key poses are then shown with their sentences.
        planned: The kinematic clip that a simulated one followed; a switch shows either.

    Returns:
        HTML.
    """
    title = clip.text or "Motion"
    held = {"TITLE": escape(title), "DATA": _safe(_data(clip, plan, planned))}
    for name, file in FILES:
        held[name] = _read(file).replace("</script", "<\\/script")
    parts = _read("page.html").split("%")
    # every second part between percent signs is a name of ours or text that had percent signs
    return "".join(held.get(part, part) for part in parts)


def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _safe(value: Any) -> str:
    """JSON that may stand inside a script element."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _data(
    clip: MotionClip, plan: KeyframePlan | None, planned: MotionClip | None
) -> dict[str, Any]:
    clips = [{"name": _name(clip), "glb": _glb(clip)}]
    if planned is not None:
        if len(planned) != len(clip) or planned.fps != clip.fps:
            planned = planned.resampled(clip.fps)
        clips.append({"name": "planned", "glb": _glb(planned)})
    words = {key.id: key.description for key in plan.keys} if plan else {}
    mass = com(clip)
    lanes = [
        {"name": LANES.get(part, part), "spans": [[int(a), int(b)] for a, b in spans(touches)]}
        for part, touches in clip.contacts.items()
        if touches.any()
    ]
    middle = rot.to_file(clip.joints[0, 0])
    return {
        "fps": clip.fps,
        "frames": len(clip),
        "seconds": clip.duration,
        "facts": f"{clip.duration:.1f} s at {clip.fps:g} fps, {clip.source}",
        "floor": clip.scene is None or clip.scene.floor,
        "middle": [round(float(v), 4) for v in (middle[0], 0.92, middle[2])],
        "clips": clips,
        "keys": [
            {"frame": int(frame), "name": name, "text": words.get(name, "")}
            for frame, name in clip.keys
            if 0 <= frame < len(clip)
        ],
        "lanes": sorted(lanes, key=lambda lane: list(LANES.values()).index(lane["name"])
                        if lane["name"] in LANES.values() else 99),
        "com": _rounded(rot.to_file(np.column_stack([mass[:, :2], _ground(clip, mass)]))),
        "support": _support(clip),
        "findings": [
            f.to_json() | {"meaning": CODES.get(f.code, "")}
            for f in lint(clip)
            if f.severity != "info"
        ],
        "measures": _measures(clip),
    }  # fmt: skip


def _name(clip: MotionClip) -> str:
    return {"simulated": "simulated", "imported": "imported"}.get(clip.source, "planned")


def _glb(clip: MotionClip) -> str:
    from ..exchange.gltf import glb_bytes
    from ..exchange.skeletal import from_qpos
    from ..exchange.write import figure_mesh, scene_mesh

    motion = from_qpos(clip.qpos, clip.body, clip.fps)
    data = glb_bytes(motion, skin=figure_mesh(clip), scene=scene_mesh(clip))
    return base64.b64encode(data).decode()


def _ground(clip: MotionClip, mass: np.ndarray) -> np.ndarray:
    """Height of the surface under the centre of mass; the floor where there is none."""
    if clip.scene is None:
        return np.zeros(len(clip))
    return np.maximum(clip.scene.height(mass[:, :2]), 0.0 if clip.scene.floor else -0.5)


def _support(clip: MotionClip) -> list[list[list[float]]]:
    """Corners of the support polygon in each frame, file frame."""
    from ..render.backdrop import convex_hull

    points, touch = support_points(clip)
    found = []
    for t in range(len(clip)):
        own = points[t][touch[t]]
        outline = convex_hull(own[:, :2]) if len(own) > 2 else None
        if outline is None:
            found.append([])
            continue
        level = float(np.median(own[:, 2]))
        found.append(
            _rounded(rot.to_file(np.column_stack([outline, np.full(len(outline), level)])))
        )
    return found


def _rounded(points: np.ndarray) -> list[list[float]]:
    return [[round(float(v), 4) for v in p] for p in points]


def _measures(clip: MotionClip) -> list[list[str]]:
    m = measure(clip)
    rows = [
        ["largest foot slide", f"{m.slide_cm:.1f} cm"],
        ["deepest sinking", f"{m.sink_cm:.1f} cm"],
        ["mean jerk / 100", f"{m.jitter:.1f} m/s³"],
    ]
    if m.tracking_cm is not None:
        rows.append(["tracking error", f"{m.tracking_cm:.1f} cm"])
    if clip.source == "simulated":
        rows.append(["helper force", f"{100 * m.residual:.1f} % of weight"])
    return rows
