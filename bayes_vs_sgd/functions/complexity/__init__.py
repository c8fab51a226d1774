"""Simplicity of functions: measures of their patterns, and probability against complexity."""

from .envelope import Envelope, levin_envelope
from .expressions import (
    Expression,
    UnprovenMinimumWarning,
    expression_length,
    minimal_expressions,
)
from .influence import noise_sensitivity, sensitivity
from .information import compressed_size, entropy
from .measures import MEASURES, Measure, measure
from .parsing import lempel_ziv, n_words
from .rank import RankCorrelation, rank_correlation

__all__ = [
    "MEASURES",
    "Envelope",
    "Expression",
    "Measure",
    "RankCorrelation",
    "UnprovenMinimumWarning",
    "compressed_size",
    "entropy",
    "expression_length",
    "lempel_ziv",
    "levin_envelope",
    "measure",
    "minimal_expressions",
    "n_words",
    "noise_sensitivity",
    "rank_correlation",
    "sensitivity",
]
