"""Amplitudes from elsewhere: what they must be able to do, and Python functions as such."""

from __future__ import annotations

import hashlib
import inspect
import pickle
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import numpy as np

from ..errors import InputError


class AmplitudeProvider(Protocol):
    """Whatever gives |M|^2 of one partonic process: `Process`, `UmamiAmplitude`, own classes.

    `PartonicGroup.with_provider` puts one in the place of the built-in amplitude.
    """

    def squared_amplitude(self, momenta: np.ndarray, alpha_s: float | np.ndarray, /) -> np.ndarray:
        """|M|^2 (n,), averaged over initial and summed over final spins and colours.

        With the factor 1 / k! for k identical outgoing particles; `momenta` (n, particles, 4) in GeV,
        incoming first; `alpha_s` one number or one for each event.
        """
        ...


class CallableAmplitude:
    """A Python function as an amplitude.

    Parameters
    ----------
    function : callable
        ``function(momenta, alpha_s)`` with arrays (n, particles, 4) and (n,), returns (n,); conventions as in
        `AmplitudeProvider.squared_amplitude`.
    particles : int
        Number of external particles, the incoming ones included.

    Examples
    --------
    >>> flat = CallableAmplitude(lambda momenta, alpha_s: alpha_s * momenta[:, 0, 0], particles=4)
    >>> flat.squared_amplitude(np.ones((2, 4, 4)), 0.118)
    array([0.118, 0.118])
    """

    def __init__(self, function: Callable[[np.ndarray, np.ndarray], np.ndarray], particles: int) -> None:
        if not callable(function):
            raise InputError(f"an amplitude must be callable, got {type(function).__name__}")
        self.function, self.particles = function, particles

    def fingerprint(self) -> str:
        """The function's name and the hash of its code."""
        return described(self.function)

    def squared_amplitude(self, momenta: np.ndarray, alpha_s: float | np.ndarray, /) -> np.ndarray:
        """|M|^2 (n,) as the function gives it.

        Raises
        ------
        InputError
            The momenta or what the function returns have another shape.
        """
        momenta, couplings = checked(momenta, alpha_s, self.particles)
        return values(self.function(momenta, couplings), len(momenta))


def fingerprint(provider: object) -> str:
    """What tells one amplitude from another in a card: its own ``fingerprint()``, or `described`."""
    own = getattr(provider, "fingerprint", None)
    return str(own()) if callable(own) else described(provider)


def described(thing: object) -> str:
    """A class or function by name and by the hash of its code and state, as far as they are known.

    The state is what pickle makes of it; the code that of the module's file, if there is one.
    """
    named: Any = thing if hasattr(thing, "__qualname__") else type(thing)
    digest = hashlib.sha256()
    try:
        digest.update(pickle.dumps(thing, protocol=5))
    except Exception:  # what pickle can't do has many errors: locks, lambdas, handles
        digest.update(repr(sorted(vars(thing)) if hasattr(thing, "__dict__") else "").encode())
    with suppress(OSError, TypeError):  # built in, or typed at a prompt
        digest.update(inspect.getsource(named).encode())
    return f"{named.__module__}.{named.__qualname__} sha256:{digest.hexdigest()}"


def values(found: object, n: int) -> np.ndarray:
    """What an amplitude gave for `n` events, as float64 (n,).

    Raises
    ------
    InputError
        It has another shape, as a column (n, 1), or is not real.
    """
    array = np.asarray(found)
    if array.shape != (n,) or array.dtype.kind not in "fiu":
        raise InputError(f"an amplitude must return {n} real numbers, got {array.dtype} {array.shape}")
    return array.astype(np.float64)


def checked(
    momenta: np.ndarray, alpha_s: float | np.ndarray, particles: int
) -> tuple[np.ndarray, np.ndarray]:
    """Momenta (n, particles, 4) and couplings (n,) as float64.

    Raises
    ------
    InputError
        They have another shape.
    """
    momenta = np.asarray(momenta, dtype=np.float64)
    if momenta.ndim != 3 or momenta.shape[1:] != (particles, 4):
        raise InputError(f"momenta must have shape (n, {particles}, 4), got {momenta.shape}")
    couplings = np.asarray(alpha_s, dtype=np.float64)
    if couplings.shape not in ((), (len(momenta),)):
        raise InputError(f"alpha_s must be one number or {len(momenta)}, got shape {couplings.shape}")
    return momenta, np.broadcast_to(couplings, (len(momenta),))
