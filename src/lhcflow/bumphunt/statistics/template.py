"""The background of a cut, counted in a template: no fit to the spectrum after the cut (2411.00085)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...errors import InputError
from .limits import Limit, upper_limit
from .model import BinnedModel, counting_data, counting_model
from .significance import Significance, signed_z
from .spectrum import Array


@dataclass(frozen=True)
class TemplateCount:
    """Events behind a cut, and how many of them the template expects.

    Attributes
    ----------
    observed : events of the signal region that pass.
    background, error : expected ones, and their uncertainty.
    efficiency, efficiency_error : share of the template that passes.
    """

    observed: int
    background: float
    error: float
    efficiency: float
    efficiency_error: float

    @property
    def model(self) -> BinnedModel:
        """The one-bin model with this background."""
        return counting_model(self.background, self.error)

    @property
    def counts(self) -> Array:
        """The data of :attr:`model`."""
        return counting_data(self.observed, self.background, self.error)

    def significance(self) -> Significance:
        """Local significance with the uncertainty of the background in the profile likelihood."""
        z, fits = signed_z(self.model, self.counts)
        return Significance(
            self.observed,
            self.background,
            self.error,
            float(fits.yields[0]),
            float(fits.yield_error[0]),
            float(z[0]),
        )

    def limit(self, level: float = 0.95) -> Limit:
        """Upper limit on the signal events behind the cut."""
        return upper_limit(self.model, self.counts, level)


def template_count(
    passed: ArrayLike,
    template_passed: ArrayLike,
    before: float | None = None,
    before_error: float = 0.0,
    systematic: float = 0.0,
) -> TemplateCount:
    """Count the background in the template.

    Parameters
    ----------
    passed : (n,) whether each event of the signal region passes the cut.
    template_passed : (t,) the same of the template's events, none of which trained the cut.
    before, before_error : background in the signal region before the cut and its error, for example from
        the fit of the sidebands. By default the events that are there, whose signal is then counted as
        background: 1 % of it or so.
    systematic : relative uncertainty of the template's efficiency, for example what its density
        deviates by in the sidebands.
    """
    data, template = np.asarray(passed, bool), np.asarray(template_passed, bool)
    if data.ndim != 1 or template.ndim != 1 or len(template) == 0:
        raise InputError("template_count needs masks (n,) and (t,), and at least one template event")
    if before is None:
        before, before_error = float(len(data)), float(np.sqrt(len(data)))
    if not (before > 0 and before_error >= 0 and systematic >= 0):
        raise InputError(
            f"the background before the cut must be positive, got {before:g} +- {before_error:g}"
        )
    k, t = int(template.sum()), len(template)
    if k == 0:
        raise InputError(
            f"none of {t} template events passes the cut: choose a looser one, or draw a larger template"
        )
    efficiency = k / t
    error = float(np.sqrt(efficiency * (1 - efficiency) / t))
    relative = np.sqrt((error / efficiency) ** 2 + (before_error / before) ** 2 + systematic**2)
    background = efficiency * before
    return TemplateCount(int(data.sum()), background, float(background * relative), efficiency, error)
