"""T1: a whole-body controller that solves one quadratic program per control step.

The one thing to know: it finds accelerations and contact forces together, such that the floating
base is moved by contact forces alone, torques stay within their limits and forces within the
friction pyramid; what it minimises is the distance to the reference's accelerations with feedback:

    min  Σ wᵢ (q̈ᵢ − aᵢ)² + w_c ‖J_com q̈ − a_com‖² + 30 ‖J_c q̈ + 25 J_c q̇ + 150 e‖² + ‖f‖²_F
    s.t. M_u q̈ − J_{c,u}ᵀ f = −h_u,   |M_a q̈ + h_a − J_{c,a}ᵀ f| ≤ τ_max,
         |f_x|, |f_y| ≤ 0.5 f_z,   0 ≤ f_z ≤ 2000 N

e is how far a point has strayed from where it came to stand. The pyramid is half as steep as the
floor's friction (1.0): what presses differently than foreseen must not slip at once, and ‖f‖²_F
makes pushing along the ground ten times as dear as upright.
(inverse-dynamics control as in Herzog et al., 2016). Torques are applied through the servos.

T4, the last resort, is the same program with one more variable: a wrench on the pelvis that no
muscle could give, paid for dearly and bounded. It is reported, never hidden.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..body import DOF, DOFS
from ..engine import mass_matrix, mujoco
from ..rotations import Array
from .program import TORQUE, solve
from .reference import Reference
from .tasks import Tasks

SEATED = 40.0  # weight of the pelvis while a seat carries it
CONTACT, CONTACT_RATE, CONTACT_KP = 30.0, 25.0, 150.0
PUSHING_LEGS = 0.1  # weight of the hinges of the legs while they push
_LEGS = 6 + np.array(
    [i for name, i in DOF.items() if any(w in name for w in ("_hip", "_knee", "_ankle"))]
)
_KP = np.array([dof.kp for dof in DOFS])
_KV = np.array([dof.kv for dof in DOFS])


@dataclass(frozen=True)
class Preset:
    """Weights of one attempt.

    Attributes:
        com: Weight of the centre of mass.
        root: Weight of the pelvis.
        kp_com: Stiffness of the centre of mass, 1/s².
        legs: Weight of the hinges of the legs.
    """

    com: float
    root: float
    kp_com: float
    legs: float = 1.0

    def __str__(self) -> str:
        return f"com {self.com:g}, root {self.root:g}, kp {self.kp_com:g}"


PRESETS = (
    Preset(100, 1, 40),
    Preset(10, 3, 100),
    Preset(30, 3, 30),
    Preset(100, 3, 60),
    Preset(0, 3, 0),
)
"""In the order in which they are tried."""


@dataclass
class Rollout:
    """What a simulation gave, one row per control step.

    Attributes:
        qpos: `[N, 54]`; shorter than the reference if it fell.
        qvel: `[N, 53]`.
        force: Total vertical contact force in newtons, `[N]`.
        saturated: Share of hinges at their torque limit, `[N]`.
        residual: Helper force on the pelvis as a share of body weight, `[N]`.
        fell: Whether the body fell.
    """

    qpos: Array
    qvel: Array
    force: Array
    saturated: Array
    residual: Array
    fell: bool


class QPTracker(Tasks):
    """Follows a reference in simulation.

    Args:
        model: Body and scene.
        reference: What to follow, at the control rate.
    """

    def __init__(self, model: mujoco.MjModel, reference: Reference) -> None:
        super().__init__(model, reference)
        self.substeps = max(1, round(1 / reference.rate / model.opt.timestep))

    def run(
        self,
        preset: Preset = PRESETS[0],
        progress: Callable[[int, int], None] | None = None,
        assist: float = 0.0,
    ) -> Rollout:
        """Simulate from the first sample to the last, or until the body falls.

        Args:
            preset: Weights.
            progress: Called with (steps done, steps in all).
            assist: Largest helper force on the pelvis as a share of body weight; 0 forbids it.
        """
        ref, model, data = self.ref, self.model, self.data
        mujoco.mj_resetData(model, data)
        data.qpos[:], data.qvel[:] = ref.qpos[0], ref.qvel[0]
        mujoco.mj_forward(model, data)
        self.contacts.reset()
        self.air.reset()
        count = len(ref)
        rows, speeds = np.empty((count, model.nq)), np.empty((count, model.nv))
        force = np.zeros(count)
        saturated, residual = np.zeros(count), np.zeros(count)
        wrench = np.zeros(6)
        weight = float(model.body_subtreemass[1]) * 9.81
        for step in range(count):
            rows[step], speeds[step] = data.qpos, data.qvel
            at = self.air.sample(step, data.subtree_com[1], self.com_velocity())
            if fallen(data, ref, at):
                parts = (part[:step] for part in (rows, speeds, force, saturated, residual))
                return Rollout(*parts, True)
            torque, helper = self.torque(at, preset, assist * weight)
            data.qfrc_applied[:6] = helper
            residual[step] = np.linalg.norm(helper[:3]) / weight
            saturated[step] = np.mean(np.abs(torque) > 0.99 * TORQUE)
            for _ in range(self.substeps):
                data.ctrl[:] = data.qpos[7:] + (torque + _KV * data.qvel[6:]) / _KP
                mujoco.mj_step(model, data)
            for index in range(data.ncon):
                mujoco.mj_contactForce(model, data, index, wrench)
                force[step] += wrench[0] * abs(data.contact[index].frame[2])
            if progress is not None and step % 25 == 0:
                progress(step, count)
        return Rollout(rows, speeds, force, saturated, residual, False)

    def torque(self, step: int, preset: Preset, help_limit: float = 0.0) -> tuple[Array, Array]:
        """The torques `[47]` and the helper wrench `[6]` for the current state at a sample."""
        ref, model, data = self.ref, self.model, self.data
        mujoco.mj_forward(model, data)
        nv = model.nv
        self.look_ahead()
        mass = mass_matrix(model, data)
        bias = data.qfrc_bias - data.qfrc_passive
        air = self.air
        soon = air.bears(data.subtree_com[1])
        contacts, strayed = self.contacts.rows(step, data, soon)
        if air.up and len(contacts):
            step = air.landed(self.contacts)
        wish = self.posture(step)
        weight = np.ones(nv)
        weight[:6] = preset.root
        weight[_LEGS] = preset.legs
        if ref.seated[step]:  # what bears is only braked: the pelvis must not creep
            weight[:6] = SEATED
        if air.pushing:  # only the speed counts
            weight[:3], weight[_LEGS] = 0.0, PUSHING_LEGS
        flying = not len(contacts) if soon is not None else self.contacts.flying(step)
        if flying and not help_limit:  # nothing can push the body: its posture and turn are left
            weight[:3] = 0.0
            weight[3:6] = 2.0
        hessian = np.diag(weight + 1e-6)
        linear = -weight * wish
        if not flying or help_limit:
            self.central(step, preset.com, preset.kp_com, hessian, linear)
        self.swing(step, hessian, linear)
        if len(contacts):
            hessian += CONTACT * contacts.T @ contacts
            held = CONTACT_RATE * contacts @ data.qvel + CONTACT_KP * strayed
            linear += CONTACT * contacts.T @ held
        solved = solve(hessian, linear, mass, bias, contacts, help_limit)
        if solved is None:  # no solution: let the servos hold the reference posture
            found = _KP * (ref.qpos[step, 7:] - data.qpos[7:]) - _KV * data.qvel[6:]
            return np.clip(found, -TORQUE, TORQUE), np.zeros(6)
        acceleration, forces, helper = solved
        torque = mass[6:] @ acceleration + bias[6:]
        if len(contacts):
            torque -= contacts[:, 6:].T @ forces
        return np.clip(torque, -TORQUE, TORQUE), helper


def fallen(data: mujoco.MjData, ref: Reference, step: int) -> bool:
    """Whether the pelvis or the head is far from where it should be, or the state exploded."""
    if not np.isfinite(data.qpos).all() or np.abs(data.qvel).max() > 500:
        return True
    off = np.linalg.norm(data.qpos[:3] - ref.qpos[step, :3])
    head = data.body("head").xpos - ref.joints[step, 15]
    return bool(off > 0.5 or abs(head[2]) > 0.45 or np.linalg.norm(head) > 0.8)
