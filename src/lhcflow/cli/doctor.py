"""``lhcflow doctor``: what is installed and which kernels and devices are in use."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from typing import TYPE_CHECKING, Any

from ..files import write_json
from .options import Json, Quiet, check_json, console

if TYPE_CHECKING:
    from rich.console import Console

# Those of developers.
_HIDDEN = {"test", "test-portable", "docs"}


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
        "versions": {name: _version(name) for name in ("lhcflow", *_names(_wanted(None)))},
        "native": native,
        "triton": _version("triton") if torch.cuda.is_available() else None,
        "devices": devices,
        "extras": {extra: _extra(extra) for extra in _extras()},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _extras() -> list[str]:
    return [e for e in metadata("lhcflow").get_all("Provides-Extra") or () if e not in _HIDDEN]


def _extra(extra: str) -> dict[str, Any]:
    wanted = _wanted(extra)
    versions = {name: _version(name) for name in _names(wanted)}
    return {
        "installed": None not in versions.values(),
        "versions": versions,
        "install": "pip install " + " ".join(f"'{requirement}'" for requirement in wanted),
    }


def _wanted(extra: str | None) -> list[str]:
    """The requirements of an extra, or of the package itself, as it declares them."""
    condition = [] if extra is None else ["extra", "==", f'"{extra}"']
    lines = (line.partition(";") for line in requires("lhcflow") or ())
    return [what.strip() for what, _, only in lines if only.replace("'", '"').split() == condition]


def _names(requirements: list[str]) -> list[str]:
    return [re.split(r"[^\w.-]", requirement, maxsplit=1)[0] for requirement in requirements]


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
