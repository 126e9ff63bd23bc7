"""The Flow: densities, samples, input checks, compilation and ensembles."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.func import functional_call, stack_module_state

from lhcflow import InputError
from lhcflow.flows import (
    Affine,
    AutoregressiveSpline,
    CouplingSpline,
    Flow,
    Permutation,
    SoftPermutation,
    StandardNormal,
    Uniform,
    autoregressive_spline,
    coupling_spline,
)

# Of the statistical tests below. The seeds are fixed, so this is the chance that a change of the random
# numbers (another version of torch) breaks a test of correct code.
FALSE_ALARM = 1e-4


def flows() -> dict[str, Flow]:
    """Small flows of every kind, with two dimensions and in double precision."""
    torch.manual_seed(0)
    small = {"hidden": (16, 16), "bins": 6, "seed": 1}
    grid = torch.tensor([[0.0, 0.2, 0.3, 1.0], [0.0, 0.6, 0.7, 1.0]])
    return {
        "coupling-unit": coupling_spline(2, layers=4, **small),
        "coupling-real": coupling_spline(2, layers=4, domain="real", bound=3.0, **small),
        "coupling-soft-unit": coupling_spline(2, layers=4, permutation="soft", **small),
        "coupling-grid": coupling_spline(2, layers=2, grid=grid, **small),
        "coupling-angle": coupling_spline(2, layers=2, circular=(1,), **small),
        "coupling-angle-real": coupling_spline(
            2, layers=2, domain="real", bound=math.pi, circular=(0,), **small
        ),
        "maf-unit": autoregressive_spline(2, layers=2, **small),
        "iaf-real": autoregressive_spline(
            2, layers=2, domain="real", fast="sampling", permutation="soft", **small
        ),
        "context": coupling_spline(2, context=3, layers=2, **small),
        "maf-context": autoregressive_spline(2, context=3, layers=2, domain="real", **small),
    }


@pytest.fixture(params=list(flows()))
def flow(request: pytest.FixtureRequest, randomize) -> Flow:
    return randomize(flows()[request.param], size=0.15).double()


def context_of(flow: Flow, n: int = 1) -> Tensor | None:
    if flow.context == 0:
        return None
    row = torch.linspace(-1, 1, flow.context, dtype=flow.dtype)
    return row.expand(n, -1)


def test_density_integrates_to_one(flow: Flow) -> None:
    # Midpoint rule; the splines' density has kinks at knots only, so that it converges as 1/n^2.
    n = 400
    wide = 1.0 if isinstance(flow.base, Uniform) else 14.0
    axis = wide * ((torch.arange(n, dtype=torch.float64) + 0.5) / n - (0.0 if wide == 1.0 else 0.5))
    x = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        density = flow.log_prob(x, context_of(flow)).exp()
    if flow.bijections[0].config().get("circular") and wide > 1.0:
        density = torch.where((x[:, 0].abs() <= math.pi), density, 0.0)  # one period of the angle
    assert float(density.mean()) * wide**2 == pytest.approx(1.0, abs=5e-3)


def test_samples_follow_the_density(flow: Flow) -> None:
    """Chi2 of counts in a 12 x 12 grid of equal-count strips, expectation from the density alone."""
    n, strips, fine = 20_000, 12, 25
    x = flow.sample(n, context_of(flow), generator=torch.Generator().manual_seed(5)).numpy()
    assert x.shape == (n, 2)
    other = flow.sample(n, context_of(flow), generator=torch.Generator().manual_seed(6)).numpy()
    # Edges come from an independent sample; the outermost 1 % on each side are left out.
    edges = [np.quantile(other[:, j], np.linspace(0.01, 0.99, strips + 1)) for j in range(2)]
    nodes, weights = [], []
    for e in edges:
        middles = (np.arange(fine) + 0.5) / fine
        nodes.append((e[:-1, None] + np.diff(e)[:, None] * middles).ravel())
        weights.append(np.repeat(np.diff(e) / fine, fine))
    points = torch.cartesian_prod(*(torch.from_numpy(v) for v in nodes))
    with torch.no_grad():
        density = flow.log_prob(points, context_of(flow)).exp().numpy()
    mass = density.reshape(len(nodes[0]), len(nodes[1])) * np.outer(*weights)
    expected = n * mass.reshape(strips, fine, strips, fine).sum((1, 3))
    counts, _, _ = np.histogram2d(x[:, 0], x[:, 1], bins=edges)
    use = expected > 10
    chi2 = (((counts - expected) ** 2) / expected)[use].sum()
    # The rest of the plane is one more cell, so that the counts are multinomial.
    rest = n - expected[use].sum()
    chi2 += (n - counts[use].sum() - rest) ** 2 / rest
    assert use.sum() > 40
    assert stats.chi2.sf(chi2, use.sum()) > FALSE_ALARM


def test_sample_and_log_prob_agree_with_log_prob(flow: Flow) -> None:
    x, log_prob = flow.sample_and_log_prob(500, context_of(flow), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(log_prob, flow.log_prob(x, context_of(flow)), atol=1e-6, rtol=1e-6)
    again = flow.sample(500, context_of(flow), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(again, x, atol=1e-12, rtol=1e-12)
    z, log_det = flow(x, context_of(flow))
    back, back_log_det = flow.inverse(z, context_of(flow))
    torch.testing.assert_close(back, x, atol=1e-8, rtol=1e-8)
    torch.testing.assert_close(back_log_det, -log_det, atol=1e-6, rtol=1e-6)


def test_generator_decides_and_global_state_is_left_alone(flow: Flow) -> None:
    state = torch.get_rng_state()
    one = flow.sample(8, context_of(flow), generator=torch.Generator().manual_seed(3))
    two = flow.sample(8, context_of(flow), generator=torch.Generator().manual_seed(3))
    other = flow.sample(8, context_of(flow), generator=torch.Generator().manual_seed(4))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_empty_batches(flow: Flow) -> None:
    assert flow.sample(0, context_of(flow)).shape == (0, 2)
    assert flow.sample(0, context_of(flow, 0)).shape == (0, 2)
    assert flow.log_prob(torch.empty(0, 2, dtype=torch.float64), context_of(flow, 0)).shape == (0,)


def test_float32_agrees_with_float64(flow: Flow) -> None:
    x = flow.sample(300, context_of(flow), generator=torch.Generator().manual_seed(2))
    expected = flow.log_prob(x, context_of(flow))
    single = copy.deepcopy(flow).float()
    context = context_of(single)
    result = single.log_prob(x.float(), context)
    assert result.dtype == torch.float32
    error = (result - expected).abs()
    assert error.median() < 1e-4
    assert error.quantile(0.99) < 1e-2
    assert single.sample(3, context).dtype == torch.float32


def test_outside_of_the_cube_the_density_is_zero(randomize) -> None:
    for flow in (
        coupling_spline(2, layers=2, permutation="soft", hidden=(8,), seed=0),
        autoregressive_spline(2),
    ):
        randomize(flow)
        x = torch.tensor([[0.5, 1.1], [-0.1, 0.5], [2.0, -3.0], [0.5, 0.5], [0.0, 1.0], [1.0, 1.0]])
        log_prob = flow.log_prob(x)
        assert (log_prob[:3] == -math.inf).all()
        assert log_prob[3:].isfinite().all()


def test_context_one_row_per_sample_or_one_row_for_all(randomize) -> None:
    flow = randomize(coupling_spline(2, context=1, layers=2, hidden=(16,), domain="real", seed=0))
    row = torch.tensor([0.7])
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    expected = flow.log_prob(x, row.expand(5, 1))
    for context in (row, row[None], row.expand(5, 1)):
        torch.testing.assert_close(flow.log_prob(x, context), expected)
    contexts = torch.tensor([[-1.0], [0.0], [2.0]])
    many = flow.sample(3, contexts, generator=torch.Generator().manual_seed(1))
    z = torch.randn(3, 2, generator=torch.Generator().manual_seed(1))
    for i in range(3):
        alone, _ = flow.inverse(z[i : i + 1], contexts[i])
        torch.testing.assert_close(many[i : i + 1], alone)


def test_samples_carry_gradients_only_where_asked(randomize) -> None:
    flow = randomize(coupling_spline(2, layers=2, hidden=(8,), seed=0))
    assert not flow.sample(4).requires_grad
    x, log_prob = flow.sample_and_log_prob(4)
    (x.square().sum() + log_prob.sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in flow.parameters())
    with torch.no_grad():
        assert not flow.sample_and_log_prob(4)[1].requires_grad


def test_maximum_likelihood_learns_a_correlated_gaussian() -> None:
    """The mean log-likelihood of fresh data comes within 0.05 of the truth's (minus its entropy)."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    mix = torch.tensor([[1.0, 0.8], [0.0, 0.6]])
    flow = coupling_spline(2, layers=2, hidden=(32,), bins=8, domain="real", permutation="soft", seed=0)
    optimizer = torch.optim.Adam(flow.parameters(), lr=5e-3)
    for _ in range(250):
        x = torch.randn(512, 2, generator=generator) @ mix
        loss = -flow.log_prob(x).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    fresh = torch.randn(20_000, 2, generator=generator) @ mix
    entropy = math.log(2 * math.pi * math.e) + float(torch.linalg.slogdet(mix).logabsdet)
    with torch.no_grad():
        assert -float(flow.log_prob(fresh).mean()) == pytest.approx(entropy, abs=0.05)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda f: f.log_prob(torch.zeros(4, 3), torch.zeros(4, 2)),
            r"x must have shape \(n, 2\), got \(4, 3\)",
        ),
        (lambda f: f.log_prob(torch.zeros(2), torch.zeros(4, 2)), r"x must have shape \(n, 2\), got \(2,\)"),
        (lambda f: f.inverse(torch.zeros(4, 3), torch.zeros(4, 2)), r"z must have shape"),
        (lambda f: f.log_prob(torch.zeros(4, 2)), r"needs context of shape \(4, 2\)"),
        (lambda f: f.sample(4), r"needs context of shape \(4, 2\)"),
        (
            lambda f: f.log_prob(torch.zeros(4, 2), torch.zeros(4, 1)),
            r"context must have shape .*, got \(4, 1\)",
        ),
        (
            lambda f: f.sample(4, torch.zeros(3, 2)),
            r"context must have shape \(4, 2\) or \(1, 2\), got \(3, 2\)",
        ),
        (
            lambda f: f.log_prob(torch.full((4, 2), math.nan), torch.zeros(4, 2)),
            r"x holds NaN .* in 4 of 4 rows",
        ),
        (
            lambda f: f.sample(1, torch.tensor([[0.0, math.inf]])),
            r"context holds NaN or infinity in 1 of 1 rows",
        ),
        (
            lambda f: f.log_prob(torch.zeros(4, 2).double(), torch.zeros(4, 2)),
            r"x is torch.float64 on cpu, the flow",
        ),
        (lambda f: f.sample(-1, torch.zeros(2)), r"number of samples must be >= 0, got -1"),
    ],
)
def test_wrong_input_is_one_clear_error(call, message: str) -> None:
    flow = coupling_spline(2, context=2, layers=2, hidden=(4,))
    with pytest.raises(InputError, match=message) as error:
        call(flow)
    assert "\n" not in str(error.value)


