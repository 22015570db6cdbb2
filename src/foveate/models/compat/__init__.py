"""Names of other packages, for programs that come from them: change the import, keep the calls.

    from foveate.models.compat.spas_sage_attn import spas_sage2_attn_meansim_topk_cuda
    from foveate.models.compat.xattn import Xattention_prefill
    from foveate.models.compat.sageattention import sageattn

The one thing to know: signatures and defaults are theirs, results are what their papers say. Where
the originals go wrong (keys of the future inside a block, rows without any key, padding that takes
mass), these do not. They run wherever foveate runs, in any floating dtype, on grouped heads and
batches; an argument that cannot be honoured is an error, never ignored.
"""
