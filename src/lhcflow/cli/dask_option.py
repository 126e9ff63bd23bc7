"""The option --dask: the cluster that does the work."""

from __future__ import annotations

import contextlib
from typing import Any

from ..errors import InputError


def dask_client(url: str | None) -> Any:
    """A Dask client for the scheduler at ``url``, or nothing."""
    if url is None:
        return contextlib.nullcontext()
    try:
        from distributed import Client
    except ImportError:
        raise InputError("--dask needs the extra dask: pip install 'lhcflow[dask]'") from None
    try:
        return Client(url, timeout=10)
    except (OSError, ValueError) as error:
        raise InputError(f"no Dask scheduler answers at {url}: {error}") from None
