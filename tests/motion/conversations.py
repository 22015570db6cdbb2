"""Conversations with a model, their answers written by hand: what the transcripts are recorded
from.

Run `python tests/motion/conversations.py` to record them again after the prompts have changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("transcripts")
FEET = [{"part": "left_foot", "on": "floor"}, {"part": "right_foot", "on": "floor"}]
LEFT, RIGHT = FEET[:1], FEET[1:]


def key(dt: float, text: str, parts: dict | None = None, **more: Any) -> dict[str, Any]:
    return {"dt": dt, "description": text, "parts": parts or {}, **more}


def arms(elevation: float, plane: float = 60, elbow: float = 6) -> dict[str, float]:
    return {
        "B_shoulder.elevation": elevation, "B_shoulder.plane": plane, "B_elbow.flex": elbow
    }  # fmt: skip


GUARD = {"R_shoulder.elevation": 50, "R_shoulder.plane": 62, "R_elbow.flex": 128,
         "L_shoulder.elevation": 52, "L_shoulder.plane": 62, "L_elbow.flex": 122}  # fmt: skip
STAND = {"B_hip.flex": 9, "B_knee.flex": 14, "B_ankle.dorsi": 5, "torso.flex": 0}

CONVERSATIONS: dict[str, dict[str, Any]] = {
    "raise_arms": {
        "text": "raises both arms",
        "answers": [
            {
                "reasoning": "Both arms swing up together and stay there.",
                "keys": [
                    key(
                        0.9,
                        "Both arms are straight up.",
                        {"left_arm": "straight up", "right_arm": "straight up"},
                        dofs=arms(168),
                        hold=0.6,
                    ),
                    key(
                        1.1,
                        "Stands relaxed.",
                        {"left_arm": "hangs", "right_arm": "hangs"},
                        dofs=arms(8, 0, 10),
                    ),
                ],
            }
        ],
    },
    "walk": {
        "text": "walks forward four steps",
        "answers": [
            {
                "reasoning": "Four steps of about half a metre.",
                "keys": [
                    key(
                        3.0,
                        "Has walked four steps forward.",
                        {"left_leg": "steps", "right_leg": "steps"},
                        travel_forward=1.9,
                    ),
                    key(0.6, "Stands with feet together.", {"pelvis": "over both feet"}),
                ],
            }
        ],
    },
    "squat": {
        "text": "does a squat",
        "answers": [
            {
                "reasoning": "Down with the arms ahead, up.",
                "keys": [
                    key(
                        1.15,
                        "Deep squat, arms level ahead.",
                        {"left_leg": "bent", "right_leg": "bent", "torso": "leans forward"},
                        hold=0.3,
                        dofs={
                            "B_hip.flex": 95,
                            "B_knee.flex": 110,
                            "B_ankle.dorsi": 30,
                            "torso.flex": 24,
                            **arms(80, 88),
                        },
                    ),
                    key(
                        1.05,
                        "Stands.",
                        {"left_leg": "straight", "right_leg": "straight"},
                        dofs={**STAND, **arms(8, 0, 10)},
                    ),
                ],
            }
        ],
    },
    "wave": {
        "text": "waves with the left hand",
        "answers": [
            {
                "reasoning": "Lift, swing, lower.",
                "keys": [
                    key(
                        0.65,
                        "The left hand is up beside the head.",
                        {"left_arm": "upper arm level, forearm up"},
                        dofs={
                            "L_shoulder.elevation": 92,
                            "L_shoulder.plane": 20,
                            "L_shoulder.axial": -68,
                            "L_elbow.flex": 82,
                        },
                    ),
                    key(
                        0.28,
                        "The left hand has swung out.",
                        {"left_arm": "forearm outwards"},
                        dofs={"L_elbow.flex": 58},
                    ),
                    key(
                        0.28,
                        "The left hand has swung in.",
                        {"left_arm": "forearm inwards"},
                        dofs={"L_elbow.flex": 105},
                    ),
                    key(
                        0.75,
                        "Stands relaxed.",
                        {"left_arm": "hangs"},
                        dofs={
                            "L_shoulder.elevation": 8,
                            "L_shoulder.plane": 0,
                            "L_shoulder.axial": 0,
                            "L_elbow.flex": 10,
                        },
                    ),
                ],
                "cycle": {"first": 0, "last": 2, "count": 3},
            }
        ],
    },
    "kick": {
        "text": "kicks with the right leg",
        "answers": [
            {
                "reasoning": "Weight left, chamber, kick, back.",
                "keys": [
                    key(
                        0.55,
                        "The weight is over the left foot.",
                        {"pelvis": "to the left"},
                        weight="left",
                    ),
                    key(
                        0.45,
                        "The right knee is up.",
                        {"right_leg": "thigh level, knee bent"},
                        weight="left",
                        contacts=LEFT,
                        dofs={"R_hip.flex": 62, "R_knee.flex": 85},
                    ),
                    key(
                        0.3,
                        "The right foot is out in front.",
                        {"right_leg": "straight"},
                        weight="left",
                        contacts=LEFT,
                        ease="decelerate",
                        dofs={"R_hip.flex": 78, "R_knee.flex": 8},
                    ),
                    key(
                        0.8,
                        "Stands on both feet.",
                        {"right_leg": "beside the left"},
                        contacts=FEET,
                        dofs={"R_hip.flex": 9, "R_knee.flex": 14},
                    ),
                ],
            }
        ],
    },
    "sit": {
        "text": "sits down on the chair",
        "scene": "chair",
        "answers": [
            {
                "reasoning": "Lean, lower, sit up.",
                "keys": [
                    key(
                        1.4,
                        "Leans forward and meets the seat.",
                        {"torso": "leans forward", "left_leg": "bent", "right_leg": "bent"},
                        contacts=[*FEET, {"part": "pelvis", "on": "chair"}],
                        dofs={
                            "B_hip.flex": 112,
                            "B_knee.flex": 98,
                            "B_ankle.dorsi": 14,
                            "torso.flex": 46,
                        },
                    ),
                    key(
                        1.0,
                        "Sits upright.",
                        {"torso": "upright"},
                        hold=0.8,
                        dofs={
                            "B_hip.flex": 92,
                            "B_knee.flex": 90,
                            "B_ankle.dorsi": 2,
                            "torso.flex": 0,
                        },
                    ),
                ],
            }
        ],
    },
    "jump": {
        "text": "jumps",
        "answers": [
            {
                "reasoning": "Crouch, fly, land, stand.",
                "keys": [
                    key(
                        0.6,
                        "Crouches, arms back.",
                        {"left_leg": "bent", "right_leg": "bent"},
                        hold=0.1,
                        dofs={
                            "B_hip.flex": 66,
                            "B_knee.flex": 76,
                            "B_ankle.dorsi": 24,
                            "torso.flex": 22,
                        },
                    ),
                    key(
                        0.5,
                        "Has landed softly.",
                        {"left_leg": "bent", "right_leg": "bent"},
                        jump_height=0.16,
                        ease="ballistic",
                        contacts=FEET,
                        dofs={"B_hip.flex": 42, "B_knee.flex": 52, "B_ankle.dorsi": 17},
                    ),
                    key(
                        0.7,
                        "Stands.",
                        {"left_leg": "straight", "right_leg": "straight"},
                        dofs=STAND,
                    ),
                ],
            }
        ],
    },
    "boxing": {
        "text": "boxes: a jab with the right hand",
        "answers": [
            {
                "reasoning": "Guard, blow, guard.",
                "keys": [
                    key(
                        0.5,
                        "In guard.",
                        {"left_arm": "fist at the chin", "right_arm": "fist at the chin"},
                        dofs=GUARD,
                    ),
                    key(
                        0.22,
                        "The right arm is straight ahead.",
                        {"right_arm": "straight ahead", "torso": "turned to the left"},
                        ease="snap",
                        dofs={
                            "R_shoulder.elevation": 90,
                            "R_shoulder.plane": 92,
                            "R_elbow.flex": 6,
                            "torso.rot": 26,
                        },
                    ),
                    key(
                        0.26,
                        "Back in guard.",
                        {"right_arm": "fist at the chin"},
                        dofs={**GUARD, "torso.rot": 0},
                    ),
                    key(
                        0.8,
                        "Stands.",
                        {"left_arm": "hangs", "right_arm": "hangs"},
                        dofs=arms(8, 0, 10),
                    ),
                ],
            }
        ],
    },
    "bow": {
        "text": "bows politely",
        "answers": [
            {
                "reasoning": "From the hips, pause, up.",
                "keys": [
                    key(
                        1.15,
                        "Bowed.",
                        {"torso": "bent forward from the hips"},
                        hold=0.6,
                        dofs={
                            "B_hip.flex": 52,
                            "B_knee.flex": 10,
                            "torso.flex": 36,
                            "head_look.flex": 12,
                        },
                    ),
                    key(1.1, "Stands.", {"torso": "upright"}, dofs={**STAND, "head_look.flex": 0}),
                ],
            }
        ],
    },
    "old_walk": {
        "text": "walks like an old man",
        "style": "old",
        "answers": [
            {
                "reasoning": "A short slow walk, the style does the rest.",
                "keys": [
                    key(
                        3.0,
                        "Has walked a metre.",
                        {"left_leg": "short steps", "right_leg": "short steps"},
                        travel_forward=1.0,
                    ),
                    key(0.8, "Stands bent.", {"torso": "bent"}),
                ],
            }
        ],
    },
    "reach": {
        "text": "reaches for the cup with the right hand",
        "scene": "table",
        "answers": [
            {
                "reasoning": "The cup stands ahead to the right.",
                "keys": [
                    key(
                        0.9, "The right hand is at the cup.", {"right_arm": "to the cup"}, hold=0.5
                    ),
                    key(0.9, "Stands.", {"right_arm": "hangs"}),
                ],
            },
            {
                "keys": [
                    {
                        "index": 1,
                        "dofs": {"R_shoulder.elevation": 55, "R_shoulder.plane": 80},
                        "reach": [{"effector": "right hand", "target": "cup", "up": 0.02}],
                    },
                    {
                        "index": 2,
                        "dofs": {
                            "R_shoulder.elevation": 8,
                            "R_shoulder.plane": 0,
                            "R_elbow.flex": 10,
                        },
                    },
                ]
            },
            {
                "shown": "someone reaches to a table",
                "keys": [
                    {"index": 0, "score": 9},
                    {"index": 1, "score": 8},
                    {"index": 2, "score": 9},
                ],
            },
        ],
        "animate": True,
    },
    "repaired": {
        "text": "raises the right arm",
        "answers": [
            "Sure! The right arm goes up and that is all there is to it.",
            (
                "```json\n{'keys': [{'interval': '0.9 s', 'description': 'The right arm is up.',"
                " 'parts': {'Right Arm': 'straight up',}, 'dofs': {'right shoulder elevation':"
                " '165°'}},]}\n```"
            ),
        ],
    },
}
"""Name → instruction, scene, style and answers in order."""


def record() -> None:
    """Write every conversation to a file of its own."""
    from foveate.motion import animate, design
    from foveate.motion.mllm import RecordingProvider, ScriptedProvider
    from foveate.motion.plan import StyleSpec

    FOLDER.mkdir(exist_ok=True)
    for name, told in CONVERSATIONS.items():
        path = FOLDER / f"{name}.jsonl"
        path.unlink(missing_ok=True)
        provider = RecordingProvider(ScriptedProvider(told["answers"], "by-hand"), path)
        style = StyleSpec(name=told["style"]) if "style" in told else None
        plan = design(told["text"], told.get("scene"), provider, style=style)
        if told.get("animate"):
            animate(plan, provider)
        print(name, plan.source, len(plan.keys), plan.notes)


if __name__ == "__main__":
    record()
