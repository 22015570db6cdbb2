"""Networks: encoder, prior, decoder of experts, and the world model.

The one thing to know: the parts are those of ControlVAE (Yao et al., 2022), conditioned on the
height map as in FreeMotion (Zhang et al., 2024, section 3.4), at a size that a CPU can train. Three
departures make minutes of training enough: an action is an offset to the reference's posture (none
at the beginning: the plain servos), the world model is told how far each servo is from its target
and foretells hinges instead of loose bodies, and the encoder sees where the goal is from here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from .state import (
    AIMED,
    HINGES,
    OBSERVED,
    SPEEDS,
    Bodies,
    State,
    aim,
    between,
    matrix,
    observe,
    turned,
)
from .terrain import CELLS

MAP = CELLS * CELLS
_GROUND = 16  # numbers that a height map becomes
_LEAST = 0.05  # spread below which what is seen is not magnified


@dataclass(frozen=True)
class Config:
    """Sizes and rates; the paper's are in brackets.

    Attributes:
        hidden: Width of the layers (512); experts have half of it.
        latent: Size of z (64).
        experts: Of the decoder (6).
        spread: Fixed standard deviation of the encoder (0.3).
        noise: Exploration of the actions in radians (0.05).
        reach: Largest offset of a servo target, radians.
        dt: Seconds per control step (1/20).
    """

    hidden: int = 256
    latent: int = 32
    experts: int = 4
    spread: float = 0.3
    noise: float = 0.05
    reach: float = 0.8
    dt: float = 0.05

    def to_json(self) -> dict[str, float]:
        return asdict(self)


def mlp(size: int, hidden: int, out: int, layers: int) -> nn.Sequential:
    """ELU layers of one width; the last begins at zero."""
    parts: list[nn.Module] = []
    for _ in range(layers):
        parts += [nn.Linear(size, hidden), nn.ELU()]
        size = hidden
    last = nn.Linear(size, out)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*parts, last)


class Scale(nn.Module):
    """Brings what was measured to mean 0 and spread 1; both are set once, from first experience."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("spread", torch.ones(size))

    def settle(self, values: Tensor, *, least: float = _LEAST, centred: bool = True) -> None:
        """Take mean and spread of `[N, size]`."""
        if centred:
            self.mean.copy_(values.mean(0))
        self.spread.copy_(values.std(0).clamp_min(least))

    def forward(self, values: Tensor) -> Tensor:
        return ((values - self.mean) / self.spread).clamp(-8, 8)


class Policy(nn.Module):
    """Encoder q(z | s, s̃', o), prior p(z | s) and decoder p(a | s, z)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        h, z = config.hidden, config.latent
        self.seen, self.aimed = Scale(OBSERVED), Scale(AIMED)
        self.ground = nn.Linear(MAP, _GROUND)
        self.encoder = mlp(OBSERVED + AIMED + _GROUND, h, z, 2)
        self.prior = mlp(OBSERVED, h // 2, z, 2)
        self.experts = nn.ModuleList(
            mlp(OBSERVED + z, h // 2, HINGES, 2) for _ in range(config.experts)
        )
        self.gate = mlp(OBSERVED + z, 32, config.experts, 1)
        # experts begin as the reference itself, but codes must differ for anything to flow back
        nn.init.xavier_uniform_(self.encoder[-1].weight)
        for expert in self.experts:
            nn.init.normal_(expert[-1].weight, std=1e-3)

    def forward(self, bodies: Bodies, goal: Bodies, ground: Tensor) -> tuple[Tensor, Tensor]:
        """Offsets to the posture `[..., 47]` in radians, and the KL of z to its prior `[...]`."""
        seen = self.seen(observe(bodies))
        prior = self.prior(seen)
        aimed = self.aimed(aim(bodies, goal))
        own = self.encoder(torch.cat([seen, aimed, self.ground(ground)], -1))
        mean = prior + own
        z = mean + self.config.spread * torch.randn_like(mean) if self.training else mean
        kl = own.square().sum(-1) / (2 * self.config.spread**2)
        both = torch.cat([seen, z], -1)
        share = torch.softmax(self.gate(both), -1)
        action = sum(share[..., i : i + 1] * e(both) for i, e in enumerate(self.experts))
        return self.config.reach * torch.tanh(action), kl


class World(nn.Module):
    """World model ω(s' | s, a, o): changes of speed and mean speeds over a step, then integration.

    Speeds of the pelvis are foretold in its own frame.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.dt = config.dt
        size = OBSERVED + 2 * HINGES
        self.seen, self.change = Scale(size), Scale(2 * SPEEDS)
        self.ground = nn.Linear(MAP, _GROUND)
        self.linear = nn.Linear(size, 2 * SPEEDS)
        self.net = mlp(size + _GROUND, config.hidden, 2 * SPEEDS, 3)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def inputs(self, state: State, bodies: Bodies, target: Tensor) -> Tensor:
        """What it sees, `[..., 449]`."""
        return torch.cat([observe(bodies), target - state.hinges, state.speed[..., 6:]], -1)

    def changes(self, state: State, after: State) -> Tensor:
        """What it should have foretold of a step, `[..., 106]`."""
        root = matrix(state.turn)
        moved = ((after.place - state.place) / self.dt - state.speed[..., :3])[..., None, :] @ root
        turning = between(state.turn, after.turn) / self.dt - state.speed[..., 3:6]
        swung = (after.hinges - state.hinges) / self.dt - state.speed[..., 6:]
        pushed = (after.speed[..., :3] - state.speed[..., :3])[..., None, :] @ root
        rest = after.speed[..., 3:] - state.speed[..., 3:]
        return torch.cat([pushed[..., 0, :], rest, moved[..., 0, :], turning, swung], -1)

    def forward(self, state: State, bodies: Bodies, target: Tensor, ground: Tensor) -> State:
        """One control step with servo targets `[..., 47]` in radians; `bodies` are the state's."""
        seen = self.seen(self.inputs(state, bodies, target))
        found = self.linear(seen) + self.net(torch.cat([seen, self.ground(ground)], -1))
        found = found * self.change.spread
        root = bodies.axes[..., 0, :, :]
        fast, mean = found[..., :SPEEDS], found[..., SPEEDS:]
        speed = torch.cat(
            [
                state.speed[..., :3] + (root @ fast[..., :3, None])[..., 0],
                state.speed[..., 3:] + fast[..., 3:],
            ],
            -1,
        )
        place = state.place + self.dt * (
            state.speed[..., :3] + (root @ mean[..., :3, None])[..., 0]
        )
        turn = turned(state.turn, state.speed[..., 3:6] + mean[..., 3:6], self.dt)
        hinges = state.hinges + self.dt * (state.speed[..., 6:] + mean[..., 6:])
        return State(place, turn, hinges, speed)


def distance(a: Bodies, b: Bodies, weights: tuple[float, float, float, float]) -> Tensor:
    """Weighted L1 distance of place, turn, velocity and angular velocity, `[...]`."""
    pairs = (
        a.pos - b.pos,
        a.axes[..., :2].flatten(-2) - b.axes[..., :2].flatten(-2),
        a.vel - b.vel,
        a.ang - b.ang,
    )
    return sum(w * pair.abs().mean((-1, -2)) for w, pair in zip(weights, pairs, strict=True))
