"""The option --dask: the cluster that does the work."""

from __future__ import annotations

import contextlib
from typing import Any

from ..errors import InputError

SECONDS = 10  # to find the scheduler, and as many for its first worker


def dask_client(url: str | None) -> Any:
    """A Dask client for the scheduler at ``url``, or nothing.

    Both the scheduler and a worker must answer within ten seconds each, so that no run waits for a cluster
    that is not there. Call it before the run's folder is made.

    Raises
    ------
    InputError
        If the address is wrong, or no scheduler or worker answers.
    """
    if url is None:
        return contextlib.nullcontext()
    try:
        from distributed import Client
    except ImportError:
        raise InputError("--dask needs the extra dask: pip install 'lhcflow[dask]'") from None
    try:
        client = Client(url, timeout=SECONDS)
    except Exception as error:  # distributed lets errors of its transports through, of many types
        reason = str(error) or type(error).__name__
        raise InputError(f"no Dask scheduler answers at {url} within {SECONDS} s: {reason}") from None
    try:
        client.wait_for_workers(1, timeout=SECONDS)
    except Exception:
        client.close()
        raise InputError(
            f"the Dask scheduler at {url} has no worker after {SECONDS} s: start one with `dask worker {url}`"
        ) from None
    return client
