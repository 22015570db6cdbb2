"""Names as models write them, turned into ours: joints, parts, landmarks, units.

The one thing to know: an unknown name within edit distance two of a known one is taken for it; any
other is left, so that the check can complain about it by name.
"""

from __future__ import annotations

import difflib
import re
from typing import Any

from ..body import BODY, DOFS
from ..mllm.asking import number
from ..plan import EASES, EFFECTORS, PARTS

_JOINTS = {
    "upper leg": "hip", "thigh": "hip", "leg": "hip", "upper arm": "shoulder", "arm": "shoulder",
    "forearm": "elbow", "lower arm": "elbow", "lower leg": "knee", "shin": "knee", "hand": "wrist",
    "toes": "foot", "toe": "foot", "clavicle": "collar", "scapula": "collar", "trunk": "torso",
    "spine": "torso", "waist": "torso", "back": "torso", "chest": "torso", "upper body": "torso",
    "head": "head_look", "neck": "head_look", "gaze": "head_look",
}  # fmt: skip
_DOFS = {
    "flexion": "flex", "bend": "flex", "forward": "flex", "extension": "-flex", "extend": "-flex",
    "abduction": "abd", "abduct": "abd", "adduction": "-abd", "side": "abd", "rotation": "rot",
    "internal_rotation": "rot", "external_rotation": "-rot", "twist": "rot", "yaw": "rot",
    "turn": "rot", "lateral": "lat", "lateral_flexion": "lat", "roll": "lat", "lean": "lat",
    "pitch": "flex", "elevate": "elevation", "elevation": "elevation", "elev": "elevation",
    "dorsiflexion": "dorsi", "plantarflexion": "-dorsi", "plantar": "-dorsi", "inversion": "inv",
    "eversion": "-inv", "pronation": "pron", "supination": "-pron", "protraction": "prot",
    "deviation": "dev", "radial": "dev", "ulnar": "-dev", "abd_deg": "abd", "flex_deg": "flex",
}  # fmt: skip
_REAL = {dof.name for dof in DOFS}
_WORDS = ("elevation", "plane", "axial")
_VIRTUAL = {f"{joint}.{dof}" for joint in ("torso", "head_look") for dof in ("flex", "lat", "rot")}
ALL_DOFS = sorted(
    {n.replace("L_", "").replace("R_", "") for n in _REAL if n[:2] in ("L_", "R_")}
    | _VIRTUAL | {f"shoulder.{w}" for w in _WORDS}
)  # fmt: skip
"""What the prompt lists: names without a side, and the two virtual joints."""


def dof(name: str) -> tuple[str, float]:
    """Our name of an angle, and 1 or −1 for its sign.

    >>> dof("left upper leg flexion")
    ('L_hip.flex', 1.0)
    >>> dof("R_elbow.extension")
    ('R_elbow.flex', -1.0)
    """
    text = name.strip().replace("°", "")
    if text in _REAL or text in _VIRTUAL:
        return text, 1.0
    text = re.sub(r"([a-z])([A-Z])", r"\1_\2", text).lower().replace("-", "_").replace(" ", "_")
    side = ""
    for word, letter in (
        ("left", "L"),
        ("right", "R"),
        ("both", "B"),
        ("l", "L"),
        ("r", "R"),
        ("b", "B"),
    ):
        found = re.match(rf"^{word}_", text) or re.search(rf"_{word}$", text)
        if found:
            side = letter
            text = (text[: found.start()] + text[found.end() :]).strip("_")
            break
    joint, mark, what = text.partition(".")
    if not mark:
        parts = text.split("_")
        for cut in range(1, len(parts)):
            candidate = "_".join(parts[cut:])
            if candidate in _DOFS or candidate in ("flex", "abd", "rot", "lat", "plane", "axial"):
                joint, what = "_".join(parts[:cut]), candidate
                break
        else:
            joint, what = text, ""
    joint = re.sub(r"_joint$|_deg$", "", joint)
    joint = _JOINTS.get(joint.replace("_", " "), joint)
    sign = 1.0
    what = _DOFS.get(what, what)
    if what.startswith("-"):
        what, sign = what[1:], -1.0
    if not what:
        what = {"ankle": "dorsi", "collar": "elev", "foot": "ext"}.get(joint, "flex")
    if joint in ("ankle",) and what == "flex":
        what = "dorsi"
    if joint == "collar" and what == "elevation":
        what = "elev"
    if joint in ("torso", "head_look"):
        return _nearest(f"{joint}.{what}", sorted(_VIRTUAL)), sign
    full = f"{side or 'B'}_{joint}.{what}"
    plain = _nearest(
        full[2:], [n for n in ALL_DOFS if n.partition(".")[0] not in ("torso", "head_look")]
    )
    return (full[:2] + plain if "." in plain else name), sign


