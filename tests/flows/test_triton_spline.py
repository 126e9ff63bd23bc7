"""The Triton kernel of the splines against its torch twin.

The tests of the kernel run on a CUDA device, and without one by Triton's interpreter: then they run in a
process of their own with ``TRITON_INTERPRET=1``, on CPU tensors, where Triton is installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor

from lhcflow.flows.spline import rational_quadratic
from lhcflow.flows.spline_formulas import MIN_BIN, MIN_DERIVATIVE, Tails, parameter_count, reference

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"
needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")
kernel = [needs_triton] if INTERPRETED else [needs_triton, pytest.mark.gpu]
TAILS: list[Tails] = [None, "linear", "circular"]
LOW, HIGH = -1.3, 2.1  # no numbers of single precision


@needs_triton
def test_by_the_interpreter() -> None:
    if INTERPRETED:
        pytest.skip("this is the interpreter")
    # The interpreter computes in numpy, which warns where both sides of a choice are computed.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore::RuntimeWarning"]
    environment = {**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""}
    run = subprocess.run([*command, __file__], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-1000:]


def spline(x: Tensor, params: Tensor, inverse: bool, settings: tuple) -> tuple[Tensor, Tensor]:
    """The kernel, on CUDA as users get it."""
    from lhcflow.flows.triton_spline import TritonSpline

    if INTERPRETED:
        return TritonSpline.apply(x, params, inverse, settings)  # type: ignore[return-value]
    names = ("bins", "low", "high", "tails", "min_bin", "min_derivative")
    result = rational_quadratic(x, params, inverse, **dict(zip(names, settings, strict=True)))
    assert not result[0].requires_grad or "TritonSpline" in type(result[0].grad_fn).__name__
    return result


def problem(
    shape: tuple[int, ...], bins: int, tails: Tails, dtype: torch.dtype, scale: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Values in and around the interval, and parameters."""
    generator = torch.Generator().manual_seed(bins)
    x = torch.rand(shape, generator=generator, dtype=torch.float64)
    x = (LOW - 0.4 + (HIGH - LOW + 0.8) * x).to(DEVICE, dtype)
    params = torch.randn(*shape, parameter_count(bins, tails), generator=generator, dtype=torch.float64)
    return x.requires_grad_(), (scale * params).to(DEVICE, dtype).requires_grad_()


def compare(x: Tensor, params: Tensor, settings: tuple, tolerance: float) -> None:
    """Values and gradients of kernel and twin, relative to the largest of each kind."""
    for inverse in (False, True):
        results = []
        for outputs in (spline(x, params, inverse, settings), reference(x, params, inverse, *settings)):
            weights = [torch.linspace(-1, 1, x.numel(), device=DEVICE, dtype=x.dtype).view(x.shape)] * 2
            results.append([*outputs, *torch.autograd.grad(outputs, (x, params), weights)])
        for found, expected in zip(*results, strict=True):
            scale = max(1.0, float(expected.detach().abs().max()) if expected.numel() else 1.0)
            torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * scale)


