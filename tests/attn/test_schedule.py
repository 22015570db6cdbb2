"""Schedule: dense at both ends, the selection between."""

from __future__ import annotations

import pytest

from foveate import Dense, Schedule, Sparge, TopK, XAttention


def test_ends_are_dense_and_the_middle_is_not():
    chosen = Sparge(threshold=0.9)
    plan = Schedule(chosen, 50)
    steps = [plan.at(i) for i in range(50)]
    assert steps[:5] == [Dense()] * 5
    assert steps[5:48] == [chosen] * 43
    assert steps[48:] == [Dense()] * 2


def test_a_name_stands_for_its_defaults():
    assert Schedule("xattention", 10).at(5) == XAttention()


def test_all_steps_can_be_sparse():
    plan = Schedule(TopK(3), 3, dense_first=0, dense_last=0)
    assert {plan.at(i) for i in range(3)} == {TopK(3)}


def test_a_ramp_moves_in_equal_steps():
    plan = Schedule(XAttention(stride=8), 12, dense_first=4, dense_last=3, ramp=(0.98, 0.9))
    middle = [plan.at(i) for i in range(4, 9)]
    assert [one.threshold for one in middle] == pytest.approx([0.98, 0.96, 0.94, 0.92, 0.9])
    assert {one.stride for one in middle} == {8}
    assert plan.at(3) == plan.at(9) == Dense()


def test_a_ramp_of_one_step_is_its_start():
    plan = Schedule(Sparge(), 3, dense_first=1, dense_last=1, ramp=(0.95, 0.8))
    assert plan.at(1).threshold == 0.95


def test_schedules_are_values():
    assert Schedule("sparge", 9) == Schedule(Sparge(), 9)
    assert len({Schedule("sparge", 9), Schedule(Sparge(), 9), Schedule(Sparge(), 10)}) == 2


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"select": 3, "steps": 10}, TypeError, "Schedule.select is int"),
        ({"select": "sparge", "steps": 0}, ValueError, "Schedule.steps is 0; expected an int of"),
        ({"select": "sparge", "steps": 4}, ValueError, "leave none of 4 steps"),
        ({"select": "sparge", "steps": 9, "dense_last": -1}, ValueError, "Schedule.dense_last"),
        ({"select": TopK(2), "steps": 9, "ramp": (0.9, 0.8)}, ValueError, "TopK has no threshold"),
        ({"select": Sparge(keep=2), "steps": 9, "ramp": (0.9, 0.8)}, ValueError, "no threshold"),
        ({"select": "sparge", "steps": 9, "ramp": (0.9,)}, ValueError, "expected two thresholds"),
        ({"select": "sparge", "steps": 9, "ramp": (0.9, 1.8)}, ValueError, "Sparge.threshold is"),
    ],
)
def test_bad_parts_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        Schedule(**arguments)


@pytest.mark.parametrize("step", [-1, 10, 2.0, True])
def test_steps_that_do_not_exist_are_refused(step):
    with pytest.raises(ValueError, match="expected an int from 0 to 9"):
        Schedule("sparge", 10).at(step)
