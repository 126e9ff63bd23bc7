"""The user's integrand as the integrators see it: batches of points in, checked float64 values out."""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Literal, Self

import numpy as np
from jaxtyping import Float

from ..arguments import whole
from ..errors import InputError, RunError
from ..training.interruptions import Interruptions
from .journal import Journal
from .units import largest_values

Function = Callable[..., Any]
CHUNK = 16384
# If a component's largest value is below this, its values have lost digits: below 2^-1022 float64 has fewer
# than 53 bits, and values 2^-52 times the largest still count.
SMALLEST = 2.0**-970


class Integrand:
    """A function of points in the unit cube, evaluated in chunks, here, in processes, or on a Dask cluster.

    Chunks do not depend on the number of workers, and neither do the values.

    Parameters
    ----------
    function : Function
        Of points (n, dim) in float64, with values (n,) or (n, m). A torch function of a tensor if ``torch``
        is set; a function of one point (dim,) if ``batch`` is False.
    dim : int
        Number of dimensions.
    torch : bool
        Hand over and take back torch tensors (float64, on the CPU, without gradients).
    batch : bool
        False if the function takes one point at a time.
    workers : int
        Processes that share the work; 1 is this process. The function must be picklable, that is importable
        by name; lambdas need the package cloudpickle.
    client : object
        A ``dask.distributed.Client`` that does the work instead.
    chunk : int
        Points per call of the function.
    nonfinite : {"zero", "raise"}
        What to do with NaN and infinity: ``"zero"`` counts them (see `nonfinite_count`), warns once and
        takes them as 0; ``"raise"`` raises RunError.

    Attributes
    ----------
    calls : int
        Points evaluated so far.
    nonfinite_count : int
        Points with a value that was not finite.
    components : int or None
        m, or None before the first call and for values of shape (n,).
    largest : ndarray or None
        (m,) largest absolute value of each component since `start`; None before the first call.
    driver : int
        The component that drives adaptations: the first that was not zero at all points since `start`.
    journal : Journal or None
        Where values are recorded and found again, while an integration with checkpoints runs.

    Raises
    ------
    InputError
        If the values have the wrong shape or the function can't be sent to other processes.

    Examples
    --------
    >>> with Integrand(lambda x: x[:, 0] + x[:, 1], dim=2) as f:
    ...     f(np.array([[0.25, 0.5]])).tolist(), f.calls
    ([0.75], 1)
    """

    def __init__(
        self,
        function: Function,
        dim: int,
        *,
        torch: bool = False,
        batch: bool = True,
        workers: int = 1,
        client: Any = None,
        chunk: int = CHUNK,
        nonfinite: Literal["zero", "raise"] = "zero",
    ) -> None:
        if not callable(function):
            raise InputError(f"the integrand must be a function, got {type(function).__name__}")
        dim, workers, chunk = (
            whole(value, name, 1) for name, value in (("dim", dim), ("workers", workers), ("chunk", chunk))
        )
        if nonfinite not in ("zero", "raise"):
            raise InputError(f'nonfinite must be "zero" or "raise", got {nonfinite!r}')
        self.function = function
        self.dim = dim
        self.workers = workers
        self.client = client
        self.chunk = chunk
        self.nonfinite = nonfinite
        self.calls = 0
        self.nonfinite_count = 0
        self.components: int | None = None
        self.journal: Journal | None = None
        self.start()
        self._call = _Call(function, torch, batch)
        self._pool: ProcessPoolExecutor | None = None

    def start(self) -> None:
        """Forget which components were found to differ from zero: another integration begins."""
        self.largest: Float[np.ndarray, " m"] | None = None
        self.driver = 0

    def __call__(self, x: Float[np.ndarray, "n dim"]) -> np.ndarray:
        """Values (n,) or (n, m) at the points ``x`` (n, dim), all finite."""
        x = np.ascontiguousarray(x, dtype=float)
        if x.ndim != 2 or x.shape[1] != self.dim:
            raise InputError(f"the integrand takes points of shape (n, {self.dim}), got {x.shape}")
        if self.journal is None:
            values = self._values(x)
        else:
            values = self.journal.values(
                x, self._values, self.chunk * (self.workers if not self.client else 8)
            )
        self.components = values.shape[1] if values.ndim == 2 else None
        self.calls += len(x)
        values = self._finite(values)
        largest = largest_values(values.reshape(len(values), -1))
        if self.largest is None:
            self.largest = np.zeros_like(largest)
        if not self.largest.any() and largest.any():
            self.driver = int(np.flatnonzero(largest)[0])
        self.largest = np.maximum(self.largest, largest)
        return values

    def _values(self, x: np.ndarray) -> np.ndarray:
        chunks = [x[i : i + self.chunk] for i in range(0, len(x), self.chunk)] or [x]
        values = [self._checked(v, len(c)) for v, c in zip(self._evaluate(chunks), chunks, strict=True)]
        shapes = {v.shape[1:] for v in values}
        if len(shapes) > 1:
            raise InputError(f"the integrand gave different numbers of components: {sorted(shapes)}")
        return np.concatenate(values)

    def _evaluate(self, chunks: list[np.ndarray]) -> list[Any]:
        if self.client is not None:
            return self._on_dask(chunks)
        if self.workers == 1:
            return [self._call(chunk) for chunk in chunks]
        try:
            # A Ctrl-C while processes start would leave some that nobody knows of.
            with Interruptions() as interruptions:
                pool = self._processes()
                futures = [pool.submit(_evaluate_in_worker, chunk) for chunk in chunks]
            interruptions.raise_pending()
            return [future.result() for future in futures]
        except BrokenProcessPool:
            self.close()
            raise RunError(
                "a worker process died: guard the script with `if __name__ == '__main__':`, "
                "check its memory, or use workers=1 to see the error"
            ) from None
        except BaseException:
            self.close()
            raise

    def _on_dask(self, chunks: list[np.ndarray]) -> list[Any]:
        futures = self.client.map(self._call, chunks, pure=False)
        try:
            return self.client.gather(futures)
        except KeyboardInterrupt:
            self.client.cancel(futures)
            raise

    def _processes(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Not fork: threads of torch and BLAS do not survive it.
            methods = multiprocessing.get_all_start_methods()
            context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
            self._pool = ProcessPoolExecutor(
                self.workers, mp_context=context, initializer=_start_worker, initargs=(_pickled(self._call),)
            )
        return self._pool

    def _checked(self, array: np.ndarray, n: int) -> np.ndarray:
        if array.ndim not in (1, 2) or len(array) != n or (array.ndim == 2 and array.shape[1] == 0):
            raise InputError(
                f"the integrand must give shape ({n},) or ({n}, components) for {n} points, got "
                f"{array.shape}; use batch=False (--point) for a function of one point"
            )
        components = array.shape[1] if array.ndim == 2 else None
        if self.calls and components != self.components:
            raise InputError(f"the integrand changed from {self.components} to {components} components")
        return array

    def _finite(self, values: np.ndarray) -> np.ndarray:
        good = np.isfinite(values)
        if good.all():
            return values
        bad = int((~good.reshape(len(values), -1).all(axis=1)).sum())
        if self.nonfinite == "raise":
            raise RunError(
                f"the integrand is NaN or infinite at {bad} of {len(values)} points; mend it there"
            )
        if self.nonfinite_count == 0:
            warnings.warn(
                f"the integrand is NaN or infinite at {bad} of {len(values)} points; they count as 0",
                RuntimeWarning,
                stacklevel=3,
            )
        self.nonfinite_count += bad
        return np.where(good, values, 0.0)

    def report(self) -> tuple[str, ...]:
        """Warnings for a result: how many values were not finite."""
        if not self.nonfinite_count:
            return ()
        return (
            f"the integrand was NaN or infinite at {self.nonfinite_count} of {self.calls} points, "
            "which counted as 0: the integral is that of the rest",
        )

    def size_warnings(self, calls: int, even: int) -> tuple[str, ...]:
        """Warnings for components that were zero at all points, or too small for float64.

        With n points spread evenly, a part of the cube larger than 3/n would have been hit with a
        probability of 1 - (1 - 3/n)^n > 95 %; strata don't make it smaller.

        Parameters
        ----------
        calls : int
            Of the integration. All its points are spread evenly if nothing was found at any of them.
        even : int
            Points of them that are spread evenly in any case.
        """
        largest = np.zeros(1) if self.largest is None else self.largest
        if not largest.any():
            return (_nothing_found("the integrand", calls, 3 / calls),)
        messages = []
        for i, size in enumerate(largest.tolist()):
            name = "the integrand" if len(largest) == 1 else f"component {i + 1} of {len(largest)}"
            if size == 0:
                messages.append(_nothing_found(name, calls, 3 / even))
            elif size < SMALLEST:
                messages.append(
                    f"{name} is at most {size:.2g}, where float64 has lost digits: multiply the integrand "
                    "by a constant"
                )
        return tuple(messages)

    def close(self) -> None:
        """End the worker processes, without waiting for what they do."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            processes = list((getattr(pool, "_processes", None) or {}).values())
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.terminate()
            for process in processes:
                process.join(timeout=5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_KIND = {"NoneType": "None", "str": "text", "bytes": "text", "str_": "text", "bytes_": "text"}


def real_numbers(values: Any) -> np.ndarray:
    """The integrand's values as an array of float64, if they are real numbers.

    Raises
    ------
    InputError
        If they are complex, text, dates, None, masked or ragged: numpy would turn most of these into numbers.
    """
    if values is None or type(values) in (str, bytes):
        kind = _KIND[type(values).__name__]
        raise InputError(f"the integrand must give an array of numbers, got {kind}")
    if isinstance(values, np.ma.MaskedArray):
        raise InputError("the integrand must give plain numbers, got a masked array: use values.filled(0)")
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged lists; tensors that require gradients
        raise InputError(f"the integrand must give real numbers: {error}") from None
    if array.dtype.kind == "c":
        raise InputError(
            "the integrand must give real numbers, got complex ones: integrate real and imaginary part as a "
            "vector of two"
        )
    if array.dtype.kind == "O":
        kinds = {type(value).__name__ for value in array.ravel() if not hasattr(type(value), "__float__")}
    else:
        kinds = set() if array.dtype.kind in "biuf" else {array.dtype.type.__name__}
    if kinds:
        names = ", ".join(sorted(_KIND.get(kind, kind) for kind in kinds))
        raise InputError(f"the integrand must give real numbers, got {names}")
    return array.astype(float)  # always a copy: a function may give the same array again and again


def _nothing_found(name: str, calls: int, volume: float) -> str:
    return (
        f"nothing found: {name} was 0 at all {calls:,} points. With 95 % confidence it differs from 0 in less"
        f" than {volume:.2g} of the cube, so that its integral is below {volume:.2g} times its mean there;"
        " use more calls or variables in which it is broader"
    )


class _Call:
    """The plain call of the function on one chunk; this is what is sent to other processes."""

    def __init__(self, function: Function, torch: bool, batch: bool) -> None:
        self.function = function
        self.torch = torch
        self.batch = batch

    def __call__(self, x: np.ndarray) -> np.ndarray:
        x = x.copy()  # a function may change its argument, which is the integrator's
        if self.torch:
            return self._with_torch(x)
        return real_numbers(self.function(x) if self.batch else [self.function(point) for point in x])

    def _with_torch(self, x: np.ndarray) -> np.ndarray:
        import torch

        with torch.no_grad():
            tensor = torch.from_numpy(x)
            given = [self.function(tensor)] if self.batch else [self.function(p) for p in tensor]
            for values in given:
                if not isinstance(values, torch.Tensor):
                    raise InputError(f"a torch integrand must give a tensor, got {type(values).__name__}")
            values = given[0] if self.batch else torch.stack(given)
        values = values.detach().cpu()
        # numpy has no bfloat16; complex numbers are refused with those of numpy
        return real_numbers((values if values.is_complex() else values.double()).numpy())


def _pickled(call: _Call) -> bytes:
    try:
        import cloudpickle

        return cloudpickle.dumps(call)
    except ImportError:
        pass
    except Exception as error:
        raise InputError(f"the integrand can't be sent to other processes: {error}") from None
    try:
        return pickle.dumps(call)
    except (pickle.PicklingError, AttributeError, TypeError):
        raise InputError(
            "the integrand can't be sent to other processes: define it at the top of a module, "
            "install cloudpickle, or use workers=1"
        ) from None


_worker_call: _Call | None = None


def _start_worker(pickled: bytes) -> None:
    """In a new process: Ctrl-C is the parent's business, and the function is unpacked once."""
    global _worker_call
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker_call = pickle.loads(pickled)


def _evaluate_in_worker(x: np.ndarray) -> Any:
    assert _worker_call is not None
    return _worker_call(x)
