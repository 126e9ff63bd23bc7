"""Training: one loop for likelihoods, target functions and regression, with exact resume."""

from .averaging import Average, BestAverage, ExponentialAverage
from .batches import Batches
from .checkpoints import load_checkpoint, load_weights, save_checkpoint
from .fitting import fit
from .graphs import Graphed
from .history import History
from .interruptions import Interruptions
from .losses import Batch, Distillation, Loss, negative_log_likelihood, squared_error, weighted_mean
from .progress import progress_bar
from .schedules import SCHEDULES, Constant, Cosine, OneCycle, Schedule
from .trainer import Trainer

__all__ = [
    "SCHEDULES",
    "Average",
    "Batch",
    "Batches",
    "BestAverage",
    "Constant",
    "Cosine",
    "Distillation",
    "ExponentialAverage",
    "Graphed",
    "History",
    "Interruptions",
    "Loss",
    "OneCycle",
    "Schedule",
    "Trainer",
    "fit",
    "load_checkpoint",
    "load_weights",
    "negative_log_likelihood",
    "progress_bar",
    "save_checkpoint",
    "squared_error",
    "weighted_mean",
]
