"""The line of log Q against log P, with errors in both."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from .common import common_functions, least_frequencies
from .sampled import Sampled, effective_draws, require_pair
from .splits import Part, Statistic, cross_fitted, splits
from .student import StudentEstimate

_FEWEST = 3
# The spread over replicates takes two.
LEAST_MEASURE = 2


@dataclass(frozen=True)
class LogRelation:
    """How log Q goes with log P over functions that are common on both sides; natural logarithms.

    Attributes:
        slope: Of the orthogonal (Deming) line, 1 for Q = P; NaN where the noise is as large as the
            spread of the functions, or fewer than 3 are common.
        intercept: Of that line at log P = 0.
        correlation: Pearson's, of the logarithms freed of their noise; by chance it can exceed 1.
        log_ratio: Mean of log(Q/P) over the chosen functions weighted by P, in nats. Over all
            functions it would be −KL(P‖Q), which samples cannot give: it is infinite where Q has
            not found a function.
        n_functions: Functions chosen, in the mean over splits.
        mass_p: Probability of the chosen functions under P.
        mass_q: Under Q.
    """

    slope: StudentEstimate
    intercept: StudentEstimate
    correlation: StudentEstimate
    log_ratio: StudentEstimate
    n_functions: float
    mass_p: StudentEstimate
    mass_q: StudentEstimate


def log_relation(
    p: Sampled, q: Sampled, *, least_count: float = 10, n_splits: int = 8, seed: int = 0
) -> LogRelation:
    """Orthogonal regression of log Q on log P with known error variances.

    One half of the replicates of both sides chooses the functions that are common on both
    (``common_functions``); on the other half, with n draws or effective draws of frequency p̂,

    - x_f = log(p̂_f + ½/n), which is free of the bias of order 1/n of log p̂_f, and y_f likewise of
      q;
    - σ_x² = Σ_r Σ_f (d_rf − d̄_r)²/[m(m − 1)(F − 1)], d_rf = (w_rf − p̂_f)/(p̂_f + ½/n), over m
      replicates and F functions, is the part of the variance of x that is noise, correlation
      between functions included;
    - with C = cov(x, y) − diag(σ_x², σ_y²), slope = {C_yy − C_xx + √[(C_yy − C_xx)² +
      4C_xy²]}/(2C_xy), the main axis of what is not noise. It is 1/slope with the sides exchanged;
    - log ratio = Σ_f p_f (y_f − x_f)/Σ_f p_f with p of the choosing half, whose noise is
      independent of x.

    Means over both directions and ``n_splits`` ways of halving; the errors are the jackknife's over
    the replicates. Least squares of y on x would flatten the slope by 1 − σ_x²/cov_xx
    (attenuation). Functions that are common on one side alone are not among the chosen: where there
    are many, the line does not speak of them, and the masses say how much it speaks of.

    Source: Fuller 1987, "Measurement error models", sections 1.3 and 3.1; Akritas & Bershady 1996
    (ApJ 470) for variances that differ from point to point.

    Args:
        p: The side of the abscissa, at least 4 replicates.
        q: The side of the ordinate, over the same functions.
        least_count: Draws in the choosing half that make a function common.
        n_splits: How often the replicates are halved anew.
        seed: Of the halves.

    Raises:
        ValueError: The tables differ, a side has fewer than 4 replicates, or a setting is not
            possible.
    """
    require_pair(p, q)
    statistic = slope_statistic(p, q, least_frequencies(p, q, least_count))
    over = splits(p.n_replicates, q.n_replicates, n_folds=2, n_splits=n_splits, seed=seed)
    found = cross_fitted(p, q, statistic, over, least_measure=LEAST_MEASURE).estimates()
    slope, intercept, correlation, log_ratio, n, mass_p, mass_q = found
    return LogRelation(slope, intercept, correlation, log_ratio, float(n.value), mass_p, mass_q)


def slope_statistic(p: Sampled, q: Sampled, least: tuple[float, float]) -> Statistic:
    """The seven numbers of ``LogRelation``, in its order, as a statistic of ``cross_fitted``."""

    def statistic(choose: Part, measure: Part) -> Float[np.ndarray, " 7"]:
        among = common_functions(choose, least, "both")
        n, weights = int(among.sum()), choose.p[among]
        masses = [measure.p[among].sum(), measure.q[among].sum()]
        if n < _FEWEST:
            return np.array([np.nan, np.nan, np.nan, np.nan, n, *masses])
        x, noise_x = _log_frequencies(p, measure.in_p, measure.p, among)
        y, noise_y = _log_frequencies(q, measure.in_q, measure.q, among)
        line = deming(x, y, noise_x=noise_x, noise_y=noise_y)
        return np.array([*line, weights @ (y - x) / weights.sum(), n, *masses])

    return statistic


def deming(
    x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], *, noise_x: float, noise_y: float
) -> tuple[float, float, float]:
    """Slope, intercept and correlation of a line through points with errors in both coordinates.

    C = cov(x, y) − diag(noise_x, noise_y); slope = {C_yy − C_xx + √[(C_yy − C_xx)² +
    4C_xy²]}/(2C_xy), intercept = ȳ − slope·x̄, correlation = C_xy/√(C_xx·C_yy).

    Args:
        x: Abscissae.
        y: Ordinates.
        noise_x: Mean error variance of the abscissae.
        noise_y: Mean error variance of the ordinates.

    Returns:
        The three, NaN where a variance is no larger than its noise.
    """
    covariance = np.cov(x, y)
    c_xx, c_yy, c_xy = covariance[0, 0] - noise_x, covariance[1, 1] - noise_y, covariance[0, 1]
    if min(c_xx, c_yy) <= 0 or c_xy == 0:
        return float("nan"), float("nan"), float("nan")
    difference = c_yy - c_xx
    slope = (difference + np.hypot(difference, 2 * c_xy)) / (2 * c_xy)
    return float(slope), float(y.mean() - slope * x.mean()), float(c_xy / np.sqrt(c_xx * c_yy))


def _log_frequencies(
    sampled: Sampled,
    measuring: Bool[np.ndarray, " n_replicates"],
    pooled: Float[np.ndarray, " n_functions"],
    among: Bool[np.ndarray, " n_functions"],
) -> tuple[Float[np.ndarray, " n_chosen"], float]:
    """Logarithms of the frequencies of chosen functions, and the variance among them that is noise."""
    if sampled.n_draws is not None:
        n = float(sampled.n_draws[measuring].sum())
    else:
        n = effective_draws(sampled.gram[np.ix_(measuring, measuring)])
    smoothed = pooled[among] + 0.5 / n
    moved = (sampled.moves[measuring][:, among] - pooled[among]) / smoothed
    moved -= moved.mean(axis=1, keepdims=True)
    m, n_functions = moved.shape
    noise = (moved**2).sum() / (m * (m - 1) * (n_functions - 1))
    return np.log(smoothed), float(noise)
