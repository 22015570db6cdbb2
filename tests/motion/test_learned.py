"""The learned tracker: its state arithmetic, its height map, and that training runs and resumes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("mujoco")
pytest.importorskip("mink")

from foveate.motion import BODY, Scene, fill
from foveate.motion import rotations as rot
from foveate.motion.body import JOINTS
from foveate.motion.engine import mujoco
from foveate.motion.learned.memory import Memory
from foveate.motion.learned.nets import Config, Policy, World
from foveate.motion.learned.play import Episode, Track
from foveate.motion.learned.state import (
    HINGES,
    OBSERVED,
    SPEEDS,
    State,
    Tree,
    aim,
    matrix,
    multiply,
    observe,
    turned,
)
from foveate.motion.learned.terrain import CELLS, height_map
from foveate.motion.mjcf import model_of
from tests.motion.plans import SQUAT, WAVE

SMALL = Config(hidden=64, latent=8, experts=2)


def random_state(count: int, seed: int = 0) -> State:
    rng = np.random.default_rng(seed)
    qpos = rng.uniform(-1, 1, (count, 7 + HINGES))
    qpos[:, 3:7] = rng.normal(size=(count, 4))
    qpos[:, 3:7] /= np.linalg.norm(qpos[:, 3:7], axis=1, keepdims=True)
    return State.of(qpos, rng.normal(size=(count, SPEEDS)))


def test_places_and_speeds_of_segments_are_those_of_the_simulator():
    model = model_of()
    data = mujoco.MjData(model)
    state = random_state(3)
    bodies = Tree(BODY)(state)
    for row in range(3):
        data.qpos[:] = torch.cat([state.place[row], state.turn[row], state.hinges[row]])
        data.qvel[:] = state.speed[row]
        mujoco.mj_forward(model, data)
        speed = np.empty(6)
        for joint, name in enumerate(JOINTS):
            body = model.body(name).id
            mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, body, speed, 0)
            assert np.allclose(bodies.pos[row, joint], data.xpos[body], atol=1e-5)
            assert np.allclose(bodies.axes[row, joint].flatten(), data.xmat[body], atol=1e-5)
            assert np.allclose(bodies.vel[row, joint], speed[3:], atol=1e-5)
            assert np.allclose(bodies.ang[row, joint], speed[:3], atol=1e-5)


def test_tensor_rotations_are_those_of_arrays():
    state = random_state(5)
    a, b = state.turn[0].double(), state.turn[1].double()
    assert np.allclose(multiply(a, b), rot.multiply(a, b))
    assert np.allclose(matrix(a) @ state.place[0].double(), rot.rotate(a, state.place[0].double()))
    ang = state.speed[:, 3:6].double()
    moved = turned(state.turn.double(), ang, 0.05)
    exact = rot.multiply(state.turn.double().numpy(), rot.exp(ang.numpy() * 0.05))
    assert rot.angle_between(moved, exact).max() < 1e-6
    still = torch.zeros(3, requires_grad=True)
    turned(a.float(), still, 0.05).sum().backward()
    assert torch.isfinite(still.grad).all()


def test_what_is_seen_does_not_depend_on_where_or_which_way():
    state, tree = random_state(5), Tree(BODY)
    yaw = torch.tensor(rot.yaw_quat(np.float64(0.8)), dtype=torch.float32)
    moved = State(
        state.place @ matrix(yaw).T + torch.tensor([3.0, -2.0, 0.0]),
        multiply(yaw.expand_as(state.turn), state.turn),
        state.hinges,
        torch.cat([state.speed[:, :3] @ matrix(yaw).T, state.speed[:, 3:]], -1),
    )
    here, there = tree(state), tree(moved)
    assert observe(here).shape == (5, OBSERVED)
    assert torch.allclose(observe(there), observe(here), atol=1e-4)
    assert torch.allclose(aim(there[:3], there[2:]), aim(here[:3], here[2:]), atol=1e-4)
    assert aim(here, here).abs().max() == 0


def test_the_world_model_performs_exactly_what_it_should_foretell():
    """Its integration is the inverse of the targets that its linear part is solved for."""
    config = Config()
    track = Track(fill(SQUAT), config)
    episode = Episode(track, 5, config)
    before = State.of(episode.data.qpos, episode.data.qvel)
    episode.step(track.postures[6])
    after = State.of(episode.data.qpos, episode.data.qvel)
    world = World(config)
    torch.nn.init.zeros_(world.linear.weight)
    with torch.no_grad():
        world.linear.bias.copy_(world.changes(before, after))
        found = world(before, Tree(BODY)(before), track.postures[6], torch.zeros(CELLS**2))
    assert torch.allclose(found.speed, after.speed, atol=1e-5)
    assert torch.allclose(found.place, after.place, atol=1e-6)
    assert torch.allclose(found.hinges, after.hinges, atol=1e-6)
    assert torch.allclose(matrix(found.turn), matrix(after.turn), atol=1e-5)


def test_a_fresh_policy_is_the_plain_servos():
    torch.manual_seed(0)
    policy, bodies = Policy(SMALL).eval(), Tree(BODY)(random_state(4))
    offset, _ = policy(bodies, bodies, torch.zeros(4, CELLS**2))
    assert offset.abs().max() < 0.01


def test_sequences_do_not_cross_episodes_or_the_end_of_the_ring():
    memory, rng = Memory(rows=6, columns=1), np.random.default_rng(0)
    for step in range(8):  # episodes 0 0 | 1 1 1 1 1 1, the first two overwritten
        qpos = torch.full((1, 7 + HINGES), float(step))
        memory.add(
            qpos,
            torch.zeros(1, SPEEDS),
            torch.zeros(1, HINGES),
            torch.zeros(1, CELLS**2),
            np.array([int(step >= 3)]),
            np.array([[0, step]]),
        )
    starts = memory.starts(3, rng, 50)
    begun = memory.qpos[starts][:, 0]
    assert set(begun.tolist()) == {3.0, 4.0}
    assert torch.equal(memory.qpos[memory.later(starts, 3)][:, 0], begun + 3)
    with pytest.raises(ValueError, match="no episode of 5 steps"):
        memory.starts(5, rng, 1)


def test_the_height_map_shows_the_ground_ahead():
    standing = np.array([0.0, 0.0, BODY.hip_height])
    assert np.abs(height_map(None, standing, rot.IDENTITY)).max() == 0
    cells = height_map(Scene.named("stairs"), standing, rot.IDENTITY).reshape(CELLS, CELLS)
    assert cells[-1].max() == pytest.approx(0.32)  # 0.75 m ahead: the second step
    assert np.abs(cells[: CELLS // 2]).max() == 0
    behind = height_map(Scene.named("stairs"), standing, rot.yaw_quat(np.float64(np.pi)))
    assert np.abs(behind.reshape(CELLS, CELLS)[CELLS // 2 :]).max() == 0


def test_a_broken_checkpoint_is_refused(tmp_path):
    from foveate.motion.learned import track_learned

    path = tmp_path / "x.pt"
    path.write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="is not a checkpoint"):
        track_learned(fill(SQUAT), path)


def test_a_checkpoint_of_another_version_is_refused(tmp_path):
    from foveate.motion.learned import track_learned
    from foveate.motion.learned.checkpoint import keep

    path = tmp_path / "x.pt"
    keep(path, config=SMALL.to_json(), policy={"old": torch.zeros(1)}, world={})
    with pytest.raises(ValueError, match="another version"):
        track_learned(fill(SQUAT), path)


def test_clips_of_several_bodies_are_refused(tmp_path):
    from foveate.motion import BodyShape
    from foveate.motion.learned import train

    clip = fill(SQUAT)
    with pytest.raises(ValueError, match="clips are of several bodies"):
        train([clip, clip.with_(shape=BodyShape(height=1.6))], tmp_path / "x.pt", iterations=1)


@pytest.mark.slow
def test_training_goes_on_and_outlasts_servos(tmp_path):
    from foveate.motion.learned import compare, train

    path = tmp_path / "t5.pt"
    clip = fill(WAVE)
    first = train([clip], path, iterations=3, config=SMALL)
    history = train([clip], path, iterations=10, config=SMALL)
    assert [row["iteration"] for row in history] == list(range(11))
    assert history[:4] == first
    servos, learned, controller = compare({"wave": clip}, path)
    assert history[-1]["world_loss"] < history[0]["world_loss"] / 2
    assert servos["fell"]
    assert not controller["fell"]
    assert learned["stood_s"] > servos["stood_s"] + 0.5
    with pytest.raises(ValueError, match="other sizes"):
        train([clip], path, iterations=11)
