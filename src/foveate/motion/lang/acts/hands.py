"""Hands on the body: touching, scratching, drinking, telephoning."""

from __future__ import annotations

from ..poses import TOUCH, touch
from .common import (
    WORD,
    Frame,
    State,
    Step,
    angles,
    arms_down,
    one_arm,
    other,
    release,
    step,
)


def touch_(f: Frame, s: State) -> list[Step]:
    """A hand on a part of the body: goes there, stays a moment; kept while the text goes on."""
    effector, target, target_side = _who_touches_what(f)
    if target in ("knee", "toe", "foot", "leg", "heel"):
        return _touch_low(f, s, effector, target, target_side)
    landmark = target
    if target in ("shoulder", "elbow", "arm", "hand", "wrist") and target_side in (effector, "B"):
        landmark = "own_shoulder"
        if target_side == "B":
            landmark, effector = "shoulder", "B"
    if f.setting("both") and not any(limb.side in ("L", "R") for limb in f.limbs):
        effector = "B"
    if landmark == "head_top" and ("behind" in f.text or "back of" in f.text):
        landmark = "head_back"
    dofs = touch(landmark, effector)
    word = target.replace("_", " ")
    made = Step(0.9, dofs, f"puts the {WORD[effector]} hand{'s' * (effector == 'B')} on the {word}")
    if landmark in ("face", "mouth", "nose", "forehead", "head_top", "head_back"):
        made.dofs["head_look.flex"] = 8.0
    made.hold = f.seconds or 1.0
    s.held |= set("LR" if effector == "B" else effector)
    return [made]


def _who_touches_what(f: Frame) -> tuple[str, str, str]:
    """(side of the hand, landmark, side of the landmark)."""
    hand, target = "", None
    default = f.setting("target")
    for limb in f.limbs:
        is_hand = limb.part in ("hand", "arm", "wrist") and limb.prep not in ("on", "to", "behind")
        if limb.prep in ("with", "using") or (is_hand and target is None and not hand):
            hand = limb.side or hand
        elif target is None:
            target = limb
    if target is None and not default:
        low = [x for x in f.limbs if x.part not in ("hand", "arm")]
        target = low[0] if low else None
    landmark = default or (target.part if target else "chest")
    landmark = landmark if landmark in TOUCH or landmark in LOW else "chest"
    side = target.side if target and target.side in ("L", "R", "B") else ""
    if not hand:
        crossed = landmark in ("shoulder", "elbow", "arm", "hand", "wrist")
        hand = (other(side) if crossed else side) if side else "R"
        if landmark in ("hip", "waist", "knee", "toe", "foot", "head_back", "leg") and not side:
            hand = "B"
    return hand, landmark, side


LOW = {
    "knee": ("B_hip 52, B_knee 34, B_ankle 6, torso 42, head_look -6", "A_shoulder elev 52 plane 86"
             ", A_elbow 12"),
    "leg": ("B_hip 40, B_knee 20, B_ankle 4, torso 30", "A_shoulder elev 35 plane 80, A_elbow 12"),
    "toe": ("B_hip 96, B_knee 16, B_ankle 0, torso 78, head_look 20",
            "A_shoulder elev 100 plane 88, A_elbow 3"),
    "foot": ("B_hip 94, B_knee 30, B_ankle 8, torso 76, head_look 20",
             "A_shoulder elev 95 plane 88, A_elbow 3"),
    "heel": ("B_hip 90, B_knee 60, B_ankle 18, torso 70, head_look 10",
             "A_shoulder elev 70 plane 80, A_elbow 3"),
}  # fmt: skip
"""Landmark below the waist → how the body bends, and the arm."""


def _touch_low(f: Frame, s: State, hand: str, target: str, side: str) -> list[Step]:
    body, arm = LOW[target]
    dofs = angles(body) | angles(arm, hand)
    down = Step(1.1, dofs, f"bends down to touch the {target}", steady=True)
    for h in "LR" if hand == "B" else hand:
        where = side if side in ("L", "R") else h
        site = f"{where}_kneecap" if target == "knee" else f"{where}_toe_tip"
        if target in ("knee", "toe", "foot"):
            down.goals.append(
                {"kind": "reach", "effector": f"{h}_hand", "target": site, "weight": 0.5}
            )
    down.hold = f.seconds or 0.7
    rise = Step(1.1, {n: s.base(n) for n in dofs}, "straightens up")
    made = []
    for _ in range(f.count(1, 6)):
        made += [down, rise]
    return made


def touch_toes(f: Frame, s: State) -> list[Step]:
    """Bends down with nearly straight legs until the hands reach the feet."""
    return _touch_low(f, s, "B", "toe", "")


def think(f: Frame, s: State) -> list[Step]:
    """A hand at the chin, the other arm under the elbow."""
    side = one_arm(f)
    dofs = touch("chin", side) | angles("O_shoulder elev 25 plane 90 axial 75, O_elbow 88", side)
    made = Step(0.9, dofs | {"head_look.flex": 8.0, "head_look.lat": 5.0}, "ponders, hand at chin")
    back = release(s)
    back.dofs |= {"head_look.flex": 0.0, "head_look.lat": 0.0}
    return [made, Step(0.9, {"head_look.lat": -5.0}, "ponders", hold=f.seconds or 0.8), back]


