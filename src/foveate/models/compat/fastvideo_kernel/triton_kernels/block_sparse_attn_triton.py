"""The fine stage, by the name of its Triton kernel."""

from ..block_sparse_attn import block_sparse_attn_from_indices

triton_block_sparse_attn_forward = block_sparse_attn_from_indices
