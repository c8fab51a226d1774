"""The posterior mean of the test error under a Gaussian process, row by row from two evidences."""

import jax
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from ...types import Estimate
from .orthants import Orthant, orthant_probability


def mean_test_error(
    key: PRNGKeyArray,
    kernel: Float[np.ndarray, "rows rows"],
    train_labels: Int[np.ndarray, " n"],
    test_labels: Int[np.ndarray, " m"],
    *,
    n_draws: int = 10_000,
) -> tuple[Estimate, list[Orthant]]:
    """Posterior mean of the share of test rows that are wrong.

    (1/m) Σ_i Z(S, i wrong)/[Z(S, i right) + Z(S, i wrong)], exact for the Gaussian process: the two add up
    to Z(S), whose error so cancels. With relative errors s of the two and the share q_i of the wrong one,
    sem² = (1/m²) Σ_i q_i²(1 − q_i)²(s_right² + s_wrong²).

    Args:
        key: Random key.
        kernel: K on the n training inputs followed by the m test inputs.
        train_labels: S, in {−1, +1}.
        test_labels: What is right, in {−1, +1}.
        n_draws: Independent draws for every evidence.

    Returns:
        The estimate, and for every test row the orthants of the right label and of the wrong one.

    Raises:
        ValueError: The kernel is no covariance, a label is not ±1, or shapes do not fit.
    """
    n, m = len(train_labels), len(test_labels)
    orthants, shares, sems = [], [], []
    for i in range(m):
        rows = np.append(np.arange(n), n + i)
        labels = np.stack([np.append(train_labels, s * test_labels[i]) for s in (1, -1)])
        found = orthant_probability(
            jax.random.fold_in(key, i), kernel[np.ix_(rows, rows)], labels, n_draws=n_draws
        )
        right, wrong = found.log_probability.value
        share = 1 / (1 + np.exp(right - wrong))
        orthants.append(found)
        shares.append(share)
        sems.append(share * (1 - share) * np.hypot(*found.log_probability.sem))
    return Estimate(float(np.mean(shares)), float(np.linalg.norm(sems) / m)), orthants
