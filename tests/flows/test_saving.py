"""Flows on disk."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from lhcflow import InputError
from lhcflow.errors import RunError
from lhcflow.flows import (
    Affine,
    AutoregressiveCategorical,
    Flow,
    Inverse,
    Logit,
    MixedFlow,
    Permutation,
    SoftPermutation,
    VegasGridBase,
    autoregressive_spline,
    coupling_spline,
    load,
    load_component,
    save,
)

EDGES = torch.tensor([[0.0, 0.1, 1.0], [0.0, 0.7, 1.0]])
FLOWS = {
    "coupling": lambda: coupling_spline(2, context=1, layers=3, hidden=(8,), bins=4, permutation="soft"),
    "angles": lambda: coupling_spline(2, layers=2, hidden=(8,), bins=4, domain="real", circular=(1,)),
    "maf": lambda: autoregressive_spline(
        2, layers=2, hidden=(8, 8), bins=4, domain="real", permutation="random"
    ),
    "iaf": lambda: autoregressive_spline(
        2, layers=2, hidden=(8, 8), bins=4, fast="sampling", degrees="random"
    ),
    "parts": lambda: Flow(
        [Affine(2, 1.0, 3.0), Inverse(Logit(2)), Permutation(2, [1, 0]), SoftPermutation(2, "unit", seed=3)],
        VegasGridBase(2, edges=EDGES),
    ),
}


@pytest.mark.parametrize("name", list(FLOWS))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_a_loaded_flow_is_bit_for_bit_the_saved_one(
    name: str, dtype: torch.dtype, tmp_path: Path, randomize
) -> None:
    flow = randomize(FLOWS[name]()).to(dtype)
    save(flow, tmp_path / "flow.safetensors")
    copy = load(tmp_path / "flow.safetensors")
    assert copy.dtype == dtype
    assert repr(copy) == repr(flow)
    context = torch.zeros(1, dtype=dtype) if flow.context else None
    one, two = (f.sample_and_log_prob(50, context, torch.Generator().manual_seed(1)) for f in (flow, copy))
    assert torch.equal(one[0], two[0])
    assert torch.equal(one[1], two[1])
    assert torch.equal(flow.log_prob(one[0], context), copy.log_prob(one[0], context))


def test_mixed_flows_and_single_bijections(tmp_path: Path, randomize) -> None:
    head = AutoregressiveCategorical((3,), hidden=(4,))
    mixed = randomize(MixedFlow(head, coupling_spline(1, context=3, layers=1, hidden=(4,))))
    save(mixed, tmp_path / "mixed")
    copy = load_component(tmp_path / "mixed", MixedFlow)
    c, x = mixed.sample(20)
    assert torch.equal(copy.log_prob(c, x), mixed.log_prob(c, x))
    with pytest.raises(InputError, match="holds a MixedFlow, not a Flow"):
        load(tmp_path / "mixed")
    save(Permutation(3, [2, 0, 1]), tmp_path / "order")
    assert load_component(tmp_path / "order", Permutation).config()["order"] == [2, 0, 1]


def test_saving_replaces_and_leaves_nothing_beside(tmp_path: Path) -> None:
    one, two = (coupling_spline(2, layers=1, hidden=(4,), seed=s) for s in (1, 2))
    save(one, tmp_path / "flow")
    opened = load(tmp_path / "flow")
    save(two, tmp_path / "flow")
    assert [p.name for p in tmp_path.iterdir()] == ["flow"]
    first = "bijections.0.conditioner.layers.0.weight"
    assert torch.equal(load(tmp_path / "flow").state_dict()[first], two.state_dict()[first])
    assert torch.equal(opened.state_dict()[first], one.state_dict()[first])


def test_a_failed_save_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = coupling_spline(2, layers=1, hidden=(4,))
    save(flow, tmp_path / "flow")
    before = (tmp_path / "flow").read_bytes()

    def full(*names: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(RunError, match="no space left"):
        save(flow, tmp_path / "flow")
    assert (tmp_path / "flow").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["flow"]


def test_files_that_are_not_flows(tmp_path: Path) -> None:
    path = tmp_path / "flow"
    with pytest.raises(InputError, match="there is no flow"):
        load(path)
    with pytest.raises(InputError, match="does not exist"):
        save(coupling_spline(1, layers=1), tmp_path / "nowhere" / "flow")
    path.write_text("not a flow")
    with pytest.raises(InputError, match="not a readable flow"):
        load(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="not a readable flow"):
        load(path)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(InputError, match="holds no lhcflow flow"):
        load(path)
    save_file({"x": torch.zeros(1)}, path, metadata={"format": "lhcflow.flow/1"})
    with pytest.raises(InputError, match="no readable architecture"):
        load(path)
    with pytest.raises(InputError):
        load(tmp_path)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
def test_truncated_files(share: float, tmp_path: Path) -> None:
    path = tmp_path / "flow"
    save(coupling_spline(2, layers=2, hidden=(8,)), path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputError, match="not a readable flow") as error:
        load(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a["bijections"][0].update(kind="Nonsense"),
        lambda a: a["bijections"][0].update(hidden=[5]),
        lambda a: a["bijections"][0].update(surprise=1),
        lambda a: a.pop("base"),
        lambda a: a.pop("dtype"),
        lambda a: a.update(dtype="load"),
        lambda a: a.update(kind="Affine"),
    ],
)
def test_architectures_that_do_not_fit_the_weights(change, tmp_path: Path) -> None:
    path = tmp_path / "flow"
    save(coupling_spline(2, layers=1, hidden=(4,)), path)
    tensors = load_file(path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    architecture = json.loads(metadata["architecture"])
    change(architecture)
    save_file(tensors, path, metadata={**metadata, "architecture": json.dumps(architecture)})
    with pytest.raises(InputError, match="can't be rebuilt") as error:
        load(path)
    assert "\n" not in str(error.value)
