"""Playing somebody: robots, zombies, apes; poses and trades."""

from __future__ import annotations

from ..poses import BODY
from .common import (
    Frame,
    State,
    Step,
    angles,
    arms_down,
    release,
    rest_of,
    step,
)


def robot(f: Frame, s: State) -> list[Step]:
    """Right angles, stops between the moves; walks like that if the text says so."""
    if "walk" in f.text:
        from .locomotion import one_gait, rise_first

        stiff = angles("A_shoulder elev 4, A_elbow 90, O_shoulder elev 4, O_elbow 0")
        walk = one_gait(f, s, "walk", 0.0, 0.0)
        assert walk.gait is not None
        walk.gait |= {"arm_swing": 0.0, "swing_s": 0.5}
        walk.dofs, walk.text = stiff, "walks like a machine"
        return [*rise_first(f, s), Step(0.6, stiff, "lifts a forearm", ease="snap"), walk]
    made = []
    for lead in "RL" * f.count(1, 4):
        made.append(
            step(
                0.35,
                "moves like a machine",
                "A_shoulder elev 4, A_elbow 90, O_shoulder elev 4, O_elbow 0, torso rot 0",
                lead,
                hold=0.25,
                ease="snap",
            )
        )
        made.append(
            step(
                0.35,
                "turns at a right angle",
                f"torso rot {24 if lead == 'L' else -24}, head_look rot"
                f" {30 if lead == 'L' else -30}",
                lead,
                hold=0.25,
                ease="snap",
            )
        )
        made.append(
            step(
                0.35,
                "forearms change",
                "A_elbow 0, O_elbow 90, head_look rot 0",
                lead,
                hold=0.25,
                ease="snap",
            )
        )
    return [*made, Step(0.6, arms_down() | {"torso.rot": 0.0, "head_look.rot": 0.0}, "stands")]


def zombie(f: Frame, s: State) -> list[Step]:
    """Arms out in front, shuffling."""
    from .locomotion import one_gait, rise_first

    made = rise_first(f, s)
    arms = "B_shoulder elev 84 plane 82, B_elbow 6, B_wrist 25, torso 10, head_look lat 12 flex 6"
    walk = one_gait(f, s, "shuffle", 0.0, 0.0)
    walk.dofs = angles(arms)
    walk.text = "shuffles with the arms stretched out"
    s.held |= {"L", "R"}
    return [*made, step(0.9, "stretches out the arms", arms), walk]


def monkey(f: Frame, s: State) -> list[Step]:
    """Bent low with hanging arms, rolling from side to side."""
    from .locomotion import one_gait, rise_first

    low = "torso 42, B_shoulder elev 30 plane 50, B_elbow 20, B_collar 10, head_look -24"
    walk = one_gait(f, s, "stagger", 0.0, 0.0)
    assert walk.gait is not None
    walk.dofs, walk.text = angles(low), "walks like an ape"
    walk.gait |= {"crouch": 0.1, "lean_deg": 30.0, "arm_swing": 1.5, "width": 0.3}
    return [
        *rise_first(f, s),
        step(0.8, "bends low", low + ", B_hip 40, B_knee 50, B_ankle 18"),
        walk,
        Step(0.9, rest_of(angles(low)) | arms_down(), "stands upright", free=True),
    ]


def gymnast(f: Frame, s: State) -> list[Step]:
    """Feet together, arms high and open, chest out."""
    return [
        step(
            0.6,
            "strikes a pose",
            "B_shoulder elev 145 plane 15, B_elbow 4, B_collar 18, torso -8, head_look -10, B_knee"
            " 4, B_hip 2, B_ankle 2",
            hold=f.seconds or 1.2,
        ),
        Step(
            0.8,
            arms_down()
            | rest_of(
                (
                    "torso.flex",
                    "head_look.flex",
                    "L_knee.flex",
                    "R_knee.flex",
                    "L_hip.flex",
                    "R_hip.flex",
                    "L_ankle.dorsi",
                    "R_ankle.dorsi",
                )
            ),
            "stands relaxed",
            free=True,
        ),
    ]


def surf(f: Frame, s: State) -> list[Step]:
    """Low, sideways, arms out, swaying."""
    base = (
        "B_hip 48 abd 14, B_knee 58, B_ankle 18, torso 14 rot 20, B_shoulder elev 75 plane 5,"
        " B_elbow 12, head_look rot 30"
    )
    made = [step(0.8, "stands on a board", base)]
    for _ in range(f.count(3, 8)):
        made.append(step(0.6, "balances", "torso lat 12, B_shoulder elev 88 plane 5"))
        made.append(step(0.6, "balances", "torso lat -12, B_shoulder elev 62 plane 5"))
    return [*made, Step(0.8, arms_down() | rest_of([n for st in made for n in st.dofs]), "stands")]


def dig(f: Frame, s: State) -> list[Step]:
    """Down with the shovel, up and over to the side."""
    made = []
    for _ in range(f.count(2, 6)):
        made.append(
            step(
                0.8,
                "drives the shovel in",
                "torso 40 rot -10, B_hip 55, B_knee 50, B_ankle 16, A_shoulder elev 40 plane 95,"
                " A_elbow 30, O_shoulder elev 55 plane 90, O_elbow 10",
                hold=0.15,
            )
        )
        made.append(
            step(
                0.7,
                "throws it aside",
                "torso 12 rot 26, B_hip 20, B_knee 24, B_ankle 9, A_shoulder elev 50 plane 105,"
                " A_elbow 60, O_shoulder elev 60 plane 40, O_elbow 30",
            )
        )
    return [*made, Step(0.8, arms_down() | rest_of([n for st in made for n in st.dofs]), "stands")]


def put_on(f: Frame, s: State) -> list[Step]:
    """Both hands to the head (a hat), or along the body (a coat)."""
    from ..poses import touch

    head = any(w in f.text for w in ("hat", "cap", "helmet", "glasses", "mask"))
    made = [Step(0.8, touch("chest" if not head else "forehead", "B"), "takes hold")]
    made.append(
        Step(0.8, touch("head_top" if head else "shoulder", "B"), "puts it in place", hold=0.4)
    )
    return [*made, release(s)]


def dive(f: Frame, s: State) -> list[Step]:
    """Arms swing back, then overhead in a stretched pose on the toes; the flight itself is left
    out."""
    ready = step(
        0.8,
        "swings the arms back",
        "B_hip 70, B_knee 60, B_ankle 18, torso 40, B_shoulder elev 50 plane -60, head_look -20",
        hold=0.2,
    )
    reach = step(
        0.4,
        "swings them overhead",
        BODY["overhead"] + ", B_hip 9, B_knee 10, B_ankle 5, torso 8, head_look 8",
        hold=0.6,
    )
    return [ready, reach, release(s, "LR", 0.8)]
