"""Experience: the simulations that play, what they went through, and where learning begins.

The one thing to know: most of what happens to a beginner is the way to a fall that nothing stops
any more. The world model learns from all of it; rollouts of the policy begin in the reference
itself, or in what happened not far from it. (A policy that began in all of it learned to fall
gently, and never to take a step.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..clip import MotionClip
from .memory import Memory
from .nets import Config, Policy
from .play import JOLT, Episode, Track
from .state import HINGES, Bodies, State, Tree, matrix

SIMULATIONS = 16  # side by side
ROWS = 2000
COLOUR = 0.7  # share of the noise that stays from step to step
LEVER = 0.5  # metres for which a lean of the pelvis by one radian counts


class Experience:
    """References of a handful of clips, simulations that follow them, and their memory.

    Args:
        clips: Of one body.
        config: Of the nets.
        seed: Of what is random here.

    Attributes:
        tree: The body's kinematics.
        goals, wanted, postures, maps: Of all references, one after the other: bodies, states,
            servo targets `[N, 47]`, height maps `[N, 256]`.
    """

    def __init__(self, clips: Sequence[MotionClip], config: Config, seed: int) -> None:
        if not clips:
            raise ValueError("clips is empty; expected at least one clip to learn from")
        if any(clip.shape != clips[0].shape for clip in clips):
            raise ValueError("clips are of several bodies; expected one body, train one at a time")
        self.config = config
        self.rng = np.random.default_rng(seed)
        self.tracks = [Track(clip, self.config) for clip in clips]
        self.tree = Tree(clips[0].body)
        lengths = [len(track) for track in self.tracks]
        self.first = np.cumsum([0, *lengths[:-1]])
        self.last = self.first + lengths - 1
        self.goals = Bodies(
            *(
                torch.cat([getattr(track.bodies, name) for track in self.tracks])
                for name in ("pos", "axes", "vel", "ang")
            )
        )
        self.postures = torch.cat([track.postures for track in self.tracks])
        self.wanted = State.of(
            np.concatenate([track.qpos for track in self.tracks]),
            np.concatenate([track.qvel for track in self.tracks]),
        )
        self.maps = torch.cat([track.maps for track in self.tracks])
        self.memory = Memory(ROWS, SIMULATIONS)
        self.episodes: list[Episode] = []
        self.numbers = np.zeros(SIMULATIONS, int)
        self.which = np.zeros(SIMULATIONS, int)
        self.noise = torch.zeros(SIMULATIONS, HINGES)
        self.count = 0

    @torch.no_grad()
    def play(self, policy: Policy, steps: int) -> dict[str, float]:
        """Simulate with exploration: falls per simulated minute, mean distance of joints in cm."""
        if not self.episodes:
            self.episodes = [self._episode(column) for column in range(SIMULATIONS)]
        falls, error = 0, []
        policy.eval()
        for _ in range(steps):
            qpos = torch.tensor(np.array([e.data.qpos for e in self.episodes])).float()
            qvel = torch.tensor(np.array([e.data.qvel for e in self.episodes])).float()
            maps = torch.stack([e.ground() for e in self.episodes])
            places = np.stack([self.which, [e.at for e in self.episodes]], axis=1)
            rows = self.goal(places, 1)
            bodies = self.tree(State.of(qpos, qvel))
            offset, _ = policy(bodies, self.goals[rows], maps)
            fresh = (1 - COLOUR**2) ** 0.5 * self.config.noise
            self.noise = COLOUR * self.noise + fresh * torch.randn_like(offset)
            targets = self.postures[rows] + offset + self.noise
            self.memory.add(qpos, qvel, targets, maps, self.numbers, places)
            away = bodies.pos - self.goals.pos[self.goal(places, 0)]
            error.append(float(away.norm(dim=-1).mean()) * 100)
            for column, episode in enumerate(self.episodes):
                if not episode.step(targets[column]):
                    falls += episode.fallen
                    self.episodes[column] = self._episode(column)
        minutes = steps * SIMULATIONS * self.config.dt / 60
        return {"falls_per_minute": falls / minutes, "error_cm": float(np.mean(error))}

    def goal(self, places: np.ndarray, ahead: int) -> np.ndarray:
        """Rows of the goals `ahead` steps after places (track, sample); the last one stays."""
        tracks = places[..., 0]
        return np.minimum(self.first[tracks] + places[..., 1] + ahead, self.last[tracks])

    def beginnings(self, count: int) -> tuple[State, Tensor, np.ndarray]:
        """Where rollouts of the policy begin: half in the reference, half in what happened near it.

        Returns:
            States, height maps and places (track, sample) of `count` rollouts.
        """
        half = count // 2
        at = self.memory.starts(1, self.rng, 4 * half)
        happened, places = self.memory.state(at), self.memory.places[at]
        rows = self.goal(places, 0)
        away = (happened.place - self.wanted.place[rows]).norm(dim=-1)
        lean = (matrix(happened.turn) - self.goals.axes[rows, 0]).flatten(-2).norm(dim=-1)
        near = torch.argsort(away + LEVER * lean, stable=True)[: 2 * half]
        near = near[torch.tensor(self.rng.permutation(len(near))[:half])]
        tracks = self.rng.integers(len(self.tracks), size=half)
        lengths = self.last[tracks] - self.first[tracks]
        samples = (self.rng.random(half) * lengths).astype(int)
        fresh = np.stack([tracks, samples], axis=1)
        rows = self.first[tracks] + samples
        begun = self.wanted[rows]
        begun.speed[:, :6] += torch.tensor(self.rng.normal(0, JOLT, (half, 6))).float()
        maps = torch.cat([self.maps[rows], self.memory.maps[at][near]])
        return State.joined(begun, happened[near]), maps, np.concatenate([fresh, places[near]])

    def steps(self) -> tuple[State, State, Tensor, np.ndarray]:
        """Single steps: before, after, targets, places."""
        at = self.memory.starts(1, self.rng, 4096)
        after = self.memory.state(self.memory.later(at, 1))
        return self.memory.state(at), after, self.memory.targets[at], self.memory.places[at]

    def _episode(self, column: int) -> Episode:
        number = int(self.rng.integers(len(self.tracks)))
        track = self.tracks[number]
        self.which[column], self.numbers[column] = number, self.count
        self.count += 1
        return Episode(track, int(self.rng.integers(len(track) - 2)), self.config, self.rng)
