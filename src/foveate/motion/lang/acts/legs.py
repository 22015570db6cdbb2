"""Actions of the legs: kicks, stamps, knees, balance. The weight moves before a foot leaves."""

from __future__ import annotations

from .common import (
    FEET,
    WORD,
    Frame,
    State,
    Step,
    arms_down,
    leg_side,
    on_both,
    on_one,
    other,
    rest_of,
    shift,
    step,
)

LEGS = [f"{s}_{j}" for s in "LR" for j in ("hip", "knee", "ankle", "foot")]


def stand_on_both(s: State, dt: float = 0.7) -> Step:
    """The lifted foot comes down; trunk, legs and (unless held) arms as before."""
    trunk = ("torso.flex", "torso.rot", "torso.lat", "head_look.flex", "head_look.rot")
    dofs = rest_of(trunk)
    for name in (f"{a}_{j}" for a in "LR" for j in ("hip", "knee", "ankle", "foot")):
        for dof in ("flex", "abd", "rot", "dorsi", "inv", "ext"):
            full = f"{name}.{dof}"
            if full in s.dofs or full in rest_of(s.dofs):
                dofs[full] = s.base(full)
    free = "".join(a for a in "LR" if a not in s.held)
    dofs |= {f"{a}_hip.abd": 0.0 for a in "LR"} | {f"{a}_hip.rot": 0.0 for a in "LR"}
    made = Step(dt, dofs | (arms_down(*free) if free else {}), "stands on both feet", steady=True)
    return on_both(made)


KICKS = {
    "front": ("A_hip 62, A_knee 85, torso -4", "A_hip 78, A_knee 8, torso -8"),
    "side": (
        "A_hip 45 abd 30 rot 20, A_knee 85, torso lat {}",
        "A_hip 20 abd 52, A_knee 6, torso lat {}",
    ),
    "back": ("A_hip 40, A_knee 80, torso 6", "A_hip -24, A_knee 12, torso 32, head_look -18"),
    "round": (
        "A_hip 55 abd 40 rot 10, A_knee 100, torso rot {}",
        "A_hip 62 abd 42, A_knee 8, torso rot {}",
    ),
}
"""Kind → chambered, extended."""


def kick(f: Frame, s: State) -> list[Step]:
    """Weight over, knee up, foot out, knee back, foot down."""
    side = leg_side(f)
    where = f.setting("kind") or f.direction("front")
    kind = {"forward": "front", "left": "side", "right": "side", "out": "side", "up": "front"}.get(
        where, where
    )
    if where in ("left", "right"):
        side = where[0].upper()
    kind = kind if kind in KICKS else "front"
    stance = other(side)
    sign = 1 if side == "R" else -1  # away from the kicking leg is +lat for a right kick
    lean, turn = str(14 * sign), str(18 * sign)
    chamber, out = (t.format(lean if kind == "side" else turn) for t in KICKS[kind])
    arms = "A_shoulder elev 40 plane -45, A_elbow 30, O_shoulder elev 55 plane 60, O_elbow 70"
    # straightening the standing knee while the other leg goes out keeps the hips level
    stand = "O_hip 8, O_knee 10, O_ankle 4"
    high = "high" in f.flags or f.direction() == "up"
    made = []
    for _ in range(f.count(1, 6)):
        made.append(shift(stance))
        made.append(
            on_one(
                stance,
                step(0.45, f"lifts the {WORD[side]} knee", f"{chamber}, {stand}, {arms}", side),
            )
        )
        blow = step(
            0.3, f"kicks with the {WORD[side]} leg", out, side, ease="decelerate", hold=0.15
        )
        if high:
            blow.dofs[f"{side}_hip.flex"] = 98.0
        made.append(on_one(stance, blow))
        made.append(
            on_one(
                stance, step(0.35, "draws the foot back", f"{chamber}, A_hip 45 abd 0 rot 0", side)
            )
        )
        made.append(stand_on_both(s, 0.6))
    return made


