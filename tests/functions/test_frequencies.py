"""P_SGD(f | S): what is counted, and what is only reported."""

import numpy as np
import pytest

import models
from bayes_vs_sgd import Draws, Network, averaging, data, functions, likelihoods, priors, sgd
from bayes_vs_sgd.functions.patterns import pack_bits


def draws(patterns: np.ndarray, error: np.ndarray, stopped: str = "") -> Draws:
    words = pack_bits(patterns)[:, None]
    return Draws(
        {"pattern": words}, {"train_error": error[:, None]}, info={"stopped_chains": stopped}
    )


def test_only_runs_that_fit_are_counted_and_the_others_reported() -> None:
    patterns = np.array([[0, 1], [0, 1], [1, 1], [0, 0], [1, 0]])
    found = functions.sgd_probabilities(
        draws(patterns, np.array([0, 0, 0.25, 0, np.nan]), stopped="4"), 2
    )
    assert (found.n_runs, found.n_fit, found.n_unfit, found.n_failed) == (5, 3, 1, 1)
    assert found.counts.count_of(patterns[[0, 2, 3, 4]]).tolist() == [2, 0, 1, 0]
    assert found.share_fit.value == pytest.approx(0.6)
    assert found.share_fit.sem == pytest.approx(np.sqrt(0.24 / 5))


def test_blocks_of_runs_have_their_own_frequencies() -> None:
    patterns = np.array([[0], [0], [1], [1], [1], [1]])
    found = functions.sgd_probabilities(draws(patterns, np.zeros(6)), 1)
    np.testing.assert_allclose(found.shares(found.counts.words, 3), [[1, 0], [0, 1], [0, 1]])
    with pytest.raises(ValueError, match="fewer than n_blocks=7"):
        found.shares(found.counts.words, 7)


def test_parts_merge() -> None:
    patterns = np.random.default_rng(0).integers(0, 2, (40, 3))
    whole = functions.sgd_probabilities(draws(patterns, np.zeros(40)), 3)
    parts = [functions.sgd_probabilities(draws(p, np.zeros(20)), 3) for p in np.split(patterns, 2)]
    merged = functions.FunctionFrequencies.merged(parts)
    np.testing.assert_array_equal(merged.words, whole.words)
    assert merged.n_runs == 40
    with pytest.raises(ValueError, match="merge those of one kind"):
        functions.FunctionFrequencies.merged([])


@pytest.mark.parametrize("likelihood", [likelihoods.Bernoulli(), likelihoods.Signs()])
def test_training_collects_the_functions_of_its_networks(
    likelihood: likelihoods.Likelihood,
) -> None:
    dataset = data.boolean("0011" * 4, n_train=8)
    network = Network(models.MLP(4, 16, 1), dataset.x_train[:1])
    settings = {
        "n_seeds": 12,
        "initial": priors.FanIn(),
        "optimizer": sgd.SGD(0.05, 0.0),
        "likelihood": likelihood,
        "batch_size": 1,
        "max_epochs": 300,
        "look_every": 1,
        "stop_at_interpolation": True,
        "progress": False,
    }
    kept = sgd.train(network, dataset, **settings)
    collected = sgd.train(
        network, dataset, collect=functions.collect_patterns(network, dataset.x_test), **settings
    )
    found = functions.sgd_probabilities(collected, len(dataset.x_test))
    outputs = averaging.predict(network, kept, dataset.x_test, likelihood=likelihoods.Gaussian())
    fits = kept.stats["train_error"][:, -1] == 0
    assert found.n_fit == fits.sum() > 5
    wanted = (np.asarray(outputs)[fits, -1, :, 0] > 0).astype(int)
    np.testing.assert_array_equal(found.words, pack_bits(wanted))


def test_draws_of_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="collect_patterns"):
        functions.sgd_probabilities(Draws({"weight": np.zeros((1, 1, 2))}), 2)
