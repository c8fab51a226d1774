"""P_B(f | S), the posterior volume of functions, and log P(S), by estimators that check one another."""

from .moves import PCN, Elliptical, Move
from .posterior import FunctionPosterior
from .probabilities import Estimator, posterior_probabilities
from .rejection import Rejection
from .reweighting import Reweighting
from .schedules import Levels, Schedule, Temperatures
from .smc import SMC
from .zero_one import ZeroOne

__all__ = [
    "PCN",
    "SMC",
    "Elliptical",
    "Estimator",
    "FunctionPosterior",
    "Levels",
    "Move",
    "Rejection",
    "Reweighting",
    "Schedule",
    "Temperatures",
    "ZeroOne",
    "posterior_probabilities",
]
