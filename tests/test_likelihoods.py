import numpy as np
import pytest
import scipy.stats as stats
import torch

from bayes_vs_sgd import likelihoods
from bayes_vs_sgd.sgd.losses import mistakes, negative_log_likelihood

RNG = np.random.default_rng(0)
CASES = {
    "categorical": (likelihoods.Categorical(), RNG.normal(size=(9, 4)), RNG.integers(0, 4, 9)),
    "bernoulli": (likelihoods.Bernoulli(), 3 * RNG.normal(size=(9, 1)), RNG.integers(0, 2, 9)),
    "gaussian": (likelihoods.Gaussian(0.3), RNG.normal(size=(9, 2)), RNG.normal(size=(9, 2))),
}


@pytest.mark.parametrize("name", CASES)
def test_torch_and_jax_have_the_same_likelihood(name: str, float64: None) -> None:
    likelihood, outputs, y = CASES[name]
    theirs = negative_log_likelihood(likelihood, torch.from_numpy(outputs), torch.from_numpy(y))
    np.testing.assert_allclose(-likelihood.log_prob(outputs, y), theirs, rtol=1e-12, atol=1e-12)


def test_log_likelihoods_are_those_of_scipy(float64: None) -> None:
    likelihood, outputs, y = CASES["gaussian"]
    np.testing.assert_allclose(
        likelihood.log_prob(outputs, y), stats.norm.logpdf(y, outputs, 0.3).sum(1), rtol=1e-12
    )
    likelihood, outputs, y = CASES["bernoulli"]
    p = 1 / (1 + np.exp(-outputs[:, 0]))
    np.testing.assert_allclose(
        likelihood.log_prob(outputs, y), stats.bernoulli.logpmf(y, p), rtol=1e-10
    )


@pytest.mark.parametrize("name", ["categorical", "bernoulli"])
def test_predictions_are_normalised_and_give_the_likelihood(name: str, float64: None) -> None:
    likelihood, outputs, y = CASES[name]
    predicted = np.asarray(likelihood.predict(outputs))
    np.testing.assert_allclose(np.exp(predicted).sum(-1), 1, rtol=1e-12)
    np.testing.assert_allclose(
        predicted[np.arange(len(y)), y], likelihood.log_prob(outputs, y), rtol=1e-12
    )


def test_large_logits_stay_finite() -> None:
    assert np.isfinite(likelihoods.Bernoulli().log_prob(np.array([[200.0]]), np.array([0]))).all()


def test_mistakes_count_wrong_classes() -> None:
    outputs = torch.tensor([[2.0, 1.0], [0.0, 1.0]])
    assert mistakes(likelihoods.Categorical(), outputs, torch.tensor([0, 0])).tolist() == [0, 1]
    logits = torch.tensor([[1.0], [-1.0]])
    assert mistakes(likelihoods.Bernoulli(), logits, torch.tensor([1, 1])).tolist() == [0, 1]


def test_a_noise_level_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="std=0"):
        likelihoods.Gaussian(0)
