"""The offline designer: what it reads in a sentence, and what the plan then does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mujoco")

from foveate.motion import Scene, fill
from foveate.motion.body import JOINT, JOINTS
from foveate.motion.lang import NotUnderstood, design_offline, understand
from foveate.motion.lang.acts import known, perform
from foveate.motion.lang.frames import Frame
from foveate.motion.lang.lexicon import senses, surface_forms, synonyms, vocabulary
from foveate.motion.lang.score import State, angles
from foveate.motion.lang.tokens import lemmas, tokenize

SENTENCES = [
    tuple(part.strip() for part in line.split("|"))
    for line in Path(__file__).with_name("sentences.txt").read_text().splitlines()
    if "|" in line and not line.startswith("#")
]


def told(text):
    return [f.sense.name + "*" * (f.relation == "while") for f in understand(text).frames]


def place(clip, joint, frame):
    return clip.joints[frame][JOINT[joint]]


# ---- reading


def test_lexicon_is_as_large_as_promised():
    assert len(senses()) >= 120
    assert surface_forms() >= 400
    assert len(synonyms()) >= 1500
    assert len(SENTENCES) >= 200


@pytest.mark.parametrize("name", [s.primitive for s in senses().values()])
def test_every_sense_can_be_performed(name):
    assert known(name)


@pytest.mark.parametrize(("text", "expected"), SENTENCES, ids=[t[:40] for t, _ in SENTENCES])
def test_sentence_means(text, expected):
    assert told(text) == expected.split()


@pytest.mark.parametrize(
    ("word", "lemma"),
    [
        ("waves", "wave"),
        ("hopping", "hop"),
        ("sat", "sit"),
        ("carries", "carry"),
        ("knelt", "kneel"),
        ("punches", "punch"),
        ("dancing", "dance"),
    ],
)
def test_lemma(word, lemma):
    assert lemma in lemmas(word)


def test_small_spelling_mistakes_are_repaired_and_said():
    tokens, notes = tokenize("a person strecthes", vocabulary())
    assert tokens[-1].text == "stretches"
    assert notes == ['read "strecthes" as "stretches"']


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("turn left ninety degrees", "degrees", 90),
        ("turn left 90°", "degrees", 90),
        ("walk half a metre", "metres", 0.5),
        ("walk 2m forward", "metres", 2),
        ("claps twice", "times", 2),
        ("jumps three times", "times", 3),
        ("walks three steps", "steps", 3),
        ("holds still for five seconds", "seconds", 5),
        ("spins two full turns", "turns", 2),
    ],
)
def test_numbers_and_units(text, field, value):
    assert getattr(understand(text).frames[0], field) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "side", "directions"),
    [
        ("raises the left arm", "L", []),
        ("raises both arms", "B", []),
        ("looks to the left", "", ["left"]),
        ("steps right", "", ["right"]),
        ("waves with his left", "L", []),
        ("a person puts his hands up", "B", ["up"]),
    ],
)
def test_left_and_right_are_sides_or_directions(text, side, directions):
    frame = understand(text).frames[0]
    assert frame.side(default="") == side
    assert frame.directions == directions


def test_order_of_time():
    assert told("before sitting down, he nods") == ["nod", "sit"]
    assert told("he nods after he waves") == ["wave", "nod"]
    assert told("while walking, he waves") == ["walk", "wave*"]


def test_gaps_are_filled_from_the_clause_before():
    frames = understand("raises the right arm, then the left, and lowers it").frames
    assert [f.sense.name for f in frames] == ["raise", "raise", "lower"]
    assert [f.limbs[0].side for f in frames] == ["R", "L", "L"]


def test_unknown_verb_with_part_and_direction_is_moved_and_said():
    reading = understand("splorks the left arm upwards")
    assert reading.frames[0].sense.name == "move_part"
    assert reading.confidence < 0.6
    assert "splorks" in reading.unmatched
    assert any("splorks" in note for note in reading.notes)


def test_what_is_not_understood_is_kept():
    reading = understand("a person waves and then quibbles about epistemology")
    assert [f.sense.name for f in reading.frames] == ["wave"]
    assert {"quibbles", "epistemology"} <= set(reading.unmatched)
    assert reading.unread
    assert reading.confidence < 0.8
    assert "ignored: quibbles" in reading.summary()


def test_nothing_understood_is_an_error_that_helps():
    with pytest.raises(NotUnderstood, match="nearest known actions are") as caught:
        understand("epistemology quibbles")
    assert set(caught.value.tokens) == {"epistemology", "quibbles"}
    assert len(caught.value.nearest) == 3


def test_acrobatics_are_refused():
    with pytest.raises(NotUnderstood, match="beyond the offline designer"):
        design_offline("does a cartwheel")


@pytest.mark.parametrize("text", ["", "   ", "\n", "!!!"])
def test_empty_text_is_refused(text):
    with pytest.raises(ValueError, match="text is"):
        design_offline(text)


def test_best_effort_stands_idle_and_says_so():
    plan = design_offline("epistemology quibbles", best_effort=True)
    assert plan.coverage.confidence == 0
    assert "standing idle" in plan.notes[0]


# ---- notation


def test_notation_expands_sides():
    assert angles("A_elbow 80, B_knee 20, torso rot 5", "L") == {
        "L_elbow.flex": 80.0, "L_knee.flex": 20.0, "R_knee.flex": 20.0, "torso.rot": 5.0
    }  # fmt: skip
    with pytest.raises(ValueError, match="has no angle"):
        angles("A_elbow")


@pytest.mark.parametrize("sense", [s for s in senses().values() if s.primitive != "unsupported"],
                         ids=lambda s: s.name)  # fmt: skip
def test_primitive_gives_steps_with_known_angles(sense):
    from foveate.motion.plan import Keyframe

    frame = Frame(sense=sense, verb="do", text=sense.forms[0])
    steps = perform(sense.primitive, frame, State())
    assert steps
    for step in steps:
        assert step.dt > 0
        Keyframe(
            id="k", t=0, dofs=step.dofs, contacts=step.contacts, root=step.root, gait=step.gait
        )


# ---- what the motion does


@pytest.fixture(scope="module")
def clips():
    found = {}

    def made(text, **options):
        if text not in found:
            found[text] = fill(design_offline(text, **options), fps=12)
        return found[text]

    return made


def test_wave_then_sit(clips):
    clip = clips("a person waves with the right hand, then sits down")
    hands = clip.joints[:, [JOINT["R_wrist"], JOINT["L_wrist"]], 2]
    assert hands[:, 0].max() > 1.5
    assert hands[:, 1].max() < 1.2
    assert clip.joints[-1][0][2] < 0.65
    assert clip.joints[0][0][2] > 0.85


def test_raise_left_arm_raises_the_left_arm(clips):
    clip = clips("raises the left arm")
    assert place(clip, "L_wrist", -1)[2] > 1.7
    assert place(clip, "R_wrist", -1)[2] < 1.0


def test_touching_reaches_the_part(clips):
    clip = clips("puts the left hand on the right shoulder")
    pose = clip.pose(len(clip.qpos) - 1)
    hand, shoulder = pose.sites("L_hand", "shoulder_right")
    assert np.linalg.norm(hand - shoulder) < 0.12


def test_walk_goes_where_it_says(clips):
    clip = clips("walks two metres forward")
    moved = place(clip, "pelvis", -1) - place(clip, "pelvis", 0)
    assert moved[0] == pytest.approx(2.0, abs=0.2)
    assert abs(moved[1]) < 0.15


def test_turn_left_turns_left(clips):
    from foveate.motion import rotations as rot

    clip = clips("turns left by 90 degrees")
    assert np.degrees(rot.yaw_of(clip.qpos[-1, 3:7])) == pytest.approx(90, abs=12)


def test_waving_goes_on_while_walking(clips):
    clip = clips("walks forward while waving with the left hand")
    assert place(clip, "pelvis", -1)[0] > 1.0
    high = clip.joints[:, JOINT["L_wrist"], 2] > 1.4
    walking = (clip.joints[:, 0, 0] > 0.3) & (clip.joints[:, 0, 0] < 1.5)
    assert high[walking].mean() > 0.9


def test_chair_of_the_scene_is_used():
    plan = design_offline("sits down", Scene.named("chair"))
    assert [o.name for o in plan.scene.objects] == ["chair"]
    assert any(c.surface == "chair" for k in plan.keys for c in k.contacts or [])


def test_seat_after_a_walk_does_not_stand_in_the_way():
    # the chair once stood behind the walker, on the way just walked, who then climbed over it
    plan = design_offline("walks forward and sits down on a chair")
    chair = plan.scene["chair"]
    assert chair.position[0] > plan.keys[1].gait.distance


def test_style_and_tempo():
    plan = design_offline("an old man walks")
    assert plan.style.name == "old"
    slow, quick = design_offline("slowly bows"), design_offline("quickly bows")
    assert slow.duration > 1.5 * quick.duration


def test_same_text_same_plan():
    texts = ["walks in a circle while clapping", "a person dances"]
    for text in texts:
        assert design_offline(text).to_json() == design_offline(text).to_json()


def test_joint_names_are_those_of_the_body():
    for name in State().dofs:
        assert name.partition(".")[0] in JOINTS


def test_again_is_no_count():
    plan = design_offline("sits down, then stands up again")
    assert sum(k.description == "sits upright" for k in plan.keys) == 1
    often = design_offline("nods again and again")
    assert sum(k.description == "nods" for k in often.keys) == 4


def test_kneeling_sets_the_rear_foot_back_and_brings_it_forward_again():
    plan = design_offline("kneel on one knee, then get up")
    steps = [
        (c.part, c.step) for k in plan.keys for c in k.contacts or [] if c.step is not None
    ]  # fmt: skip
    assert steps == [("R_toes", (-0.5, 0.0)), ("R_foot", (0.5, 0.0))]


def test_a_table_is_put_up_to_reach_to():
    plan = design_offline("reach for the cup on the table")
    assert [o.name for o in plan.scene.objects] == ["table", "cup"]
    reaches = [g for k in plan.keys for g in k.goals if g.kind == "reach"]
    assert [g.effector for g in reaches] == ["R_hand", "R_hand"]  # beside it, then to it
    cup = plan.scene["cup"]
    beside, there = (np.hypot(*(np.array(g.target)[:2] - cup.position[:2])) for g in reaches)
    assert cup.size[0] / 2 < there < cup.size[0] / 2 + 0.02  # at its side, not inside
    assert beside > there + 0.1


def test_what_is_held_stays_in_the_hand():
    plan = design_offline("reach for the cup with the right hand and hold it")
    goals = [[g.model_dump() for g in k.goals] for k in plan.keys]
    assert goals[-1] == goals[-2] != []


@pytest.mark.parametrize("word", ["waiter", "pocket", "drowning"])
def test_english_words_are_not_taken_for_misspellings(word):
    assert not understand(f"a person waves at the {word}").notes


def test_a_mood_is_said_to_be_no_action():
    reading = understand("a person is angry")
    assert [f.sense.name for f in reading.frames] == ["stomp"]
    assert "names no action" in reading.notes[0]
