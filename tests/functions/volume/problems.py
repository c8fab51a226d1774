"""Problems whose P(S) and P(f | S) are angles."""

from functools import cache

import numpy as np
from scipy import integrate, stats

import models
from bayes_vs_sgd import Dataset, Network, functions, priors


@cache
def unit(n: int) -> Network:
    """A linear unit without bias."""
    return Network(models.Perceptron(n, bias=False), np.ones((1, n), np.float32))


def linear(
    x_train: np.ndarray, x_test: np.ndarray, prior: priors.Prior | None = None
) -> functions.ZeroOne:
    """Sign of a linear unit without bias; every training label is 1."""
    x_train, x_test = np.asarray(x_train, np.float32), np.asarray(x_test, np.float32)
    ones = np.ones(len(x_train), int)
    dataset = Dataset(x_train, ones, x_test, np.ones(len(x_test), int), n_classes=2)
    return functions.ZeroOne(unit(x_train.shape[1]), prior or priors.Normal(), dataset)


def orthant(n: int) -> functions.ZeroOne:
    """n orthogonal rows: P(S) = 2⁻ⁿ; the test row is e₁ − e₂, on which 1 and 0 are equally probable."""
    test = np.zeros((1, n))
    test[0, :2] = 1, -1
    return linear(np.eye(n), test)


def equicorrelated(n: int) -> functions.ZeroOne:
    """Rows with correlation ½: P(S) = 1/(n + 1); a further such row is 1 with (n + 1)/(n + 2)."""
    rows = np.hstack([np.ones((n + 1, 1)), np.eye(n + 1)])
    return linear(rows[:n], rows[n:])


def probability_that_one_weight_is_larger(scale: float) -> float:
    """P(|a| > |b|) for a ~ N(0, 1), b ~ N(0, scale²)."""
    found, _ = integrate.quad(
        lambda a: 2 * stats.norm.pdf(a) * (2 * stats.norm.cdf(a / scale) - 1), 0, np.inf
    )
    return found
