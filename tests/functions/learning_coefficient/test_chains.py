"""Effective sample size, R-hat and error of a mean, against ArviZ and against known processes."""

import numpy as np
import pytest
from arviz_stats.base import array_stats

from bayes_vs_sgd.functions.learning_coefficient.chains import (
    effective_sample_size,
    mean_error,
    rank_rhat,
)


def autoregressive(rho: float, shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """A stationary AR(1) process of unit variance in every chain."""
    noise = np.random.default_rng(seed).normal(size=shape)
    x = np.empty(shape)
    x[:, 0] = noise[:, 0]
    for t in range(1, shape[1]):
        x[:, t] = rho * x[:, t - 1] + np.sqrt(1 - rho**2) * noise[:, t]
    return x


TRACES = {
    "independent": autoregressive(0.0, (4, 500)),
    "slow": autoregressive(0.9, (4, 1000)),
    "alternating": autoregressive(-0.4, (3, 400)),
    "odd length": autoregressive(0.5, (2, 333)),
    "one chain": autoregressive(0.7, (1, 800)),
    "apart": autoregressive(0.3, (4, 300)) + np.arange(4)[:, None],
    "skewed": np.exp(2 * autoregressive(0.6, (4, 400))),
}


@pytest.mark.parametrize("name", TRACES)
def test_they_are_those_of_arviz(name: str) -> None:
    trace = TRACES[name]
    axes = {"chain_axis": 0, "draw_axis": 1}
    ess = array_stats.ess(trace, method="mean", **axes)
    assert effective_sample_size(trace) == pytest.approx(float(ess), rel=1e-6)
    if len(trace) > 1:
        assert rank_rhat(trace) == pytest.approx(float(array_stats.rhat(trace, **axes)), rel=1e-10)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_the_error_is_the_spread_of_the_mean_of_a_known_process(rho: float) -> None:
    """The variance of the mean of N draws is (1 + ρ)/(1 − ρ)/N."""
    errors = [mean_error(autoregressive(rho, (4, 1000), seed)) for seed in range(40)]
    exact = np.sqrt((1 + rho) / (1 - rho) / 4000)
    assert np.mean(errors) == pytest.approx(exact, rel=0.05)


def test_chains_that_stand_still_have_neither() -> None:
    still = np.ones((4, 100))
    assert np.isnan(effective_sample_size(still))
    assert np.isnan(rank_rhat(still))
