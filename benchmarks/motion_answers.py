"""Record conversations for the motion benchmark: python -m benchmarks.motion_answers.

The one thing to know: the answers are written by hand, not by a model, and are recorded under the
name "by-hand". Replaying them tests the way from a model's answers to a motion (parsing, repair,
bounds, poses, physics), not how well a model plans.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("conversations")
FEET = [{"part": "left_foot", "on": "floor"}, {"part": "right_foot", "on": "floor"}]
STAND = {"B_hip.flex": 9, "B_knee.flex": 14, "B_ankle.dorsi": 5, "torso.flex": 0, "torso.rot": 0}
Row = tuple[float, str, dict[str, str], dict[str, Any], dict[str, Any]]
"""Seconds, sentence, sentences of parts, angles and goals, fields of the outline."""


def arms(elevation: float, plane: float = 0, axial: float = 0, elbow: float = 10, side: str = "B"
         ) -> dict[str, float]:  # fmt: skip
    """Angles of an arm."""
    return {
        f"{side}_shoulder.elevation": elevation, f"{side}_shoulder.plane": plane,
        f"{side}_shoulder.axial": axial, f"{side}_elbow.flex": elbow,
    }  # fmt: skip


def legs(hip: float, knee: float, ankle: float) -> dict[str, float]:
    """Angles of both legs."""
    return {"B_hip.flex": hip, "B_knee.flex": knee, "B_ankle.dorsi": ankle}


GUARD = arms(52, 64, 20, 126)
HANG = arms(8)
LOW = {**legs(95, 110, 30), "torso.flex": 24, "head_look.flex": -14, **arms(80, 88, 0, 8)}
UP = ({"left_leg": "straight", "right_leg": "straight"}, {**STAND, **HANG, "head_look.flex": 0})

ANSWERS: dict[str, tuple[str, list[Row], dict[str, Any]]] = {
    "wave-right": ("lift, swing, lower", [
        (0.65, "The right hand is up beside the head.", {"right_arm": "upper arm level, forearm "
         "up"}, arms(95, 20, -70, 80, "R"), {}),
        (0.28, "The right hand has swung out.", {"right_arm": "forearm outwards"},
         {"R_elbow.flex": 56}, {}),
        (0.28, "The right hand has swung in.", {"right_arm": "forearm inwards"},
         {"R_elbow.flex": 106}, {}),
        (0.75, "Stands relaxed.", {"right_arm": "hangs"}, arms(8, side="R"), {}),
    ], {"cycle": {"first": 0, "last": 2, "count": 3}}),
    "both-up": ("both arms swing up together", [
        (0.9, "Both arms are straight up.", {"left_arm": "straight up", "right_arm": "straight up"},
         arms(168, 60, 0, 6), {"hold": 0.6}),
        (1.1, "Stands relaxed.", {"left_arm": "hangs", "right_arm": "hangs"}, HANG, {}),
    ], {}),
    "walk": ("five steps of half a metre", [
        (3.4, "Has walked forward.", {"left_leg": "steps", "right_leg": "steps"}, {},
         {"travel_forward": 2.2}),
        (0.6, "Stands with feet together.", {"pelvis": "over both feet"}, STAND, {}),
    ], {}),
    "walk-old": ("a short slow walk, bent", [
        (3.2, "Has walked a metre.", {"left_leg": "short steps", "right_leg": "short steps"},
         {"torso.flex": 24, "head_look.flex": -6}, {"travel_forward": 1.0}),
        (0.8, "Stands bent.", {"torso": "bent"}, {"torso.flex": 26}, {}),
    ], {}),
    "jump": ("crouch, fly, land, stand", [
        (0.6, "Crouches, arms back.", {"left_leg": "bent", "right_leg": "bent"},
         {**legs(66, 76, 24), "torso.flex": 22, **arms(42, -60, 0, 20)}, {"hold": 0.1}),
        (0.5, "Has landed softly.", {"left_leg": "bent", "right_leg": "bent"},
         {**legs(42, 52, 17), "torso.flex": 12, **arms(50, 84, 0, 30)},
         {"jump_height": 0.18, "ease": "ballistic", "contacts": FEET}),
        (0.8, "Stands.", *UP, {}),
    ], {}),
    "squat": ("down with the arms ahead, up", [
        (1.15, "Deep squat, arms level ahead.", {"left_leg": "bent", "right_leg": "bent",
         "torso": "leans forward"}, LOW, {"hold": 0.3}),
        (1.05, "Stands.", *UP, {}),
    ], {}),
    "bow": ("from the hips, a pause, up", [
        (1.15, "Bowed deeply.", {"torso": "bent forward from the hips"},
         {**legs(58, 10, -6), "torso.flex": 40, "head_look.flex": 12}, {"hold": 0.6}),
        (1.1, "Stands.", {"torso": "upright"}, {**STAND, "head_look.flex": 0}, {}),
    ], {}),
    "boxing": ("guard, jab, jab, guard", [
        (0.5, "In guard.", {"left_arm": "fist at the chin", "right_arm": "fist at the chin"},
         {**GUARD, **legs(20, 26, 8)}, {}),
        (0.22, "The left arm is straight ahead.", {"left_arm": "straight ahead"},
         {**arms(90, 92, 0, 6, "L"), "torso.rot": -26}, {"ease": "snap"}),
        (0.26, "Back in guard.", {"left_arm": "fist at the chin"}, {**GUARD, "torso.rot": 0}, {}),
        (0.22, "The right arm is straight ahead.", {"right_arm": "straight ahead"},
         {**arms(90, 92, 0, 6, "R"), "torso.rot": 26}, {"ease": "snap"}),
        (0.26, "Back in guard.", {"right_arm": "fist at the chin"}, {**GUARD, "torso.rot": 0}, {}),
        (0.8, "Stands.", {"left_arm": "hangs", "right_arm": "hangs"}, {**STAND, **HANG}, {}),
    ], {}),
    "drink": ("cup up, head back, down", [
        (0.8, "The right hand lifts a cup.", {"right_arm": "forearm level"},
         arms(25, 75, 15, 85, "R"), {}),
        (0.7, "The cup is at the mouth.", {"right_arm": "hand at the mouth"},
         {**arms(75, 87, 27, 124, "R"), "head_look.flex": -10},
         {"reach": [{"effector": "right hand", "target": "mouth", "forward": 0.05}]}),
        (0.5, "Drinks with the head back.", {"head": "tilted back"}, {"head_look.flex": -24},
         {"hold": 0.8}),
        (0.9, "Stands relaxed.", {"right_arm": "hangs", "head": "upright"},
         {**arms(8, side="R"), "head_look.flex": 0}, {}),
    ], {}),
    "dumbbell": ("hang, forearms up, down again, three times", [
        (0.5, "Holds the weights.", {"left_arm": "hangs", "right_arm": "hangs"},
         arms(8, 40, 0, 16), {}),
        (0.7, "Both forearms are up.", {"left_arm": "elbow bent", "right_arm": "elbow bent"},
         arms(20, 78, 0, 136), {}),
        (0.7, "Both arms hang.", {"left_arm": "hangs", "right_arm": "hangs"}, arms(8, 40, 0, 16),
         {}),
        (0.5, "Stands relaxed.", {"left_arm": "hangs", "right_arm": "hangs"}, HANG, {}),
    ], {"cycle": {"first": 0, "last": 2, "count": 3}}),
    "throw": ("wind up, throw, follow through", [
        (0.7, "The right arm is drawn back, the trunk turned.", {"right_arm": "behind the head",
         "torso": "turned to the right"},
         {**arms(100, -10, -60, 100, "R"), "torso.rot": -34, **arms(60, 75, 0, 10, "L")},
         {"hold": 0.15}),
        (0.24, "The right arm is thrown forward.", {"right_arm": "straight ahead and up",
         "torso": "turned to the left"},
         {**arms(115, 80, -20, 20, "R"), "torso.rot": 26, "torso.flex": 10},
         {"ease": "accelerate"}),
        (0.25, "The right arm has swung through.", {"right_arm": "across the body"},
         {**arms(40, 110, 0, 25, "R"), "torso.rot": 34, "torso.flex": 16}, {"hold": 0.2}),
        (0.9, "Stands relaxed.", {"right_arm": "hangs", "left_arm": "hangs", "torso": "upright"},
         {**STAND, **HANG}, {}),
    ], {}),
    "sit": ("lean, lower, sit up", [
        (1.4, "Leans forward and meets the seat.", {"torso": "leans forward", "left_leg": "bent",
         "right_leg": "bent"}, {**legs(112, 98, 14), "torso.flex": 46, **arms(62, 86, 0, 8)},
         {"contacts": [*FEET, {"part": "pelvis", "on": "chair"}]}),
        (1.0, "Sits upright.", {"torso": "upright"},
         {**legs(92, 90, 2), "torso.flex": 0, **arms(22, 80, 0, 42)}, {"hold": 0.8}),
    ], {}),
    "kick": ("weight left, knee up, kick, back", [
        (0.55, "The weight is over the left foot.", {"pelvis": "to the left"}, {},
         {"weight": "left"}),
        (0.45, "The right knee is up.", {"right_leg": "thigh level, knee bent"},
         {"R_hip.flex": 62, "R_knee.flex": 85}, {"weight": "left", "contacts": FEET[:1]}),
        (0.3, "The right foot is out in front.", {"right_leg": "straight"},
         {"R_hip.flex": 78, "R_knee.flex": 8},
         {"weight": "left", "contacts": FEET[:1], "ease": "decelerate"}),
        (0.8, "Stands on both feet.", {"right_leg": "beside the left"},
         {"R_hip.flex": 9, "R_knee.flex": 14}, {"contacts": FEET}),
    ], {}),
    "reach-cup": ("the cup stands ahead to the right", [
        (0.9, "The right hand is at the cup.", {"right_arm": "to the cup", "torso": "leans a "
         "little"}, {**arms(50, 82, 0, 12, "R"), "torso.flex": 16},
         {"hold": 0.5, "reach": [{"effector": "right hand", "target": "cup", "up": -0.03}]}),
        (0.9, "Stands.", {"right_arm": "hangs", "torso": "upright"},
         {**arms(8, side="R"), "torso.flex": 0}, {}),
    ], {}),
}  # fmt: skip
"""Sentence of the benchmark → what is planned, the keys, more of the outline."""


def answers(name: str) -> list[dict[str, Any]]:
    """Outline, poses and criticism of one conversation, in the order in which they are asked."""
    reasoning, rows, more = ANSWERS[name]
    outline = [
        {"dt": dt, "description": text, "parts": parts}
        | {k: v for k, v in extra.items() if k != "reach"}
        for dt, text, parts, _, extra in rows
    ]
    posed = [
        {"index": n, "dofs": dofs} | ({"reach": extra["reach"]} if "reach" in extra else {})
        for n, (_, _, _, dofs, extra) in enumerate(rows, 1)
    ]
    seen = {"shown": reasoning, "keys": [{"index": n, "score": 8} for n in range(len(rows) + 1)]}
    return [{"reasoning": reasoning, "keys": outline, **more}, {"keys": posed}, seen]


def main() -> None:
    """Write every conversation to a file of its own."""
    from foveate.motion import animate, design
    from foveate.motion.evaluate import prompts
    from foveate.motion.mllm import RecordingProvider, ScriptedProvider
    from foveate.motion.scene import Scene

    FOLDER.mkdir(exist_ok=True)
    known = {p.name: p for p in prompts()}
    for name in ANSWERS:
        prompt, path = known[name], FOLDER / f"{name}.jsonl"
        path.unlink(missing_ok=True)
        provider = RecordingProvider(ScriptedProvider(answers(name), "by-hand"), path)
        scene = Scene.named(prompt.scene) if prompt.scene else None
        plan = animate(design(prompt.text, scene, provider), provider)
        print(f"{name}: {plan.source}, {len(plan.keys)} keys", *plan.notes, sep="; ")


if __name__ == "__main__":
    main()
