"""The regions around a network whose volume is measured, and where their rays are sent."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from bayes_vs_sgd import Network
from bayes_vs_sgd.functions.local_volume import (
    Curvature,
    LocalVolume,
    Rays,
    Tilted,
    cost_below,
    local_volume,
    same_function,
)
from bayes_vs_sgd.likelihoods import Likelihood
from studies._functions import Problem

LogOdds = Callable[[Any, Any], Float[Array, " n"]]


def log_volumes(
    key: PRNGKeyArray,
    problem: Problem,
    likelihood: Likelihood,
    centre: dict[str, Float[np.ndarray, "..."]],
    *,
    n_directions: int,
    tilt: float,
    cutoff: float,
) -> dict[str, LocalVolume]:
    """Log prior mass of what rays from a network see of three regions.

    - ``volume_function``: every row, of training and test, keeps its class; at most P(f, S).
    - ``volume_fit``: every training row keeps its class; at most P(S).
    - ``volume_basin``: on the training rows (1/n) Σ_i KL(p_i* ‖ p_i) ≤ ``cutoff``, p* the network's
      own predictions, of which it is a minimum.

    With g_i the log odds of row i and ∇g_i their gradient at the network, the rays of the first two are
    tilted by exp(−tilt·½ Σ_i (∇g_i·x/g_i)²), which lets each row's g_i move by as much as parts it from a
    change of class, over √tilt. Those of the third are tilted by the cost's Hessian, which is exactly
    (1/n) Σ_i p_i(1 − p_i)·∇g_i∇g_iᵀ, at the saddle point of ``cutoff``.

    Args:
        key: Source of randomness.
        problem: Network, prior and data.
        likelihood: Whose predictions p are.
        centre: The network's parameters by name.
        n_directions: Rays of each region.
        tilt: Strength of the tilt of the first two.
        cutoff: Bound of the third, in nats a row.
    """
    # Likelihoods are frozen dataclasses.
    odds = log_odds(problem.network, likelihood)  # type: ignore[arg-type]
    rays = Rays(n_directions=n_directions)
    x = jnp.asarray(problem.dataset.x_train)
    both = jnp.concatenate([x, jnp.asarray(problem.dataset.x_test)])
    g, slopes = _expanded(odds)(centre, both)
    n, apply = len(x), problem.network.apply
    basin = cost_below(divergence(odds), centre, cutoff, data=(x, g[:n]))
    of_function, of_fit = margins(g, slopes), margins(g[:n], slopes)
    plans = {
        "volume_function": (same_function(apply, both, centre), Tilted(of_function, strength=tilt)),
        "volume_fit": (same_function(apply, x, centre), Tilted(of_fit, strength=tilt)),
        "volume_basin": (basin, Tilted(hessian(g[:n], slopes), cutoff=cutoff)),
    }
    return {
        name: local_volume(
            jax.random.fold_in(key, number),
            region,
            centre,
            problem.prior,
            directions=directions,
            rays=rays,
        )
        for number, (name, (region, directions)) in enumerate(plans.items())
    }


@lru_cache(maxsize=8)
def log_odds(network: Network, likelihood: Likelihood) -> LogOdds:
    """(params, x) → log p(1)/p(0) of every row; the same function for the same arguments, for compilation."""

    def odds(params: Any, x: Any) -> Float[Array, " n"]:
        log_p = likelihood.predict(network.apply(params, x))
        return log_p[:, 1] - log_p[:, 0]

    return odds


@lru_cache(maxsize=8)
def divergence(odds: LogOdds) -> Callable[[Any, Any], Float[Array, ""]]:
    """(params, (x, g*)) → (1/n) Σ_i KL(p_i* ‖ p_i), the log odds of p* being g*."""

    def cost(params: Any, data: Any) -> Float[Array, ""]:
        x, at = data
        mine, p = odds(params, x), jax.nn.sigmoid(at)
        ones = jax.nn.log_sigmoid(at) - jax.nn.log_sigmoid(mine)
        zeros = jax.nn.log_sigmoid(-at) - jax.nn.log_sigmoid(-mine)
        return (p * ones + (1 - p) * zeros).mean()

    return cost


@lru_cache(maxsize=8)
def _expanded(odds: LogOdds) -> Callable[..., Any]:
    return jax.jit(lambda params, x: (odds(params, x), jax.jacrev(odds)(params, x)))


def margins(g: Float[Array, " n"], slopes: Any) -> Curvature:
    """Σ_i (∇g_i/g_i)(∇g_i/g_i)ᵀ over the rows of g, with which ½xᵀHx = ½ where one row reaches g_i = 0."""
    return _weighted(slopes, 1 / jnp.abs(g))


def hessian(g: Float[Array, " n"], slopes: Any) -> Curvature:
    """(1/n) Σ_i p_i(1 − p_i)·∇g_i∇g_iᵀ, p_i = 1/(1 + exp(−g_i)): that of ``divergence`` at its minimum."""
    p = jax.nn.sigmoid(g)
    return _weighted(slopes, jnp.sqrt(p * (1 - p) / len(g)))


def _weighted(slopes: Any, weights: Float[Array, " n"]) -> Curvature:
    """Σ_i w_i²·∇g_i∇g_iᵀ, over as many rows of the slopes as there are weights."""
    scaled = {
        name: np.asarray(value[: len(weights)] * weights.reshape(-1, *(1,) * (value.ndim - 1)))
        for name, value in slopes.items()
    }
    return Curvature({name: np.zeros(value.shape[1:]) for name, value in scaled.items()}, scaled)
