"""Published results of the CaloChallenge (2410.21611), as its homepage repository has them.

``calochallenge.csv``: AUCs are means of ten trainings, separation powers means over layers, times in ms per
shower at batch sizes 1, 100 and 10000; four significant digits.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files


@cache
def _rows() -> list[dict[str, str]]:
    text = files(__name__).joinpath("calochallenge.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def published_results(dataset: str) -> list[dict[str, float | str | None]]:
    """The submissions for a data set, "GEANT4" against itself first.

    Parameters
    ----------
    dataset : str
        "ds1-photons", "ds1-pions", "ds2" or "ds3"; for any other name the list is empty.

    Returns
    -------
    list of dict of str to float, str or None
        One table per submission: its ``name`` and numbers, None where there is none; ``auc_low``,
        ``auc_high``, ``fpd_1e3``, ``kpd_1e3``, ``precision``, ``recall``, ``density``, ``coverage``,
        ``sep_*``, ``cpu_ms_*``, ``gpu_ms_*``.

    Examples
    --------
    >>> [row["auc_low"] for row in published_results("ds1-photons") if row["name"] == "CaloINN"]
    [0.6259]
    """
    return [
        {key: value if key == "name" else _number(value) for key, value in row.items() if key != "dataset"}
        for row in _rows()
        if row["dataset"] == dataset
    ]


def _number(text: str) -> float | None:
    return float(text) if text else None
