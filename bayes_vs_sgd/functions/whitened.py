"""Parameters in the coordinates in which their prior is N(0, I)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..priors import gaussian_stds
from ..priors.normal import Normals
from ..priors.prior import Prior, Shapes
from ..random_bits import random_normals

Tree = Mapping[str, Float[Array, "..."]]


@dataclass(frozen=True)
class Whitened:
    """Parameters of a prior of independent normals: θ_n = mean_n + std_n·z_n, z ~ N(0, I).

    A standard deviation of 0 is allowed: such a parameter stays at its mean.

    Attributes:
        names: Of the parameters.
        shapes: Of each.
        means: Of each.
        stds: Of each.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    means: tuple[float, ...]
    stds: tuple[float, ...]

    @classmethod
    def of(cls, prior: Prior, shapes: Shapes) -> "Whitened":
        """The coordinates of a prior.

        Raises:
            ValueError: The prior is none of independent normals on the parameters.
        """
        means: Mapping[str, float] = {}
        if isinstance(prior, Normals):
            stds, means = prior.stds_of(shapes), prior.means_of(shapes)
        else:
            stds = gaussian_stds(prior, shapes)
        names = tuple(shapes)
        return cls(
            names,
            tuple(tuple(shapes[name]) for name in names),
            tuple(float(means.get(name, 0.0)) for name in names),
            tuple(float(stds[name]) for name in names),
        )

    @property
    def dimension(self) -> int:
        """Number of entries of z."""
        return sum(math.prod(shape) for shape in self.shapes)

    def params(self, z: Tree) -> dict[str, Float[Array, "..."]]:
        """The parameters at z, by name; any leading axes."""
        return {
            name: std * z[name] + mean if mean else std * z[name]
            for name, mean, std in zip(self.names, self.means, self.stds, strict=True)
        }

    def z(self, params: Mapping[str, Any]) -> dict[str, Float[Array, "..."]]:
        """The place of parameters; any leading axes.

        Raises:
            ValueError: A standard deviation is 0, so that no z belongs to them.
        """
        for name, std in zip(self.names, self.stds, strict=True):
            if std == 0:
                raise ValueError(
                    f"the prior of {name} has width 0, so parameters have no place in it; pass a "
                    "positive standard deviation."
                )
        return {
            name: (jnp.asarray(params[name]) - mean) / std
            for name, mean, std in zip(self.names, self.means, self.stds, strict=True)
        }

    def draw(self, key: PRNGKeyArray, n: int) -> dict[str, Float[Array, "..."]]:
        """Draws of z ~ N(0, I) with a leading axis of ``n``, in single precision."""
        # The barrier keeps XLA from drawing them anew in every use.
        flat = jax.lax.optimization_barrier(random_normals(key, n * self.dimension))
        found, start = {}, 0
        for name, shape in zip(self.names, self.shapes, strict=True):
            end = start + n * math.prod(shape)
            found[name] = flat[start:end].reshape(n, *shape)
            start = end
        return found
