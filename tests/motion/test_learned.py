"""The learned tracker: its state arithmetic, its height map, and that training runs and resumes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("mujoco")
pytest.importorskip("mink")

from foveate.motion import BODY, Scene, fill
from foveate.motion import rotations as rot
from foveate.motion.learned.nets import Config
from foveate.motion.learned.state import OBSERVED, State, multiply, observe, rotate, turned
from foveate.motion.learned.terrain import CELLS, height_map
from tests.motion.plans import SQUAT

SMALL = Config(hidden=32, latent=8, experts=2)


def random_state(seed: int = 0) -> State:
    g = torch.Generator().manual_seed(seed)
    quat = torch.randn(5, 22, 4, generator=g)
    parts = [torch.randn(5, 22, 3, generator=g) for _ in range(3)]
    return State(parts[0], quat / quat.norm(dim=-1, keepdim=True), parts[1], parts[2])


def test_tensor_rotations_are_those_of_arrays():
    state = random_state()
    a, b = state.quat[0].double(), state.quat[1].double()
    assert np.allclose(multiply(a, b), rot.multiply(a, b))
    assert np.allclose(rotate(a, state.pos[0].double()), rot.rotate(a, state.pos[0].double()))
    moved = turned(a, state.ang[0].double(), 0.05)
    exact = rot.multiply(rot.exp(state.ang[0].double().numpy() * 0.05), a)
    assert rot.angle_between(moved, exact).max() < 1e-6
    assert torch.isfinite(turned(a, torch.zeros_like(state.ang[0].double()), 0.05)).all()


def test_what_is_seen_does_not_depend_on_where_or_which_way():
    state = random_state()
    yaw = torch.tensor(rot.yaw_quat(np.float64(0.8)), dtype=torch.float32)
    there = State(
        rotate(yaw, state.pos) + torch.tensor([3.0, -2.0, 0.0]),
        multiply(yaw.expand_as(state.quat), state.quat),
        rotate(yaw, state.vel),
        rotate(yaw, state.ang),
    )
    assert observe(state).shape == (5, OBSERVED)
    assert torch.allclose(observe(there), observe(state), atol=1e-4)


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


@pytest.mark.slow
def test_training_runs_resumes_and_learns_the_world(tmp_path):
    from foveate.motion.learned import compare, train

    path = tmp_path / "t5.pt"
    clip = fill(SQUAT)
    first = train([clip], path, iterations=3, config=SMALL)
    history = train([clip], path, iterations=6, config=SMALL)
    assert [row["iteration"] for row in history] == [1, 2, 3, 4, 5, 6]
    assert history[:3] == first
    assert history[-1]["world_loss"] < history[0]["world_loss"]
    rows = compare({"squat": clip}, path)
    assert [row["tracker"] for row in rows] == ["servos", "T5", "T1"]
    assert not rows[2]["fell"]
    with pytest.raises(ValueError, match="other sizes"):
        train([clip], path, iterations=7)
