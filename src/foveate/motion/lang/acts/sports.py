"""Sports: swings, serves and shots as wind-up, strike and follow-through."""

from __future__ import annotations

from .combat import stand_back
from .common import Frame, State, Step, one_arm, step

Beat = tuple[float, str, str, float]

SHOTS: dict[str, tuple[Beat, ...]] = {
    # seconds, text, angles ({+n} turns towards the acting side's opposite), hold
    "golf": (
        (
            0.8,
            "addresses the ball",
            (
                "torso 34 rot 0, B_hip 28, B_knee 24, B_ankle 6, B_shoulder elev 44 plane 100 axial"
                " 12, B_elbow 6, head_look 16"
            ),
            0.4,
        ),
        (
            0.9,
            "swings back",
            (
                "torso 28 rot {-40}, A_shoulder elev 95 plane 60, A_elbow 80, O_shoulder elev 95"
                " plane 120, O_elbow 10, head_look 16 rot {34}"
            ),
            0.15,
        ),
        (
            0.3,
            "strikes",
            (
                "torso 32 rot {10}, A_shoulder elev 48 plane 105, A_elbow 8, O_shoulder elev 48"
                " plane 90, O_elbow 8, head_look 16 rot 0"
            ),
            0.0,
        ),
        (
            0.4,
            "follows through",
            (
                "torso 4 rot {46}, B_hip 12, B_knee 14, A_shoulder elev 100 plane 122, A_elbow 20,"
                " O_shoulder elev 95 plane 40, O_elbow 90, head_look 0 rot {30}"
            ),
            0.6,
        ),
    ),
    "bat": (
        (
            0.8,
            "raises the bat",
            (
                "torso 14 rot {-30}, B_hip 26, B_knee 32, B_ankle 11, A_shoulder elev 60 plane 40"
                " axial -10, A_elbow 125, O_shoulder elev 78 plane 118 axial 60, O_elbow 85,"
                " head_look rot {40}"
            ),
            0.4,
        ),
        (
            0.28,
            "swings",
            (
                "torso 12 rot {20}, A_shoulder elev 75 plane 100, A_elbow 25, O_shoulder elev 75"
                " plane 70, O_elbow 20, head_look rot {10}"
            ),
            0.0,
        ),
        (
            0.35,
            "follows through",
            (
                "torso 4 rot {50}, A_shoulder elev 85 plane 122, A_elbow 40, O_shoulder elev 85"
                " plane 10, O_elbow 100, head_look rot 0"
            ),
            0.5,
        ),
    ),
    "tennis": (
        (
            0.7,
            "tosses the ball",
            (
                "torso -10 rot {-26}, O_shoulder elev 150 plane 70, O_elbow 8, A_shoulder elev 80"
                " plane -20 axial -40, A_elbow 95, B_knee 34, B_hip 22, B_ankle 12, head_look -26"
            ),
            0.2,
        ),
        (
            0.25,
            "strikes overhead",
            (
                "torso 6 rot {14}, A_shoulder elev 165 plane 70, A_elbow 8, O_shoulder elev 45"
                " plane 60, O_elbow 90, B_knee 8, B_hip 5, B_ankle 2, head_look -16"
            ),
            0.0,
        ),
        (
            0.3,
            "follows through",
            (
                "torso 28 rot {32}, A_shoulder elev 45 plane 115, A_elbow 25, head_look 4, B_knee"
                " 22, B_hip 18, B_ankle 8"
            ),
            0.4,
        ),
    ),
    "forehand": (
        (
            0.6,
            "takes the racket back",
            (
                "torso 8 rot {-40}, A_shoulder elev 65 plane -20, A_elbow 40, O_shoulder elev 60"
                " plane 80, O_elbow 25, B_knee 32, B_hip 24, B_ankle 11, head_look rot {30}"
            ),
            0.15,
        ),
        (
            0.26,
            "strikes",
            "torso 6 rot {10}, A_shoulder elev 62 plane 75, A_elbow 25, head_look rot 0",
            0.0,
        ),
        (
            0.35,
            "follows through",
            "torso 4 rot {40}, A_shoulder elev 95 plane 120, A_elbow 85",
            0.3,
        ),
    ),
    "basketball": (
        (
            0.7,
            "brings the ball up",
            (
                "B_hip 46, B_knee 56, B_ankle 18, torso 12, A_shoulder elev 80 plane 84, A_elbow"
                " 115, O_shoulder elev 74 plane 90 axial 10, O_elbow 112, head_look -12"
            ),
            0.15,
        ),
        (
            0.35,
            "shoots",
            (
                "B_hip 5, B_knee 5, B_ankle -8, torso -4, A_shoulder elev 145 plane 84, A_elbow 12,"
                " A_wrist 40, O_shoulder elev 125 plane 70, O_elbow 40, head_look -22"
            ),
            0.5,
        ),
    ),
    "archery": (
        (
            0.9,
            "raises the bow",
            (
                "torso rot {-25}, O_shoulder elev 88 plane 62, O_elbow 3, A_shoulder elev 78 plane"
                " 95 axial 20, A_elbow 60, head_look rot {25}"
            ),
            0.2,
        ),
        (
            1.0,
            "draws the string",
            "A_shoulder elev 84 plane 50 axial 26, A_elbow 138, A_wrist -20, A_collar prot -10",
            1.0,
        ),
        (0.15, "lets go", "A_shoulder elev 88 plane 20, A_elbow 120", 0.6),
    ),
    "aim_gun": (
        (
            0.7,
            "takes aim",
            (
                "A_shoulder elev 68 plane 82 axial 28, A_elbow 108, O_shoulder elev 90 plane 106"
                " axial 14, O_elbow 26, head_look flex 6 lat {-8}, torso rot {-8}"
            ),
            0.9,
        ),
        (0.12, "fires", "A_shoulder elev 74 plane 80 axial 28, torso -4", 0.1),
        (0.3, "steadies", "A_shoulder elev 68 plane 82 axial 28, torso 0", 0.4),
    ),
}
"""Action → beats. {n} is an angle towards the acting side's own side when negative."""


def shot(name: str, f: Frame, s: State) -> list[Step]:
    """The beats of a row, as often as the text says, and back to standing."""
    import re

    side = one_arm(f)
    sign = 1 if side == "R" else -1
    made = []
    for _ in range(f.count(1, 5)):
        for n, (dt, text, told, hold) in enumerate(SHOTS[name]):
            turned = re.sub(r"\{(-?\d+)\}", lambda m: str(int(m[1]) * sign), told)
            ease = "accelerate" if dt < 0.3 and n else "smooth"
            made.append(step(dt, text, turned, side, hold=hold, ease=ease))
    back = stand_back(s, 0.9)
    back.dofs |= {
        "torso.lat": 0.0,
        "head_look.lat": 0.0,
        "R_collar.prot": 0.0,
        "L_collar.prot": 0.0,
    }
    return [*made, back]
