"""One table of all bijections, each run through the same laws.

The Jacobian comes from automatic differentiation, so it is independent of the log-determinants in
the code. A new bijection gets its laws tested by adding a line to ``CASES``; the last test fails if a
registered bijection is missing there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import lhcflow.flows  # noqa: F401  (registers every bijection)
from lhcflow import InputError, _native
from lhcflow.flows import (
    Affine,
    Bijection,
    Logit,
    Permutation,
    Sigmoid,
    SoftPermutation,
    VegasGrid,
    build,
    describe,
    fused,
    native,
    native_spline,
)
from lhcflow.flows.autoregressive import Autoregressive, AutoregressiveAffine, AutoregressiveSpline
from lhcflow.flows.bijection import REGISTRY
from lhcflow.flows.coupling import CouplingAffine, CouplingSpline
from lhcflow.flows.inverse import Inverse
from lhcflow.flows.residual_coupling import ResidualCoupling

DIM = 3
CONTEXT = 2
MASK = (True, False, True)
EDGES = torch.tensor([[0.0, 0.25, 0.3, 1.0], [0.0, 0.01, 0.99, 1.0], [0.0, 0.5, 0.75, 1.0]])


@dataclass(frozen=True)
class Case:
    """A bijection, its domain of data and latent variables, and how exactly its round trip closes."""

    name: str
    make: Callable[[], Bijection]
    data: str  # "unit" or "real"
    latent: str
    # Largest |x - inverse(forward(x))| in double precision for x in the middle, and near edges and tails.
    tolerance: float = 1e-9
    edge_tolerance: float = 1e-7
    # The largest |x| on the real line, and the smallest distance from 0 and 1 of coordinates of data and
    # latent variables in the cube, at which the round trip has to close.
    reach: float = 1e3
    margin: float = 0.0

    def __str__(self) -> str:
        return self.name

    def closes(self, x: Tensor, z: Tensor) -> Tensor:
        """The rows of which the round trip has to close."""
        if self.margin:
            both = torch.cat([x, z], -1)
            return ((both >= self.margin) & (both <= 1 - self.margin)).all(-1)
        return (x.abs() <= self.reach).all(-1)


def same(domain: str) -> dict[str, str]:
    return {"data": domain, "latent": domain}


CASES = [
    Case("permutation", lambda: Permutation(DIM, [2, 0, 1]), **same("real")),
    Case("reverse", lambda: Permutation.reverse(DIM), **same("unit")),
    Case("random", lambda: Permutation.random(DIM, seed=3), **same("unit")),
    Case("soft-real", lambda: SoftPermutation(DIM, "real", seed=1), **same("real")),
    # At 6 standard deviations from the middle 1 - x has seven digits left.
    Case("soft-unit", lambda: SoftPermutation(DIM, "unit", seed=1), **same("unit"), margin=1e-9),
    Case("soft-identity", lambda: SoftPermutation(DIM, "unit"), **same("unit"), margin=1e-9),
    Case(
        "affine",
        lambda: Affine(DIM, torch.tensor([1.0, -2.0, 0.0]), torch.tensor([0.5, 3.0, 10.0])),
        **same("real"),
    ),
    Case("logit", lambda: Logit(DIM), data="unit", latent="real", reach=10.0),
    Case("logit-0", lambda: Logit(DIM, alpha=0.0), data="unit", latent="real", reach=10.0),
    Case("sigmoid", lambda: Sigmoid(DIM), data="real", latent="unit", reach=10.0),
    Case("vegas-grid", lambda: VegasGrid(DIM, edges=EDGES), **same("unit")),
    Case("coupling-unit", lambda: CouplingSpline(DIM, MASK, hidden=(16, 16), bins=5), **same("unit")),
    Case(
        "coupling-real",
        lambda: CouplingSpline(DIM, MASK, hidden=(16,), bins=5, domain="real", bound=3.0),
        **same("real"),
    ),
    Case(
        "coupling-context",
        lambda: CouplingSpline(DIM, MASK, context=CONTEXT, hidden=(16,), bins=4),
        **same("unit"),
    ),
    Case("coupling-one-bin", lambda: CouplingSpline(DIM, MASK, hidden=(8,), bins=1), **same("unit")),
    Case("coupling-all", lambda: CouplingSpline(DIM, (True,) * DIM, hidden=(8,), bins=6), **same("unit")),
    Case(
        "coupling-residual",
        lambda: CouplingSpline(DIM, MASK, hidden=(16, 16, 16), bins=4, activation="silu", residual=True),
        **same("unit"),
    ),
    Case(
        "coupling-circular",
        lambda: CouplingSpline(
            DIM, MASK, hidden=(16,), bins=4, domain="real", bound=math.pi, circular=(1, 2)
        ),
        **same("real"),
        reach=3.0,
    ),
    Case("maf-unit", lambda: AutoregressiveSpline(DIM, hidden=(16, 16), bins=5), **same("unit")),
    Case(
        "iaf-unit", lambda: AutoregressiveSpline(DIM, hidden=(16,), bins=5, fast="sampling"), **same("unit")
    ),
    Case(
        "maf-real-context",
        lambda: AutoregressiveSpline(
            DIM, context=CONTEXT, hidden=(16, 16), bins=4, domain="real", bound=3.0, residual=True
        ),
        **same("real"),
    ),
    Case(
        "iaf-real-order",
        lambda: AutoregressiveSpline(
            DIM, hidden=(16, 16), bins=4, domain="real", fast="sampling", order=(2, 0, 1), degrees="random"
        ),
        **same("real"),
    ),
    Case(
        "maf-circular",
        lambda: AutoregressiveSpline(
            DIM, hidden=(16,), bins=4, domain="real", bound=math.pi, circular=(0, 2), order=(1, 2, 0)
        ),
        **same("real"),
        reach=3.0,
    ),
    Case(
        "iaf-circular-context",
        lambda: AutoregressiveSpline(
            DIM, context=CONTEXT, hidden=(16, 16), bins=4, circular=1, fast="sampling", residual=True
        ),
        **same("unit"),
        margin=1e-9,
    ),
    Case("maf-affine", lambda: AutoregressiveAffine(DIM, hidden=(16,), activation="tanh"), **same("real")),
    Case(
        "iaf-affine-context",
        lambda: AutoregressiveAffine(DIM, context=CONTEXT, hidden=(16,), fast="sampling", scale="sigmoid"),
        **same("real"),
    ),
    Case("inverse", lambda: Inverse(CouplingSpline(DIM, MASK, hidden=(8,), bins=4)), **same("unit")),
    Case(
        "residual-spline",
        lambda: ResidualCoupling(DIM, MASK, context=CONTEXT, hidden=8, bins=4, domain="real"),
        **same("real"),
    ),
    Case(
        "residual-affine", lambda: ResidualCoupling(DIM, MASK, hidden=8, transform="affine"), **same("real")
    ),
    Case(
        "residual-additive",
        lambda: ResidualCoupling(DIM, MASK, hidden=8, transform="additive"),
        **same("real"),
    ),
    Case("coupling-affine", lambda: CouplingAffine(DIM, MASK, hidden=(16,)), **same("real")),
    Case(
        "coupling-affine-context",
        lambda: CouplingAffine(DIM, MASK, context=CONTEXT, hidden=(8,)),
        **same("real"),
    ),
]

cases = pytest.mark.parametrize("case", CASES, ids=str)
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])


@pytest.fixture
def made(case: Case, randomize: Callable[..., Bijection]) -> Bijection:
    """The bijection of a case with random parameters in double precision."""
    torch.manual_seed(0)
    return randomize(case.make()).double()


def points(domain: str, n: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    if domain == "unit":
        return (0.02 + 0.96 * torch.rand(n, DIM, generator=generator, dtype=torch.float64)).to(dtype)
    return (2 * torch.randn(n, DIM, generator=generator, dtype=torch.float64)).to(dtype)


def context_of(bijection: Bijection, n: int, dtype: torch.dtype = torch.float64) -> Tensor | None:
    if bijection.context == 0:
        return None
    return torch.randn(
        n, bijection.context, generator=torch.Generator().manual_seed(9), dtype=torch.float64
    ).to(dtype)


def hard_points(domain: str) -> Tensor:
    """Edges of the domain and of bins, neighbours of the edges, and tails; each coordinate in turn."""
    values = (
        [0.0, 0.25, 0.3, 0.5, 0.99, 1.0] if domain == "unit" else [0.0, -3.0, 3.0, -10.0, 10.0, -1e3, 1e3]
    )
    near = [math.nextafter(v, math.inf) for v in values] + [math.nextafter(v, -math.inf) for v in values]
    if domain == "unit":
        near = [v for v in near if 0 <= v <= 1] + [1e-300, 5e-324]
    rows = [[v if j == i else 0.4 for j in range(DIM)] for v in values + near for i in range(DIM)]
    return torch.tensor([*rows, *([v] * DIM for v in values)], dtype=torch.float64)


@cases
@dtypes
def test_round_trip(case: Case, made: Bijection, dtype: torch.dtype) -> None:
    made = made.to(dtype)
    tolerance = case.tolerance if dtype == torch.float64 else 1e-5
    context = context_of(made, 200, dtype)
    for first, second, domain in [
        (made.forward, made.inverse, case.data),
        (made.inverse, made.forward, case.latent),
    ]:
        x = points(domain, 200, dtype)
        y, log_det = first(x, context)
        back, back_log_det = second(y, context)
        assert y.dtype == log_det.dtype == back.dtype == dtype
        assert y.shape == x.shape
        assert log_det.shape == (200,)
        # Where the map is steep or flat, one side is not determined by the other to its own precision.
        again, _ = first(back, context)
        error = torch.minimum((back - x).abs() / (1 + x.abs()), (again - y).abs() / (1 + y.abs()))
        assert error.max() < tolerance
        assert (back - x).abs().median() < tolerance
        assert (back_log_det + log_det).abs().median() < 10 * tolerance


@cases
@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_log_det_is_that_of_the_autograd_jacobian(case: Case, made: Bijection, direction: str) -> None:
    apply = getattr(made, direction)
    x = points(case.data if direction == "forward" else case.latent, 12)
    context = context_of(made, 12)
    _, log_det = apply(x, context)
    # Rows do not mix (see below), so the gradient of a column's sum holds the Jacobians of all rows.
    x = x.requires_grad_()
    y, _ = apply(x, context)
    rows = [torch.autograd.grad(y[:, i].sum(), x, retain_graph=True)[0] for i in range(DIM)]
    jacobian = torch.stack(rows, 1)
    torch.testing.assert_close(log_det, torch.linalg.slogdet(jacobian).logabsdet, atol=1e-8, rtol=1e-8)


@cases
def test_rows_do_not_depend_on_each_other(case: Case, made: Bijection) -> None:
    for apply, domain in [(made.forward, case.data), (made.inverse, case.latent)]:
        x, context = points(domain, 37), context_of(made, 37)
        y, log_det = apply(x, context)
        for i in (0, 17, 36):
            alone, alone_log_det = apply(x[i : i + 1], None if context is None else context[i : i + 1])
            torch.testing.assert_close(alone[0], y[i], atol=1e-12, rtol=1e-12)
            torch.testing.assert_close(alone_log_det[0], log_det[i], atol=1e-11, rtol=1e-11)


@cases
@dtypes
def test_empty_batch(case: Case, made: Bijection, dtype: torch.dtype) -> None:
    made = made.to(dtype)
    for apply in (made.forward, made.inverse):
        y, log_det = apply(torch.empty(0, DIM, dtype=dtype), context_of(made, 0, dtype))
        assert y.shape == (0, DIM)
        assert log_det.shape == (0,)
        assert y.dtype == log_det.dtype == dtype


@cases
@dtypes
def test_edges_and_tails(case: Case, made: Bijection, dtype: torch.dtype) -> None:
    made = made.to(dtype)
    for first, second, domain, image in [
        (made.forward, made.inverse, case.data, case.latent),
        (made.inverse, made.forward, case.latent, case.data),
    ]:
        x = hard_points(domain).to(dtype)
        context = context_of(made, len(x), dtype)
        y, log_det = first(x, context)
        assert y.isfinite().all()
        assert log_det.isfinite().all()
        if image == "unit":
            # Logit's alpha lets the sigmoid overshoot the cube by alpha.
            overshoot = 2e-6 if case.name == "logit" else 0.0
            assert ((y >= -overshoot) & (y <= 1 + overshoot)).all()
        if dtype == torch.float64:
            rows = case.closes(x, y)
            assert rows.any()
            back, _ = second(y, context)
            torch.testing.assert_close(back[rows], x[rows], atol=case.edge_tolerance, rtol=1e-9)


@cases
@dtypes
def test_gradients_are_finite_at_edges_and_in_tails(case: Case, made: Bijection, dtype: torch.dtype) -> None:
    made = made.to(dtype)
    for apply, domain in [(made.forward, case.data), (made.inverse, case.latent)]:
        x = torch.cat([hard_points(domain).to(dtype), points(domain, 20, dtype)]).requires_grad_()
        context = context_of(made, len(x), dtype)
        y, log_det = apply(x, context)
        total = y.sum() + log_det.sum()
        inputs = [x, *made.parameters()]
        for gradient in torch.autograd.grad(total, inputs, allow_unused=True):
            assert gradient is None or gradient.isfinite().all()


@pytest.mark.parametrize("case", [c for c in CASES if any(True for _ in c.make().parameters())], ids=str)
def test_parameters_get_the_gradient_of_finite_differences(case: Case, made: Bijection) -> None:
    parameters = [p for p in made.parameters() if p.numel()]
    context = context_of(made, 6)
    for apply, domain in [(made.forward, case.data), (made.inverse, case.latent)]:
        x = points(domain, 6)
        weights = torch.randn(6, DIM, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

        def loss(apply=apply, x=x, weights=weights) -> Tensor:
            y, log_det = apply(x, context)
            return (weights * y).sum() + (weights[:, 0] * log_det).sum()

        gradients = torch.autograd.grad(loss(), parameters)
        start = [p.detach().clone() for p in parameters]
        generator = torch.Generator().manual_seed(2)
        # All together in one random direction; masked weights are zero and stay so.
        steps = [torch.where(p == 0, 0.0, torch.empty_like(p).normal_(generator=generator)) for p in start]
        slope = sum(float((g * s).sum()) for g, s in zip(gradients, steps, strict=True))
        values = []
        for factor in (1e-6, -1e-6, 0.0):
            with torch.no_grad():
                for p, p0, s in zip(parameters, start, steps, strict=True):
                    p.copy_(p0 + factor * s)
                values.append(float(loss()))
        assert slope == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5, abs=1e-6)


WITH_KERNELS = (CouplingSpline, Autoregressive, ResidualCoupling, Inverse)


def both_ways(function: Callable) -> Callable:
    """With the native kernels, and for bijections that have some, without."""
    pairs = [(case, False) for case in CASES]
    pairs += [(case, True) for case in CASES if isinstance(case.make(), WITH_KERNELS)]
    names = [f"{case}-{'twin' if twin else 'native'}" for case, twin in pairs]
    return pytest.mark.parametrize(("case", "twin"), pairs, ids=names)(function)


@pytest.fixture
def kernels(twin: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch the native kernels off where a test asks for the twin."""
    if twin:
        for module in (_native, native, native_spline, fused):
            monkeypatch.setattr(module, "core", None)
        monkeypatch.setattr(native, "warn_once", lambda: None)
    elif _native.core is None:
        pytest.skip("without native kernels")


