"""State: all bodies of a simulation as tensors, and what the networks see of them.

The one thing to know: the world model and the policy never see hinge angles; a state is place,
turn, velocity and angular velocity of each of the 22 bodies in the world, and an observation is
the same in the frame of the pelvis (ControlVAE, Yao et al., 2022).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BODIES = 22
OBSERVED = BODIES * 15 + BODIES + 3


@dataclass
class State:
    """Bodies in the world; any leading shape.

    Attributes:
        pos: Metres, `[..., 22, 3]`.
        quat: (w, x, y, z), `[..., 22, 4]`.
        vel: m/s, `[..., 22, 3]`.
        ang: Angular velocity in the world, rad/s, `[..., 22, 3]`.
    """

    pos: Tensor
    quat: Tensor
    vel: Tensor
    ang: Tensor

    def __getitem__(self, index) -> State:
        return State(self.pos[index], self.quat[index], self.vel[index], self.ang[index])

    @staticmethod
    def stack(states: list[State], dim: int = 0) -> State:
        return State(
            *(
                torch.stack([getattr(s, name) for s in states], dim)
                for name in ("pos", "quat", "vel", "ang")
            )
        )


def multiply(a: Tensor, b: Tensor) -> Tensor:
    """Product of quaternions `[..., 4]`."""
    aw, ax, ay, az = a.unbind(-1)
    bw, bx, by, bz = b.unbind(-1)
    return torch.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        -1,
    )


def conjugate(q: Tensor) -> Tensor:
    return q * q.new_tensor([1.0, -1.0, -1.0, -1.0])


def rotate(q: Tensor, v: Tensor) -> Tensor:
    """Vectors `[..., 3]` turned by quaternions `[..., 4]`."""
    axis = q[..., 1:].expand_as(v)
    twice = 2 * torch.linalg.cross(axis, v)
    return v + q[..., :1] * twice + torch.linalg.cross(axis, twice)


def two_axes(q: Tensor) -> Tensor:
    """The first two columns of the rotation matrix, `[..., 6]`: continuous, unlike quaternions."""
    x = q.new_tensor([1.0, 0.0, 0.0]).expand(*q.shape[:-1], 3)
    y = q.new_tensor([0.0, 1.0, 0.0]).expand(*q.shape[:-1], 3)
    return torch.cat([rotate(q, x), rotate(q, y)], -1)


def turned(q: Tensor, ang: Tensor, dt: float) -> Tensor:
    """Quaternions after `dt` seconds at a world angular velocity."""
    half = ang * (dt / 2)
    angle = half.norm(dim=-1, keepdim=True)
    # sin(x)/x without a division by zero, and without its infinite gradient
    step = torch.cat([torch.cos(angle), half * torch.sinc(angle / torch.pi)], -1)
    moved = multiply(step, q)
    return moved / moved.norm(dim=-1, keepdim=True)


def observe(state: State) -> Tensor:
    """What the networks see, `[..., OBSERVED]`."""
    root = conjugate(state.quat[..., :1, :])
    pos = rotate(root, state.pos - state.pos[..., :1, :])
    parts = [
        pos,
        two_axes(multiply(root.expand_as(state.quat), state.quat)),
        rotate(root, state.vel),
        rotate(root, state.ang),
    ]
    up = rotate(root[..., 0, :], state.pos.new_tensor([0.0, 0.0, 1.0]).expand_as(pos[..., 0, :]))
    return torch.cat([torch.cat(parts, -1).flatten(-2), state.pos[..., 2], up], -1)