class TestKernel:
    pytestmark = kernel

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
    @pytest.mark.parametrize("tails", TAILS)
    @pytest.mark.parametrize("bins", [1, 2, 5, 16])
    def test_equals_twin(self, bins: int, tails: Tails, dtype: torch.dtype) -> None:
        settings = (bins, LOW, HIGH, tails, MIN_BIN, MIN_DERIVATIVE)
        compare(*problem((33,), bins, tails, dtype), settings, 2e-4 if dtype == torch.float32 else 1e-10)

    @pytest.mark.parametrize("tails", TAILS)
    def test_many_bins_and_other_minima(self, tails: Tails) -> None:
        for bins in (33, 64):
            compare(*problem((20,), bins, tails, torch.float64), (bins, LOW, HIGH, tails, 3e-3, 0.07), 1e-10)

    @pytest.mark.parametrize("shape", [(0,), (1,), (), (300,), (3, 0), (2, 3, 5)])
    def test_shapes(self, shape: tuple[int, ...]) -> None:
        compare(*problem(shape, 6, None, torch.float64), (6, LOW, HIGH, None, 1e-3, 1e-3), 1e-10)

    def test_not_contiguous(self) -> None:
        x, params = problem((4, 10), 3, "linear", torch.float64)
        settings = (3, LOW, HIGH, "linear", 1e-3, 1e-3)
        found = spline(x.t(), params.transpose(0, 1), False, settings)
        torch.testing.assert_close(found, tuple(t.t() for t in spline(x, params, False, settings)))

    @pytest.mark.parametrize("tails", TAILS)
    @pytest.mark.parametrize("inverse", [False, True])
    def test_gradients(self, tails: Tails, inverse: bool) -> None:
        x, params = problem((4,), 2, tails, torch.float64)
        settings = (2, LOW, HIGH, tails, 1e-3, 1e-3)
        torch.autograd.gradcheck(lambda x, p: spline(x, p, inverse, settings), (x, params))

    def test_second_derivatives(self) -> None:
        x, params = problem((2,), 2, "circular", torch.float64)
        settings = (2, LOW, HIGH, "circular", 1e-3, 1e-3)
        torch.autograd.gradgradcheck(lambda x, p: spline(x, p, True, settings), (x, params))

    @pytest.mark.parametrize("inverse", [False, True])
    def test_second_derivatives_with_parameters_that_depend_on_the_values(self, inverse: bool) -> None:
        """As in an autoregressive flow, where the gradient of x has a path through the parameters."""
        x, params = problem((3,), 2, "linear", torch.float64)
        settings = (2, LOW, HIGH, "linear", 1e-3, 1e-3)

        def function(x: Tensor, params: Tensor) -> tuple[Tensor, ...]:
            return spline(x, params * torch.cos(x.roll(1))[:, None], inverse, settings)

        plain = torch.autograd.grad(sum(t.sum() for t in function(x, params)), (x, params))  # type: ignore
        graph = torch.autograd.grad(
            sum(t.sum() for t in function(x, params)),  # type: ignore[arg-type]
            (x, params),
            create_graph=True,
        )
        torch.testing.assert_close(graph, plain)
        torch.autograd.gradgradcheck(function, (x, params))

    @pytest.mark.filterwarnings("ignore:overflow encountered in exp")  # the interpreter's; not chosen then
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
    @pytest.mark.parametrize("tails", TAILS)
    def test_finite_and_inside_at_edges_and_extremes(self, tails: Tails, dtype: torch.dtype) -> None:
        for scale in (0.0, 30.0, 1e4):
            x, params = problem((64,), 8, tails, dtype, scale)
            edges = torch.tensor([LOW, HIGH, 0.0, 1e30, -1e30], dtype=dtype, device=DEVICE)
            edges = torch.cat([edges, edges[:2].nextafter(edges[2:3]), edges[:2].nextafter(2 * edges[:2])])
            x = torch.cat([edges, x.detach()])[:64].requires_grad_()
            low, high = edges[0], edges[1]
            for inverse in (False, True):
                y, log_det = spline(x, params, inverse, (8, LOW, HIGH, tails, 1e-3, 1e-3))
                gradients = torch.autograd.grad((y.sum(), log_det.sum()), (x, params))
                assert all(tensor.isfinite().all() for tensor in (y, log_det, *gradients))
                inside = (x >= low) & (x <= high)
                assert ((y[inside] >= low) & (y[inside] <= high)).all()
                if tails != "circular":
                    assert torch.equal(y[~inside], x[~inside])
                    assert (log_det[~inside] == 0).all()

    def test_small_derivatives_are_not_rounded_away(self) -> None:
        raw = torch.linspace(-12, -4, 50, device=DEVICE)
        x, params = torch.zeros_like(raw), torch.zeros(50, 4, device=DEVICE)
        params[:, 2] = raw
        settings = (1, 0.0, 1.0, None, 1e-3, 1e-3)
        log_det = spline(x, params, False, settings)[1]
        expected = reference(x.double(), params.double(), False, *settings)[1]
        torch.testing.assert_close(log_det.double(), expected, rtol=0, atol=1e-5)

    def test_not_a_number_stays_in_its_row(self) -> None:
        x, params = (t.detach() for t in problem((6,), 5, None, torch.float32))
        x[:] = 0.5
        x[1], params[3, 2], params[4, 7] = float("nan"), float("nan"), float("nan")
        for inverse in (False, True):
            y, log_det = spline(x, params, inverse, (5, LOW, HIGH, None, 1e-3, 1e-3))
            assert y.isnan().tolist() == [False, True, False, True, True, False]
            assert log_det.isnan()[[0, 2, 3, 4, 5]].tolist() == [False, False, True, True, False]


@pytest.mark.gpu
@needs_triton
def test_twin_under_transforms_and_for_many_bins() -> None:
    x, params = (t.detach().cuda() for t in problem((12,), 4, None, torch.float64))
    settings = {"bins": 4, "low": LOW, "high": HIGH}
    expected = rational_quadratic(x, params, **settings)
    torch.testing.assert_close(
        torch.func.vmap(lambda x, p: rational_quadratic(x, p, **settings))(x, params), expected
    )
    x, params = problem((12,), 65, None, torch.float64)
    assert "TritonSpline" not in type(rational_quadratic(x, params, bins=65)[0].grad_fn).__name__


def test_triton_is_for_cuda_only() -> None:
    code = (
        "import sys, torch; from lhcflow.flows import coupling_spline as c; c(2).log_prob(torch.rand(3, 2));"
    )
    code += "sys.exit('lhcflow.flows.triton_spline' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(find_spec("triton") is not None, reason="triton is installed")
def test_without_triton() -> None:
    from lhcflow.flows import triton_spline

    assert not triton_spline.works()


def test_says_when_triton_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    from lhcflow.flows import triton_spline

    monkeypatch.delenv("LHCFLOW_NATIVE", raising=False)
    monkeypatch.setattr(triton_spline, "triton", object())  # launches nothing
    with pytest.warns(RuntimeWarning, match="run without Triton"):
        assert not triton_spline.works.__wrapped__()
    monkeypatch.setenv("LHCFLOW_NATIVE", "0")
    assert not triton_spline.works.__wrapped__()
