"""Les Houches event files, version 3 (hep-ph/0609017, 1405.1067), compressed and written as a stream."""

import gzip
import io
import json
import os
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

import numpy as np

from ..errors import InputError
from ..files import atomic_write
from ..outputs import LHE, check_output
from .events import Events

STRATEGY = -4  # IDWTUP


def write_lhe(
    path: str | os.PathLike[str],
    batches: Iterable[Events],
    *,
    beams: tuple[tuple[int, float], tuple[int, float]],
    cross_section: float,
    error: float,
    max_weight: float,
    alpha: float,
    alpha_s: float,
    lhapdf_id: int | None = None,
    card: Mapping[str, Any] | None = None,
) -> int:
    """Write events batch by batch; the file appears under its name only when it is complete.

    The weighting strategy IDWTUP is -4: every event has its weight in pb, which may be negative, and their
    mean is the cross section (hep-ph/0109068, section 2.1); nearly all of ours are equal. MadGraph writes
    files in this way, too.

    Parameters
    ----------
    path : path
        Compressed if it ends in ``.gz``.
    batches : iterable of Events
        Written as they come.
    beams : ((pdg, energy), (pdg, energy))
        The beam particles and their nominal energies in GeV.
    cross_section, error, max_weight : float
        pb; the largest |weight|.
    alpha, alpha_s : float
        Couplings written with every event; the events' own alpha_s if they have one.
    lhapdf_id : int, optional
        Number of the member of the parton densities in LHAPDF, such as 325100. It stands in the file as
        PDFSUP with PDFGUP = 0; both are -1, "the defaults of the shower", if None (hep-ph/0109068).
    card : mapping, optional
        Put as JSON into the header: what is needed to repeat the run.

    Returns
    -------
    int
        Number of events.

    Raises
    ------
    InputError
        The file cannot be written there.
    """
    name = check_name(path)
    count = 0
    with atomic_write(path, "wb") as raw:
        # no time and no name inside, so that the same seed gives the same file
        packed = gzip.GzipFile("", "wb", 6, raw, mtime=0) if name.endswith(".gz") else None
        text = io.TextIOWrapper(packed or raw, encoding="ascii", newline="\n")
        text.write(_head(card, beams, cross_section, error, max_weight, lhapdf_id))
        for events in batches:
            write_events(text, events, alpha, alpha_s)
            count += len(events)
        text.write("</LesHouchesEvents>\n")
        text.flush()
        text.detach()
        if packed is not None:
            packed.close()
    return count


def check_name(path: str | os.PathLike[str]) -> str:
    """The name of an event file; InputError if it does not end like one or can't be written."""
    name = os.fspath(path)
    if not name.endswith((".lhe", ".lhe.gz")):
        raise InputError(f"an event file ends in .lhe or .lhe.gz, got {name}")
    check_output(name, LHE, option="the event file")
    return name


def _head(
    card: Mapping[str, Any] | None,
    beams: tuple[tuple[int, float], tuple[int, float]],
    cross_section: float,
    error: float,
    max_weight: float,
    lhapdf_id: int | None,
) -> str:
    (pdg1, energy1), (pdg2, energy2) = beams
    pdf = "-1 -1 -1 -1" if lhapdf_id is None else f"0 0 {lhapdf_id} {lhapdf_id}"
    content = json.dumps(card or {}, indent=1).replace("]]>", "]] >")
    return (
        '<LesHouchesEvents version="3.0">\n<header>\n'
        f"<lhcflow_card>\n<![CDATA[\n{content}\n]]>\n</lhcflow_card>\n</header>\n<init>\n"
        f"{pdg1} {pdg2} {energy1:.16e} {energy2:.16e} {pdf} {STRATEGY} 1\n"
        f"{cross_section:.10e} {error:.10e} {max_weight:.10e} 1\n"
        f"<generator name='lhcflow' version='{version('lhcflow')}'>normalizing flows at the LHC</generator>\n"
        "</init>\n"
    )


def write_events(out: io.TextIOWrapper, events: Events, alpha: float, alpha_s: float) -> None:
    """Each event as lines of text; a resonance stands between the incoming particles and its products."""
    columns = " ".join(["%.16e"] * 4)
    lines = [f"%d -1 0 0 %d %d {columns} %.10g 0. 9.\n"] * 2
    order = np.concatenate([events.momenta[..., 1:], events.momenta[..., :1]], axis=-1)  # px py pz E
    masses = np.zeros(events.pdg.shape) if events.masses is None else events.masses
    numbers = np.concatenate([events.pdg[..., None], events.colours, order, masses[..., None]], axis=-1)
    blocks = list(np.moveaxis(numbers, 1, 0))
    mothers = ["1 2"] * (len(blocks) - 2)
    if events.resonance is not None:
        pdg, products = events.resonance
        boson = order[:, list(products)].sum(axis=1)
        mass = np.sqrt(np.maximum(boson[:, 3] ** 2 - (boson[:, :3] ** 2).sum(axis=1), 0))
        head = np.tile([float(pdg), 0.0, 0.0], (len(boson), 1))
        blocks.insert(2, np.concatenate([head, boson, mass[:, None]], axis=1))
        lines.append(f"%d 2 1 2 %d %d {columns} %.16e 0. 9.\n")
        for i in products:
            mothers[i - 2] = "3 3"
    lines += [f"%d 1 {mother} %d %d {columns} %.10g 0. 9.\n" for mother in mothers]
    event = f"<event>\n{len(blocks)} 1 %.10e %.10e {alpha:.10e} %.10e\n{''.join(lines)}</event>\n"
    strong = np.full(len(events), alpha_s) if events.alpha_s is None else events.alpha_s
    rows = np.concatenate([np.stack([events.weights, events.scale, strong], axis=1), *blocks], axis=1)
    for row in rows.tolist():
        out.write(event % tuple(row))
