"""What foveate is compared with: the attention that people use today, in its best honest setting.

The one thing to know: a peer gets the same values in its own favourite order and type, prepared
before the clock starts; only its call is timed. foveate's own time is the whole call on the
caller's tensors.

| peer | what |
|---|---|
| sdpa | torch scaled_dot_product_attention in the case's dtype; grouped heads its better way |
| sdpa-float32 | the same on float32 copies |
| flex | compiled FlexAttention, with the case's block layout if it has one |
| openvino-bf16, openvino-f32 | OpenVINO's ScaledDotProductAttention, inference precision as named |
| onnxruntime | ONNX Runtime's MultiHeadAttention, float32 |
| dense | foveate itself, same precision, every block visited |
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..attn.layouts import Band
from .case import Case, layout
from .timing import interleave

Call = Callable[[], Tensor]


def prepare(name: str, case: Case, q: Tensor, k: Tensor, v: Tensor) -> Call:
    """A function without arguments that runs the peer once and returns out `[B, Hq, Lq, D]`.

    Args:
        name: One of `PEERS`.
        case: Shapes, causal rule, threads.
        q, k, v: The case's tensors.

    Raises:
        ValueError: The name is unknown.
        Unavailable: The peer cannot run this case here; the message says why.
    """
    if name not in PEERS:
        raise ValueError(f'unknown peer "{name}"; peers are {", ".join(PEERS)}')
    return PEERS[name](case, q, k, v)


class Unavailable(RuntimeError):
    """A peer cannot run a case: not installed, or the case is outside what it supports."""


def _sdpa(case: Case, q: Tensor, k: Tensor, v: Tensor) -> Call:
    _aligned(case, "sdpa")
    if case.q_heads == case.kv_heads:
        return lambda: F.scaled_dot_product_attention(q, k, v, is_causal=case.causal)
    # torch's grouped heads are slow in some shapes, repeated ones in others: it gets the better way
    wide_k, wide_v = (x.repeat_interleave(case.q_heads // case.kv_heads, dim=1) for x in (k, v))

    def grouped() -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, is_causal=case.causal, enable_gqa=True)

    def repeated() -> Tensor:
        return F.scaled_dot_product_attention(q, wide_k, wide_v, is_causal=case.causal)

    trial = interleave({"grouped": grouped, "repeated": repeated}, rounds=3)
    return grouped if trial.ratio("repeated", "grouped").median > 1 else repeated


def _sdpa_float32(case: Case, q: Tensor, k: Tensor, v: Tensor) -> Call:
    return _sdpa(case, q.float(), k.float(), v.float())


def _dense(case: Case, q: Tensor, k: Tensor, v: Tensor) -> Call:
    from .trial import ours

    return ours(case.with_(density=None, select=None), q, k, v)


def _flex(case: Case, q: Tensor, k: Tensor, v: Tensor) -> Call:
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    _aligned(case, "flex")
    blocks = layout(case)
    mask = None
    if blocks is not None:
        rule = Band(after=0) if case.causal else None
        mask = replace(blocks, band=rule).to_block_mask()
    elif case.causal:
        mask = create_block_mask(
            lambda b, h, i, j: i >= j, None, None, case.q_length, case.k_length, device="cpu"
        )
    compiled = torch.compile(flex_attention, dynamic=False)
    grouped = case.q_heads != case.kv_heads

    def call() -> Tensor:
        return compiled(q, k, v, block_mask=mask, enable_gqa=grouped)

    try:
        call()
    except Exception as error:  # the compiler raises many types; each means it cannot run here
        line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise Unavailable(f"torch.compile failed: {line}") from error
    return call


def _openvino(hint: str) -> Callable[[Case, Tensor, Tensor, Tensor], Call]:
    def build(case: Case, q: Tensor, k: Tensor, v: Tensor) -> Call:
        _installed("openvino")
        _aligned(case, "openvino")
        if case.q_heads != case.kv_heads:
            raise Unavailable("its attention operator needs as many kv heads as q heads")
        import openvino as ov
        from openvino import opset13 as operators

        kinds = {
            torch.float32: ov.Type.f32,
            torch.bfloat16: ov.Type.bf16,
            torch.float16: ov.Type.f16,
        }
        kind = kinds[q.dtype]
        given = [operators.parameter(list(x.shape), kind) for x in (q, k, v)]
        model = ov.Model(
            [operators.scaled_dot_product_attention(*given, causal=case.causal)], given
        )
        settings = {
            "INFERENCE_PRECISION_HINT": hint,
            "INFERENCE_NUM_THREADS": case.threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
        }
        request = ov.Core().compile_model(model, "CPU", settings).create_infer_request()
        keep = [x.contiguous() for x in (q, k, v)]
        for place, x in enumerate(keep):
            request.set_input_tensor(place, ov.Tensor(_array(x), list(x.shape), kind))

        def call(alive: object = keep) -> Tensor:  # the request only points into these
            request.infer()
            return _tensor(request.get_output_tensor(0).data, q.dtype)

        return call

    return build


def _onnxruntime(case: Case, q: Tensor, k: Tensor, v: Tensor) -> Call:
    _installed("onnxruntime")
    _installed("onnx")
    _aligned(case, "onnxruntime")
    if case.q_heads != case.kv_heads:
        raise Unavailable("MultiHeadAttention needs as many kv heads as q heads")
    import numpy as np
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = case.threads
    options.log_severity_level = 3
    session = ort.InferenceSession(_onnx_model(case), options, providers=["CPUExecutionProvider"])
    width = case.q_heads * case.head_dim
    packed = [x.float().transpose(1, 2).reshape(case.batch, -1, width) for x in (q, k, v)]
    out = torch.empty(case.batch, case.q_length, width)
    binding = session.io_binding()
    for name, x in zip("qkv", packed, strict=True):
        binding.bind_input(name, "cpu", 0, np.float32, list(x.shape), x.data_ptr())
    binding.bind_output("out", "cpu", 0, np.float32, list(out.shape), out.data_ptr())

    def call(alive: object = packed) -> Tensor:  # the binding only points into these
        session.run_with_iobinding(binding)
        return out.view(case.batch, case.q_length, case.q_heads, case.head_dim).transpose(1, 2)

    return call


def _onnx_model(case: Case) -> bytes:
    from onnx import TensorProto, helper

    width = case.q_heads * case.head_dim

    def value(name: str, length: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [case.batch, length, width])

    node = helper.make_node(
        "MultiHeadAttention",
        ["q", "k", "v"],
        ["out"],
        domain="com.microsoft",
        num_heads=case.q_heads,
        unidirectional=int(case.causal),
    )
    graph = helper.make_graph(
        [node],
        "attention",
        [value("q", case.q_length), value("k", case.k_length), value("v", case.k_length)],
        [value("out", case.q_length)],
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=9)
    return model.SerializeToString()


PEERS: dict[str, Callable[[Case, Tensor, Tensor, Tensor], Call]] = {
    "sdpa": _sdpa,
    "sdpa-float32": _sdpa_float32,
    "flex": _flex,
    "openvino-bf16": _openvino("bf16"),
    "openvino-f32": _openvino("f32"),
    "onnxruntime": _onnxruntime,
    "dense": _dense,
}


def _installed(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise Unavailable(f"{module} is not installed: pip install 'foveate[bench]'")


def _aligned(case: Case, name: str) -> None:
    """Peers align a causal rule at the start; with Lq ≠ Lk they would compute something else."""
    if case.causal and case.q_length != case.k_length:
        raise Unavailable(f"{name} aligns a causal rule at the start, which differs when Lq ≠ Lk")


def _array(x: Tensor) -> Any:
    """x as numpy, sharing memory; bfloat16, which numpy lacks, as its bits."""
    return x.view(torch.uint16).numpy() if x.dtype == torch.bfloat16 else x.numpy()


def _tensor(array: Any, dtype: torch.dtype) -> Tensor:
    """The way back; sharing memory."""
    if dtype == torch.bfloat16:
        return torch.from_numpy(array.view("uint16")).view(torch.bfloat16)
    return torch.from_numpy(array)
