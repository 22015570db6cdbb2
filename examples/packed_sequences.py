"""Sequences of different lengths, packed one after another; each attends within itself.

Run it: python examples/packed_sequences.py
"""

import torch

from foveate import attention, attention_varlen

torch.manual_seed(0)
lengths = [300, 17, 512]
starts = torch.tensor([0, *lengths]).cumsum(0)
q = torch.randn(sum(lengths), 8, 64)  # [ΣL, Hq, D]
k, v = (torch.randn(sum(lengths), 2, 64) for _ in range(2))  # two kv heads serve eight

out = attention_varlen(q, k, v, starts, starts, causal=True, precision="native")

second = slice(300, 317)
alone = attention(
    *(x[second].transpose(0, 1)[None] for x in (q, k, v)), causal=True, precision="native"
)
difference = (out[second] - alone[0].transpose(0, 1)).abs().max()
print("out", tuple(out.shape), "largest difference to the sequence alone:", float(difference))
