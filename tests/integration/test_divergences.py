"""Divergences against their textbook definitions, by quadrature and by points of a third density."""

import numpy as np
import pytest
import torch

from lhcflow import InputError
from lhcflow.integration.divergences import DIVERGENCES, LIMIT, divergence_named

X = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000  # midpoints of [0, 1]


def beta_density(a: float, b: float) -> torch.Tensor:
    norm = torch.lgamma(torch.tensor([a + b, a, b], dtype=torch.float64))
    return norm[0] - norm[1] - norm[2] + (a - 1) * X.log() + (b - 1) * (1 - X).log()


LOG_P, LOG_Q = beta_density(2.0, 3.0), beta_density(2.3, 2.6)
P, Q = LOG_P.exp().numpy(), LOG_Q.exp().numpy()
M = (P + Q) / 2

TEXTBOOK = {
    "kl": P * np.log(P / Q),
    "reverse-kl": Q * np.log(Q / P),
    "jeffreys": (P - Q) * np.log(P / Q),
    "pearson-chi2": (P - Q) ** 2 / Q,
    "neyman-chi2": (P - Q) ** 2 / P,
    "hellinger": 2 * (np.sqrt(P) - np.sqrt(Q)) ** 2,
    "exponential": P * np.log(P / Q) ** 2,
    "jensen-shannon": (P * np.log(P / M) + Q * np.log(Q / M)) / 2,
    # alpha = 0.5 and (alpha, beta) = (0.3, 0.7), the defaults
    "chernoff": 4 / (1 - 0.25) * (P - P**0.25 * Q**0.75),
    "product": 2 / (0.7 * 0.3) * P * (1 - (Q / P) ** 0.35) * (1 - (Q / P) ** 0.15),
}


def test_every_divergence_has_a_textbook_value() -> None:
    assert set(TEXTBOOK) == set(DIVERGENCES)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_value_by_quadrature(name: str) -> None:
    uniform = torch.zeros_like(LOG_P)
    value = float(DIVERGENCES[name](LOG_P, LOG_Q, uniform).mean())
    assert value == pytest.approx(float(TEXTBOOK[name].mean()), rel=1e-4)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_terms_are_positive_zero_and_flat_at_equality(name: str) -> None:
    terms = DIVERGENCES[name](LOG_P, LOG_Q, torch.zeros_like(LOG_P))
    assert (terms > -1e-12).all()
    log_q = LOG_P.clone().requires_grad_()
    terms = DIVERGENCES[name](LOG_P, log_q, 0.3 * LOG_P)
    terms.sum().backward()
    assert terms.detach().abs().max() < 1e-12
    assert log_q.grad is not None
    assert log_q.grad.abs().max() < 1e-10


@pytest.mark.parametrize("name", DIVERGENCES)
def test_points_of_a_third_density_give_the_same(name: str) -> None:
    """Same number from points of Q = 2x; 5 standard deviations: false alarm 6e-7 each."""
    rng = np.random.default_rng(1)
    rows = torch.as_tensor(rng.choice(len(X), size=200_000, p=(X / X.sum()).numpy()))
    terms = DIVERGENCES[name](LOG_P[rows], LOG_Q[rows], (2 * X[rows]).log())
    error = float(terms.std()) / len(rows) ** 0.5
    assert abs(float(terms.mean()) - TEXTBOOK[name].mean()) < 5 * error


@pytest.mark.parametrize("name", [*DIVERGENCES, "kl+exponential"])
def test_gradient_leads_to_the_target(name: str) -> None:
    """For q = a x^(a-1) and p of the same family with a = 3, the gradient points to a = 3 from both sides."""
    x = X[200:]  # p/q has no bound at 0
    log_p = np.log(3.0) + 2 * x.log()
    gradients = []
    for start in (1.5, 2.5, 3.0, 3.5, 5.0):
        a = torch.tensor(start, dtype=torch.float64, requires_grad=True)
        divergence_named(name)(log_p, a.log() + (a - 1) * x.log(), torch.zeros_like(x)).mean().backward()
        assert a.grad is not None
        gradients.append(float(a.grad))
    assert gradients[0] < -1e-3
    assert gradients[1] < -1e-3
    assert abs(gradients[2]) < 1e-9
    assert gradients[3] > 1e-3
    assert gradients[4] > 1e-3


@pytest.mark.parametrize("name", DIVERGENCES)
def test_zeros_and_extremes_stay_finite(name: str) -> None:
    log_p = torch.tensor([-torch.inf, 0.0, 80.0, -80.0])
    log_q = torch.tensor([0.0, 80.0, -80.0, 0.0], requires_grad=True)
    terms = DIVERGENCES[name](log_p, log_q, torch.zeros(4))
    terms.sum().backward()
    assert torch.isfinite(terms).all()
    assert log_q.grad is not None
    assert torch.isfinite(log_q.grad).all()
    assert float(log_q.grad[0]) >= 0  # where the integrand vanishes the flow may only lose probability


def test_a_sum_is_the_sum() -> None:
    arguments = LOG_P, LOG_Q, torch.zeros_like(LOG_P)
    both = divergence_named("kl+exponential")(*arguments)
    torch.testing.assert_close(both, DIVERGENCES["kl"](*arguments) + DIVERGENCES["exponential"](*arguments))


def test_alpha_is_passed_on() -> None:
    value = divergence_named("chernoff", alpha=-0.5)(LOG_P, LOG_Q, torch.zeros_like(LOG_P)).mean()
    assert float(value) == pytest.approx((4 / 0.75 * (P - P**0.75 * Q**0.25)).mean(), rel=1e-4)


@pytest.mark.parametrize(
    ("name", "parameters"), [("kullback", {}), ("kl", {"alpha": 0.5}), ("chernoff", {"alpha": 1.0})]
)
def test_wrong_names_and_parameters(name: str, parameters: dict[str, float]) -> None:
    with pytest.raises(InputError):
        divergence_named(name, **parameters)


def test_limit_is_far_from_what_a_good_flow_has() -> None:
    assert LIMIT > 5
