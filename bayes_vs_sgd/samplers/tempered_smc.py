"""Sequential Monte Carlo from the prior to the posterior by rising temperatures."""

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ..checks import require_count, require_probability
from .hmc import HMC
from .kernel import Kernel, LogDensity, Sampler, Stats
from .population import Harvest, Population
from .sample import WarmupWarning
from .tempering import parts, tempered

if TYPE_CHECKING:
    from .step_size import StepSizeSearch

# Below this mean acceptance at any temperature the moves have failed.
_LEAST_ACCEPTANCE = 0.1


class Particles(NamedTuple):
    """A population at one temperature; all particles have equal weight.

    Attributes:
        params: Leaves (particle, ...).
        log_likelihoods: ℓ of each; −∞ where it is NaN.
        log_densities: log prior + β·ℓ of each.
        inverse_temperature: β.
        log_evidence: log of ∫ prior·exp(βℓ).
        search: Of the step size of the moves.
        roots: The draw of the prior that each descends from.
    """

    params: Any
    log_likelihoods: Float[Array, " n"]
    log_densities: Float[Array, " n"]
    inverse_temperature: Float[Array, ""]
    log_evidence: Float[Array, ""]
    search: Any
    roots: Int[Array, " n"]


@dataclass(frozen=True)
class TemperedSMC:
    """Adaptive tempered sequential Monte Carlo (Neal 2001; Del Moral, Doucet & Jasra 2012).

    With ℓ = (1/T) Σ_i log p(data_i | θ), N particles start as draws of the prior at β = 0. One step:
    β′ = β + δ with the largest δ ≤ 1 − β that leaves the weights w = exp(δℓ) an effective number
    (Σw)²/Σw² of ``target_ess``·N; log Ẑ ← log Ẑ + log((1/N) Σ w); systematic resampling by w;
    ``n_moves`` transitions of every particle at β′. So at β = 1 the particles have been moved there and
    have equal weight. (BlackJAX's own tempered SMC moves at the old β and leaves the last population
    weighted; of it the solver for δ and the resampling are used here.)

    The moves have as inverse mass matrix the variances of the weighted particles, and a step size that
    dual averaging takes from the mean acceptance of all particles after every move, over all
    temperatures.

    Attributes:
        n_particles: N.
        target_ess: Effective fraction of particles after reweighting; nearer to 1 takes more
            temperatures.
        sampler: What moves the particles: a gradient-based sampler with a warm-up of step size and
            mass matrix.
        n_moves: Transitions a temperature.
        max_steps: Temperatures at most; a run that needs more is given up.
    """

    progress_name: ClassVar[str] = "β"
    patience: ClassVar[int] = 5
    when_stuck: ClassVar[str] = (
        "the likelihoods of its particles lie so far apart that β cannot rise by as little as they "
        "allow; take more particles or moves, or compute in double precision (jax_enable_x64)."
    )

    n_particles: int = 1000
    target_ess: float = 0.7
    sampler: Sampler = field(default_factory=lambda: HMC(n_leapfrog=10))
    n_moves: int = 5
    max_steps: int = 1000

    def __post_init__(self) -> None:
        require_count("n_particles", self.n_particles, least=2)
        require_probability("target_ess", self.target_ess, 0.7)
        require_count("n_moves", self.n_moves)
        require_count("max_steps", self.max_steps)
        if not hasattr(self.sampler, "target_acceptance"):
            raise ValueError(
                f"sampler={self.sampler} aims at no acceptance, by which the step size of the moves "
                "could be found; pass BlackJAX's HMC or NUTS."
            )

    @property
    def n_start(self) -> int:
        """Draws of the prior that a run starts from."""
        return self.n_particles

    @property
    def least_finite(self) -> int:
        """Two particles of finite likelihood are the fewest that differ."""
        return 2

    def population(self, target: Any) -> Population:
        """One run on a ``Posterior``."""
        # Importing BlackJAX starts JAX, after which its devices cannot be chosen any more.
        from blackjax.smc.ess import ess
        from blackjax.smc.resampling import systematic

        from .step_size import dual_averaging

        log_prior, log_likelihood = parts(target)
        search = dual_averaging(self.sampler.target_acceptance)  # type: ignore[attr-defined]

        def init(params: Any) -> tuple[Particles, Array]:
            values, _ = _evaluate(log_likelihood, params)
            zero = jnp.zeros((), values.dtype)
            step_size = jnp.asarray(getattr(self.sampler, "step_size", 0.1), zero.dtype)
            dimension = sum(leaf[0].size for leaf in jax.tree.leaves(params))
            kernel = self.sampler.kernel(tempered(target, zero), 0)
            one = jax.tree.map(lambda a: a[0], params)
            _require_adapted(jax.eval_shape(kernel.init, jax.random.key(0), one), self.sampler)
            state = Particles(
                params,
                values,
                jax.vmap(log_prior)(params),
                zero,
                zero,
                search.start(step_size, dimension),
                jnp.arange(self.n_particles),
            )
            return state, jnp.isfinite(values).sum()

        def step(key: PRNGKeyArray, state: Particles) -> tuple[Particles, Any, Array]:
            key_ancestors, key_moves = jax.random.split(key)
            beta, log_weights, log_mean = _reweighted(state, self.target_ess)
            weights = jnp.exp(log_weights - logsumexp(log_weights))
            ancestors = systematic(key_ancestors, weights, self.n_particles)
            moved = _move(
                key_moves,
                self.sampler.kernel(tempered(target, beta), 0),
                jax.tree.map(lambda a: a[ancestors], state.params),
                _variances(state.params, weights),
                search,
                state.search,
                n_moves=self.n_moves,
            )
            values, n_nan = _evaluate(log_likelihood, moved.params)
            record = moved.facts | {
                "inverse_temperature": beta,
                "ess": ess(log_weights),
                "nan_likelihoods": n_nan,
            }
            new = Particles(
                moved.params,
                values,
                moved.log_densities,
                beta,
                state.log_evidence + log_mean,
                moved.search,
                state.roots[ancestors],
            )
            return new, record, beta > state.inverse_temperature

        return Population(init, step, lambda state: state.inverse_temperature)

    def harvest(self, rng: np.random.Generator, state: Any, records: Any) -> Harvest:
        """The particles of one run at β = 1, and lists of what every temperature was like."""
        _warn(records)
        return Harvest(
            state.params,
            {"lp": state.log_densities},
            float(state.log_evidence),
            {
                "inverse_temperatures": [0.0, *records["inverse_temperature"].tolist()],
                "ess": records["ess"].tolist(),
                "acceptance_rates": records["acceptance_rate"].tolist(),
                "step_sizes": records["step_size"].tolist(),
                "divergences": int(records["divergences"].sum()),
                "nan_likelihoods": int(records["nan_likelihoods"].sum()),
                "n_ancestors": len(np.unique(state.roots)),
            },
        )


