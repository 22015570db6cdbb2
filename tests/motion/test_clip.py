"""Clips: shapes, resampling, their own file."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("pydantic")

from foveate.motion.body import BodyShape
from foveate.motion.clip import MotionClip, Report, write_atomic
from foveate.motion.pose import Pose
from foveate.motion.scene import Scene


def swaying(count: int = 31, fps: float = 30.0) -> MotionClip:
    """A body that leans its trunk and slides its root, for tests."""
    rows = []
    for i in range(count):
        pose = Pose.neutral().with_dofs({"torso.lat": 20 * np.sin(2 * np.pi * i / (count - 1))})
        qpos = pose.to_qpos()
        qpos[0] += 0.01 * i
        rows.append(qpos)
    touches = np.ones(count, bool)
    touches[5] = False
    return MotionClip(
        fps,
        np.array(rows),
        contacts={"L_foot": touches, "R_toes": ~touches},
        keys=((0, "k0"), (count - 1, "k1")),
        text="sway",
        scene=Scene.named("chair"),
        report=Report(tracker="T1", notes=["hello"], seconds={"fill": 0.5}),
    )


def test_the_file_keeps_everything(tmp_path):
    clip = swaying()
    clip.save(tmp_path / "a.clip")
    again = MotionClip.from_bytes((tmp_path / "a.clip").read_bytes())
    assert np.array_equal(again.qpos, clip.qpos)
    assert again.contacts.keys() == clip.contacts.keys()
    assert all(np.array_equal(again.contacts[p], clip.contacts[p]) for p in clip.contacts)
    for name in ("fps", "shape", "source", "keys", "text", "scene", "report"):
        assert getattr(again, name) == getattr(clip, name), name
    assert [p.name for p in tmp_path.iterdir()] == ["a.clip"]


@pytest.mark.parametrize("data", [b"", b"nonsense", b"PK\x03\x04 broken"])
def test_a_broken_file_is_refused(data):
    with pytest.raises(ValueError, match="not a motion clip"):
        MotionClip.from_bytes(data)


def test_nothing_half_written_remains(tmp_path):
    class Stubborn(bytes):
        def __len__(self):
            raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, TypeError)):
        write_atomic(tmp_path / "x", "not bytes")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_resampling_keeps_time_and_place():
    clip = swaying(61, 60.0)
    half = clip.resampled(30.0)
    assert len(half) == 31
    assert half.duration == pytest.approx(clip.duration)
    assert half.joints[15] == pytest.approx(clip.joints[30], abs=1e-9)
    assert half.keys == ((0, "k0"), (30, "k1"))
    finer = half.resampled(90.0)
    assert np.abs(finer.joints[45] - half.joints[15]).max() < 1e-9
    with pytest.raises(ValueError, match="positive rate"):
        clip.resampled(0)


def test_foot_contacts_have_their_order():
    contacts = swaying().foot_contacts  # L heel, L toes, R heel, R toes
    assert contacts[0].tolist() == [True, True, False, False]
    assert contacts[5].tolist() == [False, False, False, True]


def test_velocity_is_metres_per_second():
    assert swaying().root_lin_vel[10] == pytest.approx([0.3, 0, 0], abs=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"qpos": np.zeros((3, 53))}, r"expected \[T, 54\]"),
        ({"qpos": np.full((3, 54), np.nan)}, "all finite"),
        ({"fps": 0}, "positive rate"),
        ({"contacts": {"nose": np.ones(31, bool)}}, "unknown contact part 'nose'"),
        ({"contacts": {"L_foot": np.ones(3, bool)}}, "one for each frame"),
    ],
)
def test_wrong_clips_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        swaying().with_(**change)


def test_another_body_has_other_joints():
    tall = swaying().with_(shape=BodyShape(height=2.0))
    assert tall.joints[0, 15, 2] > swaying().joints[0, 15, 2] + 0.05


def test_a_report_knows_its_fields():
    with pytest.raises(ValueError, match="no field 'mood'"):
        Report.from_json({"mood": "good"})
