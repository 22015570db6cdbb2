"""Play: references and simulations at the control rate of the learned tracker.

The one thing to know: an episode begins at a random instant of a reference, in its exact state, and
ends when the head has been far from where it should be for a while.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..body import BODY, JOINT, JOINTS
from ..clip import MotionClip
from ..engine import mujoco
from ..mjcf import COARSE, model_of
from ..pose import Pose
from ..rotations import Array
from .nets import Config
from .state import State
from .terrain import height_map

STANCE = Pose.neutral(BODY).hinges()
HEAD_LIMIT, HEAD_STEPS = 0.5, 20  # metres, steps


class Track:
    """One clip as states at the control rate.

    Attributes:
        qpos, qvel: `[N, 54]`, `[N, 53]`.
        states: `[N, 22, …]`.
        maps: Height maps `[N, 256]`.
        postures: Hinges from the stance `[N, 47]`.
    """

    def __init__(self, clip: MotionClip, config: Config) -> None:
        self.clip = clip
        self.model = model_of(clip.shape, clip.scene, timestep=COARSE)
        slow = clip.resampled(1 / config.dt)
        rows = [slow.qpos]
        missing = 26 - len(slow)  # the shortest episode; what is shorter rests at its end
        if missing > 0:
            rows.append(np.repeat(slow.qpos[-1:], missing, axis=0))
        self.qpos = np.concatenate(rows)
        self.length = len(slow)
        self.qvel = np.zeros((len(self.qpos), self.model.nv))
        for i in range(1, len(self.qpos) - 1):
            a, b = self.qpos[i - 1], self.qpos[i + 1]
            mujoco.mj_differentiatePos(self.model, self.qvel[i], 2 * config.dt, a, b)
        data = mujoco.MjData(self.model)
        states = []
        for qpos, qvel in zip(self.qpos, self.qvel, strict=True):
            data.qpos[:], data.qvel[:] = qpos, qvel
            mujoco.mj_forward(self.model, data)
            states.append(state_of(self.model, data))
        self.states = State.stack(states)
        maps = [height_map(clip.scene, q[:3], q[3:7]) for q in self.qpos]
        self.maps = torch.tensor(np.array(maps), dtype=torch.float32)
        self.postures = torch.tensor(self.qpos[:, 7:] - STANCE, dtype=torch.float32)

    def __len__(self) -> int:
        return len(self.qpos)


def state_of(model: mujoco.MjModel, data: mujoco.MjData) -> State:
    """The state of a simulation."""
    ids = [model.body(name).id for name in JOINTS]
    speeds = np.empty((len(ids), 6))
    for row, body in enumerate(ids):
        mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, body, speeds[row], 0)

    def tensor(values: Array) -> Tensor:
        return torch.tensor(np.array(values), dtype=torch.float32)

    return State(
        tensor(data.xpos[ids]),
        tensor(data.xquat[ids]),
        tensor(speeds[:, 3:]),
        tensor(speeds[:, :3]),
    )


class Episode:
    """A simulation that follows a track from one of its samples."""

    def __init__(self, track: Track, start: int, config: Config) -> None:
        self.track, self.at = track, start
        self.substeps = round(config.dt / track.model.opt.timestep)
        self.data = mujoco.MjData(track.model)
        self.data.qpos[:], self.data.qvel[:] = track.qpos[start], track.qvel[start]
        mujoco.mj_forward(track.model, self.data)
        self.lost = 0

    def state(self) -> State:
        return state_of(self.track.model, self.data)

    def ground(self) -> Tensor:
        """Height map around the simulated pelvis, `[256]`."""
        found = height_map(self.track.clip.scene, self.data.qpos[:3], self.data.qpos[3:7])
        return torch.tensor(found, dtype=torch.float32)

    def step(self, target: Tensor) -> bool:
        """Hold servo targets (radians from the stance, `[47]`) for one step; False at the end."""
        self.data.ctrl[:] = STANCE + target.numpy()
        for _ in range(self.substeps):
            mujoco.mj_step(self.track.model, self.data)
        self.at += 1
        if not np.isfinite(self.data.qpos).all():
            self.lost = HEAD_STEPS + 1
            return False
        head = float(self.data.body("head").xpos[2])
        wanted = float(self.track.states.pos[self.at, JOINT["head"], 2])
        self.lost += abs(head - wanted) > HEAD_LIMIT
        return self.at + 1 < len(self.track) and self.lost <= HEAD_STEPS
