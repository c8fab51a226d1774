"""Which rows a network sees at a step, as a function of its seed and the step alone.

Counters in place of generators with a state: what one network sees does not depend on the networks
beside it, and a run that was killed goes on at any step.
"""

from functools import cache, partial

import jax
import numpy as np
from jaxtyping import Array, Float, Int, UInt

from ..random_bits import random_bits

# Streams of the root key beside that of the starting points, which take its first children.
_ORDERS, _UNIFORMS = 2**32 - 1, 2**32 - 2
_LOW = np.uint64(2**32 - 1)
# Orders are made for as many epochs in one go as keep to so many numbers.
_NUMBERS_AT_ONCE = 2**18


class Batches:
    """Rows in batches without replacement, in an order of its own for every network and epoch.

    Rows that are left at an epoch's end and fill no batch are left out of that epoch.

    Args:
        seed: Root of all randomness.
        n_rows: Training rows.
        batch_size: Rows a step.

    Attributes:
        steps_per_epoch: Batches that an epoch's rows fill.
    """

    def __init__(self, seed: int, n_rows: int, batch_size: int) -> None:
        self._n_rows, self.batch_size = n_rows, batch_size
        self.steps_per_epoch = n_rows // batch_size
        with jax.default_device(_cpu()):
            root = jax.random.key(seed, impl="threefry2x32")
            self._orders, self._uniforms = (
                jax.random.fold_in(root, s) for s in (_ORDERS, _UNIFORMS)
            )

    @property
    def is_whole(self) -> bool:
        """Whether every batch holds all rows, so that their order does not matter."""
        return self.batch_size == self._n_rows

    def orders(
        self,
        seeds: Int[np.ndarray, " n"],
        epochs: Int[np.ndarray, " m"],
        out: Int[np.ndarray, "m n row"] | None = None,
    ) -> Int[np.ndarray, "m n row"]:
        """The order of all rows in epochs counted from 0: uniform, independent by seed and epoch.

        Rows are sorted by 32 random bits; of equal bits (2⁻³² a pair) the smaller number goes first.

        Args:
            seeds: Numbers of the networks.
            epochs: Numbers of the epochs.
            out: Where the result is written; fresh memory costs as much as the sorting.
        """
        bits = _bits(self._orders, seeds, epochs, self._n_rows)
        keys = np.empty(bits.shape, np.uint64) if out is None else out.view(np.uint64)
        np.left_shift(bits, np.uint64(32), out=keys, dtype=np.uint64)
        keys |= np.arange(self._n_rows, dtype=np.uint64)
        keys.sort(axis=-1)
        keys &= _LOW
        return keys.view(np.int64)

    def uniforms(
        self, seeds: Int[np.ndarray, " n"], step: int, n: int
    ) -> Float[np.ndarray, "n_seeds batch n"]:
        """``n`` numbers in [0, 1) for every row of the batch of a step, counted from 0."""
        bits = _bits(self._uniforms, seeds, np.array([step]), self.batch_size * n)[0]
        # 24 bits are what float32 can hold without rounding up to 1.
        floats = (bits >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)
        return floats.reshape(len(seeds), self.batch_size, n)


class Feed:
    """The batches of one stack of networks, step after step, with the orders of some epochs at hand.

    Args:
        batches: Of all networks.
        seeds: Of these, shape (n,).
    """

    def __init__(self, batches: Batches, seeds: Int[np.ndarray, " n"]) -> None:
        self._batches, self._seeds = batches, seeds
        rows_an_epoch = len(seeds) * batches.steps_per_epoch * batches.batch_size
        self._length = int(np.clip(_NUMBERS_AT_ONCE // rows_an_epoch, 1, 64))
        self._block = -1
        self._orders: np.ndarray | None = None

    def rows(self, step: int) -> Int[np.ndarray, "n batch"]:
        """The rows of a step, counted from 0; a later call may write over them."""
        epoch, step_of_epoch = divmod(step, self._batches.steps_per_epoch)
        block, at = divmod(epoch, self._length)
        if block != self._block or self._orders is None:
            epochs = np.arange(block * self._length, (block + 1) * self._length)
            self._orders = self._batches.orders(self._seeds, epochs, self._orders)
            self._block = block
        start = step_of_epoch * self._batches.batch_size
        return self._orders[at, :, start : start + self._batches.batch_size]


@cache
def _cpu() -> jax.Device:
    return jax.local_devices(backend="cpu")[0]


def _bits(
    root: Array, seeds: Int[np.ndarray, " n"], counters: Int[np.ndarray, " m"], n: int
) -> UInt[np.ndarray, "m n_seeds n"]:
    with jax.default_device(_cpu()):
        return np.asarray(_many_bits(root, seeds.astype(np.uint32), counters.astype(np.uint32), n))


@partial(jax.jit, static_argnums=3)
def _many_bits(root: Array, seeds: Array, counters: Array, n: int) -> UInt[Array, "m n_seeds n"]:
    def one(counter: Array, number: Array) -> Array:
        return random_bits(jax.random.fold_in(jax.random.fold_in(root, number), counter), n)

    return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(counters, seeds)
