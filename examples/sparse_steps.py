"""A diffusion model's steps: dense at both ends, sparse between, blocks chosen when they change.

Run it: python examples/sparse_steps.py
"""

import math

import torch

from foveate import Hilbert, Reuse, Schedule, Sparge, attention

torch.manual_seed(0)
grid = (4, 16, 16)  # frames, rows and columns of tokens
select = Sparge(keep=0.25, order=Hilbert(grid), skip=12.0)
schedule = Schedule(select, steps=12, dense_first=3, dense_last=1)
reuse = Reuse(select, drift=0.1, every=6)

noise, picture = (torch.randn(3, 1, 4, math.prod(grid), 64) for _ in range(2))
for step in range(schedule.steps):
    way = step / (schedule.steps - 1)
    q, k, v = (1 - way) * noise + way * picture  # from noise to a picture
    chosen = schedule.at(step)
    if chosen == select:
        out = reuse.attention("layer 0", q, k, v)
        drift = reuse.drifts.get("layer 0")
        moved = "first" if drift is None else f"drift {drift:.2f}"
        print(f"step {step:2} sparse, {moved}, chosen {reuse.renewals} times so far")
    else:
        out = attention(q, k, v, select=chosen)
        print(f"step {step:2} dense")
print(f"{reuse.reuses} of {reuse.reuses + reuse.renewals} sparse steps used blocks of another step")
