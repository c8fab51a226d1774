"""P(f), the prior over functions: parameters are drawn, and the functions that they make are counted."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, UInt32

from .. import progress as progress_bars
from ..checks import require_count
from ..posterior import Applied
from ..priors.prior import Prior
from ..programs import found_again
from ..storage import Checkpoint, digest
from .blocks import block_of_params, block_size, dimension, stream
from .patterns import classify, pack
from .table import Counter, FunctionCounts

_SECONDS_BETWEEN_SAVES = 20.0


def sample_prior(
    key: PRNGKeyArray,
    network: Applied,
    prior: Prior,
    inputs: Any,
    *,
    n_draws: int,
    n_classes: int = 2,
    first_draw: int = 0,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> FunctionCounts:
    """Count the functions that independent draws of the prior make on some inputs.

    Draws come in blocks of ``block_size`` (64 for small networks); block b uses ``fold_in(key, b)`` and
    depends on nothing else. So runs with
    the same key and consecutive ranges of draws, on whatever machines, merge into what one run of all
    of them would have counted (``FunctionCounts.merged``). Single precision.

    Args:
        key: A JAX random key.
        network: Anything with ``apply(params, x)`` and ``shapes``, such as a ``Network``; its outputs
            are one logit, or one a class.
        prior: What parameters are drawn from. Independent normals are drawn fastest.
        inputs: Shape (n, ...): where functions are told apart.
        n_draws: Number of draws.
        n_classes: Classes; 2 for one logit.
        first_draw: Number of the first draw, a multiple of the block.
        checkpoint: A folder in which a killed run goes on.
        progress: Show draws, functions found and the time left.

    Returns:
        The counts; their ``total`` is ``n_draws``.

    Raises:
        ValueError: A count is not possible, the outputs are not those of so many classes, or the
            folder holds another run.
    """
    require_count("n_draws", n_draws)
    require_count("first_draw", first_draw, least=0)
    size = block_size(dimension(network.shapes))
    if first_draw % size:
        raise ValueError(f"first_draw={first_draw} is no multiple of {size}, a block of draws.")
    x = jnp.asarray(inputs)
    require_outputs(network, x, n_classes)
    folder, n_done, counter = _resumed(
        checkpoint, key, network, prior, x, n_draws, first_draw, n_classes
    )
    pieces = stream(
        key,
        _patterns(network, prior, n_classes),
        x,
        first=(first_draw + n_done) // size,
        n_blocks=-(-(n_draws - n_done) // size),
    )
    saved = time.monotonic()
    with progress_bars.bar("prior functions", n_draws, show=progress) as report:
        for words in pieces:
            rows = words.reshape(-1, words.shape[-1])[: n_draws - n_done]
            counter.add(rows)
            n_done += len(rows)
            report(n_done, f"{n_done:,} draws")
            if folder is not None and time.monotonic() - saved > _SECONDS_BETWEEN_SAVES:
                _save(folder, n_done, counter)
                saved = time.monotonic()
    if folder is not None:
        _save(folder, n_done, counter)
    return counter.result()


@found_again(16)
def _patterns(
    network: Applied, prior: Prior, n_classes: int
) -> Callable[[PRNGKeyArray, Array], UInt32[Array, "block words"]]:
    """Key, inputs → packed patterns of a block of networks drawn from the prior."""
    draw = block_of_params(prior, network.shapes)

    def block(key: PRNGKeyArray, x: Array) -> UInt32[Array, "block words"]:
        classes = jax.vmap(lambda params: classify(network.apply(params, x)))(draw(key))
        return pack(classes, n_classes)

    return block


def require_outputs(network: Applied, x: Array, n_classes: int) -> None:
    """Refuse a network whose outputs are not one logit, or one a class.

    Raises:
        ValueError: They have another shape.
    """
    params = {
        name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in network.shapes.items()
    }
    shape = jax.eval_shape(network.apply, params, x).shape
    n_logits = int(np.prod(shape[1:]))
    if (
        len(shape) < 1
        or shape[0] != len(x)
        or n_logits not in ({1, 2} if n_classes == 2 else {n_classes})
    ):
        raise ValueError(
            f"the network's outputs have shape {shape} for {len(x)} inputs; {n_classes} classes need one "
            f"logit a class{' or a single one' if n_classes == 2 else ''} for every input."
        )


def _resumed(
    checkpoint: str | Path | None,
    key: PRNGKeyArray,
    network: Applied,
    prior: Prior,
    x: Array,
    n_draws: int,
    first_draw: int,
    n_classes: int,
) -> tuple[Checkpoint | None, int, Counter]:
    empty = FunctionCounts.empty(len(x), n_classes)
    if checkpoint is None:
        return None, 0, Counter(empty)
    zeros = {name: jnp.full(shape, 0.1) for name, shape in network.shapes.items()}
    settings = {
        "key": np.asarray(jax.random.key_data(key)).tolist(),
        "prior": repr(prior),
        "parameters": {name: list(shape) for name, shape in network.shapes.items()},
        "outputs at 0.1": digest(np.asarray(network.apply(zeros, x))),
        "inputs": digest(np.asarray(x)),
        "n_draws": n_draws,
        "first_draw": first_draw,
        "n_classes": n_classes,
    }
    folder = Checkpoint(checkpoint, settings)
    found = folder.load()
    if found is None:
        return folder, 0, Counter(empty)
    progress, (words, counts) = found
    return folder, progress["n_done"], Counter(FunctionCounts(words, counts, len(x), n_classes))


def _save(folder: Checkpoint, n_done: int, counter: Counter) -> None:
    counts = counter.result()
    folder.save({"n_done": n_done}, [counts.words, counts.counts])
