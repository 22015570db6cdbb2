"""T2: tracking by sampling, for flights and for contact schedules that T1 cannot use.

The one thing to know: it needs no contacts and no derivatives. Every 0.05 s it simulates a few
dozen ways to offset the reference's servo targets over the next half second, keeps the best and
refits (cross-entropy method; Rubinstein, 1999). That costs about ten times the clip's duration.
What it foresees runs in coarser steps than what it performs; performed is the same body as in T1.

Stage cost: 10 · weighted squared site error + 8 · COM error + 0.4 · COM speed error + 10 · head
height error + mean joint error + 4 (1 − ⟨root quaternions⟩²) + 0.2 · mean offset².
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from ..body import DOFS, JOINT, Body
from ..engine import mujoco
from ..kinematics import centre_of_mass, fk_qpos
from ..mjcf import COARSE, model_of
from ..rotations import Array
from ..scene import Scene
from .qp import Rollout, fallen
from .reference import Reference

SAMPLES, ITERATIONS, ELITES = 32, 2, 8
HORIZON, REPLAN, KNOTS = 0.5, 0.05, 4
SPREAD, ELSEWHERE, FLOOR = 0.12, 0.35, 0.3
LOOKS = 8  # instants of the horizon at which the cost is taken
BRAKE = np.array([dof.kv / dof.kp for dof in DOFS])
_SIGMA = SPREAD * np.array(
    [
        1.0 if any(w in dof.name for w in ("hip", "knee", "ankle", "spine")) else ELSEWHERE
        for dof in DOFS
    ]
)
_WEIGHTS = np.ones(22)
_WEIGHTS[[JOINT["L_ankle"], JOINT["R_ankle"], JOINT["L_foot"], JOINT["R_foot"]]] = 3.0
_WEIGHTS[0], _WEIGHTS[JOINT["head"]] = 2.0, 1.5
_WEIGHTS /= _WEIGHTS.sum()


class Sampler:
    """Follows a reference by sampling.

    Args:
        model: Body and scene.
        reference: What to follow.
        body: Whose proportions.
        scene: What stands around, as in the model.
        seed: The same seed gives the same motion.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        reference: Reference,
        body: Body,
        scene: Scene | None = None,
        seed: int = 0,
    ) -> None:
        from mujoco import rollout

        self.model, self.ref, self.body = model, reference, body
        self.coarse = model_of(body.shape, scene, timestep=COARSE)
        self.rng = np.random.default_rng(seed)
        self.data = mujoco.MjData(model)
        threads = min(2, os.cpu_count() or 1)
        self.pool = [mujoco.MjData(self.coarse) for _ in range(threads)]
        self.roll = rollout.rollout
        self.spec = mujoco.mjtState.mjSTATE_FULLPHYSICS
        self.size = mujoco.mj_stateSize(model, self.spec)

    def run(
        self,
        start: int = 0,
        state: tuple[Array, Array] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Rollout:
        """Simulate from a sample of the reference to its end.

        Args:
            start: Sample to begin with.
            state: qpos and qvel there; those of the reference if None.
            progress: Called with (samples done, samples in all).
        """
        ref, model, data = self.ref, self.model, self.data
        mujoco.mj_resetData(model, data)
        data.qpos[:], data.qvel[:] = state or (ref.qpos[start], ref.qvel[start])
        mujoco.mj_forward(model, data)
        step = model.opt.timestep
        per_sample = round(1 / ref.rate / step)
        block = round(REPLAN / step)
        mean = np.zeros((KNOTS, model.nu))
        rows, forces = [], []
        wrench = np.zeros(6)
        total = (len(ref) - start) * per_sample
        for begin in range(0, total, block):
            now = start + begin / per_sample
            mean = self._improve(mean, now)
            controls = self._controls(mean[None], now, step)[0]
            for k in range(min(block, total - begin)):
                if (begin + k) % per_sample == 0:
                    rows.append(data.qpos.copy())
                    force = 0.0
                    for index in range(data.ncon):
                        mujoco.mj_contactForce(model, data, index, wrench)
                        force += wrench[0] * abs(data.contact[index].frame[2])
                    forces.append(force)
                data.ctrl[:] = controls[k]
                mujoco.mj_step(model, data)
            at = min(start + (begin + block) // per_sample, len(ref) - 1)
            if fallen(data, ref, at):
                return self._made(rows, forces, True)
            mean = self._shifted(mean)
            if progress is not None:
                progress(at, len(ref))
        return self._made(rows, forces, False)

    def _made(self, rows: list[Array], forces: list[float], fell: bool) -> Rollout:
        none = np.zeros(len(rows))
        speeds = np.zeros((len(rows), self.model.nv))
        return Rollout(np.array(rows), speeds, np.array(forces), none, none.copy(), fell)

    def _improve(self, mean: Array, now: float) -> Array:
        """The cross-entropy method around the offsets of the last plan."""
        state = np.empty(self.size)
        mujoco.mj_getState(self.model, self.data, state, self.spec)
        sigma = np.broadcast_to(_SIGMA, mean.shape).copy()
        for _ in range(ITERATIONS):
            noise = self.rng.normal(size=(SAMPLES, *mean.shape))
            tries = mean + sigma * noise
            tries[0], tries[1] = mean, 0.0  # what we have, and the reference as it is
            cost = self._cost(tries, now, state)
            best = tries[np.argsort(cost, kind="stable")[:ELITES]]
            mean = best.mean(axis=0)
            sigma = np.maximum(best.std(axis=0), FLOOR * _SIGMA)
        return mean

    def _controls(self, offsets: Array, now: float, timestep: float) -> Array:
        """Servo targets over the horizon, `[S, steps, 47]`, of knots `[S, KNOTS, 47]`."""
        steps = round(HORIZON / timestep)
        at = np.linspace(0, KNOTS - 1, steps)
        low = np.minimum(at.astype(int), KNOTS - 2)
        share = (at - low)[:, None]
        moved = (1 - share) * offsets[:, low] + share * offsets[:, low + 1]
        samples = now + np.arange(steps) * timestep * self.ref.rate
        index = np.minimum(np.round(samples).astype(int), len(self.ref) - 1)
        # a servo also brakes; told to be ahead by as much, it moves as fast as the reference
        return self.ref.qpos[index, 7:] + BRAKE * self.ref.qvel[index, 6:] + moved

    def _cost(self, tries: Array, now: float, state: Array) -> Array:
        controls = self._controls(tries, now, COARSE)
        states, _ = self.roll(self.coarse, self.pool, state[None], controls)
        steps = states.shape[1]
        looks = np.linspace(steps / LOOKS, steps, LOOKS).astype(int) - 1
        qpos = states[:, looks, 1 : 1 + self.model.nq]
        qpos = np.where(np.isfinite(qpos), qpos, 0.0)
        samples = now + (looks + 1) * COARSE * self.ref.rate
        index = np.minimum(np.round(samples).astype(int), len(self.ref) - 1)
        places, turns = fk_qpos(qpos, self.body)
        error = places - self.ref.joints[index]
        cost = 10 * ((error**2).sum(-1) * _WEIGHTS).sum(-1) * 10
        com = centre_of_mass(places, turns, self.body) - self.ref.com[index]
        cost += 8 * (com[..., :2] ** 2).sum(-1) * 10
        speed = np.diff(com[..., :2], axis=1, prepend=com[:, :1, :2]) / (HORIZON / LOOKS)
        cost += 0.4 * (speed**2).sum(-1)
        cost += 10 * error[..., JOINT["head"], 2] ** 2 * 10
        cost += ((qpos[..., 7:] - self.ref.qpos[index, 7:]) ** 2).mean(-1)
        cost += 4 * (1 - (qpos[..., 3:7] * self.ref.qpos[index, 3:7]).sum(-1) ** 2)
        cost[:, -1] *= 3  # where the plan leads counts more
        return cost.sum(axis=1) + 0.2 * (tries**2).mean(axis=(1, 2)) * LOOKS

    def _shifted(self, mean: Array) -> Array:
        """The plan seen from one replanning later."""
        at = np.linspace(0, KNOTS - 1, KNOTS) + REPLAN / HORIZON * (KNOTS - 1)
        low = np.minimum(at.astype(int), KNOTS - 1)
        high = np.minimum(low + 1, KNOTS - 1)
        share = np.minimum(at - low, 1.0)[:, None]
        return (1 - share) * mean[low] + share * mean[high]
