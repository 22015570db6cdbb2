"""Postures: sitting, lying, kneeling, squatting, bending, and how to get up again."""

from __future__ import annotations

from .common import (
    FEET,
    Frame,
    State,
    Step,
    rest_of,
    step,
)

SEAT_HEIGHT = 0.44
"""Metres; what is sat on when the scene has no seat."""


def stand(f: Frame, s: State) -> list[Step]:
    """Stands (or keeps whatever posture it has) for a while."""
    if s.posture != "stand" and f.verb == "stand":
        return stand_up(f, s)
    return [
        Step(0.5, {}, "stands still" if s.posture == "stand" else "stays", hold=f.seconds or 1.2)
    ]


def hold(f: Frame, s: State) -> list[Step]:
    """Keeps the pose as it is."""
    return [Step(0.2, {}, "holds the pose", hold=f.seconds or 1.5)]


def neutral(f: Frame, s: State) -> list[Step]:
    """Back to relaxed standing."""
    if s.posture != "stand":
        return stand_up(f, s)
    s.held.clear()
    return [Step(0.8, rest_of(s.dofs), "stands relaxed", contacts=list(FEET))]


def straighten(f: Frame, s: State) -> list[Step]:
    """Up from any posture, upright."""
    if s.posture not in ("stand", "squat"):
        return stand_up(f, s)
    s.posture = "stand"
    dofs = {n: v for n, v in rest_of(s.dofs).items() if trunk_or_leg(n)}
    return [Step(0.8, dofs, "stands up straight", contacts=list(FEET), hold=0.3)]


def trunk_or_leg(name: str) -> bool:
    joint = name.split(".")[0]
    return joint in ("torso", "head_look") or joint[2:] in ("hip", "knee", "ankle", "foot")


def sit(f: Frame, s: State) -> list[Step]:
    """Down onto a seat behind: hips back over bent knees, then the trunk upright."""
    if s.posture == "sit":
        return [Step(0.4, {}, "sits", hold=f.seconds or 1.0)]
    before: list[Step] = [] if s.posture == "stand" else stand_up(f, s)
    name, seat = _seat(s)
    made = before
    turn, away = seat.get("turn", 0.0), seat.get("away", 0.0)
    if away > 0.2 and not before:
        from .locomotion import to_object

        made = [*made, *to_object(s, name)]
    elif abs(turn) > 30:
        made = [*made, Step(1.0, {}, "turns around", gait={"kind": "turn", "turn_deg": turn})]
    s.posture, s.seat = "sit", name
    arms = "" if s.held else ", B_shoulder elev 62 plane 86, B_elbow 8"
    contacts = [*FEET, {"part": "pelvis", "surface": name}]
    lower = step(
        1.4,
        "bends and lowers onto the seat",
        f"B_hip 112, B_knee 98, B_ankle 14, torso 48, head_look -14{arms}",
        hold=0.2,
        steady=True,
        contacts=contacts,
    )
    arms = "" if s.held else ", B_shoulder elev 22 plane 80, B_elbow 42"
    up = step(1.0, "sits upright", f"B_hip 92, B_knee 90, B_ankle 2, torso 0, head_look 0{arms}",
              hold=f.seconds or 1.0, steady=True)  # fmt: skip
    return [*made, lower, up]


def _seat(s: State) -> tuple[str, dict[str, float]]:
    """Name of the seat and how far and how turned it is; see `props.py`."""
    for name, entry in s.scene.items():
        if "sit" in entry.affordances:
            from ..props import bearing

            return name, bearing(entry, s.where)
    return "chair", {}


def sit_floor(f: Frame, s: State) -> list[Step]:
    """Down to the floor by a squat, legs crossed."""
    before = [] if s.posture == "stand" else stand_up(f, s)
    s.posture = "sit_floor"
    squat = step(
        1.1,
        "squats low",
        "B_hip 112, B_knee 125, B_ankle 32, torso 40, B_shoulder elev 60 plane 86",
        steady=True,
    )
    down = step(
        0.9,
        "sits back onto the floor",
        "B_hip 105 abd 18, B_knee 118, B_ankle 10, torso 30, B_shoulder elev 35 plane 60",
        steady=True,
        contacts=[*FEET, "pelvis"],
    )
    cross = step(1.0, "sits with crossed legs", "B_hip 92 abd 38 rot -30, B_knee 125, B_ankle -10, "
                 "torso 10, head_look 0, B_shoulder elev 22 plane 55 axial 15, B_elbow 55",
                 hold=f.seconds or 1.5, steady=True)  # fmt: skip
    return [*before, squat, down, cross]


