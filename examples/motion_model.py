"""A plan by a language model, played here by a script; put `connect("openai:MODEL")` in its place.

The conversation is recorded, and replayed without asking anybody.
"""

import tempfile
from pathlib import Path

from foveate.motion import animate, design
from foveate.motion.mllm import RecordingProvider, ReplayProvider, ScriptedProvider

answer = {
    "reasoning": "One arm goes up.",
    "keys": [
        {
            "dt": 0.9,
            "description": "The left arm is straight up.",
            "parts": {"left_arm": "straight up"},
            "dofs": {"L_shoulder.elevation": 165, "L_shoulder.plane": 60},
        }
    ],
}
with tempfile.TemporaryDirectory() as folder:
    talk = Path(folder) / "talk.jsonl"
    recorder = RecordingProvider(ScriptedProvider([answer], "by-hand"), talk)
    plan = design("raises the left arm", provider=recorder)
    again = design("raises the left arm", provider=ReplayProvider(talk, strict=True))
    assert [k.dofs for k in plan.keys] == [k.dofs for k in again.keys]

posed = animate(plan)
height = posed.keys[-1].pose.sites("L_hand")[0][2]
print(f"{plan.source}: {len(plan.keys)} keys; the left hand ends {height:.2f} m above the floor")
