"""Draws of a prior: one of all parameters in a single call of the generator, or many."""

import math
from collections.abc import Callable
from itertools import accumulate

import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..programs import found_again
from .prior import Prior, Shapes


def sample_many(
    prior: Prior, key: PRNGKeyArray, shapes: Shapes, n: int, *, first: int = 0
) -> dict[str, Float[Array, "n ..."]]:
    """Independent draws number ``first`` to ``first + n − 1`` with a leading axis.

    Draw i is ``prior.sample(fold_in(key, i), shapes)`` and does not depend on ``n`` but for rounding.
    """
    return _compiled(_params_of, prior, tuple(shapes.items()))(key, first + np.arange(n))


def sample_variables(
    prior: Prior, key: PRNGKeyArray, shapes: Shapes, n: int
) -> dict[str, Float[Array, "n ..."]]:
    """``n`` independent draws, like ``sample_many``, of what is sampled in place of parameters."""
    return _compiled(variables_of, prior, tuple(shapes.items()))(key, np.arange(n))


def variables_of(prior: Prior, key: PRNGKeyArray, shapes: Shapes) -> dict[str, Array]:
    """One draw of what is sampled in place of parameters; of those where the prior is on them."""
    return getattr(prior, "sample_variables", prior.sample)(key, shapes)


def sample_entries(
    draw: Callable[[PRNGKeyArray, tuple[int]], Array], key: PRNGKeyArray, shapes: Shapes
) -> dict[str, Float[Array, "..."]]:
    """Every entry of every parameter from one law; one call of the generator compiles much faster.

    Args:
        draw: (key, shape) → draws of that law.
        key: Random key.
        shapes: By parameter name.
    """
    ends = list(accumulate(math.prod(shape) for shape in shapes.values()))
    starts = [0, *ends[:-1]]
    flat = draw(key, (ends[-1] if ends else 0,))
    return {
        name: flat[start:end].reshape(shape)
        for (name, shape), start, end in zip(shapes.items(), starts, ends, strict=True)
    }


def _params_of(prior: Prior, key: PRNGKeyArray, shapes: Shapes) -> dict[str, Array]:
    return prior.sample(key, shapes)


@found_again(32)
def _compiled(
    draw: Callable[..., dict[str, Array]],
    prior: Prior,
    shapes: tuple[tuple[str, tuple[int, ...]], ...],
) -> Callable[[PRNGKeyArray, np.ndarray], dict[str, Array]]:
    """Key, numbers → the draws of those numbers."""

    def one(key: PRNGKeyArray, number: Array) -> dict[str, Array]:
        return draw(prior, jax.random.fold_in(key, number), dict(shapes))

    return jax.jit(jax.vmap(one, in_axes=(None, 0)))
