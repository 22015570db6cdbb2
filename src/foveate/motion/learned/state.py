"""State: a simulated body as tensors, where its segments are, and what the networks see of them.

The one thing to know: a state is what the simulator holds (place and turn of the pelvis, hinges,
speeds), and `Tree` finds from it, with gradients, place, turn and velocities of all 22 bodies. What
the networks see is the bodies in the frame of the pelvis (ControlVAE, Yao et al., 2022), and where
a goal is, seen from there: heading and whereabouts in the world never matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..body import DOFS, JOINT_DOFS, JOINTS, PARENTS, Body
from ..rotations import Array

BODIES = len(JOINTS)
HINGES = len(DOFS)
SPEEDS = 6 + HINGES
OBSERVED = BODIES * 15 + BODIES + 3
AIMED = BODIES * 15
_SLOTS = 3  # hinges of a joint at most


def _levels() -> list[tuple[list[int], list[int]]]:
    """Joints and their parents, by how far they are from the pelvis."""
    depth = [0] * BODIES
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            depth[joint] = depth[parent] + 1
    found = []
    for level in range(1, max(depth) + 1):
        joints = [joint for joint in range(BODIES) if depth[joint] == level]
        found.append((joints, [PARENTS[joint] for joint in joints]))
    return found


@dataclass
class State:
    """What the simulator holds; any leading shape.

    Attributes:
        place: Of the pelvis in the world, metres, `[..., 3]`.
        turn: Of the pelvis (w, x, y, z), `[..., 4]`.
        hinges: Radians, `[..., 47]`.
        speed: As MuJoCo's qvel: velocity of the pelvis in the world, its angular velocity in its
            own frame, hinges; m/s and rad/s, `[..., 53]`.
    """

    place: Tensor
    turn: Tensor
    hinges: Tensor
    speed: Tensor

    def __getitem__(self, index) -> State:
        return State(self.place[index], self.turn[index], self.hinges[index], self.speed[index])

    @staticmethod
    def joined(a: State, b: State) -> State:
        """One after the other along the first axis."""
        pairs = ((a.place, b.place), (a.turn, b.turn), (a.hinges, b.hinges), (a.speed, b.speed))
        return State(*(torch.cat(pair) for pair in pairs))

    @staticmethod
    def of(qpos: Array | Tensor, qvel: Array | Tensor) -> State:
        """From MuJoCo's `[..., 54]` and `[..., 53]`."""
        place = torch.as_tensor(qpos, dtype=torch.float32)
        speed = torch.as_tensor(qvel, dtype=torch.float32)
        return State(place[..., :3], place[..., 3:7], place[..., 7:], speed)


@dataclass
class Bodies:
    """Segments in the world.

    Attributes:
        pos: Metres, `[..., 22, 3]`.
        axes: Rotation matrices `[..., 22, 3, 3]`.
        vel: m/s, `[..., 22, 3]`.
        ang: Angular velocity in the world, rad/s, `[..., 22, 3]`.
    """

    pos: Tensor
    axes: Tensor
    vel: Tensor
    ang: Tensor

    def __getitem__(self, index) -> Bodies:
        return Bodies(self.pos[index], self.axes[index], self.vel[index], self.ang[index])


