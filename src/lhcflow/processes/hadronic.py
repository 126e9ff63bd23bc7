"""Cross sections of proton-proton collisions as functions on the unit cube."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Mapping
from itertools import permutations
from typing import Any, Literal

import numpy as np

from ..errors import InputError
from ..integration.categories import Categories
from ..integration.flow_settings import FlowSettings
from .beam import check_energy
from .boson_jets import BosonJets, Resonance
from .category_shares import improved_shares
from .choice import chosen
from .couplings import Parameters
from .events import Events
from .flow_settings import CHANNELS, ONE_CHANNEL
from .integrand import GEV2_PB
from .jet_cuts import JetCuts
from .luminosities import Luminosities, of_pairs
from .outside_grid import POINTS_OUTSIDE, may_leave_grid, outside_grid
from .particles import by_pdg
from .partonic import PartonicGroup, partonic_channels
from .pdf import Pdf
from .providers import AmplitudeProvider, fingerprint
from .scales import Scale
from .subprocesses import of_protons

DEFAULT_PDF = "NNPDF31_nnlo_as_0118_luxqed"
DEFAULT_SCALE = "m_t"
ITERATIONS, POINTS = 5, 1000  # that fix the shares of categories; points for five of them, per iteration


class HadronicCrossSection:
    """The integrand of p p -> two leptons + jets: calling it gives pb, zero outside the cuts.

    A point of the unit cube is a point of one channel of `BosonJets`. The value is the sum over all
    partonic channels; or a group of them is chosen like a channel of phase space. If there is anything to
    choose, the first coordinate does: category k has the share ``weights[k]`` of it. Channels that differ
    only by an exchange of jets which a chosen group does not tell apart are one category: the first of them
    is sampled, for all.

    Parameters
    ----------
    process : str
        Such as ``"p p > e+ ve j"``: a pair of leptons and 0 to 3 times ``j``.
    energy : float
        Of the collision, GeV.
    pdf : str, path or Pdf
        Parton densities; alpha_s is theirs unless `alpha_s` fixes it.
    cuts : JetCuts or mapping, optional
        The cuts, or those that differ from the default by name.
    scale : str or float
        Renormalisation and factorisation scale, see `Scale`.
    parameters : mapping or Parameters, optional
        Electroweak parameters to be changed.
    alpha_s : float, optional
        A coupling that does not run.
    weights : array (categories,), optional
        Even ones if None; see `optimised`.
    providers : mapping of str to AmplitudeProvider, optional
        Amplitudes from elsewhere, by the process of the group that they stand for, such as
        ``"u d~ > e+ ve g"`` (see `groups`); they see momenta as that process has them.
    partons : {"summed", "sampled"}
        Partonic channels are summed at each point, which makes weights that vary much less, or one group of
        them is chosen: for amplitudes so slow that dozens of them cost more than that.

    Attributes
    ----------
    groups : list
        The partonic channels, those with equal |M|^2 together.
    categories : Categories or None
        List of (number of the group or None for all, number of the channel), groups in turn.

    Raises
    ------
    InputError
        The process is not of this kind, or the cuts leave nothing.
    """

    def __init__(
        self,
        process: str,
        energy: float = 14000.0,
        pdf: str | os.PathLike[str] | Pdf = DEFAULT_PDF,
        cuts: JetCuts | Mapping[str, float] | None = None,
        scale: str | float = DEFAULT_SCALE,
        parameters: Parameters | Mapping[str, float] | None = None,
        alpha_s: float | None = None,
        weights: np.ndarray | list[float] | None = None,
        providers: Mapping[str, AmplitudeProvider] | None = None,
        partons: Literal["summed", "sampled"] = "summed",
    ) -> None:
        if not of_protons(process):
            raise InputError(f"{process!r}: a hadronic cross section starts with 'p p >'")
        check_energy("the energy", energy)
        if alpha_s is not None:
            alpha_s = Parameters(alpha_s=alpha_s).alpha_s  # a positive number
        if partons not in ("summed", "sampled"):
            raise InputError(f"partons must be 'summed' or 'sampled', got {partons!r}")
        self.name = " ".join(process.split())
        self.parameters = Parameters.of(parameters)
        self.energy, self.cuts, self.scale = float(energy), JetCuts.of(cuts), Scale(scale)
        self.alpha_s, self.partons = alpha_s, partons
        self.groups = _with_providers(partonic_channels(self.name, self.parameters), providers)
        final = self.groups[0].pdg[2:]
        leptons = [2 + i for i, pdg in enumerate(final) if by_pdg(pdg).is_lepton]
        self.jets = [2 + i for i, pdg in enumerate(final) if not by_pdg(pdg).is_lepton]
        if len(leptons) != 2:
            raise InputError(f"{process!r}: a hadronic cross section needs two leptons and jets")
        self.leptons = leptons
        self.charged = [i for i in leptons if by_pdg(self.groups[0].pdg[i]).charge]
        self.neutral = [i for i in leptons if i not in self.charged]
        charge = int(sum(by_pdg(self.groups[0].pdg[i]).charge for i in leptons))
        p = self.parameters
        #: PDG number of the boson that the leptons come from.
        self.boson = 24 * charge if charge else 23
        resonance = Resonance(p.mw, p.ww) if charge else Resonance(p.mz, p.wz, photon=True)
        self.phase_space = BosonJets(len(self.jets), self.energy, resonance, self.cuts)
        self.pdf = pdf if isinstance(pdf, Pdf) else Pdf(pdf)
        if self.jets and alpha_s is None:
            self.pdf.alpha_s(np.array([self.parameters.mz]))  # a set without alpha_s is refused here
        self._luminosities = Luminosities(self.groups, self.pdf)
        groups = [None] if partons == "summed" else list(range(len(self.groups)))
        first = [self._representatives(g) for g in groups]
        self.categories = [(g, c) for g, row in zip(groups, first, strict=True) for c in sorted(set(row))]
        number = {category: k for k, category in enumerate(self.categories)}
        self._group = np.array([0 if g is None else g for g, _ in self.categories])
        # category of each group (or all) and channel, (rows, channels), and how many channels it stands for
        self.category_of = np.array(
            [[number[g, c] for c in row] for g, row in zip(groups, first, strict=True)]
        )
        self.members = np.bincount(self.category_of.ravel())
        self.weights = self._normalised(weights)
        # of the phase space: leptons, jets
        self._order = np.array([0, 1, *leptons, *self.jets])

    def _representatives(self, group: int | None) -> list[int]:
        """For each channel the first of those that differ from it by an exchange of equal jets."""
        histories = self.phase_space.channels
        if group is None:
            return list(range(len(histories)))
        # jets are numbered as the process has them; members of a group agree on which are equal
        flavours = [int(self.groups[group].members[0][i]) for i in self.jets]
        same = [
            p
            for p in permutations(range(len(flavours)))
            if all(flavours[i] == flavours[j] for i, j in enumerate(p))
        ]
        return [min(histories.index(h.relabelled(p)) for p in same) for h in histories]

    def shares(self) -> np.ndarray:
        """Weights (rows, channels) of the channels' densities, rows being groups or, summed, all of them."""
        return (self.weights / self.members)[self.category_of]

    def _normalised(self, weights: np.ndarray | list[float] | None) -> np.ndarray:
        count = len(self.categories)
        alpha = np.ones(count) if weights is None else np.array(weights, dtype=float)
        if alpha.shape != (count,) or not np.isfinite(alpha).all() or (alpha < 0).any() or not alpha.any():
            raise InputError(f"{count} categories need as many weights >= 0 with a sum > 0")
        return alpha / alpha.sum()

    def with_weights(self, weights: list[float] | np.ndarray) -> HadronicCrossSection:
        """The same cross section with other shares of the categories."""
        other = copy.copy(self)
        other.weights = self._normalised(weights)
        return other

    def optimised(self, seed: int | np.random.SeedSequence) -> tuple[HadronicCrossSection, int]:
        """With optimised shares of the categories, if there are any; and the evaluations that it took."""
        if not self.discrete:
            return self, 0
        points = POINTS * max(len(self.categories) // 5, 2)
        rng, found = np.random.default_rng(seed), self
        for _ in range(ITERATIONS):
            u = rng.random((points, self.dim))
            momenta, value = found.evaluate(u)
            good = np.flatnonzero(value)
            if not len(good):
                break
            category = self.category_of[self._group[found.category(u[good])]]
            densities = self.phase_space.densities(self.in_phase_space(momenta[good]))
            squares = value[good] ** 2 / points
            shares = improved_shares(found.weights, category, self.members, densities, squares)
            found = found.with_weights(shares)
        return found, points * ITERATIONS

    @property
    def beam_particles(self) -> tuple[tuple[int, float], tuple[int, float]]:
        """PDG numbers and energies in GeV of the beams, as they stand in event files."""
        return (2212, self.energy / 2), (2212, self.energy / 2)

    @property
    def couplings(self) -> tuple[float, float]:
        """alpha, and alpha_s at the Z mass."""
        alpha_s = self.coupling(np.array([self.parameters.mz]))
        return self.parameters.alpha, float(alpha_s[0])

    @property
    def lhapdf_id(self) -> int | None:
        """The densities' number in LHAPDF's list, as it stands in event files; None if it is not known."""
        return self.pdf.lhapdf_id

    @property
    def discrete(self) -> bool:
        """Whether the first coordinate chooses a category."""
        return len(self.categories) > 1

    @property
    def first_coordinate(self) -> Categories | None:
        """The categories that the first coordinate stands for, labelled by group and channel; or None."""
        if not self.discrete:
            return None
        return Categories(self.weights, np.array([(0 if g is None else g, c) for g, c in self.categories]))

    @property
    def flow_settings(self) -> FlowSettings:
        """What suits a flow that is trained on it for events."""
        return CHANNELS if self.discrete else ONE_CHANNEL

    @property
    def dim(self) -> int:
        """Dimension of the unit cube."""
        return self.phase_space.dim + self.discrete

    @property
    def variables(self) -> tuple[str, ...]:
        """Names (dim,) of the coordinates, for axes of figures."""
        return (r"\mathrm{channel}",) * self.discrete + self.phase_space.variables

    def card(self) -> dict[str, Any]:
        """What defines the cross section, as plain numbers and strings."""
        parameters = vars(self.parameters) | ({} if self.alpha_s is None else {"alpha_s": self.alpha_s})
        if self.alpha_s is None:
            parameters.pop("alpha_s")  # the densities' own
        providers = {g.process: fingerprint(g.provider) for g in self.groups if g.provider is not None}
        return {
            "process": self.name,
            "energy": self.energy,
            **self.pdf.card(),
            "scale": str(self.scale),
            "cuts": self.cuts.card(),
            "parameters": parameters,
            "phase_space": "channels",
            "partons": self.partons,
        } | ({"providers": providers} if providers else {})

    def warnings(self, sample: Callable[[int], tuple[np.ndarray, np.ndarray]]) -> tuple[str, ...]:
        """What must be said of the cross section: how much of it comes from outside the densities' grid.

        Parameters
        ----------
        sample : callable
            Of a number of points; gives points (n, dim) of the unit cube and weights (n,) whose mean is the
            cross section, see `Sampler.sample`. Not called where no point can leave the grid.
        """
        coupling = self.pdf.coupling.q_range if self.jets and self.alpha_s is None else None
        if not may_leave_grid(self.pdf, self.cuts, self.scale, self.energy, coupling):
            return ()
        u, weights = sample(POINTS_OUTSIDE)
        momenta, _, _ = self.momenta(u)
        x = 2 * momenta[:, :2, 0] / self.energy
        return outside_grid(self.pdf, x, self.scales(momenta), weights, coupling)

    def __call__(self, u: np.ndarray) -> np.ndarray:
        """The integrand in pb, (n,), at points `u` (n, dim) of the unit cube."""
        return self.evaluate(u)[1]

    def category(self, u: np.ndarray) -> np.ndarray:
        """Numbers (n,) of the categories that points `u` (n, dim) belong to."""
        if not self.discrete:
            return np.zeros(len(u), dtype=np.intp)
        edges = np.cumsum(self.weights)
        last = np.flatnonzero(self.weights)[-1]  # rounding and u = 1 must not choose a closed category
        return np.searchsorted(edges[:last], u[:, 0], side="right")

    def momenta(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Momenta (n, particles, 4) at points `u`, which of them exist (n,), and their categories (n,).

        Laboratory, GeV, incoming partons first, the outgoing in the order of the process; at one azimuth for
        all, see `BosonJets`. Where there are categories, the place within the category's interval
        chooses one of the two images with opposite py.
        """
        u = np.asarray(u, dtype=float)
        if u.ndim != 2 or u.shape[1] != self.dim:
            raise InputError(f"points must have shape (n, {self.dim}), got {u.shape}")
        category = self.category(u)
        channel = np.array([c for _, c in self.categories])[category]
        momenta, good = np.zeros((len(u), self.phase_space.particles, 4)), np.zeros(len(u), dtype=bool)
        inner = u[:, 1:] if self.discrete else u
        for c in np.unique(channel):
            mine = np.flatnonzero(channel == c)
            momenta[mine], good[mine] = self.phase_space.generate(inner[mine], int(c))
        if self.discrete:
            ends = np.cumsum(self.weights)
            momenta[ends[category] - u[:, 0] > self.weights[category] / 2, :, 2] *= -1
        return _reordered(momenta, np.argsort(self._order)), good, category

    def evaluate(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Momenta as from `momenta` and the integrand (n,) in pb."""
        momenta, passed, category = self.momenta(u)
        value = np.zeros(len(momenta))
        index = np.flatnonzero(passed)
        index = index[self.cuts(momenta[index], self.jets, self.charged, self.neutral)]
        if len(index):
            group = self._group[category[index]]
            differential = self._differential(momenta[index], group)
            value[index] = differential / self._density(momenta[index], group)
        return momenta, value

    def _density(self, momenta: np.ndarray, group: np.ndarray) -> np.ndarray:
        """Density (n,) of the points within what is chosen with them: sum_c alpha_gc g_c(p)."""
        densities = self.phase_space.densities(self.in_phase_space(momenta))
        return np.einsum("nc,nc->n", densities, self.shares()[group])

    def in_phase_space(self, momenta: np.ndarray) -> np.ndarray:
        """`momenta` (n, particles, 4) in the order of the phase space: leptons, jets."""
        return _reordered(momenta, self._order)

    def _differential(self, momenta: np.ndarray, group: np.ndarray) -> np.ndarray:
        """d sigma / dx1 dx2 dPhi (n,) in pb: of all groups, or of the one that is sampled (n,)."""
        f1, f2, alpha_s, flux = self._partons(momenta)
        if self.partons == "summed":
            return flux * sum(self._terms(momenta, f1, f2, alpha_s))
        result = np.empty(len(momenta))
        for g in np.unique(group):
            mine = np.flatnonzero(group == g)
            luminosity = of_pairs(self.groups[g], self.pdf, f1[mine], f2[mine]).sum(axis=1)
            squared = self.groups[g].squared_amplitude(momenta[mine], alpha_s[mine])
            result[mine] = flux[mine] * luminosity * squared
        return result

    def contributions(self, momenta: np.ndarray) -> np.ndarray:
        """d sigma / dx1 dx2 dPhi in pb of each group, (n, groups), at `momenta` (n, particles, 4)."""
        f1, f2, alpha_s, flux = self._partons(momenta)
        return np.stack(list(self._terms(momenta, f1, f2, alpha_s)), axis=1) * flux[:, None]

    def _terms(
        self, momenta: np.ndarray, f1: np.ndarray, f2: np.ndarray, alpha_s: np.ndarray
    ) -> Iterator[np.ndarray]:
        """Luminosity times |M|^2 (n,) of each group in turn."""
        for group, luminosity in zip(self.groups, self._luminosities(f1, f2), strict=True):
            yield luminosity * group.squared_amplitude(momenta, alpha_s)

    def _partons(self, momenta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Densities x f (n, 14) of both beams, alpha_s (n,), and (hbar c)^2 / (2 s x1 x2) in units of x f."""
        x1, x2 = (2 * momenta[:, i, 0] / self.energy for i in (0, 1))
        q = self.scales(momenta)
        flux = GEV2_PB / (2 * x1 * x2 * self.energy**2) / (x1 * x2)
        return self.pdf.xfx(x1, q), self.pdf.xfx(x2, q), self.coupling(q), flux

    def scales(self, momenta: np.ndarray) -> np.ndarray:
        """Renormalisation and factorisation scale (n,) in GeV."""
        return self.scale(momenta, self.leptons, self.jets)

    def coupling(self, q: np.ndarray) -> np.ndarray:
        """alpha_s (n,) at scales `q` (n,) in GeV."""
        if self.alpha_s is not None or not self.jets:
            return np.full(len(q), self.parameters.alpha_s if self.alpha_s is None else self.alpha_s)
        return self.pdf.alpha_s(q)

    def events(self, u: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> Events:
        """Events at points `u` (n, dim) with `weights` (n,) in pb.

        Partons, colours, azimuths and mirror images are drawn.
        """
        momenta, _, category = self.momenta(u)
        group = self._group[category]
        if self.partons == "summed":
            group = chosen(self.contributions(momenta), rng.random(len(momenta)))
        f1, f2, alpha_s, _ = self._partons(momenta)
        pdg = np.zeros(momenta.shape[:2], dtype=np.int64)
        colours = np.zeros((*momenta.shape[:2], 2), dtype=np.int64)
        for g in np.unique(group):
            mine = np.flatnonzero(group == g)
            partons = self.groups[g]
            pairs, multiplicity = partons.initial_states
            luminosities = of_pairs(partons, self.pdf, f1[mine], f2[mine])
            pair = chosen(luminosities, rng.random(len(mine)))
            within = (rng.random(len(mine)) * multiplicity[pair]).astype(np.intp)
            rows = [np.flatnonzero((partons.members[:, :2] == p).all(axis=1)) for p in pairs]
            pdg[mine] = partons.members[[rows[i][j] for i, j in zip(pair, within, strict=True)]]
            colours[mine] = partons.colour_flows(momenta[mine], rng.random(len(mine)))
        _turn(momenta, rng, mirrored=not self.discrete)
        mirror = rng.random(len(momenta)) < 0.5  # each point stands for itself and its mirror image
        momenta[mirror, :, 3] *= -1
        for array in (momenta, pdg, colours):
            array[mirror, :2] = array[mirror, 1::-1]
        return Events(
            momenta,
            pdg,
            colours,
            np.asarray(weights, dtype=float),
            self.scales(momenta),
            alpha_s=alpha_s,
            resonance=(self.boson, (self.leptons[0], self.leptons[1])),
        )


def _with_providers(
    groups: list[PartonicGroup], providers: Mapping[str, AmplitudeProvider] | None
) -> list[PartonicGroup]:
    """The groups with amplitudes from elsewhere in the places of those that are named."""
    if providers is None:
        return groups
    known = [group.process for group in groups]
    for name in providers:
        if name not in known:
            raise InputError(f"no amplitude of {name!r} is needed: those needed are {', '.join(known)}")
    return [group.with_provider(providers.get(group.process)) for group in groups]


def _turn(momenta: np.ndarray, rng: np.random.Generator, mirrored: bool) -> None:
    """Turn events around the beam by random angles; if `mirrored`, half of them into images with opposite py.

    |M|^2 with one line of quarks, or with a W, is the same for both: reversing all helicities conjugates its
    amplitudes. Two lines and a Z are not, as photon and Z interfere with a phase: a coordinate chooses there.
    """
    angle = 2 * np.pi * rng.random(len(momenta))
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y = momenta[:, :, 1].copy(), momenta[:, :, 2].copy()
    if mirrored:
        y *= rng.choice((-1.0, 1.0), len(momenta))[:, None]
    momenta[:, :, 1], momenta[:, :, 2] = cos * x - sin * y, sin * x + cos * y


def _reordered(momenta: np.ndarray, order: np.ndarray) -> np.ndarray:
    """``momenta[:, order]``; without a copy where nothing moves."""
    return momenta if (np.diff(order) == 1).all() else momenta[:, order]
