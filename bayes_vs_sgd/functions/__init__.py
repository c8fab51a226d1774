"""Function space: which functions networks make, how probable they are, and how far apart."""

from . import (
    comparison,
    complexity,
    gaussian_process,
    kernels,
    learning_coefficient,
    local_volume,
)
from .fidelity import agreement, total_variation
from .frequencies import FunctionFrequencies, collect_patterns, sgd_probabilities
from .movement import movement
from .patterns import as_text, classify, pack, pack_bits, unpack
from .prior import sample_prior
from .table import Counter, FunctionCounts
from .volume import (
    PCN,
    SMC,
    Elliptical,
    Estimator,
    FunctionPosterior,
    Levels,
    Rejection,
    Reweighting,
    Temperatures,
    ZeroOne,
    posterior_probabilities,
)

__all__ = [
    "PCN",
    "SMC",
    "Counter",
    "Elliptical",
    "Estimator",
    "FunctionCounts",
    "FunctionFrequencies",
    "FunctionPosterior",
    "Levels",
    "Rejection",
    "Reweighting",
    "Temperatures",
    "ZeroOne",
    "agreement",
    "as_text",
    "classify",
    "collect_patterns",
    "comparison",
    "complexity",
    "gaussian_process",
    "kernels",
    "learning_coefficient",
    "local_volume",
    "movement",
    "pack",
    "pack_bits",
    "posterior_probabilities",
    "sample_prior",
    "sgd_probabilities",
    "total_variation",
    "unpack",
]
