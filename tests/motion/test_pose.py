"""Poses and rotations: names, mirrors, conversions, the file frame."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("pydantic")

from foveate.motion import rotations as rot
from foveate.motion.body import DOF_HIGH, DOF_LOW, DOFS
from foveate.motion.kinematics import join_qpos
from foveate.motion.pose import Pose, apply_dofs, expand_dof


def random_pose(seed: int = 0) -> Pose:
    rng = np.random.default_rng(seed)
    hinges = rng.uniform(DOF_LOW, DOF_HIGH)
    return Pose.from_qpos(join_qpos(rng.normal(size=3), rot.unit(rng.normal(size=4)), hinges))


def test_mirror_is_an_involution_and_mirrors_the_points():
    pose = random_pose()
    twice = pose.mirror().mirror()
    assert np.allclose(twice.joint_quat, pose.joint_quat)
    assert np.allclose(twice.fk(), pose.fk())
    names = [dof.name for dof in DOFS]
    swapped = {"L": "R", "R": "L"}
    before, after = pose.fk(), pose.mirror().fk()
    for left, right in ((1, 2), (7, 8), (20, 21), (15, 15)):
        assert after[left] == pytest.approx(before[right] * [1, -1, 1], abs=1e-9)
    # clinical angles keep their sign on the other side; lat and rot of the trunk change theirs
    told, mirrored = pose.to_dofs(), pose.mirror().to_dofs()
    for name in names:
        if name[1] == "_" and "shoulder" not in name:
            assert mirrored[swapped[name[0]] + name[1:]] == pytest.approx(told[name], abs=1e-6)
        elif name[1] != "_":
            sign = 1 if name.endswith("flex") else -1
            assert mirrored[name] == pytest.approx(sign * told[name], abs=1e-6)


def test_qpos_and_json_come_back():
    pose = random_pose(3)
    again = Pose.from_qpos(pose.to_qpos())
    assert np.allclose(again.fk(), pose.fk(), atol=1e-9)
    assert Pose.from_json(json.loads(json.dumps(pose.to_json()))) == pose


def test_lerp_meets_both_ends_and_the_middle():
    a, b = Pose.neutral(), Pose.neutral().with_dofs({"R_shoulder.abd": 108})
    assert np.allclose(a.lerp(b, 0).fk(), a.fk())
    assert np.allclose(a.lerp(b, 1).fk(), b.fk())
    assert a.lerp(b, 0.5).to_dofs()["R_shoulder.abd"] == pytest.approx(58)


def test_grounded_neutral_has_flat_soles():
    soles = Pose.neutral().sites("L_heel_in", "L_toe_in", "R_heel_out", "R_toe_out")
    assert soles[:, 2] == pytest.approx(np.zeros(4), abs=1e-6)


def test_clamped_says_what_changed():
    pose, changed = Pose.from_dofs({"L_knee.flex": 170, "R_knee.flex": 20}).clamped()
    assert list(changed) == ["L_knee.flex"]
    assert changed["L_knee.flex"] == pytest.approx((170, 155))
    assert pose.to_dofs()["L_knee.flex"] == pytest.approx(155)


@pytest.mark.parametrize(
    "name", ["L_kne.flex", "knee.flex", "L_knee.abd", "L_knee", "torso.abd", "", "B_spine1.flex"]
)
def test_unknown_angles_are_refused_by_name(name):
    with pytest.raises(ValueError, match="unknown degree of freedom"):
        Pose.from_dofs({name: 10})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "90", None])
def test_angles_must_be_finite_numbers(value):
    with pytest.raises(ValueError, match="finite number of degrees"):
        apply_dofs(np.zeros(47), {"L_knee.flex": value})


def test_both_sides_expand():
    assert expand_dof("B_knee.flex") == [("L_knee.flex", 1.0), ("R_knee.flex", 1.0)]


@pytest.mark.parametrize(
    ("field", "value"),
    [("root_pos", [0, 0]), ("root_quat", [0, 0, 0, 0]), ("joint_quat", np.zeros((20, 4)))],
)
def test_wrong_shapes_are_refused(field, value):
    data = Pose.rest().to_json() | {field: np.array(value).tolist()}
    with pytest.raises(ValueError, match=f"Pose.{field}"):
        Pose.from_json(data)
    del data[field]
    with pytest.raises(ValueError, match="a pose needs"):
        Pose.from_json(data)


# ---- rotations


def test_quaternion_products_are_those_of_matrices():
    rng = np.random.default_rng(0)
    a, b = rot.unit(rng.normal(size=(2, 500, 4)))
    product = rot.to_matrix(rot.multiply(a, b))
    assert np.allclose(product, rot.to_matrix(a) @ rot.to_matrix(b))
    v = rng.normal(size=(500, 3))
    turned = np.einsum("nij,nj->ni", rot.to_matrix(a), v)
    assert np.allclose(rot.rotate(a, v), turned)
    assert np.allclose(np.abs((rot.from_matrix(rot.to_matrix(a)) * a).sum(-1)), 1)


def test_exp_and_log_are_inverses_down_to_nothing():
    rng = np.random.default_rng(0)
    v = rng.normal(size=(500, 3))
    v *= rng.uniform(0, 3.1, (500, 1)) / np.linalg.norm(v, axis=1, keepdims=True)
    v[:3] = 0, 1e-9, 1e-14
    assert np.allclose(rot.log(rot.exp(v)), v, atol=1e-12)


def test_the_file_frame_is_left_up_forward():
    left, up, forward = np.eye(3)
    assert np.allclose(rot.to_file([0, 1, 0]), left)
    assert np.allclose(rot.to_file([0, 0, 1]), up)
    assert np.allclose(rot.to_file([1, 0, 0]), forward)
    rng = np.random.default_rng(0)
    q, v = rot.unit(rng.normal(size=4)), rng.normal(size=3)
    assert np.allclose(
        rot.rotate(rot.quat_to_file(q), rot.to_file(v)), rot.to_file(rot.rotate(q, v))
    )
    assert np.allclose(rot.FILE_BASIS @ v, rot.to_file(v))
    assert np.allclose(rot.from_file(rot.to_file(v)), v)
    assert np.allclose(rot.quat_from_file(rot.quat_to_file(q)), q)


def test_continuous_keeps_neighbours_in_one_hemisphere():
    turns = rot.yaw_quat(np.linspace(0, 6 * np.pi, 100))
    flipped = turns * np.where(np.arange(100) % 3 == 0, -1, 1)[:, None]
    smooth = rot.continuous(flipped)
    assert ((smooth[1:] * smooth[:-1]).sum(-1) > 0).all()
    assert np.allclose(rot.to_matrix(smooth), rot.to_matrix(turns))


def test_yaw_of_standing_and_lying():
    assert rot.yaw_of(rot.yaw_quat(1.2)) == pytest.approx(1.2)
    for pitch in (-np.pi / 2, np.pi / 2):  # fallen backwards, forwards: still heading 0.7
        lying = rot.multiply(rot.yaw_quat(0.7), rot.axis_angle([0, 1, 0], pitch))
        assert rot.yaw_of(lying) == pytest.approx(0.7)
