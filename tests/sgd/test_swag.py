"""Draws of SWAG against Gaussians that are known."""

import jax
import numpy as np
import pytest
import torch

from bayes_vs_sgd import sgd
from tests.conftest import within

MEANS = np.array([5.0, -2.0, 0.5, 100.0])
STDS = np.array([3.0, 0.1, 1.0, 20.0])
CORRELATION = np.array(
    [[1.0, 0.8, 0.0, -0.5], [0.8, 1.0, 0.3, 0.0], [0.0, 0.3, 1.0, 0.2], [-0.5, 0.0, 0.2, 1.0]]
)
N_DRAWS = 20_000


def gaussian(n: int, correlation: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(1)
    return MEANS + rng.normal(size=(n, 4)) @ np.linalg.cholesky(correlation).T * STDS


def sums_of(swag: sgd.SWAG, iterates: np.ndarray, n_networks: int = N_DRAWS) -> dict[str, dict]:
    """What SWAG keeps of networks that all had these iterates, as parameters a (2,) and b (2, 1)."""
    shapes = {"a": (n_networks, 2), "b": (n_networks, 2, 1)}
    parts = {"a": slice(0, 2), "b": slice(2, 4)}
    at = {
        name: [torch.from_numpy(row[part].copy()).expand(n_networks, 2).reshape(shapes[name])
               for row in iterates]
        for name, part in parts.items()
    }  # fmt: skip
    sums = {name: swag.begin(values[0]) for name, values in at.items()}
    for name, values in at.items():
        for k, value in enumerate(values):
            swag.add(sums[name], value, k)
    return sums


def draws_of(swag: sgd.SWAG, iterates: np.ndarray, number: int = 0) -> np.ndarray:
    """One draw of each of N_DRAWS networks that all had these iterates, shape (N_DRAWS, 4)."""
    seeds = np.arange(N_DRAWS)
    found = swag.draw(sums_of(swag, iterates), len(iterates), jax.random.key(0), seeds, number)
    return np.hstack([found["a"].numpy(), found["b"].numpy()[..., 0]])


def deviations_of(iterates: np.ndarray) -> np.ndarray:
    """Of every iterate from the mean up to it."""
    return iterates - np.cumsum(iterates, axis=0) / np.arange(1, len(iterates) + 1)[:, None]


def check_law(draws: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> None:
    n, variances = len(draws), np.diag(covariance)
    within(draws.mean(axis=0), mean, (variances / n) ** 0.5)
    sem = ((np.outer(variances, variances) + covariance**2) / n) ** 0.5
    within((draws - mean).T @ (draws - mean) / n, covariance, sem)


def test_the_diagonal_form_draws_with_the_mean_and_the_standard_deviation() -> None:
    iterates = gaussian(2000, np.eye(4))
    draws = draws_of(sgd.SWAG(rank=0), iterates)
    std = iterates.std(axis=0)
    within(draws.mean(axis=0), iterates.mean(axis=0), std / N_DRAWS**0.5)
    within(draws.std(axis=0), std, std / (2 * N_DRAWS) ** 0.5)
    check_law(draws, iterates.mean(axis=0), np.diag(std**2))
    # And so, as far as 2000 iterates say, with those of the law that the iterates came from.
    sem = STDS * (1 / (2 * N_DRAWS) + 1 / (2 * 2000)) ** 0.5
    within(draws.std(axis=0), STDS, sem)


@pytest.mark.parametrize("scale", [1.0, 0.25])
@pytest.mark.parametrize(("n", "rank"), [(2, 4), (3, 4), (4, 4), (50, 4), (23, 20)])
def test_the_low_rank_form_draws_with_half_of_either_covariance(
    n: int, rank: int, scale: float
) -> None:
    iterates = gaussian(n, CORRELATION)
    last = deviations_of(iterates)[-rank:]
    expected = np.diag(iterates.var(axis=0)) + last.T @ last / (min(n, rank) - 1)
    draws = draws_of(sgd.SWAG(rank=rank, scale=scale), iterates)
    check_law(draws, iterates.mean(axis=0), scale / 2 * expected)


def test_many_deviations_have_the_covariance_of_the_iterates() -> None:
    """Then a draw has the variances, and half the covariances, of the law itself."""
    n = 400
    iterates = gaussian(n, CORRELATION)
    sums = sums_of(sgd.SWAG(rank=n), iterates, 1)
    kept = np.hstack([sums[name]["deviations"][0].numpy().reshape(n, 2) for name in "ab"])
    found = kept.T @ kept / (n - 1) / np.outer(STDS, STDS)
    # The first few deviations, from the mean of few, are too short: a share of log(n)/n.
    np.testing.assert_allclose(found, CORRELATION, atol=5 * (2 / n) ** 0.5)


@pytest.mark.parametrize("n", [1, 3, 4, 5, 11])
def test_the_last_deviations_are_kept_in_any_order(n: int) -> None:
    iterates = gaussian(n, CORRELATION)
    kept = sums_of(sgd.SWAG(rank=4), iterates, 1)["a"]["deviations"][0].numpy()
    expected = deviations_of(iterates)[-4:, :2]
    kept = kept[: len(expected)]
    by_size = [np.sort(values, axis=0) for values in (kept, expected)]
    np.testing.assert_allclose(*by_size, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("rank", [0, 4])
def test_one_iterate_is_drawn_as_it_is(rank: int) -> None:
    draws = draws_of(sgd.SWAG(rank=rank), gaussian(1, np.eye(4)))
    np.testing.assert_array_equal(draws, np.tile(gaussian(1, np.eye(4)), (N_DRAWS, 1)))


def test_draws_do_not_depend_on_one_another() -> None:
    iterates = gaussian(50, CORRELATION)
    first, second = (draws_of(sgd.SWAG(rank=4), iterates, number) for number in (0, 1))
    both = np.corrcoef(np.hstack([first, second]).T)[:4, 4:]
    within(both, np.zeros((4, 4)), np.full((4, 4), N_DRAWS**-0.5))
