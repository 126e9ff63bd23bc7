"""A builder of ONNX graphs: one call per operation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

# What ONNX Runtime 1.15 reads.
_OPSET, _IR_VERSION = 18, 8


class Graph:
    """Nodes and constants of a graph; values are the names that `op` returns.

    Inputs and output are float32. Between them all is float32, or float64 if ``double``.

    Examples
    --------
    >>> graph = Graph()
    >>> y = graph.op("Mul", graph.input("x", 3), 2.0)
    """

    def __init__(self, double: bool = False) -> None:
        self.dtype = np.float64 if double else np.float32
        self._nodes: list[Any] = []
        self._constants: dict[tuple, str] = {}
        self._initializers: list[Any] = []
        self._inputs: list[Any] = []

    def input(self, name: str, width: int, what: str = "") -> str:
        """An input of shape (batch, width); ``what`` it is stands in the file."""
        import onnx

        kind = onnx.TensorProto.FLOAT
        self._inputs.append(onnx.helper.make_tensor_value_info(name, kind, ["batch", width], what))
        return self.number(name)

    def constant(self, value: Any, dtype: Any = None) -> str:
        """A constant of the graph's numbers, or of ``dtype``; equal ones are stored once."""
        import onnx

        array = np.ascontiguousarray(value, dtype or self.dtype).reshape(np.shape(value))
        short = array.astype(np.float32) if array.dtype == np.float64 else array
        exact = np.array_equal(short, array)  # as weights are, which so take half of the file
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"c{len(self._constants)}"
            self._initializers.append(onnx.numpy_helper.from_array(short if exact else array, name))
            self._constants[key] = self.number(name) if exact and short is not array else name
        return self._constants[key]

    def number(self, value: str) -> str:
        """A value of another type, such as a truth value, as one of the graph's numbers."""
        import onnx

        kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(self.dtype))
        return self.op("Cast", value, to=kind)

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

    def model(self, output: str, name: str, width: int, what: str = "", **notes: str) -> Any:
        """The finished model, whose output (batch, width) is the value ``output`` under the name ``name``.

        ``what`` it is and the notes stand in the file, the notes as metadata.
        """
        import onnx

        cast = onnx.helper.make_node("Cast", [output], [name], to=onnx.TensorProto.FLOAT)
        nodes = [*self._nodes, cast]
        kind = onnx.TensorProto.FLOAT
        result = onnx.helper.make_tensor_value_info(name, kind, ["batch", width], what)
        graph = onnx.helper.make_graph(nodes, "lhcflow", self._inputs, [result], self._initializers)
        made = onnx.helper.make_model(
            graph,
            producer_name="lhcflow",
            opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
            ir_version=_IR_VERSION,
        )
        onnx.helper.set_model_props(made, notes)
        onnx.checker.check_model(made)
        return made
