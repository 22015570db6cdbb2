"""Designer, animator and critic with scripted and replayed models, good ones and bad ones."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("mujoco")

from foveate.motion import Scene, animate, design, fill
from foveate.motion.designer import naming
from foveate.motion.designer.answers import Command
from foveate.motion.designer.commands import Desk
from foveate.motion.designer.examples import EXAMPLES, category
from foveate.motion.designer.outlines import uncovered
from foveate.motion.designer.prompts import CONVENTIONS, START, outline
from foveate.motion.filling import realize
from foveate.motion.mllm import (
    BadAnswer,
    Budget,
    Refused,
    ReplayProvider,
    ScriptedProvider,
    Unreachable,
)
from foveate.motion.plan import KeyframePlan
from tests.motion.conversations import CONVERSATIONS, FOLDER

WAVE = EXAMPLES["arms"][1]


def keys(*rows):
    return {"reasoning": "", "keys": list(rows)}


# ---- names


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("L_hip.flex", ("L_hip.flex", 1)),
        ("left upper leg flexion", ("L_hip.flex", 1)),
        ("R_elbow.extension", ("R_elbow.flex", -1)),
        ("LeftKnee", ("L_knee.flex", 1)),
        ("right_shoulder.abduction", ("R_shoulder.abd", 1)),
        ("R_shoulder.elevation", ("R_shoulder.elevation", 1)),
        ("spine flexion", ("torso.flex", 1)),
        ("neck.rotation", ("head_look.rot", 1)),
        ("left_ankle", ("L_ankle.dorsi", 1)),
        ("B_knee.flex", ("B_knee.flex", 1)),
        ("right hip external_rotation", ("R_hip.rot", -1)),
        ("L_sholder.flex", ("L_shoulder.flex", 1)),
    ],
)
def test_names_of_angles(name, ours):
    assert naming.dof(name) == ours


def test_angles_in_words_and_radians():
    found, notes = naming.dofs({"right elbow": "90°", "tail.flex": 3, "L_knee": {"flex": 20}})
    assert found == {"R_elbow.flex": 90.0, "L_knee.flex": 20.0}
    assert notes == ["unknown angle 'tail.flex'; left out"]
    found, notes = naming.dofs({"R_elbow.flex": 1.57, "L_elbow.flex": 0.5, "L_knee.flex": 0.25})
    assert found["R_elbow.flex"] == pytest.approx(90, abs=0.1)
    assert "radians" in notes[0]


def test_parts_and_landmarks():
    assert naming.part("Left Forearm") == "left_arm"
    assert naming.part("upper body") == "torso"
    assert naming.site("left ear") == "ear_left"
    assert naming.effector("right hand") == "R_hand"
    assert naming.planted("hips") == "pelvis"


# ---- prompts


def test_prompts_are_pure_and_put_what_is_fixed_first():
    plan = KeyframePlan.from_json({"keys": [{"t": 0}]})
    a, b = (outline("kicks a ball", None, plan.body) for _ in range(2))
    assert a == b
    assert CONVENTIONS in a[0].text
    assert "kicks a ball" not in a[0].text
    assert START in a[1].text
    assert category("kicks a ball") == "legs"
    assert category("waves") == "arms"


@pytest.mark.parametrize("name", EXAMPLES)
def test_worked_examples_follow_their_own_rules(name):
    text, answer = EXAMPLES[name]
    scene = Scene.named("chair")
    plan = design(text, scene, ScriptedProvider([answer]))
    assert plan.source == "mllm:scripted"
    assert plan.notes == []
    assert len(fill(plan, fps=8).qpos) > 5


# ---- the designer


def test_outline_becomes_a_plan():
    plan = design("waves with the right hand", provider=ScriptedProvider([WAVE]))
    assert [k.id for k in plan.keys] == ["k0", "k1", "k2", "k3", "k4"]
    assert plan.keys[0].description == START
    assert plan.loop.start_key == "k1"
    assert plan.loop.count == 2


def test_sloppy_answer_is_mended():
    sloppy = """Here you go:
    {"keyframes": [{"interval": "0.9 s", "description": "arm up",
      "parts": [{"part": "Right Arm", "description": "up"}], "contacts": ["left foot:ground",
      "r_foot"],
      "dofs": {"right shoulder elevation": "165°"}, "ease": "ease_out",},]}"""
    key = design("raises the right arm", provider=ScriptedProvider([sloppy])).keys[1]
    assert key.t == pytest.approx(0.9)
    assert key.parts == {"right_arm": "up"}
    assert [c.part for c in key.contacts] == ["L_foot", "R_foot"]
    assert key.dofs == {"R_shoulder.elevation": 165}
    assert key.ease == "decelerate"


def test_out_of_bounds_is_asked_about_again():
    bad = keys({"dt": 20, "description": "x"})
    provider = ScriptedProvider([bad, keys({"dt": 0.5, "description": "the right arm up"})])
    plan = design("raises the right arm", provider=provider)
    assert len(provider.asked) == 2
    assert "less than or equal to 3" in provider.asked[1][-1].text
    assert plan.keys[1].t == 0.5


def test_too_long_a_plan_is_cut_and_said():
    rows = [{"dt": 3, "description": f"pose {n}"} for n in range(16)]
    plan = design("stands", provider=ScriptedProvider([keys(*rows)]))
    assert plan.duration <= 30
    assert "longer than 30 s" in plan.notes[0]


def test_forgotten_side_and_count_are_asked_for():
    wrong = keys({"dt": 0.6, "description": "an arm is up", "parts": {"right_arm": "up"},
                  "dofs": {"R_shoulder.elevation": 160}})  # fmt: skip
    right = keys({"dt": 0.6, "description": "the left arm is up",
                  "dofs": {"L_shoulder.elevation": 160}})  # fmt: skip
    provider = ScriptedProvider([wrong, right])
    plan = design("raises the left arm", provider=provider)
    assert "the left arm" in provider.asked[1][-1].text
    assert plan.keys[1].dofs == {"L_shoulder.elevation": 160}
    assert uncovered("raises the left arm", plan) == []


def test_unknown_object_becomes_the_floor():
    row = {"dt": 1.2, "description": "sits", "contacts": [{"part": "pelvis", "on": "throne"}]}
    plan = design("sits", provider=ScriptedProvider([keys(row)]))
    assert plan.keys[1].contacts[0].surface == "floor"
    assert "nothing is called 'throne'" in plan.notes[0]


def test_best_of_candidates():
    poor = keys({"dt": 0.6, "description": "the left arm", "dofs": {"L_shoulder.elevation": 160}})
    good = keys({"dt": 0.6, "description": "the right arm", "dofs": {"R_shoulder.elevation": 160}})
    plan = design(
        "raises the right arm", provider=ScriptedProvider([poor, poor, good]), candidates=2
    )
    assert plan.keys[1].dofs == {"R_shoulder.elevation": 160}


def test_nonsense_falls_back_to_the_offline_designer_and_says_so():
    plan = design("waves", provider=ScriptedProvider(["I like trains."] * 3))
    assert plan.source == "offline"
    assert "no usable answer" in plan.notes[-1]
    assert "the offline designer made this plan" in plan.notes[-1]


def test_nonsense_for_nonsense_is_one_line():
    with pytest.raises(BadAnswer, match="does not understand it either") as caught:
        design("quibbles about epistemology", provider=ScriptedProvider(["trains"] * 3))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [Refused("no"), Unreachable("no server")])
def test_refusal_and_silence_pass_through(error):
    with pytest.raises(type(error)):
        design("waves", provider=ScriptedProvider([error]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "magic"}, "mode is"),
        ({"candidates": 0}, "candidates is"),
        ({"text": " "}, "text is empty"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        design(**{"text": "waves", **options})


def test_sequential_mode_sees_each_realised_pose():
    first = {"done": False, "key": {"dt": 0.7, "description": "the right arm is up",
             "dofs": {"R_shoulder.elevation": 160}}}  # fmt: skip
    provider = ScriptedProvider([first, {"done": True}])
    plan = design("raises the right arm", provider=provider, mode="sequential")
    assert [k.description for k in plan.keys[1:]] == ["the right arm is up"]
    assert [len(m[-1].images) for m in provider.asked] == [1, 1]
    assert "the right arm is up" in provider.asked[1][-1].text
    before, after = (m[-1].text.split("R_wrist ")[1].split(";")[0] for m in provider.asked)
    assert float(after.split()[2]) > float(before.split()[2]) + 50  # the wrist went up, in cm


def test_sequential_mode_ends_with_its_budget():
    endless = {"done": False, "key": {"dt": 0.5, "description": "again"}}
    provider = ScriptedProvider(lambda messages: endless, vision=False)
    plan = design("stands", provider=provider, mode="sequential", budget=Budget(calls=3))
    assert len(plan.keys) == 4
    assert "budget of 3 calls" in plan.notes[-1]


# ---- the animator


@pytest.fixture(scope="module")
def planned():
    rows = keys(
        {"dt": 0.8, "description": "the right arm is up", "parts": {"right_arm": "straight up"}}
    )
    return design("raises the right arm", provider=ScriptedProvider([rows]))


def praise(count, score=9):
    return {"shown": "an arm goes up", "keys": [{"index": i, "score": score} for i in range(count)]}


def test_direct_poses_all_keys_in_one_answer(planned):
    posed = {"keys": [{"index": 1, "dofs": {"right shoulder elevation": "165°"}}]}
    provider = ScriptedProvider([posed, praise(2)])
    found = animate(planned, provider)
    assert found.keys[1].pose.sites("R_hand")[0][2] > 1.8
    assert found.keys[1].confidence == 0.9
    assert planned.keys[1].pose is None


def test_critic_is_heard_once(planned):
    low = {"keys": [{"index": 1, "dofs": {"R_shoulder.elevation": 40}}]}
    high = {"keys": [{"index": 1, "dofs": {"R_shoulder.elevation": 165}}]}
    blame = praise(2)
    blame["keys"][1] = {
        "index": 1,
        "score": 3,
        "matches": False,
        "problems": [{"part": "right arm", "issue": "hangs", "suggestion": "raise"}],
    }
    provider = ScriptedProvider([low, blame, high, praise(2)])
    found = animate(planned, provider)
    assert "right_arm: hangs raise" in provider.asked[2][-1].text
    assert found.keys[1].pose.sites("R_hand")[0][2] > 1.8


def test_loop_shows_a_picture_after_every_turn(planned):
    turns = [
        {"commands": [{"name": "set_dof", "args": {"dofs": {"R_shoulder.elevation": 100}}}]},
        {"commands": [{"name": "add_dof", "args": {"dofs": {"R_shoulder.elevation": 60}}},
                      {"name": "teleport"}]},
        {"done": True},
        praise(1),
    ]  # fmt: skip
    provider = ScriptedProvider(turns)
    found = animate(planned, provider, "loop")
    assert [len(m[-1].images) for m in provider.asked] == [1, 1, 1, 1]
    assert "failed there is no command 'teleport'" in provider.asked[2][-1].text
    assert found.keys[1].pose.shoulder("R")[0] == pytest.approx(160, abs=6)


def test_loop_stops_a_model_that_never_does(planned):
    numbers = iter(range(1000))
    provider = ScriptedProvider(
        lambda m: {
            "commands": [{"name": "add_dof", "args": {"R_elbow.flex": 70 * (-1) ** next(numbers)}}]
        },
        vision=False,
    )
    animate(planned, provider, "loop", critic=False)
    assert len(provider.asked) == 5  # the paper's number of adjustments to a part


def test_loop_budget_leaves_the_best_so_far(planned):
    provider = ScriptedProvider(lambda m: {"commands": []}, vision=False)
    found = animate(planned, provider, "loop", budget=Budget(calls=1))
    assert all(k.pose is not None for k in found.keys)
    assert "budget of 1 calls" in found.notes[-1]


def test_none_needs_no_model(planned):
    assert all(k.pose is not None for k in animate(planned, None, "none").keys)
    with pytest.raises(ValueError, match="feedback is"):
        animate(planned, None, "telepathy")


# ---- commands


@pytest.fixture
def desk():
    from foveate.motion.designer.animator import _solver

    plan = realize(
        KeyframePlan.from_json(
            {"keys": [{"t": 0}, {"t": 0.8}], "scene": Scene.named("table").to_json()}
        )
    )
    return Desk(plan, 1, _solver)


def do(desk, command, /, **args):
    return desk.apply(Command(name=command, args=args))


def hand(desk, side="R"):
    return desk.pose().sites(f"{side}_hand")[0]


def test_paper_commands_exist(desk):
    assert do(desk, "move_joint", joint="R_elbow", target=[0.2, -0.7, 1.35]).ok
    elbow = desk.pose().fk()[19]
    assert elbow[2] > 1.25
    assert do(desk, "move_effector", effector="right hand", target="chest", offset=[0.2, 0, 0]).ok
    assert np.linalg.norm(hand(desk) - desk.pose().sites("chest")[0]) < 0.35
    before = desk.pose().root_pos[2]
    assert do(desk, "pelvis", up=-0.15).ok
    assert desk.pose().root_pos[2] < before - 0.1
    assert desk.pose().sites("L_sole")[0][2] == pytest.approx(0, abs=0.02)
    assert do(desk, "roll", joint="L_shoulder", deg=30).ok
    quiet = desk.pose()
    assert do(desk, "look", azimuth=90, focus="R_hand").ok
    assert desk.pose() is quiet
    assert desk.view.focus == "R_hand"


def test_roll_keeps_the_bone_where_it_is(desk):
    do(desk, "set_dof", dofs={"L_shoulder.elevation": 60, "L_elbow.flex": 90})
    elbow, wrist = desk.pose().fk()[[18, 20]]
    do(desk, "roll", joint="L_shoulder", deg=40)
    assert np.linalg.norm(desk.pose().fk()[18] - elbow) < 0.03
    assert np.linalg.norm(desk.pose().fk()[20] - wrist) > 0.1


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("set_dof", {"R_elbow.flex": "90°"}),
        ("aim", {"segment": "left_forearm", "direction": "forward up"}),
        ("face", {"hand": "R", "direction": "forward"}),
        ("reach", {"effector": "L_hand", "landmark": "left hip"}),
        ("bend", {"part": "right arm", "amount": "deep"}),
        ("mirror", {"from": "left"}),
        ("copy_pose", {"name": "tpose"}),
        ("plant", {"part": "left_hand", "on": "table"}),
        ("lift", {"part": "right_foot"}),
        ("shift_weight", {"to": "left"}),
        ("gaze", {"target": "left"}),
    ],
)
def test_commands_are_carried_out(desk, name, args):
    result = do(desk, name, **args)
    assert result.ok, result.text
    assert result.text.startswith(name)


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("fly", {}, "no command"),
        ("set_dof", {"tail": 3}, "unknown angle"),
        ("reach", {"effector": "R_hand", "landmark": "narnia"}, "unknown target"),
        ("reach", {"effector": "R_hand"}, "'target' is missing"),
        ("move_joint", {"joint": "L_hip", "target": [0, 0, 0]}, "hangs on the pelvis"),
        ("move_joint", {"joint": "R_elbow", "target": [0, 0, 900]}, "is no place"),
        ("bend", {"part": "torso", "amount": "very"}, "amount is"),
        ("copy_pose", {"name": "crane"}, "unknown pose"),
        ("plant", {"part": "left_hand", "on": "moon"}, "nothing is called"),
        ("roll", {"joint": "R_elbow", "deg": "__import__('os')"}, "expected a number"),
        ("undo", {}, "nothing to undo"),
    ],
)
def test_commands_that_make_no_sense_change_nothing(desk, name, args, message):
    before = desk.key.model_dump_json(exclude={"pose"})
    result = do(desk, name, **args)
    assert not result.ok
    assert message in result.text
    assert desk.key.model_dump_json(exclude={"pose"}) == before


def test_undo(desk):
    before = hand(desk)
    do(desk, "set_dof", dofs={"R_shoulder.elevation": 120})
    assert np.linalg.norm(hand(desk) - before) > 0.3
    do(desk, "undo")
    assert np.linalg.norm(hand(desk) - before) < 1e-9


def test_out_of_range_is_clamped_and_said(desk):
    result = do(desk, "set_dof", dofs={"R_elbow.flex": 400})
    assert result.ok
    assert "kept within range" in result.text or desk.pose().to_dofs()["R_elbow.flex"] <= 150.5


# ---- transcripts


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_transcript_replays(name):
    told = CONVERSATIONS[name]
    provider = ReplayProvider(FOLDER / f"{name}.jsonl")
    plan = design(told["text"], told.get("scene"), provider)
    assert plan.source == "mllm:by-hand"
    if told.get("animate"):
        plan = animate(plan, provider)
    clip = fill(plan, fps=8)
    assert np.isfinite(clip.qpos).all()


def test_there_are_enough_transcripts():
    assert len(list(FOLDER.glob("*.jsonl"))) >= 12
