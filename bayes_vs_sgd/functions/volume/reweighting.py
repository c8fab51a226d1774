"""P(S) and P_B(f | S) from a posterior under a smooth likelihood, reweighted to the 0/1 likelihood."""

import warnings
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy.special import logsumexp

from ... import likelihoods, samplers
from ...checks import require_count, require_positive
from ...posterior import Applied, Posterior
from ...samplers.kernel import Sampler
from .posterior import FunctionPosterior
from .zero_one import ZeroOne

# Less effective draws a run than this, or one draw with more than this share, are not to be trusted.
_LEAST_EFFECTIVE = 50.0
_LARGEST_SHARE = 0.1


class Sharpened:
    """A network whose outputs are multiplied by a constant.

    Attributes:
        network: The network.
        sharpness: The constant.
    """

    def __init__(self, network: Applied, sharpness: float) -> None:
        self.network, self.sharpness = network, sharpness
        self.shapes = network.shapes

    def apply(self, params: Any, *inputs: Array) -> Array:
        """Sharpness · network(x)."""
        return self.sharpness * self.network.apply(params, *inputs)


@dataclass(frozen=True)
class Reweighting:
    """Gradient-based chains under cross-entropy, reweighted to the 0/1 likelihood.

    With L(θ) = Σ_i log p(y_i | k·outputs_i(θ)), k the ``sharpness``, tempered SMC with moves of ``sampler``
    gives draws θ_j of P_L ∝ P(θ) e^L and its evidence Ẑ_r; from some of them chains of ``sampler`` go on.
    A draw then has the weight w = 1[no mistake]·e^{−L}, and

        Ê_r = Ẑ_r · mean_j w_j,    p̂_r(f) = Σ_j w_j 1[θ_j makes f] / Σ_j w_j.

    The larger k, the nearer P_L is to the posterior wanted, and the harder for gradients. Where networks
    that barely fit, and so have a large e^{−L}, carry the mass, few draws carry the weight: the
    effective number of them is in ``info``, and too few are a doubt. (Ẑ_r is unbiased up to the temperatures
    and step sizes that SMC takes from its own particles, O(1/n_particles).)

    Attributes:
        sharpness: k.
        sampler: ``HMC`` or ``NUTS`` of BlackJAX.
        n_particles: Particles of the SMC run.
        n_moves: Transitions of every particle at every temperature.
        n_chains: Chains that go on in each run; at most the particles.
        n_warmup: Transitions in which they adapt.
        n_draws: Draws of each of them.
    """

    sharpness: float = 4.0
    sampler: Sampler = field(default_factory=lambda: samplers.HMC(n_leapfrog=20))
    n_particles: int = 256
    n_moves: int = 5
    n_chains: int = 32
    n_warmup: int = 50
    n_draws: int = 100

    def __post_init__(self) -> None:
        require_positive("sharpness", self.sharpness)
        for name in ("n_particles", "n_moves", "n_chains", "n_warmup", "n_draws"):
            require_count(name, getattr(self, name))
        if self.n_chains > self.n_particles:
            raise ValueError(
                f"n_chains={self.n_chains} exceeds the {self.n_particles} particles they start from; pass at "
                "most as many."
            )

    def estimate(
        self, key: PRNGKeyArray, problem: ZeroOne, *, n_runs: int, progress: bool = True
    ) -> FunctionPosterior:
        """Independent runs of a problem.

        Args:
            key: A JAX random key.
            problem: What is sampled.
            n_runs: Runs whose spread is the error.
            progress: Show what is done and the time left.

        Raises:
            ValueError: The sampler is none that SMC can tune.
        """
        key_population, key_chains = jax.random.split(key)
        posterior = self._posterior_under_cross_entropy(problem)
        smc = samplers.TemperedSMC(
            n_particles=self.n_particles, sampler=self.sampler, n_moves=self.n_moves
        )
        particles = samplers.sample_population(
            key_population, posterior, smc, n_runs=n_runs, progress=progress
        )
        starts = jax.tree.map(
            lambda a: a[:, : self.n_chains].reshape(-1, *a.shape[2:]), particles.params
        )

        rule, rows = problem.rule, problem.rows

        def collect(params: Any) -> dict[str, Array]:
            return {
                "words": rule.pattern(params, rows),
                "mistakes": rule.mistakes(params, rows),
                "log_likelihood": posterior.total_log_likelihood(params),
            }

        draws = samplers.sample(
            key_chains,
            posterior,
            starts,
            self.sampler,
            n_warmup=self.n_warmup,
            n_draws=self.n_draws,
            collect=collect,
            progress=progress,
        )
        kept = {
            name: np.asarray(a).reshape(n_runs, self.n_chains * self.n_draws, *a.shape[2:])
            for name, a in draws.params.items()
        }
        log_weights = np.where(kept["mistakes"] == 0, -kept["log_likelihood"], -np.inf)
        log_evidences = np.asarray(particles.info["log_evidence"], float) + _log_mean(log_weights)
        return self._found(problem, kept["words"], log_weights, log_evidences, draws)

    def _posterior_under_cross_entropy(self, problem: ZeroOne) -> Posterior:
        x = jnp.asarray(problem.dataset.x_train[:1])
        params = {n: jnp.zeros(shape) for n, shape in problem.network.shapes.items()}
        one_logit = jax.eval_shape(problem.network.apply, params, x).size == 1
        likelihood = likelihoods.Bernoulli() if one_logit else likelihoods.Categorical()
        network = Sharpened(problem.network, self.sharpness)
        return Posterior.of(network, problem.dataset, likelihood, problem.prior)

    def _found(
        self,
        problem: ZeroOne,
        words: np.ndarray,
        log_weights: Float[np.ndarray, "n_runs draws"],
        log_evidences: Float[np.ndarray, " n_runs"],
        draws: Any,
    ) -> FunctionPosterior:
        tops = log_weights.max(axis=1, keepdims=True)
        weights = np.exp(log_weights - np.where(np.isfinite(tops), tops, 0))
        with np.errstate(invalid="ignore"):
            effective = weights.sum(axis=1) ** 2 / (weights**2).sum(axis=1)
            largest = weights.max(axis=1) / weights.sum(axis=1)
        fits = np.isfinite(log_weights).mean(axis=1)
        doubts = []
        if not effective.min() >= _LEAST_EFFECTIVE or not largest.max() <= _LARGEST_SHARE:
            doubts.append(
                f"the draws of a run weigh like {np.nan_to_num(effective).min():.1f} equal ones and one of "
                f"them has a share of {np.nan_to_num(largest, nan=1).max():.2f} of the weight, so the tail that "
                "carries the mass may not be seen; change sharpness, or take SMC"
            )
        info = {
            "estimator": repr(self),
            "effective_draws": effective.tolist(),
            "largest_share": largest.tolist(),
            "share_that_fits": fits.tolist(),
            "divergences": int(np.asarray(draws.stats["diverging"]).sum()),
        }
        return FunctionPosterior.of(
            list(words),
            log_evidences,
            problem.n_test,
            problem.n_classes,
            weights=list(weights),
            info=info,
            doubts=doubts,
        )


def _log_mean(log_weights: Float[np.ndarray, "n_runs draws"]) -> Float[np.ndarray, " n_runs"]:
    with warnings.catch_warnings(), np.errstate(divide="ignore"):
        return logsumexp(log_weights, axis=1) - np.log(log_weights.shape[1])
