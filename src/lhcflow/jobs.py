"""Blocks of work: here, in other processes, each in a fresh process, or on a Dask cluster.

A block is a call ``function(task)`` whose result depends on the task alone, so that it does not matter where,
when and how often it runs. Functions are sent by cloudpickle: lambdas and closures will do.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import cloudpickle
import numpy as np

from .errors import InputError, RunError
from .files import atomic_write

Task = TypeVar("Task")
Result = TypeVar("Result")

Progress = Callable[[int, int], None]
"""``progress(done, total)``: called when a block is done, in units of the blocks' sizes."""


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Runner:
    """Runs blocks of work.

    Parameters
    ----------
    workers : int
        Number of blocks at a time on this machine; 1 runs them in this process, one after the other.
    client : distributed.Client, optional
        A Dask cluster that does the work instead.
    fresh : bool
        Give each block a new Python process. For libraries that keep state (Geant4, Pythia) or crash.

    Raises
    ------
    InputError
        If ``workers`` is less than 1.

    Examples
    --------
    >>> with Runner() as runner:
    ...     runner.map(lambda n: n * n, [1, 2, 3])
    [1, 4, 9]
    """

    def __init__(self, workers: int = 1, client: Any = None, fresh: bool = False) -> None:
        if workers < 1:
            raise InputError(f"the number of workers must be >= 1, got {workers}")
        self.workers, self.client, self.fresh = workers, client, fresh
        self._executor: Executor | None = None

    def map(
        self,
        function: Callable[[Task], Result],
        tasks: Sequence[Task],
        *,
        attempts: int = 1,
        sizes: Sequence[int] | None = None,
        progress: Progress | None = None,
    ) -> list[Result]:
        """The results of all tasks, in their order; see `each`."""
        results: dict[int, Result] = dict(
            self.each(function, tasks, attempts=attempts, sizes=sizes, progress=progress)
        )
        return [results[i] for i in range(len(tasks))]

    def each(
        self,
        function: Callable[[Task], Result],
        tasks: Sequence[Task],
        *,
        attempts: int = 1,
        sizes: Sequence[int] | None = None,
        progress: Progress | None = None,
    ) -> Iterator[tuple[int, Result]]:
        """Yield the number of a task and its result, as they come.

        Parameters
        ----------
        function : callable
            ``function(task)``.
        tasks : sequence
            What it is called with; their order is that in which they start.
        attempts : int
            How often a block is tried that raises, or whose process dies. `InputError` is final.
        sizes : sequence of int, optional
            Of the tasks, for ``progress``; 1 each if None.
        progress : callable, optional
            See `Progress`.

        Raises
        ------
        RunError
            If the process of a block died in all attempts.
        Exception
            What the function raised in the last attempt.
        """
        sizes = [1] * len(tasks) if sizes is None else sizes
        done, total = 0, sum(sizes)
        for number, result in self._each(function, tasks, attempts):
            done += sizes[number]
            if progress is not None:
                progress(done, total)
            yield number, result

    def close(self) -> None:
        """End worker processes, without waiting for what they do."""
        executor, self._executor = self._executor, None
        if executor is None:
            return
        if isinstance(executor, ThreadPoolExecutor):
            _Fresh.kill_all()
            executor.shutdown(wait=True, cancel_futures=True)
        elif self.client is None:
            executor.shutdown(wait=False, kill_workers=True)  # type: ignore[call-arg]
        else:
            executor.shutdown(wait=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _each(
        self, function: Callable[[Task], Result], tasks: Sequence[Task], attempts: int
    ) -> Iterator[tuple[int, Result]]:
        if self.fresh:
            function = _Fresh(function)
        if self.workers == 1 and self.client is None:
            for number, task in enumerate(tasks):
                yield number, _try_here(function, task, attempts)
            return
        call = cloudpickle.dumps(function) if self.client is None and not self.fresh else None
        waiting = list(range(len(tasks)))
        failures = dict.fromkeys(waiting, 0)
        running: dict[Future[Any], int] = {}
        try:
            while waiting or running:
                # No more than can run soon: a failure is noticed early, and results don't pile up.
                while waiting and len(running) < self._at_a_time():
                    number = waiting.pop(0)
                    task, executor = tasks[number], self._start()
                    if call is None:
                        future = executor.submit(function, task)
                    else:
                        future = executor.submit(_unpickled, call, task)
                    running[future] = number
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    number = running.pop(future)
                    try:
                        result = future.result()
                    except InputError:
                        raise
                    except BrokenExecutor as error:
                        # Which block killed its process is not known: all that ran have failed once.
                        lost = [number, *running.values()]
                        running.clear()
                        self.close()
                        for other in lost:
                            failures[other] += 1
                        if max(failures[other] for other in lost) >= attempts:
                            raise RunError(f"a worker process died: {_words(error)}") from None
                        waiting = sorted(lost) + waiting
                        break
                    except Exception:
                        failures[number] += 1
                        if failures[number] >= attempts:
                            raise
                        waiting.insert(0, number)
                    else:
                        yield number, result
        except BaseException:
            for future in running:
                future.cancel()
            self.close()
            raise

    def _at_a_time(self) -> int:
        if self.client is None:
            return self.workers if self.fresh else 2 * self.workers
        return max(2 * sum(self.client.ncores().values()), 2)

    def _start(self) -> Executor:
        if self._executor is None:
            if self.client is not None:
                self._executor = self.client.get_executor(pure=False)
            elif self.fresh:
                self._executor = ThreadPoolExecutor(self.workers)  # each waits for its process
            else:
                from loky import ProcessPoolExecutor

                # New interpreters, not forks: threads of torch and BLAS do not survive a fork.
                self._executor = ProcessPoolExecutor(self.workers, env={"OMP_NUM_THREADS": "1"})
        assert self._executor is not None
        return self._executor


class Kept:
    """Results of blocks in files of a folder, one each, so that a second start makes only the missing ones.

    Parameters
    ----------
    folder : Path
        An existing one. Who calls makes sure that its files belong to the same work (`RunDirectory`'s card).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        """Where the result called ``name`` is or will be."""
        return self.folder / f"{name}.npz"

    def read(self, name: str) -> dict[str, np.ndarray]:
        """A result."""
        with np.load(self.path(name), allow_pickle=False) as file:
            return {key: file[key] for key in file.files}

    def write(self, name: str, result: Mapping[str, Any]) -> None:
        """Keep a result: arrays and numbers by name."""
        with atomic_write(self.path(name), "wb") as file:
            np.savez(file, **result)


def run_blocks(
    runner: Runner,
    function: Callable[[Task], Mapping[str, Any]],
    tasks: Mapping[str, Task],
    folder: Path,
    *,
    attempts: int = 2,
    sizes: Mapping[str, int] | None = None,
    progress: Progress | None = None,
) -> Kept:
    """Run all blocks whose results are not in a folder yet, and keep each result as it comes.

    Parameters
    ----------
    runner : Runner
        Where they run.
    function : callable
        ``function(task)`` gives arrays and numbers by name.
    tasks : mapping of str to object
        By name; the names are those of the files.
    folder : Path
        An existing one.
    attempts : int
        See `Runner.each`.
    sizes : mapping of str to int, optional
        Of the blocks, for ``progress``; 1 each if None.
    progress : callable, optional
        See `Progress`; blocks from before count as done.

    Returns
    -------
    Kept
        All results; nothing of them is in memory.

    Raises
    ------
    RunError, InputError, KeyboardInterrupt
        As `Runner.each`; finished blocks stay in the folder.
    """
    kept = Kept(folder)
    sizes = dict.fromkeys(tasks, 1) if sizes is None else sizes
    missing = [name for name in tasks if not kept.path(name).is_file()]
    total = sum(sizes[name] for name in tasks)
    before = total - sum(sizes[name] for name in missing)
    if progress is not None:
        progress(before, total)
    results = runner.each(
        function,
        [tasks[name] for name in missing],
        attempts=attempts,
        sizes=[sizes[name] for name in missing],
        progress=None if progress is None else lambda done, _: progress(before + done, total),
    )
    for number, result in results:
        kept.write(missing[number], result)
    return kept


class _Fresh:
    """A function that runs in a Python process of its own."""

    _running: ClassVar[set[subprocess.Popen[bytes]]] = set()
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.call = cloudpickle.dumps(function)

    def __call__(self, task: Any) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            given, answer, said = (Path(folder, name) for name in ("task", "answer", "said"))
            given.write_bytes(cloudpickle.dumps((self.call, task)))
            with open(said, "wb") as words:
                # A session of its own: Ctrl-C reaches the parent only, which ends its processes in order.
                process = subprocess.Popen(
                    [sys.executable, "-m", __name__, str(given), str(answer)],
                    stdin=subprocess.DEVNULL,
                    stdout=words,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, "OMP_NUM_THREADS": "1"},
                    cwd=folder,
                    start_new_session=True,
                )
                with self._lock:
                    self._running.add(process)
                try:
                    code = process.wait()
                finally:
                    process.kill()
                    process.wait()
                    with self._lock:
                        self._running.discard(process)
            if not answer.is_file():
                raise RunError(f"a process died (exit code {code}): {_last_line(said)}")
            good, value = pickle.loads(answer.read_bytes())
        if good:
            return value
        raise value

    @classmethod
    def kill_all(cls) -> None:
        """End all processes that are at work."""
        with cls._lock:
            for process in cls._running:
                process.kill()


def _try_here(function: Callable[[Task], Result], task: Task, attempts: int) -> Result:
    for attempt in range(attempts):
        try:
            return function(task)
        except InputError:
            raise
        except Exception:
            if attempt == attempts - 1:
                raise
    raise AssertionError("attempts is >= 1")


def _unpickled(call: bytes, task: Any) -> Any:
    """Call a pickled function; workers keep the last one, which is the same for all blocks of a map."""
    global _last
    if _last is None or _last[0] != call:
        _last = call, pickle.loads(call)
    return _last[1](task)


_last: tuple[bytes, Callable[[Any], Any]] | None = None


def _words(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def _main(given: str, answer: str) -> None:
    """Run one task in this process, write its result or its error, and leave without tearing down.

    Geant4's tear-down crashes after objects that Python made.
    """
    call, task = pickle.loads(Path(given).read_bytes())
    try:
        result = True, pickle.loads(call)(task)
    except Exception as error:
        result = False, error
    Path(f"{answer}.part").write_bytes(cloudpickle.dumps(result))
    os.replace(f"{answer}.part", answer)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    _main(*sys.argv[1:])
