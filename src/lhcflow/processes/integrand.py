"""A cross section as a function on the unit cube."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np

from ..errors import InputError
from ..integration.flow_settings import FlowSettings
from .beam import Beams, EnergyScan, FixedEnergy, GaussianSpread
from .channels import GluonPoles, Multichannel
from .cuts import Cuts
from .events import Events, assign_flavours
from .flow_settings import LEPTONS
from .kinematics import boost, direction, massless, to_rest_frame
from .phase_space import PhaseSpace, Rambo
from .process import Process
from .providers import described

#: (hbar c)^2 in pb GeV^2 (PDG 2024).
GEV2_PB = 0.3893793721e9
SETUP = 2000, 4  # points per iteration, and iterations, that fix the channel weights


class CrossSection:
    """The integrand of a lepton collider's cross section: calling it gives pb, zero outside the cuts.

    The first ``beams.dim`` coordinates belong to the beams, the others to the phase space. The mean
    over the unit cube is the cross section.

    Parameters
    ----------
    process : Process
        With an electron and a positron coming in.
    energy : float or Beams
        Centre-of-mass energy in GeV, or `FixedEnergy`, `GaussianSpread`, `EnergyScan`.
    cuts : Cuts or mapping, optional
        The cuts, or their values by name; a process with a gluon diverges without any.
    phase_space : {"channels", "poles", "flat"} or PhaseSpace
        ``"channels"``: the three-channel map of `gluon_channels` on exactly the region that the
        cuts leave; ``"poles"``: the same channels on the larger region s_ij > y_cut s, with the cuts as
        steps in the integrand, as where no map knows the cuts; ``"flat"``: `Rambo`.
    alpha_s : float, optional
        By default that of the process.

    Raises
    ------
    InputError
        Wrong beams, no phase space left by the cuts, or a cross section that diverges.
    """

    def __init__(
        self,
        process: Process,
        energy: float | Beams = 91.188,
        cuts: Cuts | Mapping[str, float] | None = None,
        phase_space: str | PhaseSpace = "channels",
        alpha_s: float | None = None,
    ) -> None:
        self.process = process
        if not isinstance(energy, Real | FixedEnergy | GaussianSpread | EnergyScan):
            raise InputError(f"the energy must be a number of GeV or a description of beams, got {energy!r}")
        self.beams: Beams = FixedEnergy(float(energy)) if isinstance(energy, Real) else energy
        self.cuts = Cuts.of(cuts)
        changed = {} if alpha_s is None else {"alpha_s": alpha_s}
        self.alpha_s = replace(process.parameters, **changed).alpha_s
        incoming = {s.pdg[:2] for s in process.subprocesses}
        if not incoming <= {(11, -11), (-11, 11)}:
            raise InputError(f"{process.name}: events can be generated for e+ e- beams only, so far")
        if any(not (p.is_quark or p.name == "g") for s in process.subprocesses for p in s.outgoing):
            raise InputError(f"{process.name}: events can be generated for outgoing quarks and gluons only")
        bound = self.cuts.min_invariant(self.beams.highest)
        if process.n_final > 2 and not bound:
            raise InputError(
                f"{process.name} diverges without cuts: give y_cut or min_mass, as in Cuts(durham=0.01)"
            )
        self.cuts.check(process.n_final, self.beams.highest)
        #: The map's name, as it stands in a run card.
        self.map_name = phase_space if isinstance(phase_space, str) else described(phase_space)
        if isinstance(phase_space, str):
            phase_space = self._map(phase_space)
        if phase_space.n_final != process.n_final:
            raise InputError(
                f"{process.name} has {process.n_final} outgoing particles, "
                f"the phase space {phase_space.n_final}"
            )
        self.phase_space = phase_space

    def _map(self, name: str) -> PhaseSpace:
        highest = self.beams.highest
        if name == "flat":
            return Rambo(self.process.n_final)
        if name not in ("channels", "poles"):
            raise InputError(f"phase_space must be 'channels', 'poles' or 'flat', got {name!r}")
        if self.process.n_final != 3:
            raise InputError(f"phase_space={name!r} is for q q~ g; for {self.process.name} use 'flat'")
        region = self.cuts if name == "channels" else Cuts(jade=self.cuts.min_invariant(highest))
        return gluon_channels(self.process, region, self.beams.energy, highest)

    @property
    def name(self) -> str:
        """The process."""
        return self.process.name

    @property
    def first_coordinate(self) -> None:
        """Discrete variables: none."""
        return None

    @property
    def flow_settings(self) -> FlowSettings:
        """What suits a flow that is trained on it for events."""
        return LEPTONS

    @property
    def weights(self) -> np.ndarray | None:
        """Of the channels of the phase space, if it has any."""
        return self.phase_space.weights if isinstance(self.phase_space, Multichannel) else None

    def with_weights(self, weights: list[float] | np.ndarray) -> CrossSection:
        """The same cross section with other weights of the channels."""
        if not isinstance(self.phase_space, Multichannel):
            raise InputError(f"phase_space={self.map_name!r} has no channels to be weighted")
        maps = Multichannel(self.phase_space.channels, weights)
        other = CrossSection(self.process, self.beams, self.cuts, maps, self.alpha_s)
        other.map_name = self.map_name
        return other

    def optimised(self, seed: int | np.random.SeedSequence) -> tuple[CrossSection, int]:
        """With optimised weights of the channels, if it has any; and the evaluations that it took."""
        if not isinstance(self.phase_space, Multichannel):
            return self, 0
        return self.with_weights(optimised_weights(self, seed, *SETUP)), SETUP[0] * SETUP[1]

    @property
    def beam_particles(self) -> tuple[tuple[int, float], tuple[int, float]]:
        """PDG numbers and energies in GeV of the beams, as they stand in event files.

        Where the energy varies it is the highest: readers refuse particles with more than their beam.
        """
        incoming, energy = self.process.subprocesses[0].pdg, self.beams.highest / 2
        return (incoming[0], energy), (incoming[1], energy)

    @property
    def couplings(self) -> tuple[float, float]:
        """alpha and alpha_s."""
        return self.process.parameters.alpha, self.alpha_s

    def card(self) -> dict[str, Any]:
        """What defines the cross section, as plain numbers and strings."""
        return {
            "process": self.name,
            "beams": {"kind": type(self.beams).__name__, **vars(self.beams)},
            "cuts": self.cuts.card(),
            "parameters": {**vars(self.process.parameters), "alpha_s": self.alpha_s},
            "phase_space": self.map_name,
        }

    def events(self, u: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> Events:
        """Events at points `u` (n, dim) with `weights` (n,) in pb; flavours are drawn."""
        return assign_flavours(self.process, self.momenta(u), weights, rng)

    @property
    def dim(self) -> int:
        """Dimension of the unit cube."""
        return self.beams.dim + self.phase_space.dim

    @property
    def variables(self) -> tuple[str, ...]:
        """Names (dim,) of the coordinates, for axes of figures."""
        return (*(f"beam {i + 1}" for i in range(self.beams.dim)), *self.phase_space.variables)

    def __call__(self, u: np.ndarray) -> np.ndarray:
        """The integrand in pb, (n,), at points `u` (n, dim) of the unit cube."""
        return self.evaluate(u)[1]

    def momenta(self, u: np.ndarray) -> np.ndarray:
        """Momenta (n, particles, 4) in the laboratory at points `u` (n, dim), incoming first, GeV."""
        return self._kinematics(u)[0]

    def evaluate(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Momenta as from `momenta` and the integrand (n,) in pb."""
        momenta, final, sqrt_s, weight = self._kinematics(u)
        passed = self.cuts(final)
        value = np.zeros(len(momenta))
        if passed.any():
            density = self.phase_space.density(final[passed], sqrt_s[passed])
            squared = self.process.squared_amplitude(momenta[passed], self.alpha_s)
            value[passed] = squared / density * weight[passed] * GEV2_PB / (2 * sqrt_s[passed] ** 2)
        return momenta, value

    def _kinematics(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """All momenta in the laboratory, the outgoing ones at rest, sqrt(s) and the beams' weight."""
        u = np.asarray(u, dtype=np.float64)
        if u.ndim != 2 or u.shape[1] != self.dim:
            raise InputError(f"points must have shape (n, {self.dim}), got {u.shape}")
        first, second, weight = self.beams.sample(u[:, : self.beams.dim])
        sqrt_s = 2 * np.sqrt(first * second)
        final = self.phase_space.generate(u[:, self.beams.dim :], sqrt_s)
        momenta = np.zeros((len(u), 2 + self.process.n_final, 4))
        momenta[:, 0, 0] = momenta[:, 0, 3] = first
        momenta[:, 1, 0], momenta[:, 1, 3] = second, -second
        momenta[:, 2:] = self._laboratory(final, first, second)
        return momenta, final, sqrt_s, weight

    def _laboratory(self, final: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        if (first == second).all():
            return final
        total = np.zeros((len(final), 1, 4))
        total[:, 0, 0], total[:, 0, 3] = first + second, first - second
        return boost(final, total)


def gluon_channels(process: Process, cuts: Cuts, energy: float, highest: float | None = None) -> Multichannel:
    """The three channels for e+ e- -> q q~ g: quark and antiquark with weight 0.49 each, flat with 0.02.

    Parameters
    ----------
    energy : float
        Where the forward-backward asymmetry of the quarks is taken, GeV.
    cuts : Cuts
        The channels fill the region that these leave; the integrand may have stronger ones.
    highest : float, optional
        The highest energy of the beams, GeV; by default `energy`.
    """
    highest = energy if highest is None else highest
    # With a soft gluon across, |M|^2 of a quark along and against the first beam is as 2 + a to 2 - a.
    half, soft = energy / 2, 1e-6 * energy
    momenta = np.zeros((2, 5, 4))
    momenta[:, 0] = half, 0, 0, half
    momenta[:, 1] = half, 0, 0, -half
    cos = np.array([1.0, -1.0])
    momenta[:, 2:4, 1:] = half * direction(np.stack([cos, -cos], axis=1), np.zeros((2, 2)))
    momenta[:, 2:4, 0] = half
    momenta[:, 4] = massless(np.array([soft, 0.0, 0.0]))
    along, against = process.squared_amplitude(momenta)
    asymmetry = 2 * (along - against) / (along + against)
    return Multichannel(
        [
            GluonPoles(0, cuts, highest, asymmetry),
            GluonPoles(1, cuts, highest, -asymmetry),
            Rambo(3),
        ],
        [0.49, 0.49, 0.02],
    )


def optimised_weights(
    integrand: CrossSection, seed: int | np.random.SeedSequence = 0, points: int = 2000, iterations: int = 4
) -> np.ndarray:
    """Channel weights with the smallest variance, found before any other adaptation.

    Iterates alpha_i -> alpha_i sqrt(W_i), W_i the mean of g_i / g * weight^2
    (Kleiss, Pittau, hep-ph/9405257, section 3); weights under 0.001 become 0.

    Parameters
    ----------
    integrand : CrossSection
        Its phase space is a `Multichannel`; it is not changed.
    seed, points, iterations
        `points` evaluations of the integrand in each iteration.

    Returns
    -------
    ndarray
        Array (channels,), sum 1
    """
    maps = integrand.phase_space
    if not isinstance(maps, Multichannel):
        raise InputError("only the weights of a Multichannel phase space can be optimised")
    rng = np.random.default_rng(seed)
    alpha = maps.weights
    for _ in range(iterations):
        trial = Multichannel(maps.channels, alpha)
        f = CrossSection(integrand.process, integrand.beams, integrand.cuts, trial, integrand.alpha_s)
        u = rng.random((points, f.dim))
        momenta, weight = f.evaluate(u)
        good = weight > 0
        if not good.any():
            break
        total = momenta[good, :2].sum(axis=1)
        sqrt_s = np.sqrt(total[:, 0] ** 2 - total[:, 3] ** 2)
        g = trial.densities(to_rest_frame(momenta[good, 2:], total[:, None]), sqrt_s)
        variance = np.mean(g / (g @ alpha)[:, None] * weight[good, None] ** 2, axis=0)
        alpha = alpha * np.sqrt(variance)
        alpha = np.where(alpha < 1e-3 * alpha.sum(), 0, alpha)
        alpha = alpha / alpha.sum()
    return alpha
