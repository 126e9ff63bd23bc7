"""Exported models against the models in Python."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from calorimeter.models.toys import SHAPES, correlated_showers
from lhcflow import InputError
from lhcflow.calorimeter.export import INPUTS, OUTPUT, export_cpp, export_onnx
from lhcflow.calorimeter.export.onnx_file import PARITY, PSEUDORAPIDITY, example, feeds, session
from lhcflow.calorimeter.models import CaloFlow, HitFlow, TrainingSettings, VoxelFlow
from lhcflow.calorimeter.models.preprocessing import EnergyFractions
from lhcflow.errors import RunError
from lhcflow.flows import AutoregressiveSpline, Flow, StandardNormal
from randomized import randomized

LAYERS = (6, 8, 5)
DRIVER = r"""
#include "lhcflow_showers.hpp"
#include <cstdio>

int main(int, char **argument) {
    const lhcflow::Model model(argument[1]);
    std::vector<float> z_energies(model.layers()), z_voxels(model.voxels());
    for (double incident; std::scanf("%lf", &incident) == 1;) {
        for (auto *numbers : {&z_energies, &z_voxels})
            for (auto &z : *numbers)
                if (std::scanf("%f", &z) != 1) return 1;
        for (double energy : model.shower(incident, z_energies, z_voxels)) std::printf("%.9g ", energy);
        std::printf("\n");
    }
}
"""


def trained(fast="density", activation="relu", layers=LAYERS, scale=0.15):
    """A model whose weights are those of no identity; the larger their ``scale``, the steeper its flows.

    Its shares have bounds, as after a training, which half of the showers reach.
    """
    model = CaloFlow.build(layers, blocks=3, hidden=(20, 16), seed=1)
    flow = None
    if activation != "relu":
        net = {"context": 1 + len(layers), "hidden": (20, 16), "activation": activation, "bins": 8}
        layer = AutoregressiveSpline(sum(layers), **net, fast=fast, domain="real", bound=14.0)
        flow = Flow([layer], StandardNormal(sum(layers)))
    model.voxels = VoxelFlow(layers, blocks=3, hidden=(20, 16), fast=fast, flow=flow, seed=1)
    model = randomized(model, seed=3, size=scale)
    model.voxels.brightest.copy_(torch.linspace(0.3, 0.9, sum(layers)))
    bounds = tuple((0.1, 0.9 - 0.01 * i) for i in range(len(layers)))
    model.energies.fractions = EnergyFractions(1.0, model.energies.alpha, bounds)
    return model


def expected(model, inputs):
    return model.decode(inputs[0][:, 0], *inputs[1:]).numpy()


def test_the_bounds_of_shares_matter():
    model = trained()
    inputs = example(model, 400, seed=5)
    found = [expected(model, inputs)]
    model.voxels.brightest.fill_(1.0)
    found.append(expected(model, inputs))
    assert (abs(found[1] - found[0]) > 1e-6).any(1).mean() > 0.1
    model.energies.fractions = EnergyFractions(1.0, model.energies.alpha)
    before, after = (model.layers.energies(torch.from_numpy(x)) for x in (found[1], expected(model, inputs)))
    assert ((after - before).abs() > 1e-6).any(1).double().mean() > 0.1


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    model, path = trained("sampling"), tmp_path_factory.mktemp("onnx") / "student.onnx"
    return model, path, export_onnx(model, path)[0]


@pytest.mark.parametrize("batch", [1, 200])
def test_onnx_graph_gives_the_models_showers(student, batch):
    model, path, difference = student
    inputs = example(model, batch, seed=5)
    found = session(path).run([OUTPUT], feeds("lhcflow", *(t.numpy() for t in inputs)))[0]
    assert found.dtype == np.float32
    assert found.shape == (batch, sum(LAYERS))
    assert difference < PARITY == 1e-5
    assert (abs(found - expected(model, inputs)) / inputs[0].numpy()).max() < PARITY


def test_flows_too_steep_for_float32_are_computed_in_float64(tmp_path):
    """A float32 graph is as far from the exact map as float32 sampling is: the flow is ill-conditioned."""
    model = trained("sampling")
    with pytest.raises(RunError, match="differs from the model"):
        export_onnx(model, tmp_path / "s.onnx", precision="single")
    assert not (tmp_path / "s.onnx").exists()
    difference, precision = export_onnx(model, tmp_path / "d.onnx")
    assert precision == "double"
    assert difference < 1e-7  # the output is rounded to float32
    inputs = example(model, 5000, seed=12345)
    runtime = session(tmp_path / "d.onnx")
    assert {i.type for i in (*runtime.get_inputs(), *runtime.get_outputs())} == {"tensor(float)"}
    found = runtime.run([OUTPUT], feeds("lhcflow", *(t.numpy() for t in inputs)))[0]
    assert (abs(found - expected(model, inputs)) / inputs[0].numpy()).max() < 1e-7


def test_onnx_graph_is_float32_and_of_an_old_opset(tmp_path):
    assert export_onnx(trained("sampling", scale=0.03), tmp_path / "gentle.onnx")[1] == "single"
    graph = onnx.load(tmp_path / "gentle.onnx")
    assert {o.version for o in graph.opset_import} == {18}
    assert graph.ir_version <= 9  # ONNX Runtime 1.15
    kinds = {i.data_type for i in graph.graph.initializer}
    assert kinds <= {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64}
    assert [i.name for i in graph.graph.input] == list(INPUTS["lhcflow"])


def test_onnx_has_no_nan_in_the_tails(student):
    model, path, _ = student
    inputs = [t.numpy() for t in example(model, 2000, seed=9)]
    inputs[1:] = [t * 4 for t in inputs[1:]]  # up to some 17 sigma, beyond the splines' interval
    found = session(path).run([OUTPUT], feeds("lhcflow", *inputs))[0]
    assert np.isfinite(found).all()
    assert (found >= 0).all()


@pytest.mark.slow
def test_a_million_showers_are_finite(student):
    """FastCaloSim throws a shower with NaN away; for 504 voxels see benchmarks/calo_onnx.py."""
    model, path, _ = student
    runtime = session(path)
    for seed in range(50):
        inputs = [t.numpy() for t in example(model, 20_000, seed=seed)]
        found = runtime.run([OUTPUT], feeds("lhcflow", *inputs))[0]
        assert np.isfinite(found).all()
        assert (found >= 0).all()
        # Flow I of these weights deposits less than the threshold now and then; then so does the model's.
        empty = np.flatnonzero(found.sum(1) == 0)
        assert len(empty) < 0.01 * len(found)
        assert not expected(model, [torch.from_numpy(x[empty]) for x in inputs]).any()


def test_fastcalosims_names(tmp_path, student):
    model, reference, _ = student
    export_onnx(model, tmp_path / "f.onnx", names="fastcalosim")
    runtime = session(tmp_path / "f.onnx")
    assert {i.name for i in runtime.get_inputs()} == {*INPUTS["fastcalosim"], PSEUDORAPIDITY}
    inputs = [t.numpy() for t in example(model, 20)]
    found = runtime.run([OUTPUT], feeds("fastcalosim", *inputs))[0]
    wanted = session(reference).run([OUTPUT], feeds("lhcflow", *inputs))[0]
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("activation", ["silu", "leaky_relu", "elu", "tanh"])
def test_onnx_activations(tmp_path, activation):
    for precision in ("single", "double"):
        model = trained("sampling", activation, scale=0.1)
        difference = export_onnx(model, tmp_path / "m.onnx", precision=precision)
        assert difference[0] < PARITY


def test_small_teachers_can_be_a_graph_and_large_ones_say_what_to_do(tmp_path):
    assert export_onnx(trained("density"), tmp_path / "small.onnx")[0] < PARITY
    large = CaloFlow.build((60, 40), blocks=1, hidden=(8,))
    with pytest.raises(InputError, match=r"100 passes.*distil"):
        export_onnx(large, tmp_path / "large.onnx")
    assert not (tmp_path / "large.onnx").exists()
    with pytest.raises(InputError, match="names are lhcflow or fastcalosim"):
        export_onnx(large, tmp_path / "large.onnx", names="atlas")


@pytest.fixture(scope="module")
def hitflow(tmp_path_factory):
    model, path = HitFlow.build(SHAPES), tmp_path_factory.mktemp("onnx") / "hitflow.onnx"
    quick = TrainingSettings(epochs=2, batch_size=200, progress=False)
    model.train_on(*correlated_showers(1500), quick)
    return model, path, export_onnx(model, path)


@pytest.mark.parametrize("batch", [1, 5000])
def test_hitflows_graph_gives_its_showers(hitflow, batch):
    model, path, (difference, precision) = hitflow
    assert precision == "double"
    assert difference < PARITY
    inputs = example(model, batch, seed=12345)
    found = session(path).run([OUTPUT], feeds("lhcflow", *(t.numpy() for t in inputs)))[0]
    wanted = expected(model, inputs)
    assert ((found > 0) == (wanted > 0)).all()
    assert (abs(found - wanted) / inputs[0].numpy()).max() < 1e-7
    # The showers differ, and some layers have nothing: not a graph that ignores its noise.
    assert batch == 1 or (0.1 < (found > 0).mean() < 0.9 and found.std(0).min() > 0)


def test_hitflow_of_calogan_has_fastcalosims_names(tmp_path):
    """With weights that are not zero but say nothing: 504 voxels, in another order than that of the steps."""
    model = HitFlow.build(((3, 96), (12, 12), (12, 6)), seed=1)
    generator = torch.Generator().manual_seed(0)
    for name in ("orbit_terms", "terms", "links", "state_terms"):
        values = getattr(model.hits, name)
        values.copy_(0.02 * torch.randn(values.shape, generator=generator))
    for cell in range(504):  # links to cells of earlier steps only
        near = model.hits.cells.neighbours(cell)
        other = np.setdiff1d(np.arange(1008), np.r_[near, near + 504])
        model.hits.links[:, cell, other] = 0.0
    model.hits.forget_plans()
    assert export_onnx(model, tmp_path / "h.onnx", names="fastcalosim")[0] < PARITY
    runtime = session(tmp_path / "h.onnx")
    shapes = {i.name: i.shape[1] for i in runtime.get_inputs()}
    assert shapes == {
        "inn_einc_in": 1, "inn_z_energy": 3, "cfm_u_shape": 504, "cfm_z_shape": 504, PSEUDORAPIDITY: 1,
    }  # fmt: skip
    inputs = [t.numpy() for t in example(model, 500, seed=3)]
    inputs[3] *= 4  # tails of the tables
    found = runtime.run([OUTPUT], feeds("fastcalosim", *inputs))[0]
    wanted = expected(model, [torch.from_numpy(x) for x in inputs])
    assert (abs(found - wanted) / inputs[0]).max() < PARITY


@pytest.fixture(scope="module")
def compiler():
    found = shutil.which("c++") or shutil.which("g++")
    assert found, "make install needs a C++ compiler too"
    return [found, "-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror"]


@pytest.mark.parametrize(
    ("fast", "activation"), [("density", "relu"), ("sampling", "relu"), ("density", "silu")]
)
def test_cpp_header_gives_the_models_showers(tmp_path, compiler, fast, activation):
    model = trained(fast, activation)
    export_cpp(model, tmp_path)
    (tmp_path / "driver.cpp").write_text(DRIVER)
    program = tmp_path / "driver"
    subprocess.run([*compiler, str(tmp_path / "driver.cpp"), "-o", str(program)], check=True)
    inputs = example(model, 60, seed=3)
    text = "\n".join(" ".join(f"{v:.9g}" for v in row) for row in torch.cat(inputs, 1).tolist())
    done = subprocess.run(
        [str(program), str(tmp_path / "model.lhcflow")],
        input=text,
        text=True,
        capture_output=True,
        check=True,
    )
    found = np.array([[float(v) for v in line.split()] for line in done.stdout.splitlines()])
    wanted = expected(model, inputs)
    assert found.shape == wanted.shape
    # float32 sums in another order; the slow direction amplifies them.
    assert (abs(found - wanted) / inputs[0].numpy()).max() < 1e-4


def test_cpp_example_makes_showers_by_seed(tmp_path, compiler):
    export_cpp(trained(), tmp_path)
    program = str(tmp_path / "example")
    subprocess.run([*compiler, str(tmp_path / "example.cpp"), "-o", program], check=True)

    def run(*arguments):
        call = [program, str(tmp_path / "model.lhcflow"), *arguments]
        return subprocess.run(call, text=True, capture_output=True, check=False)

    first, again, other = (run("20000", "5", seed) for seed in ("1", "1", "2"))
    assert first.stdout == again.stdout != other.stdout
    showers = np.array([[float(v) for v in line.split()] for line in first.stdout.splitlines()])
    assert showers.shape == (5, sum(LAYERS))
    assert (showers >= 0).all()
    assert (showers.sum(1) > 0).all()
    for bad in (run("-1", "1", "1"), run()):
        assert bad.returncode == 2
        assert bad.stderr


def test_cpp_header_refuses_broken_files(tmp_path, compiler):
    export_cpp(trained(), tmp_path)
    program = str(tmp_path / "example")
    subprocess.run([*compiler, str(tmp_path / "example.cpp"), "-o", program], check=True)
    data = Path(tmp_path / "model.lhcflow").read_bytes()
    for broken, words in ((data[: len(data) // 2], "truncated"), (b"x" * 100, "no model"), (b"", "no model")):
        (tmp_path / "broken").write_bytes(broken)
        done = subprocess.run(
            [program, str(tmp_path / "broken"), "1000", "1", "1"], text=True, capture_output=True, check=False
        )
        assert done.returncode == 2
        assert words in done.stderr
