"""A builder of ONNX graphs: one call per operation, float32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

# What ONNX Runtime 1.15 reads.
_OPSET, _IR_VERSION = 18, 8


class Graph:
    """Nodes and constants of a graph; values are the names that :meth:`op` returns.

    Examples
    --------
    >>> graph = Graph()
    >>> y = graph.op("Mul", graph.input("x", 3), 2.0)
    """

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: dict[tuple, str] = {}
        self._initializers: list[Any] = []
        self._inputs: list[Any] = []

    def input(self, name: str, width: int) -> str:
        """An input of shape (batch, width)."""
        import onnx

        self._inputs.append(
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", width])
        )
        return name

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """A constant; equal ones are stored once."""
        import onnx

        array = np.ascontiguousarray(value, dtype).reshape(np.shape(value))
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = f"c{len(self._constants)}"
            self._initializers.append(onnx.numpy_helper.from_array(array, self._constants[key]))
        return self._constants[key]

    def op(self, kind: str, *inputs: Any, **attributes: Any) -> str:
        """Append an operation; inputs are names, or numbers and arrays, which become constants."""
        return self.ops(kind, 1, *inputs, **attributes)[0]

    def ops(self, kind: str, outputs: int, *inputs: Any, **attributes: Any) -> list[str]:
        """An operation with several outputs."""
        import onnx

        names = [i if isinstance(i, str) else self.constant(i) for i in inputs]
        made = [f"v{len(self._nodes)}_{k}" for k in range(outputs)]
        self._nodes.append(onnx.helper.make_node(kind, names, made, **attributes))
        return made

    def integers(self, *values: int) -> str:
        """A constant list of int64."""
        return self.constant(values, np.int64)

    def columns(self, value: str, order: Sequence[int] | np.ndarray) -> str:
        """Columns of a matrix in another order."""
        return self.op("Gather", value, self.constant(order, np.int64), axis=1)

    def model(self, output: str, name: str, width: int) -> Any:
        """The finished model, whose output (batch, width) is the value ``output`` under the name ``name``."""
        import onnx

        nodes = [*self._nodes, onnx.helper.make_node("Identity", [output], [name])]
        result = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", width])
        graph = onnx.helper.make_graph(nodes, "lhcflow", self._inputs, [result], self._initializers)
        made = onnx.helper.make_model(
            graph,
            producer_name="lhcflow",
            opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
            ir_version=_IR_VERSION,
        )
        onnx.checker.check_model(made)
        return made
