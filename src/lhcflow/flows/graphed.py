"""Functions of CUDA tensors as CUDA graphs: many small kernels for the price of one launch."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import Tensor

Tensors = tuple[Tensor, ...]
KEPT = 4
LARGEST = 1 << 23  # elements of an argument; beyond, launches matter little and graphs hold much memory
# A process captures one graph at a time; and copying, replaying and copying belong together.
_lock = threading.RLock()


class Graphs:
    """The CUDA graphs of one function, one for each shape, type and stream of its arguments.

    The first call with certain shapes runs the function as it is, so that a batch that comes once costs
    nothing extra; the second captures, all others replay. Arguments of more than ``LARGEST`` elements are
    not captured. Where capturing fails, a warning says why and the function itself runs from then on. The
    last ``KEPT`` graphs stay, with the memory they work in.

    The function must neither synchronise nor depend on the values of its arguments, and what else it
    reads must stay where and what it is: for new weights make a new object. A copy has no graphs.
    """

    def __init__(self) -> None:
        self._graphs: dict[Hashable, Any] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Graphs:
        return Graphs()

    def __reduce__(self) -> tuple[type[Graphs], tuple[()]]:
        return Graphs, ()

    def run(self, function: Callable[..., Tensors], *arguments: Tensor | bool | None) -> Tensors:
        """``function(*arguments)`` in new tensors and without gradients; always of the same function."""
        if not capturable(arguments):
            return function(*arguments)
        key = (stream(arguments), *(_kind(a) for a in arguments))
        with _lock:
            if key not in self._graphs:
                while len(self._graphs) >= KEPT:
                    del self._graphs[next(iter(self._graphs))]
                self._graphs[key] = "seen"
                return function(*arguments)
            graph = self._graphs.pop(key)  # and back in at the end: the last one used goes last
            if graph == "seen":
                try:
                    graph = Captured(function, arguments)
                except RuntimeError as error:
                    text = (str(error).strip() or type(error).__name__).splitlines()[0]
                    warnings.warn(f"runs without a CUDA graph, slower: {text}", RuntimeWarning, stacklevel=2)
                    graph = None
            self._graphs[key] = graph
            return function(*arguments) if graph is None else graph.replay(arguments)


class Captured:
    """One capture of ``function`` on buffers shaped as ``arguments``."""

    def __init__(self, function: Callable[..., Tensors], arguments: tuple) -> None:
        device = next(a.device for a in arguments if isinstance(a, Tensor))
        # Buffers of inference mode could not be written to outside it.
        with torch.cuda.device(device), torch.inference_mode(False), torch.no_grad():
            self._inputs = [a.clone() if isinstance(a, Tensor) else a for a in arguments]
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):  # what starts lazily (libraries, Triton) must not in the capture
                function(*self._inputs)
            torch.cuda.current_stream().wait_stream(side)
            self._graph = torch.cuda.CUDAGraph()
            # Other threads may go on with what a capture forbids.
            with torch.cuda.graph(self._graph, stream=side, capture_error_mode="thread_local"):
                self._outputs = function(*self._inputs)

    def replay(self, arguments: tuple) -> Tensors:
        for buffer, argument in zip(self._inputs, arguments, strict=True):
            if isinstance(buffer, Tensor):
                buffer.copy_(argument)
        self._graph.replay()
        return tuple(output.clone() for output in self._outputs)


def capturable(arguments: tuple) -> bool:
    """Whether a call with these arguments may be captured or replayed now."""
    tensors = [a for a in arguments if isinstance(a, Tensor)]
    return (
        all(type(t) is Tensor and t.is_cuda and 0 < t.numel() <= LARGEST for t in tensors)
        and not torch.is_autocast_enabled("cuda")
        and not torch.cuda.is_current_stream_capturing()
    )


def stream(arguments: tuple) -> Hashable:
    """The stream on which a call with these arguments works; graphs of two streams share no buffers."""
    device = next(a.device for a in arguments if isinstance(a, Tensor))
    return device, torch.cuda.current_stream(device).cuda_stream


def _kind(argument: Any) -> Hashable:
    return (argument.shape, argument.dtype) if isinstance(argument, Tensor) else argument
