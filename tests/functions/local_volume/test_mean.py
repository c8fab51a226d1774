"""The bootstrap of a mean: resamples of all terms, whose first moments are known."""

import numpy as np
import pytest

from bayes_vs_sgd.functions.local_volume import mean
from bayes_vs_sgd.functions.local_volume.mean import log_mean_exp


@pytest.mark.parametrize("entries", [2**22, 1000])
def test_resampled_means_have_the_mean_and_the_variance_of_the_bootstrap(
    entries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E = mean of the terms, Var = their variance/n, at once and in pieces."""
    monkeypatch.setattr(mean, "_ENTRIES", entries)
    terms, n_resamples = np.linspace(1.0, 3.0, 50), 20_000
    found = mean._resampled_means(terms, np.random.default_rng(0), n_resamples)
    assert found.shape == (n_resamples,)
    variance = terms.var() / len(terms)
    assert abs(found.mean() - terms.mean()) < 5 * np.sqrt(variance / n_resamples)
    assert abs(found.var() / variance - 1) < 5 * np.sqrt(2 / n_resamples)


def test_the_bootstrap_has_the_error_of_the_delta_method() -> None:
    terms = np.log(np.linspace(1.0, 1.2, 200))
    found = log_mean_exp(terms, np.random.default_rng(1))
    # A standard deviation of 1,000 resamples is known to 1/√2000.
    assert found.bootstrap_sem == pytest.approx(found.estimate.sem, rel=5 / np.sqrt(2000))
    low, high = found.interval
    assert low < found.estimate.value < high
    assert high - low == pytest.approx(2 * 1.96 * found.estimate.sem, rel=0.2)
