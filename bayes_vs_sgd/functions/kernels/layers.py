"""What one layer of infinite width does to the covariances of its inputs.

A network is a chain of these: inputs, affine, nonlinearity, affine, …; the last affine layer's outputs
have the kernels. Every layer is one line for the covariance and one for the tangent kernel.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from .moments import MOMENTS


class Kernels(NamedTuple):
    """The two kernels of a network of infinite width, of one of its outputs.

    Outputs are independent and alike. Shape (n, m) for n inputs x and m inputs y.

    Attributes:
        nngp: E[f(x)f(y)] over the prior: the covariance of the Gaussian process.
        ntk: E[Σ_p ∂f(x)/∂θ_p ∂f(y)/∂θ_p], the neural tangent kernel.
    """

    nngp: Float[Array, "n m"]
    ntk: Float[Array, "n m"]


class Covariances(NamedTuple):
    """Second moments of one unit of a layer, on n inputs x and m inputs y.

    Positions P are those of an image or a sequence, and none in a fully connected network.

    Attributes:
        of_x: Variances on x, shape (n, *P).
        of_y: Variances on y, shape (m, *P).
        cross: Covariances, shape (n, m, *P) for equal positions alone, or (n, m, *P, *P) for all pairs.
        tangent: The tangent kernel of the layers so far, shaped as ``cross``.
    """

    of_x: Float[Array, "n ..."]
    of_y: Float[Array, "m ..."]
    cross: Float[Array, "n m *positions"]
    tangent: Float[Array, "n m *positions"]


class Affine(NamedTuple):
    """h ↦ (weight_multiplier/√fan_in)·W h + bias_multiplier·b.

    W ~ N(0, (weight_std/weight_multiplier)²) and b ~ N(0, (bias_std/bias_multiplier)²), so that the
    multipliers change the tangent kernel alone:

    - K ↦ bias_std² + weight_std²·K;
    - Θ ↦ bias_multiplier² + weight_multiplier²·K + weight_std²·Θ.

    Attributes:
        weight_std: σ_w.
        bias_std: σ_b.
        weight_multiplier: What the weights are multiplied by, besides 1/√fan_in.
        bias_multiplier: What the bias is multiplied by; 0 where there is none to be trained.
    """

    weight_std: float
    bias_std: float
    weight_multiplier: float
    bias_multiplier: float

    def variance(self, variance: Float[Array, "..."]) -> Float[Array, "..."]:
        """Variance of the outputs."""
        return self.bias_std**2 + self.weight_std**2 * variance

    def tangent(self, cross: Float[Array, "..."], tangent: Float[Array, "..."]) -> Array:
        """Tangent kernel of the outputs."""
        own = self.bias_multiplier**2 + self.weight_multiplier**2 * cross
        return own + self.weight_std**2 * tangent

    def __call__(self, inputs: Covariances) -> Covariances:
        """The layer with weights of its own for every output, and inputs without positions."""
        return Covariances(
            self.variance(inputs.of_x),
            self.variance(inputs.of_y),
            self.variance(inputs.cross),
            self.tangent(inputs.cross, inputs.tangent),
        )


def nonlinearity(inputs: Covariances, activation: str) -> Covariances:
    """K ↦ E[φφ] and Θ ↦ Θ·E[φ′φ′], unit by unit and position by position."""
    moments = MOMENTS[activation]
    of_x, of_y = _against(inputs)
    cross = moments(of_x, inputs.cross, of_y)
    return Covariances(
        moments(inputs.of_x, inputs.of_x, inputs.of_x).values,
        moments(inputs.of_y, inputs.of_y, inputs.of_y).values,
        cross.values,
        inputs.tangent * cross.derivatives,
    )


def _against(inputs: Covariances) -> tuple[Array, Array]:
    """Variances with the axes of ``cross``, of length 1 where they do not depend on one."""
    positions = inputs.of_x.ndim - 1
    extra = inputs.cross.ndim - 2 - positions
    of_x = inputs.of_x.reshape(inputs.of_x.shape + (1,) * extra)[:, None]
    of_y = inputs.of_y
    return of_x, of_y.reshape(of_y.shape[:1] + (1,) * extra + of_y.shape[1:])[None]


def as_real(x: Array) -> Array:
    """``x`` in JAX's floating-point type where it holds integers or bits."""
    array = jnp.asarray(x)
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(float)