def _evaluate(log_likelihood: LogDensity, params: Any) -> tuple[Float[Array, " n"], Array]:
    """Log likelihoods, −∞ in place of NaN, and the number of those."""
    values = jax.vmap(log_likelihood)(params)
    usable = jnp.isfinite(values)
    return jnp.where(usable, values, -jnp.inf), (~usable & (values != -jnp.inf)).sum()


def _reweighted(
    state: Particles, target_ess: float
) -> tuple[Float[Array, ""], Float[Array, " n"], Float[Array, ""]]:
    """β′, log weights up to a constant, and the log of the mean weight."""
    from blackjax.smc.ess import ess_solver
    from blackjax.smc.solver import dichotomy

    old, values = state.inverse_temperature, state.log_likelihoods
    usable = jnp.isfinite(values)
    # Without the common part, which may be large, little is lost to rounding.
    highest = jnp.max(values)
    relative = values - highest
    # Particles of likelihood zero go at any β > 0; the others are what can be kept effective.
    target = target_ess * usable.mean()
    delta = ess_solver(lambda v: v, relative, target, 1 - old, dichotomy)
    delta = jnp.clip(jnp.nan_to_num(delta), 0, 1 - old)
    log_weights = jnp.where(usable, delta * relative, -jnp.inf)
    log_mean = delta * highest + logsumexp(log_weights) - jnp.log(len(values))
    return jnp.where(delta >= 1 - old, 1, old + delta), log_weights, log_mean


