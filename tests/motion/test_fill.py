"""Filling: feet that stay, weight over the feet, timing, gaits, jumps, scenes, styles."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("mujoco")
pytest.importorskip("mink")

from foveate.motion import fill, realize
from foveate.motion import rotations as rot
from foveate.motion.body import BODY
from foveate.motion.filling.com import plan_com, zero_moment
from foveate.motion.filling.curves import Curve, min_jerk
from foveate.motion.filling.knots import into_polygon
from foveate.motion.filling.rolling import rolled
from foveate.motion.kinematics import centre_of_mass
from tests.motion.plans import KICK, SOLES, SQUAT, WALK, WAVE, plan, planted_slide, sunk


@pytest.mark.parametrize("made", [WAVE, SQUAT, KICK, WALK], ids=["wave", "squat", "kick", "walk"])
def test_planted_feet_neither_slide_nor_sink(made):
    clip = fill(made)
    assert planted_slide(clip) < 0.01
    assert sunk(clip) < 0.01


def test_poses_are_those_asked_for():
    made = realize(WAVE)
    dofs = made.key("k1").pose.to_dofs()
    assert dofs["R_shoulder.abd"] == pytest.approx(100, abs=3)
    assert dofs["R_elbow.flex"] == pytest.approx(75, abs=3)
    squat = realize(SQUAT).key("k1").pose
    assert squat.root_pos[2] < 0.62
    assert squat.to_dofs()["L_knee.flex"] == pytest.approx(110, abs=8)
    # a key that has a pose keeps it
    assert realize(made).key("k1").pose == made.key("k1").pose


def test_the_weight_is_over_the_standing_foot_before_the_other_lifts():
    clip = fill(KICK)
    lifted = int(np.flatnonzero(~clip.contacts["R_foot"])[0])
    com = centre_of_mass(clip.joints, clip.rotations, clip.body)
    sole = clip.sites("L_heel_in", "L_toe_in", "L_heel_out", "L_toe_out")[lifted - 1]
    # within a centimetre: what must be inside exactly is the zero-moment point
    low, high = sole.min(0) - 0.01, sole.max(0) + 0.01
    assert (com[lifted - 1, :2] > low[:2]).all()
    assert (com[lifted - 1, :2] < high[:2]).all()


def test_the_zero_moment_point_of_a_walk_stays_in_the_feet():
    clip = fill(WALK)
    com = centre_of_mass(clip.joints, clip.rotations, clip.body)
    zmp = zero_moment(com[:, :2], com[:, 2], clip.fps)
    points = clip.sites(*SOLES)[..., :2]
    outside = 0
    for frame in range(1, len(clip) - 1):
        carrying = [c for c in range(8) if _touches(clip, SOLES[c], frame)]
        near = into_polygon(zmp[frame], points[frame, carrying], 0.0)
        outside += np.linalg.norm(near - zmp[frame]) > 0.03
    assert outside < 0.06 * len(clip)


def _touches(clip, site: str, frame: int) -> bool:
    parts = [f"{site[0]}_foot", f"{site[0]}_{'heel' if 'heel' in site else 'toes'}"]
    return any(clip.contacts[p][frame] for p in parts if p in clip.contacts)


def test_a_walk_goes_where_it_says():
    clip = fill(plan({"dt": 3, "gait": {"kind": "walk", "distance": 1.5}}))
    assert clip.root_pos[-1, 0] - clip.root_pos[0, 0] == pytest.approx(1.5, abs=0.05)
    turned = fill(plan({"dt": 3, "gait": {"kind": "turn", "turn_deg": 90}}))
    ahead = turned.sites("nose")[-1, 0] - turned.sites("head")[-1, 0]
    assert np.degrees(np.arctan2(ahead[1], ahead[0])) == pytest.approx(90, abs=5)
    sideways = fill(plan({"dt": 3, "gait": {"kind": "side-step", "steps": 3}}))
    assert sideways.root_pos[-1, 1] > 0.6
    assert abs(sideways.root_pos[-1, 0] - sideways.root_pos[0, 0]) < 0.05


def test_a_circle_ends_where_it_began():
    clip = fill(plan({"dt": 8, "gait": {"kind": "walk", "distance": 4.2, "turn_deg": 360}}))
    assert np.abs(clip.root_pos[-1] - clip.root_pos[0]).max() < 0.05
    assert clip.root_pos[:, 2].min() > 0.75


def test_a_jump_flies_on_a_parabola():
    clip = fill(
        plan(
            {
                "dt": 0.6,
                "root": {"height_mode": "ballistic", "height": 0.2},
                "contacts": ["L_foot", "R_foot"],
            }
        )
    )
    air = ~(clip.contacts["L_foot"] | clip.contacts["R_foot"])
    # legs that are drawn up push the pelvis down: it is the centre of mass that falls freely
    height = centre_of_mass(clip.joints, clip.rotations, clip.body)[:, 2]
    rise = height.max() - height[np.flatnonzero(air)[0] - 1]
    height = height[air]
    assert air.sum() / clip.fps == pytest.approx(2 * np.sqrt(0.4 / 9.81), abs=0.08)
    fall = np.diff(height, 2) * clip.fps**2
    assert np.median(fall) == pytest.approx(-9.81, abs=1.5)
    assert rise == pytest.approx(0.2, abs=0.04)


def test_sitting_meets_the_seat():
    seat = {"B_hip.flex": 95, "B_knee.flex": 90, "B_ankle.dorsi": 2}
    contacts = ["L_foot", "R_foot", "pelvis:chair"]
    clip = fill(plan({"dt": 1.4, "dofs": seat, "contacts": contacts}, scene="chair"))
    low = clip.sites("L_seat_back", "R_seat_front")[-1]
    assert low[:, 2] == pytest.approx([0.44, 0.44], abs=0.02)
    assert clip.scene.height(low[:, :2]) == pytest.approx([0.44, 0.44])
    assert clip.contacts["pelvis"][-1]


def test_stairs_are_climbed():
    steps = [f"step{i}" for i in range(1, 5)]
    clip = fill(plan({"dt": 5, "gait": {"kind": "stairs", "onto": steps}}, scene="stairs"))
    assert clip.root_pos[-1, 2] - clip.root_pos[0, 2] == pytest.approx(0.64, abs=0.03)
    assert planted_slide(clip) < 0.01


def test_a_stone_out_of_reach_is_refused():
    with pytest.raises(ValueError, match="put a stone between"):
        fill(plan({"dt": 5, "gait": {"kind": "stones", "onto": ["stone4"]}}, scene="stones"))


def test_a_hand_reaches_what_it_is_told_to():
    goal = {"kind": "reach", "effector": "R_hand", "target": "cup"}
    clip = fill(plan({"dt": 1, "goals": [goal]}, scene="table"))
    cup = np.array([0.55, -0.2, 0.84])
    assert np.linalg.norm(clip.sites("R_hand")[-1, 0] - cup) < 0.03
    mouth = plan({"dt": 1, "goals": [goal | {"target": "mouth"}]})
    ends = fill(mouth).sites("L_hand", "R_hand", "mouth")[-1]
    assert np.linalg.norm(ends[1] - ends[2]) < 0.05
    with pytest.raises(ValueError, match="unknown target 'moon'"):
        fill(plan({"dt": 1, "goals": [goal | {"target": "moon"}]}))


def test_times_that_nobody_can_keep_get_longer():
    clip = fill(plan({"dt": 0.08, "dofs": {"R_shoulder.flex": 170}}))
    assert clip.keys[1][0] / clip.fps >= 1.875 * 170 / 800 - 1 / clip.fps
    assert any("too fast" in note for note in clip.report.notes)


def test_styles_change_how_and_not_what():
    old = fill(plan({"dt": 3, "gait": {"kind": "walk", "steps": 4}}, style={"name": "old"}))
    plain = fill(WALK)
    assert old.duration > 1.2 * plain.duration
    assert old.root_pos[-1, 0] < 0.8 * plain.root_pos[-1, 0]
    lean = [c.sites("neck", "pelvis")[len(c) // 2] for c in (old, plain)]
    ahead = [points[0, 0] - points[1, 0] for points in lean]
    assert ahead[0] > ahead[1] + 0.1


def test_the_same_plan_gives_the_same_clip():
    drunk = plan({"dt": 3, "gait": {"kind": "walk", "steps": 2}}, style={"name": "drunk"}, seed=3)
    assert np.array_equal(fill(drunk).qpos, fill(drunk).qpos)


def test_linear_filling_is_the_papers():
    clip = fill(SQUAT, 20.0, method="linear")
    half = clip.pose(12).to_dofs()["L_knee.flex"]
    made = realize(SQUAT)
    ends = [made.key(k).pose.to_dofs()["L_knee.flex"] for k in ("k0", "k1")]
    assert half == pytest.approx(np.mean(ends), abs=1.0)


def test_loops_are_written_out():
    made = plan(
        {"id": "a", "dt": 0.4, "dofs": {"R_elbow.flex": 90}},
        {"id": "b", "dt": 0.4, "dofs": {"R_elbow.flex": 20}},
        loop={"start_key": "k0", "end_key": "b", "count": 3},
    )
    elbow = np.degrees(fill(made).qpos[:, 7:])
    from foveate.motion.body import DOF

    rises = elbow[:, DOF["R_elbow.flex"]]
    assert ((rises[1:-1] > rises[:-2]) & (rises[1:-1] >= rises[2:]) & (rises[1:-1] > 80)).sum() == 3


@pytest.mark.parametrize(("fps", "method"), [(1, "full"), (30, "magic")])
def test_wrong_arguments_are_refused(fps, method):
    with pytest.raises(ValueError, match="expected"):
        fill(WAVE, fps, method=method)


# ---- the pieces


def test_minimum_jerk_rests_at_both_ends():
    u = np.linspace(0, 1, 1001)
    s = min_jerk(u)
    speed = np.gradient(s, u)
    assert s[[0, -1]] == pytest.approx([0, 1])
    assert speed[[0, -1]] == pytest.approx([0, 0], abs=1e-4)
    assert speed.max() == pytest.approx(1.875, abs=1e-3)


def test_curves_meet_their_knots_and_do_not_overshoot():
    times, values = np.array([0, 0.5, 1.2, 2.0]), np.array([[0.0], [1.0], [1.0], [-0.5]])
    curve = Curve(times, values, np.zeros(4, bool))
    assert curve(times) == pytest.approx(values)
    fine = curve(np.linspace(0, 2, 500))
    assert fine.max() <= 1 + 1e-9
    assert fine.min() >= -0.5 - 1e-9


def test_the_planned_path_keeps_its_zero_moment_point_near_the_wish():
    wish = np.zeros((90, 2))
    wish[45:, 0] = 0.3
    height = np.full(90, 0.9)
    path = plan_com(wish, height, 30.0, wish[0], wish[-1])
    assert np.abs(zero_moment(path, height, 30.0) - wish)[np.r_[2:41, 50:88]].max() < 0.02
    assert path[0] == pytest.approx([0, 0], abs=1e-3)
    assert path[-1] == pytest.approx([0.3, 0], abs=2e-3)


def test_into_polygon():
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1.0]])
    assert into_polygon(np.array([0.5, 0.5]), square, 0.1) == pytest.approx([0.5, 0.5])
    assert into_polygon(np.array([2.0, 0.5]), square, 0.1) == pytest.approx([0.9, 0.5], abs=1e-5)
    assert into_polygon(np.array([9.0, 9.0]), square[:2], 0.1) == pytest.approx([0.5, 0.0])


def test_a_pelvis_rolls_on_its_seat():
    back = rot.axis_angle([0.0, 1.0, 0.0], np.radians(-90.0))
    moved = rolled(rot.IDENTITY, back, BODY)
    # it tips over the back end of what it sits on, and then onto its back
    assert -0.25 < moved[0] < -0.15
    assert abs(moved[1]) < 1e-9
    assert np.allclose(rolled(back, rot.IDENTITY, BODY), -moved, atol=1e-9)
    assert np.allclose(rolled(back, back, BODY), 0.0)
