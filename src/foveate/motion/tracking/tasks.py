"""Tasks: what the controller wishes for, as quadratic terms of its program.

The one thing to know: a task wants an acceleration of something linear in the joint accelerations,
ÿ = J q̈ + J̇ q̇, and adds its weight · ‖ÿ − wanted‖² to the Hessian and the linear part. Around
flights the wishes change (`flights`): the push looks for speed, feet in the air go with the body.
"""

from __future__ import annotations

import numpy as np

from .. import rotations as rot
from ..engine import mujoco
from ..rotations import Array
from .contacts import Contacts
from .flights import SPIN_RATE, Airborne
from .reference import Reference

KP, KP_ROOT = 300.0, 120.0
KP_AIR = 1200.0  # in the air: a flight is over before a softer limb has followed
SWING, SWING_KP = 20.0, 300.0  # feet in the air, in the world
LAY = 10.0  # weight of laying a sole as it will stand, before it lands
FLAT = 60.0  # and after it landed on an edge
CAPTURE = 0.12  # seconds of the body's drift by which a foot in the air goes further
REST_COM = 0.1  # share of the centre of mass's weight while a seat carries the body
PUSH = np.array([100.0, 100.0, 300.0])  # least weights of the centre of mass around flights
SPIN = 1.0  # weight of the angular momentum before a flight
MOMENT = 1e-5  # seconds


class Tasks:
    """Wishes of a simulated body.

    Args:
        model: Body and scene.
        reference: What to follow, at the control rate.
    """

    def __init__(self, model: mujoco.MjModel, reference: Reference) -> None:
        self.model, self.ref = model, reference
        self.data = mujoco.MjData(model)
        self.ahead = mujoco.MjData(model)  # the same a moment later, for J̇q̇
        self.ankles = [model.body("L_ankle").id, model.body("R_ankle").id]
        self.contacts = Contacts(model, reference)
        self.air = Airborne(model, reference)

    def central(self, step: int, weight: float, kp: float, hessian: Array, linear: Array) -> None:
        """The centre of mass, and before a flight the turn; adds to the program."""
        ref, model, data, air = self.ref, self.model, self.data, self.air
        weight *= REST_COM if ref.seated[step] else 1.0
        place, jacobian = data.subtree_com[1].copy(), np.empty((3, model.nv))
        mujoco.mj_jacSubtreeCom(model, data, jacobian, 1)
        velocity = jacobian @ data.qvel
        wanted = (
            ref.com_acc[step]
            + kp * (ref.com[step] + air.shift - place)
            + 2 * np.sqrt(kp) * (ref.com_vel[step] - velocity)
        )
        weights = np.full(3, weight)
        led = air.wanted(place, velocity)
        if led is not None:
            wanted[2] = led
            weights = np.maximum(weight, PUSH)
        if weights.any():
            later = np.empty_like(jacobian)
            mujoco.mj_jacSubtreeCom(model, self.ahead, later, 1)
            wanted -= (later - jacobian) @ data.qvel / MOMENT
            hessian += jacobian.T @ (weights[:, None] * jacobian)
            linear -= jacobian.T @ (weights * wanted)
        if air.spin is not None:
            self._turning(air.spin, hessian, linear)

    def _turning(self, spin: Array, hessian: Array, linear: Array) -> None:
        """The angular momentum about the centre of mass goes to `spin` `[3]`."""
        model, data = self.model, self.data
        matrix, later = np.empty((3, model.nv)), np.empty((3, model.nv))
        mujoco.mj_angmomMat(model, data, matrix, 1)
        mujoco.mj_angmomMat(model, self.ahead, later, 1)
        wanted = SPIN_RATE * (spin - matrix @ data.qvel)
        wanted -= (later - matrix) @ data.qvel / MOMENT
        hessian += SPIN * matrix.T @ matrix
        linear -= SPIN * matrix.T @ wanted

    def look_ahead(self) -> None:
        """The configuration a moment later at the same velocity.

        What a task's acceleration is beyond J q̈ comes from the change of J. Left out, a swinging
        leg alone misplaces the zero-moment point by centimetres.
        """
        self.ahead.qpos[:] = self.data.qpos
        mujoco.mj_integratePos(self.model, self.ahead.qpos, self.data.qvel, MOMENT)
        mujoco.mj_kinematics(self.model, self.ahead)
        mujoco.mj_comPos(self.model, self.ahead)

    def posture(self, step: int) -> Array:
        """Reference acceleration with feedback on place and speed, `[53]`."""
        ref, model, data = self.ref, self.model, self.data
        error = np.empty(model.nv)
        mujoco.mj_differentiatePos(model, error, 1.0, data.qpos, ref.qpos[step])
        error[:3] += self.air.shift
        kp = np.full(model.nv, KP_AIR if self.air.up else KP)
        kp[:6] = KP_ROOT
        return ref.qacc[step] + kp * error + 2 * np.sqrt(kp) * (ref.qvel[step] - data.qvel)

    def com_velocity(self) -> Array:
        """Of the centre of mass, `[3]`."""
        jacobian = np.empty((3, self.model.nv))
        mujoco.mj_jacSubtreeCom(self.model, self.data, jacobian, 1)
        return jacobian @ self.data.qvel

    def swing(self, step: int, hessian: Array, linear: Array) -> None:
        """Feet in the air go where the reference puts them in the world; adds to the program."""
        ref, model, data, air = self.ref, self.model, self.data, self.air
        moved, drift = air.shift, np.zeros(3)
        if air.up:  # feet in the air go with the body
            moved = data.subtree_com[1] - ref.com[step]
            drift = self.com_velocity() - ref.com_vel[step]
            moved[:2] += CAPTURE * drift[:2]  # and further, to stop it where it lands
        kp = KP_AIR if air.up else SWING_KP
        for side, body in enumerate(self.ankles):
            stands = self.contacts.standing(step, side) and not air.up
            if stands and not (air.down and self.contacts.tilted(side)):
                continue
            jacobian = np.empty((6, model.nv))
            mujoco.mj_jacBody(model, data, jacobian[:3], jacobian[3:], body)
            speed = jacobian @ data.qvel
            later = np.empty_like(jacobian)
            mujoco.mj_jacBody(model, self.ahead, later[:3], later[3:], body)
            facing, spin, lay = ref.feet_quat[step, side], ref.feet_turn[step, side], SWING / 10
            if air.lands(side):  # a sole is laid as it will stand
                facing, spin, lay = ref.feet_quat[air.flight.down, side], np.zeros(3), LAY
            turn = rot.log(rot.multiply(facing, rot.inverse(data.xquat[body])))
            place = ref.feet[step, side] + moved
            wanted = np.concatenate(
                [ref.feet_acc[step, side] + kp * (place - data.xpos[body]), kp * turn]
            )
            wanted[:3] += 2 * np.sqrt(kp) * (ref.feet_vel[step, side] + drift - speed[:3])
            wanted[3:] += 2 * np.sqrt(kp) * (spin - speed[3:])
            wanted -= (later - jacobian) @ data.qvel / MOMENT
            # what has landed on an edge comes down flat
            weight = np.array([0.0] * 3 + [FLAT] * 3 if stands else [SWING] * 3 + [lay] * 3)
            hessian += jacobian.T @ (weight[:, None] * jacobian)
            linear -= jacobian.T @ (weight * wanted)
