"""Processes by name and their squared amplitudes."""

from collections.abc import Mapping

import numpy as np

from ..errors import InputError
from .couplings import Parameters
from .matrix_element import MatrixElement
from .structure import Structure, structure
from .subprocesses import Subprocess, of_protons, subprocesses

__all__ = ["Process", "Subprocess"]


class Process:
    """A scattering process at leading order and its squared amplitude.

    Built in are all crossings of one lepton pair (gamma*/Z with interference and the Z width, or W) with one
    quark line and up to three gluons or two quark lines and up to one gluon: ``e+ e- > u u~ g``,
    ``u d~ > e+ ve g g g``, ``g u > e+ ve d s s~``. ``j`` stands for u, d, s, c, b, their antiquarks and the
    gluon; ``e+ e- > j j j`` is the sum of five subprocesses whose momenta are in the order quark, antiquark,
    gluon. Quarks and leptons are massless, the CKM matrix is diagonal.

    Parameters
    ----------
    process : str
        Names as in MadGraph, separated by blanks, ``>`` between incoming and outgoing.
    parameters : mapping or Parameters, optional
        Parameters to be changed, such as ``{"alpha_s": 0.12}``.

    Raises
    ------
    InputError
        The name is not a process, breaks a conservation law, or is not built in.

    Examples
    --------
    >>> Process("e+ e- > j j j").subprocesses[0].pdg
    (-11, 11, 2, -2, 21)
    """

    def __init__(self, process: str, parameters: Parameters | Mapping[str, float] | None = None) -> None:
        protons = of_protons(process)
        self.name = " ".join(process.split())
        self.parameters = Parameters.of(parameters)
        if protons:
            raise InputError(
                f"{process!r} has protons: a Process has partons, as in 'u d~ > e+ ve g'; "
                "for cross sections of protons there is HadronicCrossSection"
            )
        self.subprocesses = subprocesses(self.name)
        # Subprocesses with the same structure have the same |M|^2: d, s and b differ in name only.
        self._groups: dict[Structure, list[int]] = {}
        for i, subprocess in enumerate(self.subprocesses):
            found = structure(subprocess.incoming, subprocess.outgoing)
            if found is None:
                raise InputError(
                    f"{subprocess} is not there yet: the built-in amplitudes have one lepton pair and "
                    "massless quarks, one line of them with up to three gluons or two with up to one"
                )
            self._groups.setdefault(found, []).append(i)
        self._elements = {s: MatrixElement(s, self.parameters) for s in self._groups}

    def __repr__(self) -> str:
        return f"Process({self.name!r}, {len(self.subprocesses)} subprocesses, {self.parameters})"

    @property
    def elements(self) -> tuple[MatrixElement, ...]:
        """The different matrix elements of the subprocesses."""
        return tuple(self._elements.values())

    @property
    def n_final(self) -> int:
        """Number of outgoing particles."""
        return len(self.subprocesses[0].outgoing)

    def squared_amplitude(
        self, momenta: np.ndarray, alpha_s: float | np.ndarray | None = None, random: np.ndarray | None = None
    ) -> np.ndarray:
        """|M|^2 averaged over initial and summed over final spins and colours, and over subprocesses.

        Parameters
        ----------
        momenta : array (n, particles, 4)
            (E, px, py, pz) in GeV, incoming first, all massless.
        alpha_s : float or array (n,), optional
            The strong coupling; by default that of the parameters.
        random : array (n, gluons), optional
            Uniform in [0, 1): a random polarisation of each gluon instead of their sum, right on average; see
            `MatrixElement.squared`. `gluons` is the largest number of them in a subprocess.

        Returns
        -------
        ndarray
            Array (n,), float64 In GeV^(8 - 2 * particles).

        Raises
        ------
        InputError
            The momenta have another shape, are not finite, or have negative energies; or `alpha_s` or
            `random` has another shape.
        """
        return self.squared_amplitudes(momenta, alpha_s, random).sum(axis=1)

    def squared_amplitudes(
        self, momenta: np.ndarray, alpha_s: float | np.ndarray | None = None, random: np.ndarray | None = None
    ) -> np.ndarray:
        """As `squared_amplitude`, one column per subprocess: (n, subprocesses)."""
        momenta = self._checked(momenta)
        coupling = self.parameters.alpha_s if alpha_s is None else alpha_s
        if np.shape(coupling) not in ((), (len(momenta),)):
            raise InputError(f"alpha_s must be a number or {len(momenta)} of them, got {np.shape(coupling)}")
        if random is not None:
            random, shape = np.asarray(random), (len(momenta), max(len(s.gluons) for s in self._groups))
            if random.shape != shape:
                raise InputError(f"random numbers must have shape {shape}, got {random.shape}")
        result = np.empty((len(momenta), len(self.subprocesses)))
        for found, members in self._groups.items():
            result[:, members] = self._elements[found].squared(momenta, coupling, random)[:, None]
        return result

    def _checked(self, momenta: np.ndarray) -> np.ndarray:
        momenta = np.asarray(momenta, dtype=np.float64)
        particles = 2 + self.n_final
        if momenta.ndim != 3 or momenta.shape[1:] != (particles, 4):
            raise InputError(
                f"momenta of {self.name} must have shape (n, {particles}, 4), got {momenta.shape}"
            )
        if not np.isfinite(momenta).all():
            raise InputError(f"{int((~np.isfinite(momenta)).sum())} components of the momenta are not finite")
        if (momenta[..., 0] < 0).any():
            raise InputError("momenta have negative energies: incoming particles are given with E > 0 too")
        return momenta
