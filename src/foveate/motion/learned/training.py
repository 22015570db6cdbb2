"""Training: play, learn the world, learn to act in the learned world, repeat.

The one thing to know: this is the paper's way at a size for a CPU. The simulator is never
differentiated; the policy's gradient flows through the world model. Losses and weights are those
of ControlVAE. A checkpoint is written as it goes, and the same call goes on from it.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..clip import MotionClip, write_atomic
from .nets import Config, Policy, World, distance, up_of
from .play import Episode, Track
from .state import State

WORLD_WEIGHTS = (1.0, 1.0, 4.0, 4.0)
POLICY_WEIGHTS = (0.2, 0.1, 0.5, 0.5)
HEIGHT, UP, KL, FAINT, SQUARE = 1.2, 3.0, 0.1, 0.01, 0.001
DISCOUNT = 0.95
WORLD_STEPS, POLICY_STEPS = 8, 12
BATCH, BATCHES = 64, 4
PER_ITERATION, CAPACITY = 256, 20_000


class Memory:
    """The last transitions, each with its place in its track; sequences do not cross episodes."""

    def __init__(self) -> None:
        self.states: list[State] = []
        self.targets: list[Tensor] = []
        self.maps: list[Tensor] = []
        self.places: list[tuple[int, int, int]] = []  # episode, track, sample

    def add(
        self, state: State, target: Tensor, ground: Tensor, place: tuple[int, int, int]
    ) -> None:
        self.states.append(state)
        self.targets.append(target)
        self.maps.append(ground)
        self.places.append(place)
        for values in (self.states, self.targets, self.maps, self.places):
            if len(values) > CAPACITY:
                del values[0]

    def starts(self, steps: int, rng: np.random.Generator, count: int) -> list[int]:
        """Random indices from which `steps` transitions of one episode follow."""
        episodes = np.array([place[0] for place in self.places])
        good = np.flatnonzero(episodes[: len(episodes) - steps] == episodes[steps:])
        return [int(i) for i in rng.choice(good, count)] if len(good) else []


class Learner:
    """Networks, optimisers and memory for a handful of clips.

    Args:
        clips: What to learn to follow.
        config: Sizes.
        seed: Of everything random.
    """

    def __init__(self, clips: Sequence[MotionClip], config: Config | None = None, seed: int = 0):
        if not clips:
            raise ValueError("clips is empty; expected at least one clip to learn from")
        self.config = config or Config()
        torch.manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        self.tracks = [Track(clip, self.config) for clip in clips]
        self.policy, self.world = Policy(self.config), World(self.config)
        self.policy_step = torch.optim.RAdam(self.policy.parameters(), lr=3e-4)
        self.world_step = torch.optim.RAdam(self.world.parameters(), lr=2e-3, weight_decay=1e-3)
        self.memory, self.episodes, self.iteration = Memory(), 0, 0
        self.history: list[dict[str, float]] = []

    def iterate(self) -> dict[str, float]:
        """Play, then a few batches for the world and for the policy; what was measured."""
        length = self.play()
        world = [self.learn_world() for _ in range(BATCHES)]
        policy = [self.learn_policy() for _ in range(BATCHES)]
        self.iteration += 1
        found = {
            "iteration": float(self.iteration),
            "episode_steps": length,
            "world_loss": float(np.mean(world)),
            "policy_loss": float(np.mean(policy)),
        }
        self.history.append(found)
        return found

    def play(self) -> float:
        """Simulate PER_ITERATION steps with exploration; the mean length of the episodes."""
        done, lengths = 0, []
        self.policy.eval()
        while done < PER_ITERATION:
            number = int(self.rng.integers(len(self.tracks)))
            track = self.tracks[number]
            episode = Episode(track, int(self.rng.integers(len(track) - 2)), self.config)
            begin, going = done, True
            while going and done < PER_ITERATION:
                state, ground, at = episode.state(), episode.ground(), episode.at
                with torch.no_grad():
                    offset, _ = self.policy(state, track.states[at + 1], ground)
                offset = offset + self.config.noise * torch.randn_like(offset)
                target = track.postures[at + 1] + offset
                going = episode.step(target)
                self.memory.add(state, target, ground, (self.episodes, number, at))
                done += 1
            lengths.append(done - begin)
            self.episodes += 1
        return float(np.mean(lengths))

    def learn_world(self) -> float:
        """One batch of rollouts of the world model against what happened."""
        starts = self.memory.starts(WORLD_STEPS, self.rng, BATCH)
        if not starts:
            return math.nan
        state = State.stack([self.memory.states[i] for i in starts])
        loss = torch.zeros(())
        dt = self.config.dt
        weights = (*WORLD_WEIGHTS[:2], WORLD_WEIGHTS[2] * dt, WORLD_WEIGHTS[3] * dt)
        for step in range(WORLD_STEPS):
            targets = torch.stack([self.memory.targets[i + step] for i in starts])
            maps = torch.stack([self.memory.maps[i + step] for i in starts])
            state = self.world(state, targets, maps)
            truth = State.stack([self.memory.states[i + step + 1] for i in starts])
            loss = loss + distance(state, truth, weights).mean()
        return self._descend(loss / WORLD_STEPS, self.world_step, self.world)

    def learn_policy(self) -> float:
        """One batch of rollouts of the policy in the learned world."""
        starts = self.memory.starts(1, self.rng, BATCH)
        if not starts:
            return math.nan
        self.policy.train()
        state = State.stack([self.memory.states[i] for i in starts])
        maps = torch.stack([self.memory.maps[i] for i in starts])
        places = [self.memory.places[i] for i in starts]
        beta = 0.009 * 10 ** min(1.0, self.iteration / 400)
        loss = torch.zeros(())
        for step in range(POLICY_STEPS):
            rows = [(n, min(at + step + 1, len(self.tracks[n]) - 1)) for _, n, at in places]
            goal = State.stack([self.tracks[n].states[i] for n, i in rows])
            posture = torch.stack([self.tracks[n].postures[i] for n, i in rows])
            offset, kl = self.policy(state, goal, maps)
            state = self.world(state, posture + offset, maps)
            dt = self.config.dt
            weights = (*POLICY_WEIGHTS[:2], POLICY_WEIGHTS[2] * dt, POLICY_WEIGHTS[3] * dt)
            cost = distance(state, goal, weights)
            cost = cost + HEIGHT * (state.pos[..., 2] - goal.pos[..., 2]).abs().mean(-1)
            cost = cost + UP * (up_of(state) - up_of(goal)).abs().mean(-1)
            cost = cost + KL * beta * kl
            cost = cost + FAINT * offset.abs().mean(-1) + SQUARE * (offset**2).mean(-1)
            loss = loss + DISCOUNT**step * cost.mean()
        return self._descend(loss / POLICY_STEPS, self.policy_step, self.policy)

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
        buffer = io.BytesIO()
        torch.save(
            {
                "config": self.config.to_json(),
                "policy": self.policy.state_dict(),
                "world": self.world.state_dict(),
                "policy_step": self.policy_step.state_dict(),
                "world_step": self.world_step.state_dict(),
                "iteration": self.iteration,
                "history": self.history,
            },
            buffer,
        )
        write_atomic(path, buffer.getvalue())

    def restore(self, path: str | Path) -> None:
        """Go on from a checkpoint; the memory begins anew."""
        held = read(path)
        if held["config"] != self.config.to_json():
            raise ValueError(f"{path} holds a net of other sizes ({held['config']})")
        self.policy.load_state_dict(held["policy"])
        self.world.load_state_dict(held["world"])
        self.policy_step.load_state_dict(held["policy_step"])
        self.world_step.load_state_dict(held["world_step"])
        self.iteration, self.history = held["iteration"], held["history"]


def read(path: str | Path) -> dict[str, Any]:
    """The content of a checkpoint; ValueError if it is none."""
    try:
        held = torch.load(path, weights_only=True)
    except Exception as error:  # torch raises half a dozen kinds
        raise ValueError(f"{path} is not a checkpoint: {str(error).splitlines()[0]}") from None
    if not isinstance(held, dict) or not {"config", "policy", "world"} <= set(held):
        raise ValueError(f"{path} is not a checkpoint of the learned tracker")
    return held


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
        clips: What to follow, as `fill` makes them.
        path: Of the checkpoint; if it exists, training goes on from it.
        iterations: In all, those of earlier calls included.
        config: Sizes; must equal those of an existing checkpoint.
        seed: Of everything random.
        progress: Called with what each iteration measured.

    Returns:
        The history: iteration, mean episode length in steps, losses.
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
