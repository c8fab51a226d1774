"""Labels of single test inputs under the approximation of expectation propagation."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .expectation_propagation import ExpectationPropagation
from .sweep import projected


def predictive_probability(
    fitted: ExpectationPropagation,
    cross: Float[np.ndarray, "m n"],
    test_variance: Float[np.ndarray, " m"],
) -> Float[np.ndarray, "*functions m"]:
    """Approximate P(f(x*) > 0 | labels) of every test input by itself.

    Φ(μ*/σ*) with the Gaussian posterior: μ* = K(x*, X)(ν − A K ν) and σ*² = K(x*, x*) − K(x*, X) A
    K(X, x*), where A = (K + diag(τ)⁻¹)⁻¹. An approximation of unknown error, and of marginals alone:
    their product over inputs is not the probability of a function. Source: Rasmussen & Williams 2006,
    algorithm 3.6.

    Args:
        fitted: What ``expectation_propagation`` returned.
        cross: K(x*, X).
        test_variance: K(x*, x*) of every test input with itself.

    Returns:
        Shape (m,), with a leading axis of functions where ``fitted`` has one.

    Raises:
        ValueError: The shapes do not fit the training inputs.
    """
    between, variance = (np.asarray(a, dtype=np.float64) for a in (cross, test_variance))
    n = len(fitted.kernel)
    if between.ndim != 2 or between.shape[1] != n or variance.shape != between.shape[:1]:
        raise ValueError(
            f"cross has shape {between.shape} and test_variance {variance.shape}; pass (m, {n}) and (m,)."
        )
    precision, shift = np.atleast_2d(fitted.site_precision), np.atleast_2d(fitted.site_shift)
    with jax.enable_x64(True):
        found = np.asarray(_probabilities(fitted.kernel, precision, shift, between, variance))
    return found if np.ndim(fitted.log_evidence) else found[0]


@jax.jit
def _probabilities(kernel: jax.Array, precision: jax.Array, shift: jax.Array, cross: jax.Array,
                   variance: jax.Array) -> jax.Array:  # fmt: skip
    def one(sites: tuple[jax.Array, jax.Array]) -> jax.Array:
        inverse, half = projected(kernel, sites[0], cross.T)
        mean = cross @ (sites[1] - inverse @ (kernel @ sites[1]))
        left = jnp.maximum(variance - (half**2).sum(axis=0), jnp.finfo(half.dtype).tiny)
        return jax.scipy.special.ndtr(mean / jnp.sqrt(left))

    return jax.lax.map(one, (precision, shift))
