"""What can be reproduced: a name, what it shows, where it was published, and the function that makes it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from ..plotting import Section


@dataclass(frozen=True)
class Outcome:
    """What came out.

    Attributes
    ----------
    sections : list of Section
        Tables and figures, with captions.
    results : dict of str to object
        The numbers of ``results.json``.
    warnings : tuple of str
        What must be known before the numbers.
    """

    sections: list[Section]
    results: dict[str, Any]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One published table or figure.

    Attributes
    ----------
    title : str
        What it shows.
    source : str
        Where it was published (arXiv id, number of table or figure).
    function : str
        ``"module:function"``, imported when it runs; ``function(seed, full, quiet)`` returns an
        `Outcome`. With ``full`` it has the published statistics, otherwise it takes some minutes.
    """

    title: str
    source: str
    function: str

    def run(self, seed: int, full: bool, quiet: bool) -> Outcome:
        """Make it."""
        module, _, name = self.function.partition(":")
        return getattr(import_module(module), name)(seed=seed, full=full, quiet=quiet)


ENTRIES = {
    "calo-noise": Entry(
        "CaloFlow: the loss with and without noise in the voxels",
        "2106.05285, section III (preprocessing)",
        "lhcflow.reproduce.noise:run",
    ),
    "calo-time": Entry(
        "CaloFlow: generation time against the number of showers",
        "2110.11377, table of generation times",
        "lhcflow.reproduce.generation_time:run",
    ),
    "integrals": Entry(
        "Integrals of the test functions, and calls to a relative error of 1e-4",
        "2001.05486, tables of section III",
        "lhcflow.reproduce.integrals:run",
    ),
    "layers": Entry(
        "A sample after each layer of a flow that has learned entangled circles",
        "2001.05486, the integrand of section III",
        "lhcflow.reproduce.layers:run",
    ),
    "three-jets": Entry(
        "e+ e- -> 3 jets: target and learned distribution of the five integration variables",
        "2001.05486, section IV",
        "lhcflow.reproduce.three_jets:run",
    ),
}


def find(name: str) -> Entry:
    """The entry of that name.

    Raises
    ------
    InputError
        If there is none.

    Examples
    --------
    >>> find("layers").source
    '2001.05486, the integrand of section III'
    """
    if name not in ENTRIES:
        raise InputError(f"there is nothing called {name!r} to reproduce; there are {', '.join(ENTRIES)}")
    return ENTRIES[name]
