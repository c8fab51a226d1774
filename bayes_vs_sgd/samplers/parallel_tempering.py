"""Parallel tempering: chains at many temperatures that exchange their positions."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ..checks import require_count, require_positive
from .hmc import HMC
from .kernel import Kernel, Sampler, Stats
from .tempering import parts, tempered

# The ladder is spaced anew after these fractions of the warm-up; the rest of it settles the kernels.
_RESPACED = (1 / 16, 1 / 8, 1 / 4, 1 / 2)
# Added to every rejection rate, so that no two rungs meet where nothing is rejected.
_LEAST_REJECTION = 1e-3


class Swaps(NamedTuple):
    """What is known of the swaps of neighbouring rungs.

    Attributes:
        acceptance: Probability of the last swap tried of every pair.
        total: Sum of such probabilities since the ladder was last spaced.
        n_tried: Number of them.
    """

    acceptance: Float[Array, " pair"]
    total: Float[Array, " pair"]
    n_tried: Int[Array, " pair"]


class Ladder(NamedTuple):
    """One chain of parallel tempering.

    Attributes:
        inverse_temperatures: β of every rung, from 1 downwards.
        rungs: States of the inner kernel, with a leading axis of rungs.
        swaps: Swaps so far.
    """

    inverse_temperatures: Float[Array, " rung"]
    rungs: Any
    swaps: Swaps


@dataclass(frozen=True)
class ParallelTempering:
    """Parallel tempering with deterministic even and odd swaps (Okabe et al. 2001; Syed et al. 2022).

    A chain is a ladder of K rungs with inverse temperatures 1 = β_1 > … > β_K ≥ 0. With
    ℓ = (1/T) Σ_i log p(data_i | θ), rung k has the target prior·exp(β_k ℓ); of a plain density, which
    has no prior, it is density^β_k, and β_K must be positive. One iteration: every rung makes one
    transition of ``sampler``; then, the even pairs in turn with the odd ones, neighbours exchange their
    positions with probability min(1, exp((β_k − β_{k+1})(ℓ(θ_{k+1}) − ℓ(θ_k)))). The draws are those of
    β = 1; well separated modes are reached by way of the other end.

    Each rung warms up on its own. Unless ``inverse_temperatures`` are given, the ladder is geometric at
    first and is spaced anew after 1/16, 1/8, 1/4 and 1/2 of the warm-up so that all pairs reject
    equally often, by linear interpolation of the summed rejection rates (Syed et al. 2022).

    The statistics are those of the transition at β = 1, but for ``lp``, the log density of the draw,
    ``n_steps``, the gradients of all rungs and swaps, and ``swap_rate``, the mean over pairs of the
    probability of their last swap tried (0 before the first).

    Attributes:
        sampler: What moves each rung: a gradient-based sampler with a warm-up of step size and mass
            matrix.
        n_rungs: K, where ``inverse_temperatures`` are not given.
        least_inverse_temperature: β_K, where they are not given.
        inverse_temperatures: β_1 to β_K, kept as they are; None for the ladder that adapts.
        swap_every: Transitions between swaps.
    """

    sampler: Sampler = field(default_factory=HMC)
    n_rungs: int = 8
    least_inverse_temperature: float = 0.01
    inverse_temperatures: tuple[float, ...] | None = None
    swap_every: int = 1

    def __post_init__(self) -> None:
        require_count("n_rungs", self.n_rungs, least=2)
        require_count("swap_every", self.swap_every)
        require_positive("least_inverse_temperature", self.least_inverse_temperature)
        if not self.least_inverse_temperature < 1:
            raise ValueError(
                f"least_inverse_temperature={self.least_inverse_temperature} is not below 1, the "
                "posterior's; pass for instance 0.01."
            )
        if self.inverse_temperatures is not None:
            _require_ladder(self.inverse_temperatures)

    @property
    def target_acceptance(self) -> float | None:
        """The acceptance that the warm-up of a rung aims at."""
        return getattr(self.sampler, "target_acceptance", None)

    def ladder(self) -> np.ndarray:
        """The inverse temperatures at the start."""
        if self.inverse_temperatures is not None:
            return np.asarray(self.inverse_temperatures)
        return np.geomspace(1, self.least_inverse_temperature, self.n_rungs)

    def kernel(self, target: Any, n_warmup: int) -> Kernel:
        """The Markov kernel for one target and one length of warm-up.

        Raises:
            ValueError: β_K = 0 for a plain density; ``init`` raises where the inner sampler has no
                gradient or no warm-up of its own.
        """
        if self.ladder()[-1] == 0 and not hasattr(target, "log_likelihood"):
            raise ValueError(
                "inverse_temperatures ends at 0, where a plain log density leaves nothing to sample; "
                "end it above 0, or pass a Posterior, whose prior is left."
            )
        stays, tilts = parts(target)
        n_swaps_warm = n_warmup // self.swap_every
        respaced = jnp.asarray(sorted({int(n_swaps_warm * f) for f in _RESPACED} - {0}), jnp.int32)

        def rung(inverse_temperature: Array) -> Kernel:
            return self.sampler.kernel(tempered(target, inverse_temperature), n_warmup)

        def init(key: PRNGKeyArray, params: Any) -> Ladder:
            dtype = jax.eval_shape(target.log_density, params).dtype
            betas = jnp.asarray(self.ladder(), dtype)
            keys = jax.random.split(key, len(betas))
            rungs = jax.vmap(lambda beta, key: rung(beta).init(key, params))(betas, keys)
            _require_adapted(rungs, self.sampler)
            zeros = jnp.zeros(len(betas) - 1, dtype)
            return Ladder(betas, rungs, Swaps(zeros, zeros, zeros.astype(jnp.int32)))

        def exchange(key: PRNGKeyArray, state: Ladder, n_before: Array) -> Ladder:
            betas, chain = state.inverse_temperatures, state.rungs.chain
            prior, prior_slope = jax.vmap(jax.value_and_grad(stays))(chain.position)
            tilt, tilt_slope = jax.vmap(jax.value_and_grad(tilts))(chain.position)
            source, swaps = _swap(key, betas, tilt, n_before % 2 == 0, state.swaps)
            if self.inverse_temperatures is None and len(respaced):
                betas, swaps = jax.lax.cond(
                    jnp.isin(n_before + 1, respaced),
                    _respace,
                    lambda betas, swaps: (betas, swaps),
                    betas,
                    swaps,
                )
            # Both are known at every position, so the log densities at new temperatures are exact.
            chain = chain._replace(
                position=_take(chain.position, source),
                logdensity=prior[source] + betas * tilt[source],
                logdensity_grad=jax.tree.map(
                    lambda p, t: p + betas.reshape(-1, *[1] * (t.ndim - 1)) * t,
                    _take(prior_slope, source),
                    _take(tilt_slope, source),
                ),
            )
            return Ladder(betas, state.rungs._replace(chain=chain), swaps)

        def step(key: PRNGKeyArray, state: Ladder, iteration: Array) -> tuple[Ladder, Stats]:
            key_move, key_swap = jax.random.split(key)
            betas = state.inverse_temperatures

            def move(beta: Array, key: PRNGKeyArray, one: Any) -> tuple[Any, Stats]:
                return rung(beta).step(key, one, iteration)

            rungs, stats = jax.vmap(move)(
                betas, jax.random.split(key_move, len(betas)), state.rungs
            )
            n_now = (iteration + 1) // self.swap_every
            swapping = (iteration + 1) % self.swap_every == 0
            state = jax.lax.cond(
                swapping,
                lambda s: exchange(key_swap, s, n_now - 1),
                lambda s: s,
                state._replace(rungs=rungs),
            )
            cold = {name: values[0] for name, values in stats.items()}
            return state, cold | {
                "lp": state.rungs.chain.logdensity[0],
                "n_steps": stats["n_steps"].sum() + jnp.where(swapping, len(betas), 0),
                "swap_rate": state.swaps.acceptance.mean(),
            }

        return Kernel(
            init, step, lambda state: _take(state.rungs.chain.position, 0), together="many"
        )


def _swap(
    key: PRNGKeyArray,
    betas: Float[Array, " rung"],
    tilt: Float[Array, " rung"],
    even: Bool[Array, ""],
    swaps: Swaps,
) -> tuple[Int[Array, " rung"], Swaps]:
    """Which rung every rung takes its position from, and the swaps with this one."""
    n_pairs = len(betas) - 1
    log_ratio = (betas[:-1] - betas[1:]) * (tilt[1:] - tilt[:-1])
    probability = jnp.nan_to_num(jnp.exp(jnp.minimum(log_ratio, 0)))
    tried = (jnp.arange(n_pairs) % 2 == 0) == even
    uniform = jax.random.uniform(key, (n_pairs,), probability.dtype)
    swapped = (tried & (uniform < probability)).astype(jnp.int32)
    source = jnp.arange(n_pairs + 1) + jnp.pad(swapped, (0, 1)) - jnp.pad(swapped, (1, 0))
    return source, Swaps(
        jnp.where(tried, probability, swaps.acceptance),
        swaps.total + jnp.where(tried, probability, 0),
        swaps.n_tried + tried,
    )


def _respace(betas: Float[Array, " rung"], swaps: Swaps) -> tuple[Float[Array, " rung"], Swaps]:
    """The ladder with the summed rejection rate cut into equal parts, and counts begun again."""
    rejection = 1 - swaps.total / jnp.maximum(swaps.n_tried, 1) + _LEAST_REJECTION
    barrier = jnp.pad(jnp.cumsum(rejection), (1, 0))
    wanted = jnp.linspace(0, barrier[-1], len(betas), dtype=betas.dtype)
    spaced = jnp.interp(wanted, barrier, betas).at[0].set(betas[0]).at[-1].set(betas[-1])
    return spaced, swaps._replace(
        total=jnp.zeros_like(swaps.total), n_tried=jnp.zeros_like(swaps.n_tried)
    )


def _take(tree: Any, index: Any) -> Any:
    return jax.tree.map(lambda a: a[index], tree)


def _require_ladder(betas: tuple[float, ...]) -> None:
    values = np.asarray(betas, float)
    fine = values.ndim == 1 and len(values) > 1 and values[0] == 1 and values[-1] >= 0
    if not (fine and (np.diff(values) < 0).all()):
        raise ValueError(
            f"inverse_temperatures={betas} is no ladder; pass at least two numbers that fall from 1 "
            "to 0 or above, such as (1.0, 0.3, 0.1)."
        )


def _require_adapted(rungs: Any, sampler: Sampler) -> None:
    """Refuse an inner sampler whose chains have no gradient to carry from rung to rung."""
    from .warmup import Adapted

    if not (isinstance(rungs, Adapted) and hasattr(rungs.chain, "logdensity_grad")):
        raise ValueError(
            f"sampler={sampler} cannot move the rungs, because what it keeps of the log density and "
            "its gradient cannot be exchanged; pass BlackJAX's HMC or NUTS."
        )
