"""Worked examples for the designer, chosen by the nearest category.

The one thing to know: they are in the schema that the model is to answer in.
"""

from __future__ import annotations

import json

EXAMPLES: dict[str, tuple[str, dict]] = {
    "arms": (
        "waves with the right hand",
        {
            "reasoning": "Lift the arm, swing the forearm twice, lower it. The body stays still.",
            "keys": [
                {
                    "dt": 0.65,
                    "description": "The right hand is up beside the head.",
                    "parts": {"right_arm": "upper arm level to the side, forearm straight up"},
                    "dofs": {
                        "R_shoulder.elevation": 92,
                        "R_shoulder.plane": 20,
                        "R_shoulder.axial": -68,
                        "R_elbow.flex": 82,
                    },
                },
                {
                    "dt": 0.28,
                    "description": "The hand has swung outwards.",
                    "parts": {"right_arm": "forearm tilted outwards"},
                    "dofs": {"R_elbow.flex": 58},
                },
                {
                    "dt": 0.28,
                    "description": "The hand has swung inwards.",
                    "parts": {"right_arm": "forearm tilted inwards"},
                    "dofs": {"R_elbow.flex": 106},
                },
                {
                    "dt": 0.7,
                    "description": "Stands relaxed again.",
                    "parts": {"right_arm": "hangs beside the body"},
                    "dofs": {
                        "R_shoulder.elevation": 8,
                        "R_shoulder.plane": 0,
                        "R_shoulder.axial": 0,
                        "R_elbow.flex": 10,
                    },
                },
            ],
            "cycle": {"first": 0, "last": 2, "count": 2},
        },
    ),
    "legs": (
        "kicks with the right leg",
        {
            "reasoning": "Weight to the left, knee up, foot out, back, down.",
            "keys": [
                {
                    "dt": 0.55,
                    "description": "The weight is over the left foot.",
                    "weight": "left",
                    "parts": {"pelvis": "shifted over the left foot"},
                },
                {
                    "dt": 0.4,
                    "description": "The right knee is raised, foot back.",
                    "weight": "left",
                    "contacts": [{"part": "left_foot", "on": "floor"}],
                    "parts": {"right_leg": "thigh level, knee bent"},
                    "dofs": {"R_hip.flex": 62, "R_knee.flex": 85},
                },
                {
                    "dt": 0.22,
                    "description": "The right foot is out in front.",
                    "weight": "left",
                    "ease": "decelerate",
                    "parts": {"right_leg": "straight, level"},
                    "dofs": {"R_hip.flex": 78, "R_knee.flex": 8},
                },
                {
                    "dt": 0.75,
                    "description": "Stands on both feet.",
                    "contacts": [
                        {"part": "left_foot", "on": "floor"},
                        {"part": "right_foot", "on": "floor"},
                    ],
                    "parts": {"right_leg": "beside the left one"},
                    "dofs": {"R_hip.flex": 9, "R_knee.flex": 14},
                },
            ],
        },
    ),
    "body": (
        "sits down on the chair",
        {
            "reasoning": (
                "Hips go back over bent knees while the trunk leans forward, then upright."
            ),
            "keys": [
                {
                    "dt": 1.35,
                    "description": "Leans forward, the seat of the body meets the chair.",
                    "contacts": [
                        {"part": "left_foot", "on": "floor"},
                        {"part": "right_foot", "on": "floor"},
                        {"part": "pelvis", "on": "chair"},
                    ],
                    "parts": {
                        "torso": "leans forward",
                        "left_leg": "knee at a right angle",
                        "right_leg": "knee at a right angle",
                    },
                    "dofs": {
                        "B_hip.flex": 112,
                        "B_knee.flex": 98,
                        "B_ankle.dorsi": 14,
                        "torso.flex": 46,
                    },
                },
                {
                    "dt": 0.95,
                    "hold": 0.8,
                    "description": "Sits upright.",
                    "parts": {"torso": "upright"},
                    "dofs": {
                        "B_hip.flex": 92,
                        "B_knee.flex": 90,
                        "B_ankle.dorsi": 2,
                        "torso.flex": 0,
                    },
                },
            ],
        },
    ),
}
"""Category → instruction and a worked answer."""


_CATEGORY = {
    "legs": (
        "kick",
        "step",
        "walk",
        "run",
        "jump",
        "hop",
        "knee",
        "leg",
        "foot",
        "stomp",
        "dance",
        "turn",
        "climb",
        "skip",
        "march",
    ),
    "body": (
        "sit",
        "squat",
        "bow",
        "kneel",
        "lie",
        "bend",
        "crouch",
        "pick",
        "stand",
        "fall",
        "lean",
        "stretch",
        "lunge",
    ),
}


def category(text: str) -> str:
    """The example category nearest to an instruction."""
    lower = text.lower()
    scored = {name: sum(word in lower for word in words) for name, words in _CATEGORY.items()}
    best = max(scored, key=lambda n: scored[n])
    return best if scored[best] else "arms"


def examples(text: str, count: int = 2, turn: int = 0) -> str:
    """Worked examples, the nearest category first; `turn` varies the others between candidates."""
    first = category(text)
    rest = [name for name in EXAMPLES if name != first]
    rest = rest[turn % len(rest) :] + rest[: turn % len(rest)]
    rows = []
    for name in [first, *rest][:count]:
        told, answer = EXAMPLES[name]
        rows.append(f'Instruction: "{told}"\nAnswer: {json.dumps(answer)}')
    return "Worked examples\n" + "\n\n".join(rows)
