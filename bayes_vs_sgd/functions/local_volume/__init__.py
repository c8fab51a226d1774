"""How much prior mass lies around one solution: rays, preconditioned, and Laplace's approximation.

``local_volume`` measures what straight rays from a solution see of a region; it is a lower bound of
the region's mass, for a region need be neither star-shaped nor connected. ``laplace_evidence``
approximates the evidence around a maximum of the posterior. Both say where they cannot be trusted.
"""

from .curvature import Curvature
from .directions import Directions, Preconditioned, Tilted, Uniform
from .evidence import LaplaceEvidence, laplace_evidence
from .follow import Rays
from .hessian import hessian_matrix
from .hutchinson import hessian_diagonal, hessian_trace
from .ray import log_ray_integral
from .regions import Region, cost_below, same_function
from .result import LocalVolume
from .volume import local_volume

__all__ = [
    "Curvature",
    "Directions",
    "LaplaceEvidence",
    "LocalVolume",
    "Preconditioned",
    "Rays",
    "Region",
    "Tilted",
    "Uniform",
    "cost_below",
    "hessian_diagonal",
    "hessian_matrix",
    "hessian_trace",
    "laplace_evidence",
    "local_volume",
    "log_ray_integral",
    "same_function",
]
