"""Generalised Hamiltonian Monte Carlo, tuned by many chains together."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray

from ..checks import require_count, require_positive, require_probability
from .kernel import Kernel, Stats, Target, chain_number, gather_chains

if TYPE_CHECKING:
    from blackjax.mcmc.ghmc import GHMCState


# With four in each the settings were seen to chase a runaway chain.
_FEWEST_IN_A_FOLD = 8


class _Settings(NamedTuple):
    """What one chain moves by: ε, the momentum's inverse scale, persistence α and slice drift δ."""

    step_size: Float[Array, ""]
    scale: Float[Array, " d"]
    alpha: Float[Array, ""]
    delta: Float[Array, ""]


class _Tuned(NamedTuple):
    chain: "GHMCState"
    settings: _Settings
    average: _Settings


@dataclass(frozen=True)
class GHMC:
    """Generalised HMC (Horowitz 1991; Neal 2020) tuned by MEADS (Hoffman & Sountsov 2022).

    One transition, with s the standard deviations of the parameters and p ~ N(0, s^(−2)) persistent:
    p ← √(1 − α) p + √α n, n ~ N(0, s^(−2)); one leapfrog step ε; accept where log|v| ≤ −ΔH with the
    slice v moving by δ a transition; where it is refused, keep θ and turn p around. It is BlackJAX's
    kernel and costs one gradient, so pass ``thin``.

    Warm-up: chains lie in folds that are shuffled every ``n_folds`` iterations, and one fold rests in
    turn. Each fold takes from its neighbour s and ε = min(1, ½/√λ(s·gradients)), and has from its own
    positions γ = max(1/√λ(positions/s), 1/(tε)), α = 1 − exp(−2εγ), δ = α/2, with λ an estimate of
    the largest eigenvalue. Afterwards every chain keeps the averages over folds and the second half
    of the warm-up.

    Attributes:
        n_folds: Folds; the number of chains is a multiple of it, with eight chains in each at
            least, 16 better. Chains should start as far apart as the posterior is wide.
        step_size: ε where ``n_warmup=0``.
        persistence_loss: α where ``n_warmup=0``.
    """

    n_folds: int = 4
    step_size: float = 0.1
    persistence_loss: float = 0.1

    def __post_init__(self) -> None:
        require_count("n_folds", self.n_folds, least=2)
        require_positive("step_size", self.step_size)
        require_probability("persistence_loss", self.persistence_loss, 0.1)

    def kernel(self, target: Target, n_warmup: int) -> Kernel:
        """The Markov kernel for one target and one length of warm-up."""
        # Importing BlackJAX starts JAX, after which its devices cannot be chosen any more.
        import blackjax

        move = blackjax.ghmc.build_kernel()

        def init(key: PRNGKeyArray, params: Any) -> _Tuned:
            chain = blackjax.ghmc.init(params, target.log_density, key)
            flat, _ = ravel_pytree(params)
            alpha = jnp.asarray(self.persistence_loss, flat.dtype)
            step = jnp.asarray(self.step_size, flat.dtype)
            settings = _Settings(step, jnp.ones_like(flat), alpha, alpha / 2)
            return _Tuned(chain, settings, jax.tree.map(jnp.zeros_like, settings))

        def transition(
            key: PRNGKeyArray, chain: "GHMCState", settings: _Settings
        ) -> tuple["GHMCState", Stats]:
            new, info = move(key, chain, target.log_density, *settings)
            # BlackJAX computes 0·exp(ΔH) for a refused proposal, which is NaN where that overflows.
            moved = (chain.slice + 1 + settings.delta) % 2 - 1
            new = new._replace(slice=jnp.where(jnp.isnan(new.slice), moved, new.slice))
            return new, {
                "acceptance_rate": info.acceptance_rate,
                "diverging": info.is_divergent,
                "n_steps": jnp.asarray(1),
                "step_size": settings.step_size,
                "lp": new.logdensity,
            }

        def warm(key: PRNGKeyArray, state: _Tuned, iteration: Array) -> tuple[_Tuned, Stats]:
            settings, resting = self._tune(state.chain, iteration)
            chain, stats = transition(key, state.chain, settings.of_chain)
            chain = jax.tree.map(lambda new, old: jnp.where(resting, old, new), chain, state.chain)
            half = n_warmup // 2
            weight = jnp.where(iteration < half, 0.0, 1 / (iteration - half + 1))
            average = jax.tree.map(
                lambda old, new: (old + weight * (new - old)).astype(old.dtype),
                state.average,
                settings.of_all,
            )
            return _Tuned(chain, average, average), stats

        def sample(key: PRNGKeyArray, state: _Tuned, iteration: Array) -> tuple[_Tuned, Stats]:
            chain, stats = transition(key, state.chain, state.settings)
            return state._replace(chain=chain), stats

        def step(key: PRNGKeyArray, state: _Tuned, iteration: Array) -> tuple[_Tuned, Stats]:
            if n_warmup == 0:
                return sample(key, state, iteration)
            return jax.lax.cond(iteration < n_warmup, warm, sample, key, state, iteration)

        return Kernel(init, step, lambda state: state.chain.position)

    def _tune(self, chain: "GHMCState", iteration: Array) -> tuple["_Found", Array]:
        """Settings of this chain's fold and their mean over folds; and whether the fold rests."""
        flatten = jax.vmap(lambda tree: ravel_pytree(tree)[0])
        positions = flatten(gather_chains(chain.position))
        gradients = flatten(gather_chains(chain.logdensity_grad))
        n_chains = len(positions)
        least = _FEWEST_IN_A_FOLD * self.n_folds
        if n_chains % self.n_folds or n_chains < least:
            raise ValueError(
                f"GHMC(n_folds={self.n_folds}) tunes itself on a multiple of {self.n_folds} chains, "
                f"{least} at least, and there are {n_chains}; start more chains or pass fewer folds."
            )
        # Which fold a chain lies in need not depend on the run's key.
        shuffle = jax.random.fold_in(jax.random.key(0), iteration // self.n_folds)
        order = jax.random.permutation(shuffle, n_chains)
        fold = jnp.argsort(order)[chain_number()] // (n_chains // self.n_folds)

        def in_folds(a: Array) -> Array:
            return a[order].reshape(self.n_folds, -1, a.shape[-1])

        settings = _fold_settings(in_folds(positions), in_folds(gradients), iteration)
        mine = jax.tree.map(lambda a: a[fold], settings)
        mean = jax.tree.map(lambda a: a.mean(axis=0), settings)
        return _Found(mine, mean), fold == iteration % self.n_folds


class _Found(NamedTuple):
    of_chain: _Settings
    of_all: _Settings


def _fold_settings(
    positions: Float[Array, "fold n d"], gradients: Float[Array, "fold n d"], iteration: Array
) -> _Settings:
    from blackjax.adaptation.meads_adaptation import maximum_eigenvalue

    largest = jax.vmap(maximum_eigenvalue)
    spread = positions.std(axis=1)
    # Chains that all start in one place have no spread yet.
    spread = jnp.where(spread > 0, spread, 1.0)
    step_size = jnp.minimum(0.5 / jnp.sqrt(largest(gradients * spread[:, None])), 1.0)
    step_size, scale = jnp.roll(step_size, 1), jnp.roll(spread, 1, axis=0)
    centred = positions - positions.mean(axis=1, keepdims=True)
    width = largest(centred / spread[:, None])
    least = 1 / ((iteration + 1) * step_size)
    gamma = jnp.maximum(jnp.where(width > 0, 1 / jnp.sqrt(width), 0.0), least)
    alpha = 1 - jnp.exp(-2 * step_size * gamma)
    return _Settings(step_size, scale, alpha, alpha / 2)
