"""From a process to unweighted events: integrate, unweight, assign flavours, write."""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import numpy as np

from ..errors import InputError, RunError
from ..files import write_json
from ..integration import Categories, Result
from ..integration.blocks import unweight_in_blocks
from ..integration.flow_settings import FlowSettings
from ..integration.integrator import Integrator
from ..integration.sampler import Sampler
from ..integration.unweighting import Efficiency, UnweightedPoints
from .bare import integrate_bare
from .beam import Beams
from .cuts import Cuts
from .events import Events
from .hadronic import DEFAULT_PDF, DEFAULT_SCALE, HadronicCrossSection
from .integrand import CrossSection
from .jet_cuts import JetCuts
from .lhe import write_lhe
from .pdf import Pdf
from .process import Process

Method = Literal["auto", "vegas", "flow", "bare"]
BATCH = 20_000
ENERGY = 91.188, 14000.0  # of lepton and proton colliders, GeV


class DifferentialCrossSection(Protocol):
    """What events are generated from: :class:`CrossSection` or :class:`HadronicCrossSection`.

    A function on the unit cube of `dim` dimensions in pb, with the events that its points stand for.
    """

    @property
    def name(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def variables(self) -> tuple[str, ...]: ...
    @property
    def weights(self) -> np.ndarray | None: ...
    @property
    def first_coordinate(self) -> Categories | None: ...
    @property
    def flow_settings(self) -> FlowSettings: ...
    @property
    def beam_particles(self) -> tuple[tuple[int, float], tuple[int, float]]: ...
    @property
    def couplings(self) -> tuple[float, float]: ...
    def __call__(self, u: np.ndarray) -> np.ndarray: ...
    def evaluate(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...
    def events(self, u: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> Events: ...
    def with_weights(self, weights: Any) -> Self: ...
    def optimised(self, seed: np.random.SeedSequence) -> tuple[Self, int]: ...
    def card(self) -> dict[str, Any]: ...


class EventGenerator:
    """Unweighted parton-level events, with the cross section.

    Parameters
    ----------
    process : str, Process or DifferentialCrossSection
        Such as ``"e+ e- > j j j"`` or ``"p p > e+ ve j"``. A cross section brings all up to
        `phase_space` and `alpha_s`, `pdf`, `scale` with it: then they are not given.
    energy : float or Beams, optional
        Centre-of-mass energy in GeV, for leptons also :class:`FixedEnergy`, :class:`GaussianSpread` or
        :class:`EnergyScan`; 91.188 GeV for leptons, 14 TeV for protons by default.
    cuts : Cuts or JetCuts, optional
        Needed by lepton processes with a gluon; :class:`JetCuts` for protons.
    phase_space : {"channels", "poles", "flat"}
        The map that the sampler adapts to, see :class:`CrossSection`; protons have "channels".
    method : {"auto", "vegas", "flow", "bare"}
        That of :class:`lhcflow.integration.Integrator`; ``"bare"`` samples the phase-space map as it is.
    seed : int
        The same seed gives the same events.
    alpha_s : float, optional
        By default that of the process, or of the parton densities.
    channel_weights : sequence of float, optional
        Of the channels; by default they are optimised before the integration.
    settings : FlowSettings, optional
        The flow and its training; by default those of the cross section, see :mod:`.flow_settings`.
    device : str, optional
        Where the flow is fitted, instead of that of `settings`: "cpu", "cuda", or "auto" for a GPU if there
        is one.
    pdf, scale : of processes with protons, see :class:`HadronicCrossSection`.

    Examples
    --------
    >>> generator = EventGenerator("e+ e- > j j j", cuts=Cuts(durham=0.01), method="bare")
    >>> result = generator.integrate(calls=20_000)
    >>> abs(result.mean / 12430 - 1) < 0.01  # pb
    True
    >>> len(generator.generate(100))
    100
    """

    def __init__(
        self,
        process: str | Process | DifferentialCrossSection,
        energy: float | Beams | None = None,
        cuts: Cuts | JetCuts | None = None,
        phase_space: str = "channels",
        method: Method = "auto",
        seed: int = 0,
        alpha_s: float | None = None,
        channel_weights: list[float] | None = None,
        settings: FlowSettings | None = None,
        *,
        pdf: str | Pdf | None = None,
        scale: str | float | None = None,
        device: str | None = None,
    ) -> None:
        if method not in ("auto", "vegas", "flow", "bare"):
            raise InputError(f"method must be 'auto', 'vegas', 'flow' or 'bare', got {method!r}")
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise InputError(f"the seed must be an integer >= 0, got {seed!r}")
        self.method: Method = method
        self.seed = seed
        setup, sampling, self._event_seed = np.random.SeedSequence(seed).spawn(3)
        self._sampling_seed = int(sampling.generate_state(1)[0])
        if isinstance(process, str | Process):
            f = differential(process, energy, cuts, phase_space, alpha_s, pdf, scale)
        else:
            f = process
            if any(v is not None for v in (energy, cuts, alpha_s, pdf, scale)) or phase_space != "channels":
                raise InputError(f"{f.name}: energy, cuts and so on are given to its cross section, not here")
        self._setup_calls, start = 0, time.perf_counter()
        if channel_weights is None:
            f, self._setup_calls = f.optimised(setup)
        else:
            f = f.with_weights(channel_weights)
        #: Wall-clock time of the optimisation of the channels' weights; its calls are among the result's.
        self.setup_seconds = time.perf_counter() - start
        #: The integrand on the unit cube, in pb.
        self.cross_section: DifferentialCrossSection = f
        settings = settings or f.flow_settings
        self._settings = replace(settings, device=device or settings.device)
        self._result: Result | None = None

    def with_method(self, method: Method) -> EventGenerator:
        """Another generator of the same events, with the channel weights found here."""
        other = copy.copy(self)
        other.method, other._result = method, None
        other._event_seed = np.random.SeedSequence(self.seed).spawn(3)[2]
        return other

    @property
    def result(self) -> Result:
        """Cross section in pb and the sampler, once :meth:`integrate` was called."""
        if self._result is None:
            raise RunError("nothing was integrated yet: call integrate() first")
        return self._result

    @property
    def _sampler(self) -> Sampler:
        sampler = self.result.sampler
        if sampler is None:
            raise RunError("the integration left no sampler: nothing can be generated")
        return sampler

    def card(self) -> dict[str, Any]:
        """Everything that is needed to repeat the run, as plain numbers and strings."""
        f = self.cross_section
        weights = None if f.weights is None else f.weights.tolist()
        card = {**f.card(), "method": self.method, "seed": self.seed}
        return card | ({"channel_weights": weights} if weights else {})

    def integrate(self, calls: int = 200_000, rtol: float | None = None, **options: Any) -> Result:
        """Integrate the cross section and train the sampler.

        Parameters
        ----------
        calls : int
            Evaluations of the integrand at most; those for the channel weights come on top.
        rtol : float, optional
            Stop when the relative error is smaller.
        options
            Further arguments of :meth:`lhcflow.integration.Integrator.integrate`, such as
            ``quiet=False`` for its progress; not for ``method="bare"``.

        Returns
        -------
        Result
            ``mean`` and ``sdev`` in pb.

        Raises
        ------
        RunError
            No point passed the cuts.
        """
        f = self.cross_section
        if self.method == "bare":
            result = integrate_bare(f, f.dim, calls, self._sampling_seed, rtol)
        else:
            integrator = Integrator(
                f.dim,
                seed=self._sampling_seed,
                method=self.method,
                settings=self._settings,
                categories=f.first_coordinate,
            )
            result = integrator.integrate(f, calls=calls, rtol=rtol, **options)
        if not float(result.mean) > 0:
            raise RunError(f"none of {result.calls} points passed the cuts {f.card()['cuts']}: loosen them")
        self._result = result.with_(calls=result.calls + self._setup_calls)
        return self._result

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what :meth:`integrate` found: ``path`` (JSON), and the sampler beside it (``.npz``)."""
        path = Path(path)
        self._sampler.save(path.with_suffix(".npz"))
        write_json(path, self.result.to_dict())

    def load(self, path: str | os.PathLike[str]) -> Result:
        """Take over what :meth:`save` wrote; the same events follow as if it had been integrated here.

        Raises
        ------
        InputError
            The files are missing or damaged.
        """
        path = Path(path)
        sampler = Sampler.load(path.with_suffix(".npz"), self.cross_section)
        try:
            self._result = Result.from_dict(json.loads(path.read_text()), sampler)
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError(f"{path} is not a result saved by lhcflow: remove it") from None
        return self._result

    def unweighting_efficiency(self, n: int = 100_000, overweight: float = 1e-3) -> Efficiency:
        """Accepted share of `n` points if overweight events carry at most a share of the cross section.

        Returns
        -------
        Efficiency
            A float that knows its ``error``.
        """
        return self._sampler.unweighting_efficiency(n, overweight=overweight)

    def sample(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Weighted points (n, dim) of the unit cube and their weights (n,) in pb."""
        return self._sampler.sample(n)

    def generate(self, n: int, overweight: float = 1e-3) -> Events:
        """`n` unweighted events.

        Parameters
        ----------
        n : int
            At least 1.
        overweight : float
            Largest share of the cross section that may be carried by events with a weight above the
            maximum; those few keep a weight larger than the others'.
        """
        _check_number(n)
        points = self._sampler.unweight(n, overweight=overweight)
        return self._events(points.x, self._in_pb(points), self._rng())

    def write_lhe(
        self,
        path: str | os.PathLike[str],
        n: int,
        overweight: float = 1e-3,
        progress: Callable[[int, int], None] = lambda done, n: None,
        *,
        workers: int = 1,
        client: Any = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> int:
        """Write `n` unweighted events as a Les Houches event file, see :func:`write_lhe`.

        Events are unweighted in blocks of 10,000, and depend on the seed only.

        Where the energy varies, the beams in the file have the highest one; Pythia showers it with
        ``PDF:lepton = on``, and photons from the initial state carry what an event lacks.

        Parameters
        ----------
        path : path
            ``.lhe`` or ``.lhe.gz``; it appears only when complete.
        progress : callable, optional
            Called as ``progress(done, n)`` while events are unweighted.
        workers, client, folder
            Processes or a Dask cluster that unweight, and a folder that keeps what is done; see
            :func:`lhcflow.integration.blocks.unweight_in_blocks`.

        Returns
        -------
        int
            Number of events.
        """
        _check_number(n)
        seed = self._event_seed.spawn(1)[0]
        found = unweight_in_blocks(
            self._sampler,
            n,
            overweight,
            seed,
            workers=workers,
            client=client,
            folder=folder,
            progress=progress,
        )
        points, weights = found.x, self._in_pb(found)
        rng = self._rng()

        def batches() -> Iterator[Events]:
            for start in range(0, n, BATCH):
                part = slice(start, start + BATCH)
                yield self._events(points[part], weights[part], rng)

        alpha, alpha_s = self.cross_section.couplings
        return write_lhe(
            path,
            batches(),
            beams=self.cross_section.beam_particles,
            cross_section=float(self.result.mean),
            error=float(self.result.sdev),
            max_weight=float(weights.max()),
            unweighted=bool(np.ptp(weights) == 0),
            alpha=alpha,
            alpha_s=alpha_s,
            card=self.card(),
        )

    def _in_pb(self, points: UnweightedPoints) -> np.ndarray:
        """Weights (n,) whose mean is the cross section."""
        return points.weight * (float(self.result.mean) / points.weight.mean())

    def _events(self, points: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> Events:
        return self.cross_section.events(points, weights, rng)

    def _rng(self) -> np.random.Generator:
        return np.random.default_rng(self._event_seed.spawn(1)[0])


def _check_number(n: int) -> None:
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise InputError(f"the number of events must be a positive integer, got {n!r}")


def differential(
    process: str | Process,
    energy: float | Beams | None = None,
    cuts: Cuts | JetCuts | None = None,
    phase_space: str = "channels",
    alpha_s: float | None = None,
    pdf: str | Pdf | None = None,
    scale: str | float | None = None,
) -> CrossSection | HadronicCrossSection:
    """The differential cross section of a process with leptons or protons coming in; see above.

    Raises
    ------
    InputError
        Something does not belong to the process's beams.
    """
    name = process if isinstance(process, str) else process.name
    if name.split(">")[0].split() != ["p", "p"]:
        if isinstance(cuts, JetCuts) or pdf is not None or scale is not None:
            raise InputError(f"{name}: parton densities, a scale and cuts on jets are for 'p p > ...'")
        process = Process(process) if isinstance(process, str) else process
        return CrossSection(process, ENERGY[0] if energy is None else energy, cuts, phase_space, alpha_s)
    if isinstance(cuts, Cuts):
        raise InputError(f"{name}: the cuts of processes with protons are JetCuts")
    if phase_space != "channels":
        raise InputError(f"{name}: phase_space={phase_space!r} is for leptons, protons have 'channels'")
    if energy is not None and not isinstance(energy, int | float):
        raise InputError(f"{name}: the energy of protons is a number of GeV, got {energy!r}")
    energy = ENERGY[1] if energy is None else energy
    return HadronicCrossSection(
        name,
        energy,
        DEFAULT_PDF if pdf is None else pdf,
        cuts,
        DEFAULT_SCALE if scale is None else scale,
        alpha_s=alpha_s,
    )
