"""Lower bounds of the two distances, estimated without bias by cross-fitting."""

import numpy as np
from jaxtyping import Float

from .sampled import Sampled, effective_draws, require_pair
from .splits import Part, cross_fitted, splits
from .student import StudentEstimate

# A spread takes two replicates.
_LEAST_CHOOSE = 2


def lower_bounds(
    p: Sampled, q: Sampled, *, n_folds: int = 5, n_splits: int = 8, seed: int = 0
) -> tuple[StudentEstimate, StudentEstimate]:
    """Lower bounds of the total variation and of the Jensen–Shannon divergence (nats).

    The replicates of both sides are dealt into folds. With the frequencies p̂, q̂ of all folds but
    one an event and a discriminator are chosen, and the frequencies p̌, q̌ of that fold measure
    them:

    - event A = {f: p̂_f > q̂_f}; p̌(A) − q̌(A), whose mean is P(A) − Q(A) ≤ TV(P, Q);
    - discriminator D_f = (p̂_f + α)/(p̂_f + q̂_f + 2α);
      log 2 + ½ Σ p̌_f log D_f + ½ Σ q̌_f log(1 − D_f), whose mean is at most JS(P, Q), which is the
      supremum over all D. α is half a draw of the smaller side, ½/min(n_p, n_q), n the effective
      draws among the replicates that choose; a function that none of them found has D = ½ and
      counts for nothing.

    Both are averaged over folds and over ``n_splits`` ways of dealing them. The frequencies that
    measure are independent of what they measure, so no estimate has a bias against its own bound,
    however few the draws. The error is the jackknife's, over the replicates of both sides.

    Source of the second: Goodfellow et al. 2014, "Generative adversarial nets", theorem 1.

    Args:
        p: The one side, at least 4 replicates.
        q: The other side, over the same functions.
        n_folds: Folds; the more, the closer the bounds and the longer the work.
        n_splits: How often the folds are dealt anew.
        seed: Of the folds.

    Raises:
        ValueError: The tables differ, or a side has fewer than 4 replicates.
    """
    require_pair(p, q)
    over = splits(p.n_replicates, q.n_replicates, n_folds=n_folds, n_splits=n_splits, seed=seed)

    def statistic(choose: Part, measure: Part) -> Float[np.ndarray, " 2"]:
        event = choose.p > choose.q
        smoothing = 0.5 / min(_draws(p, choose.in_p), _draws(q, choose.in_q))
        return np.array(
            [
                (measure.p - measure.q)[event].sum(),
                discriminated(measure.p, measure.q, choose.p + smoothing, choose.q + smoothing),
            ]
        )

    found = cross_fitted(p, q, statistic, over, least_choose=_LEAST_CHOOSE)
    total_variation, jensen_shannon = found.estimates()
    return total_variation, jensen_shannon


def discriminated(
    p: Float[np.ndarray, " n_functions"],
    q: Float[np.ndarray, " n_functions"],
    odds_p: Float[np.ndarray, " n_functions"],
    odds_q: Float[np.ndarray, " n_functions"],
) -> float:
    """The bound of JS(p, q) by the discriminator D = odds_p/(odds_p + odds_q), in nats.

    log 2 + ½ Σ_f p_f log D_f + ½ Σ_f q_f log(1 − D_f): JS(p, q) itself at odds p, q, and less at
    any others.
    """
    both = np.log(odds_p + odds_q)
    gained = p @ (np.log(odds_p) - both) + q @ (np.log(odds_q) - both)
    return float(np.log(2) + gained / 2)


def _draws(sampled: Sampled, chosen: np.ndarray) -> float:
    if sampled.n_draws is not None:
        return float(sampled.n_draws[chosen].sum())
    return effective_draws(sampled.gram[np.ix_(chosen, chosen)])
