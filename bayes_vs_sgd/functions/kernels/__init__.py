"""Networks of infinite width in closed form, and the tangent kernels of finite ones."""

from .alignment import alignment
from .convolutional import Convolutional
from .empirical import empirical_ntk, output_mean
from .fully_connected import FullyConnected
from .layers import Kernels
from .linearized import gradient_flow, trained_distribution
from .matrices import Architecture, kernel_matrices
from .moments import MOMENTS, Moments
from .phase import Phase, phase
from .regression import GaussianPrediction, kernel_regression

__all__ = [
    "MOMENTS",
    "Architecture",
    "Convolutional",
    "FullyConnected",
    "GaussianPrediction",
    "Kernels",
    "Moments",
    "Phase",
    "alignment",
    "empirical_ntk",
    "gradient_flow",
    "kernel_matrices",
    "kernel_regression",
    "output_mean",
    "phase",
    "trained_distribution",
]
