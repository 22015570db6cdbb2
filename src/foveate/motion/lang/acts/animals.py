"""Walking and leaping like an animal, or like somebody with a walk of their own.

The one thing to know: a row of `WALKS` is a gait with the arms and the trunk kept in a pose; what
an animal does with its legs and its back cannot be had from a person, so the arms tell which it is.
"""

from __future__ import annotations

from .common import Frame, State, Step, angles, arms_down, rest_of, step

WALKS: dict[str, tuple[str, str, dict[str, float], str]] = {
    # gait, arms and trunk, settings of the gait, text
    "penguin": (
        "shuffle", "B_shoulder elev 26 plane 0 axial 50, B_elbow 6, B_wrist -35, torso -5",
        {"width": 0.26, "length": 0.16, "arm_swing": 0.0}, "waddles like a penguin",
    ),
    "duck": (
        "shuffle", "B_shoulder elev 45 plane -44 axial 46, B_elbow 100, torso 12, head_look -10",
        {"width": 0.28, "length": 0.18, "crouch": 0.16, "arm_swing": 0.0}, "waddles low",
    ),
    "crab": (
        "side-step", "B_shoulder elev 80 plane 10 axial -60, B_elbow 95, torso 16, head_look -10",
        {"crouch": 0.14, "width": 0.3, "arm_swing": 0.0}, "scuttles sideways",
    ),
    "cat": (
        "sneak", "A_shoulder elev 62 plane 82, A_elbow 60, O_shoulder elev 45 plane 82, O_elbow 95,"
        " B_wrist 45, torso 18, head_look -12",
        {"arm_swing": 0.4}, "stalks like a cat",
    ),
    "elephant": (
        "walk", "A_shoulder elev 42 plane 96, A_elbow 8, O_shoulder elev 22 plane 70, torso 36, "
        "head_look -8",
        {"width": 0.26, "length": 0.36, "swing_s": 0.7, "arm_swing": 0.5}, "sways a trunk",
    ),
    "bear": (
        "stagger", "B_shoulder elev 68 plane 55 axial -10, B_elbow 85, B_wrist 35, torso 14",
        {"width": 0.28, "arm_swing": 0.3}, "lumbers like a bear",
    ),
    "horse": (
        "walk", "A_shoulder elev 42 plane 86, A_elbow 75, O_shoulder elev 48 plane 86, O_elbow 70",
        {"knee_lift_deg": 48.0, "bounce": 0.04, "length": 0.4, "arm_swing": 0.3},
        "prances like a horse",
    ),
    "chicken": (
        "walk", "B_shoulder elev 58 plane 0 axial 70, B_elbow 138, torso 12, head_look -12",
        {"length": 0.28, "knee_lift_deg": 55.0, "arm_swing": 0.0}, "struts like a chicken",
    ),
    "ghost": (
        "shuffle", "B_shoulder elev 118 plane 55, B_elbow 40, B_wrist 45, head_look 8",
        {"arm_swing": 0.0}, "haunts with raised arms",
    ),
    "ballerina": (
        "tiptoe", "B_shoulder elev 150 plane 40, B_elbow 42, B_collar 14, torso -4",
        {"arm_swing": 0.0}, "walks on the toes with rounded arms",
    ),
    "model": (
        "walk", "A_shoulder elev 45 plane -44 axial 46, A_elbow 100, torso -5, head_look -4",
        {"width": 0.03, "length": 0.5, "arm_swing": 0.8}, "walks down the catwalk",
    ),
    "cowboy": (
        "walk", "B_shoulder elev 30 plane -5, B_elbow 45, torso -3",
        {"width": 0.32, "crouch": 0.04, "swing_s": 0.6, "arm_swing": 0.3}, "walks bow-legged",
    ),
    "tightrope": (
        "walk", "B_shoulder elev 88 plane 0, B_elbow 8, head_look 12",
        {"width": 0.02, "length": 0.3, "swing_s": 0.6, "double_s": 0.3, "arm_swing": 0.0},
        "balances along a line",
    ),
    "astronaut": (
        "walk", "B_shoulder elev 40 plane 15, B_elbow 30",
        {"swing_s": 0.9, "double_s": 0.3, "lift": 0.2, "knee_lift_deg": 50.0, "arm_swing": 0.5},
        "walks as on the moon",
    ),
}  # fmt: skip
"""Who → how they walk."""
LEAPS = {
    "rabbit": ("B_shoulder elev 32 plane 84, B_elbow 135, B_wrist 55", "hops like a rabbit"),
    "frog": ("B_shoulder elev 48 plane 86, B_elbow 12", "leaps like a frog"),
}
"""Who → the arms while leaping, and the text."""


def animal(f: Frame, s: State) -> list[Step]:
    """The row of the sense's `kind`: some steps, or some leaps."""
    from .locomotion import one_gait, rise_first

    kind = f.setting("kind")
    if kind in LEAPS:
        return _leaps(f, s, kind)
    gait, told, settings, text = WALKS[kind]
    pose = angles(told)
    direction = 90.0 if gait == "side-step" else 0.0
    walk = one_gait(f, s, gait, direction, 0.0)
    assert walk.gait is not None
    walk.gait |= settings
    walk.dofs, walk.text = dict(pose), text
    ready = Step(0.7, pose, "takes the pose", steady=True)
    back = Step(0.8, rest_of(pose) | arms_down(), "stands relaxed", free=True)
    return [*rise_first(f, s), ready, walk, back]


def _leaps(f: Frame, s: State, kind: str) -> list[Step]:
    """Short jumps forward, the arms kept in a pose."""
    from .jumping import jump

    arms, text = LEAPS[kind]
    pose = angles(arms)
    held = set(s.held)
    f.times = f.times or 3
    f.amount = min(f.amount, 0.6)
    f.directions = f.directions or ["forward"]
    s.held |= {"L", "R"}  # the arms stay as they are set here
    made = jump(f, s)
    s.held = held
    for st in made:
        if st.root:
            st.text = text
    return [step(0.6, text, arms), *made, Step(0.7, rest_of(pose) | arms_down(), "stands")]
