"""The five integration variables of e+ e- -> 3 jets, before and after the training of the flow."""

from __future__ import annotations

from ..plotting import Picture, Section, corner, marginals
from ..processes import Cuts, EventGenerator
from ..processes.distributions import integration_variables
from .registry import Outcome


def run(seed: int, full: bool, quiet: bool, calls: int | None = None, points: int = 200_000) -> Outcome:
    """Flat phase space at the Z pole, Durham y_cut 0.01; 500,000 calls, or 100,000."""
    calls = (500_000 if full else 100_000) if calls is None else calls
    cuts = Cuts(durham=0.01)
    generator = EventGenerator("e+ e- > j j j", cuts=cuts, phase_space="flat", method="flow", seed=seed)
    result = generator.integrate(calls, quiet=quiet)
    efficiency = generator.unweighting_efficiency()
    results = {
        "calls": result.calls,
        "cross_section": {"mean": float(result.mean), "sdev": float(result.sdev), "unit": "pb"},
        "efficiency": {"value": float(efficiency), "error": efficiency.error, "overweight": 1e-3},
    }
    section = Section(
        "Target and learned distribution",
        [f"{calls:,} calls; cross section {result}; unweighting efficiency {float(efficiency):.3f}."],
        variable_pictures(generator, "flow", points),
    )
    return Outcome([section], results, tuple(result.warnings))


def variable_pictures(generator: EventGenerator, name: str, points: int) -> list[Picture]:
    """Target and learned distribution of each integration variable, and of each pair of them.

    Parameters
    ----------
    generator : EventGenerator
        Has integrated.
    name : str
        Of its method, for the captions.
    points : int
        Of each sample.
    """
    v = integration_variables(generator, points)
    names = [f"${n}$" if " " not in n else n for n in v.names]
    return [
        Picture(
            marginals(v.target, {"before": v.before, "learned": v.after}, v.target_weights, names),
            "Integration variables, on the unit cube. Target: evenly drawn points with the integrand as "
            f"weight, and a band for its error. Points: what is proposed before and after training ({name}).",
        ),
        Picture(
            corner(v.target, v.after, v.target_weights, names, learned_name=f"learned ({name})"),
            "Pairs of integration variables. Where target and learned distribution agree, the figure is "
            "symmetric about its diagonal; both halves share one colour scale.",
            form="png",
        ),
    ]