def scalar(made: Bijection, direction: str, context: Tensor | None) -> Callable[[Tensor], Tensor]:
    """A smooth function of a batch that value and log-determinant of a map enter, row by row."""

    def function(x: Tensor) -> Tensor:
        y, log_det = getattr(made, direction)(x, None if context is None else context + 0.1 * x[:, :CONTEXT])
        return 0.5 * y.square().sum() + y[:, 0].sum() - 0.7 * log_det.sum()

    return function


@both_ways
@pytest.mark.parametrize("direction", ["forward", "inverse"])
@pytest.mark.usefixtures("kernels")
def test_create_graph_changes_no_gradient(case: Case, twin: bool, made: Bijection, direction: str) -> None:
    context = context_of(made, 6)
    inputs = [p for p in made.parameters() if p.numel()]
    x = points(case.data if direction == "forward" else case.latent, 6).requires_grad_()
    function = scalar(made, direction, context)
    plain = torch.autograd.grad(function(x), [x, *inputs], allow_unused=True)
    graph = torch.autograd.grad(function(x), [x, *inputs], create_graph=True, allow_unused=True)
    for one, other in zip(plain, graph, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-9)


@both_ways
@pytest.mark.parametrize("direction", ["forward", "inverse"])
@pytest.mark.usefixtures("kernels")
@pytest.mark.filterwarnings("ignore:torch.searchsorted.*non-contiguous")
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # torch's own
@pytest.mark.filterwarnings("ignore:There is a performance drop.*glu")
def test_second_derivatives(case: Case, twin: bool, made: Bijection, direction: str) -> None:
    """Those of autograd, of torch.func and of finite differences agree; mixed ones with the weights too."""
    context = context_of(made, 1)
    x = points(case.data if direction == "forward" else case.latent, 1, seed=5)
    function = scalar(made, direction, context)
    by_autograd = torch.autograd.functional.hessian(function, x)
    by_func = torch.func.hessian(function)(x).detach()
    torch.testing.assert_close(by_autograd, by_func, rtol=1e-7, atol=1e-7)

    inputs = [p for p in made.parameters() if p.numel()]
    along = torch.randn(x.shape, generator=torch.Generator().manual_seed(3), dtype=x.dtype)

    def gradients(x: Tensor, create_graph: bool = False) -> list[Tensor]:
        x = x.detach().requires_grad_()
        found = torch.autograd.grad(
            function(x), [x, *inputs], create_graph=create_graph, allow_unused=True, materialize_grads=True
        )
        return [x, *found]

    h = 1e-6
    numeric = [
        (a - b) / (2 * h)
        for a, b in zip(gradients(x + h * along)[1:], gradients(x - h * along)[1:], strict=True)
    ]
    torch.testing.assert_close(
        torch.einsum("...ij,ij->...", by_autograd, along), numeric[0], rtol=1e-5, atol=1e-5
    )
    # d/dw (along . d/dx) = (along . d/dx) d/dw: what score matching and gradient penalties need.
    x, slope, *_ = gradients(x, create_graph=True)
    if inputs and slope.requires_grad:
        mixed = torch.autograd.grad((slope * along).sum(), inputs, allow_unused=True, materialize_grads=True)
        torch.testing.assert_close(list(mixed), numeric[1:], rtol=1e-5, atol=1e-5)
    else:
        assert all(bool((n.abs() < 1e-5).all()) for n in numeric[1:])