def stand_up(f: Frame, s: State) -> list[Step]:
    """Up to standing from whatever posture."""
    was, s.posture = s.posture, "stand"
    s.held.clear()
    seat, s.seat = s.seat, ""
    home = Step(1.0, rest_of(s.dofs), "stands", steady=True, contacts=list(FEET))
    home.root = {"pitch_deg": 0.0, "roll_deg": 0.0} if was in LOW else {}
    arms = "B_shoulder elev 55 plane 86, B_elbow 15"
    squat = step(0.9, "rises", f"B_hip 105 abd 0 rot 0, B_knee 112, B_ankle 30, torso 40, {arms}",
                 steady=True, contacts=list(FEET))  # fmt: skip
    match was:
        case "stand":
            return [
                Step(
                    0.6,
                    {n: v for n, v in rest_of(s.dofs).items() if trunk_or_leg(n)},
                    "stands upright",
                    contacts=list(FEET),
                )
            ]
        case "sit":
            lean = step(
                0.8,
                "leans forward",
                f"B_hip 112, B_knee 106, B_ankle 20, torso 48, head_look -14, {arms}",
                steady=True,
            )
            home.dt = 1.6
            rests = {"part": "pelvis", "surface": seat or "chair"}
            tuck = [
                step(
                    0.5,
                    "draws a foot back",
                    f"{foot[0]}_knee 106, {foot[0]}_ankle 16",
                    steady=True,
                    contacts=[{"part": foot, "step": [-0.1, 0.0]}, other, rests],
                )
                for foot, other in (FEET, FEET[::-1])
            ]
            lean.contacts = [*FEET, rests]
            return [*tuck, lean, home]
        case "kneel" | "half_kneel":
            from .kneeling import rise_from_knees

            return rise_from_knees(s, was, home)
        case "lie":
            up = step(
                1.4,
                "sits up",
                "B_hip 95, B_knee 80, torso 30, B_shoulder elev 35 plane -30",
                steady=True,
            )
            up.root, up.contacts = {"pitch_deg": -10.0}, ["pelvis", *FEET]
            squat.root = {"pitch_deg": 0.0}
            return [up, squat, home]
        case "sit_floor":
            tuck = step(
                0.9,
                "draws the feet in",
                "B_hip 112 abd 12 rot 0, B_knee 130, B_ankle 12, torso 36, B_shoulder elev 30"
                " plane 60",
                steady=True,
            )
            return [tuck, squat, home]
        case "crawl" | "plank":
            up = step(
                1.0,
                "kneels up",
                "B_hip 4, B_knee 95, torso 5, B_shoulder elev 20 plane 60",
                steady=True,
            )
            up.root, up.contacts = {"pitch_deg": 0.0}, ["L_knee", "R_knee", "L_toes", "R_toes"]
            s.posture = "kneel"
            return [up, *stand_up(f, s)]
    return [home]


LOW = ("lie", "crawl", "plank", "kneel")


def lie(f: Frame, s: State) -> list[Step]:
    """Down to the floor (or a bed) by sitting, then the back."""
    seat = s.scene.get(s.seat)
    on_chair = s.posture == "sit" and seat is not None and "lie" not in seat.affordances
    if on_chair and f.verb in ("sleep", "nap", "take"):
        told = "head_look 30 lat 8, torso 12, B_shoulder elev 18 plane 60, B_elbow 45"
        return [step(1.8, "nods off, sitting", told, hold=f.seconds or 2.0)]
    before = [] if s.posture in ("stand", "sit_floor", "sit") else stand_up(f, s)
    bed = next((n for n, e in s.scene.items() if "lie" in e.affordances), None)
    was, s.posture = s.posture, "lie"
    made = list(before)
    surface = bed or "floor"
    if bed:
        if was != "sit":
            made += sit(f, s)[-2:]
            made[-2].contacts = [*FEET, {"part": "pelvis", "surface": bed}]
            s.posture = "lie"
    elif was == "stand" or before:
        arms = "B_shoulder elev 75 plane 86, B_elbow 8"
        made += [
            step(1.2, "squats low", f"B_hip 122, B_knee 138, B_ankle 35, torso 50, {arms}",
                 steady=True),
            step(0.9, "sits back onto the floor", f"B_hip 118 abd 4, B_knee 104, B_ankle 6, "
                 f"torso 74, head_look 30, {arms}", steady=True, contacts=[*FEET, "pelvis"],
                 root={"pitch_deg": -20.0}),
        ]  # fmt: skip
    arms = "B_shoulder elev 50 plane 86, B_elbow 30"
    back = step(1.3, "leans back with a round back", f"B_hip 60 abd 0 rot 0, B_knee 90, torso 60, "
                f"head_look 30, {arms}", steady=True)  # fmt: skip
    back.root, back.contacts = {"pitch_deg": -35.0}, [*_on(surface, "pelvis"), *FEET]
    down = step(1.2, "rolls down vertebra by vertebra", "B_hip 30, torso 42, head_look 30",
                steady=True)  # fmt: skip
    down.root, down.contacts = {"pitch_deg": -72.0}, [*_on(surface, "pelvis"), *FEET]
    flat = step(1.2, "lays the head down", "B_hip 0, torso 0, head_look 0, B_shoulder elev 16 plane"
                " -30, B_elbow 6", steady=True)  # fmt: skip
    flat.root, flat.contacts = {"pitch_deg": -96.0}, [*_on(surface, "pelvis", "back"), *FEET]
    made += [back, down, flat]
    if not bed:
        made.append(step(1.4, "stretches the legs", "B_hip 0, B_knee 6, B_ankle -12", steady=True))
        made[-1].root, made[-1].contacts = {"pitch_deg": -94.0}, _on(surface, "pelvis", "back")
    made[-1].hold = f.seconds or 1.5
    return made


def _on(surface: str, *parts: str) -> list[dict[str, str]]:
    return [{"part": p, "surface": surface} for p in parts]
