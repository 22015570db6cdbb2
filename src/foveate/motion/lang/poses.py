"""The pose library: named angles that actions and language models can copy.

The one thing to know: arm poses that touch something were solved once for the default body (hand
site on the landmark, palm towards it) and rounded to degrees; `A` is the acting side.
"""

from __future__ import annotations

from .score import angles, arms_down

TOUCH: dict[str, str] = {
    "mouth": "A_shoulder elev 77 plane 104 axial 39, A_elbow 124 pron -36, A_wrist -20, A_collar 8",
    "cup": "A_shoulder elev 75 plane 87 axial 27, A_elbow 124, A_collar 8",
    "ear": "A_shoulder elev 100 plane 76 axial -16, A_elbow 138, A_wrist -15, A_collar 13",
    "head_top": "A_shoulder elev 121 plane 81 axial -10, A_elbow 108 pron -17, A_collar 23",
    "head": "A_shoulder elev 121 plane 81 axial -10, A_elbow 108 pron -17, A_collar 23",
    "head_back": "A_shoulder elev 139 plane 43 axial -55, A_elbow 128, A_wrist -10, A_collar 13",
    "forehead": (
        "A_shoulder elev 94 plane 98 axial 26, A_elbow 114 pron -39, A_wrist -24, A_collar 11"
    ),
    "brow": "A_shoulder elev 100 plane 61 axial -22, A_elbow 118, A_wrist -8, A_collar 15",
    "face": "A_shoulder elev 88 plane 98 axial 28, A_elbow 118 pron -21, A_wrist -22, A_collar 8",
    "nose": "A_shoulder elev 85 plane 104 axial 35, A_elbow 119 pron -39, A_wrist -21, A_collar 9",
    "chin": "A_shoulder elev 65 plane 113 axial 52, A_elbow 132 pron -28, A_wrist -34, A_collar 7",
    "neck": "A_shoulder elev 59 plane 101 axial 53, A_elbow 140 pron -13, A_wrist -21, A_collar 6",
    "chest": "A_shoulder elev 40 plane 72 axial 64, A_elbow 119 pron -51, A_wrist 25, A_collar 4",
    "stomach": "A_shoulder elev 20 plane 9 axial 61, A_elbow 97 pron -11, A_collar 5",
    "hip": "A_shoulder elev 45 plane -44 axial 46, A_elbow 100, A_wrist 11, A_collar 7",
    "waist": "A_shoulder elev 45 plane -44 axial 46, A_elbow 100, A_wrist 11, A_collar 7",
    "back": "A_shoulder elev 45 plane -52 axial 78, A_elbow 100, A_wrist 8, A_collar 7",
    "pelvis": "A_shoulder elev 30 plane -50 axial 60, A_elbow 60",
    "shoulder": (
        "A_shoulder elev 79 plane 121 axial 90, A_elbow 105 pron -30, A_wrist -9, A_collar 11"
    ),
    "own_shoulder": "A_shoulder elev 60 plane 68, A_elbow 150 pron -85, A_wrist 57, A_collar 5",
    "elbow": "A_shoulder elev 14 plane 125 axial 90, A_elbow 77 pron 22, A_collar -10",
    "arm": "A_shoulder elev 30 plane 110 axial 80, A_elbow 85, A_collar 0",
    "wrist": "A_shoulder elev 25 plane 90 axial 60, A_elbow 80",
    "hand": "A_shoulder elev 25 plane 80 axial 50, A_elbow 85",
}
"""Landmark → the arm that touches it. `shoulder`, `elbow`, `arm` are those of the other side."""

BODY: dict[str, str] = {
    "squat": (
        "B_hip 95 abd 8, B_knee 110, B_ankle 30, torso 24, B_shoulder elev 80 plane 88, "
        "B_elbow 8, head_look -15"
    ),
    "half_squat": "B_hip 55, B_knee 66, B_ankle 20, torso 14",
    "bow": "B_hip 55, B_knee 10, B_ankle -6, torso 38, head_look 14",
    "sit": "B_hip 90, B_knee 88, B_ankle 5, torso 0",
    "guard": (
        "A_shoulder elev 50 plane 62 axial 20, A_elbow 130, O_shoulder elev 55 plane 65 "
        "axial 20, O_elbow 120, B_knee 25, B_hip 20, B_ankle 8, torso 8"
    ),
    "tpose": "B_shoulder elev 90 plane 0, B_elbow 0, B_collar 6",
    "overhead": "B_shoulder elev 170 plane 60, B_elbow 6, B_collar 22",
    "hands_on_hips": "B_shoulder elev 45 plane -44 axial 46, B_elbow 100, B_wrist 11, B_collar 7",
    "arms_crossed": (
        "A_shoulder elev 28 plane 85 axial 88, A_elbow 98 pron 20, "
        "O_shoulder elev 34 plane 92 axial 88, O_elbow 102 pron 20"
    ),
    "surrender": "B_shoulder elev 88 plane 12 axial -72, B_elbow 88, B_collar 10",
    "hands_behind": "B_shoulder elev 45 plane -52 axial 78, B_elbow 95, B_collar 4",
    "slump": "torso 26, head_look 24, B_collar prot 12, B_shoulder elev 8",
}
"""Whole poses by name; angles that are not named stay."""


def touch(landmark: str, side: str) -> dict[str, float]:
    """Angles of the arm of `side` with its hand on a landmark of `TOUCH`."""
    return arms_down(side) | angles(TOUCH[landmark], side)


def pose(name: str, side: str = "R") -> dict[str, float]:
    """Angles of a pose of the library (`BODY` or `TOUCH`) in degrees by full name.

    Raises:
        ValueError: There is no such pose; the message lists what exists.
    """
    told = BODY.get(name) or TOUCH.get(name)
    if told is None:
        raise ValueError(f"unknown pose {name!r}; poses are {', '.join([*BODY, *TOUCH])}")
    return angles(told, side)
