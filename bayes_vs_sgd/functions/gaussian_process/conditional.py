"""P_B(f|S) of a Gaussian process: the posterior volume of whole functions, from two evidences."""

from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Bool, Float, Int, PRNGKeyArray

from ...types import Estimate
from .arguments import signs_of
from .expectation_propagation import expectation_propagation
from .orthants import Orthant, orthant_probability


@dataclass(frozen=True)
class FunctionProbabilities:
    """Estimates of log P(f|S) for many functions f.

    Attributes:
        log_probability: log Z(f, S) − log Z(S), in nats, shape (n_functions,). The error of log Z(S)
            is in every entry, the same for all.
        joint: Z(f, S).
        evidence: Z(S).
    """

    log_probability: Estimate
    joint: Orthant
    evidence: Orthant

    @property
    def trusted(self) -> Bool[np.ndarray, " functions"]:
        """Whether both evidences can be trusted, function by function."""
        return self.joint.trusted & self.evidence.trusted


def function_probabilities(
    key: PRNGKeyArray,
    kernel: Float[np.ndarray, "rows rows"],
    train_labels: Int[np.ndarray, " n"],
    functions: Int[np.ndarray, "functions m"],
    *,
    n_draws: int = 10_000,
) -> FunctionProbabilities:
    """Log P(f|S) = log Z(f, S) − log Z(S) by ``orthant_probability``, with its Monte Carlo error.

    Args:
        key: Random key.
        kernel: K on the n training inputs followed by the m test inputs.
        train_labels: S, in {−1, +1}.
        functions: The labels of the test inputs that each function gives, in {−1, +1}.
        n_draws: Independent draws for every evidence; Z(S) has ten times as many, since all share it.

    Raises:
        ValueError: The kernel is no covariance, a label is not ±1, or shapes do not fit.
    """
    together, n = _joined(kernel, train_labels, functions)
    of_train, of_joint = jax.random.split(key)
    evidence = orthant_probability(
        of_train, np.asarray(kernel)[:n, :n], train_labels, n_draws=10 * n_draws
    )
    joint = orthant_probability(of_joint, kernel, together, n_draws=n_draws)
    value = joint.log_probability.value - evidence.log_probability.value
    sem = np.hypot(joint.log_probability.sem, evidence.log_probability.sem)
    return FunctionProbabilities(Estimate(value, sem), joint, evidence)


@dataclass(frozen=True)
class ApproximateProbabilities:
    """Log P(f|S) by expectation propagation, whose error is unknown.

    Attributes:
        log_probability: log Z(f, S) − log Z(S), in nats, shape (n_functions,); approximate, and no
            part of a distribution that sums to 1.
        converged: Whether both evidences converged, function by function.
    """

    log_probability: Float[np.ndarray, " functions"]
    converged: Bool[np.ndarray, " functions"]


def approximate_function_probabilities(
    kernel: Float[np.ndarray, "rows rows"],
    train_labels: Int[np.ndarray, " n"],
    functions: Int[np.ndarray, "functions m"],
    *,
    damping: float = 0.0,
    tolerance: float = 1e-8,
    max_sweeps: int = 200,
) -> ApproximateProbabilities:
    """Log P(f|S) = log Z(f, S) − log Z(S) by ``expectation_propagation``, as in Mingard et al. 2021.

    Arguments and errors are those of ``function_probabilities`` and of ``expectation_propagation``.
    """
    together, n = _joined(kernel, train_labels, functions)
    settings = {"damping": damping, "tolerance": tolerance}
    joint = expectation_propagation(kernel, together, max_sweeps=max_sweeps, **settings)
    evidence = expectation_propagation(
        np.asarray(kernel)[:n, :n], train_labels, max_sweeps=max_sweeps, **settings
    )
    return ApproximateProbabilities(
        joint.log_evidence - evidence.log_evidence, joint.converged & evidence.converged
    )


def _joined(
    kernel: np.ndarray, train_labels: np.ndarray, functions: np.ndarray
) -> tuple[np.ndarray, int]:
    """Training labels in front of every function's, and how many they are."""
    n, n_rows = len(np.atleast_1d(train_labels)), len(kernel)
    if not 0 < n < n_rows:
        raise ValueError(
            f"train_labels has {n} entries and the kernel {n_rows} rows; pass the kernel of training "
            "inputs followed by test inputs."
        )
    train = signs_of("train_labels", train_labels, n)
    test = signs_of("functions", functions, n_rows - n)
    return np.concatenate([np.repeat(train[:1], len(test), axis=0), test], axis=1), n
