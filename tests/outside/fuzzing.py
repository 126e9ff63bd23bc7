"""Damaged copies of valid files, read one after the other: python fuzzing.py READER SECONDS SEED FOLDER.

Ends with 0 if each was read or refused with an error of lhcflow, and with another code at the first that was
not, whose content then lies in FOLDER/input. What a reader takes more than ``PATIENCE`` seconds for counts as
a hang; memory is limited.
"""

from __future__ import annotations

import faulthandler
import math
import resource
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np

PATIENCE = 20
MEMORY = 6 * 2**30
# Values at which sizes, offsets and types go wrong.
EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
TOKENS = (
    b"nan",
    b"inf",
    b"-1",
    b"0",
    b"1e999",
    b"1e-999",
    b"",
    b"x",
    b"\n",
    b"\xff",
    b"9" * 400,
    b'"',
    b"-0.0",
)


def mutated(data: bytes, other: bytes, random: np.random.Generator) -> bytes:
    """One to eight changes: bits, bytes, numbers; pieces cut, doubled, moved or from another file."""
    made = bytearray(data)
    for _ in range(int(random.integers(1, 9))):
        size = len(made)
        if not size:
            break
        # Half of the changes in the first kilobyte, where headers are.
        place = int(random.integers(min(size, 1024) if random.random() < 0.5 else size))
        match int(random.integers(9)):
            case 0:
                made[place] ^= 1 << int(random.integers(8))
            case 1:
                made[place] = int(random.integers(256))
            case 2:
                width = int(random.choice([1, 2, 4, 8]))
                value = EDGES[int(random.integers(len(EDGES)))] % 2 ** (8 * width)
                made[place : place + width] = value.to_bytes(width, "little")
            case 3:
                del made[place : place + int(random.integers(1, 64))]
            case 4:
                length = int(random.integers(1, 64))
                made[place:place] = made[place : place + length]
            case 5:
                start = int(random.integers(len(other)))
                length = int(random.integers(1, 64))
                made[place : place + length] = other[start : start + length]
            case 6:
                del made[place:]
            case 7:
                made[place:place] = TOKENS[int(random.integers(len(TOKENS)))]
            case _:  # a number or a word of a text
                stop = place
                while place and chr(made[place - 1]).isalnum():
                    place -= 1
                while stop < size and chr(made[stop]).isalnum():
                    stop += 1
                made[place:stop] = TOKENS[int(random.integers(len(TOKENS)))]
    return bytes(made)


def showers(folder: Path) -> list[Path]:
    from calorimeter.samples import electrons, hashed_showers
    from lhcflow.calorimeter import geometry, write_showers

    calogan, challenge = folder / "calogan", folder / "challenge"
    write_showers(calogan, electrons()[:3], {"particle": "e+"})
    write_showers(challenge, hashed_showers(geometry("ds1-photons"), 4), compression=None)
    return [calogan, challenge]


def read_showers(path: Path) -> None:
    from lhcflow.calorimeter import read_showers

    read_showers(path, any_scale=True)


def _jets(n: int) -> dict[str, np.ndarray]:
    from lhcflow.bumphunt.features import JetColumns

    random = np.random.default_rng(1)
    return {name: random.uniform(0.1, 1000.0, n) for name in JetColumns}


def events(folder: Path) -> list[Path]:
    import pandas

    from lhcflow.bumphunt import Toy
    from lhcflow.bumphunt.datasets import write_jets

    paths = [folder / name for name in ("fixed", "table", "jets", "events")]
    frame = pandas.DataFrame(_jets(5) | {"label": np.array([0.0, 1.0, 0.0, 0.0, 1.0])})
    frame.to_hdf(paths[0], key="df", mode="w", format="fixed")
    frame.to_hdf(paths[1], key="df", mode="w", format="table")
    write_jets(paths[2], _jets(5))
    Toy().sample(background=5, signal=2, seed=1).write(paths[3])
    return paths


def read_events(path: Path) -> None:
    from lhcflow.bumphunt.datasets import read_events

    read_events(path)


def grids(folder: Path) -> list[Path]:
    random = np.random.default_rng(2)
    blocks = []
    for q in ("1.0 2.0 4.5", "4.5 10.0 100.0"):
        rows = "\n".join(" ".join(f"{v:.5e}" for v in random.random(4)) for _ in range(5 * 3))
        blocks.append(f"1e-5 1e-3 0.1 0.5 1.0\n{q}\n-1 1 2 21\n{rows}\n---\n")
    path = folder / "grid.dat"
    path.write_text("PdfType: central\nFormat: lhagrid1\n---\n" + "".join(blocks))
    return [path]


