"""What the methods choose and put together."""

import dataclasses

import numpy as np
import pytest

from bayes_vs_sgd import data, sgd
from studies.double_descent import Config
from studies.double_descent import problem as problem_module
from studies.double_descent.methods import descent, early, maxima

RNG = np.random.default_rng(0)
TINY = Config(
    width=3, n_train=60, batch_size=20, n_seeds=4, ensemble_size=2, max_epochs=60, patience=0,
    stop_at_interpolation=False, validation=0.25,
)  # fmt: skip


@pytest.fixture(scope="module")
def problem() -> problem_module.Problem:
    dataset = problem_module.load(TINY, 0, TINY.n_train)
    return problem_module.Problem(TINY, dataset, split=0, seed=1, device="cpu")


def test_networks_are_put_into_groups_in_their_order() -> None:
    members = RNG.normal(size=(7, 1, 5, 3))
    found = descent.grouped(3, {"test": members, "train": members[:, :, :2]})
    assert found["test"].shape == (2, 3, 5, 3)
    np.testing.assert_array_equal(found["test"][1, 2], members[5, 0])


def test_draws_around_the_networks_of_a_group_are_members_of_one_replicate() -> None:
    members = RNG.normal(size=(5, 4, 6, 3))
    found = descent.pooled_groups(2, {"test": members, "train": members})
    assert found["test"].shape == (2, 8, 6, 3)
    np.testing.assert_array_equal(found["test"][1, 5], members[3, 1])


def test_the_best_start_of_every_group_is_taken() -> None:
    np.testing.assert_array_equal(
        maxima.best_of_groups(np.array([1.0, 5, 2, 9, 3, 4, 8]), 3), [1, 3]
    )


def test_held_out_rows_are_the_last_and_are_not_trained_on(problem: problem_module.Problem) -> None:
    rest, judged = problem.held_out()
    assert len(rest.dataset.x_train) == len(judged.dataset.x_train) == 45
    np.testing.assert_array_equal(judged.dataset.x_test, problem.dataset.x_train[45:])
    np.testing.assert_array_equal(judged.dataset.y_test, problem.dataset.y_train[45:])
    np.testing.assert_array_equal(rest.dataset.x_test, problem.dataset.x_test)


def test_a_network_is_stopped_where_its_held_out_loss_is_least(
    problem: problem_module.Problem,
) -> None:
    found = early.compute(problem, ("sgd_early",), None)
    _, judged = problem.held_out()
    trained = descent.train(judged, checkpoints=tuple(sgd.log_grid(60, n=40)))
    best = trained.stats["test_loss"].argmin(axis=1)
    epochs = trained.stats["epoch"][np.arange(4), best]
    assert found.tree.attrs["mean_epoch"] == pytest.approx(epochs.mean())
    assert 1 < epochs.mean() < 60
    ends = {name: value[np.arange(4), best][:, None] for name, value in trained.params.items()}
    draws = dataclasses.replace(trained, params=ends, stats={})
    nll = problem.losses("sgd_early", problem.of_draws(draws))["nll"]
    np.testing.assert_allclose(found.arms["sgd_early"][0]["nll"], nll, rtol=1e-5)


def test_swa_goes_on_from_the_trained_networks(problem: problem_module.Problem) -> None:
    """At a learning rate of next to nothing it stays where they are."""
    still = dataclasses.replace(
        problem, config=dataclasses.replace(TINY, average_lr=1e-12, average_epochs=3)
    )
    trained = descent.last_of(descent.train(still))
    for found in (descent.averaged(still, trained), descent.gaussians(still, trained)):
        for name, value in trained.params.items():
            np.testing.assert_allclose(
                found.params[name], np.broadcast_to(value, found.params[name].shape), atol=1e-5
            )


def test_noise_is_of_the_kind_that_was_asked_for() -> None:
    assert problem_module.label_noise(Config(label_noise=0.3)) == 0.3
    pairwise = problem_module.label_noise(Config(label_noise=0.3, noise="pairwise"))
    assert pairwise == data.Pairwise(0.3)
    dataset = problem_module.load(Config(label_noise=0.5, noise="pairwise"), 0, 400)
    clean = problem_module.load(Config(label_noise=0.0), 0, 400)
    changed = dataset.y_train != clean.y_train
    assert changed.sum() == 200
    np.testing.assert_array_equal(dataset.y_train[changed], (clean.y_train[changed] + 1) % 10)
