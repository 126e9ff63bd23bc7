"""Statistics of a bump hunt: background fits, significances, global p-values, limits and checks."""

from .checks import Sculpting, SpuriousSignal, sculpting, spurious_signal, uniformity
from .counting import Counting
from .export import counting_workspace, spectrum_workspace
from .fitting import Fits, fit
from .hunt import Cut, Settings, examine_cut, examine_cuts, search_spectrum
from .limits import Limit, upper_limit
from .model import BinnedModel, counting_data, counting_model, dijet_model, dijet_parameters
from .peaks import gaussian_peak, template_peak
from .quality import Goodness, Trial, f_test, fit_range, goodness, sideband_fit
from .sampled import toy_limit, toy_p_value
from .search import Search, search
from .significance import Scan, Significance, count_model, count_significance, shape_scan, signed_z
from .spectrum import Spectrum, mass_bins
from .template import Closure, TemplateCount, template_count
from .toys import GlobalP, count_toys, draw_toys, global_p, toy_scan
from .working_points import checked_points, passes

__all__ = [
    "BinnedModel",
    "Closure",
    "Counting",
    "Cut",
    "Fits",
    "GlobalP",
    "Goodness",
    "Limit",
    "Scan",
    "Sculpting",
    "Search",
    "Settings",
    "Significance",
    "Spectrum",
    "SpuriousSignal",
    "TemplateCount",
    "Trial",
    "checked_points",
    "count_model",
    "count_significance",
    "count_toys",
    "counting_data",
    "counting_model",
    "counting_workspace",
    "dijet_model",
    "dijet_parameters",
    "draw_toys",
    "examine_cut",
    "examine_cuts",
    "f_test",
    "fit",
    "fit_range",
    "gaussian_peak",
    "global_p",
    "goodness",
    "mass_bins",
    "passes",
    "sculpting",
    "search",
    "search_spectrum",
    "shape_scan",
    "sideband_fit",
    "signed_z",
    "spectrum_workspace",
    "spurious_signal",
    "template_count",
    "template_peak",
    "toy_limit",
    "toy_p_value",
    "toy_scan",
    "uniformity",
    "upper_limit",
]
