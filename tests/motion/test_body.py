"""The body: every sign, every proportion, and that MuJoCo sees the same body as we do."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("pydantic")

from foveate.motion import rotations as rot
from foveate.motion.body import (
    BODY,
    DOF,
    DOF_HIGH,
    DOF_LOW,
    DOFS,
    JOINTS,
    PARENTS,
    BodyShape,
    body_of,
)
from foveate.motion.kinematics import (
    centre_of_mass,
    fk_qpos,
    hinges_to_quats,
    join_qpos,
    quats_to_hinges,
    shoulder_quat,
    shoulder_words,
    site_positions,
)
from foveate.motion.pose import Pose

FORWARD, LEFT, UP = np.eye(3)

# dof: (site, what must happen to it when the angle grows); "out" is away from the midline,
# "in" towards it. Vectors point along the motion of the site.
SIGNS = {
    "hip.flex": ("knee", FORWARD),
    "hip.abd": ("knee", "out"),
    "hip.rot": ("toe_tip", "in"),
    "knee.flex": ("ankle", -FORWARD),
    "ankle.dorsi": ("toe_tip", UP),
    "ankle.inv": ("ball_in", UP),  # the sole turns inwards: its inner edge rises
    "foot.ext": ("toe_tip", UP),
    "collar.elev": ("shoulder", UP),
    "collar.prot": ("shoulder", FORWARD),
    "shoulder.flex": ("elbow", FORWARD),
    "shoulder.abd": ("elbow", "out"),
    "elbow.flex": ("wrist", FORWARD),
    "wrist.flex": ("fingertip", "in"),  # the palm faces the thigh
    "wrist.dev": ("fingertip", FORWARD),  # the thumb points forwards
}
TRUNK_SIGNS = {"flex": FORWARD, "lat": LEFT}


def moved(dofs: dict[str, float], site: str) -> np.ndarray:
    """How far a site moves when angles are set on the pose at attention."""
    return (Pose.from_dofs(dofs).sites(site) - Pose.rest().sites(site))[0]


@pytest.mark.parametrize("side", "LR")
@pytest.mark.parametrize("dof", SIGNS)
def test_limb_angle_moves_the_right_way(dof, side):
    site, way = SIGNS[dof]
    out = LEFT if side == "L" else -LEFT
    direction = {"out": out, "in": -out}[way] if isinstance(way, str) else way
    change = moved({f"{side}_{dof}": 20}, f"{side}_{site}")
    assert change @ direction > 0.005
    # and mainly that way (an ankle that tips moves its edge sideways as much)
    assert change @ direction >= 0.9 * np.abs(change).max()


@pytest.mark.parametrize("side", "LR")
def test_twists_of_the_arm_turn_inwards(side):
    # with the elbow bent, turning the upper arm inwards brings the hand to the midline
    inwards = -LEFT if side == "L" else LEFT
    bent = {f"{side}_elbow.flex": 90.0}
    change = Pose.from_dofs(bent | {f"{side}_shoulder.rot": 30}).sites(f"{side}_wrist")
    assert (change - Pose.from_dofs(bent).sites(f"{side}_wrist"))[0] @ inwards > 0.05
    # pronation turns the thumb's side of the hand (forwards at rest) inwards
    palm = Pose.from_dofs({f"{side}_elbow.pron": 60}).sites(
        f"{side}_palm_back", f"{side}_palm_front"
    )
    assert (palm[1] - palm[0]) @ inwards > 0.01


@pytest.mark.parametrize("joint", ["spine1", "spine2", "spine3", "neck", "head"])
def test_trunk_angle_moves_the_right_way(joint):
    for dof, direction in TRUNK_SIGNS.items():
        assert moved({f"{joint}.{dof}": 15}, "head_top") @ direction > 0.01
    # a turn to the left brings the nose to +y
    assert moved({f"{joint}.rot": 15}, "nose") @ LEFT > 0.01


def test_torso_and_head_look_are_shared_out():
    dofs = Pose.from_dofs({"torso.rot": 20, "head_look.flex": 20}).to_dofs()
    assert dofs["spine1.rot"] == pytest.approx(6)
    assert dofs["spine2.rot"] == pytest.approx(7)
    assert dofs["spine3.rot"] == pytest.approx(7)
    assert dofs["neck.flex"] == pytest.approx(11)
    assert dofs["head.flex"] == pytest.approx(9)


def test_tables_are_those_of_smpl():
    assert len(JOINTS) == len(PARENTS) == 22
    assert [JOINTS[i] for i in (0, 1, 2, 3, 9, 12, 15, 16, 21)] == [
        "pelvis", "L_hip", "R_hip", "spine1", "spine3", "neck", "head", "L_shoulder", "R_wrist"
    ]  # fmt: skip
    assert all(parent < joint for joint, parent in enumerate(PARENTS))
    assert len(DOFS) == 47
    assert sum(geom.mass for geom in BODY.geoms) == pytest.approx(69.65)


def test_the_body_stands_on_the_floor_and_has_its_stature():
    rest = Pose.rest()
    assert rest.sites("L_heel_in", "L_toe_out")[:, 2] == pytest.approx([0, 0], abs=1e-9)
    assert rest.sites("head_top")[0, 2] == pytest.approx(1.72, abs=0.01)


@pytest.mark.parametrize("height", [1.2, 2.0])
@pytest.mark.parametrize("legs", [0.9, 1.1])
def test_proportions_scale(height, legs):
    body = body_of(BodyShape(height=height, leg_ratio=legs, mass=50))
    rest = Pose.rest(body)
    assert rest.sites("R_sole", body=body)[0, 2] == pytest.approx(0, abs=1e-9)
    assert rest.sites("head_top", body=body)[0, 2] == pytest.approx(height, rel=0.01)
    assert sum(geom.mass for geom in body.geoms) == pytest.approx(0.995 * 50)
    assert body.hip_height == pytest.approx(0.53 * height * legs)


def test_golden_places_of_joints():
    # worked out by hand from the ratios of the body's docstring
    h = 1.72
    wrist = Pose.from_dofs({"L_shoulder.abd": 90}).fk()[20]
    rest = Pose.rest().fk()
    reach = rest[16] + np.array([0, (0.172 + 0.15) * h, 0])
    assert wrist == pytest.approx(reach, abs=1e-9)
    raised = Pose.from_dofs({"R_shoulder.flex": 180}).fk()[21]
    assert raised == pytest.approx(rest[17] + np.array([0, 0, 0.322 * h]), abs=1e-9)
    sat = Pose.from_dofs({"B_hip.flex": 90, "B_knee.flex": 90}).fk()
    thigh = 0.245 * h - 0.03
    assert sat[4] == pytest.approx(rest[1] + np.array([thigh, 0, 0]), abs=1e-9)
    assert sat[7] == pytest.approx(sat[4] - np.array([0, 0, 0.246 * h]), abs=1e-9)
    bowed = Pose.from_dofs({"torso.flex": 90}).fk()
    assert bowed[15][0] > 0.3
    assert bowed[15][2] < 1.25
    assert Pose.from_dofs({"R_elbow.flex": 90}).fk()[21] == pytest.approx(
        rest[19] + np.array([0.15 * h, 0, 0]), abs=1e-9
    )


def test_hinges_come_back_from_rotations():
    rng = np.random.default_rng(0)
    hinges = rng.uniform(DOF_LOW, DOF_HIGH, (10_000, 47))
    abd = [DOF["L_shoulder.abd"], DOF["R_shoulder.abd"]]
    hinges = hinges[(np.abs(np.degrees(hinges[:, abd]) - 90) > 1).all(1)]
    # both solutions of a shoulder may lie in its range; the angles we started from choose
    assert np.abs(quats_to_hinges(hinges_to_quats(hinges), hinges) - hinges).max() < 1e-6
    # even without them the rotation is the same
    again = hinges_to_quats(quats_to_hinges(hinges_to_quats(hinges)))
    assert rot.angle_between(again, hinges_to_quats(hinges)).max() < 1e-6


@pytest.mark.parametrize("side", [1, -1], ids=["left", "right"])
@pytest.mark.parametrize("plane", [-40, 0, 45, 90, 120])
@pytest.mark.parametrize("elevation", [5, 60, 90, 150])
def test_shoulder_words_come_back(elevation, plane, side):
    words = shoulder_words(shoulder_quat(elevation, plane, 30, side), side)
    assert words == pytest.approx((elevation, plane, 30), abs=1e-6)


def test_shoulder_words_mean_what_they_say():
    name = {1: "L", -1: "R"}
    for side, out in ((1, LEFT), (-1, -LEFT)):
        joint = f"{name[side]}_shoulder"

        def arm(elevation, plane, joint=joint, side=side):
            pose = Pose.from_dofs({f"{joint}.elevation": elevation, f"{joint}.plane": plane})
            points = pose.sites(joint, f"{name[side]}_elbow")
            return (points[1] - points[0]) / np.linalg.norm(points[1] - points[0])

        assert arm(90, 0) == pytest.approx(out, abs=1e-9)
        assert arm(90, 90) == pytest.approx(FORWARD, abs=1e-9)
        assert arm(180, 45) == pytest.approx(UP, abs=1e-9)
        assert arm(90, -45) @ FORWARD < -0.5


def test_mujoco_sees_the_same_body():
    pytest.importorskip("mujoco")
    from foveate.motion.engine import mass_matrix, mujoco
    from foveate.motion.mjcf import model_of

    model = model_of()
    assert (model.nbody, model.nq, model.nv, model.nu) == (23, 54, 53, 47)
    assert [model.joint(i + 1).name for i in range(47)] == [dof.name for dof in DOFS]
    data = mujoco.MjData(model)
    rng = np.random.default_rng(1)
    for _ in range(10):
        hinges = rng.uniform(DOF_LOW, DOF_HIGH)
        qpos = join_qpos(rng.normal(size=3), rot.unit(rng.normal(size=4)), hinges)
        data.qpos[:] = qpos
        mujoco.mj_forward(model, data)
        places, turns = fk_qpos(qpos)
        ids = [model.body(name).id for name in JOINTS]
        assert np.abs(data.xpos[ids] - places).max() < 1e-9
        assert rot.angle_between(data.xquat[ids], turns).max() < 1e-6
        sites = site_positions(places, turns, tuple(BODY.sites), BODY)
        assert np.abs(sites - [data.site(name).xpos for name in BODY.sites]).max() < 1e-6
        assert np.abs(centre_of_mass(places, turns, BODY) - data.subtree_com[0]).max() < 1e-6
    inertia = mass_matrix(model, data)
    assert np.allclose(inertia, inertia.T)
    assert np.linalg.eigvalsh(inertia).min() > 0
    assert inertia[0, 0] == pytest.approx(69.65, abs=0.01)


def test_segments_that_only_touch_at_joints_do_not_collide():
    pytest.importorskip("mujoco")
    from foveate.motion.engine import mujoco
    from foveate.motion.mjcf import model_of

    model = model_of(None, None, self_collision=True)
    data = mujoco.MjData(model)
    floor = model.geom("floor").id

    def touching(dofs):
        data.qpos[:] = Pose.neutral().with_dofs(dofs).grounded().to_qpos()
        mujoco.mj_forward(model, data)
        pairs = [(c.geom1, c.geom2) for c in data.contact if c.dist < -0.01]
        return {tuple(sorted(model.geom(g).name for g in p)) for p in pairs if floor not in p}

    assert touching({}) == set()
    assert touching({"B_shoulder.abd": 165, "B_collar.elev": 20}) == set()
    through = touching({"R_shoulder.rot": 90, "R_elbow.flex": 90})
    assert any("R_elbow" in pair or "R_wrist" in pair for pair in through)
