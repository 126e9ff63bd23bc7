"""Unweighting in blocks: in this process, in others, or on a Dask cluster, with the same points."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, RunError
from ..files import atomic_write
from .evaluate import Integrand
from .proposal import Proposal
from .sampler import Sampler
from .unweighting import UnweightedPoints, maximum_weight

GROUP = 1000  # accepted points from random numbers of their own; always as many, so that n does not matter
BLOCK = 10 * GROUP  # accepted points: what one job makes, and what an interrupted run loses at most
PILOT = 100_000  # points that fix the maximum weight


def child(seed: np.random.SeedSequence, *numbers: int) -> np.random.SeedSequence:
    """The descendant of a seed with these numbers, whatever was spawned from it before."""
    return np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, *numbers))


@dataclass(frozen=True)
class _Job:
    """One block: what is drawn from, which groups are wanted, and about how many trials each takes."""

    sampler: bytes | tuple[Proposal, Integrand]
    seed: np.random.SeedSequence
    groups: tuple[int, int]
    w_max: float
    trials: int

    def __call__(self) -> UnweightedPoints:
        packed = self.sampler
        proposal, function = pickle.loads(packed) if isinstance(packed, bytes) else packed
        with _one_thread():
            found = []
            for group in range(*self.groups):
                sampler = Sampler(proposal, function, seed=child(self.seed, group))
                found.append(sampler.unweight(GROUP, w_max=self.w_max, pilot=self.trials))
        return _joined(found)


class UnweightedBlocks:
    """Unweighted points in blocks, which are kept in memory or in files.

    Attributes
    ----------
    n : int
        Number of points.
    sum : float
        Of their weights.
    largest : float
        The largest |weight|.
    """

    def __init__(self, jobs: list[_Job], folder: Path | None, first: int, n: int) -> None:
        self._jobs, self._first, self.n = jobs, first, n
        self._paths = [
            None if folder is None else folder / f"block-{job.groups[0] * GROUP // BLOCK:06d}.npz"
            for job in jobs
        ]
        self._kept: list[UnweightedPoints | None] = [None] * len(jobs)
        self.sum = self.largest = 0.0

    def make(self, workers: int, client: Any, progress: Callable[[int, int], None]) -> None:
        """Make the blocks that are missing."""
        done, missing = 0, []
        for i in range(len(self._jobs)):
            block = self._found(i)
            if block is None:
                missing.append(i)
            else:
                done += self._count(i, block)
        progress(done, self.n)
        jobs = [self._jobs[i] for i in missing]
        for i, block in zip(missing, _run(jobs, workers, client), strict=True):
            path = self._paths[i]
            if path is None:
                self._kept[i] = block
            else:
                _save(path, block, self._jobs[i])
            done += self._count(i, block)
            progress(done, self.n)

    def blocks(self) -> Iterator[tuple[UnweightedPoints, slice]]:
        """Each block in whole groups, and which of its points were asked for."""
        for i in range(len(self._jobs)):
            block = self._found(i)
            if block is None:
                raise RunError(f"{self._paths[i]} was removed or damaged: run it again with --resume")
            yield block, self._wanted(i)

    def groups(self) -> Iterator[tuple[int, np.ndarray, np.ndarray, slice]]:
        """Number of each group, its points (1000, dim) and weights (1000,), and which were asked for."""
        for job, (block, wanted) in zip(self._jobs, self.blocks(), strict=True):
            for k, number in enumerate(range(*job.groups)):
                rows = slice(k * GROUP, (k + 1) * GROUP)
                inside = slice(max(wanted.start - rows.start, 0), min(wanted.stop - rows.start, GROUP))
                yield number, block.x[rows], block.weight[rows], inside

    def _found(self, i: int) -> UnweightedPoints | None:
        path = self._paths[i]
        return self._kept[i] if path is None else _load(path, self._jobs[i])

    def _wanted(self, i: int) -> slice:
        first, last = (group * GROUP for group in self._jobs[i].groups)
        return slice(max(self._first - first, 0), min(self._first + self.n, last) - first)

    def _count(self, i: int, block: UnweightedPoints) -> int:
        weight = block.weight[self._wanted(i)]
        self.sum += float(weight.sum())
        self.largest = max(self.largest, float(np.abs(weight).max()))
        return len(weight)


@dataclass(frozen=True)
class Plan:
    """What all blocks share: the maximum weight, and the share of the points that it accepts."""

    w_max: float
    efficiency: float

    @classmethod
    def of(cls, sampler: Sampler, overweight: float, seed: np.random.SeedSequence) -> Plan:
        """From points of their own; see `Sampler.unweight` for `overweight`."""
        with _one_thread():
            pilot = Sampler(sampler.proposal, sampler.function, seed=child(seed, 0))
            w = np.abs(pilot.sample(PILOT)[1])
        w_max = maximum_weight(w, overweight)
        return cls(w_max, float(np.minimum(w / w_max, 1).mean()))


def unweighted_blocks(
    sampler: Sampler,
    n: int,
    overweight: float,
    seed: np.random.SeedSequence,
    *,
    first: int = 0,
    workers: int = 1,
    client: Any = None,
    folder: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] = lambda done, n: None,
    plan: Plan | None = None,
) -> UnweightedBlocks:
    """Draw `n` unweighted points in blocks of 10,000.

    Point number k depends on `seed` (and `overweight`) alone: neither on how many are drawn, nor on who draws
    them.

    Parameters
    ----------
    sampler : Sampler
        What is drawn from; its own random numbers are not touched.
    n, overweight
        As in `Sampler.unweight`; all blocks share one maximum weight.
    seed : SeedSequence
        Of all blocks.
    first : int
        Number of the first point: those before it are left out.
    workers : int
        Processes that make blocks; 1 is this process.
    client : distributed.Client, optional
        Makes them instead.
    folder : path, optional
        Keeps finished blocks; those that are there already, of the same `seed`, are not made again, and
        memory does not grow with `n`.
    progress : callable
        Told how many points are done, and `n`.
    plan : Plan, optional
        That of an earlier call with the same sampler, share and seed.

    Raises
    ------
    InputError
        The integrand can't be sent to other processes.
    """
    plan = plan or Plan.of(sampler, overweight, seed)
    here = client is None and workers == 1
    packed = (sampler.proposal, sampler.function) if here else _packed(sampler)
    trials = int(1.05 * GROUP / plan.efficiency) + 100
    ends = [first // GROUP, -(-(first + n) // GROUP)]
    per_block = BLOCK // GROUP
    jobs = [
        _Job(
            packed,
            child(seed, 1),
            (max(block * per_block, ends[0]), min((block + 1) * per_block, ends[1])),
            plan.w_max,
            trials,
        )
        for block in range(ends[0] // per_block, -(-ends[1] // per_block))
    ]
    found = UnweightedBlocks(jobs, None if folder is None else Path(folder), first, n)
    found.make(workers, client, progress)
    return found


def unweight_in_blocks(
    sampler: Sampler, n: int, overweight: float, seed: np.random.SeedSequence, **options: Any
) -> UnweightedPoints:
    """The points of `unweighted_blocks` together, with the same arguments."""
    found = unweighted_blocks(sampler, n, overweight, seed, **options)
    parts = [_part(block, wanted) for block, wanted in found.blocks()]
    return _joined(parts)


@contextmanager
def _one_thread() -> Iterator[None]:
    """No sum depends on where a block is made."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _packed(sampler: Sampler) -> bytes:
    try:
        return pickle.dumps((sampler.proposal, sampler.function))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(f"the integrand can't be sent to other processes: {error}") from None


