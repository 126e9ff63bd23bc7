"""Amplitudes in shared libraries with the UMAMI C interface: reading them, and writing our own.

UMAMI (Unified MAtrix eleMent Interface, version 1; 2507.21039, 2602.06895) is how MadGraph7 and madspace call
amplitudes. Momenta are stored as ``[component][particle][event]``, all numbers as double.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import numpy as np

from .. import _native
from ..errors import InputError
from ..files import atomic_write, content_hash
from . import colour
from .process import Process
from .providers import checked

STATUS = (
    "success",
    "an error",
    "not implemented",
    "an input is not supported",
    "an output is not supported",
    "metadata are not supported",
    "an input is missing",
)
META_DEVICE, META_PARTICLES = 0, 1
IN_MOMENTA, IN_ALPHA_S = 0, 1
OUT_SQUARE = 0
CARD = b"LHCFLOW-UMAMI-CARD:"  # where a library of ours has room for a process
CARD_SIZE = 8192


class UmamiAmplitude:
    """An amplitude from a shared library with the UMAMI C interface, on the CPU.

    Parameters
    ----------
    library : path
        The shared library.
    param_card : path, optional
        Handed to the library's ``umami_initialize``; what it means is up to the library.

    Attributes
    ----------
    particles : int
        Number of external particles, the incoming ones included.

    Raises
    ------
    InputError
        The file is no such library, or it is for a GPU, or it refuses to start.
    """

    def __init__(self, library: str | Path, param_card: str | Path = "") -> None:
        self.path = Path(library)
        if not self.path.is_file():
            raise InputError(f"{library}: no such file")
        try:
            self._library = ctypes.CDLL(str(self.path.resolve()), mode=os.RTLD_NOW | os.RTLD_LOCAL)
        except OSError as error:
            raise InputError(f"{library} can't be loaded: {error}") from error
        for name in ("umami_get_meta", "umami_initialize", "umami_matrix_element", "umami_free"):
            if not hasattr(self._library, name):
                raise InputError(f"{library} is no UMAMI library: it has no function {name}")
        if self._meta(META_DEVICE) != 0:
            raise InputError(f"{library} is for a GPU: only UMAMI libraries for the CPU can be used")
        self.particles = self._meta(META_PARTICLES)
        self._handle = ctypes.c_void_p()
        self._param_card = param_card
        card = os.fsencode(param_card)
        self._check(self._library.umami_initialize(ctypes.byref(self._handle), ctypes.c_char_p(card)))

    def __repr__(self) -> str:
        return f"UmamiAmplitude({str(self.path)!r}, {self.particles} particles)"

    def squared_amplitude(self, momenta: np.ndarray, alpha_s: float | np.ndarray | None = None) -> np.ndarray:
        """|M|^2 (n,) as the library gives it.

        Parameters
        ----------
        momenta : array (n, particles, 4)
            (E, px, py, pz) in GeV, incoming first.
        alpha_s : float or array (n,), optional
            Handed to the library if given; many libraries have a value of their own.

        Raises
        ------
        InputError
            The momenta have another shape, or the library reports an error.
        """
        momenta, couplings = checked(momenta, 0.0 if alpha_s is None else alpha_s, self.particles)
        n = len(momenta)
        if n == 0:
            return np.zeros(0)
        columns = np.ascontiguousarray(momenta.transpose(2, 1, 0))
        couplings, result = np.ascontiguousarray(couplings), np.empty(n)
        inputs = [(IN_MOMENTA, columns)]
        if alpha_s is not None:
            inputs.append((IN_ALPHA_S, couplings))
        size = ctypes.c_size_t
        status = self._library.umami_matrix_element(
            self._handle, size(n), size(n), size(0), *_keyed(inputs), *_keyed([(OUT_SQUARE, result)])
        )
        self._check(status)
        return result

    def fingerprint(self) -> str:
        """Hash of the library's content and, if there is one, of the parameter card's."""
        card = Path(self._param_card)
        return f"umami {content_hash(self.path)}" + (f" card {content_hash(card)}" if card.is_file() else "")

    def close(self) -> None:
        """Free what the library holds; no further call is possible."""
        if self._handle:
            self._library.umami_free(self._handle)
            self._handle = ctypes.c_void_p()

    def _meta(self, key: int) -> int:
        value = ctypes.c_int(-1)
        self._check(self._library.umami_get_meta(ctypes.c_int(key), ctypes.byref(value)))
        return value.value

    def _check(self, status: int) -> None:
        if status:
            reason = STATUS[status] if 0 < status < len(STATUS) else f"status {status}"
            raise InputError(f"{self.path} reports: {reason}")


def _keyed(arrays: list[tuple[int, np.ndarray]]) -> tuple[ctypes.c_size_t, ctypes.Array, ctypes.Array]:
    keys = (ctypes.c_int * len(arrays))(*(key for key, _ in arrays))
    pointers = (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for _, array in arrays))
    return ctypes.c_size_t(len(arrays)), keys, pointers


def export_umami(process: Process | str, path: str | Path) -> None:
    """Write the amplitude of one partonic process as a shared library with the UMAMI C interface.

    The library holds the kernels for all instruction sets and the process with its parameters; it depends on
    the C++ runtime only. ``umami_initialize`` needs no parameter card. It gives |M|^2 as
    `Process.squared_amplitude` does and draws colour flows.

    Parameters
    ----------
    process : Process or str
        One subprocess: no ``j``.
    path : path
        Of the library to be written, such as ``w2g.so``.

    Raises
    ------
    InputError
        The process is a sum of several, or the native kernels are not there.
    """
    process = process if isinstance(process, Process) else Process(process)
    if len(process.subprocesses) != 1:
        raise InputError(f"{process.name!r} is a sum of subprocesses: a library has one, name its partons")
    template = Path(getattr(_native.core, "__file__", None) or "none").with_name("lhcflow_umami.so")
    if _native.core is None or not template.is_file():
        raise InputError(f"a library needs the native kernels, which are not there ({_native.reason})")
    library = template.read_bytes()
    (element,) = process.elements
    numbers = element.native.card()
    numbers += [process.parameters.alpha_s, element.structure.alpha_s_power]
    leading = colour.leading(element.structure)
    text = " ".join(repr(float(x)) for x in [*numbers, len(leading), *leading]).encode()
    start = library.index(CARD) + len(CARD)
    room = CARD_SIZE - len(CARD) - 1
    assert library.count(CARD) == 1
    assert len(text) <= room
    with atomic_write(path, "wb") as file:
        file.write(library[:start] + text.ljust(room, b"\0") + library[start + room :])