def dofs(values: Any) -> tuple[dict[str, float], list[str]]:
    """Angles with our names, degrees, and notes about what was changed.

    Radians are assumed when there are several angles and all are within ±6.3.
    """
    notes: list[str] = []
    found: dict[str, float] = {}
    if not isinstance(values, dict):
        return {}, ["angles must be an object of name: degrees"] if values else []
    flat = {}
    for name, value in values.items():
        if isinstance(value, dict):  # {"L_hip": {"flex": 30}}
            flat |= {f"{name}.{inner}": v for inner, v in value.items()}
        else:
            flat[name] = value
    for name, value in flat.items():
        value = number(value)
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            notes.append(f"angle of {name} is {value!r}, not a number; left out")
            continue
        ours, sign = dof(str(name))
        if ours not in _REAL and ours not in _VIRTUAL and not _sided(ours):
            notes.append(f"unknown angle {name!r}; left out")
            continue
        found[ours] = sign * float(value)
    if (
        len(found) >= 3
        and all(abs(v) <= 6.3 for v in found.values())
        and any(v % 1 for v in found.values())
    ):
        notes.append("angles looked like radians and were converted to degrees")
        found = {n: round(v * 57.29578, 1) for n, v in found.items()}
    return found, notes


def _sided(name: str) -> bool:
    return name[:2] in ("L_", "R_", "B_") and name[2:] in ALL_DOFS


def part(name: str) -> str:
    """Our word for a body part.

    >>> part("Left Arm"), part("r_leg"), part("upper body")
    ('left_arm', 'right_leg', 'torso')
    """
    text = name.strip().lower().replace("-", "_").replace(" ", "_")
    text = re.sub(r"^l_", "left_", re.sub(r"^r_", "right_", text))
    text = {
        "upper_body": "torso",
        "trunk": "torso",
        "chest": "torso",
        "spine": "torso",
        "hips": "pelvis",
        "hip": "pelvis",
        "lower_body": "pelvis",
        "neck": "head",
        "face": "head",
    }.get(text, text)
    for word, ours in (
        ("elbow", "arm"),
        ("shoulder", "arm"),
        ("forearm", "arm"),
        ("wrist", "hand"),
        ("knee", "leg"),
        ("thigh", "leg"),
        ("ankle", "foot"),
        ("toes", "foot"),
    ):
        text = re.sub(rf"^(left|right)_{word}$", rf"\1_{ours}", text)
    return _nearest(text, PARTS)


def planted(name: str) -> str:
    """Our word for something planted, as `answers.Planted` spells it."""
    text = name.strip().lower().replace(" ", "_")
    text = re.sub(r"^l_", "left_", re.sub(r"^r_", "right_", text))
    text = {"hips": "pelvis", "bottom": "pelvis", "buttocks": "pelvis", "seat": "pelvis"}.get(
        text, text
    )
    return _nearest(text, ["left_foot", "right_foot", "left_toes", "right_toes", "left_hand",
                           "right_hand", "left_knee", "right_knee", "pelvis", "back"])  # fmt: skip


def contact(name: str) -> str:
    """The plan's name of what `planted` calls left_foot and so on."""
    return name.replace("left_", "L_").replace("right_", "R_")


def effector(name: str) -> str:
    """Our name of an effector: L_hand, R_foot, head …"""
    text = name.strip().lower().replace(" ", "_")
    text = re.sub(r"^(left|l)_", "L_", re.sub(r"^(right|r)_", "R_", text))
    text = {
        "L_arm": "L_hand",
        "R_arm": "R_hand",
        "L_leg": "L_foot",
        "R_leg": "R_foot",
        "L_wrist": "L_hand",
        "R_wrist": "R_hand",
        "L_ankle": "L_foot",
        "R_ankle": "R_foot",
    }.get(text, text)
    return _nearest(text, EFFECTORS)


def site(name: str, objects: list[str] | None = None) -> str:
    """Our name of a landmark of the body, or an object of the scene as it is called."""
    text = name.strip()
    if text in BODY.sites or text.partition(".")[0] in (objects or []):
        return text
    plain = text.lower().replace(" ", "_")
    plain = re.sub(r"^(left|right)_(ear|shoulder|hip|knee|thigh)$", r"\2_\1", plain)
    plain = re.sub(r"^left_", "L_", re.sub(r"^right_", "R_", plain))
    plain = {"face": "nose", "head": "head_top", "belly": "stomach", "back": "lower_back",
             "heart": "chest", "neck": "throat"}.get(plain, plain)  # fmt: skip
    return _nearest(plain, [*BODY.sites, "floor", "ahead", *(objects or [])])


def ease(name: Any) -> str:
    """Our name of an ease; unknown ones are smooth."""
    text = str(name).strip().lower()
    text = {
        "ease_in": "accelerate",
        "ease_out": "decelerate",
        "ease_in_out": "smooth",
        "ease-in": "accelerate",
        "ease-out": "decelerate",
        "fast": "snap",
    }.get(text, text)
    return text if text in EASES else "smooth"


def _nearest(name: str, known: Any) -> str:
    """The known name itself, or the one within edit distance about two."""
    known = list(known)
    if name in known:
        return name
    close = difflib.get_close_matches(
        name, known, n=1, cutoff=max(0.6, 1 - 2.2 / max(len(name), 3))
    )
    return close[0] if close else name
