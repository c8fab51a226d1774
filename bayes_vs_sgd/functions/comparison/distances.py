"""Total variation and Jensen–Shannon divergence of two sampled distributions, bracketed."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import rel_entr

from .lower_bound import lower_bounds
from .sampled import Sampled, require_pair
from .student import StudentEstimate, jackknife


@dataclass(frozen=True)
class Distance:
    """A distance between two distributions known by samples, from three sides.

    The truth lies between the expectations of ``lower_bound`` and ``plug_in``, whatever the sample
    sizes; the interval of each is of its own expectation. Only those two carry a verdict.

    Attributes:
        plug_in: The distance of the two empirical distributions. Its expectation is at least the
            truth, by convexity, and far above it where many functions were found a few times.
        corrected: ``plug_in`` less the jackknife's estimate of its bias. See the functions.
        lower_bound: Cross-fitted estimate, without bias, of a number that is at most the truth; an
            estimate itself may be negative.
    """

    plug_in: StudentEstimate
    corrected: StudentEstimate
    lower_bound: StudentEstimate

    def bracket(self, level: float = 0.95) -> tuple[float, float]:
        """Lower limit of the interval of ``lower_bound`` and upper limit of that of ``plug_in``.

        Each limit is missed by the truth with probability (1 − level)/2 at most, as far as
        Student's law holds.

        Raises:
            ValueError: ``level`` is no probability.
        """
        return self.lower_bound.interval(level)[0], self.plug_in.interval(level)[1]


@dataclass(frozen=True)
class Distances:
    """Both distances.

    Attributes:
        total_variation: TV(P, Q) = ½ Σ_f |P_f − Q_f|, from 0 to 1. Its bias goes as 1/√n at
            functions whose two probabilities differ by less than their noise; of that the
            jackknife, which is right for 1/n, removes about half, and ``corrected`` is still too
            large if P = Q.
        jensen_shannon: JS(P, Q) = ½ KL(P‖M) + ½ KL(Q‖M) with M = (P + Q)/2, in nats, from 0 to log
            2. Its bias goes as 1/n, which the jackknife removes, at functions found many times;
            functions found once or twice leave a rest.
    """

    total_variation: Distance
    jensen_shannon: Distance


def distances(
    p: Sampled, q: Sampled, *, n_folds: int = 5, n_splits: int = 8, seed: int = 0
) -> Distances:
    """Both distances with their errors over replicates.

    Args:
        p: The one side, at least 4 replicates.
        q: The other side, over the same functions.
        n_folds: Folds of the cross-fitting.
        n_splits: How often the folds are dealt anew.
        seed: Of the folds.

    Raises:
        ValueError: The tables differ, or a side has fewer than 4 replicates.
    """
    require_pair(p, q)
    lower = lower_bounds(p, q, n_folds=n_folds, n_splits=n_splits, seed=seed)
    left_out = jackknife(p, q, plug_in_distances)
    plain, corrected = left_out.estimates(), left_out.corrected()
    return Distances(*(Distance(*three) for three in zip(plain, corrected, lower, strict=True)))


def plug_in_distances(
    p: Float[np.ndarray, " n_functions"], q: Float[np.ndarray, " n_functions"]
) -> Float[np.ndarray, " 2"]:
    """Both distances of two laws, TV and JS, as ``Distances`` has them; JS in nats."""
    middle = (p + q) / 2
    divergence = (rel_entr(p, middle) + rel_entr(q, middle)).sum() / 2
    return np.array([np.abs(p - q).sum() / 2, divergence])
