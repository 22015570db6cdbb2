"""Train a small language model twice: with exact attention, and with attention in 8 bits."""

import torch

from foveate import SageBwd, attention
from foveate.models import assets
from foveate.train import Recipe, fit
from foveate.train.language import Decoder, DecoderSize, Text, bytes_of, next_token_loss, perplexity

text = Text.of([assets.text()], bytes_of)  # a novel that ships with foveate
for precision in ("native", "sagebwd"):
    torch.manual_seed(0)
    model = Decoder(DecoderSize(layers=2, width=128, heads=2), precision)
    records = fit(model, next_token_loss, text.batches(8, 128), Recipe(steps=40, lr=3e-3))
    held_out = perplexity(model.eval(), text.stretches(128, most=16))
    print(f"{precision:8} last loss {records[-1]['loss']:.3f}, held-out perplexity {held_out:.2f}")

# the gradients themselves, as published and with finer scales
q, k, v = (torch.randn(1, 2, 512, 64, dtype=torch.float64).requires_grad_() for _ in range(3))


def gradient(precision):
    out = attention(q, k, v, precision=precision, causal=True)
    return torch.autograd.grad(out.square().sum(), q)[0]


exact = gradient("native")
for precision in (SageBwd("block"), SageBwd()):
    off = (gradient(precision) - exact).norm() / exact.norm()
    print(f"{precision.scales:8} gradient of q is {100 * off:.1f} % off")
