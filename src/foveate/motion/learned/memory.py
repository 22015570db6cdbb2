"""Memory: the last transitions of several simulations that run side by side.

The one thing to know: a row is one control step of all simulations, so what followed a state stands
in the next row of its column, and a sequence is good where the number of the episode stays.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .state import HINGES, SPEEDS, State
from .terrain import CELLS


class Memory:
    """A ring of rows.

    Args:
        rows: Control steps that are kept.
        columns: Simulations.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self.qpos = torch.zeros(rows, columns, 7 + HINGES)
        self.qvel = torch.zeros(rows, columns, SPEEDS)
        self.targets = torch.zeros(rows, columns, HINGES)
        self.maps = torch.zeros(rows, columns, CELLS * CELLS)
        self.episodes = np.full((rows, columns), -1)
        self.places = np.zeros((rows, columns, 2), int)  # track, sample
        self.next, self.filled = 0, 0

    def add(
        self, qpos: Tensor, qvel: Tensor, targets: Tensor, maps: Tensor, episodes, places
    ) -> None:
        """One control step of all simulations: states, what the servos were told, and where."""
        row = self.next
        self.qpos[row], self.qvel[row], self.targets[row], self.maps[row] = (
            qpos,
            qvel,
            targets,
            maps,
        )
        self.episodes[row], self.places[row] = episodes, places
        self.next = (row + 1) % len(self.qpos)
        self.filled = min(self.filled + 1, len(self.qpos))

    def starts(self, steps: int, rng: np.random.Generator, count: int) -> tuple:
        """Rows and columns `[count]` that `steps` transitions of one episode follow.

        Raises:
            ValueError: No episode in the memory is as long.
        """
        order = (np.arange(self.filled) + self.next - self.filled) % len(self.qpos)
        episodes = self.episodes[order]
        good = np.argwhere(episodes[: max(0, len(order) - steps)] == episodes[steps:])
        if not len(good):
            raise ValueError(f"no episode of {steps} steps is in the memory")
        chosen = good[rng.integers(len(good), size=count)]
        return order[chosen[:, 0]], chosen[:, 1]

    def later(self, starts: tuple, steps: int) -> tuple:
        return (starts[0] + steps) % len(self.qpos), starts[1]

    def state(self, at: tuple) -> State:
        return State.of(self.qpos[at], self.qvel[at])