def _run(jobs: list[_Job], workers: int, client: Any) -> Iterator[UnweightedPoints]:
    """The blocks in their order, each as soon as it and those before it are ready."""
    if client is not None:
        futures = [client.submit(_call, job, pure=False) for job in jobs]
        yield from (future.result() for future in futures)
    elif workers > 1 and len(jobs) > 1:
        # "spawn": a process that was forked with torch's threads running may hang
        with ProcessPoolExecutor(min(workers, len(jobs)), get_context("spawn")) as pool:
            yield from pool.map(_call, jobs)
    else:
        yield from (job() for job in jobs)


def _call(job: _Job) -> UnweightedPoints:
    return job()


def _save(path: Path, points: UnweightedPoints, job: _Job) -> None:
    with atomic_write(path, "wb") as file:
        np.savez(
            file, x=points.x, weight=points.weight, trials=points.trials, made_for=np.array(_made_for(job))
        )


def _load(path: Path, job: _Job) -> UnweightedPoints | None:
    """The block in a file, if there is one that was made for this job."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            if str(file["made_for"]) != _made_for(job):
                raise RunError(
                    f"{path} is a block of another run: remove the folder, or start over with --force"
                )
            return _block(file["x"], file["weight"], job.w_max, int(file["trials"]))
    except (OSError, ValueError, KeyError):
        return None  # damaged: make it again


def _made_for(job: _Job) -> str:
    return f"{job.seed.entropy} {job.seed.spawn_key} {job.groups} {job.w_max:.17g}"


def _joined(blocks: list[UnweightedPoints]) -> UnweightedPoints:
    x, weight = np.concatenate([b.x for b in blocks]), np.concatenate([b.weight for b in blocks])
    return _block(x, weight, blocks[0].w_max, sum(b.trials for b in blocks))


def _part(block: UnweightedPoints, rows: slice) -> UnweightedPoints:
    """Some points of a block, and their share of its trials."""
    x, weight = block.x[rows], block.weight[rows]
    return _block(x, weight, block.w_max, round(block.trials * len(x) / len(block)))


def _block(x: np.ndarray, weight: np.ndarray, w_max: float, trials: int) -> UnweightedPoints:
    over = np.abs(weight)
    return UnweightedPoints(x, weight, w_max, trials, float(over[over > 1].sum() / max(over.sum(), 1e-300)))
