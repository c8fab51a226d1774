"""One grammar for all estimators of function volume."""

from typing import Protocol

from jaxtyping import PRNGKeyArray

from ...checks import require_count
from .posterior import FunctionPosterior
from .smc import SMC
from .zero_one import ZeroOne


class Estimator(Protocol):
    """A frozen dataclass of settings."""

    def estimate(
        self, key: PRNGKeyArray, problem: ZeroOne, *, n_runs: int, progress: bool = True
    ) -> FunctionPosterior:
        """Independent runs of a problem."""
        ...


def posterior_probabilities(
    key: PRNGKeyArray,
    problem: ZeroOne,
    estimator: Estimator = SMC(),  # noqa: B008
    *,
    n_runs: int = 8,
    progress: bool = True,
) -> FunctionPosterior:
    """P_B(f | S) of every function found, and log P(S), each with its error.

    Args:
        key: A JAX random key.
        problem: Network, prior and data.
        estimator: ``SMC`` (tempered, or multilevel splitting), ``Rejection`` or ``Reweighting``.
        n_runs: Independent runs; their spread is the error, so take four at least.
        progress: Show what is done and the time left.

    Returns:
        The estimates. Look at ``doubts`` before anything else.

    Raises:
        ValueError: A setting is not possible.
        RuntimeError: The estimator did not reach zero training error.
    """
    require_count("n_runs", n_runs)
    if not hasattr(estimator, "estimate"):
        raise ValueError(
            f"estimator={estimator!r} estimates no volume; pass SMC(), Rejection() or Reweighting()."
        )
    if problem.frozen and not isinstance(estimator, SMC):
        raise ValueError(
            f"{type(estimator).__name__} freezes no parameters; pass SMC(), or leave frozen out."
        )
    return estimator.estimate(key, problem, n_runs=n_runs, progress=progress)
