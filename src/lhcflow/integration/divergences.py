"""Distances between the target p and a flow's density q, from points of any third density.

All of i-flow's list (2001.05486, section 2.3; Nielsen and Nock, 1309.3029), each in one form: a function
``G(p, q)`` with ``D(p, q) = int G(p(x), q(x)) dx`` that is never negative, zero where ``p = q``, and flat
there. Textbook generators differ from it by a multiple of ``q - p``, which integrates to zero. With points
from ``Q``

    D(p, q) = < G(p, q) / Q >,

and since every term is at its minimum for ``q = p`` the gradient has no noise left at the optimum: a stored
value of ``p`` acts like a point of a regression and not like a draw from ``p``. Only values of ``p`` enter,
never its gradient; points may be old, uniform, or from a mixture.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError

Values = Float[Tensor, " n"]
Divergence = Callable[[Values, Values, Values], Values]
"""``divergence(log_p, log_q, log_Q)``: terms (n,) whose mean over points from Q estimates D(p, q)."""

LIMIT = 8.0  # of log ratios; exp goes on as its tangent, so that one point can't make a gradient infinite


def kl(log_p: Values, log_q: Values, log_Q: Values) -> Values:
    """Kullback-Leibler, ``int p log(p/q)``."""
    w, u, r = _ratios(log_p, log_q, log_Q)
    return w * r + u - w


def reverse_kl(log_p: Values, log_q: Values, log_Q: Values) -> Values:
    """Reverse Kullback-Leibler, ``int q log(q/p)``; seeks modes."""
    w, u, r = _ratios(log_p, log_q, log_Q)
    return -u * r + w - u


def jeffreys(log_p: Values, log_q: Values, log_Q: Values) -> Values:
    """Both directions of Kullback-Leibler, ``int (p - q) log(p/q)``."""
    w, u, r = _ratios(log_p, log_q, log_Q)
    return (w - u) * r


def pearson_chi2(log_p: Values, log_q: Values, log_Q: Values) -> Values:
    """``int (p - q)^2 / q``: the variance of the weights p/q, hence of the integral."""
    w, u, r = _ratios(log_p, log_q, log_Q)
    return w * _exp(r) - 2 * w + u


def neyman_chi2(log_p: Values, log_q: Values, log_Q: Values) -> Values:
    """``int (p - q)^2 / p``."""
    w, u, r = _ratios(log_p, log_q, log_Q)
    return u * _exp(-r) - 2 * u + w


def hellinger(log_p: Values, log_q: Values, log_Q: Values) -> Values:
    """Squared Hellinger distance, ``2 int (sqrt(p) - sqrt(q))^2``."""
    root_w, root_u = _exp((log_p - log_Q) / 2), _exp((log_q - log_Q) / 2)
    return 2 * (root_w - root_u) ** 2


def exponential(log_p: Values, log_q: Values, log_Q: Values) -> Values:
    """``int p log^2(p/q)``: least squares of the logarithm, where p is."""
    w, _, r = _ratios(log_p, log_q, log_Q)
    return w * r**2


def jensen_shannon(log_p: Values, log_q: Values, log_Q: Values) -> Values:
    """``1/2 int p log(p/m) + q log(q/m)`` with ``m = (p + q) / 2``; at most log 2."""
    w, u, _ = _ratios(log_p, log_q, log_Q)
    m = (w + u) / 2
    return (torch.xlogy(w, w) + torch.xlogy(u, u)) / 2 - torch.xlogy(m, m)


def chernoff(log_p: Values, log_q: Values, log_Q: Values, alpha: float = 0.5) -> Values:
    """Chernoff (alpha) divergence, ``4 / (1 - alpha^2) (1 - int p^((1-alpha)/2) q^((1+alpha)/2))``."""
    w, u, _ = _ratios(log_p, log_q, log_Q)
    a, b = (1 - alpha) / 2, (1 + alpha) / 2
    return (a * w + b * u - _exp(a * (log_p - log_Q) + b * (log_q - log_Q))) / (a * b)


def product(log_p: Values, log_q: Values, log_Q: Values, alpha: float = 0.3, beta: float = 0.7) -> Values:
    """(alpha, beta)-product divergence.

    ``2 / ((1-alpha)(1-beta)) int p (1 - (q/p)^((1-alpha)/2)) (1 - (q/p)^((1-beta)/2))``.
    """
    a, b = (1 - alpha) / 2, (1 - beta) / 2
    lw, lu = log_p - log_Q, log_q - log_Q
    mixed = [_exp((1 - c) * lw + c * lu) for c in (a, b, a + b)]
    return (_exp(lw) - mixed[0] - mixed[1] + mixed[2]) / (2 * a * b)


DIVERGENCES: dict[str, Divergence] = {
    "kl": kl,
    "reverse-kl": reverse_kl,
    "jeffreys": jeffreys,
    "pearson-chi2": pearson_chi2,
    "neyman-chi2": neyman_chi2,
    "hellinger": hellinger,
    "exponential": exponential,
    "jensen-shannon": jensen_shannon,
    "chernoff": chernoff,
    "product": product,
}
"""The divergences by name."""


def divergence_named(name: str | Divergence, **parameters: float) -> Divergence:
    """Look a divergence up by name; names joined by "+" are added, as in the default "kl+exponential".

    Parameters
    ----------
    name : str or Divergence
        One of `DIVERGENCES`, a sum of them, or a function, which is returned as it is.
    parameters : float
        ``alpha`` for "chernoff", ``alpha`` and ``beta`` for "product".

    Raises
    ------
    InputError
        If a name is unknown, or alpha or beta is out of range.

    Examples
    --------
    >>> p = torch.tensor([0.5, 1.5]).log()
    >>> divergence_named("kl+exponential")(p, p, p).tolist()
    [0.0, 0.0]
    """
    if not isinstance(name, str):
        return name
    names = name.split("+")
    for one in names:
        if one not in DIVERGENCES:
            raise InputError(f"unknown divergence {one!r}; known are {', '.join(DIVERGENCES)}")
    if parameters:
        if len(names) > 1 or name not in ("chernoff", "product"):
            raise InputError(f"the divergence {name!r} has no parameters {', '.join(parameters)}")
        if any(not -1 < value < 1 for value in parameters.values()):
            raise InputError(f"alpha and beta must lie between -1 and 1, got {parameters}")
        return partial(DIVERGENCES[name], **parameters)
    if len(names) == 1:
        return DIVERGENCES[name]
    parts = [DIVERGENCES[one] for one in names]
    return lambda log_p, log_q, log_Q: torch.stack([part(log_p, log_q, log_Q) for part in parts]).sum(0)


def _ratios(log_p: Values, log_q: Values, log_Q: Values) -> tuple[Values, Values, Values]:
    """``p/Q``, ``q/Q`` and ``log(p/q)``; the last is 0 (w = 0) or -LIMIT where it would be infinite."""
    r = (log_p - log_q).clamp_min(-LIMIT)
    return _exp(log_p - log_Q), _exp(log_q - log_Q), r


def _exp(x: Values) -> Values:
    """exp, going on as its tangent above LIMIT."""
    return torch.exp(x.clamp_max(LIMIT)) * (1 + (x - LIMIT).clamp_min(0))
