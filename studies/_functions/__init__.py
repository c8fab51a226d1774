"""What the studies of function space share: the problem, the ways to train, and the cells that measure."""

from .cells import (
    convergence_doubts,
    frequencies_of,
    posterior_tree,
    run_sgd,
    train,
    volume,
    volume_of,
)
from .options import ProblemOptions, check_problem, check_trainings
from .problem import Problem, prepared
from .training import Training

__all__ = [
    "Problem",
    "ProblemOptions",
    "Training",
    "check_problem",
    "check_trainings",
    "convergence_doubts",
    "frequencies_of",
    "posterior_tree",
    "prepared",
    "run_sgd",
    "train",
    "volume",
    "volume_of",
]
