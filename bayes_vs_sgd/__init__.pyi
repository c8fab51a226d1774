from . import (
    averaging,
    conjugate,
    data,
    diagnostics,
    double_descent,
    functions,
    likelihoods,
    priors,
    report,
    runs,
    samplers,
    sgd,
)
from .network import Network
from .posterior import Posterior
from .types import Dataset, Draws, Estimate

__all__ = [
    "Dataset",
    "Draws",
    "Estimate",
    "Network",
    "Posterior",
    "averaging",
    "conjugate",
    "data",
    "diagnostics",
    "double_descent",
    "functions",
    "likelihoods",
    "priors",
    "report",
    "runs",
    "samplers",
    "sgd",
]
