"""Nested sampling: the evidence as an integral over the volume that the prior leaves."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy.special import logsumexp

from ..checks import require_count, require_probability
from .population import Harvest, Population
from .tempering import parts

if TYPE_CHECKING:
    from blackjax.ns.adaptive import AdaptiveNSState

# Fewest slice moves of a new particle, and how many a parameter. Half as many, which is what BlackJAX
# advises, left log evidences low by 0.1 in four dimensions (64 runs).
_LEAST_MOVES, _MOVES_A_PARAMETER = 8, 4
# A share of live particles on one level of the likelihood that no accident of rounding explains.
_PLATEAU = 0.1


@dataclass(frozen=True)
class NestedSampling:
    """Nested sampling (Skilling 2006) with slice moves (Yallup et al. 2026), BlackJAX's kernel.

    With ℓ = (1/T) Σ_i log p(data_i | θ), n live particles start as draws of the prior. One step: the
    ``n_delete`` of lowest ℓ die, ℓ* being the highest of theirs; each is replaced by a copy of a
    surviving particle after ``n_moves`` slice moves under the prior within ℓ > ℓ*, in directions
    shaped by the covariance of the live particles. The volume of the prior left after s steps is
    X_s = (1 − n_delete/n)^s; particles that die in step s + 1 have the weight (X_s/n)·exp(ℓ), the ones
    alive at the end, when they hold less than ``precision`` of the evidence, the same with the last X.
    Their sum is the evidence, without bias if the moves are long enough (Walter 2017; Bréhier,
    Lelièvre & Rousset 2015 for ``n_delete`` > 1). The draws are resampled by these weights and so
    repeat themselves; ``info["ess"]`` is the effective number.

    ``info["log_evidence_sem"]`` is √(H·v) with the information H = Σ p log(L/Z) of the posterior
    weights p and v = Σ_j (n−j)⁻² / Σ_j (n−j)⁻¹ over the j < ``n_delete``, about 1/n. It knows nothing of
    moves that are too short or of modes that died out.

    It needs no gradient, and is for few parameters, some tens at most: a live covariance is made of
    all of them, and the moves grow with their number. Likelihoods with plateaus, whose levels
    do not order the particles, are refused: ``TemperedSMC`` takes those.

    Attributes:
        n_live: n; it must exceed the number of parameters.
        n_delete: Particles replaced in one step, side by side; None for a tenth of ``n_live``.
        n_moves: Slice moves of a new particle; None for four times the number of parameters, at least 8.
        n_draws: Equally weighted draws of each run.
        precision: Share of the evidence that may be left in the live particles at the end.
        max_steps: Steps at most; a run that needs more is given up.
    """

    uses_gradient: ClassVar[bool] = False
    progress_name: ClassVar[str] = "evidence collected"
    patience: ClassVar[int] = 1
    when_stuck: ClassVar[str] = (
        "many of its particles have one and the same likelihood, which gives them no order; where that "
        "is rounding, compute in double precision (jax_enable_x64), where it is a plateau, use "
        "TemperedSMC."
    )

    n_live: int = 500
    n_delete: int | None = None
    n_moves: int | None = None
    n_draws: int = 1000
    precision: float = 1e-3
    max_steps: int = 20_000

    def __post_init__(self) -> None:
        require_count("n_live", self.n_live, least=2)
        require_count("n_draws", self.n_draws)
        require_count("max_steps", self.max_steps)
        require_probability("precision", self.precision, 1e-3)
        for name in ("n_delete", "n_moves"):
            if getattr(self, name) is not None:
                require_count(name, getattr(self, name))
        if self.deleted > self.n_live // 2:
            raise ValueError(
                f"n_delete={self.n_delete} is more than half of n_live={self.n_live}, which leaves "
                f"too few to copy; pass at most {self.n_live // 2}."
            )

    @property
    def deleted(self) -> int:
        """Particles replaced in one step."""
        return self.n_delete or max(1, self.n_live // 10)

    @property
    def n_start(self) -> int:
        """Draws of the prior that a run starts from."""
        return self.n_live

    @property
    def least_finite(self) -> int:
        """Particles of likelihood zero would have no order."""
        return self.n_live

    def population(self, target: Any) -> Population:
        """One run on a ``Posterior``."""
        log_prior, log_likelihood = parts(target)

        def usable(params: Any) -> Float[Array, ""]:
            value = log_likelihood(params)
            return jnp.where(jnp.isfinite(value), value, -jnp.inf)

        def algorithm(dimension: int) -> Any:
            # Importing BlackJAX starts JAX, after which its devices cannot be chosen any more.
            import blackjax

            n_moves = self.n_moves or max(_LEAST_MOVES, _MOVES_A_PARAMETER * dimension)
            return blackjax.nss(log_prior, usable, n_moves, self.deleted)

        def init(params: Any) -> tuple["AdaptiveNSState", Array]:
            dimension = sum(leaf[0].size for leaf in jax.tree.leaves(params))
            if self.n_live <= dimension:
                raise ValueError(
                    f"n_live={self.n_live} does not exceed the {dimension} parameters, so the live "
                    "particles have no covariance; pass several times as many, or use TemperedSMC."
                )
            state = algorithm(dimension).init(params)
            return state, jnp.isfinite(state.particles.loglikelihood).sum()

        def step(key: PRNGKeyArray, state: "AdaptiveNSState") -> tuple[Any, Any, Array]:
            leaves = jax.tree.leaves(state.particles.position)
            new, info = algorithm(sum(leaf[0].size for leaf in leaves)).step(key, state)
            dead, level = info.particles, info.particles.loglikelihood.max()
            tied = (state.particles.loglikelihood == level).sum() - (
                dead.loglikelihood == level
            ).sum()
            record = {
                "params": dead.position,
                "log_prior": dead.logdensity,
                "log_likelihood": dead.loglikelihood,
                "moved": info.update_info.is_accepted.mean(),
            }
            return new, record, tied < _PLATEAU * self.n_live

        return Population(init, step, partial(_collected, precision=self.precision))

    def harvest(self, rng: np.random.Generator, state: Any, records: Any) -> Harvest:
        """Draws of the posterior and the evidence from the particles that died and those alive."""
        live = state.particles
        n_steps = len(records["log_likelihood"])
        values = _joined(records["log_likelihood"], live.loglikelihood).astype(float)
        log_volume = np.log1p(-self.deleted / self.n_live) * np.arange(n_steps + 1)
        n_of_step = [self.deleted] * n_steps + [self.n_live]
        log_weights = values + np.repeat(log_volume, n_of_step) - np.log(self.n_live)
        log_evidence = logsumexp(log_weights)
        weights = np.exp(log_weights - log_evidence)
        information = max(float(weights @ (values - log_evidence)), 0.0)
        rates = 1 / (self.n_live - np.arange(self.deleted))
        kept = _systematic(rng, weights, self.n_draws)
        joined = jax.tree.map(_joined, records["params"], live.position)
        return Harvest(
            jax.tree.map(lambda a: a[kept], joined),
            {"lp": (_joined(records["log_prior"], live.logdensity) + values)[kept]},
            float(log_evidence),
            {
                "log_evidence_sem": float(np.sqrt(information * (rates**2).sum() / rates.sum())),
                "information": information,
                "ess": float(1 / (weights**2).sum()),
                "accepted_moves": float(records["moved"].mean()),
            },
        )


def _collected(state: "AdaptiveNSState", precision: float) -> Float[Array, ""]:
    """The share of the evidence in the dead particles; 1 where the rest is small enough."""
    now = state.integrator
    left = jnp.exp(now.logZ_live - jnp.logaddexp(now.logZ, now.logZ_live))
    return jnp.where(left < precision, 1, 1 - left)


def _joined(dead: np.ndarray, live: np.ndarray) -> np.ndarray:
    """Dead particles (step, particle, ...) and then the live ones, on one axis."""
    return np.concatenate([dead.reshape(-1, *dead.shape[2:]), live])


def _systematic(rng: np.random.Generator, weights: np.ndarray, n: int) -> np.ndarray:
    places = (np.arange(n) + rng.uniform()) / n
    return np.minimum(np.searchsorted(np.cumsum(weights), places), len(weights) - 1)