def test_flow_without_context_refuses_one() -> None:
    with pytest.raises(InputError, match="without context"):
        coupling_spline(2, layers=1, hidden=(4,)).log_prob(torch.zeros(1, 2), torch.zeros(1, 1))


def test_parts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match=r"bijection 1 \(Permutation\) has dim=3, but the base has dim=2"):
        Flow([Affine(2), Permutation.reverse(3)], StandardNormal(2))
    one, two = (AutoregressiveSpline(2, context=c, hidden=(4,)) for c in (1, 2))
    with pytest.raises(
        InputError, match=r"bijection 0 \(AutoregressiveSpline\) has context=1, another has 2"
    ):
        Flow([one, two], Uniform(2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"domain": "cube"}, "domain"),
        ({"masks": "odd"}, "masks"),
        ({"permutation": "hard"}, "permutation"),
        ({"layers": 0}, "layers"),
        ({"dim": 0}, "dim"),
        ({"bins": 0}, "bins"),
        ({"activation": "step"}, "activation"),
        ({"circular": (0,), "permutation": "soft"}, "circular"),
        ({"grid": torch.tensor([[0.0, 1.0]] * 3), "domain": "real"}, "unit"),
        ({"grid": torch.tensor([[0.0, 1.0]])}, "grid edges need shape"),
    ],
)
def test_builder_options_are_checked(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        coupling_spline(**{"dim": 3, **options})


def test_builders_put_permutations_between_pairs_and_layers() -> None:
    def kinds(flow: Flow) -> str:
        return "".join(type(b).__name__[0] for b in flow.bijections)

    small = {"hidden": (4,), "bins": 2}
    assert kinds(coupling_spline(4, layers=5, **small)) == "CCCCC"
    assert kinds(coupling_spline(4, layers=5, permutation="reverse", **small)) == "CCPCCPC"
    assert kinds(coupling_spline(4, layers=4, permutation="soft", **small)) == "SCCSCC"
    assert kinds(autoregressive_spline(4, layers=3, **small)) == "APAPA"
    assert kinds(autoregressive_spline(4, layers=2, permutation="soft", **small)) == "SASA"
    assert kinds(autoregressive_spline(1, layers=2, **small)) == "AA"
    masks = [
        b.mask for b in coupling_spline(8, layers=6, **small).bijections if isinstance(b, CouplingSpline)
    ]
    conditioned = np.zeros((8, 8), dtype=bool)
    for mask in masks:
        conditioned |= np.outer(mask, ~np.array(mask))
    assert (conditioned | np.eye(8, dtype=bool)).all()  # every dimension given every other one


def test_seed_decides_the_initial_weights() -> None:
    state = torch.get_rng_state()
    small = {"layers": 2, "hidden": (8,), "masks": "random"}
    one, two, other = (coupling_spline(6, **small, seed=s).state_dict() for s in (1, 1, 2))
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert any(one[k].shape != other[k].shape or not torch.equal(one[k], other[k]) for k in one)
    assert torch.equal(torch.get_rng_state(), state)


def test_new_flows_are_the_identity() -> None:
    x = torch.rand(50, 3, generator=torch.Generator().manual_seed(0))
    for flow in (
        coupling_spline(3, permutation="soft"),
        coupling_spline(3, circular=(1,), layers=4),
        autoregressive_spline(3, permutation="none"),
        autoregressive_spline(3, permutation="none", fast="sampling", domain="real"),
    ):
        z, log_det = flow(x)
        torch.testing.assert_close(z, x, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(log_det, torch.zeros(50), atol=1e-4, rtol=0)


def test_repr_tells_the_architecture_in_lines() -> None:
    flow = coupling_spline(3, context=2, layers=2, hidden=(8,), bins=4, permutation="soft")
    lines = repr(flow).splitlines()
    count = sum(p.numel() for p in flow.parameters())
    assert lines[0] == f"Flow(dim=3, context=2), {count:,} parameters, float32 on cpu"
    assert lines[1].split() == ["1", "SoftPermutation(dim=3,", "domain='unit'),", "3", "parameters"]
    assert lines[2].split()[1].startswith("CouplingSpline(dim=3,")
    assert lines[-1] == "  base Uniform(dim=3)"
    assert len(lines) == 5


@pytest.mark.parametrize(
    "make",
    [
        lambda: coupling_spline(3, context=1, layers=4, hidden=(8,), bins=4, permutation="soft"),
        lambda: coupling_spline(3, context=1, layers=2, hidden=(8,), bins=4, domain="real"),
        lambda: autoregressive_spline(3, context=1, layers=2, hidden=(8,), bins=4),
        lambda: autoregressive_spline(3, context=1, layers=2, hidden=(8,), bins=4, fast="sampling"),
    ],
    ids=["coupling-soft-unit", "coupling-real", "maf", "iaf"],
)
def test_vmap_ensemble_is_each_member_alone(make, randomize) -> None:
    members = [randomize(make(), seed=s).double() for s in range(3)]
    parameters, buffers = stack_module_state(members)
    skeleton = copy.deepcopy(members[0]).to("meta")
    x = torch.rand(11, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    context = torch.randn(11, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def loss(parameters, buffers, x, context) -> Tensor:
        z, log_det = functional_call(skeleton, (parameters, buffers), (x, context))
        return log_det + skeleton.base.log_prob(z)

    result = torch.vmap(loss, in_dims=(0, 0, None, None))(parameters, buffers, x, context)
    expected = torch.stack([member.log_prob(x, context) for member in members])
    torch.testing.assert_close(result, expected, atol=1e-9, rtol=1e-9)
    result.sum().backward()
    expected.sum().backward()
    for name, stacked in parameters.items():
        alone = torch.stack([dict(member.named_parameters())[name].grad for member in members])
        torch.testing.assert_close(stacked.grad, alone, atol=1e-7, rtol=1e-7)


@pytest.mark.filterwarnings("default")  # the compiler's own
@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.parametrize(
    ("kind", "backend"),
    [
        ("coupling", "aot_eager"),
        ("maf", "aot_eager"),
        pytest.param("coupling", "inductor", marks=pytest.mark.slow),
    ],
)
def test_compiled_flow_is_the_flow(kind: str, backend: str, randomize) -> None:
    if kind == "coupling":
        flow = coupling_spline(3, layers=2, hidden=(16,), bins=4, permutation="soft", seed=0)
    else:
        flow = autoregressive_spline(3, layers=2, hidden=(16,), bins=4, domain="real", seed=0)
    randomize(flow)
    torch.compiler.reset()
    log_prob = torch.compile(flow.log_prob, backend=backend, fullgraph=True)
    x = torch.rand(64, 3, generator=torch.Generator().manual_seed(0))
    expected = flow.log_prob(x)
    result = log_prob(x)
    torch.testing.assert_close(result, expected, atol=1e-4, rtol=1e-4)
    gradients = torch.autograd.grad(result.sum(), list(flow.parameters()))
    wanted = torch.autograd.grad(expected.sum(), list(flow.parameters()))
    for one, other in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("name", list(flows()))
def test_cuda_agrees_with_cpu(name: str, randomize) -> None:
    flow = randomize(flows()[name]).double()
    x = flow.sample(200, context_of(flow), generator=torch.Generator().manual_seed(0))
    expected = flow.log_prob(x, context_of(flow)).detach()
    on_gpu = copy.deepcopy(flow).cuda()
    context = context_of(flow)
    given = None if context is None else context.cuda()
    torch.testing.assert_close(on_gpu.log_prob(x.cuda(), given).cpu(), expected, atol=1e-8, rtol=1e-8)
    samples = on_gpu.sample(100, given, generator=torch.Generator("cuda").manual_seed(0))
    assert samples.is_cuda
    assert samples.isfinite().all()


def test_soft_permutation_is_reported_in_the_parameters() -> None:
    flow = coupling_spline(5, layers=2, permutation="soft")
    soft = [b for b in flow.bijections if isinstance(b, SoftPermutation)]
    assert [p.numel() for b in soft for p in b.parameters()] == [10]
