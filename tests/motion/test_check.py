"""The linter: it sees seeded faults, says nothing about sound motion, and mends what it can."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("mujoco")

from foveate.motion import KeyframePlan, Pose, Scene, export, lint, load, repair
from foveate.motion.check import CODES, measure
from foveate.motion.check.surfaces import surface_depth
from foveate.motion.plan import Coverage
from tests.motion.samples import drift, still, wave


def codes(thing):
    return {f.code for f in lint(thing) if f.severity != "info"}


def changed(clip, column, values):
    qpos = clip.qpos.copy()
    qpos[:, column] += values
    return clip.with_(qpos=qpos)


def test_sound_motion_has_no_findings():
    assert lint(still()) == []
    assert codes(wave()) == set()


def test_slide_is_seen_measured_and_pinned():
    clip = drift(0.3)
    found = [f for f in lint(clip) if f.code == "SLIDE"]
    assert {f.part for f in found} == {"L_foot", "R_foot"}
    assert found[0].value == pytest.approx(15, abs=2), "half of 30 cm on either side of the middle"
    assert found[0].severity == "error"
    assert found[0].frames[1] - found[0].frames[0] > 25
    small = drift(0.05)
    assert measure(repair(small)).slide_cm < 0.5 < measure(small).slide_cm


def test_sinking_is_seen_and_lifted():
    clip = changed(still(1.0), 2, -0.04)
    (found,) = [f for f in lint(clip) if f.code == "SINK"]
    assert found.value == pytest.approx(4.0, abs=0.1)
    assert "SINK" not in codes(repair(clip))


def test_floating_is_seen():
    clip = wave()
    assert "FLOAT" in codes(changed(clip, 2, 0.05))
    high = changed(still(1.0), 2, 0.5)
    assert "C-NONE" in codes(high), "nothing touches and nothing falls"


def test_free_fall_is_no_fault():
    clip = still(0.5)
    t = clip.times - 0.25
    fall = 0.35 - 0.5 * 9.81 * t**2
    assert "C-NONE" not in codes(changed(clip, 2, np.maximum(fall, 0.0)))


def test_jump_is_seen_and_bridged():
    clip = still(1.0)
    qpos = clip.qpos.copy()
    qpos[15:, 0] += 0.4
    broken = clip.with_(qpos=qpos)
    (found,) = [f for f in lint(broken) if f.code == "JUMP"]
    assert found.frames == (14, 15)
    assert "JUMP" not in codes(repair(broken))


def test_joint_range_and_speed():
    from foveate.motion.body import DOF

    clip = changed(still(1.0), 7 + DOF["R_elbow.flex"], np.radians(160))
    (found,) = [f for f in lint(clip) if f.code == "J-RANGE"]
    assert found.part == "R_elbow.flex"
    assert "J-RANGE" not in codes(repair(clip))
    quick = changed(still(1.0), 7 + DOF["R_elbow.flex"], np.radians(60) * (np.arange(31) % 2))
    assert "J-SPEED" in codes(quick)
    assert measure(repair(quick)).jitter < 0.5 * measure(quick).jitter


def test_self_penetration_names_both_parts():
    arms = {"B_shoulder.flex": 50, "B_shoulder.rot": 60, "B_elbow.flex": 90}
    clip = still().with_(qpos=Pose.neutral().with_dofs(arms).to_qpos()[None].repeat(5, 0))
    found = [f for f in lint(clip) if f.code == "SELF"]
    assert found
    assert "L_" in found[0].part
    assert "R_" in found[0].part


def test_leaning_too_far_is_out_of_balance():
    """Stiff as a board, soles flat, leaning forward from the ankles."""
    for degrees, falls in ((2, False), (20, True)):
        stiff = Pose.rest().with_dofs({"B_ankle.dorsi": degrees})
        half = np.radians(degrees) / 2
        tilt = [np.cos(half), 0, np.sin(half), 0]
        pose = Pose(stiff.root_pos, tilt, stiff.joint_quat).grounded()
        clip = still().with_(qpos=pose.to_qpos()[None].repeat(20, 0))
        assert ("BAL" in codes(clip)) == falls


def test_objects_have_insides():
    scene = Scene.named("chair")
    inside, above = np.array([-0.45, 0, 0.2]), np.array([-0.45, 0, 0.5])
    depth = surface_depth(scene, np.stack([inside, above, [3.0, 0, 0.1]]))
    assert depth[0] == pytest.approx(0.2, abs=0.03)
    assert depth[1] == pytest.approx(-0.06, abs=1e-6)
    assert depth[2] == pytest.approx(-0.1)


def test_report_is_linted():
    clip = still()
    clip.report.fell, clip.report.residual_force = True, 0.05
    assert {"FALL", "HELPER"} <= codes(clip)


def test_lint_works_on_files_of_others(tmp_path):
    path = export(drift(0.3), tmp_path / "a.bvh", skeleton="mixamo")
    assert "SLIDE" in codes(load(path))


def test_every_code_is_explained():
    import re
    from pathlib import Path

    import foveate.motion.check as check

    used = set()
    for file in Path(check.__file__).parent.glob("*.py"):
        used |= set(re.findall(r'Finding\(\s*"([A-Z-]+)"', file.read_text()))
    assert used == set(CODES)


def test_wrong_type():
    with pytest.raises(TypeError, match="MotionClip or a KeyframePlan, not str"):
        lint("clip.bvh")


# ---- plans


def plan(*keys, **more):
    whole = [{"id": "k0", "t": 0, "description": "stands"}, *keys]
    return KeyframePlan.from_json({"text": "test", "keys": whole, **more})


def test_plan_range_is_clamped():
    made = plan({"id": "a", "t": 1, "dofs": {"R_elbow.flex": 200}})
    (found,) = [f for f in lint(made) if f.code == "J-RANGE"]
    assert found.key == "a"
    assert found.limit == 150
    mended = repair(made)
    assert mended.keys[1].dofs["R_elbow.flex"] == 150
    assert made.keys[1].dofs["R_elbow.flex"] == 200, "the given plan stays"
    assert any("J-RANGE" in note for note in mended.notes)


def test_plan_side_is_swapped():
    made = plan({"id": "a", "t": 1, "description": "raises the left arm",
                 "dofs": {"R_shoulder.abd": 90, "R_elbow.flex": 20}})  # fmt: skip
    assert "LR" in codes(made)
    assert set(repair(made).keys[1].dofs) == {"L_shoulder.abd", "L_elbow.flex"}


def test_plan_times():
    made = plan(
        {"id": "a", "t": 0.05, "dofs": {"R_elbow.flex": 30}},
        {"id": "b", "t": 0.25, "dofs": {"R_elbow.flex": 140}},
        {"id": "c", "t": 9.0, "dofs": {"R_elbow.flex": 10}},
    )
    found = {f.code: f for f in lint(made)}
    assert found["T-DT"].key == "a"
    assert found["T-SPEED"].key == "b"
    assert found["T-SLOW"].key == "c"
    mended = repair(made)
    times = [key.t for key in mended.keys]
    assert times[1] == pytest.approx(0.08)
    assert times[3] - times[2] == pytest.approx(8.75), "later keys move along"
    assert not {"T-DT", "T-SPEED"} & codes(mended)


def test_plan_coverage_is_a_finding():
    made = plan().model_copy(update={"coverage": Coverage(matched=["wave"], unmatched=["torch"])})
    (found,) = lint(made)
    assert found.code == "S-COVER"
    assert "torch" in found.message


def test_equal_poses_are_merged():
    rest = Pose.neutral().to_json()
    made = plan({"id": "a", "t": 1, "pose": rest}, {"id": "b", "t": 2, "pose": rest})
    assert any(f.code == "D-DUP" and f.key == "b" for f in lint(made))
    assert [key.id for key in repair(made).keys] == ["k0", "a"]


def test_loop_is_closed():
    bent = Pose.neutral().with_dofs({"B_knee.flex": 60}).to_json()
    made = plan(
        {"id": "a", "t": 1, "pose": Pose.neutral().to_json()},
        {"id": "b", "t": 2, "pose": bent},
        loop={"start_key": "a", "end_key": "b", "count": 2},
    )
    assert "P-LOOP" in codes(made)
    assert "P-LOOP" not in codes(repair(made))


def test_wrong_way_and_tilted_sole():
    rest = Pose.neutral()
    down = rest.with_dofs({"L_shoulder.abd": 90})
    made = plan(
        {"id": "a", "t": 1, "pose": down.to_json()},
        {"id": "b", "t": 2, "parts": {"left_arm": "raised higher"}, "pose": rest.to_json()},
        {"id": "c", "t": 3, "contacts": ["L_foot:floor"],
         "pose": rest.with_dofs({"L_ankle.dorsi": -25}).to_json()},
    )  # fmt: skip
    found = {f.code: f for f in lint(made)}
    assert found["SIGN"].key == "b"
    assert found["SIGN"].part == "left_arm"
    assert found["FOOT"].key == "c"
    assert found["FOOT"].value == pytest.approx(30, abs=3)


def test_findings_are_plain_values():
    import json

    for finding in lint(drift()):
        data = finding.to_json()
        assert json.loads(json.dumps(data)) == data | {"frames": list(data["frames"])}
