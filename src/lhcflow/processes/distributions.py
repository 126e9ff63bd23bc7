"""Plain arrays for figures: integration variables before and after training, observables of events."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ..errors import InputError
from .generator import EventGenerator
from .kinematics import delta_r, invariant, mass_squared, pseudorapidity, to_rest_frame, transverse_momentum


@dataclass(frozen=True)
class VariableDistributions:
    """Target and learned distribution of the integration variables.

    Attributes
    ----------
    names : tuple of str (dim,)
        Labels, in mathtext without dollar signs.
    target, target_weights : arrays (n, dim) and (n,)
        Weighted points of the unit cube that follow the integrand, drawn evenly: not from any sampler.
    before, after : arrays (n, dim)
        Points that an untrained sampler (even) and the trained one propose, without weights.
    """

    names: tuple[str, ...]
    target: np.ndarray
    target_weights: np.ndarray
    before: np.ndarray
    after: np.ndarray


def integration_variables(
    generator: EventGenerator, n: int = 200_000, seed: int = 0
) -> VariableDistributions:
    """Distributions of the integration variables of a generator that has integrated.

    Parameters
    ----------
    generator : EventGenerator
        With ``phase_space="flat"`` and a fixed energy these are the five of flat phase space.
    n : int
        Points of each sample; the integrand is evaluated at `n` more.
    seed : int
        Of the even points.
    """
    f = generator.cross_section
    rng = np.random.default_rng(seed)
    target = rng.random((n, f.dim))
    after, _ = generator.sample(n)
    return VariableDistributions(f.variables, target, f(target), rng.random((n, f.dim)), np.asarray(after))


def three_jet_observables(momenta: np.ndarray) -> dict[str, np.ndarray]:
    """Observables of events with three outgoing massless partons.

    Parameters
    ----------
    momenta : array (n, 5, 4)
        Incoming first, GeV.

    Returns
    -------
    dict of str to ndarray
        Dict of arrays (n,) ``x1`` >= ``x2`` >= ``x3``: energies over half the total; ``thrust``, which is x1;
        ``y23``: the Durham resolution at which three jets become two; ``cos_thrust``: |cos| of the thrust
        axis and the beam; ``cos_quark``: cos of the first outgoing parton and the first beam.
    """
    if momenta.ndim != 3 or momenta.shape[1:] != (5, 4):
        raise InputError(f"three-jet observables need momenta (n, 5, 4), got {momenta.shape}")
    partons = to_rest_frame(momenta[:, 2:], momenta[:, :2].sum(axis=1)[:, None])
    total = partons[..., 0].sum(axis=1)
    x = 2 * partons[..., 0] / total[:, None]
    y23 = np.full(len(x), np.inf)
    for i, j in combinations(range(3), 2):
        ratio = np.minimum(x[:, i], x[:, j]) / np.maximum(x[:, i], x[:, j])
        y23 = np.minimum(y23, invariant(partons[:, i], partons[:, j]) / total**2 * ratio)
    cos = partons[..., 3] / partons[..., 0]
    hardest = np.argmax(x, axis=1)
    ordered = -np.sort(-x, axis=1)
    return {
        "x1": ordered[:, 0],
        "x2": ordered[:, 1],
        "x3": ordered[:, 2],
        "thrust": ordered[:, 0],
        "y23": y23,
        "cos_thrust": np.abs(cos[np.arange(len(x)), hardest]),
        "cos_quark": cos[:, 0],
    }


def boson_observables(momenta: np.ndarray, leptons: list[int], jets: list[int]) -> dict[str, np.ndarray]:
    """Observables of a lepton pair and jets.

    Parameters
    ----------
    momenta : array (n, particles, 4)
        In the laboratory, incoming first, GeV.
    leptons, jets : list of int
        Positions; jets are ordered in transverse momentum here.

    Returns
    -------
    dict of str to ndarray
        Dict of arrays (n,) ``m_ll``, ``pt_v``, ``y_v`` (absolute) of the pair, ``pt_l``, ``eta_l`` (absolute)
        of its first lepton; with jets ``pt_1``, ``y_1`` (absolute) and so on, and ``dr_vj`` of the pair and
        the first; with two ``m_jj`` and ``dr_jj`` of the first two.
    """
    boson = momenta[:, leptons].sum(axis=1)
    lepton = momenta[:, leptons[0]]
    result = {
        "m_ll": np.sqrt(np.maximum(mass_squared(boson), 0)),
        "pt_v": transverse_momentum(boson),
        "y_v": np.abs(np.arctanh(boson[:, 3] / boson[:, 0])),
        "pt_l": transverse_momentum(lepton),
        "eta_l": np.abs(pseudorapidity(lepton)),
    }
    if not jets:
        del result["pt_v"]  # rounding
        return result
    partons = momenta[:, jets]
    order = np.argsort(-transverse_momentum(partons), axis=1)
    partons = np.take_along_axis(partons, order[..., None], axis=1)
    for i in range(len(jets)):
        result[f"pt_{i + 1}"] = transverse_momentum(partons[:, i])
        result[f"y_{i + 1}"] = np.abs(pseudorapidity(partons[:, i]))
    azimuths = np.abs(np.arctan2(boson[:, 2], boson[:, 1]) - np.arctan2(partons[:, 0, 2], partons[:, 0, 1]))
    rapidities = np.arctanh(boson[:, 3] / boson[:, 0]) - pseudorapidity(partons[:, 0])
    result["dr_vj"] = np.hypot(rapidities, np.minimum(azimuths, 2 * np.pi - azimuths))
    if len(jets) > 1:
        result["m_jj"] = np.sqrt(invariant(partons[:, 0], partons[:, 1]))
        result["dr_jj"] = delta_r(partons[:, 0], partons[:, 1])
    return result
