"""Replayed solutions of masked autoregressive flows.

Without a GPU a tape of the operations stands in for the CUDA graph. Tests marked ``gpu`` capture real graphs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from lhcflow.flows import AutoregressiveAffine, AutoregressiveSpline, graphed
from lhcflow.flows.graphed import Captured, Graphs
from lhcflow.flows.incremental import Plan, solve_naive
from tapes import Tape, recorded


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> list[Tape]:
    return recorded(monkeypatch)


def bijections(randomize: Callable) -> list[Any]:
    torch.manual_seed(0)
    made = [
        AutoregressiveSpline(5, hidden=(12, 9), bins=4, domain="real", order=(2, 0, 1, 4, 3)),
        AutoregressiveSpline(5, hidden=(12, 12), bins=4, residual=True, context=2, fast="sampling"),
        AutoregressiveAffine(5, hidden=(12, 9), context=2, activation="silu"),
    ]
    return [randomize(b).double() for b in made]


def problem(bijection: Any, n: int, seed: int) -> tuple[Tensor, Tensor | None]:
    generator = torch.Generator().manual_seed(seed)
    y = torch.rand(n, 5, generator=generator, dtype=torch.float64)
    context = bijection.context
    return y, torch.randn(n, context, generator=generator, dtype=torch.float64) if context else None


def test_replays_give_the_solution(stand_in: list[Tape], randomize: Callable) -> None:
    for index, bijection in enumerate(bijections(randomize)):
        plan, inverse = Plan(bijection.net, bijection.element), bijection.fast == "density"
        results = []
        for seed in range(4):
            y, c = problem(bijection, 30, seed)
            with torch.no_grad():
                found = plan.graphs.run(plan.solve_torch, y, plan.context_terms(c), inverse)
                results.append((found, solve_naive(bijection.net, bijection.element, y, c, inverse)))
        assert len(stand_in) == index + 1
        for found, expected in results:  # compared after all replays: no result lies in a buffer
            torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_buffers_of_inference_mode(stand_in: list[Tape], randomize: Callable) -> None:
    bijection = bijections(randomize)[2]
    y, c = problem(bijection, 30, 0)
    with torch.inference_mode():
        plan = Plan(bijection.net, bijection.element)
        for _ in range(3):
            found = plan.graphs.run(plan.solve_torch, y, plan.context_terms(c), True)
    with torch.no_grad():
        again = plan.graphs.run(plan.solve_torch, y, plan.context_terms(c), True)
    assert len(stand_in) == 1
    torch.testing.assert_close(found, again, rtol=0, atol=0)


def double(x: Tensor, plus: Tensor | None, negate: bool) -> tuple[Tensor]:
    y = 2 * x if plus is None else 2 * x + plus
    return (-y if negate else y,)


def test_one_graph_for_each_kind_of_call(stand_in: list[Tape]) -> None:
    graphs, x = Graphs(), torch.arange(3.0)
    calls = [(x, None, False), (x.double(), None, False), (x, None, True), (x, x, False)]
    for rounds, captured in ((1, 0), (2, 4), (3, 4)):
        for call in calls:
            assert torch.equal(graphs.run(double, *call)[0], double(*call)[0])
        assert len(stand_in) == captured, rounds


def test_the_oldest_graph_goes(stand_in: list[Tape]) -> None:
    graphs = Graphs()
    sizes = range(1, graphed.KEPT + 1)
    for n in (*sizes, *sizes):
        graphs.run(double, torch.ones(n), None, False)
    graphs.run(double, torch.ones(1), None, False)  # now 2 is the oldest
    graphs.run(double, torch.ones(99), None, False)
    assert len(stand_in) == len(graphs._graphs) == graphed.KEPT
    for _ in range(2):
        graphs.run(double, torch.ones(1), None, False)
    assert len(stand_in) == graphed.KEPT
    for _ in range(2):
        graphs.run(double, torch.ones(2), None, False)
    assert len(stand_in) == graphed.KEPT + 1


def test_falls_back_where_nothing_can_be_captured(stand_in: list[Tape]) -> None:
    def waits(x: Tensor) -> tuple[Tensor]:
        return (x * x.sum().item(),)

    graphs, x = Graphs(), torch.arange(3.0)
    graphs.run(waits, x)
    with pytest.warns(RuntimeWarning, match="without a CUDA graph.*waits for the device"):
        assert torch.equal(graphs.run(waits, x)[0], 3 * x)
    assert torch.equal(graphs.run(waits, 2 * x)[0], 12 * x)  # and no second warning, nor attempt
    assert len(stand_in) == 1


def test_cpu_tensors_are_not_captured() -> None:
    graphs = Graphs()
    for _ in range(3):
        graphs.run(double, torch.ones(3), None, False)
    assert not graphs._graphs


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_cuda_graph_gives_the_solution(dtype: torch.dtype, randomize: Callable) -> None:
    tolerance = {torch.float32: 2e-4, torch.float64: 1e-9}[dtype]
    for bijection in bijections(randomize):
        bijection.to("cuda", dtype)
        slow = bijection.inverse if bijection.fast == "density" else bijection
        results = []
        for seed in range(4):
            y, c = (None if t is None else t.to("cuda", dtype) for t in problem(bijection, 100, seed))
            with torch.no_grad():
                exact = solve_naive(bijection.net, bijection.element, y, c, bijection.fast == "density")
                results.append((slow(y, c), exact))
        plan = bijection._plans.get(bijection.net, bijection.element)
        assert [type(graph) for graph in plan.graphs._graphs.values()] == [Captured]
        for found, expected in results:
            torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.gpu
def test_new_weights_need_a_new_cuda_graph(randomize: Callable) -> None:
    bijection = bijections(randomize)[2].cuda()
    y, c = (t.cuda() for t in problem(bijection, 100, 0))  # type: ignore[union-attr]
    for seed in (1, 2):
        randomize(bijection.cpu(), seed=seed).cuda()
        with torch.no_grad():
            expected = solve_naive(bijection.net, bijection.element, y, c, True)
            for _ in range(3):
                torch.testing.assert_close(bijection.inverse(y, c), expected, rtol=1e-9, atol=1e-9)