def _variances(params: Any, weights: Float[Array, " n"]) -> Float[Array, " d"]:
    """Of every parameter over the weighted particles; 1 where all are equal."""
    rows = jax.vmap(lambda one: ravel_pytree(one)[0])(params)
    variances = weights @ (rows - weights @ rows) ** 2
    return jnp.where(variances > 0, variances, 1)


class _Moved(NamedTuple):
    params: Any
    log_densities: Float[Array, " n"]
    search: Any
    facts: dict[str, Array]


def _move(
    key: PRNGKeyArray,
    kernel: Kernel,
    params: Any,
    inverse_mass: Float[Array, " d"],
    search: "StepSizeSearch",
    found: Any,
    *,
    n_moves: int,
) -> _Moved:
    """Some transitions of every particle, all with the same step size."""
    key_start, key_moves = jax.random.split(key)
    n = len(jax.tree.leaves(params)[0])
    states = jax.vmap(kernel.init)(jax.random.split(key_start, n), params)
    like = jax.tree.map(lambda a: a[0], states)
    like = like._replace(mass=like.mass._replace(inverse_mass_matrix=inverse_mass))

    def transition(key: PRNGKeyArray, chain: Any, step_size: Array) -> tuple[Any, Stats]:
        state = like._replace(chain=chain, step_size=step_size)
        state, stats = kernel.step(key, state, jnp.asarray(0))
        return state.chain, stats

    def body(carry: Any, key: PRNGKeyArray) -> Any:
        chains, found = carry
        keys, step_size = jax.random.split(key, n), search.current(found)
        chains, stats = jax.vmap(transition, (0, 0, None))(keys, chains, step_size)
        acceptance = stats["acceptance_rate"].mean()
        found = search.update(found, {"acceptance_rate": acceptance})
        return (chains, found), (acceptance, stats["diverging"].sum())

    (chains, found), (acceptance, diverging) = jax.lax.scan(
        body, (states.chain, found), jax.random.split(key_moves, n_moves)
    )
    return _Moved(
        chains.position,
        chains.logdensity,
        found,
        {
            "acceptance_rate": acceptance.mean(),
            "step_size": search.current(found),
            "divergences": diverging.sum(),
        },
    )


def _warn(records: dict[str, np.ndarray]) -> None:
    acceptance = records["acceptance_rate"]
    worst = int(np.argmin(acceptance))
    if acceptance[worst] < _LEAST_ACCEPTANCE:
        warnings.warn(
            f"the particles hardly moved: at β={records['inverse_temperature'][worst]:.3g} a run "
            f"accepted {acceptance[worst]:.2f} of its moves, so that particles repeat themselves and "
            "the evidence is uncertain; raise n_moves, or lower the step size that sampler starts with.",
            WarmupWarning,
            stacklevel=4,
        )


def _require_adapted(states: Any, sampler: Sampler) -> None:
    """Refuse an inner sampler whose step size and mass matrix are not where they can be set."""
    from .warmup import Adapted

    if not isinstance(states, Adapted):
        raise ValueError(
            f"TemperedSMC sets the step size and the mass matrix of its moves, and sampler={sampler} "
            "does not let it; pass BlackJAX's HMC or NUTS."
        )
