"""Adapt a frozen classifier to the dark, without a label of a dark picture.

A toy stands for your model and your pictures: a small net that tells stripes, chequers and slopes
apart in the light. `adapt` takes any torch module, and a folder instead of the tensor.
"""

import torch
from torch import nn

from foveate.lowlight import adapt

torch.manual_seed(0)
torch.set_num_threads(1)


def pictures(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Four textures, `[N, 3, 16, 16]` in [0, 1], and which one each is."""
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    base = torch.stack([(y * 1.2).sin(), (x * 1.2).sin(), x.sin() * y.sin(), (x + y) / 15 - 1])
    labels = torch.randint(4, (count,))
    noise = 0.04 * torch.randn(count, 3, 16, 16)
    return (0.5 + 0.25 * base[labels, None] + noise).clamp(0, 1), labels


model = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 4),
)  # fmt: skip
light, labels = pictures(400)
optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
for _ in range(120):
    rows = torch.randint(400, (32,))
    optimiser.zero_grad()
    nn.functional.cross_entropy(model(light[rows]), labels[rows]).backward()
    optimiser.step()


def dark(light: torch.Tensor) -> torch.Tensor:
    """A tenth of the code values, with noise, in 8 bits."""
    return (light / 10 + 0.004 * torch.randn(light.shape)).clamp(0, 1).mul(255).round() / 255


night, _ = pictures(300)
adapted, found = adapt(model, dark(night), channels="shared", steps=100, batch=32, quiet=True)
print(found)

test, truth = pictures(300)
with torch.no_grad():
    before = (model(dark(test)).argmax(-1) == truth).float().mean()
    after = (adapted(dark(test)).argmax(-1) == truth).float().mean()
print(f"right in the dark: {100 * before:.0f} % before, {100 * after:.0f} % behind the curve")
