"""The same network with hidden layers of infinite width, a Gaussian process: volumes without draws of functions."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import xarray as xr

from bayes_vs_sgd import Estimate, functions
from bayes_vs_sgd.functions import gaussian_process, kernels
from bayes_vs_sgd.functions.table import find_rows
from studies._functions import Problem

# Their work grows with the cube of the rows, by orthants times the draws.
_MOST_ROWS = 2000


@dataclass(frozen=True)
class Infinite:
    """What one estimator says of the network of infinite width; a sem of NaN is an error that is unknown.

    Attributes:
        log_evidence: Log P(S), in nats.
        mean_test_error: Posterior mean of the share of test rows whose class is wrong.
        words: Packed functions that it was asked about, each once, in rising order; the target is among them.
        log_probability: Log P(f | S) of each.
        doubts: Why these numbers should not be trusted, a sentence each.
    """

    log_evidence: Estimate
    mean_test_error: Estimate
    words: np.ndarray
    log_probability: Estimate
    doubts: tuple[str, ...]

    def log_probability_of(self, words: np.ndarray) -> Estimate:
        """Log P(f | S) of packed functions, shape (m, n_words); NaN where it was not asked."""
        places = find_rows(self.words, words)
        found = self.log_probability
        return Estimate(*(np.append(a, np.nan)[places] for a in (found.value, found.sem)))

    def probability_of(self, words: np.ndarray) -> Estimate:
        """P(f | S) of them."""
        found = self.log_probability_of(words)
        return Estimate(np.exp(found.value), np.exp(found.value) * found.sem)

    def tree(self) -> xr.DataTree:
        """As a cell."""
        found = xr.Dataset(
            {
                "words": (("function", "word"), self.words),
                "log_probability": ("function", self.log_probability.value),
                "log_probability_sem": ("function", self.log_probability.sem),
                "log_evidence": self.log_evidence.value,
                "log_evidence_sem": self.log_evidence.sem,
                "mean_test_error": self.mean_test_error.value,
                "mean_test_error_sem": self.mean_test_error.sem,
            }
        )
        sem = self.log_evidence.sem
        error = "error unknown" if np.isnan(sem) else f"± {sem:.3f}"
        tree = xr.DataTree(found)
        tree.attrs |= {
            "doubts": json.dumps(self.doubts),
            "summary": f"log P(S) {self.log_evidence.value:.3f} {error}, {len(self.words)} functions asked",
        }
        return tree

    @classmethod
    def of(cls, tree: xr.DataTree) -> "Infinite":
        """What a cell holds."""
        found = {str(name): value.to_numpy() for name, value in tree.to_dataset().items()}
        pairs = [
            Estimate(found[name], found[f"{name}_sem"])
            for name in ("log_evidence", "mean_test_error", "log_probability")
        ]
        evidence, error = (Estimate(float(e.value), float(e.sem)) for e in pairs[:2])
        doubts = tuple(json.loads(tree.attrs["doubts"]))
        return cls(evidence, error, found["words"].astype(np.uint32), pairs[2], doubts)


@dataclass(frozen=True)
class Process:
    """The Gaussian process of a problem.

    Attributes:
        kernel: K on the training rows followed by the test rows.
        train: Training labels, −1 and 1.
        test: Test labels.
    """

    kernel: np.ndarray
    train: np.ndarray
    test: np.ndarray

    @classmethod
    def of(cls, problem: Problem) -> "Process":
        """The limit of the prior over functions as every hidden layer grows.

        K is ``FullyConnected`` of the same depth, σ_w and σ_b: with W ~ N(0, σ_w²/fan_in) and b ~ N(0,
        σ_b²), outputs of one hidden layer have that covariance at every width.

        """
        options, data = problem.options, problem.dataset
        limit = kernels.FullyConnected(len(options.hidden), options.sigma_w, options.sigma_b)
        rows = np.concatenate([data.x_train, data.x_test])
        kernel = np.asarray(kernels.kernel_matrices(limit, rows).nngp)
        return cls(kernel, 2 * data.y_train - 1, 2 * data.y_test - 1)

    def labels(self, words: np.ndarray) -> np.ndarray:
        """The test labels that packed functions give, −1 and 1."""
        return 2 * functions.unpack(words, len(self.test)).astype(int) - 1


def check_infinite(problem: Problem) -> None:
    """Refuse a problem whose network of infinite width has no signs, or too many rows.

    Raises:
        ValueError: With the mend.
    """
    rows = np.concatenate([problem.dataset.x_train, problem.dataset.x_test])
    if len(rows) > _MOST_ROWS:
        raise ValueError(
            f"nngp and ep take {_MOST_ROWS} training and test rows together at most, and there are {len(rows)}; "
            "pass fewer, or estimators without them."
        )
    if problem.options.sigma_b == 0 and not rows.reshape(len(rows), -1).any(axis=1).all():
        raise ValueError(
            f"sigma_b={problem.options.sigma_b} leaves the network of infinite width, of which nngp and ep are, "
            "without a sign at an input of zeros; pass a positive sigma_b, or estimators without them."
        )


def nngp(problem: Problem, words: np.ndarray, *, n_draws: int, seed: int) -> Infinite:
    """By orthant probabilities, each with its Monte Carlo error.

    Args:
        problem: The problem.
        words: Packed functions to ask about.
        n_draws: Draws of an orthant; P(S) has ten times as many.
        seed: Of the draws.
    """
    process = Process.of(problem)
    of_functions, of_rows = jax.random.split(jax.random.key(seed))
    found = gaussian_process.function_probabilities(
        of_functions, process.kernel, process.train, process.labels(words), n_draws=n_draws
    )
    error, rows = gaussian_process.mean_test_error(
        of_rows, process.kernel, process.train, process.test, n_draws=n_draws
    )
    doubts = [
        *distrusted("P(S)", [found.evidence]),
        *distrusted("P(f | S)", [found.joint]),
        *distrusted("the test error of a row", rows),
    ]
    return Infinite(
        found.evidence.log_probability, error, words, found.log_probability, tuple(doubts)
    )


def distrusted(what: str, orthants: Sequence[gaussian_process.Orthant]) -> list[str]:
    """One sentence where an orthant has too few effective draws, else none."""
    trusted = np.concatenate([np.atleast_1d(o.trusted) for o in orthants])
    if trusted.all():
        return []
    least = min(float(np.min(o.effective_sample_size)) for o in orthants)
    return [
        f"{(~trusted).sum()} of {trusted.size} orthants for {what} have too few effective draws (fewest: "
        f"{least:.0f}), so that neither they nor their errors can be trusted; raise n_orthant"
    ]


def ep(problem: Problem, words: np.ndarray) -> Infinite:
    """By expectation propagation as in Mingard et al. 2021, whose error is unknown.

    Args:
        problem: The problem.
        words: Packed functions to ask about.
    """
    process = Process.of(problem)
    n, kernel = len(process.train), process.kernel
    fitted = gaussian_process.expectation_propagation(kernel[:n, :n], process.train)
    found = gaussian_process.approximate_function_probabilities(
        kernel, process.train, process.labels(words)
    )
    ones = gaussian_process.predictive_probability(fitted, kernel[n:, :n], np.diag(kernel)[n:])
    error = float(np.where(process.test > 0, 1 - ones, ones).mean())
    doubts = []
    if not (fitted.converged and found.converged.all()):
        doubts.append(
            f"expectation propagation has not converged for {(~found.converged).sum()} of {len(words)} functions"
            f"{'' if fitted.converged else ' nor for P(S)'}"
        )
    unknown = np.full(len(words), np.nan)
    return Infinite(
        _approximate(fitted.log_evidence),
        _approximate(error),
        words,
        Estimate(found.log_probability, unknown),
        tuple(doubts),
    )


def _approximate(value: Any) -> Estimate:
    return Estimate(float(value), float("nan"))
