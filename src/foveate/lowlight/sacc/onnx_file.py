"""The curve network as an ONNX file of plain operators: from a thumbnail to the curve.

    small [1, 3, 16, 16] → Conv, Relu, Concat, ReduceMean, Gemm, MatMul with a constant, Div
          → curve [1, 3, 256]

The one thing to know: the look-up is left out on purpose. A table of 256 values is applied in a few
lines anywhere, and without it no operator is dynamic, so runtimes in browsers and phones accept the
graph (opset 13).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .. import weights
from .curve import ConcaveCurve
from .integral import DEAD, LEVELS, THUMBNAIL, integration_matrix


def export_onnx(model: ConcaveCurve, path: str | Path) -> None:
    """Write the curve prediction of a model, all or nothing.

    A channel without any bend gives the identity, as in the model. The curve of a "shared" model
    is repeated for the three channels.

    Args:
        model: A trained curve.
        path: The file.

    Raises:
        ModuleNotFoundError: onnx is not installed.
    """
    import onnx

    graph = _Graph(onnx)
    x1 = graph.conv(model.e1, "small")
    x2 = graph.conv(model.e2, x1)
    x3 = graph.conv(model.e3, x2)
    x4 = graph.conv(model.e4, graph.node("Concat", [x2, x3], axis=1))
    x5 = graph.conv(model.e5, graph.node("Concat", [x1, x4], axis=1))
    down = graph.conv(model.d2, graph.conv(model.d1, x5, relu=False), relu=False)
    pooled = graph.node("ReduceMean", [down], axes=[2, 3], keepdims=0)
    head = [graph.constant(_array(p)) for p in (model.head.weight, model.head.bias)]
    q = graph.node("Relu", [graph.node("Gemm", [pooled, *head], transB=1)])
    shape = graph.constant(np.array([1, LEVELS - 1, model.curves], np.int64))
    bends = graph.node("Transpose", [graph.node("Reshape", [q, shape])], perm=[0, 2, 1])
    matrix = graph.constant(integration_matrix(model.degree).numpy().T.copy())
    c = graph.node("MatMul", [bends, matrix])
    # a dead curve: nothing plus DEAD times the identity, over DEAD; a live one does not notice
    last = graph.node(
        "Slice",
        [c, *(graph.constant(np.array([v], np.int64)) for v in (LEVELS - 1, LEVELS, 2))],
    )
    tiny = graph.constant(np.array(DEAD, np.float32))
    dead = graph.node("Cast", [graph.node("Less", [last, tiny])], to=onnx.TensorProto.FLOAT)
    straight = graph.constant(np.linspace(0, 1, LEVELS, dtype=np.float32))
    alive = graph.node("Div", [c, graph.node("Max", [last, tiny])])
    left = graph.node("Sub", [graph.constant(np.array(1, np.float32)), dead])
    curve = graph.node(
        "Add", [graph.node("Mul", [alive, left]), graph.node("Mul", [straight, dead])]
    )
    ends = [graph.constant(np.array([1, 3, LEVELS], np.int64))]
    graph.node("Expand", [curve, *ends], name="curve")
    weights.write_bytes(path, graph.finish(model))


class _Graph:
    """Nodes and constants as they come; names are numbered."""

    def __init__(self, onnx: Any) -> None:
        self.onnx, self.nodes, self.constants = onnx, [], []

    def constant(self, value: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, kind: str, inputs: list[str], name: str | None = None, **options: Any) -> str:
        name = name or f"n{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [name], **options))
        return name

    def conv(self, layer: Any, source: str, relu: bool = True) -> str:
        parts = [self.constant(_array(p)) for p in (layer.weight, layer.bias)]
        sides = [layer.padding[0], layer.padding[1]] * 2
        out = self.node("Conv", [source, *parts], strides=list(layer.stride), pads=sides)
        return self.node("Relu", [out]) if relu else out

    def finish(self, model: ConcaveCurve) -> bytes:
        helper, kind = self.onnx.helper, self.onnx.TensorProto.FLOAT
        ends = [("small", [1, 3, THUMBNAIL, THUMBNAIL]), ("curve", [1, 3, LEVELS])]
        first, last = (helper.make_tensor_value_info(n, kind, shape) for n, shape in ends)
        graph = helper.make_graph(self.nodes, "concave curve", [first], [last], self.constants)
        whole = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="foveate"
        )
        whole.ir_version = 8  # the oldest that opset 13 needs; older runtimes read it too
        helper.set_model_props(whole, {k: str(v) for k, v in model.config.items()})
        self.onnx.checker.check_model(whole)
        return whole.SerializeToString()


def _array(parameter: Any) -> np.ndarray:
    return parameter.detach().cpu().float().numpy()