def lift_leg(f: Frame, s: State) -> list[Step]:
    """A straight leg goes up: forwards, to the side or back."""
    side = leg_side(f)
    where = f.direction("forward", among=("side", "back", "out", "left", "right", "forward"))
    amount = f.degrees
    if where in ("side", "out", "left", "right"):
        dofs = (
            f"A_hip 8 abd {min(amount or 40, 58)}, A_knee 6, torso lat {8 if side == 'R' else -8}"
        )
    elif where == "back":
        dofs = f"A_hip {-min(amount or 24, 28)}, A_knee 10, torso 14"
    else:
        dofs = f"A_hip {min(amount or 62, 100)}, A_knee 6, torso -4"
    text = f"lifts the {WORD[side]} leg"
    return _one_leg(f, s, side, dofs, text, f.count(1, 6), hold=f.seconds or 0.9)


def knee_lift(f: Frame, s: State) -> list[Step]:
    """A bent knee comes up to hip height or higher."""
    limb = f.limb("knee", "leg")
    chest = "chest" in f.text
    flex = 108 if chest or "high" in f.flags else 82
    fast = f.setting("fast")
    dofs = f"A_hip {flex}, A_knee 98, torso {6 if chest else 0}"
    if limb and limb.side == "B":
        made = []
        for n in range(f.count(1, 6) * 2):
            side = "RL"[n % 2]
            made += _one_leg(f, s, side, dofs, f"lifts the {WORD[side]} knee", 1, hold=0.2)
        return made
    side = leg_side(f)
    return _one_leg(f, s, side, dofs, f"lifts the {WORD[side]} knee", f.count(1, 8),
                    hold=0.2 if fast else f.seconds or 0.7, up=0.35 if fast else 0.6)  # fmt: skip


def one_leg(f: Frame, s: State) -> list[Step]:
    """Balance: one foot off the floor, arms out a little, held."""
    limb = f.limb("leg", "foot")
    lifted_named = "lift" in f.text or "rais" in f.text
    stance = limb.side if limb and limb.side in ("L", "R") else "L"
    side = stance if lifted_named and limb and limb.side in "LR" and limb.side else other(stance)
    arms = "" if s.held else ", B_shoulder elev 55 plane 5, B_elbow 10"
    dofs = f"A_hip 42, A_knee 70, O_knee 10, O_hip 6, O_ankle 3{arms}"
    return _one_leg(f, s, side, dofs, f"balances on the {WORD[other(side)]} leg", 1,
                    hold=f.seconds or 2.0, up=0.8)  # fmt: skip


POSES = {
    "tree": ("A_hip 70 abd 40 rot -40, A_knee 125, O_knee 8, O_hip 5, O_ankle 3",
             "B_shoulder elev 172 plane 40, B_elbow 20, B_collar 22"),
    "crane": ("A_hip 85, A_knee 95, O_knee 16, O_hip 10, O_ankle 5",
              "B_shoulder elev 110 plane 10, B_elbow 25, B_wrist 40, B_collar 12"),
}  # fmt: skip


def yoga(f: Frame, s: State) -> list[Step]:
    """Tree, crane (on one leg) or warrior (in a long stance)."""
    kind = f.setting("pose", "tree")
    side = leg_side(f)
    if kind == "warrior":
        from .bending import stride_pose

        return stride_pose(f, s, side, "B_shoulder elev 90 plane 0, B_elbow 3", "warrior pose",
                           f.seconds or 2.0)  # fmt: skip
    leg, arms = POSES[kind]
    return _one_leg(f, s, side, f"{leg}, {arms}", f"{kind} pose", 1, hold=f.seconds or 2.0, up=1.0)


def _one_leg(
    f: Frame, s: State, side: str, told: str, text: str, rounds: int, hold: float, up: float = 0.7
) -> list[Step]:
    """Shift the weight, take the pose on the other leg, hold, come down; again."""
    stance, made = other(side), []
    for _ in range(rounds):
        made.append(shift(stance, 0.6))
        made.append(on_one(stance, step(up, text, told, side, hold=hold)))
        made.append(stand_on_both(s, max(0.6, up)))
    return made


