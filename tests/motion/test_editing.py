"""Editing: a plan changed by a sentence, by the grammar and by a model."""

from __future__ import annotations

import pytest

pytest.importorskip("mujoco")

from foveate.motion import KeyframePlan, edit, fill
from foveate.motion.lang import design_offline
from foveate.motion.mllm import ScriptedProvider

TEXT = "a person waves with the right hand, then sits down"


@pytest.fixture(scope="module")
def plan():
    return design_offline(TEXT)


def peak(plan, name):
    return max((k.dofs[name] for k in plan.keys if name in k.dofs), default=0.0)


@pytest.mark.parametrize(
    ("text", "ratio"),
    [("slower", 1.39), ("much faster", 0.62), ("twice as fast", 0.5), ("20% slower", 1.2)],
)
def test_tempo(plan, text, ratio):
    assert edit(plan, text).duration / plan.duration == pytest.approx(ratio, rel=0.02)


def test_higher_raises_the_arm_that_is_named(plan):
    changed = edit(plan, "raise the right arm a little higher")
    assert peak(changed, "R_shoulder.elevation") > peak(plan, "R_shoulder.elevation")
    assert peak(changed, "L_hip.flex") == peak(plan, "L_hip.flex")


def test_other_hand(plan):
    changed = edit(plan, "with the left hand")
    assert peak(changed, "L_shoulder.elevation") == peak(plan, "R_shoulder.elevation")
    assert "left hand" in changed.text
    assert edit(changed, "mirror it").to_json()["keys"] == edit(plan, "mirror it").to_json()[
        "keys"
    ] or (
        peak(edit(changed, "mirror it"), "R_shoulder.elevation")
        == peak(plan, "R_shoulder.elevation")
    )
    with pytest.raises(ValueError, match="already uses the right side"):
        edit(plan, "with the right hand")


def test_count_pause_style(plan):
    assert edit(plan, "do it three times").duration == pytest.approx(3 * plan.duration, rel=0.01)
    assert edit(plan, "hold it 2 seconds longer").duration == pytest.approx(plan.duration + 2)
    assert edit(plan, "make it sad").style.name == "depressed"


def test_leave_out_and_add(plan):
    assert edit(plan, "remove the sitting").text == "a person waves with the right hand"
    assert list(design_offline(edit(plan, "then bow").text).coverage.senses) == [
        "wave", "sit", "bow"
    ]  # fmt: skip
    assert edit(plan, "first nod").text.startswith("nod")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("wave five times", "wave five times, then sits down"),
        ("please wave with both hands instead", "wave with both hands, then sits down"),
        ("nod while waving", "nod while waving, then sits down"),
        ("sit down first", "sits down, then a person waves with the right hand"),
        (
            "turn around before sitting down",
            "a person waves with the right hand, then turn around, then sits down",
        ),
        ("bow instead of waving", "bow, then sits down"),
        ("don't sit down", "a person waves with the right hand"),
        ("then stand up again", f"{TEXT}, then stand up again"),
    ],
)
def test_an_action_is_told_anew(plan, change, text):
    assert edit(plan, change).text == text


def test_what_was_changed_before_stays(plan):
    slow = edit(plan, "much slower")
    both = edit(slow, "then bow")
    alone = edit(plan, "then bow")
    assert both.duration / alone.duration == pytest.approx(slow.duration / plan.duration, rel=0.02)
    assert [n for n in both.notes if n.startswith("edited")] == [
        'edited: 0.59 times as fast ("much slower")',
        "edited: then bow",
    ]


def test_the_plan_itself_is_left_alone(plan):
    before = plan.to_json()
    edit(plan, "slower")
    assert plan.to_json() == before


@pytest.mark.parametrize("text", ["make it purple", "remove the trumpet", ""])
def test_impossible_changes_are_said(plan, text):
    with pytest.raises(ValueError, match=r"cannot make|nothing that could|text is empty"):
        edit(plan, text)


def test_plan_by_hand_gets_an_action_appended():
    by_hand = KeyframePlan.from_json(
        {"keys": [{"t": 0}, {"dt": 0.8, "dofs": {"R_elbow.flex": 90}, "description": "bends"}]}
    )
    made = edit(by_hand, "then wave")
    assert made.keys[1].dofs == {"R_elbow.flex": 90}
    assert peak(made, "R_shoulder.elevation") > 80
    assert len(fill(made, fps=10).qpos) > 20


def test_model_writes_the_plan_anew(plan):
    answer = {"reasoning": "", "keys": [{"dt": 0.7, "description": "The left arm is up.",
              "dofs": {"L_shoulder.elevation": 160}}]}  # fmt: skip
    provider = ScriptedProvider([answer])
    made = edit(plan, "raise the left arm instead", provider)
    assert made.source == "mllm:scripted"
    assert made.keys[1].dofs == {"L_shoulder.elevation": 160}
    assert "raise the left arm instead" in provider.asked[0][-1].text
