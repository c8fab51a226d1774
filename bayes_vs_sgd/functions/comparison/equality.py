"""A permutation test of equality whose units are replicates."""

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from jaxtyping import Float

from ...checks import require_count
from .sampled import Sampled, require_pair
from .table import clopper_pearson

# Fewer cannot reject at the 5 % level.
LEAST_PERMUTATIONS = 19


@dataclass(frozen=True)
class EqualityTest:
    """Whether two samples of replicates can come from one distribution.

    Attributes:
        p_value: Probability of a statistic as large under equality.
        interval: Of the p-value for the exchanges drawn; both limits equal it where all were tried.
        squared_distance: The statistic, an estimate without bias of Σ_f (P_f − Q_f)²; it may be
            negative.
        n_permutations: Exchanges tried.
        n_units: Replicates on each side, after merging.
    """

    p_value: float
    interval: tuple[float, float]
    squared_distance: float
    n_permutations: int
    n_units: int


def equality(
    p: Sampled, q: Sampled, *, n_permutations: int = 999, level: float = 0.95, seed: int = 0
) -> EqualityTest:
    """Test that both sides have one distribution, by exchanging replicates between them.

    With R replicates u_r of p and v_r of q, the statistic is

    T = [Σ_{r≠s} u_r·u_s + Σ_{r≠s} v_r·v_s]/[R(R − 1)] − 2 Σ_{rs} u_r·v_s/R²,

    whose mean is Σ_f (P_f − Q_f)² whatever the noise of either side, so that a noisy or sparse side
    is not taken for a different one, as it would be by total variation. All exchanges are tried
    where there are no more than ``n_permutations``; otherwise that many random ones, and
    p = (1 + b)/(1 + n_permutations) with b of them at least as large as observed.

    The test is exact if replicates of both sides have one law under equality. Those of SMC and
    blocks of SGD runs have one mean but different noise. The exchanged T then still has the
    variance of T to leading order if both sides count equally many replicates, so the side with
    more is merged, at random, into as many groups as the other has. Where one side has all of the
    noise, only the signs of R replicates are exchanged in effect, and no p-value below 2^{1−R} is
    warranted; none is given. Six replicates can thus reject at the 5 % level, four and five cannot.

    The statistic is that of Chen & Qin 2010 (Ann. Statist. 38); permutation with unequal noise:
    Romano 1990 (JASA 85).

    Args:
        p: The one side, at least 4 replicates.
        q: The other side, over the same functions.
        n_permutations: Random exchanges, or the most that are tried one by one.
        level: Of the interval of the p-value.
        seed: Of merging and exchanging.

    Raises:
        ValueError: The tables differ, a side has fewer than 4 replicates, or a count is not
            possible.
    """
    require_pair(p, q)
    require_count("n_permutations", n_permutations, least=LEAST_PERMUTATIONS)
    rng = np.random.default_rng(seed)
    n = min(p.n_replicates, q.n_replicates)
    units = np.concatenate([_merged(rng, side, n) for side in (p, q)])
    every = comb(2 * n, n) <= n_permutations
    signs = _all_signs(n) if every else _random_signs(rng, n, n_permutations)
    values = _squared_distances(signs, units)
    # Equal labellings are summed in different order.
    tolerance = 1e-10 * float(np.abs(values).max())
    n_far = int((values[1:] >= values[0] - tolerance).sum())
    p_value = (1 + n_far) / len(signs)
    least = 2.0 ** (1 - n)
    interval = (max(p_value, least),) * 2
    if not every:
        lower, upper = clopper_pearson(np.array(n_far), len(signs) - 1, level=level)
        interval = (max(float(lower), least), max(float(upper), least))
    return EqualityTest(max(p_value, least), interval, float(values[0]), len(signs), n)


def _merged(
    rng: np.random.Generator, sampled: Sampled, n: int
) -> Float[np.ndarray, "n n_functions"]:
    if sampled.n_replicates == n:
        return sampled.moves
    group = rng.permutation(sampled.n_replicates) % n
    return np.array([sampled.moves[group == k].mean(axis=0) for k in range(n)])


def _all_signs(n: int) -> Float[np.ndarray, "n_permutations {2*n}"]:
    """Every way to give n of 2n replicates the sign +, the observed one first."""
    chosen = np.array(list(combinations(range(2 * n), n)))
    signs = np.full((len(chosen), 2 * n), -1.0)
    np.put_along_axis(signs, chosen, 1.0, axis=1)
    return signs


def _random_signs(
    rng: np.random.Generator, n: int, n_permutations: int
) -> Float[np.ndarray, "n_permutations {2*n}"]:
    observed = np.repeat([1.0, -1.0], n)
    return np.array([observed, *(rng.permutation(observed) for _ in range(n_permutations))])


def _squared_distances(
    signs: Float[np.ndarray, "n_permutations n_units"],
    units: Float[np.ndarray, "n_units n_functions"],
) -> Float[np.ndarray, " n_permutations"]:
    """T for every row of signs, + for the one side and − for the other."""
    # T does not depend on the origin; the mean as origin saves digits.
    moved = units - units.mean(axis=0)
    products = moved @ moved.T
    np.fill_diagonal(products, 0)
    total = products.sum()
    signed = ((signs @ products) * signs).sum(axis=1)
    n = signs.shape[1] // 2
    return (total + signed) / 2 / (n * (n - 1)) - (total - signed) / 2 / n**2