def _rub(f: Frame, s: State, landmark: str, text: str, beat: float, swing: float) -> list[Step]:
    side = one_arm(f)
    base = touch(landmark, side)
    made = [Step(0.8, base, text)]
    for _ in range(f.count(3)):
        wrist, elbow = f"{side}_wrist.flex", f"{side}_elbow.flex"
        for sign in (1, -1):
            made.append(
                Step(
                    beat,
                    {
                        wrist: base.get(wrist, 0.0) + sign * swing,
                        elbow: base[elbow] - sign * swing / 3,
                    },
                    text,
                )
            )
    return [*made, release(s, side)]


def scratch(f: Frame, s: State) -> list[Step]:
    """Fingers over the head, or the part that is named."""
    part = next((x.part for x in f.limbs if x.prep != "with" and x.part in TOUCH), "head")
    part = "head" if part in ("hand", "arm") else part
    return _rub(f, s, part, f"scratches the {part.replace('_top', '')}", 0.2, 14)


def wipe(f: Frame, s: State) -> list[Step]:
    """The back of the hand along the forehead, or the part that is named."""
    part = next((x.part for x in f.limbs if x.prep != "with" and x.part in TOUCH), "forehead")
    side = one_arm(f)
    part = "forehead" if part in ("hand", "arm") else part
    made = [Step(0.8, touch(part, side), f"wipes the {part}")]
    name = f"{side}_shoulder.plane"
    base = made[0].dofs[name]
    for _ in range(f.count(2)):
        made.append(Step(0.35, {name: base - 28.0}, "wipes outwards"))
        made.append(Step(0.35, {name: base}, "wipes back"))
    return [*made, release(s, side)]


def pat(f: Frame, s: State) -> list[Step]:
    """Pats a part of the body, or the air beside the hip."""
    part = next((x.part for x in f.limbs if x.prep != "with" and x.part in TOUCH), "")
    side = one_arm(f)
    if set(f.text.split()) & ANIMALS:
        low = step(1.1, "bends down to it", f"{LOW_PAT}, A_shoulder elev 55 plane 82, A_elbow 12",
                   side, steady=True)  # fmt: skip
        made = [low]
        for _ in range(f.count(3)):
            made.append(step(0.4, "strokes it", "A_shoulder elev 40 plane 80, A_elbow 22", side))
            made.append(step(0.4, "strokes it", "A_shoulder elev 56 plane 82, A_elbow 10", side))
        back = Step(1.1, {n: s.base(n) for n in low.dofs} | arms_down(side), "straightens up")
        return [*made, back]
    if not part or part in ("hand", "arm", "wrist"):
        made = [step(0.7, "reaches out to pat", "A_shoulder elev 40 plane 70 axial 10, A_elbow 45 "
                     "pron 60, torso 10, head_look 12", side)]  # fmt: skip
        for _ in range(f.count(3)):
            made.append(step(0.2, "pats", "A_elbow 36, A_wrist 18", side))
            made.append(step(0.2, "pats", "A_elbow 50, A_wrist -10", side))
        back = release(s, side)
        back.dofs |= {"torso.flex": 0.0, "head_look.flex": 0.0}
        return [*made, back]
    part = "neck" if "neck" in f.text.split() else part
    return _rub(f, s, part, f"pats the {part}", 0.2, 16)


ANIMALS = {"cat", "cats", "kitten", "dog", "dogs", "puppy", "rabbit", "sheep", "animal", "pet"}
LOW_PAT = "B_hip 72, B_knee 62, B_ankle 20, torso 42, head_look -4"


def drink(f: Frame, s: State) -> list[Step]:
    """A cup from the hip to the mouth, a sip with the head back, and down."""
    side = one_arm(f)
    made = [
        step(0.6, "lifts a cup", "A_shoulder elev 25 plane 75 axial 15, A_elbow 85", side),
        Step(0.8, angles(TOUCH["cup"], side) | {"head_look.flex": -10.0}, "brings it to the mouth"),
    ]
    for _ in range(f.count(1, 4)):
        sip = step(0.5, "drinks, head tilted back", "head_look -24", side, hold=f.seconds or 0.8)
        sip.dofs[f"{side}_shoulder.elevation"] = 84.0
        made += [sip, step(0.4, "lowers the head", "head_look -6", side)]
    back = release(s, side, 0.9)
    back.dofs["head_look.flex"] = 0.0
    return [*made, back]


def eat(f: Frame, s: State) -> list[Step]:
    """Hand to mouth and back, a few bites."""
    side = one_arm(f)
    made = []
    for _n in range(f.count(3)):
        made.append(step(0.5, "takes food", "A_shoulder elev 28 plane 75 axial 20, A_elbow 85 "
                         "pron 20, head_look 10", side))  # fmt: skip
        bite = Step(0.55, touch("mouth", side) | {"head_look.flex": 4.0}, "eats", hold=0.2)
        made += [bite]
    back = release(s, side)
    back.dofs["head_look.flex"] = 0.0
    return [*made, back]


def phone(f: Frame, s: State) -> list[Step]:
    """A hand at the ear, small nods while talking."""
    side = one_arm(f)
    lean = 7.0 if side == "L" else -7.0
    made = [Step(0.9, touch("ear", side) | {"head_look.lat": lean}, "holds a phone to the ear")]
    seconds = f.seconds or 3.0
    for n in range(max(1, round(seconds / 1.0))):
        made.append(Step(0.5, {"head_look.flex": 8.0, "head_look.rot": 8.0 * (-1) ** n}, "listens"))
        made.append(Step(0.5, {"head_look.flex": 0.0}, "talks"))
    back = release(s, side, 0.8)
    back.dofs |= {"head_look.lat": 0.0, "head_look.rot": 0.0}
    return [*made, back]