def stomp(f: Frame, s: State) -> list[Step]:
    """Knee up, foot hard down."""
    limb = f.limb("foot", "leg", "heel")
    one = limb is not None and limb.side in ("L", "R")
    made = []
    for n in range(f.count(2, 10)):
        side = leg_side(f) if one else "RL"[n % 2]
        made.append(shift(other(side), 0.45))
        made.append(
            on_one(
                other(side),
                step(0.3, f"lifts the {WORD[side]} foot", "A_hip 55, A_knee 75, torso 6", side),
            )
        )
        down = stand_on_both(s, 0.2)
        down.ease, down.text, down.hold = "accelerate", f"stamps the {WORD[side]} foot", 0.1
        made.append(down)
    return made


def tap_foot(f: Frame, s: State) -> list[Step]:
    """The toes go up and down, the heel stays."""
    side = leg_side(f)
    made = []
    for _ in range(f.count(5, 20)):
        made.append(step(0.2, f"taps the {WORD[side]} foot", "A_foot 30", side))
        made.append(step(0.2, "toes down", "A_foot 0", side))
    return made


def swing_leg(f: Frame, s: State) -> list[Step]:
    """A leg swings back and forth (or in a circle) on the other."""
    side = leg_side(f)
    stance = other(side)
    arms = "O_shoulder elev 40 plane 10, A_shoulder elev 40 plane 10"
    if f.setting("kind") == "circle":
        beats = ["A_hip 45, A_knee 8", "A_hip 20 abd 38, A_knee 8", "A_hip -16 abd 10, A_knee 14"]
    elif "sidetoside" in f.flags or f.direction() in ("side", "left", "right"):
        beats = ["A_hip 18 abd 38, A_knee 8", "A_hip 22 abd -12, A_knee 10"]
    else:
        beats = [f"A_hip 48, A_knee 10, {arms}", f"A_hip -22, A_knee 24, torso 6, {arms}"]
    made = [shift(stance)]
    for _ in range(f.count(3, 8)):
        made += [on_one(stance, step(0.5, f"swings the {WORD[side]} leg", b, side)) for b in beats]
    return [*made, stand_on_both(s)]


def heel_raise(f: Frame, s: State) -> list[Step]:
    """Up on the toes and down."""
    made = []
    for _ in range(f.count(1, 10)):
        up = step(0.7, "rises onto the toes", "B_ankle -26, B_foot 28, B_knee 6, B_hip 4",
                  hold=f.seconds or 0.8, steady=True)  # fmt: skip
        up.contacts = ["L_toes", "R_toes"]
        down = step(0.7, "lowers the heels", "B_ankle 5, B_foot 0, B_knee 14, B_hip 9", steady=True)
        down.contacts = list(FEET)
        made += [up, down]
    return made


def bend_knees(f: Frame, s: State) -> list[Step]:
    """A shallow squat; a named knee alone is bent backwards."""
    limb = f.limb("knee", "leg")
    if limb and limb.side in ("L", "R"):
        return _one_leg(
            f,
            s,
            limb.side,
            "A_hip 8, A_knee 85",
            f"bends the {WORD[limb.side]} knee",
            f.count(1, 6),
            hold=f.seconds or 0.6,
        )
    made = []
    for _ in range(f.count(1, 10)):
        made.append(
            step(
                0.7,
                "bends the knees",
                "B_hip 44, B_knee 62, B_ankle 20, torso 10",
                hold=f.seconds or 0.4,
                steady=f.amount >= 1,
            )
        )
        made.append(Step(0.7, s.angles(*LEGS) | {"torso.flex": 0.0}, "straightens the knees"))
    return made


def weight_shift(f: Frame, s: State) -> list[Step]:
    """The weight goes from foot to foot, both stay down."""
    where = f.direction(among=("left", "right"))
    order = [where[0].upper()] if where else ["L", "R"]
    made = []
    for _ in range(f.count(1 if where else 2, 8)):
        for side in order:
            made.append(shift(side, 0.8))
            made[-1].contacts = list(FEET)
            made[-1].hold = 0.2
            made[-1].dofs = {"torso.lat": -4.0 if side == "L" else 4.0}
    made.append(Step(0.7, {"torso.lat": 0.0}, "stands on both feet", contacts=list(FEET)))
    return made
