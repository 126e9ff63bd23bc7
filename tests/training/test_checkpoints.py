"""Checkpoints: everything comes back bit for bit, and wrong files are named."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lhcflow import InputError
from lhcflow.training import Trainer, load_checkpoint, load_weights, negative_log_likelihood, save_checkpoint


def test_nests_come_back(tmp_path, assert_same):
    tree = {
        "tensor": torch.randn(3, 2).T,
        "empty": torch.zeros(0, 4),
        "zero-dimensional": torch.tensor(True),
        "view": torch.arange(10)[::3],
        "array": np.arange(6, dtype=np.uint8).reshape(2, 3)[:, ::2],
        "number array": np.array(2.5),
        "dict": {
            0: "int key",
            "$tensor": [1, (2.0, None)],
            "deep": {"x": torch.ones(2, dtype=torch.bfloat16)},
        },
        "numbers": [2**70, -0.0, 0.1, float("inf"), True, float("nan")],
    }
    save_checkpoint(tmp_path / "c.safetensors", tree=tree, other=[1])
    back = load_checkpoint(tmp_path / "c.safetensors")
    assert back["other"] == [1]
    assert np.isnan(back["tree"]["numbers"].pop())
    tree["numbers"].pop()
    assert_same(back["tree"], tree)


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_generators_go_on(tmp_path, kind):
    numpy, torch_ = np.random.Generator(kind(1)), torch.Generator().manual_seed(2)
    numpy.normal(size=3)
    torch.rand(3, generator=torch_)
    save_checkpoint(tmp_path / "c.safetensors", numpy=numpy, torch=torch_)
    expected = numpy.normal(size=5), torch.randn(5, generator=torch_)
    fresh = np.random.Generator(kind(7)), torch.Generator()
    load_checkpoint(tmp_path / "c.safetensors", numpy=fresh[0], torch=fresh[1])
    assert np.array_equal(fresh[0].normal(size=5), expected[0])
    assert torch.equal(torch.randn(5, generator=fresh[1]), expected[1])


def test_objects_with_a_state_dict(tmp_path):
    class Buffer:
        def __init__(self, points):
            self.points = points

        def state_dict(self):
            return {"points": self.points}

        def load_state_dict(self, state):
            self.points = state["points"]

    save_checkpoint(tmp_path / "c", buffer=Buffer(np.arange(3.0)))
    empty = Buffer(None)
    load_checkpoint(tmp_path / "c", buffer=empty)
    assert np.array_equal(empty.points, np.arange(3.0))


def test_wrong_files_are_named(tmp_path, gaussian):
    with pytest.raises(InputError, match="there is no checkpoint"):
        load_checkpoint(tmp_path / "none")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(InputError, match="not a readable checkpoint"):
        load_checkpoint(tmp_path / "text")
    save_file({"x": torch.zeros(1)}, tmp_path / "foreign")
    with pytest.raises(InputError, match="holds no lhcflow checkpoint"):
        load_checkpoint(tmp_path / "foreign")
    save_checkpoint(tmp_path / "parts", a=1)
    with pytest.raises(InputError, match="holds no 'b'; it holds a"):
        load_checkpoint(tmp_path / "parts", b=torch.Generator())
    with pytest.raises(InputError, match="holds no training"):
        load_weights(gaussian(), tmp_path / "parts")
    with pytest.raises(InputError, match=r"can't hold a\.x\.1, a object"):
        save_checkpoint(tmp_path / "bad", a={"x": [1, object()]})
    assert not (tmp_path / "bad").exists()


def test_a_truncated_checkpoint_is_refused(tmp_path):
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, a=torch.zeros(100))
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(InputError, match="not a readable checkpoint"):
        load_checkpoint(path)


def test_a_checkpoint_of_another_training_is_refused(tmp_path, gaussian, sample):
    path = tmp_path / "c.safetensors"
    trainer = Trainer(gaussian(), steps=10, learning_rate=0.1)
    trainer.step(negative_log_likelihood, (sample(8),))
    trainer.save(path)
    with pytest.raises(InputError, match=r"another training: learning_rate was \[0\.1\], is now \[0\.2\]"):
        Trainer(gaussian(), steps=10, learning_rate=0.2).load(path)
    with pytest.raises(InputError, match="another training: parameters differ"):
        Trainer(gaussian(dim=3), steps=10, learning_rate=0.1).load(path)
    with pytest.raises(InputError, match="another architecture"):
        load_weights(gaussian(dim=3), path)
    model = gaussian()
    load_weights(model, path)
    assert torch.equal(model.shift, trainer.model.shift)
