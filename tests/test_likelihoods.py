import jax
import numpy as np
import pytest
import scipy.stats as stats
import torch
from scipy.special import log_softmax

from bayes_vs_sgd import likelihoods
from bayes_vs_sgd.sgd.losses import mistakes, negative_log_likelihood

RNG = np.random.default_rng(0)
CASES = {
    "categorical": (likelihoods.Categorical(), RNG.normal(size=(9, 4)), RNG.integers(0, 4, 9)),
    "bernoulli": (likelihoods.Bernoulli(), 3 * RNG.normal(size=(9, 1)), RNG.integers(0, 2, 9)),
    "signs": (likelihoods.Signs(0.7), RNG.normal(size=(9, 1)), RNG.integers(0, 2, 9)),
    "gaussian": (likelihoods.Gaussian(0.3), RNG.normal(size=(9, 2)), RNG.normal(size=(9, 2))),
    "tokens": (likelihoods.Tokens(), RNG.normal(size=(9, 5, 4)), RNG.integers(0, 4, (9, 5))),
    "tokens: padded by 2": (
        likelihoods.Tokens(pad=2), RNG.normal(size=(9, 5, 4)), RNG.integers(0, 4, (9, 5)),
    ),
    "tokens: every one": (
        likelihoods.Tokens(pad=None), RNG.normal(size=(9, 5, 4)), RNG.integers(0, 4, (9, 5)),
    ),
}  # fmt: skip
TOKENS = [name for name in CASES if name.startswith("tokens")]


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


def test_classes_fitted_as_signs_have_the_normal_law_and_its_odds(float64: None) -> None:
    likelihood, outputs, y = CASES["signs"]
    signs = 2 * y - 1
    np.testing.assert_allclose(
        likelihood.log_prob(outputs, y), stats.norm.logpdf(signs, outputs[:, 0], 0.7), rtol=1e-12
    )
    both = stats.norm.pdf(np.array([-1, 1]), outputs, 0.7)
    np.testing.assert_allclose(
        np.exp(likelihood.predict(outputs)), both / both.sum(axis=1, keepdims=True), rtol=1e-10
    )
    found = mistakes(likelihood, torch.tensor([[0.2], [-3.0]]), torch.tensor([1, 1])).tolist()
    assert found == [0, 1]
    with pytest.raises(ValueError, match="std=0 is no noise level"):
        likelihoods.Signs(0)


@pytest.mark.parametrize("name", ["categorical", "bernoulli"])
def test_predictions_are_normalised_and_give_the_likelihood(name: str, float64: None) -> None:
    likelihood, outputs, y = CASES[name]
    predicted = np.asarray(likelihood.predict(outputs))
    np.testing.assert_allclose(np.exp(predicted).sum(-1), 1, rtol=1e-12)
    np.testing.assert_allclose(
        predicted[np.arange(len(y)), y], likelihood.log_prob(outputs, y), rtol=1e-12
    )


@pytest.mark.parametrize("name", TOKENS)
def test_a_row_of_tokens_sums_over_those_that_are_not_padding(name: str, float64: None) -> None:
    likelihood, outputs, y = CASES[name]
    log_probs = log_softmax(outputs, axis=-1)
    expected = [
        sum(log_probs[i, t, y[i, t]] for t in range(5) if y[i, t] != likelihood.pad)
        for i in range(9)
    ]
    np.testing.assert_allclose(likelihood.log_prob(outputs, y), expected, rtol=1e-12)
    np.testing.assert_allclose(likelihood.predict(outputs), log_probs, rtol=1e-12)


@pytest.mark.parametrize("name", TOKENS)
def test_both_engines_have_the_same_gradient_of_tokens(name: str, float64: None) -> None:
    likelihood, outputs, y = CASES[name]
    found = jax.grad(lambda z: likelihood.log_prob(z, y).sum())(outputs)
    logits = torch.from_numpy(outputs).requires_grad_()
    negative_log_likelihood(likelihood, logits, torch.from_numpy(y)).sum().backward()
    np.testing.assert_allclose(-found, logits.grad, rtol=1e-12, atol=1e-12)
    assert (np.asarray(found)[y == likelihood.pad] == 0).all()


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_tokens_are_smoothed_as_torchs_cross_entropy_smooths_them(smoothing: float) -> None:
    likelihood, outputs, y = CASES["tokens"]
    logits, tokens = torch.from_numpy(outputs), torch.from_numpy(y)
    found = negative_log_likelihood(likelihood, logits, tokens, label_smoothing=smoothing)
    of_torch = torch.nn.CrossEntropyLoss(
        ignore_index=0, label_smoothing=smoothing, reduction="none"
    )
    expected = of_torch(logits.transpose(1, 2), tokens).sum(1)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_padding_changes_nothing_even_where_the_network_rules_it_out(float64: None) -> None:
    likelihood, outputs, y = CASES["tokens"]
    changed = outputs.copy()
    changed[y == 0] = [-np.inf, 1.0, 2.0, 3.0]
    expected = likelihood.log_prob(outputs, y)
    np.testing.assert_array_equal(likelihood.log_prob(changed, y), expected)
    found = negative_log_likelihood(likelihood, torch.from_numpy(changed), torch.from_numpy(y))
    np.testing.assert_allclose(-found, expected, rtol=1e-12)


def test_shapes_that_are_no_rows_of_tokens_are_refused() -> None:
    outputs, y = CASES["tokens"][1:]
    for logits, tokens in ((outputs[:, 0], y), (outputs, y[:, 0]), (outputs, y[:, :4])):
        with pytest.raises(ValueError, match="one token for each position"):
            likelihoods.Tokens().log_prob(logits, tokens)
        with pytest.raises(ValueError, match="one token for each position"):
            negative_log_likelihood(
                likelihoods.Tokens(), torch.from_numpy(logits), torch.from_numpy(tokens)
            )


def test_large_logits_stay_finite() -> None:
    assert np.isfinite(likelihoods.Bernoulli().log_prob(np.array([[200.0]]), np.array([0]))).all()


def test_mistakes_count_wrong_classes() -> None:
    outputs = torch.tensor([[2.0, 1.0], [0.0, 1.0]])
    assert mistakes(likelihoods.Categorical(), outputs, torch.tensor([0, 0])).tolist() == [0, 1]
    logits = torch.tensor([[1.0], [-1.0]])
    assert mistakes(likelihoods.Bernoulli(), logits, torch.tensor([1, 1])).tolist() == [0, 1]


def test_mistakes_of_tokens_are_the_share_of_wrong_ones_that_are_not_padding() -> None:
    outputs = torch.eye(3)[torch.tensor([[1, 2, 1, 0], [1, 1, 1, 1], [2, 2, 2, 2]])]
    y = torch.tensor([[1, 1, 2, 0], [1, 1, 1, 0], [0, 0, 0, 0]])
    torch.testing.assert_close(
        mistakes(likelihoods.Tokens(), outputs, y), torch.tensor([2 / 3, 0, 0])
    )
    torch.testing.assert_close(
        mistakes(likelihoods.Tokens(pad=None), outputs, y), torch.tensor([2 / 4, 1 / 4, 1])
    )


def test_a_noise_level_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="std=0"):
        likelihoods.Gaussian(0)
