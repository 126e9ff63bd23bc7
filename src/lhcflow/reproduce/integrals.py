"""Integrals of the test functions of i-flow (2001.05486)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..integration import Integrator, Result
from ..integration.integrator import Method
from ..integration.results import value_with_error
from ..integration.testfunctions import TestFunction, by_name
from ..plotting import Section, Table
from .registry import Outcome

PROBLEMS = ("camel2", "camel4", "camel8", "circles2", "annulus2", "ring2", "box3", "polynomial18")

# Relative error that i-flow was asked for, and the calls it took (runs.log in its repository).
PUBLISHED = {
    "camel2": (1e-4, 2.2e6),
    "camel4": (1e-4, 8.2e6),
    "camel8": (1e-4, 19.5e6),
    "circles2": (1e-4, 23e6),
    "annulus2": (1e-4, 17e6),
    "polynomial18": (1e-5, 0.59e6),
}
_METHODS: dict[str, Method] = {"VEGAS+": "vegas", "flow": "flow"}


def run(
    seed: int, full: bool, quiet: bool, problems: Sequence[str] = PROBLEMS, calls: int = 200_000
) -> Outcome:
    """Integrals with equal ``calls``; with ``full`` also the calls to i-flow's relative error."""
    found = {
        name: {
            label: _integrate(by_name(name), method, seed, quiet, calls) for label, method in _METHODS.items()
        }
        for name in problems
    }
    sections = [Section(f"Integrals with {calls:,} calls", content=[_values(found)])]
    results: dict[str, Any] = {"calls": calls, "integrals": _plain(found)}
    warnings = _warnings(found)
    if full:
        long = {
            name: {
                label: _integrate(by_name(name), method, seed, quiet, int(published), rtol)
                for label, method in _METHODS.items()
            }
            for name, (rtol, published) in PUBLISHED.items()
            if name in problems
        }
        sections.append(Section("Calls to a relative error", content=[_calls(long)]))
        results["to_tolerance"] = _plain(long)
        warnings += _warnings(long)
    return Outcome(sections, results, tuple(warnings))


def _integrate(
    f: TestFunction, method: Method, seed: int, quiet: bool, calls: int, rtol: float | None = None
) -> Result:
    return Integrator(f.dim, seed=seed, method=method).integrate(f, calls, rtol, quiet=quiet)


def _pull(name: str, result: Result) -> float:
    return float((result.mean - by_name(name).exact) / result.sdev)


def _values(found: Mapping[str, Mapping[str, Result]]) -> Table:
    header = ["integrand", "exact"]
    for label in _METHODS:
        header += [label, "pull", "rel. error"]
    rows = []
    for name, results in found.items():
        row = [name, f"{by_name(name).exact:.7g}"]
        for result in results.values():
            mean, sdev = float(result.mean), float(result.sdev)
            row += [value_with_error(mean, sdev), f"{_pull(name, result):+.1f}", f"{sdev / abs(mean):.1e}"]
        rows.append(row)
    return Table(header, rows, "Pull: deviation from the exact value in units of the error.")


def _calls(found: Mapping[str, Mapping[str, Result]]) -> Table:
    def cell(result: Result, rtol: float) -> str:
        reached = float(result.sdev) <= 1.0001 * rtol * abs(float(result.mean))
        return f"{result.calls / 1e6:.2f}" if reached else f"> {result.calls / 1e6:.2f}"

    rows = []
    for name, results in found.items():
        rtol, published = PUBLISHED[name]
        cells = [cell(result, rtol) for result in results.values()]
        rows.append([name, f"{rtol:g}", *cells, f"{published / 1e6:.2f}"])
    header = ["integrand", "rel. error", *_METHODS, "i-flow, published"]
    return Table(header, rows, "Millions of calls, adaptation included; as many as i-flow took at the most.")


def _plain(found: Mapping[str, Mapping[str, Result]]) -> dict[str, Any]:
    return {
        name: {
            label: {"mean": float(r.mean), "sdev": float(r.sdev), "pull": _pull(name, r), "calls": r.calls}
            for label, r in results.items()
        }
        for name, results in found.items()
    }


def _warnings(found: Mapping[str, Mapping[str, Result]]) -> list[str]:
    return [
        f"{name}, {label}: {text}"
        for name, results in found.items()
        for label, result in results.items()
        for text in result.warnings
    ]
