"""Plans and scenes: what is accepted, what is refused in one line, and that nothing is lost."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("pydantic")

from foveate.motion.plan import Keyframe, KeyframePlan
from foveate.motion.pose import Pose
from foveate.motion.presets import PRESETS
from foveate.motion.scene import Scene

EXAMPLE = {
    "text": "wave with the right hand, then take a step forward",
    "keys": [
        {"id": "k0", "t": 0, "contacts": ["L_foot:floor", "R_foot:floor"]},
        {
            "id": "k1",
            "t": 0.66,
            "description": "right hand up beside the head",
            "parts": {"right_arm": "forearm up"},
            "dofs": {"R_shoulder.abd": 100, "R_shoulder.rot": -60, "R_elbow.flex": 75},
        },
        {"id": "k2", "t": 0.92, "repeat_with": "k1", "times": 4, "dofs": {"R_elbow.flex": 105}},
        {"id": "k3", "t": 3.3, "support": ["L_foot"]},
        {"id": "k4", "dt": 0.65, "contacts": [{"part": "R_foot", "step": [0.35, 0]}, "L_foot"]},
        {"id": "k5", "t": 4.8, "gait": {"kind": "walk", "steps": 2}},
    ],
}


def test_the_example_is_written_out_and_comes_back():
    plan = KeyframePlan.from_json(EXAMPLE)
    names = [key.id for key in plan.keys]
    assert names[:5] == ["k0", "k1", "k2", "k1~2", "k2~2"]
    assert [n.partition("~")[0] for n in names].count("k2") == 4
    times = [key.t for key in plan.keys]
    assert times == sorted(times)
    assert plan.key("k4").t == pytest.approx(3.95)
    assert plan.key("k4").contacts[0].step == (0.35, 0)
    assert KeyframePlan.from_json(json.dumps(plan.to_json())) == plan


def test_poses_travel_with_the_plan():
    plan = KeyframePlan.from_json(EXAMPLE)
    plan.keys[0].pose = Pose.neutral()
    again = KeyframePlan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again.keys[0].pose == Pose.neutral()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (3, "a plan is an object"),
        ({"keys": 3}, "a plan is an object"),
        ("{", "must be JSON"),
        ({"keys": []}, "at least 1"),
        ({"keys": [{"t": 1}, {"t": 1}]}, "times must increase"),
        ({"keys": [{"t": "soon"}]}, "expected seconds"),
        ({"keys": [{"dofs": {"L_kne.flex": 1}}]}, "unknown degree of freedom"),
        ({"keys": [{"dofs": {"L_knee.flex": 1e9}}]}, "less than or equal to 720"),
        ({"keys": [{"ease": "wobbly"}]}, "ease"),
        ({"keys": [{"contacts": ["nose:floor"]}]}, "part"),
        ({"keys": [{"id": "a", "t": 0}, {"id": "a", "t": 1}]}, "two keys have the id 'a'"),
        ({"keys": [{"goals": [{"kind": "reach", "effector": "R_hand"}]}]}, "target is missing"),
        ({"keys": [{"repeat_with": "x"}]}, "repeat_with"),
        ({"keys": [{"surprise": 1}]}, "surprise"),
        ({"keys": [{}], "loop": {"start_key": "x", "end_key": "y"}}, "loop names key 'x'"),
        ({"keys": [{"t": float("nan")}]}, "keys.0.t"),
    ],
)
def test_bad_plans_get_one_line(data, message):
    with pytest.raises(ValueError, match=message) as caught:
        KeyframePlan.from_json(data)
    assert "\n" not in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(Keyframe.model_fields)), json_values, max_size=4))
def test_nonsense_is_refused_and_nothing_else_is_raised(key):
    refusal = None
    try:
        KeyframePlan.from_json({"keys": [key]})
    except ValueError as error:
        refusal = str(error)
    assert refusal is None or "\n" not in refusal


def test_the_schema_is_json_schema_of_what_is_written():
    jsonschema = pytest.importorskip("jsonschema")
    schema = KeyframePlan.schema()
    json.dumps(schema)
    jsonschema.validate(KeyframePlan.from_json(EXAMPLE).to_json(), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"keys": [{"id": "a", "t": 0, "ease": "wobbly"}]}, schema)


# ---- scenes


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_ready_made_scenes_come_back_and_stand_up(name):
    scene = Scene.named(name)
    assert Scene.from_json(json.loads(json.dumps(scene.to_json()))) == scene
    assert float(scene.height(np.zeros(2))) == pytest.approx(0.0, abs=1e-6)


def test_heights_are_those_of_the_objects():
    stairs = Scene.named("stairs")
    points = np.array([[0.0, 0.0], [0.45, 0.0], [0.75, 0.0], [0.45, 0.7]])
    assert stairs.height(points) == pytest.approx([0, 0.16, 0.32, 0])
    turned = Scene.from_json(
        {"objects": [{"name": "b", "size": [2, 0.2, 0.5], "position": [1, 0, 0], "yaw_deg": 90}]}
    )
    assert turned.height(np.array([[1.0, 0.9], [1.9, 0.0]])) == pytest.approx([0.5, 0.0])
    slope = Scene.named("slope").height(np.array([[1.0, 0.0], [-1.0, 0.0]]))
    assert slope == pytest.approx([np.tan(np.radians(5)), 0.0])


def test_height_fields_meet_their_grid():
    grid = [[0.0, 0.1, 0.2], [0.3, 0.4, 0.5]]
    field = {"name": "g", "shape": "heightfield", "size": [2, 1, 1], "heights": grid}
    scene = Scene.from_json({"objects": [field]})
    corners = np.array([[-1.0, -0.5], [1.0, -0.5], [1.0, 0.5], [0.0, 0.0]])
    assert scene.height(corners) == pytest.approx([0.0, 0.2, 0.5, 0.25])


def test_mujoco_stands_on_the_same_heights():
    mujoco = pytest.importorskip("mujoco")
    from foveate.motion.mjcf import model_of

    for name in ("stairs", "uneven", "slope", "stones"):
        scene = Scene.named(name)
        model = model_of(None, scene)
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        groups = np.array([0, 0, 1, 0, 0, 0], np.uint8)  # the scene alone
        for x in np.linspace(0.05, 1.7, 12):
            for y in (-0.07, 0.11):
                hit = np.zeros(1, np.int32)
                down = np.array([0.0, 0.0, -1.0])
                place = np.array([x, y, 3.0])
                far = mujoco.mj_ray(model, data, place, down, groups, 1, -1, hit)
                ours = float(scene.height(np.array([x, y])))
                if far >= 0:  # MuJoCo's height fields are triangles, ours are bilinear
                    assert 3.0 - far == pytest.approx(ours, abs=0.012), (name, x, y)
                else:
                    assert ours == -5.0


@pytest.mark.parametrize(
    ("name", "message"),
    [("atlantis", "scenes are empty, chair"), ("missing.json", "cannot read scene")],
)
def test_unknown_scenes_are_named(name, message):
    with pytest.raises(ValueError, match=message):
        Scene.named(name)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"objects": [{"name": "a"}, {"name": "a"}]}, "share the name 'a'"),
        ({"objects": [{"name": "a", "size": [1, 0, 1]}]}, "must be positive"),
        ({"objects": [{"name": "a", "shape": "heightfield"}]}, "needs heights"),
        ([], "not a scene"),
    ],
)
def test_bad_scenes_get_one_line(data, message):
    with pytest.raises(ValueError, match=message) as caught:
        Scene.from_json(data)
    assert "\n" not in str(caught.value)
