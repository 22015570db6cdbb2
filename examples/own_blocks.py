"""Your own choice of blocks: from a map of blocks, and from FlexAttention's BlockMask.

Run it: python examples/own_blocks.py
"""

import torch
from torch.nn.attention.flex_attention import create_block_mask

from foveate import BlockLayout, attention

torch.manual_seed(0)
q, k, v = (torch.randn(1, 4, 512, 64) for _ in range(3))

# every block of 64 queries visits its own block of keys and the first one
visits = torch.eye(8, dtype=torch.bool)
visits[:, 0] = True
layout = BlockLayout.from_dense(visits[None, None], block=(64, 64), lengths=(512, 512))
print(layout)
out, lse = attention(q, k, v, select=layout, causal=True, return_lse=True)
print("out", tuple(out.shape), "lse", tuple(lse.shape))

# a BlockMask with a causal rule means the same here
mask = create_block_mask(lambda b, h, i, j: i >= j, None, None, 512, 512, device="cpu")
same = attention(q, k, v, select=BlockLayout.from_block_mask(mask), precision="native")
causal = attention(q, k, v, causal=True, precision="native")
print("largest difference to causal=True:", float((same - causal).abs().max()))
