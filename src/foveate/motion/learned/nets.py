"""Networks: encoder, prior, decoder of experts, and the world model.

The one thing to know: the shapes are those of ControlVAE (Yao et al., 2022), conditioned on the
height map as in FreeMotion (Zhang et al., 2024, section 3.4), at a size that a CPU can train. One
departure: the decoder's action is an offset to the reference's posture, not a posture of its own;
without that, minutes of training are not enough to stand.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from ..body import DOFS
from .state import BODIES, OBSERVED, State, conjugate, observe, rotate, turned
from .terrain import CELLS

ACTION = len(DOFS)
MAP = CELLS * CELLS


@dataclass(frozen=True)
class Config:
    """Sizes and rates; the paper's are in brackets.

    Attributes:
        hidden: Width of the layers (512).
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
    reach: float = 0.5
    dt: float = 0.05

    def to_json(self) -> dict[str, float]:
        return asdict(self)


def mlp(size: int, hidden: int, out: int, layers: int) -> nn.Sequential:
    """ELU layers of one width."""
    parts: list[nn.Module] = []
    for _ in range(layers):
        parts += [nn.Linear(size, hidden), nn.ELU()]
        size = hidden
    return nn.Sequential(*parts, nn.Linear(size, out))


class Policy(nn.Module):
    """Encoder q(z | s, s̃', o), prior p(z | s) and decoder p(a | s, z)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        h, z = config.hidden, config.latent
        self.encoder = mlp(2 * OBSERVED + MAP, h, z, 2)
        self.prior = mlp(OBSERVED, h, z, 2)
        self.experts = nn.ModuleList(mlp(OBSERVED + z, h, ACTION, 2) for _ in range(config.experts))
        self.gate = mlp(OBSERVED + z, 64, config.experts, 1)
        for expert in self.experts:  # begin as the reference itself
            nn.init.zeros_(expert[-1].weight)
            nn.init.zeros_(expert[-1].bias)

    def forward(self, state: State, goal: State, ground: Tensor) -> tuple[Tensor, Tensor]:
        """Offsets to the posture `[..., 47]` in radians, and the KL of z to its prior `[...]`."""
        seen = observe(state)
        prior = self.prior(seen)
        mean = prior + self.encoder(torch.cat([seen, observe(goal), ground], -1))
        z = mean + self.config.spread * torch.randn_like(mean) if self.training else mean
        kl = ((mean - prior) ** 2).sum(-1) / (2 * self.config.spread**2)
        both = torch.cat([seen, z], -1)
        share = torch.softmax(self.gate(both), -1)
        action = sum(share[..., i : i + 1] * e(both) for i, e in enumerate(self.experts))
        return self.config.reach * torch.tanh(action), kl


class World(nn.Module):
    """World model ω(s' | s, a, o): changes of velocity in the pelvis frame, then integration."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.dt = config.dt
        self.net = mlp(OBSERVED + ACTION + MAP, config.hidden, BODIES * 6, 3)

    def forward(self, state: State, target: Tensor, ground: Tensor) -> State:
        """One control step with servo targets `[..., 47]` (radians from the stance)."""
        change = self.net(torch.cat([observe(state), target, ground], -1))
        change = change.unflatten(-1, (BODIES, 6))
        root = state.quat[..., :1, :]
        vel = state.vel + rotate(root, change[..., :3])
        ang = state.ang + rotate(root, change[..., 3:])
        return State(state.pos + self.dt * vel, turned(state.quat, ang, self.dt), vel, ang)


def distance(a: State, b: State, weights: tuple[float, float, float, float]) -> Tensor:
    """Weighted L1 distance of place, turn, velocity and angular velocity, `[...]`."""
    from .state import two_axes

    pairs = (
        (a.pos - b.pos),
        (two_axes(a.quat) - two_axes(b.quat)),
        (a.vel - b.vel),
        (a.ang - b.ang),
    )
    return sum(w * pair.abs().mean((-1, -2)) for w, pair in zip(weights, pairs, strict=True))


def up_of(state: State) -> Tensor:
    """Up of the world in the pelvis frame, `[..., 3]`."""
    root = conjugate(state.quat[..., 0, :])
    return rotate(root, root.new_tensor([0.0, 0.0, 1.0]).expand(*root.shape[:-1], 3))
