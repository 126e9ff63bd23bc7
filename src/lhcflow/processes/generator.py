"""From a process to unweighted events: integrate, unweight, assign flavours, write."""

from __future__ import annotations

import copy
import gzip
import io
import json
import os
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import InputError, RunError
from ..files import plain, write_json
from ..integration import Result
from ..integration.blocks import GROUP, Plan, UnweightedBlocks, child, unweighted_blocks
from ..integration.flow_settings import FlowSettings
from ..integration.integrator import Integrator
from ..integration.sampler import Sampler
from ..integration.unweighting import Efficiency
from .bare import integrate_bare
from .beam import Beams
from .cuts import Cuts
from .differential import DifferentialCrossSection, differential
from .events import Events, joined
from .jet_cuts import JetCuts
from .lhe import check_name, write_events, write_lhe
from .masses import with_masses
from .pdf import Pdf
from .process import Process
from .providers import described

Method = Literal["auto", "vegas", "flow", "bare"]


class EventGenerator:
    """Unweighted parton-level events, with the cross section.

    Parameters
    ----------
    process : str, Process or DifferentialCrossSection
        Such as ``"e+ e- > j j j"`` or ``"p p > e+ ve j"``. A cross section brings all up to
        `phase_space` and `alpha_s`, `pdf`, `scale` with it: then they are not given.
    energy : float or Beams, optional
        Centre-of-mass energy in GeV, for leptons also `FixedEnergy`, `GaussianSpread` or
        `EnergyScan`; 91.188 GeV for leptons, 14 TeV for protons by default.
    cuts : Cuts, JetCuts or mapping, optional
        Needed by lepton processes with a gluon; `JetCuts` for protons. A mapping such as
        ``{"durham": 0.01}`` has the cuts by name.
    phase_space : {"channels", "poles", "flat"}
        The map that the sampler adapts to, see `CrossSection`; protons have "channels".
    method : {"auto", "vegas", "flow", "bare"}
        That of `lhcflow.integration.Integrator`; ``"bare"`` samples the phase-space map as it is.
    seed : int
        The same seed gives the same events.
    alpha_s : float, optional
        By default that of the process, or of the parton densities.
    channel_weights : sequence of float, optional
        Of the channels; by default they are optimised before the integration.
    settings : FlowSettings, optional
        The flow and its training; by default those of the cross section, see `flow_settings`.
    device : str, optional
        Where the flow is fitted, instead of that of `settings`: "cpu", "cuda" (or "gpu"), or "auto" for a
        GPU if there is one.
    pdf : path or Pdf, optional
        Of processes with protons, see `HadronicCrossSection`.
    scale : str or float, optional
        Of processes with protons, see `HadronicCrossSection`.

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
        cuts: Cuts | JetCuts | Mapping[str, float] | None = None,
        phase_space: str = "channels",
        method: Method = "auto",
        seed: int = 0,
        alpha_s: float | None = None,
        channel_weights: list[float] | None = None,
        settings: FlowSettings | None = None,
        *,
        pdf: str | os.PathLike[str] | Pdf | None = None,
        scale: str | float | None = None,
        device: str | None = None,
    ) -> None:
        if method not in ("auto", "vegas", "flow", "bare"):
            raise InputError(f"method must be 'auto', 'vegas', 'flow' or 'bare', got {method!r}")
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise InputError(f"the seed must be an integer >= 0, got {seed!r}")
        self.method: Method = method
        self.seed = seed = int(seed)
        if device is not None:
            device = _device(device)
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
        settings = f.flow_settings if settings is None else settings
        self._settings = replace(settings, device=_device(settings.device) if device is None else device)
        self._result: Result | None = None

    def with_method(self, method: Method) -> EventGenerator:
        """Another generator of the same events, with the channel weights found here."""
        other = copy.copy(self)
        other.method, other._result = method, None
        other._event_seed = np.random.SeedSequence(self.seed).spawn(3)[2]
        return other

    @property
    def result(self) -> Result:
        """Cross section in pb and the sampler, once `integrate` was called."""
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
        if weights is not None:
            card["channel_weights"] = weights
        if self.method in ("flow", "auto"):
            card["flow"] = {
                name: described(value) if callable(value) else plain(value)
                for name, value in vars(self._settings).items()
                if value is not None
            }
        return card

    def integrate(self, calls: int = 200_000, rtol: float | None = None, **options: Any) -> Result:
        """Integrate the cross section and train the sampler.

        Parameters
        ----------
        calls : int
            Evaluations of the integrand at most; those for the channel weights come on top.
        rtol : float, optional
            Stop when the relative error is smaller.
        options
            Further arguments of `lhcflow.integration.Integrator.integrate`, such as
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
        said = getattr(f, "warnings", None)
        if said is not None and result.sampler is not None:
            # Points of their own: the sampler's random numbers stay as they are.
            apart = Sampler(result.sampler.proposal, f, seed=child(self._event_seed, 2))
            result = result.with_(warnings=(*result.warnings, *said(apart.sample)))
        self._result = result.with_(calls=result.calls + self._setup_calls)
        return self._result

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what `integrate` found and the card: ``path`` (JSON); the sampler beside it (``.npz``)."""
        path = Path(path)
        self._sampler.save(path.with_suffix(".npz"))
        write_json(path, {"result": self.result.to_dict(), "card": self.card()})

    def load(self, path: str | os.PathLike[str]) -> Result:
        """Take over what `save` wrote; the same events follow as if it had been integrated here.

        Raises
        ------
        InputError
            The files are missing or damaged, or were saved by a generator with another card.
        """
        path = Path(path)
        sampler = Sampler.load(path.with_suffix(".npz"), self.cross_section)
        try:
            saved = json.loads(path.read_text())
            result, card = Result.from_dict(saved["result"], sampler), dict(saved["card"])
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError(f"{path} is not a result saved by lhcflow: remove it") from None
        mine = json.loads(json.dumps(plain(self.card())))
        different = sorted(name for name in {*card, *mine} if card.get(name) != mine.get(name))
        if different:
            raise InputError(f"{path} was saved by a generator with another {', '.join(different)}")
        self._result = result
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

    def generate(self, n: int, overweight: float = 1e-3, *, first: int = 0) -> Events:
        """`n` unweighted events.

        Event number k depends on the seed, `overweight` and what was integrated: not on `n`, nor on what was
        generated before. So the same call gives the same events; `first` gives others. Their weights have
        one factor in common, with which their mean is the cross section.

        Parameters
        ----------
        n : int
            At least 1.
        overweight : float
            Largest share of the cross section that may be carried by events with a weight above the
            maximum; those few keep a weight larger than the others'.
        first : int
            Number of the first event: ``generate(1000, first=1000)`` goes on after ``generate(1000)``.
        """
        found = self._blocks(n, overweight, first=first)
        return joined(list(self._events(found)))

    def write_lhe(
        self,
        path: str | os.PathLike[str],
        n: int,
        overweight: float = 1e-3,
        progress: Callable[[int, int], None] = lambda done, n: None,
        *,
        first: int = 0,
        masses: bool = True,
        workers: int = 1,
        client: Any = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> int:
        """Write the events of `generate` as a Les Houches event file, see `lhcflow.processes.write_lhe`.

        Where the energy varies, the beams in the file have the highest one; Pythia showers it with
        ``PDF:lepton = on``, and photons from the initial state carry what an event lacks.

        Parameters
        ----------
        path : path
            ``.lhe`` or ``.lhe.gz``; it appears only when complete.
        n, overweight, first
            As in `generate`.
        progress : callable, optional
            Called as ``progress(done, n)`` while events are unweighted.
        masses : bool
            Give outgoing c, b and charged leptons their masses, see `lhcflow.processes.masses`; False
            writes the massless momenta that the amplitudes saw. A warning says how many events have too
            little energy for them: these stay massless.
        workers, client, folder
            Processes or a Dask cluster that unweight, and a folder that keeps what is done; see
            `lhcflow.integration.blocks.unweighted_blocks`.

        Returns
        -------
        int
            Number of events.
        """
        check_name(path)
        found = self._blocks(
            n, overweight, first=first, workers=workers, client=client, folder=folder, progress=progress
        )
        massless = 0

        def batches() -> Iterator[Events]:
            nonlocal massless
            for events in self._events(found):
                if masses:
                    events, left = with_masses(events)
                    massless += left
                yield events

        written = self._write(path, batches(), self._unit(found) * found.largest)
        if massless:
            warnings.warn(
                f"{massless} of {n} events have too little energy for the masses of their particles and stay "
                "massless: Pythia may not keep their balance",
                RuntimeWarning,
                stacklevel=2,
            )
        return written

    def estimate(self, n: int, overweight: float = 1e-3) -> tuple[float, float]:
        """What `n` events would take, from the first 1,000.

        Returns
        -------
        seconds : float
            To unweight them in one process, and to write them.
        size : float
            Of a compressed event file, bytes.
        """
        plan = Plan.of(self._sampler, overweight, child(self._event_seed, 0))
        start = time.perf_counter()
        found = self._blocks(GROUP, overweight, plan=plan)
        packed = io.BytesIO()
        with gzip.GzipFile("", "wb", 6, packed, mtime=0) as file:
            text = io.TextIOWrapper(file, encoding="ascii", newline="\n")
            for events in self._events(found):
                write_events(text, with_masses(events)[0], *self.cross_section.couplings)
            text.flush()
            text.detach()
        return (time.perf_counter() - start) * n / GROUP, packed.tell() * n / GROUP

    def _blocks(self, n: int, overweight: float, *, first: int = 0, **options: Any) -> UnweightedBlocks:
        _check_number("events", n)
        if first:
            _check_number("the first event", first)
        seed = child(self._event_seed, 0)
        return unweighted_blocks(self._sampler, n, overweight, seed, first=first, **options)

    def _events(self, found: UnweightedBlocks) -> Iterator[Events]:
        """Events of each group of points; whole groups are made, so that no event depends on how many are."""
        unit = self._unit(found)
        for number, x, weight, wanted in found.groups():
            rng = np.random.default_rng(child(self._event_seed, 1, number))
            yield self.cross_section.events(x, unit * weight, rng)[wanted]

    def _unit(self, found: UnweightedBlocks) -> float:
        """With it the mean of the weights is the cross section in pb."""
        return float(self.result.mean) * found.n / found.sum

    def _write(self, path: str | os.PathLike[str], batches: Iterator[Events], largest: float) -> int:
        f = self.cross_section
        alpha, alpha_s = f.couplings
        return write_lhe(
            path,
            batches,
            beams=f.beam_particles,
            cross_section=float(self.result.mean),
            error=float(self.result.sdev),
            max_weight=largest,
            alpha=alpha,
            alpha_s=alpha_s,
            lhapdf_id=getattr(f, "lhapdf_id", None),
            card=self.card(),
        )


def _device(name: str) -> str:
    """The device itself: "auto" and "gpu" replaced, and InputError if it is not there."""
    import torch

    if not isinstance(name, str):
        raise InputError(f"the device is a name such as 'cpu' or 'cuda', got {name!r}")
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    name = name.lower().replace("gpu", "cuda")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise InputError(f"no device {name!r}: use 'cpu', 'cuda' or 'auto'")
    try:
        torch.empty(0, device=torch.device(name))
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"no device {name!r} here ({reason}): use 'cpu', 'cuda' or 'auto'") from None
    return name


def _check_number(name: str, n: int) -> None:
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise InputError(f"the number of {name} must be a positive integer, got {n!r}")
