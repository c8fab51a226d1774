"""Draws of a prior: one of all parameters in a single call of the generator, or many."""

import math
from collections.abc import Callable
from itertools import accumulate

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .prior import Prior, Shapes


def sample_many(
    prior: Prior, key: PRNGKeyArray, shapes: Shapes, n: int
) -> dict[str, Float[Array, "n ..."]]:
    """``n`` independent draws with a leading axis; draw i does not depend on ``n``."""
    return _many(lambda key: prior.sample(key, shapes), key, n)


def sample_variables(
    prior: Prior, key: PRNGKeyArray, shapes: Shapes, n: int
) -> dict[str, Float[Array, "n ..."]]:
    """``n`` independent draws, like ``sample_many``, of what is sampled in place of parameters."""
    return _many(lambda key: variables_of(prior, key, shapes), key, n)


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


def _many(
    draw_one: Callable[[PRNGKeyArray], dict[str, Array]], key: PRNGKeyArray, n: int
) -> dict[str, Array]:
    @jax.jit
    def draw(numbers: Array) -> dict[str, Array]:
        return jax.vmap(lambda i: draw_one(jax.random.fold_in(key, i)))(numbers)

    return draw(jnp.arange(n))
