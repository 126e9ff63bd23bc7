"""Unweighting in blocks: in this process, in others, or on a Dask cluster, with the same points."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
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

BLOCK = 10_000  # accepted points: what one job makes, and what an interrupted run loses at most
PILOT = 20_000, 1_000_000  # fewest and most points that fix the maximum weight


@dataclass(frozen=True)
class _Job:
    """One block: what is drawn from, how many points are wanted, and about how many trials that takes."""

    sampler: bytes | tuple[Proposal, Integrand]
    seed: np.random.SeedSequence
    n: int
    w_max: float
    trials: int

    def __call__(self) -> UnweightedPoints:
        import torch

        packed = self.sampler
        proposal, function = pickle.loads(packed) if isinstance(packed, bytes) else packed
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # so that no sum depends on where the block is made
        try:
            sampler = Sampler(proposal, function, seed=self.seed)
            return sampler.unweight(self.n, w_max=self.w_max, pilot=self.trials)
        finally:
            torch.set_num_threads(threads)


def unweight_in_blocks(
    sampler: Sampler,
    n: int,
    overweight: float,
    seed: np.random.SeedSequence,
    *,
    workers: int = 1,
    client: Any = None,
    folder: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] = lambda done, n: None,
) -> UnweightedPoints:
    """Draw ``n`` unweighted points in blocks of 10,000, each from random numbers of its own.

    The points depend on ``seed``, not on who makes them.

    Parameters
    ----------
    sampler : what is drawn from; its own random numbers are not touched.
    n, overweight : as in :meth:`Sampler.unweight`; all blocks share one maximum weight.
    seed : of all blocks.
    workers : processes that make blocks; 1 is this process.
    client : a ``dask.distributed.Client`` that makes them instead.
    folder : keeps finished blocks; those that are there already, of the same ``seed``, are not made again.
    progress : told how many points are done.

    Raises
    ------
    InputError
        The integrand can't be sent to other processes.
    """
    pilot_seed, *seeds = seed.spawn(1 + -(-n // BLOCK))
    pilot = Sampler(sampler.proposal, sampler.function, seed=pilot_seed)
    size = int(np.clip(2 * n, *PILOT))
    w = np.abs(pilot.sample(size)[1])
    w_max = maximum_weight(w, overweight)
    efficiency = float(np.minimum(w / w_max, 1).mean())
    here = client is None and workers == 1
    packed = (sampler.proposal, sampler.function) if here else _packed(sampler)
    sizes = [min(BLOCK, n - start) for start in range(0, n, BLOCK)]
    jobs = [
        _Job(packed, s, k, w_max, int(1.05 * k / efficiency) + 1000)
        for s, k in zip(seeds, sizes, strict=True)
    ]
    paths = [None if folder is None else Path(folder) / f"block-{i:06d}.npz" for i in range(len(jobs))]
    blocks = [None if path is None else _load(path, job) for path, job in zip(paths, jobs, strict=True)]
    missing = [i for i, block in enumerate(blocks) if block is None]
    done = sum(len(block) for block in blocks if block is not None)
    progress(done, n)
    for i, points in zip(missing, _run([jobs[i] for i in missing], workers, client), strict=True):
        blocks[i], path = points, paths[i]
        if path is not None:
            _save(path, points, jobs[i])
        done += len(points)
        progress(done, n)
    return _joined([block for block in blocks if block is not None])


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
    return f"{job.seed.entropy} {job.seed.spawn_key} {job.n} {job.w_max:.17g}"


def _joined(blocks: list[UnweightedPoints]) -> UnweightedPoints:
    x, weight = np.concatenate([b.x for b in blocks]), np.concatenate([b.weight for b in blocks])
    return _block(x, weight, blocks[0].w_max, sum(b.trials for b in blocks))


def _block(x: np.ndarray, weight: np.ndarray, w_max: float, trials: int) -> UnweightedPoints:
    over = np.abs(weight)
    return UnweightedPoints(x, weight, w_max, trials, float(over[over > 1].sum() / max(over.sum(), 1e-300)))
