"""The benchmark: rules hold for what they describe and fail for a body that just stands."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("mujoco")

from foveate.motion import KeyframePlan, Pose
from foveate.motion import rotations as rot
from foveate.motion.evaluate import Outcome, prompts, run, summary
from foveate.motion.evaluate import rules as r
from foveate.motion.evaluate.bench import HEADER, cells, markdown
from foveate.motion.evaluate.events import above, airborne, bent, grounded, lifted, lowered, near
from foveate.motion.evaluate.gallery import write_gallery
from foveate.motion.evaluate.study import analyse, page_of
from tests.motion.samples import still, wave


def holds(rule, clip):
    ok, said = rule.check(clip)
    assert isinstance(said, str)
    assert said
    return ok


def moved(clip, column, values):
    qpos = clip.qpos.copy()
    qpos[:, column] += values
    return clip.with_(qpos=qpos)


def test_enough_prompts_with_distinct_names():
    every = prompts()
    assert len(every) >= 60
    assert len({p.name for p in every}) == len({p.text for p in every}) == len(every)
    assert {"actions", "sports", "styles", "scene", "stones"} <= {p.category for p in every}
    assert len(prompts("actions")) == 12
    with pytest.raises(ValueError, match='no category "poems"; the benchmark has actions'):
        prompts("poems")


def test_standing_still_shows_nothing():
    """A rule set that a motionless body fulfils would measure nothing."""
    from foveate.motion import Scene

    for prompt in prompts():
        clip = still(3.0).with_(scene=Scene.named(prompt.scene) if prompt.scene else None)
        answers = []
        for rule in prompt.rules:
            try:
                answers.append(rule.check(clip)[0])
            except ValueError:
                answers.append(False)
        assert not all(answers), prompt.name


def test_wave_is_a_wave_of_the_right_hand():
    (prompt,) = (p for p in prompts() if p.name == "wave-right")
    clip = wave()
    answers = {rule.text: rule.check(clip)[0] for rule in prompt.rules}
    assert answers.pop("R_wrist goes back and forth 3 times") in (True, False)
    assert all(answers.values())
    mirrored = Pose.from_qpos(clip.qpos[30]).mirror()
    left = clip.with_(qpos=mirrored.to_qpos()[None].repeat(30, 0), contacts={}, keys=())
    assert not holds(r.happens(above("R_wrist", "R_shoulder"), 0.3), left)
    assert holds(r.happens(above("L_wrist", "L_shoulder"), 0.3), left)


def test_events():
    clip = still(1.0)
    assert holds(r.happens(grounded("L") & grounded("R"), 0.9), clip)
    assert not holds(r.happens(airborne()), clip)
    assert holds(r.happens(airborne(), 0.5), moved(clip, 2, 0.3))
    assert holds(
        r.happens(lowered(0.2), 0.4), moved(clip, 2, np.where(np.arange(31) > 15, -0.25, 0))
    )
    assert not holds(r.happens(bent("R_elbow.flex", 60)), clip)
    assert not holds(r.happens(near("L_hand", "mouth", 0.3)), clip)
    assert holds(r.never(lifted("L")), clip)


def test_order_and_counts():
    clip = still(2.0)
    dip = moved(clip, 2, -0.3 * (np.abs(clip.times - 1.0) < 0.3))
    late = lowered(0.2)
    assert holds(r.repeats(late, 1), dip)
    assert not holds(r.repeats(late, 2), dip)
    assert holds(r.first(grounded("L"), late), dip)
    assert holds(r.upright_end(), dip)
    assert not holds(r.ends(late), dip)


def test_travel_turn_and_speed():
    clip = still(2.0)
    ahead = moved(clip, 0, np.linspace(0, 2, len(clip)))
    assert holds(r.travels(forward=1.5), ahead)
    assert not holds(r.travels(forward=-0.5), ahead)
    assert not holds(r.stays(0.5), ahead)
    assert holds(r.speed(at_least=0.9), ahead)
    assert holds(r.speed(at_most=1.1), ahead)
    qpos = ahead.qpos.copy()
    qpos[:, 3:7] = rot.yaw_quat(np.linspace(0, np.pi / 2, len(clip)))
    turned = clip.with_(qpos=qpos)
    assert holds(r.turns(90), turned)
    assert not holds(r.turns(-90), turned)
    assert holds(r.turns_either(90), turned)
    assert holds(r.winds(80), turned)
    backwards = qpos.copy()
    backwards[:, 3:7] = rot.yaw_quat(np.pi)
    assert holds(r.travels(forward=-1.5), clip.with_(qpos=backwards)), "as the character sees it"


def test_swings_counts_turning_points():
    clip = still(3.0)
    from foveate.motion.body import DOF

    column = 7 + DOF["R_shoulder.flex"]
    swung = moved(clip, column, 0.5 * np.sin(2 * np.pi * clip.times))
    assert holds(r.swings("R_wrist", 5), swung)
    assert not holds(r.swings("R_wrist", 8), swung)
    assert not holds(r.swings("L_wrist", 1), swung)
    assert holds(r.keeps("L_wrist"), swung)
    assert not holds(r.keeps("R_wrist"), swung)
    assert holds(r.fast("R_wrist", 0.8), swung)


def test_run_counts_everything(tmp_path):
    """Understood, not understood and broken sentences all end up in the table."""
    from foveate.motion.lang import NotUnderstood

    chosen = prompts("arms")[:3]

    def designer(prompt, seed):
        if prompt is chosen[1]:
            raise NotUnderstood("no action was understood", ["gibberish"], ["wave"])
        if prompt is chosen[2]:
            raise LookupError("broken")
        return KeyframePlan.from_json(
            {"text": prompt.text, "keys": [{"id": "k0", "t": 0}, {"id": "k1", "t": 0.4}]}
        )

    outcomes = list(run(chosen, designer, physics="none", fps=20))
    assert [o.status for o in outcomes] == ["done", "not understood", "failed"]
    assert "LookupError" in outcomes[2].note
    (row,) = summary(outcomes)
    assert (row["prompts"], row["understood"], row["made"], row["shown"]) == (3, 2, 1, 0)
    assert len(cells(row)) == len(HEADER)
    assert markdown(outcomes).count("\n") == 3
    back = [Outcome(**json.loads(json.dumps(o.to_json()))) for o in outcomes]
    assert summary(back) == summary(outcomes)
    text = write_gallery(outcomes, tmp_path).read_text()
    assert all(o.name in text for o in outcomes)


def test_beyond_is_counted_apart():
    good = Outcome("a", "arms", "x", passed=1, asked=1, measures={"slide_cm": 0, "sink_cm": 0})
    bad = Outcome("b", "beyond", "y", status="not understood", asked=1)
    other = Outcome("c", "scene", "z", passed=0, asked=1, measures={"slide_cm": 2, "sink_cm": 0})
    rows = {row["category"]: row for row in summary([good, bad, other])}
    assert list(rows) == ["arms", "scene", "all of these", "beyond"]
    assert rows["all of these"]["rules"] == 0.5
    assert rows["all of these"]["slide_ok"] == 1


# ---- the user study


def person(share, good=True, count=10):
    answers = [{"name": str(i), "chosen": "a" if i < share * count else "b", "check": False}
               for i in range(count)]  # fmt: skip
    answers.append({"name": "check", "chosen": "a" if good else "b", "check": True})
    return {"systems": ["ours", "theirs"], "answers": answers}


def test_study_analysis():
    result = analyse([person(0.8), person(0.6), person(0.7), person(0.0, good=False)])
    assert result["share"] == pytest.approx(0.7)
    low, high = result["interval"]
    assert low < 0.7 < high
    assert (result["people"], result["dropped"], result["answers"]) == (3, 1, 30)
    assert result["rows"][0][0] == "ours"
    assert result == analyse([person(0.8), person(0.6), person(0.7), person(0.0, good=False)])
    with pytest.raises(ValueError, match="nobody is left"):
        analyse([person(0.5, good=False)])
    with pytest.raises(ValueError, match="different systems"):
        analyse([person(0.5), {"systems": ["x", "y"], "answers": []}])


def test_study_page(tmp_path):
    from PIL import Image

    for folder, shade in (("ours", 0), ("theirs", 255)):
        (tmp_path / folder).mkdir()
        for name in ("a", "b"):
            Image.new("L", (8, 8), shade).save(tmp_path / folder / f"{name}.gif")
    (tmp_path / "ours" / "a.txt").write_text("walks </script> home")
    count = page_of(tmp_path / "ours", tmp_path / "theirs", tmp_path / "study.html")
    text = (tmp_path / "study.html").read_text()
    assert count == 2
    data = json.loads(text.split('id="data">')[1].split("</script>")[0])
    assert sum(p["check"] for p in data["pairs"]) == 1
    assert "walks </script> home" in [p["text"] for p in data["pairs"]]
    with pytest.raises(ValueError, match="no GIF has the same name"):
        page_of(tmp_path / "ours", tmp_path, tmp_path / "x.html")
