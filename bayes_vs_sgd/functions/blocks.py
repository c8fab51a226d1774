"""Draws of the prior in blocks, each from a key of its own, over all devices and in one stream."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ..priors.normal import Normals
from ..priors.prior import Prior, Shapes
from ..programs import found_again
from ..samplers.devices import ChainMap
from .whitened import Whitened

# Networks of one key at most, and entries of their parameters at most: they fit a core's cache, and
# products of many small networks at once are fast.
_LARGEST_BLOCK = 64
_LARGEST_BLOCK_ENTRIES = 2**18
# Blocks that a device runs in one call.
_BLOCKS_A_CALL = 64


def block_size(dimension: int) -> int:
    """Networks of so many parameters that are drawn and run together: a power of 2, 64 at most."""
    fitting = _LARGEST_BLOCK_ENTRIES // max(dimension, 1)
    return min(_LARGEST_BLOCK, 2 ** max(fitting.bit_length() - 1, 0))


def dimension(shapes: Shapes) -> int:
    """Number of parameters."""
    return sum(int(np.prod(shape)) for shape in shapes.values())


def block_of_params(prior: Prior, shapes: Shapes) -> Callable[[PRNGKeyArray], dict[str, Array]]:
    """Key → parameters of a block of networks, leaves (block, ...)."""
    n = block_size(dimension(shapes))
    if not isinstance(prior, Normals):
        return lambda key: jax.vmap(lambda k: prior.sample(k, shapes))(jax.random.split(key, n))
    whitened = Whitened.of(prior, shapes)
    return lambda key: whitened.params(whitened.draw(key, n))


def stream(
    key: PRNGKeyArray, block: Callable[..., Any], *shared: Any, first: int, n_blocks: int
) -> Iterator[Any]:
    """What a function makes of the keys ``fold_in(key, b)`` of consecutive blocks, piece by piece.

    The devices compute the next piece while the host has the last. The same function is compiled once.

    Args:
        key: Root of the keys; keys of generators other than threefry are used as threefry's.
        block: Key, then what is shared → pytree of arrays.
        *shared: Pytrees of arrays that every block needs.
        first: Number of the first block.
        n_blocks: Blocks in all.

    Yields:
        Pytrees of arrays with a leading axis of blocks, in order; the pieces hold ``n_blocks`` in all.
    """
    n_devices = len(jax.devices())
    per_device = max(min(_BLOCKS_A_CALL, -(-n_blocks // n_devices)), 1)
    data = jax.random.key_data(key)[..., :2]
    chains, run = _compiled(block, per_device, n_devices, len(shared))

    def launch(done: int) -> Any:
        starts = first + done + per_device * jnp.arange(n_devices)
        return run(chains.put(starts), data, *shared)

    done, ahead = 0, launch(0) if n_blocks else None
    while ahead is not None:
        piece, start = ahead, done
        done = min(done + per_device * n_devices, n_blocks)
        ahead = launch(done) if done < n_blocks else None
        yield jax.tree.map(
            lambda a, n=done - start: np.asarray(a).reshape(-1, *a.shape[2:])[:n], piece
        )


@found_again(16)
def _compiled(
    block: Callable[..., Any], per_device: int, n_devices: int, n_shared: int
) -> tuple[ChainMap, Callable[..., Any]]:
    """One call of the devices: the first block of each, the key's data, what is shared → all blocks."""

    def call(starts: Array, data: Array, *shared: Any) -> Any:
        root = jax.random.wrap_key_data(data)
        numbers = (starts[:, None] + jnp.arange(per_device)).reshape(-1)
        found = jax.lax.map(lambda b: block(jax.random.fold_in(root, b), *shared), numbers)
        return jax.tree.map(lambda a: a.reshape(len(starts), per_device, *a.shape[1:]), found)

    chains = ChainMap(n_devices)
    return chains, chains.jit(call, n_shared=1 + n_shared)
