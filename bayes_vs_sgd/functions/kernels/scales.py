"""The scales that fully connected and convolutional networks share, and their checks."""

import math

from ...checks import require_positive
from .layers import Affine


def affine(
    weight_std: float,
    bias_std: float,
    weight_multiplier: float | None,
    bias_multiplier: float | None,
) -> Affine:
    """The layer of these scales; a multiplier of None is the standard deviation itself.

    Raises:
        ValueError: A scale of weights is not positive, or one of biases is negative or not finite.
    """
    of_weight = weight_std if weight_multiplier is None else weight_multiplier
    of_bias = bias_std if bias_multiplier is None else bias_multiplier
    require_positive("weight_std", weight_std)
    require_positive("weight_multiplier", of_weight)
    for name, value in (("bias_std", bias_std), ("bias_multiplier", of_bias)):
        if not 0 <= value < math.inf:
            raise ValueError(f"{name}={value} is not possible; pass 0 or a positive number.")
    if of_bias == 0 and bias_std > 0:
        raise ValueError(
            f"bias_multiplier=0 takes away the biases that bias_std={bias_std} asks for; pass a "
            "positive multiplier, or bias_std=0."
        )
    return Affine(weight_std, bias_std, of_weight, of_bias)
