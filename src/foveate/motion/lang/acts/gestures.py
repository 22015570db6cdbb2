"""Actions of the arms that are a pose to reach, a beat to repeat, and a way back: as a table.

The one thing to know: a row of `GESTURES` reads like Appendix notes of a choreographer. `start` is
reached in `up` seconds, then the poses of `beats` follow each other every `beat` seconds, `times`
rounds; `stay` seconds of hold follow, then the arms come down unless `keep` is set.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..score import ARM_JOINTS
from .common import WORD, Frame, State, Step, angles, arm_side, other, release


@dataclass(frozen=True)
class Gesture:
    """One row; see the file's docstring."""

    text: str
    start: str
    up: float = 0.7
    beats: tuple[str, ...] = ()
    beat: float = 0.3
    times: int = 3
    stay: float = 0.0
    keep: bool = False
    both: bool = False
    swap: bool = False
    """Whether the sides change roles with every round (drumming, climbing)."""


GESTURES: dict[str, Gesture] = {
    "wave": Gesture(
        "waves with the {side} hand",
        "A_shoulder elev 95 plane 20 axial -70, A_elbow 80, A_collar 10",
        beats=(
            "A_elbow 108, A_shoulder elev 90 plane 20 axial -70",
            "A_elbow 62, A_shoulder elev 97 plane 20 axial -70",
        ),
        beat=0.26,
    ),
    "beckon": Gesture(
        "beckons with the {side} hand",
        "A_shoulder elev 55 plane 80, A_elbow 45 pron -70",
        beats=("A_elbow 105, A_wrist 40", "A_elbow 50, A_wrist 0"),
        beat=0.32,
    ),
    "clap": Gesture(
        "claps",
        "B_shoulder elev 24 plane 50, B_elbow 95 pron -14, B_collar 4",
        up=0.5,
        beats=(
            "B_shoulder elev 31 plane 83 axial 39, B_elbow 88, B_wrist -24",
            "B_shoulder elev 24 plane 50, B_elbow 95, B_wrist 0",
        ),
        beat=0.18,
        times=4,
    ),
    "clap_high": Gesture(
        "claps overhead",
        "B_shoulder elev 150 plane 20, B_elbow 15, B_collar 20",
        beats=(
            "B_shoulder elev 168 plane 60, B_elbow 22, B_collar 22",
            "B_shoulder elev 145 plane 15, B_elbow 15",
        ),
        beat=0.24,
        times=4,
    ),
    "salute": Gesture(
        "salutes",
        "A_shoulder elev 95 plane 45 axial -32, A_elbow 125, A_wrist -5, A_collar 12, "
        "torso 0, head_look -3",
        up=0.5,
        stay=1.2,
    ),
    "shrug": Gesture(
        "shrugs",
        "B_collar 28, B_shoulder elev 22 plane 10 axial -35, B_elbow 75 pron -70, "
        "head_look lat 6 flex 4",
        up=0.4,
        stay=0.5,
    ),
    "pray": Gesture(
        "presses the palms together",
        "B_shoulder elev 21 plane 62 axial 50, B_elbow 120 pron 14, B_wrist -29, head_look 12",
        up=0.9,
        stay=1.5,
        keep=True,
    ),
    "hug": Gesture(
        "hugs",
        "B_shoulder elev 80 plane 30, B_elbow 25, torso 4",
        up=0.7,
        stay=0.3,
        beats=("B_shoulder elev 62 plane 100 axial 45, B_elbow 75, torso 8",),
        beat=0.6,
        times=1,
    ),
    "shake_hands": Gesture(
        "shakes a hand",
        "A_shoulder elev 38 plane 84 axial 5, A_elbow 52, torso 5",
        beats=(
            "A_shoulder elev 46 plane 84 axial 5, A_elbow 60",
            "A_shoulder elev 34 plane 84 axial 5, A_elbow 46",
        ),
        beat=0.22,
    ),
    "highfive": Gesture(
        "gives a high five",
        "A_shoulder elev 105 plane 55 axial -25, A_elbow 85, A_collar 12",
        up=0.5,
        beats=("A_shoulder elev 118 plane 78 axial -5, A_elbow 35",),
        beat=0.2,
        times=1,
        stay=0.3,
    ),
    "thumbsup": Gesture(
        "gives a thumbs up",
        "A_shoulder elev 55 plane 80 axial 10, A_elbow 60",
        stay=1.2,
    ),
    "drum": Gesture(
        "drums",
        "B_shoulder elev 22 plane 60 axial 15, B_elbow 85, torso 6",
        up=0.6,
        beats=(
            "A_elbow 62, A_wrist 15, O_elbow 100, O_wrist -15",
            "O_elbow 62, O_wrist 15, A_elbow 100, A_wrist -15",
        ),
        beat=0.2,
        times=6,
    ),
    "knock": Gesture(
        "knocks",
        "A_shoulder elev 62 plane 80 axial 0, A_elbow 95, A_wrist -20",
        up=0.6,
        beats=(
            "A_shoulder elev 70 plane 84 axial 0, A_elbow 72, A_wrist 12",
            "A_shoulder elev 62 plane 80 axial 0, A_elbow 95, A_wrist -20",
        ),
        beat=0.18,
    ),
    "wipe_surface": Gesture(
        "wipes a surface with the {side} hand",
        "A_shoulder elev 72 plane 70 axial -10, A_elbow 45, torso 6",
        up=0.8,
        beats=(
            "A_shoulder elev 85 plane 105 axial 10, A_elbow 50, torso rot 10",
            "A_shoulder elev 70 plane 95 axial 5, A_elbow 60, torso rot 4",
            "A_shoulder elev 70 plane 50 axial -15, A_elbow 50, torso rot -8",
            "A_shoulder elev 88 plane 60 axial -15, A_elbow 38, torso rot 0",
        ),
        beat=0.3,
    ),
    "conduct": Gesture(
        "gestures with both hands",
        "B_shoulder elev 35 plane 45 axial -5, B_elbow 85 pron -30",
        beats=(
            (
                "A_shoulder elev 48 plane 30 axial -25, A_elbow 70, O_shoulder elev 32 plane 55, "
                "O_elbow 95, head_look rot -8"
            ),
            (
                "O_shoulder elev 50 plane 35 axial -25, O_elbow 68, A_shoulder elev 30 plane 60, "
                "A_elbow 98, head_look rot 8 flex 4"
            ),
        ),
        beat=0.45,
    ),
    "guitar": Gesture(
        "plays the guitar",
        "A_shoulder elev 28 plane 5 axial 55, A_elbow 88, O_shoulder elev 42 "
        "plane 35 axial -15, O_elbow 85 pron -60, head_look 14 rot 8, torso 5",
        up=0.9,
        beats=("A_elbow 74, A_wrist 15", "A_elbow 96, A_wrist -15"),
        beat=0.22,
        times=5,
    ),
    "piano": Gesture(
        "plays the keys",
        "B_shoulder elev 39 plane 71 axial 40, B_elbow 55 pron 42, torso 8, head_look 14",
        up=0.8,
        beats=(
            "A_shoulder elev 42 plane 74 axial 40, A_wrist 18, O_wrist -8",
            "A_shoulder elev 37 plane 58 axial 34, A_wrist -8, O_wrist 18",
            "O_shoulder elev 42 plane 58 axial 34, O_wrist -6, A_wrist 14",
        ),
        beat=0.22,
        times=4,
    ),
    "violin": Gesture(
        "plays the violin",
        "O_shoulder elev 55 plane 62 axial -25, O_elbow 100 pron -75, "
        "A_shoulder elev 62 plane 80 axial 45, A_elbow 110, head_look lat 14 rot 22 flex 8",
        up=0.9,
        beats=(
            "A_elbow 62, A_shoulder elev 52 plane 62 axial 40",
            "A_elbow 118, A_shoulder elev 64 plane 86 axial 45",
        ),
        beat=0.45,
    ),
    "flute": Gesture(
        "plays the flute",
        "A_shoulder elev 55 plane 55 axial 25, A_elbow 125, O_shoulder elev 62 "
        "plane 95 axial 40, O_elbow 122, head_look lat -6 rot 10",
        up=0.9,
        beats=("B_wrist 10, torso lat 4", "B_wrist -6, torso lat -4"),
        beat=0.4,
    ),
    "stir": Gesture(
        "stirs",
        "A_shoulder elev 34 plane 78 axial 20, A_elbow 68 pron 40, O_shoulder elev 22 "
        "plane 50 axial 35, O_elbow 78, torso 10, head_look 20",
        up=0.8,
        beats=(
            "A_shoulder elev 38 plane 95 axial 26, A_elbow 62",
            "A_shoulder elev 46 plane 80 axial 16, A_elbow 50",
            "A_shoulder elev 36 plane 60 axial 10, A_elbow 62",
            "A_shoulder elev 28 plane 78 axial 20, A_elbow 78",
        ),
        beat=0.24,
    ),
    "text_phone": Gesture(
        "looks down at what the {side} hand holds",
        "A_shoulder elev 30 plane 68 axial 32, A_elbow 98 pron -40, O_shoulder elev 24 plane 60 "
        "axial 45, O_elbow 100, head_look 28, torso 5",
        up=0.9,
        beats=("O_wrist 12, O_elbow 97, head_look 30", "O_wrist 0, O_elbow 101, head_look 26"),
        beat=0.35,
    ),
    "curl": Gesture(
        "curls a weight",
        "B_shoulder elev 8 plane 40, B_elbow 18 pron -60",
        up=0.5,
        times=4,
        beats=(
            "B_shoulder elev 20 plane 78, B_elbow 138, B_wrist 12",
            "B_shoulder elev 8 plane 40, B_elbow 18, B_wrist 0",
        ),
        beat=0.7,
    ),
    "arm_circle": Gesture(
        "circles the {arms}",
        "B_shoulder elev 60 plane 75, B_elbow 5",
        up=0.4,
        times=2,
        beats=(
            "B_shoulder elev 120 plane 65, B_elbow 5, B_collar 12",
            "B_shoulder elev 170 plane 25 axial -20, B_elbow 5, B_collar 24",
            "B_shoulder elev 95 plane -15 axial -10, B_elbow 5, B_collar 8",
            "B_shoulder elev 22 plane 15, B_elbow 5, B_collar 0",
            "B_shoulder elev 60 plane 75, B_elbow 5",
        ),
        beat=0.24,
    ),
    "swing_arms": Gesture(
        "swings the arms",
        "A_shoulder elev 38 plane 85, O_shoulder elev 30 plane -60",
        up=0.4,
        beats=(
            "A_shoulder elev 30 plane -60, O_shoulder elev 38 plane 85, torso rot 6",
            "A_shoulder elev 38 plane 85, O_shoulder elev 30 plane -60, torso rot -6",
        ),
        beat=0.42,
    ),
    "flap": Gesture(
        "flaps the arms",
        "B_shoulder elev 95 plane 0, B_elbow 18, B_collar 12",
        up=0.6,
        beats=(
            "B_shoulder elev 45 plane 0, B_elbow 28, B_wrist -15, B_collar 0",
            "B_shoulder elev 112 plane 0, B_elbow 12, B_wrist 20, B_collar 18",
        ),
        beat=0.34,
        times=4,
    ),
    "shake_arm": Gesture(
        "shakes the {arms}",
        "B_shoulder elev 48 plane 65, B_elbow 60",
        up=0.5,
        times=4,
        beats=(
            "B_elbow 76, B_wrist 30, B_shoulder elev 50 plane 60",
            "B_elbow 52, B_wrist -30, B_shoulder elev 46 plane 70",
        ),
        beat=0.16,
    ),
    "juggle": Gesture(
        "juggles",
        "B_shoulder elev 18 plane 45, B_elbow 88 pron -70, head_look -14",
        up=0.6,
        beats=("A_elbow 112, O_elbow 76", "A_elbow 76, O_elbow 112"),
        beat=0.3,
        times=5,
    ),
    "dribble": Gesture(
        "dribbles a ball",
        "A_shoulder elev 32 plane 65 axial 10, A_elbow 82 pron 60, torso 18, "
        "B_knee 34, B_hip 30, B_ankle 12, head_look -8, O_shoulder elev 25 plane 40, O_elbow 50",
        up=0.6,
        beats=("A_elbow 48, A_wrist 30", "A_elbow 86, A_wrist -10"),
        beat=0.26,
        times=5,
    ),
    "steer": Gesture(
        "turns a steering wheel",
        "B_shoulder elev 55 plane 80 axial 12, B_elbow 45",
        up=0.8,
        beats=(
            (
                "A_shoulder elev 42 plane 80 axial 12, A_elbow 55, O_shoulder elev 76 plane 92 "
                "axial 12, O_elbow 38, torso rot -5"
            ),
            (
                "A_shoulder elev 76 plane 92 axial 12, A_elbow 38, O_shoulder elev 42 plane 80 "
                "axial 12, O_elbow 55, torso rot 5"
            ),
        ),
        beat=0.7,
    ),
    "swim": Gesture(
        "swims",
        "A_shoulder elev 165 plane 75, A_elbow 8, O_shoulder elev 30 plane -50, "
        "torso 28, head_look -16, B_knee 24, B_hip 18, B_ankle 9",
        up=0.8,
        times=3,
        swap=True,
        beats=(
            (
                "A_shoulder elev 80 plane 88, A_elbow 10, O_shoulder elev 85 plane 0 axial -20, "
                "O_elbow 60, torso rot -10"
            ),
            (
                "A_shoulder elev 28 plane -45, A_elbow 15, O_shoulder elev 165 plane 75, "
                "O_elbow 8, torso rot 12"
            ),
        ),
        beat=0.42,
    ),
    "swim_breast": Gesture(
        "swims breaststroke",
        "B_shoulder elev 95 plane 88 axial 10, B_elbow 8, torso 28, head_look -18",
        up=0.8,
        beats=(
            "B_shoulder elev 85 plane 20, B_elbow 15, head_look -26",
            "B_shoulder elev 35 plane 70 axial 30, B_elbow 120",
            "B_shoulder elev 95 plane 88 axial 10, B_elbow 8, head_look -14",
        ),
        beat=0.4,
    ),
    "swim_back": Gesture(
        "swims backstroke",
        "A_shoulder elev 170 plane 40, A_elbow 5, torso -8",
        up=0.8,
        swap=True,
        beats=(
            "A_shoulder elev 95 plane -15, A_elbow 12, O_shoulder elev 85 plane 85, torso rot -8",
            "A_shoulder elev 15 plane 10, O_shoulder elev 170 plane 40, O_elbow 5, torso rot 8",
        ),
        beat=0.5,
    ),
    "row": Gesture(
        "rows",
        "B_shoulder elev 62 plane 82, B_elbow 12, torso 32",
        up=0.8,
        beats=(
            "B_shoulder elev 40 plane -40 axial 15, B_elbow 112, torso -6",
            "B_shoulder elev 62 plane 82, B_elbow 12, torso 32",
        ),
        beat=0.6,
        times=3,
    ),
    "climb_rope": Gesture(
        "climbs hand over hand",
        "A_shoulder elev 155 plane 80, A_elbow 20, A_collar 20, "
        "O_shoulder elev 75 plane 80, O_elbow 95, head_look -18",
        up=0.7,
        times=3,
        beats=(
            (
                "O_shoulder elev 155 plane 80, O_elbow 20, O_collar 20, A_shoulder elev 75 "
                "plane 80, A_elbow 95, A_collar 4, torso lat 5"
            ),
            (
                "A_shoulder elev 155 plane 80, A_elbow 20, A_collar 20, O_shoulder elev 75 "
                "plane 80, O_elbow 95, O_collar 4, torso lat -5"
            ),
        ),
        beat=0.5,
    ),
    "pullup": Gesture(
        "pulls up at a bar",
        "B_shoulder elev 170 plane 40, B_elbow 10, B_collar 24",
        up=0.9,
        beats=(
            "B_shoulder elev 60 plane 30 axial -40, B_elbow 135, B_collar 0, head_look -10",
            "B_shoulder elev 170 plane 40, B_elbow 10, B_collar 24, head_look 0",
        ),
        beat=0.8,
        times=3,
    ),
    "warm_hands": Gesture(
        "shivers and rubs the hands",
        "B_shoulder elev 28 plane 74 axial 48, B_elbow 108, "
        "torso 14, B_collar 20, head_look 12, B_knee 24, B_hip 18, B_ankle 9",
        up=0.6,
        times=5,
        beats=("A_elbow 100, O_elbow 114, torso lat 2", "A_elbow 114, O_elbow 100, torso lat -2"),
        beat=0.16,
    ),
    "saw": Gesture(
        "saws",
        "A_shoulder elev 40 plane 80 axial 10, A_elbow 60, O_shoulder elev 40 plane 70, "
        "O_elbow 60, torso 22, B_knee 24, B_hip 20, B_ankle 8",
        up=0.8,
        times=4,
        beats=(
            "A_shoulder elev 30 plane -40, A_elbow 95, torso rot -10",
            "A_shoulder elev 48 plane 82 axial 10, A_elbow 40, torso rot 10",
        ),
        beat=0.4,
    ),
    "fish": Gesture(
        "casts a line and reels it in",
        "B_shoulder elev 105 plane 60 axial -35, B_elbow 110, torso -6",
        up=0.9,
        times=3,
        beats=(
            "B_shoulder elev 65 plane 82, B_elbow 35, torso 8",
            "A_shoulder elev 45 plane 80 axial 10, A_elbow 80",
            "A_shoulder elev 36 plane 80 axial 10, A_elbow 66",
        ),
        beat=0.3,
    ),
}
"""Primitive → how it goes. The acting side is the right one unless the text says otherwise."""


