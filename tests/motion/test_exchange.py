"""Exchange: what is written comes back, and what is broken is named in one line."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

pytest.importorskip("mujoco")

from foveate.motion import BodyShape, MotionClip, Pose, export, load
from foveate.motion import rotations as rot
from foveate.motion.body import JOINT
from foveate.motion.exchange import humanml
from foveate.motion.exchange.bvh import BrokenBVH, parse_bvh
from foveate.motion.exchange.gltf_read import read_glb
from foveate.motion.exchange.names import FAMILIES, plain, recognise
from foveate.motion.exchange.npz import plan_of
from foveate.motion.exchange.skeletal import from_qpos, resampled
from tests.motion.samples import still, wave

MICROMETRES_50 = 5e-5


@pytest.fixture(scope="module")
def clip():
    return wave()


@pytest.mark.parametrize("ending", ["npz", "bvh", "glb", "csv"])
def test_round_trip(tmp_path, clip, ending):
    path = export(clip, tmp_path / f"a.{ending}")
    back = load(path)
    assert abs(back.fps - clip.fps) < 1e-3
    assert np.abs(back.joints - clip.joints).max() < MICROMETRES_50
    assert list(tmp_path.iterdir()) == [path], "nothing else may be left"


def test_round_trip_of_another_body(tmp_path):
    shape = BodyShape(height=1.9, leg_ratio=1.06, arm_ratio=0.95, shoulder_width=1.1)
    clip = wave().with_(shape=shape)
    for ending in ("bvh", "glb", "npz"):
        back = load(export(clip, tmp_path / f"a.{ending}"))
        assert back.shape.height == pytest.approx(1.9, abs=1e-3)
        assert np.abs(back.joints - clip.joints).max() < 2e-4


def test_npz_loses_nothing(tmp_path, clip):
    back = load(export(clip, tmp_path / "a.npz"))
    assert np.array_equal(back.qpos, clip.qpos)
    assert back.keys == clip.keys
    assert back.text == clip.text
    assert back.contacts.keys() == clip.contacts.keys()


def test_npz_can_be_read_as_smpl(tmp_path, clip):
    """Without our own fields, the SMPL-like ones must give the same motion."""
    with np.load(export(clip, tmp_path / "a.npz")) as held:
        kept = {k: held[k] for k in ("poses", "trans", "fps", "up", "skeleton_offsets")}
    assert kept["poses"].shape == (len(clip), 72)
    np.savez(tmp_path / "b.npz", **kept)
    back = load(tmp_path / "b.npz")
    assert np.abs(back.joints - clip.joints).max() < MICROMETRES_50


def test_plan_travels_inside_npz(tmp_path, clip):
    from foveate.motion import KeyframePlan

    plan = KeyframePlan.from_json(
        {"text": "x", "keys": [{"id": "k0", "t": 0}, {"id": "a", "t": 1}]}
    )
    path = export(clip, tmp_path / "a.npz", plan=plan)
    assert plan_of(path) == plan
    assert plan_of(export(clip, tmp_path / "b.npz")) is None


def test_t_pose_is_zero(clip):
    """Arms out to the sides, palms down: every rotation of the file is the identity."""
    shape = {"L_shoulder.abd": 90, "R_shoulder.abd": 90}
    qpos = Pose.rest().with_dofs(shape).to_qpos()[None]
    motion = from_qpos(qpos, clip.body, 30)
    assert np.abs(rot.log(motion.turns)).max() < 1e-6
    left = motion.world()[0][0, JOINT["L_wrist"]] - motion.world()[0][0, JOINT["L_shoulder"]]
    assert left[0] > 0.5, "X is left in files"
    assert abs(left[1]) < 1e-9


def test_file_frame(clip):
    """A step forward goes to +Z, up is +Y, left is +X."""
    qpos = clip.qpos.copy()
    qpos[:, :3] += [1.0, 0.5, 0.25]
    moved = from_qpos(qpos, clip.body, 30).root - from_qpos(clip.qpos, clip.body, 30).root
    assert np.allclose(moved, [0.5, 0.25, 1.0])


def test_bvh_in_another_program(tmp_path, clip):
    pybvh = pytest.importorskip("pybvh")
    path = export(clip, tmp_path / "a.bvh")
    theirs = pybvh.read_bvh_file(str(path))
    places = theirs.joint_positions()
    ours = rot.to_file(clip.joints) * 100
    for name, joint in JOINT.items():
        error = np.abs(places[:, theirs.joint_index[name]] - ours[:, joint]).max()
        assert error < 0.005, f"{name}: {error} cm"


@pytest.mark.parametrize("family", ["mixamo", "cmu", "unity", "unreal", "smpl"])
def test_other_names(tmp_path, clip, family):
    path = export(clip, tmp_path / "a.bvh", skeleton=family)
    back = load(path)
    assert any("names" in note for note in back.report.notes)
    error = np.abs(back.joints - clip.joints)
    error -= np.abs(back.joints[:, :1] - clip.joints[:, :1])  # it is put on the floor anew
    assert error.max() < 0.03


def test_families_do_not_contradict_themselves():
    for family, table in FAMILIES.items():
        found, joints = recognise(list(table.values()))
        assert len(joints) == 22, family
        same = {plain(name) for name in FAMILIES[found].values()}
        assert same == {plain(name) for name in table.values()}


def test_in_place_and_rate(tmp_path, clip):
    walked = clip.with_(qpos=clip.qpos + np.linspace(0, 1, len(clip))[:, None] * np.eye(54)[0])
    back = load(export(walked, tmp_path / "a.bvh", root_motion="in_place", fps=15))
    assert np.ptp(back.root_pos[:, :2]) < 1.0
    assert np.ptp(back.root_pos[:, 0]) < 1e-4
    assert back.fps == pytest.approx(15, abs=1e-3)


def test_glb_structure(tmp_path, clip):
    """What a viewer relies on: lengths, bounds, one skin, unit quaternions, inside the buffer."""
    data = export(wave(scene="chair"), tmp_path / "a.glb").read_bytes()
    assert struct.unpack_from("<III", data)[1:] == (2, len(data))
    size = struct.unpack_from("<I", data, 12)[0]
    document = json.loads(data[20 : 20 + size])
    binary = len(data) - 28 - size
    for view in document["bufferViews"]:
        assert view["byteOffset"] % 4 == 0
        assert view["byteOffset"] + view["byteLength"] <= binary
    assert len(document["skins"][0]["joints"]) == 22
    assert [m["name"] for m in document["meshes"]] == ["figure", "scene"]
    motion, extras = read_glb(tmp_path / "a.glb")
    assert np.allclose(np.linalg.norm(motion.turns, axis=-1), 1)
    assert extras["text"] == clip.text
    assert extras["keys"][1][1] == "up"


def test_skin_sits_on_the_bones(clip):
    """Vertices of the T-pose are near their joint: a sign error would throw a hand across."""
    from foveate.motion.exchange.skeletal import t_offsets
    from foveate.motion.exchange.write import figure_mesh

    mesh = figure_mesh(clip)
    place = t_offsets(clip.body)
    for joint in range(1, 22):
        place[joint] += place[clip_parent(joint)]
    assert np.linalg.norm(mesh.points - place[mesh.joints], axis=1).max() < 0.55
    wrist = mesh.points[mesh.joints == JOINT["L_wrist"]]
    assert wrist[:, 0].min() > 0.6
    assert mesh.points[:, 1].min() == pytest.approx(0, abs=0.01)
    assert mesh.faces.max() == len(mesh.points) - 1
    a, b, c = (mesh.points[mesh.faces[:, i]] for i in range(3))
    outward = (np.cross(b - a, c - a) * mesh.normals[mesh.faces[:, 0]]).sum(1)
    assert (outward > 0).mean() > 0.99


def clip_parent(joint: int) -> int:
    from foveate.motion.body import PARENTS

    return PARENTS[joint]


def test_vrma_names(tmp_path, clip):
    data = export(clip, tmp_path / "a.vrma").read_bytes()
    size = struct.unpack_from("<I", data, 12)[0]
    bones = json.loads(data[20 : 20 + size])["extensions"]["VRMC_vrm_animation"]["humanoid"]
    assert {"hips", "leftUpperArm", "rightFoot", "head"} <= set(bones["humanBones"])


def test_mjcf_replays_in_mujoco(tmp_path, clip):
    import mujoco

    model = mujoco.MjModel.from_xml_path(str(export(clip, tmp_path / "a.xml")))
    assert model.nkey == len(clip)
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 20)
    mujoco.mj_kinematics(model, data)
    wrist = data.body("R_wrist").xpos
    assert np.abs(wrist - clip.joints[20, JOINT["R_wrist"]]).max() < 1e-4


# ---- HumanML3D features


def test_features_invert(clip):
    """Joint positions come back from the features within a millimetre."""
    walked = clip.with_(qpos=clip.qpos + np.linspace(0, 1, len(clip))[:, None] * np.eye(54)[0])
    motion = from_qpos(walked.qpos, walked.body, walked.fps)
    found = humanml.features(motion)
    assert found.shape[1] == 263
    assert found.dtype == np.float32
    places = resampled(motion, 20).world()[0]
    want = humanml._faced(places)[:-1]
    back = humanml.recover(found)
    first = humanml._chain_turns(humanml._faced(places))[0][0]  # the heading of the first frame
    want = rot.rotate(first, want)
    assert np.abs(back - want).max() < 1e-3


def test_features_say_where_feet_stand(clip):
    found = humanml.features(from_qpos(clip.qpos, clip.body, clip.fps))
    assert found[:, -4:].all(), "both feet stand while waving"
    assert np.allclose(found[:, 3], found[0, 3], atol=0.01), "the root keeps its height"


def test_features_turn_is_half_the_angle():
    clip = still(10.0)
    yaw = np.linspace(0, 5.0, len(clip))
    qpos = clip.qpos.copy()
    qpos[:, 3:7] = rot.yaw_quat(yaw)
    found = humanml.features(from_qpos(qpos, clip.body, clip.fps))
    # half a radian a second at 20 fps, half of it; smoothing flattens the ends
    assert np.abs(found[80:-80, 0]) == pytest.approx(0.5 * 0.5 / 20, rel=0.02)


def test_features_file_loads(tmp_path, clip):
    back = load(export(clip, tmp_path / "a.npy"))
    assert back.fps == 20
    assert len(back) == len(resampled(from_qpos(clip.qpos, clip.body, 30), 20).root) - 1


# ---- broken files

GOOD = """HIERARCHY
ROOT Hips
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  End Site
  {
    OFFSET 0 170 0
  }
}
MOTION
Frames: 2
Frame Time: 0.0333
0 0 0 0 0 0
0 1 0 0 90 0
"""


def test_small_bvh_reads():
    motion = parse_bvh(GOOD)
    assert motion.fps == pytest.approx(30.03, abs=0.01)
    assert motion.root[1, 1] == pytest.approx(0.01)
    assert np.degrees(rot.angle_between(motion.turns[0, 0], motion.turns[1, 0])) == pytest.approx(
        90
    )


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (("HIERARCHY", "HIRARCHY"), "line 1"),
        (("Xrotation", "Xrotatoin"), "line 5"),
        (("OFFSET 0 170 0", "OFFSET 0 tall 0"), "line 8"),
        (("0 1 0 0 90 0\n", ""), "12, but 6 follow"),
        (("90", "nan"), "not finite"),
        (("Frames: 2", "Frames: none"), "line 12"),
        (("Frame Time: 0.0333", "Frame Time: 0"), "frames of 0"),
        (("}\nMOTION", "MOTION"), "MOTION"),
    ],
)
def test_broken_bvh_names_the_line(change, word):
    with pytest.raises(BrokenBVH, match=r".") as caught:
        parse_bvh(GOOD.replace(*change), "x.bvh")
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_skeleton_is_said(tmp_path):
    (tmp_path / "a.bvh").write_text(GOOD)
    with pytest.raises(ValueError, match=r"a\.bvh: cannot tell which joint is the L_hip"):
        load(tmp_path / "a.bvh")


@pytest.mark.parametrize("ending", ["bvh", "npz", "glb", "npy", "csv"])
@pytest.mark.parametrize("content", [b"", b"\x00\x01rubbish\xff" * 20, b"PK\x03\x04 not a zip"])
def test_rubbish_is_one_line(tmp_path, ending, content):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.") as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_unknown_ending_and_folder(tmp_path, clip):
    with pytest.raises(ValueError, match=r"ends in \.npz"):
        export(clip, tmp_path / "a.doc")
    with pytest.raises(ValueError, match='no option "skleton"'):
        export(clip, tmp_path / "a.bvh", skleton="mixamo")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        export(clip, tmp_path / "no" / "a.bvh")
    with pytest.raises(FileNotFoundError, match="is not a file"):
        load(tmp_path / "a.bvh")


def test_clip_without_frames_is_refused():
    with pytest.raises(ValueError, match="qpos"):
        MotionClip(fps=30, qpos=np.zeros((0, 54)))
