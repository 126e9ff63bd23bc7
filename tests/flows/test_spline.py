"""Rational-quadratic splines: formulas, edges, extremes, and the native kernel against its twin."""

import os
import subprocess
import sys

import pytest
import torch
from nflows.transforms.splines.rational_quadratic import rational_quadratic_spline
from torch import Tensor

from lhcflow import InputError
from lhcflow._native import core
from lhcflow.flows.spline import rational_quadratic
from lhcflow.flows.spline_formulas import MIN_BIN, MIN_DERIVATIVE, Tails, parameter_count, reference

TAILS: list[Tails] = [None, "linear", "circular"]
native = pytest.mark.skipif(core is None, reason="no native core")


def raw(n: int, bins: int, tails: Tails, dtype: torch.dtype = torch.float64, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(n + bins)
    return scale * torch.randn(n, parameter_count(bins, tails), generator=generator, dtype=dtype)


def points(n: int, low: float, high: float, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(n)
    return low + (high - low) * torch.rand(n, generator=generator, dtype=dtype)


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("function", ["native or twin", "twin"])
def test_equal_to_nflows(inverse: bool, function: str) -> None:
    # nflows' derivatives are min + softplus(raw), without the shift that makes zeros the identity.
    bins, n = 7, 500
    params, x = raw(n, bins, None), points(n, 0.0, 1.0)
    shift = torch.log(torch.expm1(torch.tensor(1 - MIN_DERIVATIVE, dtype=torch.float64)))
    expected = rational_quadratic_spline(
        x,
        params[:, :bins],
        params[:, bins : 2 * bins],
        params[:, 2 * bins :] + shift,
        inverse=inverse,
        min_bin_width=MIN_BIN,
        min_bin_height=MIN_BIN,
        min_derivative=MIN_DERIVATIVE,
    )
    if function == "twin":
        found = reference(x, params, inverse, bins, 0.0, 1.0, None, MIN_BIN, MIN_DERIVATIVE)
    else:
        found = rational_quadratic(x, params, inverse, bins=bins)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("tails", TAILS)
@pytest.mark.parametrize("inverse", [False, True])
def test_zeros_are_the_identity(tails: Tails, inverse: bool) -> None:
    x = points(200, -2.9, 2.9)
    y, log_det = rational_quadratic(
        x, torch.zeros(200, parameter_count(5, tails)).double(), inverse, bins=5, low=-3, high=3, tails=tails
    )
    torch.testing.assert_close(y, x, rtol=0, atol=1e-14)
    torch.testing.assert_close(log_det, torch.zeros_like(x), rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("tails", TAILS)
@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0, 1e4])
@pytest.mark.parametrize("twin", [False, True])
def test_finite_and_inside_at_edges_and_extremes(
    dtype: torch.dtype, tails: Tails, scale: float, twin: bool
) -> None:
    low, high, bins, n = -2.0, 3.0, 8, 4096
    params = raw(n, bins, tails, dtype, scale)
    tiny = torch.finfo(dtype).tiny
    edges = torch.tensor([low, high, 0.0, -0.0, tiny, -tiny], dtype=dtype)
    around = torch.cat([edges, torch.nextafter(edges, edges + 1), torch.nextafter(edges, edges - 1)])
    far = torch.tensor([1e30, -1e30, 7.0, -7.0], dtype=dtype)
    x = torch.cat([around, far, points(n - len(around) - len(far), low, high, dtype)])
    settings = (bins, low, high, tails, MIN_BIN, MIN_DERIVATIVE)
    for inverse in (False, True):
        given, raw_params = x.clone().requires_grad_(), params.clone().requires_grad_()
        if twin:
            y, log_det = reference(given, raw_params, inverse, *settings)
        else:
            y, log_det = rational_quadratic(
                given, raw_params, inverse, bins=bins, low=low, high=high, tails=tails
            )
        gradients = torch.autograd.grad((y.sum(), log_det.sum()), (given, raw_params))
        for tensor in (y, log_det, *gradients):
            assert tensor.isfinite().all()
        inside = (x >= low) & (x <= high)
        assert ((y[inside] >= low) & (y[inside] <= high)).all()
        if tails != "circular":
            assert torch.equal(y[~inside], x[~inside])
            assert (log_det[~inside] == 0).all()
            assert y[0] == low
            assert y[1] == high


@pytest.mark.parametrize("tails", TAILS)
def test_round_trip_derivative_and_monotonicity(tails: Tails) -> None:
    bins, n = 6, 2000
    params = raw(1, bins, tails).expand(n, -1)
    x = torch.linspace(-0.2, 1.2, n, dtype=torch.float64)
    if tails == "circular":
        x = torch.linspace(0, 1, n + 1, dtype=torch.float64)[:-1]
    x.requires_grad_()
    y, log_det = rational_quadratic(x, params, bins=bins, tails=tails)
    assert (y.diff() > 0).all()
    (slope,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(slope.log(), log_det, rtol=1e-10, atol=1e-10)
    again, back = rational_quadratic(y, params, True, bins=bins, tails=tails)
    torch.testing.assert_close(again, x, rtol=0, atol=1e-12)
    torch.testing.assert_close(back, -log_det, rtol=0, atol=1e-10)


def test_smooth_at_the_ends() -> None:
    step = 1e-9
    for tails, pairs in (("linear", [(-step, step), (1 - step, 1 + step)]), ("circular", [(1 - step, step)])):
        params = raw(2, 5, tails)[:1].expand(2, -1)  # type: ignore[arg-type]
        for pair in pairs:
            x = torch.tensor(pair, dtype=torch.float64)
            log_det = rational_quadratic(x, params, bins=5, tails=tails)[1]  # type: ignore[arg-type]
            assert abs(float(log_det[0] - log_det[1])) < 1e-6


def test_circular_has_a_period() -> None:
    params, x = raw(100, 5, "circular"), points(100, -1.0, 1.0)
    settings = {"bins": 5, "low": -1.0, "high": 1.0, "tails": "circular"}
    y, log_det = rational_quadratic(x, params, **settings)
    for turns in (-3, 1, 10):
        moved, moved_log_det = rational_quadratic(x + 2 * turns, params, **settings)
        torch.testing.assert_close(moved, y, rtol=0, atol=1e-11)
        torch.testing.assert_close(moved_log_det, log_det, rtol=0, atol=1e-9)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("twin", [False, True])
def test_non_finite_input_is_not_hidden(value: float, twin: bool) -> None:
    x, params = torch.full((3,), value), torch.zeros(3, parameter_count(4, None))
    if twin:
        y = reference(x, params, False, 4, 0.0, 1.0, None, MIN_BIN, MIN_DERIVATIVE)[0]
    else:
        y = rational_quadratic(x, params, bins=4)[0]
    assert torch.equal(y.isnan(), x.isnan())
    assert not y.isfinite().any()
    params[1, 2] = float("nan")
    assert rational_quadratic(torch.full((3,), 0.5), params, bins=4)[1].isnan().tolist() == [
        False,
        True,
        False,
    ]


@native
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("tails", TAILS)
@pytest.mark.parametrize("bins", [1, 2, 5, 16])
@pytest.mark.parametrize("n", [0, 1, 7, 33, 1000])
def test_native_equals_twin(dtype: torch.dtype, tails: Tails, bins: int, n: int) -> None:
    tolerance = {torch.float32: 2e-4, torch.float64: 1e-10}[dtype]
    for inverse in (False, True):
        x = points(n, -0.3, 1.3, dtype).requires_grad_()
        params = raw(n, bins, tails, dtype).requires_grad_()
        weights = [points(n, -1, 1, dtype), points(n, -1, 1, dtype)]
        results = []
        for function in (
            rational_quadratic(x, params, inverse, bins=bins, tails=tails),
            reference(x, params, inverse, bins, 0.0, 1.0, tails, MIN_BIN, MIN_DERIVATIVE),
        ):
            results.append([*function, *torch.autograd.grad(function, (x, params), weights)])
        for found, expected in zip(*results, strict=True):
            scale = max(1.0, float(expected.detach().abs().max()) if expected.numel() else 1.0)
            torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * scale)


@native
@pytest.mark.parametrize("tails", TAILS)
@pytest.mark.parametrize("inverse", [False, True])
def test_native_gradients(tails: Tails, inverse: bool) -> None:
    x = points(13, -0.2, 1.2).requires_grad_()
    params = raw(13, 4, tails).requires_grad_()

    def spline(x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        return rational_quadratic(x, params, inverse, bins=4, tails=tails)

    assert "NativeSpline" in type(spline(x, params)[0].grad_fn).__name__
    torch.autograd.gradcheck(spline, (x, params))
    torch.autograd.gradgradcheck(spline, (x, params))


def test_inputs_that_are_not_contiguous() -> None:
    x = points(40, 0, 1).reshape(4, 10).t()
    params = raw(40, 3, None).reshape(4, 10, -1).transpose(0, 1)
    found = rational_quadratic(x, params, bins=3)
    expected = rational_quadratic(x.contiguous(), params.contiguous(), bins=3)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # torch's own jvp
def test_vmap_and_jacobian() -> None:
    x, params = points(12, 0, 1), raw(12, 4, None)
    y, log_det = rational_quadratic(x, params, bins=4)
    mapped = torch.func.vmap(lambda x, p: rational_quadratic(x, p, bins=4))(x, params)
    torch.testing.assert_close(mapped, (y, log_det))
    slope = torch.func.vmap(torch.func.grad(lambda x, p: rational_quadratic(x, p, bins=4)[0]))(x, params)
    torch.testing.assert_close(slope.log(), log_det)
    _, tangent = torch.func.jvp(
        lambda x: rational_quadratic(x, params, bins=4)[0], (x,), (torch.ones_like(x),)
    )
    torch.testing.assert_close(tangent.log(), log_det)


@native
def test_same_numbers_for_every_number_of_threads() -> None:
    x, params = points(5000, 0, 1), raw(5000, 8, None)
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            results.append(rational_quadratic(x, params, bins=8))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


BASELINE = """
import torch
from lhcflow._native import core
from lhcflow.flows.spline import rational_quadratic
from lhcflow.flows.spline_formulas import reference
assert core.instruction_set() == "baseline", core.instruction_set()
torch.manual_seed(0)
for inverse in (False, True):
    x = torch.rand(1000, dtype=torch.float64).requires_grad_()
    params = torch.randn(1000, 25, dtype=torch.float64).requires_grad_()
    both = [rational_quadratic(x, params, inverse, bins=8),
            reference(x, params, inverse, 8, 0.0, 1.0, None, 1e-3, 1e-3)]
    both = [(*b, *torch.autograd.grad(sum(t.sum() for t in b), (x, params))) for b in both]
    for a, b in zip(*both):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-9)
"""


@native
def test_baseline_instruction_set() -> None:
    subprocess.run(
        [sys.executable, "-c", BASELINE], env={**os.environ, "LHCFLOW_ISA": "baseline"}, check=True
    )


def test_wrong_input() -> None:
    x = torch.rand(3)
    with pytest.raises(InputError, match="bins must be >= 1"):
        rational_quadratic(x, torch.zeros(3, 1), bins=0)
    with pytest.raises(InputError, match="min_bin"):
        rational_quadratic(x, torch.zeros(3, 31), bins=10, min_bin=0.1)
    with pytest.raises(InputError, match="min_derivative"):
        rational_quadratic(x, torch.zeros(3, 31), bins=10, min_derivative=0)
    with pytest.raises(InputError, match=r"shaped \(3, 31\)"):
        rational_quadratic(x, torch.zeros(3, 30), bins=10)
    with pytest.raises(InputError, match="tails"):
        rational_quadratic(x, torch.zeros(3, 31), bins=10, tails="flat")  # type: ignore[arg-type]