@cases
def test_config_rebuilds_the_bijection(case: Case, made: Bijection) -> None:
    copy = build(json.loads(json.dumps(describe(made)))).double()
    copy.load_state_dict(made.state_dict())
    x, context = points(case.data, 20), context_of(made, 20)
    for one, other in zip(made(x, context), copy(x, context), strict=True):
        assert torch.equal(one, other)


@cases
def test_repr_names_class_and_size(case: Case, made: Bijection) -> None:
    text = repr(made)
    assert text.startswith(type(made).__name__)
    assert any(
        part in text for part in (f"dim={DIM}", "[2, 0, 1]", "[2, 1, 0]", str(made.config().get("order")))
    )


@pytest.mark.parametrize("case", [c for c in CASES if c.make().context], ids=str)
def test_context_matters_where_there_is_one(case: Case, made: Bijection) -> None:
    x, context = points(case.data, 5), context_of(made, 5)
    assert context is not None
    assert not torch.allclose(made(x, context)[0], made(x, context + 1)[0])


@cases
@pytest.mark.filterwarnings("ignore:torch.searchsorted.*non-contiguous")
def test_vmap_over_rows_is_the_batch(case: Case, made: Bijection) -> None:
    x, context = points(case.data, 7), context_of(made, 7)

    def one(row: Tensor, given: Tensor | None) -> tuple[Tensor, Tensor]:
        z, log_det = made(row[None], None if given is None else given[None])
        return z[0], log_det[0]

    with torch.no_grad():
        z, log_det = torch.vmap(one, in_dims=(0, None if context is None else 0))(x, context)
    expected, expected_log_det = made(x, context)
    torch.testing.assert_close(z, expected, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(log_det, expected_log_det, atol=1e-11, rtol=1e-11)


@cases
@given(data=st.data())
def test_any_point_of_the_domain_survives_the_round_trip(
    case: Case, randomize: Callable[..., Bijection], data: st.DataObject
) -> None:
    torch.manual_seed(0)
    bijection = randomize(case.make(), seed=data.draw(st.integers(0, 3), label="weights")).double()
    limit = min(case.reach, 100.0)
    value = st.floats(0, 1) if case.data == "unit" else st.floats(-limit, limit)
    rows = data.draw(st.lists(st.lists(value, min_size=DIM, max_size=DIM), min_size=1, max_size=4), label="x")
    x = torch.tensor(rows, dtype=torch.float64)
    context = context_of(bijection, len(x))
    z, log_det = bijection(x, context)
    back, back_log_det = bijection.inverse(z, context)
    assert z.isfinite().all()
    assert log_det.isfinite().all()
    assert back_log_det.isfinite().all()
    rows = case.closes(x, z)
    torch.testing.assert_close(back[rows], x[rows], atol=case.edge_tolerance, rtol=1e-9)


def test_wrong_sizes_are_input_errors() -> None:
    with pytest.raises(InputError, match="dim must be >= 1"):
        Logit(0)
    with pytest.raises(InputError, match="unknown component 'Nonsense'"):
        build({"kind": "Nonsense", "dim": 2})


def test_every_bijection_is_in_the_table() -> None:
    listed = {type(case.make()).__name__ for case in CASES}
    registered = {
        name
        for name, kind in REGISTRY.items()
        if issubclass(kind, Bijection)
        and kind.__module__.startswith("lhcflow.")
        and not kind.__subclasses__()
        and kind is not Bijection
    }
    assert registered == listed
