"""Any part in any direction: what the grammar does with a verb of motion, a part and a direction.

The one thing to know: this also serves verbs the lexicon does not know, as long as a part and a
direction are named ("splorks the left arm upwards").
"""

from __future__ import annotations

from ..poses import BODY, TOUCH
from .arms import POINTS, spread
from .common import WORD, Frame, State, Step, angles, arm_side, arms_down, step
from .hands import LOW, touch_
from .head import look, roll_head, tilt_head

ARM = ("arm", "hand", "elbow", "wrist", "shoulder")
LEG = ("leg", "foot", "knee", "heel", "toe")
HEAD = ("head", "face", "chin", "nose")
TRUNK = ("torso", "chest", "waist", "back", "stomach")


def part(f: Frame, s: State) -> list[Step]:
    """Dispatch by the first part that is named; further parts of another kind move too."""
    way = f.setting("way", "move")
    made: list[Step] = []
    kinds = [_kind(limb.part) for limb in f.limbs]
    landmark = _landmark(f)
    if landmark and kinds[:1] == ["arm"] and way in ("raise", "move", "lower"):
        return touch_(f, s)
    for kind in dict.fromkeys(k for k in kinds if k):
        if (
            made
            and kind in ("head", "trunk")
            and any(x.prep for x in f.limbs if _kind(x.part) == kind)
        ):
            continue
        found = {"arm": _arm, "leg": _leg, "head": _head, "trunk": _trunk, "pelvis": _pelvis}[kind](
            f, s, way
        )
        made = _together(made, found) if made else found
    return made or [Step(0.4, {}, "stands", hold=0.6)]


def _kind(part: str) -> str:
    for name, parts in (("arm", ARM), ("leg", LEG), ("head", HEAD), ("trunk", TRUNK)):
        if part in parts:
            return name
    return "pelvis" if part in ("hip", "pelvis") else ""


def _landmark(f: Frame) -> bool:
    """Whether a hand is sent to another part of the body."""
    return any(
        limb.prep in ("on", "to", "at", "against", "behind", "over")
        and (limb.part in TOUCH or limb.part in LOW)
        and limb.part not in ("arm", "hand")
        for limb in f.limbs[1:]
    )


def _together(a: list[Step], b: list[Step]) -> list[Step]:
    """Both at once, step by step."""
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    for one, other_ in zip(longer, shorter, strict=False):
        one.dofs = one.dofs | other_.dofs
        one.contacts = one.contacts or other_.contacts
        one.support = one.support or other_.support
    return longer


def _arm(f: Frame, s: State, way: str) -> list[Step]:
    side = arm_side(f, "R")
    limb = next((x for x in f.limbs if x.part in ARM), None)
    part_name = limb.part if limb else "arm"
    where = f.direction()
    angle = f.degrees
    what = "both arms" if side == "B" else f"the {WORD[side]} arm"
    if part_name == "shoulder" and way in ("raise", "lower", "move"):
        dofs = angles("A_collar 28" if way != "lower" else "A_collar -6", side)
        return [
            Step(0.5, dofs, "lifts the shoulder", hold=0.4),
            Step(0.5, dict.fromkeys(dofs, 0.0), "relaxes the shoulder"),
        ]
    if way == "lower" or (where == "down" and way != "bend"):
        s.held -= set("LR" if side == "B" else side)
        return [
            Step(
                0.8,
                arms_down(*("LR" if side == "B" else side)),
                f"lowers {what}",
                hold=f.seconds or 0.2,
            )
        ]
    if way == "shake":
        from .gestures import gesture

        return gesture("shake_arm", f, s)
    if way == "bend" or (part_name in ("elbow", "wrist") and way == "move" and not where):
        bent = min(angle or 95.0, 148.0)
        if part_name == "wrist":
            dofs = angles(f"A_shoulder elev 45 plane 80, A_elbow 70, A_wrist {min(bent, 65)}", side)
        else:
            dofs = angles(f"A_elbow {bent:.0f}", side)
        s.held |= set("LR" if side == "B" else side)
        return [Step(0.7, dofs, f"bends {what}", hold=f.seconds or 0.6)]
    if way == "straighten":
        return [Step(0.6, angles("A_elbow 2", side), f"straightens {what}", hold=f.seconds or 0.5)]
    s.held |= set("LR" if side == "B" else side)
    if where in ("side", "out", "left", "right") or (
        "level" in f.flags and way == "raise" and not where
    ):
        return spread(f, s)
    elevation = angle if angle is not None else 168.0
    if way == "front" or where == "forward" or "level" in f.flags:
        elevation = angle if angle is not None else 90.0
        told = f"A_shoulder elev {min(elevation, 175)} plane 86, A_elbow 4"
    elif where == "across":
        told = POINTS["across"]
    elif where in ("back",) or "behind" in f.text:
        told = BODY["hands_behind"].replace("B_", "A_") if "behind" in f.text else POINTS["back"]
    elif where in ("in", "together"):
        told = "A_shoulder elev 45 plane 92 axial 35, A_elbow 70"
    else:
        told = f"A_shoulder elev {min(elevation, 175)} plane 70, A_elbow 6"
        if elevation > 110:
            told += ", A_collar 20"
    name = {"front": "holds", "raise": "raises"}.get(way, "moves")
    text = f"{name} {what} {where or ('forward' if way == 'front' else 'up')}"
    return [Step(0.85, angles(told, side), text, hold=f.seconds or 0.6)]


def _leg(f: Frame, s: State, way: str) -> list[Step]:
    from .legs import bend_knees, heel_raise, knee_lift, lift_leg, tap_foot

    limb = next(x for x in f.limbs if x.part in LEG)
    if way == "lower":
        from .legs import stand_on_both

        return [stand_on_both(s)]
    if way == "bend":
        return bend_knees(f, s)
    if limb.part == "heel" and way == "raise":
        return heel_raise(f, s)
    if limb.part == "toe" or way == "shake":
        return tap_foot(f, s)
    if limb.part == "knee" and way in ("raise", "move", "front"):
        return knee_lift(f, s)
    if way == "straighten" and limb.side == "B":
        return [step(0.6, "straightens the legs", "B_hip 3, B_knee 3, B_ankle 1", hold=0.6)]
    return lift_leg(f, s)


def _head(f: Frame, s: State, way: str) -> list[Step]:
    if "around" in f.directions or "circle" in f.text:
        return roll_head(f, s)
    if f.verb in ("tilt", "lean", "bend", "tip", "incline") or way == "bend":
        return tilt_head(f, s)
    if way in ("raise", "lower") and not f.directions:
        f.directions.append("up" if way == "raise" else "down")
    return look(f, s)


def _trunk(f: Frame, s: State, way: str) -> list[Step]:
    from .bending import bend, lean, twist
    from .posture import straighten

    if way == "straighten" or way == "raise":
        return straighten(f, s)
    if f.verb in ("rotate", "turn", "twist") or way == "twist":
        return twist(f, s)
    if way in ("bend", "lower"):
        return bend(f, s)
    return lean(f, s)


def _pelvis(f: Frame, s: State, way: str) -> list[Step]:
    from .whole import hip_sway

    return hip_sway(f, s)
