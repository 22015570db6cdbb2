"""Feet that stand, arms that go around things, jumps whose centre of mass flies."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("mujoco")
pytest.importorskip("mink")

from foveate.motion import BODY, Pose, Scene, fill, track
from foveate.motion.body import JOINT
from foveate.motion.check import measure
from foveate.motion.check.measures import com
from foveate.motion.clip import MotionClip
from foveate.motion.filling.knots import Place
from foveate.motion.tracking.cleaning import clean
from tests.motion.plans import WALK, plan


def drifting(metres: float) -> MotionClip:
    """A body that stands for a second while everything creeps forward."""
    qpos = np.repeat(Pose.neutral(BODY).to_qpos()[None], 31, axis=0)
    qpos[:, 0] += np.linspace(0, metres, 31)
    touch = np.ones(31, bool)
    return MotionClip(30, qpos, contacts={"L_foot": touch, "R_foot": touch})


def test_a_foot_that_crept_is_set_back_and_it_is_told():
    creeping = drifting(0.04)
    assert measure(creeping).slide_cm > 1.5
    made = clean(creeping)
    assert measure(made).slide_cm < 0.3
    assert 1.5 < made.report.cleaned_cm < 4
    assert any("cleaned" in note for note in made.report.notes)
    # only the legs have moved
    assert np.allclose(made.joints[:, JOINT["head"]], creeping.joints[:, JOINT["head"]])


def test_a_foot_that_stands_is_left_as_it_is():
    clip = drifting(0.005)
    assert clean(clip) is clip


@pytest.mark.parametrize("pitch", [0.2, 0.6, 1.0])
def test_toes_stay_on_the_ground_while_the_foot_rolls(pitch):
    # the foot once rolled about the edge of its sole, and the toes sank by a centimetre
    from foveate.motion import rotations as rot

    place, turn = Place(np.zeros(3)).ankle(BODY, pitch)
    flat, _ = Place(np.zeros(3)).ankle(BODY, 0.0)
    toe = BODY.offsets[JOINT["L_foot"]]
    assert (place + rot.rotate(turn, toe))[2] == pytest.approx(flat[2] + toe[2])


def test_arms_go_around_the_seat_and_the_trunk_rests_on_it():
    # hanging arms once went 4 cm through the seat, and in simulation threw the body off it
    sit = plan(
        {
            "dt": 1.4,
            "dofs": {"B_hip.flex": 95, "B_knee.flex": 90, "B_ankle.dorsi": 2},
            "contacts": ["L_foot", "R_foot", "pelvis:chair"],
            "hold": 0.3,
        },
        scene="chair",
    )
    clip = fill(sit)
    assert clip.scene.objects == Scene.named("chair").objects
    assert measure(clip).sink_cm < 1
    step = np.linalg.norm(np.diff(clip.joints, axis=0), axis=-1).max()
    assert step < 0.12  # and nothing jumps aside


def test_in_flight_it_is_the_centre_of_mass_that_flies():
    # the pelvis once flew on the parabola, while falling arms took the push away
    jump = plan(
        {"dt": 0.6, "dofs": {"B_shoulder.abd": 150}},
        {"dt": 0.5, "base": "neutral", "root": {"height_mode": "ballistic", "height": 0.2}},
    )
    clip = fill(jump, 60)
    air = ~np.any(list(clip.contacts.values()), axis=0)
    height = com(clip)[air, 2][2:-2]
    assert len(height) > 8
    fall = 2 * np.polyfit(np.arange(len(height)) / 60, height, 2)[0]
    assert fall == pytest.approx(-9.81, abs=1.5)


def test_landings_do_not_sink():
    clip = track(fill(WALK), "T1")
    assert measure(clip).sink_cm < 0.8
    assert measure(clip).slide_cm < 1.0
