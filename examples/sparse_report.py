"""Sparse attention that says how far it is from dense, and does something about it.

Run it: python examples/sparse_report.py
"""

import torch

from foveate import Bound, Sparge, plan

torch.manual_seed(0)
length, topics = 2048, 16
centres = 0.7 * torch.randn(topics, 64)  # tokens of a topic are alike, as in a text or a video
topic = torch.arange(length) * topics // length
q = torch.randn(1, 8, length, 64) + centres[topic[torch.randperm(length // 64)[topic * 2]]]
k = torch.randn(1, 2, length, 64) + centres[topic]
v = torch.randn(1, 2, length, 64) + centres[topic]

# the second filter (skip) and mean correction (correct) go with any selection
select = Sparge(threshold=0.8, skip=8.0, correct=True)
p = plan(q, k, v, select=select, causal=True)
out, report = p.run(q, k, v, report=True)
print(report)
print()

# ask for something, and more is visited until it is there
out, report = p.run(q, k, v, bound=Bound(retained=0.95, error=0.05))
print(report)
print()
print("as JSON:", {name: report.as_dict()[name] for name in ("density", "retained", "met")})
