"""P_B(f | S) of a Gaussian process by exact draws of whole functions."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt8

from ...checks import require_count
from ..patterns import pack_bits
from ..volume.posterior import FunctionPosterior
from .arguments import correlation_of, signs_of
from .ordering import ordered
from .orthants import LEAST_EFFECTIVE, weighted_draws
from .tilting import minimax_tilt


def gaussian_process_posterior(
    key: PRNGKeyArray,
    kernel: Float[np.ndarray, "rows rows"],
    train_labels: Int[np.ndarray, " n"],
    *,
    n_runs: int = 8,
    n_draws: int = 10_000,
) -> FunctionPosterior:
    """Log P(S) and P_B(f | S) under the 0/1 likelihood of f ~ GP(0, K), with their errors.

    Values on the training inputs are drawn as for ``orthant_probability``: e with weights w, whose mean
    over the draws of a run estimates P(S) without bias, and f(X) = Le in the order of integration.
    Values on the test inputs follow from them,

        f(x*) = B e + (C_** − B Bᵀ)^½ ξ,  B = C_*X L⁻ᵀ,  ξ ~ N(0, I),

    C the correlations of K; their signs are the function, which counts by w. So P̂(S)·Σ w 1[f]/Σ w is
    unbiased for P(S, f), as in every estimator of function volume. For the NNGP it is the posterior
    of the infinitely wide network. Expectation propagation has no such draws. All is float64.

    Args:
        key: Random key; run r uses ``fold_in(key, r)``.
        kernel: K on the n training inputs followed by the test inputs.
        train_labels: S, in {−1, +1}.
        n_runs: Independent runs, whose spread is the error.
        n_draws: Draws a run.

    Raises:
        ValueError: The kernel is no covariance, a label is not ±1, or there is no test input.
    """
    require_count("n_runs", n_runs)
    require_count("n_draws", n_draws, least=2)
    correlation, _ = correlation_of("kernel", kernel)
    n = len(np.atleast_1d(train_labels))
    if not 0 < n < len(correlation):
        raise ValueError(
            f"train_labels has {n} entries and the kernel {len(correlation)} rows; pass the kernel of "
            "training inputs followed by test inputs."
        )
    signs = signs_of("train_labels", train_labels, n)[0]
    keys = jax.vmap(lambda r: jax.random.fold_in(key, r))(jnp.arange(n_runs))
    with jax.enable_x64(True):
        found = _runs(keys, jnp.asarray(correlation), jnp.asarray(signs), n_draws)
        log_weights, patterns = (np.asarray(a) for a in found)
    highest = log_weights.max(axis=1, keepdims=True)
    weights = np.exp(log_weights - highest)
    effective = weights.sum(axis=1) ** 2 / (weights**2).sum(axis=1)
    return FunctionPosterior.of(
        [pack_bits(of_run) for of_run in patterns],
        highest[:, 0] + np.log(weights.mean(axis=1)),
        len(correlation) - n,
        2,
        weights=list(weights),
        info={"estimator": "gaussian process", "effective_draws": effective.tolist()},
        doubts=_doubts(effective, n_draws),
    )


@jax.jit(static_argnums=3)
def _runs(
    keys: PRNGKeyArray, correlation: Array, signs: Array, n_draws: int
) -> tuple[Float[Array, "runs draws"], UInt8[Array, "runs draws m"]]:
    n = len(signs)
    train = ordered(signs[:, None] * correlation[:n, :n] * signs)
    tilt = minimax_tilt(train.slopes)
    cross = (correlation[n:, :n] * signs)[:, train.order]
    learnt = jax.scipy.linalg.solve_triangular(train.factor, cross.T, lower=True).T
    values, vectors = jnp.linalg.eigh(correlation[n:, n:] - learnt @ learnt.T)
    spread = vectors * jnp.sqrt(jnp.maximum(values, 0))

    def run(key: PRNGKeyArray) -> tuple[Array, Array]:
        of_train, of_test = jax.random.split(key)
        drawn, log_weights = weighted_draws(of_train, train.slopes, tilt, n_draws)
        noise = jax.random.normal(of_test, (len(spread), n_draws), dtype=float)
        return log_weights, (learnt @ drawn + spread @ noise > 0).T.astype(jnp.uint8)

    return jax.lax.map(run, keys)


def _doubts(effective: Float[np.ndarray, " runs"], n_draws: int) -> list[str]:
    few = int((effective < LEAST_EFFECTIVE).sum())
    if not few:
        return []
    return [
        f"{few} of {len(effective)} runs have fewer than {LEAST_EFFECTIVE} effective draws, the fewest "
        f"{effective.min():.0f} of {n_draws}; raise n_draws"
    ]
