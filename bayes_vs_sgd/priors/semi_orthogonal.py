"""Semi-orthogonal weights to start from."""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .prior import Params, Shapes


@dataclass(frozen=True)
class SemiOrthogonal:
    """W (d_out, d_in) = √(d_out/d_in)·Q, with Q uniform over the semi-orthogonal matrices.

    The start of automatic gradient descent (arXiv 2304.05187): all singular values of a weight are
    √(d_out/d_in). The weight of a convolution (d_out, d_in, k_x, k_y) has a Q of its own at every
    position of its kernel, and √(d_out/(d_in·k_x·k_y)) in front. There is no density, so this is
    to start from, not to sample.
    """

    def log_prob(self, params: Params) -> Float[Array, ""]:
        """None: the draws fill no volume.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            "SemiOrthogonal has no density, because its draws fill no volume; start from it, and "
            "sample under a prior such as FanIn."
        )

    def sample(self, key: PRNGKeyArray, shapes: Shapes) -> dict[str, Float[Array, "..."]]:
        """One draw of all parameters.

        Raises:
            ValueError: A parameter has fewer than two axes.
        """
        for name, shape in shapes.items():
            if len(shape) < 2:
                raise ValueError(
                    f"{name} of shape {shape} is no matrix, so SemiOrthogonal does not say its "
                    "start; build the layers with bias=False."
                )
        keys = jax.random.split(key, len(shapes))
        return {n: _weight(k, s) for k, (n, s) in zip(keys, shapes.items(), strict=True)}


def _weight(key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
    n_out, n_in, *kernel = shape
    matrices = jax.random.orthogonal(key, n_out, tuple(kernel), m=n_in)
    scale = math.sqrt(n_out / (n_in * math.prod(kernel)))
    return scale * jnp.moveaxis(matrices, (-2, -1), (0, 1))
