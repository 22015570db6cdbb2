"""Breathing, sway and eyes that lead, laid on a clip."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("mujoco")

from foveate.motion import KeyframePlan, fill, liven
from foveate.motion.body import DOF, DOF_HIGH, DOF_LOW
from foveate.motion.secondary import LEAD
from tests.motion.samples import still


def test_it_breathes_and_stands_on_the_same_feet():
    clip = still(seconds=8.0)
    made = liven(clip, 1.0, seed=3)
    chest = np.degrees(made.qpos[:, 7 + DOF["spine3.flex"]] - clip.qpos[:, 7 + DOF["spine3.flex"]])
    assert np.ptp(chest) == pytest.approx(0.9, abs=0.05)
    assert (made.qpos[:, :7] == clip.qpos[:, :7]).all()
    legs = [7 + i for name, i in DOF.items() if name[2:6] in ("hip.", "knee", "ankl", "foot")]
    assert (made.qpos[:, legs] == clip.qpos[:, legs]).all()
    assert np.abs(made.qpos[0] - clip.qpos[0]).max() < 1e-9, "it begins as before"
    hinges = made.qpos[:, 7:]
    assert (hinges >= DOF_LOW - 1e-9).all()
    assert (hinges <= DOF_HIGH + 1e-9).all()


def test_the_head_turns_before_it_would_have():
    plan = KeyframePlan.from_json(
        {"keys": [{"t": 0}, {"dt": 1.0, "dofs": {"head_look.rot": 50, "torso.rot": 30}, "hold": 1}]}
    )
    clip = fill(plan, 60)
    made = liven(clip, 1.0)
    column = 7 + DOF["neck.rot"]

    def middle(rows):
        return int(np.argmax(rows[:, column] > rows[:, column].max() / 2))

    assert middle(clip.qpos) - middle(made.qpos) == pytest.approx(LEAD * 60, abs=1)


def test_nothing_by_default_and_the_same_for_the_same_seed():
    clip = still(seconds=2.0)
    assert liven(clip, 0.0) is clip
    one, two, other = (liven(clip, 1.0, seed).qpos for seed in (1, 1, 2))
    assert (one == two).all()
    assert np.abs(one - other).max() > 1e-4
    with pytest.raises(ValueError, match="amount is 7"):
        liven(clip, 7)
