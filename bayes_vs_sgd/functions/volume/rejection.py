"""P(S) and P_B(f | S) by drawing from the prior and keeping what fits."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ... import progress as progress_bars
from ...checks import require_count
from ...programs import found_again
from ..blocks import block_of_params, block_size, dimension, stream
from .posterior import FunctionPosterior
from .zero_one import Rows, Rule, ZeroOne

# Fewer fitting draws than this say little about the functions.
_LEAST_FITTING = 100


@dataclass(frozen=True)
class Rejection:
    """Rejection sampling: draws of the prior that make no mistake are draws of the posterior.

    Ê_r = (draws of run r that fit)/(draws of run r), unbiased for P(S), and the draws that fit are independent.
    It works where P(S)·n_draws is at least some hundred, and is exact there.

    Attributes:
        n_draws: Draws of the prior in every run, rounded up to whole blocks.
    """

    n_draws: int = 1_000_000

    def __post_init__(self) -> None:
        require_count("n_draws", self.n_draws)

    def estimate(
        self, key: PRNGKeyArray, problem: ZeroOne, *, n_runs: int, progress: bool = True
    ) -> FunctionPosterior:
        """Independent runs of a problem.

        Args:
            key: A JAX random key.
            problem: What is sampled.
            n_runs: Runs whose spread is the error.
            progress: Show draws and the time left.
        """
        size = block_size(dimension(problem.network.shapes))
        per_run = -(-self.n_draws // size)
        kept: list[list[np.ndarray]] = [[] for _ in range(n_runs)]
        done = 0
        with progress_bars.bar("rejection", per_run * n_runs, show=progress) as report:
            pieces = stream(
                key, _fitting(problem.rule), problem.rows, first=0, n_blocks=per_run * n_runs
            )
            for fits, words in pieces:
                runs = (done + np.arange(len(fits))) // per_run
                for r in np.unique(runs):
                    mine = runs == r
                    kept[r].append(words[mine][fits[mine]])
                done += len(fits)
                report(done, f"{sum(len(w) for run in kept for w in run):,} fit")
        found = [np.concatenate(run) for run in kept]
        return self._posterior(problem, found, per_run * size)

    def _posterior(
        self, problem: ZeroOne, found: list[np.ndarray], n_draws: int
    ) -> FunctionPosterior:
        n_fitting = np.array([len(words) for words in found])
        with np.errstate(divide="ignore"):
            log_evidences = np.log(n_fitting / n_draws)
        doubts = []
        if 0 < n_fitting.sum() < _LEAST_FITTING:
            doubts.append(
                f"only {n_fitting.sum()} of {n_draws * len(found):,} draws of the prior fit the training "
                "rows; raise n_draws, or take SMC"
            )
        return FunctionPosterior.of(
            found,
            log_evidences,
            problem.n_test,
            problem.n_classes,
            info={"estimator": repr(self), "n_fitting": n_fitting.tolist()},
            doubts=doubts,
        )


@found_again(16)
def _fitting(rule: Rule) -> Callable[[PRNGKeyArray, Rows], tuple[Array, Array]]:
    """(Key, rows) → which networks of a block fit, and the packed patterns of all."""
    draw = block_of_params(rule.prior, rule.network.shapes)

    def block(key: PRNGKeyArray, rows: Rows) -> tuple[Array, Array]:
        params = draw(key)
        patterns = jax.vmap(lambda p: rule.pattern(p, rows))
        fits = jax.vmap(lambda p: rule.mistakes(p, rows))(params) == 0
        # Patterns are what few blocks need: where nobody fits, nobody is asked.
        words = jax.lax.cond(
            fits.any(),
            lambda: patterns(params),
            lambda: jnp.zeros(jax.eval_shape(patterns, params).shape, jnp.uint32),
        )
        return fits, words

    return block
