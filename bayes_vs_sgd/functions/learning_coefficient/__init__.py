"""The local learning coefficient λ: how fast the volume of a basin shrinks with the loss that it allows.

Volume(loss − L_n(w*) ≤ ε) ∝ ε^λ but for logarithms, so λ is half the number of parameters in a regular
model and less around a singular solution (Watanabe 2009; Lau et al. 2023). The chains are those of
``samplers``, many at once, around one solution or around many.
"""

from .chains import effective_sample_size, rank_rhat
from .estimate import learning_coefficient, learning_coefficients
from .quadratic import quadratic_learning_coefficient, step_size_bias
from .result import LearningCoefficient
from .settings import LocalChains

__all__ = [
    "LearningCoefficient",
    "LocalChains",
    "effective_sample_size",
    "learning_coefficient",
    "learning_coefficients",
    "quadratic_learning_coefficient",
    "rank_rhat",
    "step_size_bias",
]
