"""A tape of the operations, in place of a CUDA graph where there is no GPU.

Like a graph it repeats the same operations on the same memory, and refuses what would wait for the device.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from lhcflow.flows import graphed

aten = torch.ops.aten
WAITING = {aten._local_scalar_dense.default, aten.nonzero.default, aten.is_nonzero.default}


class Tape(TorchDispatchMode):
    """The operations of a capture, in place of ``torch.cuda.CUDAGraph``."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, ...]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in WAITING:
            raise RuntimeError(f"{func} waits for the device")
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, result))
        return result

    def replay(self) -> None:
        for func, args, kwargs, result in self.calls:
            again = func(*args, **kwargs)
            if not any(r.alias_info for r in func._schema.returns):  # neither a view nor in place
                result.copy_(again)


class OneStream:
    def wait_stream(self, other: Any) -> None:
        pass


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Tape]:
    """From now on CPU tensors count as CUDA tensors for :class:`Graphs`, and captures are tapes: these."""
    tapes: list[Tape] = []

    @contextlib.contextmanager
    def graph(tape: Tape, **_: Any) -> Iterator[None]:
        tapes.append(tape)
        with tape:
            yield

    nothing = contextlib.nullcontext
    fakes = {"CUDAGraph": Tape, "graph": graph, "Stream": OneStream, "device": nothing, "stream": nothing}
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    monkeypatch.setattr(torch.cuda, "current_stream", OneStream)
    monkeypatch.setattr(graphed, "capturable", lambda arguments: True)
    monkeypatch.setattr(graphed, "stream", lambda arguments: 0)
    # A tape can't see into the native kernels for the CPU.
    for name in ("spline", "fused"):
        monkeypatch.setattr(f"lhcflow.flows.{name}.usable", lambda *tensors, **device: False)
    return tapes
