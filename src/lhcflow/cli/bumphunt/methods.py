"""The detectors by their names on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import InputError

if TYPE_CHECKING:
    from ...bumphunt import Detector

TITLES = {
    "supervised": "supervised",
    "idealized": "idealized",
    "cathode": "CATHODE",
    "lacathode": "LaCATHODE",
    "cwola": "CWoLa",
    "anode": "ANODE",
    "ranode": "R-ANODE",
}
"""Names on the command line, and as they are written."""

_WITHOUT_TRUTH = ("cathode", "cwola", "anode")
DRAWING = ("cathode", "lacathode", "ranode", "anode")
"""Methods with a template of the background."""


@dataclass(frozen=True)
class Models:
    """Of what the detectors are made: see the options of ``lhcflow bumphunt run``."""

    density: str = "coupling"
    classifier: str = "trees"
    members: int | None = None
    epochs: int | None = None
    device: str | None = None


def chosen_methods(given: Sequence[str] | None, labelled: bool, background: bool) -> list[str]:
    """Names of methods; by default all that the data allow, except the variants.

    Raises
    ------
    InputError
        For unknown names, and for methods that need labels or a background sample that are not there.
    """
    if given is None:
        return [
            *_WITHOUT_TRUTH,
            *(["idealized"] if background else []),
            *(["supervised"] if labelled else []),
        ]
    chosen = list(dict.fromkeys(given))
    unknown = [name for name in chosen if name not in TITLES]
    if unknown or not chosen:
        raise InputError(f"unknown methods {', '.join(unknown)}: there are {', '.join(TITLES)}")
    if "supervised" in chosen and not labelled:
        raise InputError("the supervised classifier needs labels, and the events have none")
    if "idealized" in chosen and not background:
        raise InputError("the idealized detector needs --background FILE.h5")
    return chosen


def detector(name: str, region: tuple[float, float], models: Models, seed: int) -> Detector:
    """An untrained detector."""
    from ... import bumphunt

    make = {
        "supervised": bumphunt.Supervised,
        "idealized": bumphunt.IdealizedDetector,
        "cathode": bumphunt.Cathode,
        "lacathode": bumphunt.LaCathode,
        "cwola": bumphunt.CWoLa,
        "anode": bumphunt.Anode,
        "ranode": bumphunt.RAnode,
    }[name]
    built: Any = make(region, seed=seed)
    settable = built.get_params(deep=False)
    if "classifier" in settable:
        built.set_params(classifier=_classifier(models))
    if "density" in settable:
        settings: dict[str, Any] = {"device": models.device}
        settings |= {} if models.epochs is None else {"epochs": models.epochs}
        density = bumphunt.ConditionalDensity
        built.set_params(density=density.maf(**settings) if models.density == "maf" else density(**settings))
    if "device" in settable:
        built.set_params(device=models.device)
    return built


def _classifier(models: Models) -> Any:
    from ...classifiers import NetworkEnsemble, TreeEnsemble

    settings: dict[str, Any] = {} if models.members is None else {"members": models.members}
    if models.classifier == "trees":
        return TreeEnsemble(**settings)
    return NetworkEnsemble(**settings, device=models.device)
