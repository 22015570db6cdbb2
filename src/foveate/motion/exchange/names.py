"""What other programs call our 22 joints, for writing and for reading.

The one thing to know: one word means different joints in different families ("LeftShoulder" is the
collar bone in Mixamo and the shoulder in older files), so a file is read by the family that
explains most of its names, never joint by joint.
"""

from __future__ import annotations

import re

from ..body import JOINTS

_TRUNK = ("pelvis", "spine1", "spine2", "spine3", "neck", "head")
_LIMB = ("hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "wrist")


def _family(trunk: str, limb: str, left: str, right: str) -> dict[str, str]:
    """Our name → theirs; `{}` in a limb's name takes the side."""
    found = dict(zip(_TRUNK, trunk.split(), strict=True))
    for side, word in (("L", left), ("R", right)):
        for ours, theirs in zip(_LIMB, limb.split(), strict=True):
            found[f"{side}_{ours}"] = theirs.replace("{}", word)
    return {name: found[name] for name in JOINTS}


FAMILIES: dict[str, dict[str, str]] = {
    "foveate": {name: name for name in JOINTS},
    "mixamo": _family(
        "Hips Spine Spine1 Spine2 Neck Head",
        "{}UpLeg {}Leg {}Foot {}ToeBase {}Shoulder {}Arm {}ForeArm {}Hand",
        "Left",
        "Right",
    ),
    "cmu": _family(
        "Hips LowerBack Spine Spine1 Neck Head",
        "{}UpLeg {}Leg {}Foot {}ToeBase {}Shoulder {}Arm {}ForeArm {}Hand",
        "Left",
        "Right",
    ),
    "unity": _family(
        "Hips Spine Chest UpperChest Neck Head",
        "{}UpperLeg {}LowerLeg {}Foot {}Toes {}Shoulder {}UpperArm {}LowerArm {}Hand",
        "Left",
        "Right",
    ),
    "unreal": _family(
        "pelvis spine_01 spine_02 spine_03 neck_01 head",
        "thigh_{} calf_{} foot_{} ball_{} clavicle_{} upperarm_{} lowerarm_{} hand_{}",
        "l",
        "r",
    ),
    "smpl": _family(
        "Pelvis Spine1 Spine2 Spine3 Neck Head",
        "{}_Hip {}_Knee {}_Ankle {}_Foot {}_Collar {}_Shoulder {}_Elbow {}_Wrist",
        "L",
        "R",
    ),
    "classic": _family(
        "Hips Chest Chest2 Chest3 Neck Head",
        "{}Hip {}Knee {}Ankle {}Toe {}Collar {}Shoulder {}Elbow {}Wrist",
        "Left",
        "Right",
    ),
    "biovision": _family(
        "Hips Chest Chest2 Chest3 Neck Head",
        "{}UpLeg {}LowLeg {}Foot {}Toe {}Collar {}UpArm {}LowArm {}Hand",
        "Left",
        "Right",
    ),
    "poser": _family(
        "hip abdomen chest chest2 neck head",
        "{}Thigh {}Shin {}Foot {}Toe {}Collar {}Shldr {}ForeArm {}Hand",
        "l",
        "r",
    ),
}
WRITABLE = ("foveate", "mixamo", "cmu", "unity", "unreal", "smpl")
"""Families in which files are written."""

_PREFIX = re.compile(r"^(mixamorig\d*|bip0*1|character\d*|jbip[clr]?|def|rig)")
NEEDED = ("pelvis", "L_hip", "R_hip", "L_knee", "R_knee", "L_shoulder", "R_shoulder")


def plain(name: str) -> str:
    """A joint's name without what programs put around it: lower case, letters and digits."""
    word = re.sub(r"[^a-z0-9]", "", name.rsplit(":", 1)[-1].lower())
    return _PREFIX.sub("", word) or word


def recognise(names: list[str]) -> tuple[str, dict[int, int]]:
    """Which family a file's joints belong to.

    Args:
        names: Of the file.

    Returns:
        The family's name, and our joint → index in the file, trunk joints included only as far as
        they are named so.

    Raises:
        ValueError: No family explains pelvis, hips, knees and shoulders.
    """
    there = {plain(name): index for index, name in reversed(list(enumerate(names)))}
    best: tuple[int, str, dict[int, int]] = (0, "", {})
    for family, table in FAMILIES.items():
        found = {
            JOINTS.index(ours): there[plain(theirs)]
            for ours, theirs in table.items()
            if plain(theirs) in there
        }
        if len(found) > best[0]:
            best = (len(found), family, found)
    missing = [name for name in NEEDED if JOINTS.index(name) not in best[2]]
    if missing:
        some = ", ".join(names[:6]) + (" …" if len(names) > 6 else "")
        raise ValueError(
            f"cannot tell which joint is the {missing[0]} among {some}; "
            f"known families of names are {', '.join(FAMILIES)}"
        )
    return best[1], best[2]
