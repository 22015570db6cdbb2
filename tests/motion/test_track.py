"""Tracking: simulated clips stay near what was asked, without help; help is reported."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("mujoco")
pytest.importorskip("mink")

from foveate.motion import Scene, design, fill, track
from foveate.motion.check import measure
from foveate.motion.engine import mujoco
from foveate.motion.evaluate import studies
from foveate.motion.mjcf import model_of
from foveate.motion.synthesis import perform
from foveate.motion.tracking.qp import PRESETS, QPTracker
from foveate.motion.tracking.reference import reference_of
from tests.motion.plans import KICK, SQUAT, WALK, WAVE, plan, planted_slide, sunk

RAISE = plan(
    {"dt": 1.2, "dofs": {"B_shoulder.abd": 165, "B_collar.elev": 20}},
    {"dt": 1.2, "base": "neutral"},
)
ONE_LEG = plan(
    {
        "dt": 0.8,
        "dofs": {"R_hip.flex": 80, "R_knee.flex": 90, "B_shoulder.abd": 80},
        "contacts": ["L_foot"],
        "hold": 1.0,
    },
    {"dt": 0.7, "base": "neutral", "contacts": ["L_foot", "R_foot"]},
)
BOW = plan(
    {"dt": 1.2, "dofs": {"B_hip.flex": 55, "torso.flex": 40, "B_ankle.dorsi": -6}, "hold": 0.5},
    {"dt": 1.2, "base": "neutral"},
)
SIT = plan(
    {
        "dt": 1.4,
        "dofs": {"B_hip.flex": 95, "B_knee.flex": 90, "B_ankle.dorsi": 2},
        "contacts": ["L_foot", "R_foot", "pelvis:chair"],
        "hold": 0.8,
    },
    scene="chair",
)


@pytest.mark.parametrize(
    ("made", "limit_cm"),
    [(RAISE, 1.0), (WAVE, 1.0), (SQUAT, 1.5), (BOW, 1.5), (KICK, 3.0), (ONE_LEG, 1.5), (WALK, 6.0)],
    ids=["raise", "wave", "squat", "bow", "kick", "one-leg", "walk"],
)
def test_bodies_do_what_is_asked_without_help(made, limit_cm):
    clip = track(fill(made), "T1")
    report = clip.report
    assert not report.fell
    assert report.tracking_error_cm < limit_cm
    assert report.physical
    assert report.residual_force == report.residual_peak == 0.0
    assert clip.source == "simulated"
    # a foot that lands or pushes off may tip a little; one that carries alone stays
    assert planted_slide(clip) < (0.025 if made is WALK else 0.01)
    assert sunk(clip) < (0.025 if made is WALK else 0.01)
    # on average the floor carries the body, no more and no less
    assert np.mean(report.ground_force) == pytest.approx(69.65 * 9.81, rel=0.1)


JUMP = plan(
    {"dt": 0.4, "dofs": {"B_hip.flex": 50, "B_knee.flex": 65, "B_ankle.dorsi": 23}},
    {
        "dt": 0.5,
        "contacts": ["L_foot", "R_foot"],
        "root": {"height_mode": "ballistic", "height": 0.12, "travel": [0.2, 0]},
    },
)
KNEEL = plan(
    {"dt": 1.0, "dofs": {"B_hip.flex": 80, "B_knee.flex": 95, "B_ankle.dorsi": 30}},
    {
        "dt": 0.9,
        "dofs": {"B_hip.flex": 92, "B_knee.flex": 128, "B_ankle.dorsi": 12},
        "contacts": ["L_toes", "R_toes"],
    },
    {
        "dt": 0.7,
        "dofs": {"B_hip.flex": 62, "B_knee.flex": 125},
        "contacts": ["L_knee", "R_knee", "L_toes", "R_toes"],
        "hold": 0.6,
    },
)


def test_a_jump_leaves_the_ground_and_lands_without_help():
    clip = track(fill(JUMP), "T1")
    assert clip.report.physical
    assert clip.report.tracking_error_cm < 6.0
    soles = clip.sites(*[f"{s}_{end}_in" for s in "LR" for end in ("heel", "toe")])[..., 2]
    assert (soles.min(axis=1) > 0.03).sum() >= 3  # frames with every part of both soles in the air
    assert measure(clip).slide_cm < 1
    assert clip.root_pos[-1, 0] - clip.root_pos[0, 0] == pytest.approx(0.2, abs=0.08)


def test_both_knees_reach_the_floor_without_help():
    clip = track(fill(KNEEL), "T1")
    assert clip.report.physical
    assert clip.report.tracking_error_cm < 4.0
    # the thigh is 7 cm thick at the knee
    knees = clip.joints[-1, [4, 5], 2]
    assert knees == pytest.approx([0.07, 0.07], abs=0.02)


def test_what_is_round_rests_on_its_surface():
    """Under MuJoCo 4 a contact pushed from 4 mm above a surface, where no controller saw it."""
    clip = track(fill(SIT), "T1")
    model = model_of(clip.shape, clip.scene)
    import mujoco

    data = mujoco.MjData(model)
    data.qpos[:] = clip.qpos[-1]
    mujoco.mj_forward(model, data)
    seat = model.geom("chair").id
    near = [c.dist for c in data.contact if seat in (c.geom1, c.geom2)]
    assert min(near) < 0.0015


def test_sitting_ends_on_the_seat():
    clip = track(fill(SIT), "T1")
    assert not clip.report.fell
    assert clip.report.end_error_cm < 6
    assert measure(clip).slide_cm < 1
    assert clip.sites("L_seat_back")[-1, 0, 2] == pytest.approx(0.44, abs=0.04)


def test_a_hand_closes_in_on_a_solid_cup():
    found = studies.interactions("reach", 2)
    assert found["success"] == 1.0
    assert found["error_m"] < 0.02


def test_a_body_lies_down_on_a_bed_unaided():
    clip = track(fill(design("lie down on the bed")), "T1")
    assert clip.report.good
    assert clip.report.tracking_error_cm < 6
    trunk = clip.joints[-1, 12] - clip.joints[-1, 0]
    assert abs(trunk[2]) < 0.1
    assert clip.root_pos[-1, 2] == pytest.approx(0.45 + 0.145, abs=0.03)


def test_a_body_that_sat_stands_up_again():
    clip = track(fill(design("sit down, then stand up")), "T1")
    assert clip.report.good
    assert clip.report.end_error_cm < 5


def test_stones_farther_apart_than_a_slow_step_are_crossed():
    assert studies.stones((0.55,), 1)[0]["crossed"] == 1.0


def test_a_push_is_recovered():
    clip = fill(plan({"dt": 2.0, "dofs": {"R_elbow.flex": 30}}))
    model = model_of(clip.shape)
    tracker = QPTracker(model, reference_of(clip, model))
    body = model.body("spine3").id
    torque = tracker.torque

    def pushed(step, preset, limit=0.0):
        tracker.data.xfrc_applied[body, :2] = (70.0, 70.0) if 50 <= step < 60 else 0.0
        return torque(step, preset, limit)

    tracker.torque = pushed  # 100 N for 0.1 s
    rollout = tracker.run(PRESETS[0])
    assert not rollout.fell
    assert np.abs(rollout.qpos[-1, :3] - clip.qpos[-1, :3]).max() < 0.03


def test_what_cannot_be_done_gets_help_and_says_so():
    clip = fill(plan({"dt": 1.0, "dofs": {"torso.flex": 0}}))
    # hover: nothing on earth holds a body half a metre up
    lifted = clip.qpos.copy()
    lifted[:, 2] += 0.5
    hovering = clip.with_(qpos=lifted, contacts={})
    alone = track(hovering, "T1")
    assert alone.report.fell or alone.report.tracking_error_cm > 15
    assert not alone.report.good
    helped = track(hovering, "T4")
    assert helped.report.physical is False
    assert helped.report.residual_force > 0.8
    assert any("assisted" in note for note in helped.report.notes)


def test_attempts_are_told_in_order():
    clip = perform(WAVE)
    assert clip.report.tracker == "T1"
    assert clip.report.attempts[0].startswith("T1")
    assert {"fill", "track"} <= set(clip.report.seconds)
    kinematic = perform(WAVE, physics="none")
    assert kinematic.source == "kinematic"
    with pytest.raises(ValueError, match="method is 'T9'"):
        track(kinematic, "T9")


def test_the_same_clip_gives_the_same_simulation():
    clip = fill(WAVE)
    assert np.array_equal(track(clip, "T1").qpos, track(clip, "T1").qpos)


def test_uneven_ground_is_walked():
    made = plan({"dt": 3, "gait": {"kind": "walk", "steps": 3}}, scene="slope")
    clip = track(fill(made), "T1")
    assert not clip.report.fell
    assert clip.root_pos[-1, 2] - clip.root_pos[0, 2] == pytest.approx(
        float(Scene.named("slope").height(clip.root_pos[-1, :2])), abs=0.05
    )


def test_a_long_clip_that_only_strays_is_not_sampled_from_its_beginning(monkeypatch):
    def sampled(*args):
        raise AssertionError("sampled")

    monkeypatch.setattr("foveate.motion.tracking.GOOD_CM", -1.0)  # so that nothing is near enough
    monkeypatch.setattr("foveate.motion.tracking.sampling.Sampler.run", sampled)
    assert track(fill(WAVE), "rescue", patience=1.0).report.attempts


@pytest.mark.slow
def test_sampling_follows_without_contacts_or_derivatives():
    clip = track(fill(RAISE), "T2", seed=1)
    assert clip.report.tracker == "T2"
    assert not clip.report.fell
    assert clip.report.tracking_error_cm < 5


def test_servos_that_sample_do_not_brake_a_body_that_moves_as_wanted():
    from foveate.motion.tracking.sampling import KNOTS, Sampler

    clip = fill(SQUAT)
    model = model_of(clip.shape)
    reference = reference_of(clip, model)
    sampler = Sampler(model, reference, clip.body)
    at = int(np.abs(reference.qvel[:, 6:]).sum(axis=1).argmax())
    sampler.data.qpos[:], sampler.data.qvel[:] = reference.qpos[at], reference.qvel[at]
    offsets = np.zeros((1, KNOTS, model.nu))
    sampler.data.ctrl[:] = sampler._controls(offsets, float(at), model.opt.timestep)[0, 0]
    mujoco.mj_forward(model, sampler.data)
    assert np.abs(reference.qvel[at, 6:]).max() > 1
    assert np.abs(sampler.data.qfrc_actuator[6:]).max() < 1e-6


def test_the_reference_is_differentiated_in_its_own_units():
    clip = fill(WALK)
    model = model_of(clip.shape)
    reference = reference_of(clip, model)
    # the smoothed speed adds up to the way
    gone = reference.qvel[:, 0].sum() / reference.rate
    assert gone == pytest.approx(reference.qpos[-1, 0] - reference.qpos[0, 0], abs=0.01)
    # something carries the body all the time, and never three feet
    assert reference.active.any(axis=1).all()
