"""Train many copies of one torch module at once, each from its own seed."""

from .agd import AGD
from .augmentation import Augmentation, Compose, Flip, Jitter, Shift
from .averages import EMA, SWA, SWAG, Average
from .laplace import laplace
from .optimizers import SGD, Adam, AdamW, Elementwise, Optimizer
from .plan import log_grid
from .schedules import Constant, Cosine, InverseSqrt, Linear, Schedule, Steps
from .sharpness import Sharpness, sharpness
from .train import train

__all__ = [
    "AGD",
    "EMA",
    "SGD",
    "SWA",
    "SWAG",
    "Adam",
    "AdamW",
    "Augmentation",
    "Average",
    "Compose",
    "Constant",
    "Cosine",
    "Elementwise",
    "Flip",
    "InverseSqrt",
    "Jitter",
    "Linear",
    "Optimizer",
    "Schedule",
    "Sharpness",
    "Shift",
    "Steps",
    "laplace",
    "log_grid",
    "sharpness",
    "train",
]
