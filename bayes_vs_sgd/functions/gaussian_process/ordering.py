"""A Cholesky factor of the covariance with the variables in an order that suits their integration."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .normal_tail import normal_tail

# Variance that a variable keeps when others determine it: 1e-14 of its own, so that a singular
# covariance has a factor. It moves a value by 1e-7 standard deviations.
LEAST_STD = 1e-7


class _Partial(NamedTuple):
    factor: Float[Array, "n step"]
    order: Int[Array, " n"]
    mean: Float[Array, " n"]
    variance: Float[Array, " n"]
    taken: Array


class Ordered(NamedTuple):
    """g ~ N(0, correlation) in an order of its variables: g[order] = L e for e ~ N(0, I).

    Attributes:
        factor: L, lower triangular with a positive diagonal D.
        order: Which variable stands where.
    """

    factor: Float[Array, "n n"]
    order: Int[Array, " n"]

    @property
    def slopes(self) -> Float[Array, "n n"]:
        """A = D⁻¹L − I, strictly lower triangular: g_k/D_k = e_k + Σ_{j<k} A_kj e_j."""
        return jnp.tril(self.factor / jnp.diag(self.factor)[:, None], -1)


def ordered(correlation: Float[Array, "n n"]) -> Ordered:
    """The Cholesky factor with the variable that is least likely to be positive always next.

    With the ones before at their means given that they are positive: smallest (Σ_{j<k} L_kj E[e_j])/L_kk
    (Gibson, Glasbey & Elston 1994; Genz & Bretz 2009, section 4.1.3).

    Args:
        correlation: Positive semi-definite with ones on its diagonal; signs are already in it.
    """
    n = len(correlation)

    def step(i: Array, now: _Partial) -> _Partial:
        stds = jnp.maximum(jnp.sqrt(jnp.maximum(now.variance, 0)), LEAST_STD)
        k = jnp.argmin(jnp.where(now.taken, jnp.inf, now.mean / stds))
        taken = now.taken.at[k].set(True)
        column = (correlation[:, k] - now.factor @ now.factor[k]) / stds[k]
        column = jnp.where(taken, 0, column).at[k].set(stds[k])
        expected = normal_tail(now.mean[k] / stds[k]).hazard
        return _Partial(
            now.factor.at[:, i].set(column),
            now.order.at[i].set(k),
            now.mean + column * expected,
            now.variance - column**2,
            taken,
        )

    zeros = jnp.zeros(n)
    start = _Partial(
        jnp.zeros((n, n)),
        jnp.zeros(n, dtype=int),
        zeros,
        zeros + 1,
        zeros > 0,
    )
    end = jax.lax.fori_loop(0, n, step, start)
    return Ordered(jnp.tril(end.factor[end.order]), end.order)