class Tree:
    """Forward kinematics of a body with gradients.

    Args:
        body: Whose proportions.
    """

    def __init__(self, body: Body) -> None:
        self.offsets = torch.tensor(np.array(body.offsets), dtype=torch.float32)
        axes = torch.zeros(BODIES, _SLOTS, 3)
        self.which = torch.full((BODIES, _SLOTS), HINGES)  # the last, always zero, for none
        for joint, dofs in JOINT_DOFS.items():
            for slot, dof in enumerate(dofs):
                axes[joint, slot] = torch.tensor(DOFS[dof].axis, dtype=torch.float32)
                self.which[joint, slot] = dof
        self.axes = axes
        self.cross = torch.linalg.cross(
            axes[..., None, :].expand(*axes.shape, 3), torch.eye(3).expand(*axes.shape, 3)
        ).mT
        self.twice = self.cross @ self.cross
        self.levels = [(torch.tensor(a), torch.tensor(b)) for a, b in _levels()]
        order = torch.cat([torch.zeros(1, dtype=torch.long), *(a for a, _ in self.levels)])
        self.back = torch.argsort(order)
        rank = {int(joint): i for i, joint in enumerate(order)}
        self.parents = [torch.tensor([rank[int(j)] for j in b]) for _, b in self.levels]

    def __call__(self, state: State) -> Bodies:
        """Where the segments are and how they move."""
        lead = state.hinges.shape[:-1]
        zero = state.hinges.new_zeros(*lead, 1)
        angle = torch.cat([state.hinges, zero], -1)[..., self.which]
        rate = torch.cat([state.speed[..., 6:], zero], -1)[..., self.which]
        sine, cosine = torch.sin(angle)[..., None, None], torch.cos(angle)[..., None, None]
        turns = torch.eye(3) + sine * self.cross + (1 - cosine) * self.twice
        first, second, third = turns.unbind(-3)
        two = first @ second
        spin = rate[..., None] * self.axes  # each about its own axis
        relative = (
            spin[..., 0, :]
            + (first @ spin[..., 1, :, None])[..., 0]
            + (two @ spin[..., 2, :, None])[..., 0]
        )
        local = two @ third
        root = matrix(state.turn)
        axes = [root[..., None, :, :]]
        pos, vel = [state.place[..., None, :]], [state.speed[..., None, :3]]
        ang = [(root @ state.speed[..., 3:6, None]).mT]
        for (joints, _), parents in zip(self.levels, self.parents, strict=True):
            above = torch.cat(axes, -3)[..., parents, :, :]
            lever = (above @ self.offsets[joints, :, None])[..., 0]
            turning = torch.cat(ang, -2)[..., parents, :]
            pos.append(torch.cat(pos, -2)[..., parents, :] + lever)
            vel.append(
                torch.cat(vel, -2)[..., parents, :] + torch.linalg.cross(turning, lever, dim=-1)
            )
            ang.append(turning + (above @ relative[..., joints, :, None])[..., 0])
            axes.append(above @ local[..., joints, :, :])
        return Bodies(
            torch.cat(pos, -2)[..., self.back, :],
            torch.cat(axes, -3)[..., self.back, :, :],
            torch.cat(vel, -2)[..., self.back, :],
            torch.cat(ang, -2)[..., self.back, :],
        )


def matrix(q: Tensor) -> Tensor:
    """Rotation matrices `[..., 3, 3]` of unit quaternions `[..., 4]`."""
    w, x, y, z = q.unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    ]
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


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


def turned(q: Tensor, ang: Tensor, dt: float) -> Tensor:
    """Quaternions after `dt` seconds at an angular velocity in their own frame."""
    half = ang * (dt / 2)
    # the smallest number keeps the gradient of the root finite at rest
    angle = (half.square().sum(-1, keepdim=True) + 1e-12).sqrt()
    step = torch.cat([torch.cos(angle), half * torch.sinc(angle / torch.pi)], -1)
    moved = multiply(q, step)
    return moved / moved.norm(dim=-1, keepdim=True)


def between(a: Tensor, b: Tensor) -> Tensor:
    """The rotation vector in a's own frame that turns quaternions a into b, `[..., 3]`."""
    found = multiply(a * a.new_tensor([1.0, -1.0, -1.0, -1.0]), b)
    found = torch.where(found[..., :1] < 0, -found, found)
    length = found[..., 1:].norm(dim=-1, keepdim=True)
    angle = 2 * torch.atan2(length, found[..., :1])
    return found[..., 1:] * torch.where(length > 1e-6, angle / length.clamp_min(1e-6), 2.0)


def observe(bodies: Bodies) -> Tensor:
    """What the networks see of a body: its segments from its pelvis, heights, up; `[..., 355]`."""
    root = bodies.axes[..., 0, :, :]
    parts = [
        (bodies.pos - bodies.pos[..., :1, :]) @ root,
        two_axes(root.mT[..., None, :, :] @ bodies.axes),
        bodies.vel @ root,
        bodies.ang @ root,
    ]
    return torch.cat([torch.cat(parts, -1).flatten(-2), bodies.pos[..., 2], root[..., 2, :]], -1)


def aim(bodies: Bodies, goal: Bodies) -> Tensor:
    """How far the goal's segments are from the body's, in the frame of its pelvis, `[..., 330]`."""
    root = bodies.axes[..., 0, :, :]
    parts = [
        (goal.pos - bodies.pos) @ root,
        two_axes(root.mT[..., None, :, :] @ (goal.axes - bodies.axes)),
        (goal.vel - bodies.vel) @ root,
        (goal.ang - bodies.ang) @ root,
    ]
    return torch.cat(parts, -1).flatten(-2)


def two_axes(axes: Tensor) -> Tensor:
    """The first two columns of rotation matrices, `[..., 6]`: continuous, unlike quaternions."""
    return axes[..., :2].mT.flatten(-2)
