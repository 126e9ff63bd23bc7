"""From a process to unweighted events: integrate, unweight, assign flavours, write."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import InputError, RunError
from ..files import write_json
from ..integration import Result
from ..integration.flow_training import FlowSettings
from ..integration.integrator import Integrator
from ..integration.sampler import Sampler
from ..integration.unweighting import Efficiency
from .bare import integrate_bare
from .beam import Beams
from .channels import Multichannel
from .couplings import Parameters
from .cuts import Cuts
from .events import Events, assign_flavours
from .integrand import CrossSection, optimised_weights
from .lhe import write_lhe
from .process import Process

Method = Literal["auto", "vegas", "flow", "bare"]
BATCH = 20_000
SETUP = 2000, 4  # points per iteration, and iterations, that fix the channel weights


class EventGenerator:
    """Unweighted parton-level events of a lepton collider, with the cross section.

    Parameters
    ----------
    process : str or Process
        Such as ``"e+ e- > j j j"``.
    energy : float or Beams
        Centre-of-mass energy in GeV, or :class:`FixedEnergy`, :class:`GaussianSpread`, :class:`EnergyScan`.
    cuts : Cuts
        Needed by processes with a gluon.
    phase_space : {"channels", "poles", "flat"}
        The map that the sampler adapts to, see :class:`CrossSection`.
    method : {"auto", "vegas", "flow", "bare"}
        That of :class:`lhcflow.integration.Integrator`; ``"bare"`` samples the phase-space map as it is.
    seed : int
        The same seed gives the same events.
    alpha_s : float, optional
        By default that of the process.
    channel_weights : sequence of float, optional
        Of the three channels; by default they are optimised before the integration.
    settings : FlowSettings, optional
        The flow and its training; by default most of the calls train it, since events need the sampler.

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
        process: str | Process,
        energy: float | Beams = 91.188,
        cuts: Cuts | None = None,
        phase_space: str = "channels",
        method: Method = "auto",
        seed: int = 0,
        alpha_s: float | None = None,
        channel_weights: list[float] | None = None,
        settings: FlowSettings | None = None,
    ) -> None:
        self.process = Process(process) if isinstance(process, str) else process
        if method not in ("auto", "vegas", "flow", "bare"):
            raise InputError(f"method must be 'auto', 'vegas', 'flow' or 'bare', got {method!r}")
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise InputError(f"the seed must be an integer >= 0, got {seed!r}")
        self.method: Method = method
        self.seed = seed
        self._settings = settings or FlowSettings(share=0.8)
        setup, sampling, self._event_seed = np.random.SeedSequence(seed).spawn(3)
        self._sampling_seed = int(sampling.generate_state(1)[0])
        f = CrossSection(self.process, energy, cuts, phase_space, alpha_s)
        self._setup_calls = 0
        if isinstance(f.phase_space, Multichannel):
            weights = channel_weights
            if weights is None:
                weights = optimised_weights(f, setup, *SETUP)
                self._setup_calls = SETUP[0] * SETUP[1]
            maps = Multichannel(f.phase_space.channels, weights)
            f = CrossSection(self.process, f.beams, f.cuts, maps, f.alpha_s)
        elif channel_weights is not None:
            raise InputError(f"phase_space={phase_space!r} has no channels to be weighted")
        #: The integrand on the unit cube, in pb.
        self.cross_section = f
        self._phase_space_name = phase_space
        self._result: Result | None = None

    @property
    def parameters(self) -> Parameters:
        return self.process.parameters

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
        weights = f.phase_space.weights.tolist() if isinstance(f.phase_space, Multichannel) else None
        return {
            "process": self.process.name,
            "beams": {"kind": type(f.beams).__name__, **vars(f.beams)},
            "cuts": f.cuts.card(),
            "parameters": {**vars(self.parameters), "alpha_s": f.alpha_s},
            "phase_space": self._phase_space_name,
            "method": self.method,
            "seed": self.seed,
        } | ({"channel_weights": weights} if weights else {})

    def integrate(self, calls: int = 200_000, rtol: float | None = None, **options: Any) -> Result:
        """Integrate the cross section and train the sampler.

        Parameters
        ----------
        calls : int
            Evaluations of the integrand at most; the 8,000 for the channel weights come on top.
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
                f.dim, seed=self._sampling_seed, method=self.method, settings=self._settings
            )
            result = integrator.integrate(f, calls=calls, rtol=rtol, **options)
        if not float(result.mean) > 0:
            raise RunError(f"none of {result.calls} points passed the cuts {f.cuts.card()}: loosen them")
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
        points, weights = self._unweighted(n, overweight)
        rng = self._rng()
        return self._events(points, weights, rng)

    def write_lhe(
        self,
        path: str | os.PathLike[str],
        n: int,
        overweight: float = 1e-3,
        progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Write `n` unweighted events as a Les Houches event file, see :func:`write_lhe`.

        Where the energy varies, the beams in the file have the highest one; Pythia showers it with
        ``PDF:lepton = on``, and photons from the initial state carry what an event lacks.

        Parameters
        ----------
        path : path
            ``.lhe`` or ``.lhe.gz``; it appears only when complete.
        progress : callable, optional
            Called as ``progress(done, n)``.

        Returns
        -------
        int
            Number of events.
        """
        points, weights = self._unweighted(n, overweight)
        rng = self._rng()

        def batches() -> Iterator[Events]:
            for start in range(0, n, BATCH):
                part = slice(start, start + BATCH)
                yield self._events(points[part], weights[part], rng)
                if progress is not None:
                    progress(min(start + BATCH, n), n)

        # Where the energy varies no particle may have more than its beam: readers refuse that.
        incoming, energy = self.process.subprocesses[0].pdg, self.cross_section.beams.highest / 2
        return write_lhe(
            path,
            batches(),
            beams=((incoming[0], energy), (incoming[1], energy)),
            cross_section=float(self.result.mean),
            error=float(self.result.sdev),
            max_weight=float(weights.max()),
            unweighted=bool(np.ptp(weights) == 0),
            alpha=self.parameters.alpha,
            alpha_s=self.cross_section.alpha_s,
            card=self.card(),
        )

    def _unweighted(self, n: int, overweight: float) -> tuple[np.ndarray, np.ndarray]:
        """Points (n, dim) in the unit cube and their weights (n,) in pb, whose mean is the cross section."""
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise InputError(f"the number of events must be a positive integer, got {n!r}")
        points = self._sampler.unweight(n, overweight=overweight)
        return points.x, points.weight * (float(self.result.mean) / points.weight.mean())

    def _events(self, points: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> Events:
        return assign_flavours(self.process, self.cross_section.momenta(points), weights, rng)

    def _rng(self) -> np.random.Generator:
        return np.random.default_rng(self._event_seed.spawn(1)[0])
