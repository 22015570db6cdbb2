"""Two independent choices: a sliding window with a sink, and 8-bit numbers.

Run it: python examples/windows_and_bytes.py
"""

import torch

from foveate import Window, attention, plan

torch.manual_seed(0)
q, k, v = (torch.randn(1, 8, 1024, 64) for _ in range(3))

exact = attention(q, k, v, causal=True, precision="native")
for select in ("dense", Window(256, sink=16)):
    for precision in ("native", "int8"):
        out = attention(q, k, v, select=select, precision=precision, causal=True)
        error = (out - exact).abs().sum() / exact.abs().sum()
        print(f"{precision:7} {select!s:44} relative L1 against dense native {error:.4f}")

print()
print(plan(q, k, v, select=Window(256, sink=16), precision="int8", causal=True).explain())
