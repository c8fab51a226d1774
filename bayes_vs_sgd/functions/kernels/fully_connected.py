"""Kernels of fully connected networks of infinite width."""

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float

from ...checks import require_count
from .layers import Affine, Covariances, Kernels, as_real, nonlinearity
from .moments import require_activation
from .scales import affine


@dataclass(frozen=True)
class FullyConnected:
    """A multilayer perceptron with hidden layers of infinite width.

    Every layer is h ↦ (m_w/√fan_in)·W h + m_b·b with W ~ N(0, (σ_w/m_w)²), b ~ N(0, (σ_b/m_b)²), and a
    nonlinearity φ follows all but the last. With K⁰ = x·x′/d, Θ⁰ = 0 for the d inputs, and for the
    outputs before φ of each of the depth + 1 layers:

    - K = σ_b² + σ_w²·E[φ(u)φ(v)], (u, v) ~ N(0, K of the layer before); K = σ_b² + σ_w²·K⁰ first;
    - Θ = m_b² + m_w²·E[φ(u)φ(v)] + σ_w²·Θ_before·E[φ′(u)φ′(v)]; Θ = m_b² + m_w²·K⁰ first.

    The prior N(0, σ_w²/fan_in) of the effective weights, and with it the NNGP, is the same for every
    multiplier; the NTK is not:

    - None (the default) is m_w = σ_w, m_b = σ_b and parameters of N(0, 1), the parameterization of
      Jacot et al. 2018 and Lee et al. 2019. There Θ = K + σ_w²·Θ_before·E[φ′φ′].
    - m_w = m_b = 1 leaves the scales in the parameters: ``models.NTK``.
    - The standard parameterization, W ~ N(0, σ_w²/fan_in) and b ~ N(0, σ_b²) used as they are, is
      m_w = √fan_in, m_b = 1. Its tangent kernel grows with the width n of the hidden layers, and
      gradient descent needs a learning rate ∝ 1/n. Θ/n tends to the recursion with m_b = 0, m_w = 1
      and Θ = 0 first: input weights and biases have no part in it.

    Sources: Lee et al. 2018 (arXiv 1711.00165) for the NNGP; Jacot et al. 2018 (arXiv 1806.07572) for
    the NTK; Sohl-Dickstein et al. 2020 (arXiv 2001.07301) for the standard parameterization.

    Attributes:
        depth: Hidden layers; 0 is a linear model.
        weight_std: σ_w.
        bias_std: σ_b.
        activation: φ: ``"relu"``, ``"erf"`` or ``"identity"``.
        weight_multiplier: m_w; None is σ_w.
        bias_multiplier: m_b; None is σ_b. 0 is a network without biases.

    Raises:
        ValueError: A setting is not possible.
    """

    depth: int = 1
    weight_std: float = 1.0
    bias_std: float = 1.0
    activation: str = "relu"
    weight_multiplier: float | None = None
    bias_multiplier: float | None = None

    def __post_init__(self) -> None:
        require_count("depth", self.depth, least=0)
        require_activation(self.activation)
        self._affine()

    def kernels(self, x: Float[Array, "n ..."], y: Float[Array, "m ..."] | None = None) -> Kernels:
        """Both kernels between the rows of x and of y (of x again, where y is None).

        Pure JAX, in the floating-point type of x: to be jitted, vmapped and differentiated. Inverses of
        kernels need float64: ``kernel_matrices`` takes care of that.

        Args:
            x: Inputs, all axes but the first are flattened; integers and bits are taken as numbers.
            y: Inputs of the same shape but for the number of rows.

        Raises:
            ValueError: The rows of x and y differ in shape.
        """
        first = as_real(x)
        second = first if y is None else as_real(y)
        require_rows(first.shape, second.shape)
        layer = self._affine()
        state = layer(_inputs(first.reshape(len(first), -1), second.reshape(len(second), -1)))
        for _ in range(self.depth):
            state = layer(nonlinearity(state, self.activation))
        return Kernels(state.cross, state.tangent)

    def pair_size(self, shape: tuple[int, ...]) -> int:
        """How many numbers a pair of inputs of this shape (without rows) takes in a layer."""
        return 1

    def _affine(self) -> Affine:
        return affine(self.weight_std, self.bias_std, self.weight_multiplier, self.bias_multiplier)


def require_rows(x_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> None:
    """Refuse inputs that cannot be compared.

    Raises:
        ValueError: An input has no axis besides the rows, or their rows differ in shape.
    """
    if len(x_shape) < 2 or 0 in x_shape:
        raise ValueError(
            f"x has shape {x_shape}; pass (n_rows, ...) with at least one number in a row."
        )
    if x_shape[1:] != y_shape[1:]:
        raise ValueError(
            f"x has rows of shape {x_shape[1:]} and y of {y_shape[1:]}; they must be equal."
        )


def _inputs(x: Array, y: Array) -> Covariances:
    n_features = x.shape[1]
    cross = jnp.matmul(x, y.T, precision="highest") / n_features
    of_x, of_y = ((a**2).sum(axis=1) / n_features for a in (x, y))
    return Covariances(of_x, of_y, cross, jnp.zeros_like(cross))
