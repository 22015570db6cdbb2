"""Video sparse attention with gates: forward, backward, and a layer that anneals from dense."""

import torch

from foveate import VSA, gated_attention, plan
from foveate.models.video import Annealing, VideoSparseAttention

torch.manual_seed(0)
grid = (8, 12, 16)  # frames, rows, columns of tokens
select = VSA(grid, cube=(4, 4, 4), keep=0.25)
q, k, v, gate = (torch.randn(1, 4, 8 * 12 * 16, 32, requires_grad=True) for _ in range(4))

print(plan(q.detach(), k.detach(), v.detach(), select=select).explain())
out = gated_attention(q, k, v, select=select, coarse=gate)
out.square().mean().backward()
print(f"out {tuple(out.shape)}, gradient of the gate {tuple(gate.grad.shape)}")

layer = VideoSparseAttention(dim=128, heads=4, select=VSA(grid, keep=1.0))
schedule = Annealing(keep=4, drop=5, interval=1, hold=1)
optimizer = torch.optim.AdamW(layer.parameters(), 1e-3)
x = torch.randn(1, 8 * 12 * 16, 128)
for step in range(6):
    layer.keep = schedule.kept(step, cubes=layer.select.keys.number)
    loss = (layer(x) - x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step}: {layer.keep:2d} of 24 cubes, loss {loss:.4f}")
