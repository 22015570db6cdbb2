"""Sentences as newcomers type them: requests, denials, verbs left out, order of time."""

import numpy as np
import pytest

from foveate.motion import fill
from foveate.motion.body import JOINTS
from foveate.motion.lang import design_offline
from foveate.motion.lang.understanding import understand


def told(text):
    return " ".join(f.sense.name for f in understand(text).frames)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("she does not walk, she just waves", "wave"),
        ("step back three paces without turning round", "step"),
        ("he bows instead of waving", "bow"),
        ("she never stops clapping", "clap"),
        ("a man does not move", "stand"),
        ("walk forward without turning and wave", "walk wave"),
        ("he does not turn around and walks away", "walk"),
        ("walk, but not too fast", "walk"),
        ("instead of running he tiptoes past the baby", "tiptoe"),
        ("he claps three times but does not smile", "clap"),
    ],
)
def test_what_is_denied_is_left_out(text, expected):
    assert told(text) == expected


def test_a_denial_is_said():
    notes = understand("she does not walk, she just waves").notes
    assert any("not walk" in note for note in notes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I want to see a man tying his shoelaces", "tie_shoes"),
        ("can you show me someone doing the robot?", "robot"),
        ("make a video of a woman dancing", "dance"),
        ("could you please clap", "clap"),
        ("look at me", "look"),
        ("show me how an elephant walks", "elephant"),
    ],
)
def test_requests_are_no_actions(text, expected):
    assert told(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("he picks up a glass, drinks and puts it back", "pick_up drink put_down"),
        ("the burglar tiptoes up to the window", "tiptoe"),
        ("before he leaves the room he turns off the light and shuts the door",
         "switch close_door walk"),
        ("put your right hand on your heart and your left hand behind your back",
         "touch move_part"),
        ("the old lady bends down to stroke a cat", "pat"),
        ("make a heart shape with your arms", "heart"),
        ("the guard marches off", "march"),
        ("a referee shows a red card", "hold_up"),
    ],
)  # fmt: skip
def test_sentence_means(text, expected):
    assert told(text) == expected


def test_heart_of_arms_closes_over_the_head():
    plan = design_offline("make a heart shape with your arms")
    pose = plan.keys[1].dofs
    assert pose["L_shoulder.elevation"] == pose["R_shoulder.elevation"] > 100
    chest = design_offline("make a heart with your hands").keys[1].dofs
    assert chest["L_shoulder.elevation"] < 80


def test_sleep_on_a_chair_is_sitting():
    plan = design_offline("sit down on the sofa and fall asleep")
    assert not any("back" in str(key.contacts) for key in plan.keys)
    assert plan.scene.objects[0].size[1] > 1.5


def test_arms_thrown_up_happily_stay_apart():
    # amplitudes of a style once led overhead arms across to the other side
    joints = fill(design_offline("a man cheers happily")).joints
    assert np.linalg.norm(joints[:, JOINTS.index("L_wrist")] - joints[:, JOINTS.index("R_wrist")],
                          axis=1).min() > 0.2  # fmt: skip


def test_longer_is_longer():
    brief, longer = design_offline("she waves"), design_offline("she waves longer")
    assert longer.keys[-1].t > 1.5 * brief.keys[-1].t