def gesture(name: str, f: Frame, s: State, **_: object) -> list[Step]:
    """The steps of a row of the table, with the side, count and duration of the frame."""
    g = GESTURES[name]
    side = arm_side(f)
    lead = side if side in ("L", "R") else "R"
    only = name in ONE_OR_BOTH and side in ("L", "R") and _arm_named(f)
    double = side == "B" and not _uses_both(g)

    def told(text: str, acting: str) -> dict[str, float]:
        found = angles(text, acting)
        if only:
            found = {n: v for n, v in found.items() if not n.startswith(other(acting) + "_")}
        return found | angles(text, other(acting)) if double else found

    text = g.text.format(
        side="both" if double else WORD[lead],
        arms=f"{WORD[lead]} arm" if only else "arms",
    )
    made = [Step(g.up, told(g.start, lead), text)]
    rounds = f.count(g.times)
    if f.times is None and f.seconds and g.beats:
        rounds = max(1, min(40, round(f.seconds / (g.beat * len(g.beats)))))
    for n in range(rounds):
        acting = other(lead) if g.swap and n % 2 else lead
        made += [Step(g.beat, told(beat, acting), text) for beat in g.beats]
    made[-1].hold = f.seconds if f.seconds and not g.beats else g.stay
    if g.keep:
        return made
    end = release(s, "LR" if double or (_uses_both(g) and not only) else lead)
    for name_ in {n for st in made for n in st.dofs}:
        if not name_[2:].startswith(ARM_JOINTS):
            end.dofs[name_] = s.base(name_)
    return [*made, end]


ONE_OR_BOTH = {"curl", "arm_circle", "shake_arm", "flap", "swing_arms"}
"""Told for both arms, but a named arm does it alone."""


def _uses_both(g: Gesture) -> bool:
    """Whether the row moves both arms whatever the side."""
    return any("B_" in text or "O_" in text for text in (g.start, *g.beats))


def _arm_named(f: Frame) -> bool:
    return any(limb.side in ("L", "R") for limb in f.limbs)