def read_grid(path: Path) -> None:
    from lhcflow.processes.pdf_files import read_grid, read_info

    read_info(path)
    read_grid(path)


def tensors(folder: Path) -> list[Path]:
    import torch

    from lhcflow.flows import coupling_spline, save
    from lhcflow.training.checkpoints import save_checkpoint

    save(coupling_spline(2, layers=1, hidden=(3,), bins=2, seed=1), folder / "flow")
    state = {"x": torch.arange(5.0), "tree": [1, (2.0, None), {"a": "b"}], "y": np.arange(3)}
    save_checkpoint(folder / "checkpoint", state=state)
    return [folder / "flow", folder / "checkpoint"]


def read_tensors(path: Path) -> None:
    from lhcflow.errors import LhcflowError
    from lhcflow.flows import load
    from lhcflow.training.checkpoints import load_checkpoint

    try:
        load(path).log_prob(np.zeros((1, 2)))
    except LhcflowError:
        load_checkpoint(path)


CARD = {"command": "generate", "seed": 1, "cuts": {"y": 0.01, "list": [1, 2.5, "a"]}, "inf": math.inf}


def cards(folder: Path) -> list[Path]:
    from lhcflow.files import write_toml

    write_toml(folder / "card", CARD)
    return [folder / "card"]


def read_card(path: Path) -> None:
    from lhcflow.files import read_toml
    from lhcflow.runs import RunDirectory

    read_toml(path)
    run = path.parent / "run"
    run.mkdir(exist_ok=True)
    (run / "card.toml").write_bytes(path.read_bytes())
    RunDirectory(run, CARD, resume=True)


def geometries(folder: Path) -> list[Path]:
    path = folder / "geometry.xml"
    path.write_text(
        '<Bins>\n  <Bin pid="22" name="photon">\n    <Layer id="0" r_edges="0,5,10,30" n_bin_alpha="1"/>\n'
        '    <Layer id="1" r_edges="0,2,4,8,16" n_bin_alpha="6"/>\n'
        '    <Layer id="2" r_edges="0" n_bin_alpha="1"/>\n'
        "  </Bin>\n</Bins>\n"
    )
    return [path]


def read_geometry(path: Path) -> None:
    from lhcflow.calorimeter.geometry import read_xml

    layers = read_xml(path).layers
    assert all(np.isfinite(layer.r).all() and (layer.r >= 0).all() for layer in layers)


def samplers(folder: Path) -> list[Path]:
    from lhcflow.integration import Integrator

    result = Integrator(2, seed=1, method="vegas").integrate(_flat, calls=2000)
    result.sampler.save(folder / "sampler")
    return [folder / "sampler"]


def _flat(x: np.ndarray) -> np.ndarray:
    return x[:, 0]


def read_sampler(path: Path) -> None:
    from lhcflow.integration import Sampler

    Sampler.load(path, _flat)


READERS: dict[str, tuple[Callable[[Path], list[Path]], Callable[[Path], None]]] = {
    "showers": (showers, read_showers),
    "events": (events, read_events),
    "grids": (grids, read_grid),
    "tensors": (tensors, read_tensors),
    "cards": (cards, read_card),
    "geometries": (geometries, read_geometry),
    "samplers": (samplers, read_sampler),
}


def main(name: str, seconds: float, seed: int, folder: Path) -> None:
    from lhcflow.errors import LhcflowError

    make, read = READERS[name]
    seeds = [path.read_bytes() for path in make(folder)]
    path = folder / "input"
    for content in seeds:
        path.write_bytes(content)
        read(path)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    random = np.random.default_rng(seed)
    end, read_well, refused = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        first, second = (seeds[int(random.integers(len(seeds)))] for _ in range(2))
        path.write_bytes(mutated(first, second, random))
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        try:
            read(path)
            read_well += 1
        except LhcflowError as error:
            if "\n" in str(error):
                raise AssertionError(f"more than one line: {error}") from error
            refused += 1
        faulthandler.cancel_dump_traceback_later()
    print(f"{name}: {read_well} read, {refused} refused")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    faulthandler.enable()
    try:
        main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
    except BaseException:
        traceback.print_exc()
        sys.exit(1)
