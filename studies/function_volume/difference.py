"""How far the network of infinite width is from the finite one: log P(S), and log P(f | S) of common functions."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bayes_vs_sgd import Estimate, functions

from .infinite import Infinite

# Independent draws that a function must be worth in the runs that choose, to be compared in those that measure.
_LEAST_COUNT = 10
# Fewer functions have no correlation that means anything.
_FEWEST = 3


def common(posterior: functions.FunctionPosterior, most: int) -> np.ndarray:
    """The most probable functions by every other run, at most so many: packed, the most probable first.

    A function counts where it is worth 10 independent draws of these runs, and each of them found it: what one
    run alone repeats is no common function. ``relation`` measures on the runs between: chosen and measured
    on the same ones, functions would seem more probable than they are.
    """
    choosing = _half(posterior, 0)
    least = _LEAST_COUNT / choosing.n_effective
    if least > 1:
        return posterior.words[:0]
    p = choosing.probability.value
    kept = (p >= least) & (choosing.shares > 0).all(axis=0)
    order = np.argsort(-p, kind="stable")
    return posterior.words[order[kept[order]][:most]]


def _half(posterior: functions.FunctionPosterior, first: int) -> functions.FunctionPosterior:
    runs = slice(first, None, 2)
    shares, log_evidences = posterior.shares[runs], posterior.log_evidences[runs]
    return replace(posterior, shares=shares, log_evidences=log_evidences, draws=())


@dataclass(frozen=True)
class Relation:
    """Log P(f | S) of the infinite network beside that of the finite one, over common functions.

    Attributes:
        words: The functions, packed.
        finite: Log P_B(f | S) of the finite network, by the runs that did not choose.
        infinite: That of the infinite one; a sem of NaN is unknown.
        log_ratio: Mean of infinite − finite, in nats.
        finite_sem: The part of its error that comes from the finite network's runs.
        correlation: Pearson's, of the two logarithms; the noise of both lowers it. Its error is that of the
            finite network's runs. NaN for fewer than 3 functions.
        correlation_of_others: That without the target, which lies far from all others where it is probable.
    """

    words: np.ndarray
    finite: Estimate
    infinite: Estimate
    log_ratio: Estimate
    finite_sem: float
    correlation: Estimate
    correlation_of_others: Estimate


def relation(
    posterior: functions.FunctionPosterior, found: Infinite, words: np.ndarray, target: np.ndarray
) -> Relation | None:
    """Compare ``common`` functions on the runs that did not choose them; None where these say nothing.

    x_f = log(p̂_f + ½/n), n the effective draws of these runs, free of the bias of order 1/n; its error and
    that of statistics of x are the jackknife's over the runs. Log P(S) is in every log P(f | S) of the
    infinite network, so with F functions sem² of the mean ratio is

        sem²(mean x) + sem²(log Z(S)) + Σ_f [sem²(y_f) − sem²(log Z(S))]/F².
    """
    measuring = _half(posterior, 1)
    if len(words) == 0 or np.isfinite(measuring.log_evidences).sum() < 2:
        return None
    y, others = found.log_probability_of(words), (words != target).any(axis=1)

    def statistics(runs: functions.FunctionPosterior) -> np.ndarray:
        x = _log_frequencies(runs, words, measuring.n_effective)
        correlations = [_correlation(x[rows], y.value[rows]) for rows in (slice(None), others)]
        return np.concatenate([x, [x.mean(), *correlations]])

    value, sem = _jackknifed(measuring, statistics)
    shared = found.log_evidence.sem**2
    own = np.maximum(y.sem**2 - shared, 0).sum() / len(words) ** 2
    return Relation(
        words,
        Estimate(value[:-3], sem[:-3]),
        y,
        Estimate(float(y.value.mean() - value[-3]), float(np.sqrt(sem[-3] ** 2 + shared + own))),
        float(sem[-3]),
        Estimate(float(value[-2]), float(sem[-2])),
        Estimate(float(value[-1]), float(sem[-1])),
    )


def _log_frequencies(runs: functions.FunctionPosterior, words: np.ndarray, n: float) -> np.ndarray:
    patterns = functions.unpack(words, runs.n_test, runs.n_classes)
    return np.log(runs.probability_of(patterns).value + 0.5 / n)


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    if len(x) < _FEWEST or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def _jackknifed(
    runs: functions.FunctionPosterior, statistics: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Statistics of all runs, and √((R − 1)/R·Σ_r (S₍r₎ − S̄)²) with a run left out in turn."""
    n = runs.n_runs
    left = [
        replace(
            runs,
            shares=np.delete(runs.shares, r, axis=0),
            log_evidences=np.delete(runs.log_evidences, r),
        )
        for r in range(n)
    ]
    without = np.array([statistics(one) for one in left])
    return statistics(runs), np.sqrt(
        (n - 1) / n * ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    )
