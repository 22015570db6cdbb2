"""Training: play, learn the world, learn to act in the learned world, repeat.

The one thing to know: this is the paper's way at a size for a CPU. The simulator is never
differentiated; the policy's gradient flows through the world model. Losses are those of ControlVAE,
weighted so that place counts beside speed. Training begins with what plain servos and noise do:
the world model's linear part is solved for, and it learns alone for a while, since a policy that
follows a world model that knows nothing only learns to fall. A checkpoint is written as it goes;
the same call goes on from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..clip import MotionClip
from .checkpoint import keep, load, read
from .experience import Experience
from .nets import Config, Policy, World, distance
from .state import aim, observe

WORLD_WEIGHTS = (1.0, 1.0, 4.0, 4.0)
POLICY_WEIGHTS = (1.0, 0.2, 0.1, 0.02)
HEIGHT, UP, KL, FAINT, SQUARE = 1.2, 3.0, 0.1, 0.01, 0.001
DISCOUNT = 0.95
WORLD_STEPS, POLICY_STEPS = 8, 20
WORLD_BATCH, POLICY_BATCH = 128, 96
WORLD_BATCHES, POLICY_BATCHES = 3, 2
WORLD_RATE, POLICY_RATE = 5e-4, 5e-4
PLAYED = 12  # control steps of each simulation per iteration
FIRST, FIRST_BATCHES = 160, 80  # control steps of servos, batches of the world model after them
RIDGE = 0.01


class Learner:
    """Networks, optimisers and memory for a handful of clips.

    Args:
        clips: What to learn to follow; all of one body.
        config: Sizes.
        seed: Of everything random.
    """

    def __init__(self, clips: Sequence[MotionClip], config: Config | None = None, seed: int = 0):
        self.config = config or Config()
        torch.manual_seed(seed)
        self.experience = Experience(clips, self.config, seed)
        self.policy, self.world = Policy(self.config), World(self.config)
        self.policy_step = torch.optim.Adam(self.policy.parameters(), lr=POLICY_RATE)
        self.world_step = torch.optim.AdamW(
            self.world.parameters(), lr=WORLD_RATE, weight_decay=1e-3
        )
        self.iteration = 0
        self.history: list[dict[str, float]] = []

    def iterate(self) -> dict[str, float]:
        """Play, then a few batches for the world and for the policy; what was measured."""
        if not self.experience.memory.filled:
            self._begin()
        played = self.experience.play(self.policy, PLAYED)
        world = [self.learn_world() for _ in range(WORLD_BATCHES)]
        policy = [self.learn_policy() for _ in range(POLICY_BATCHES)]
        self.iteration += 1
        found = {
            "iteration": float(self.iteration),
            **played,
            "world_loss": float(np.mean(world)),
            "policy_loss": float(np.mean(policy)),
        }
        self.history.append(found)
        return found

    def _begin(self) -> None:
        """First experience: the servos (or the policy that was restored), and what it teaches."""
        played = self.experience.play(self.policy, FIRST)
        if self.iteration == 0:
            self._scale()
            with torch.no_grad():
                unknowing = float(self._world_cost())
            self._solve()
            for _ in range(FIRST_BATCHES):
                self.learn_world()
            with torch.no_grad():
                cost = float(self._policy_cost())
            found = {"iteration": 0.0, **played, "world_loss": unknowing, "policy_loss": cost}
            self.history.append(found)

    def _scale(self) -> None:
        """Mean and spread of what the nets see, from first experience."""
        state, after, targets, places = self.experience.steps()
        bodies = self.experience.tree(state)
        self.policy.seen.settle(observe(bodies))
        aimed = aim(bodies, self.experience.goals[self.experience.goal(places, 1)])
        self.policy.aimed.settle(aimed, centred=False)
        self.world.seen.settle(self.world.inputs(state, bodies, targets))
        self.world.change.settle(self.world.changes(state, after), least=1e-3, centred=False)

    def _solve(self) -> None:
        """The linear part of the world model, by ridge regression on first experience."""
        state, after, targets, _ = self.experience.steps()
        world = self.world
        x = world.seen(world.inputs(state, self.experience.tree(state), targets)).double()
        x = torch.cat([x, torch.ones(len(x), 1)], 1)
        y = (world.changes(state, after) / world.change.spread).double()
        found = torch.linalg.solve(x.T @ x + RIDGE * len(x) * torch.eye(x.shape[1]), x.T @ y)
        with torch.no_grad():
            world.linear.weight.copy_(found[:-1].T)
            world.linear.bias.copy_(found[-1])

    def learn_world(self) -> float:
        """One batch of rollouts of the world model against what happened."""
        return self._descend(self._world_cost(), self.world_step, self.world)

    def learn_policy(self) -> float:
        """One batch of rollouts of the policy in the learned world."""
        self.policy.train()
        return self._descend(self._policy_cost(), self.policy_step, self.policy)

    def _world_cost(self) -> Tensor:
        tree, memory = self.experience.tree, self.experience.memory
        starts = memory.starts(WORLD_STEPS, self.experience.rng, WORLD_BATCH)
        state = memory.state(starts)
        bodies = tree(state)
        loss = torch.zeros(())
        dt = self.config.dt
        weights = (*WORLD_WEIGHTS[:2], WORLD_WEIGHTS[2] * dt, WORLD_WEIGHTS[3] * dt)
        for step in range(WORLD_STEPS):
            at = memory.later(starts, step)
            state = self.world(state, bodies, memory.targets[at], memory.maps[at])
            bodies = tree(state)
            with torch.no_grad():
                truth = tree(memory.state(memory.later(at, 1)))
            loss = loss + distance(bodies, truth, weights).mean()
        return loss / WORLD_STEPS

    def _policy_cost(self) -> Tensor:
        state, maps, places = self.experience.beginnings(POLICY_BATCH)
        bodies = self.experience.tree(state)
        beta = 0.009 * 10 ** min(1.0, self.iteration / 400)
        loss = torch.zeros(())
        for step in range(POLICY_STEPS):
            rows = self.experience.goal(places, step + 1)
            goal = self.experience.goals[rows]
            offset, kl = self.policy(bodies, goal, maps)
            state = self.world(state, bodies, self.experience.postures[rows] + offset, maps)
            bodies = self.experience.tree(state)
            cost = distance(bodies, goal, POLICY_WEIGHTS)
            cost = cost + HEIGHT * (bodies.pos[..., 2] - goal.pos[..., 2]).abs().mean(-1)
            leaning = bodies.axes[..., 0, 2, :] - goal.axes[..., 0, 2, :]
            cost = cost + UP * leaning.abs().mean(-1) + KL * beta * kl
            cost = cost + FAINT * offset.abs().mean(-1) + SQUARE * offset.square().mean(-1)
            loss = loss + DISCOUNT**step * cost.mean()
        return loss / POLICY_STEPS

    def _descend(self, loss: Tensor, step: torch.optim.Optimizer, net: torch.nn.Module) -> float:
        self.policy_step.zero_grad()
        self.world_step.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        step.step()
        return float(loss.detach())

    # ---- saved

    def save(self, path: str | Path) -> None:
        """Write networks, optimisers and history; complete or not at all."""
        keep(
            path,
            config=self.config.to_json(),
            policy=self.policy.state_dict(),
            world=self.world.state_dict(),
            policy_step=self.policy_step.state_dict(),
            world_step=self.world_step.state_dict(),
            iteration=self.iteration,
            history=self.history,
        )

    def restore(self, path: str | Path) -> None:
        """Go on from a checkpoint; the memory begins anew."""
        held = read(path)
        if held["config"] != self.config.to_json():
            raise ValueError(f"{path} holds a net of other sizes ({held['config']})")
        load(self.policy, held["policy"], path)
        load(self.world, held["world"], path)
        self.policy_step.load_state_dict(held["policy_step"])
        self.world_step.load_state_dict(held["world_step"])
        self.iteration, self.history = held["iteration"], held["history"]


def train(
    clips: Sequence[MotionClip],
    path: str | Path,
    *,
    iterations: int = 300,
    config: Config | None = None,
    seed: int = 0,
    progress: Callable[[dict[str, float]], None] | None = None,
) -> list[dict[str, float]]:
    """Train one policy and one world model on a handful of clips.

    Args:
        clips: What to follow, as `fill` makes them; all of one body.
        path: Of the checkpoint; if it exists, training goes on from it.
        iterations: In all, those of earlier calls included.
        config: Sizes; must equal those of an existing checkpoint.
        seed: Of everything random.
        progress: Called with what each iteration measured.

    Returns:
        The history: iteration, falls per simulated minute (of episodes with exploration, pushed
        at their beginning), mean distance of joints in cm, losses. Iteration 0 is what the plain
        servos do, and the loss of a world model that foretells no change.
    """
    learner = Learner(clips, config, seed)
    if Path(path).exists():
        learner.restore(path)
    while learner.iteration < iterations:
        found = learner.iterate()
        if progress is not None:
            progress(found)
        if learner.iteration % 20 == 0 or learner.iteration == iterations:
            learner.save(path)
    return learner.history
