"""``lhcflow doctor``: what is installed and which kernels and devices are in use."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING, Any

from ..files import write_json
from .options import Json, Quiet, check_json, console

if TYPE_CHECKING:
    from rich.console import Console

_PACKAGES = ("lhcflow", "torch", "numpy", "scipy", "safetensors", "matplotlib", "pylhe")
_EXTRAS = {"dask": ("dask", "distributed"), "pythia": ("pythia8mc",)}


def doctor(json: Json = None, quiet: Quiet = False) -> None:
    """Print versions, native kernels, threads, devices and optional parts."""
    check_json(json)
    found = examine()
    if json:
        write_json(json, found)
    _show(found, console(quiet))


def examine() -> dict[str, Any]:
    """What ``lhcflow doctor`` prints, as plain data."""
    import torch

    from .._native import core, reason

    native: dict[str, Any] = {"available": core is not None}
    if core is None:
        native["reason"] = reason
    else:
        native |= {
            "instruction_set": core.instruction_set(),
            "vector_bits": 8 * core.vector_bytes(),
            "compiler": core.compiler(),
        }
    devices = [{"name": "cpu", "description": _processor(), "threads": torch.get_num_threads()}]
    for i in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(i)
        memory = round(properties.total_memory / 2**30, 1)
        devices.append({"name": f"cuda:{i}", "description": properties.name, "memory_gib": memory})
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "native": native,
        "triton": _version("triton") if torch.cuda.is_available() else None,
        "devices": devices,
        "extras": {extra: _extra(extra, names) for extra, names in _EXTRAS.items()},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _extra(extra: str, names: tuple[str, ...]) -> dict[str, Any]:
    versions = {name: _version(name) for name in names}
    return {
        "installed": None not in versions.values(),
        "versions": versions,
        "install": f"pip install {' '.join(_wanted(extra))}",
    }


def _wanted(extra: str) -> list[str]:
    """The requirements of an extra as the package declares them, quoted for a shell."""
    found = []
    for line in requires("lhcflow") or ():
        what, _, condition = line.partition(";")
        if condition.replace("'", '"').split() == ["extra", "==", f'"{extra}"']:
            found.append(f"'{what.strip()}'")
    return found


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        models = []
    return f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores"


def _show(found: dict[str, Any], out: Console) -> None:
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("python", f"{found['python']} on {found['platform']}")
    for name, number in found["versions"].items():
        table.add_row(name, number or "[red]missing[/red]")
    native = found["native"]
    if native["available"]:
        bits, compiler = native["vector_bits"], native["compiler"]
        text = f"[green]in use[/green]: {native['instruction_set']}, {bits} bit vectors, compiler {compiler}"
    else:
        text = f"[yellow]not in use[/yellow], the slower twins are: {native['reason']}"
    table.add_row("native kernels", text)
    for device in found["devices"]:
        threads, memory = device.get("threads"), device.get("memory_gib")
        more = f"{threads} threads in use" if threads else f"{memory} GiB"
        table.add_row(device["name"], f"{device['description']}, {more}")
    if found["triton"]:
        table.add_row("triton", found["triton"])
    for name, extra in found["extras"].items():
        versions = ", ".join(f"{k} {v}" for k, v in extra["versions"].items() if v)
        hint = versions if extra["installed"] else f"[yellow]not installed[/yellow]: {extra['install']}"
        table.add_row(f"extra {name}", hint)
    out.print(table)
