"""The evidence of 0/1 labels under a Gaussian process: approximate and fast, or with an error."""

from .conditional import (
    ApproximateProbabilities,
    FunctionProbabilities,
    approximate_function_probabilities,
    function_probabilities,
)
from .expectation_propagation import ExpectationPropagation, expectation_propagation
from .mean_error import mean_test_error
from .orthants import Orthant, orthant_probability
from .posterior import gaussian_process_posterior
from .prediction import predictive_probability

__all__ = [
    "ApproximateProbabilities",
    "ExpectationPropagation",
    "FunctionProbabilities",
    "Orthant",
    "approximate_function_probabilities",
    "expectation_propagation",
    "function_probabilities",
    "gaussian_process_posterior",
    "mean_test_error",
    "orthant_probability",
    "predictive_probability",
]
