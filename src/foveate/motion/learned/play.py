"""Play: references and simulations at the control rate of the learned tracker.

The one thing to know: an episode begins at a random instant of a reference, near its state, and
ends as soon as the head is far from where it should be: what happens on the floor teaches nothing
about standing, and there is so much of it that it would fill the memory.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..body import BODY, DOFS, JOINT
from ..clip import MotionClip
from ..engine import mujoco
from ..mjcf import COARSE, model_of
from ..rotations import Array
from .nets import Config
from .state import Bodies, State, Tree
from .terrain import CELLS, height_map

HEAD_LIMIT = 0.3  # metres
SHORTEST = 26  # steps; a clip that is shorter rests at its end
_HEAD = JOINT["head"]
BRAKE = np.array([dof.kv / dof.kp for dof in DOFS])
JOLT = 0.25  # metres or radians per second, at the beginning of an episode


class Track:
    """One clip as states at the control rate.

    Attributes:
        qpos, qvel: `[N, 54]`, `[N, 53]`.
        bodies: `[N, 22, …]`.
        maps: Height maps `[N, 256]`.
        postures: What the servos are told without a policy, radians `[N, 47]`.
    """

    def __init__(self, clip: MotionClip, config: Config) -> None:
        self.clip = clip
        self.model = model_of(clip.shape, clip.scene, timestep=COARSE)
        slow = clip.resampled(1 / config.dt)
        rows = [slow.qpos]
        missing = SHORTEST - len(slow)
        if missing > 0:
            rows.append(np.repeat(slow.qpos[-1:], missing, axis=0))
        self.qpos = np.concatenate(rows)
        self.length = len(slow)
        self.qvel = np.zeros((len(self.qpos), self.model.nv))
        for i in range(1, len(self.qpos) - 1):
            a, b = self.qpos[i - 1], self.qpos[i + 1]
            mujoco.mj_differentiatePos(self.model, self.qvel[i], 2 * config.dt, a, b)
        self.bodies: Bodies = Tree(clip.body)(State.of(self.qpos, self.qvel))
        # a servo also brakes; told to be ahead by as much, it moves as fast as the reference
        targets = self.qpos[:, 7:] + BRAKE * self.qvel[:, 6:]
        self.postures = torch.tensor(targets, dtype=torch.float32)
        self.flat = not clip.scene or (clip.scene.floor and not clip.scene.objects)
        self.maps = torch.stack([self.ground(row) for row in self.qpos])

    def __len__(self) -> int:
        return len(self.qpos)

    def ground(self, qpos: Array) -> Tensor:
        """Height map around a pelvis, `[256]`."""
        if self.flat:  # the same number everywhere; this is asked at every step
            low = np.clip(BODY.hip_height - qpos[2], -1.0, 1.0)
            return torch.full((CELLS * CELLS,), float(low))
        found = height_map(self.clip.scene, qpos[:3], qpos[3:7])
        return torch.tensor(found, dtype=torch.float32)


class Episode:
    """A simulation that follows a track from one of its samples.

    Args:
        track: What to follow.
        start: The sample.
        config: Of the nets.
        rng: Gives the beginning a small push of the pelvis; None for none.
    """

    def __init__(
        self, track: Track, start: int, config: Config, rng: np.random.Generator | None = None
    ) -> None:
        self.track, self.at = track, start
        self.substeps = round(config.dt / track.model.opt.timestep)
        self.data = mujoco.MjData(track.model)
        self.data.qpos[:], self.data.qvel[:] = track.qpos[start], track.qvel[start]
        if rng is not None:
            self.data.qvel[:6] += rng.normal(0, JOLT, 6)
        mujoco.mj_forward(track.model, self.data)

    def ground(self) -> Tensor:
        """Height map around the simulated pelvis, `[256]`."""
        return self.track.ground(self.data.qpos)

    def step(self, target: Tensor | Array) -> bool:
        """Hold servo targets (radians, `[47]`) for one step; False at the end."""
        self.data.ctrl[:] = np.asarray(target)
        mujoco.mj_step(self.track.model, self.data, nstep=self.substeps)
        self.at += 1
        return self.at + 1 < len(self.track) and not self.fallen

    @property
    def fallen(self) -> bool:
        """Whether the head is far from where it should be, or the simulation broke."""
        if not np.isfinite(self.data.qpos).all() or np.abs(self.data.qvel).max() > 200:
            return True
        # places are those of the last substep, 5 ms old: near enough for this
        away = self.data.body("head").xpos - self.track.bodies.pos[self.at, _HEAD].numpy()
        return bool(np.linalg.norm(away) > HEAD_LIMIT)
