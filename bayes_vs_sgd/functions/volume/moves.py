"""Moves of many particles that leave prior × exp(log_weight[mistakes]) invariant."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ..whitened import Tree

# Brackets of an elliptical slice shrink to nothing long before.
_MOST_SHRINKS = 100


class Block(NamedTuple):
    """Particles that are moved together.

    Attributes:
        z: Their places, leaves (n, ...); the prior is N(0, I).
        mistakes: Of each on the training rows.
    """

    z: Tree
    mistakes: Int[Array, " n"]


class Setting(NamedTuple):
    """What a move needs of the problem.

    Attributes:
        draw: (key, n) → draws of N(0, I), leaves (n, ...).
        mistakes: Places → mistakes of each.
        log_weight: Log of the weight of every number of mistakes, 0 … n_train; −∞ forbids.
        size: How far a move goes, in (0, 1].
    """

    draw: Callable[[PRNGKeyArray, int], Tree]
    mistakes: Callable[[Tree], Int[Array, " n"]]
    log_weight: Float[Array, " levels"]
    size: Float[Array, ""]


class Move(Protocol):
    """A frozen dataclass of settings."""

    @property
    def target_acceptance(self) -> float | None:
        """The share of accepted moves at which ``Setting.size`` aims; None where it has no use."""
        ...

    def __call__(
        self, key: PRNGKeyArray, block: Block, setting: Setting
    ) -> tuple[Block, Float[Array, ""]]:
        """Move every particle once; the share of the particles that moved."""
        ...


@dataclass(frozen=True)
class PCN:
    """Preconditioned Crank–Nicolson (Cotter, Roberts, Stuart & White 2013).

    z′ = √(1 − s²)·z + s·ν with ν ~ N(0, I), which leaves the prior invariant; accepted where
    log U(0, 1) < log_weight[mistakes(z′)] − log_weight[mistakes(z)]. s is ``Setting.size``.

    Attributes:
        target_acceptance: Share of accepted moves at which s aims.
    """

    target_acceptance: float = 0.25

    def __call__(
        self, key: PRNGKeyArray, block: Block, setting: Setting
    ) -> tuple[Block, Float[Array, ""]]:
        """Move every particle once."""
        key_direction, key_accept = jax.random.split(key)
        n = len(block.mistakes)
        direction = setting.draw(key_direction, n)
        kept = jnp.sqrt(1 - setting.size**2)
        proposed = jax.tree.map(lambda z, v: kept * z + setting.size * v, block.z, direction)
        mistakes = setting.mistakes(proposed)
        gain = setting.log_weight[mistakes] - setting.log_weight[block.mistakes]
        accepted = jnp.log(jax.random.uniform(key_accept, (n,))) < gain
        z = _choose(accepted, proposed, block.z)
        return Block(z, jnp.where(accepted, mistakes, block.mistakes)), accepted.mean()


@dataclass(frozen=True)
class Elliptical:
    """Elliptical slice sampling (Murray, Adams & MacKay 2010): nothing to tune, and it always moves.

    log y = log_weight[mistakes(z)] + log U(0, 1); z′ = z cos φ + ν sin φ with φ ~ U(0, 2π), and φ anew
    from a bracket that shrinks towards 0 until log_weight[mistakes(z′)] > log y. The particles of a
    block wait for the last of them.
    """

    target_acceptance: None = None

    def __call__(
        self, key: PRNGKeyArray, block: Block, setting: Setting
    ) -> tuple[Block, Float[Array, ""]]:
        """Move every particle once."""
        key_direction, key_slice, key_angle, key_shrink = jax.random.split(key, 4)
        n = len(block.mistakes)
        direction = setting.draw(key_direction, n)
        level = setting.log_weight[block.mistakes] + jnp.log(jax.random.uniform(key_slice, (n,)))
        angle = 2 * jnp.pi * jax.random.uniform(key_angle, (n,))

        def proposed(angle: Array) -> Tree:
            return jax.tree.map(
                lambda z, v: _times(jnp.cos(angle), z) + _times(jnp.sin(angle), v),
                block.z,
                direction,
            )

        def shrink(carry: Any) -> Any:
            i, angle, low, high, _, _ = carry
            low, high = jnp.where(angle < 0, angle, low), jnp.where(angle < 0, high, angle)
            uniform = jax.random.uniform(jax.random.fold_in(key_shrink, i), (n,))
            angle = jnp.where(carry[4], angle, low + (high - low) * uniform)
            return i + 1, angle, low, high, *inside(angle)

        def inside(angle: Array) -> tuple[Array, Array]:
            mistakes = setting.mistakes(proposed(angle))
            return setting.log_weight[mistakes] > level, mistakes

        start = (0, angle, angle - 2 * jnp.pi, angle, *inside(angle))
        found = jax.lax.while_loop(
            lambda carry: (carry[0] < _MOST_SHRINKS) & ~carry[4].all(), shrink, start
        )
        _, angle, _, _, moved, mistakes = found
        z = _choose(moved, proposed(angle), block.z)
        return Block(z, jnp.where(moved, mistakes, block.mistakes)), moved.mean()


def _times(factor: Float[Array, " n"], leaf: Float[Array, "n ..."]) -> Float[Array, "n ..."]:
    return factor.reshape(-1, *[1] * (leaf.ndim - 1)) * leaf


def _choose(which: Array, new: Tree, old: Tree) -> Tree:
    return jax.tree.map(
        lambda a, b: jnp.where(which.reshape(-1, *[1] * (a.ndim - 1)), a, b), new, old
    )
