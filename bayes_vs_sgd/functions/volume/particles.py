"""What the devices compute: runs of particles that are reweighted, resampled, moved and looked at."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt32

from ...programs import found_again
from ...samplers.devices import ChainMap
from ..blocks import block_size
from ..whitened import Tree, Whitened
from .moves import Block, Move, Setting
from .zero_one import Rows, Rule


class Particles(NamedTuple):
    """The particles of one run, all of equal weight.

    Attributes:
        z: Places, leaves (particle, ...).
        mistakes: Of each on the training rows.
        roots: The draw of the prior that each descends from.
        frozen: Parameters that all of them share, without an axis of particles.
    """

    z: Tree
    mistakes: Int[Array, " n"]
    roots: Int[Array, " n"]
    frozen: Tree


class Reweighted(NamedTuple):
    """One tightening of one run.

    Attributes:
        log_mean: Log of the mean weight.
        effective_share: (Σw)²/(N Σw²).
    """

    log_mean: Float[Array, ""]
    effective_share: Float[Array, ""]


@found_again(8)
def programs(rule: Rule, move: Move, n_particles: int, n_runs: int) -> "Programs":
    """The ``Programs`` of a rule, compiled once for all rows of the same shapes."""
    return Programs(rule, move, n_particles, n_runs)


class Programs:
    """The compiled functions of one rule; arguments and results have a leading axis of runs.

    All runs share rows, weights and sizes.

    Args:
        rule: What is sampled, but for its rows.
        move: How particles move.
        n_particles: Particles a run, made a multiple of ``block_size``.
        n_runs: Runs, spread over the devices.
    """

    def __init__(self, rule: Rule, move: Move, n_particles: int, n_runs: int) -> None:
        self.whitened = Whitened.of(rule.prior, rule.sampled_shapes)
        self.block = block_size(self.whitened.dimension)
        self.n_particles = -(-n_particles // self.block) * self.block
        self.n_runs = n_runs
        self._rule, self._move = rule, move
        self._runs = ChainMap(n_runs)
        self.start = self._compiled(self._start, n_shared=1)
        self.resample = self._compiled(self._resample, n_shared=2)
        self._movers: dict[int, Any] = {}
        self._lookers: dict[tuple[int, int], Any] = {}

    def keys(self, key: PRNGKeyArray) -> PRNGKeyArray:
        """One key a run, ``fold_in(key, run)``."""
        return self._runs.put(
            jax.vmap(lambda r: jax.random.fold_in(key, r))(jnp.arange(self.n_runs))
        )

    def moved(
        self,
        keys: PRNGKeyArray,
        particles: Particles,
        log_weight: Any,
        size: float,
        rows: Rows,
        *,
        n_moves: int,
    ) -> tuple[Particles, Float[Array, " runs"]]:
        """``n_moves`` moves of every particle; the share of moves that were accepted."""
        if n_moves not in self._movers:
            self._movers[n_moves] = self._compiled(
                lambda key, particles, log_weight, size, rows: self._moved(
                    key, particles, self._setting(particles.frozen, log_weight, size, rows), n_moves
                ),
                n_shared=3,
            )
        return self._movers[n_moves](
            keys, particles, jnp.asarray(log_weight, jnp.float32), jnp.float32(size), rows
        )

    def looked_at(
        self,
        keys: PRNGKeyArray,
        particles: Particles,
        log_weight: Any,
        size: float,
        rows: Rows,
        *,
        n_draws: int,
        thin: int,
    ) -> tuple[Particles, UInt32[Array, "runs draws particles words"], Float[Array, " runs"]]:
        """Draws from every particle: ``thin`` moves, then its pattern, ``n_draws`` times."""
        if (n_draws, thin) not in self._lookers:
            self._lookers[n_draws, thin] = self._compiled(
                lambda key, particles, log_weight, size, rows: self._looked_at(
                    key, particles, log_weight, size, rows, n_draws, thin
                ),
                n_shared=3,
            )
        return self._lookers[n_draws, thin](
            keys, particles, jnp.asarray(log_weight, jnp.float32), jnp.float32(size), rows
        )

    def _compiled(self, function: Any, n_shared: int = 0) -> Any:
        def of_runs(*args: Any) -> Any:
            own, shared = args[: len(args) - n_shared], args[len(args) - n_shared :]
            return jax.lax.map(lambda mine: function(*mine, *shared), own)

        return self._runs.jit(of_runs, n_shared=n_shared)

    def _of_each(self, ask: Any, z: Tree, frozen: Tree, rows: Rows) -> Any:
        """What one of the rule's questions has for an answer at every place."""
        return jax.vmap(lambda p: ask({**p, **frozen}, rows))(self.whitened.params(z))

    def _start(self, key: PRNGKeyArray, rows: Rows) -> Particles:
        n_blocks = self.n_particles // self.block
        frozen = {}
        if self._rule.frozen:
            frozen_key = jax.random.fold_in(key, n_blocks)
            frozen = self._rule.prior.sample(frozen_key, self._rule.frozen_shapes)

        def block(i: Array) -> Block:
            z = self.whitened.draw(jax.random.fold_in(key, i), self.block)
            return Block(z, self._of_each(self._rule.mistakes, z, frozen, rows))

        found = _joined(jax.lax.map(block, jnp.arange(n_blocks)))
        return Particles(found.z, found.mistakes, jnp.arange(self.n_particles), frozen)

    def _resample(
        self, key: PRNGKeyArray, particles: Particles, old: Array, new: Array
    ) -> tuple[Particles, Reweighted]:
        # Importing BlackJAX starts JAX, after which its devices cannot be chosen any more.
        from blackjax.smc.resampling import systematic

        n = self.n_particles
        before, after = old[particles.mistakes], new[particles.mistakes]
        # A run in which nobody was left stays at an evidence of 0.
        log_weights = jnp.where(before > -jnp.inf, after - before, -jnp.inf)
        total = logsumexp(log_weights)
        share = jnp.exp(2 * total - logsumexp(2 * log_weights)) / n
        # Where nobody is left, all go on, and the weight of 0 says the rest.
        weights = jnp.where(jnp.isfinite(total), jnp.exp(log_weights - total), 1 / n)
        ancestors = systematic(key, weights, n)
        z, mistakes, roots = jax.tree.map(lambda leaf: leaf[ancestors], particles[:3])
        new_particles = Particles(z, mistakes, roots, particles.frozen)
        return new_particles, Reweighted(total - jnp.log(n), share)

    def _moved(
        self, key: PRNGKeyArray, particles: Particles, setting: Setting, n_moves: int
    ) -> tuple[Particles, Array]:
        def block(args: Any) -> Any:
            index, block = args
            key_block = jax.random.fold_in(key, index)
            return self._moves(key_block, block, setting, n_moves)

        blocks = self._blocks(particles)
        moved, accepted = jax.lax.map(block, (jnp.arange(len(blocks.mistakes)), blocks))
        found = _joined(moved)
        return Particles(
            found.z, found.mistakes, particles.roots, particles.frozen
        ), accepted.mean()

    def _looked_at(
        self,
        key: PRNGKeyArray,
        particles: Particles,
        log_weight: Array,
        size: Array,
        rows: Rows,
        n_draws: int,
        thin: int,
    ) -> Any:
        frozen = particles.frozen
        setting = self._setting(frozen, log_weight, size, rows)

        def block(args: Any) -> Any:
            index, block = args

            def draw(block: Block, key: PRNGKeyArray) -> Any:
                block, accepted = self._moves(key, block, setting, thin)
                words = self._of_each(self._rule.pattern, block.z, frozen, rows)
                return block, (words, accepted)

            keys = jax.random.split(jax.random.fold_in(key, index), n_draws)
            return jax.lax.scan(draw, block, keys)

        blocks = self._blocks(particles)
        moved, (words, accepted) = jax.lax.map(block, (jnp.arange(len(blocks.mistakes)), blocks))
        found = _joined(moved)
        words = jnp.swapaxes(words, 0, 1).reshape(n_draws, self.n_particles, -1)
        return Particles(found.z, found.mistakes, particles.roots, frozen), words, accepted.mean()

    def _moves(
        self, key: PRNGKeyArray, block: Block, setting: Setting, n_moves: int
    ) -> tuple[Block, Array]:
        move = lambda block, key: self._move(key, block, setting)  # noqa: E731
        block, accepted = jax.lax.scan(move, block, jax.random.split(key, n_moves))
        return block, accepted.mean()

    def _setting(self, frozen: Tree, log_weight: Array, size: Array, rows: Rows) -> Setting:
        mistakes = lambda z: self._of_each(self._rule.mistakes, z, frozen, rows)  # noqa: E731
        return Setting(self.whitened.draw, mistakes, log_weight, size)

    def _blocks(self, particles: Particles) -> Block:
        whole = Block(particles.z, particles.mistakes)
        return jax.tree.map(lambda a: a.reshape(-1, self.block, *a.shape[1:]), whole)


def _joined(blocks: Block) -> Block:
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), blocks)
