"""Everything that compares generated with real showers: `evaluate` for all of it, and its parts."""

from .distances import Distance, fpd, frechet_distance, kpd
from .evaluation import Comparison, Evaluation, evaluate
from .features import features
from .inputs import LEVELS, classifier_inputs, high_level_inputs, support_inputs
from .neighbours import Neighbour, nearest_neighbours
from .prdc import Prdc, prdc
from .published import published_results
from .separation import Separation, SeparationTable, separation_power, separation_table

__all__ = [
    "LEVELS",
    "Comparison",
    "Distance",
    "Evaluation",
    "Neighbour",
    "Prdc",
    "Separation",
    "SeparationTable",
    "classifier_inputs",
    "evaluate",
    "features",
    "fpd",
    "frechet_distance",
    "high_level_inputs",
    "kpd",
    "nearest_neighbours",
    "prdc",
    "published_results",
    "separation_power",
    "separation_table",
    "support_inputs",
]
