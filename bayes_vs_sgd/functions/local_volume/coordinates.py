"""Parameters as one vector, in the coordinates in which their prior is N(0, I)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Array, Float

from ...conjugate.features import by_entry, unflatten
from ...priors import Prior, Shapes, gaussian_stds


@dataclass(frozen=True)
class Coordinates:
    """z with θ_n = std_n·z_n, the parameters in the order of their names, each flattened in C order.

    Attributes:
        shapes: (name, shape) of every parameter.
        stds: Standard deviation of the prior of every parameter.
    """

    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    stds: tuple[float, ...]

    @classmethod
    def of(cls, prior: Prior, shapes: Shapes) -> "Coordinates":
        """The coordinates of a prior.

        Raises:
            ValueError: The prior is not made of normals around 0 of positive width.
        """
        stds = gaussian_stds(prior, shapes)
        ordered = tuple((name, tuple(shape)) for name, shape in shapes.items())
        return cls(ordered, tuple(float(stds[name]) for name, _ in ordered))

    @property
    def by_name(self) -> dict[str, tuple[int, ...]]:
        """Parameter name → shape."""
        return dict(self.shapes)

    @property
    def dimension(self) -> int:
        """Length of z."""
        return sum(math.prod(shape) for _, shape in self.shapes)

    @property
    def scales(self) -> Float[np.ndarray, " d"]:
        """The prior's standard deviation of every entry."""
        names = (name for name, _ in self.shapes)
        return by_entry(dict(zip(names, self.stds, strict=True)), self.by_name)

    def params(self, z: Float[Array, " d"]) -> dict[str, Float[Array, "..."]]:
        """The parameters at z; pure JAX."""
        split = unflatten(z, self.by_name)
        return {
            name: std * split[name] for (name, _), std in zip(self.shapes, self.stds, strict=True)
        }

    def z(self, params: Mapping[str, Any]) -> Float[np.ndarray, " d"]:
        """The place of parameters, in float64.

        Raises:
            ValueError: They hold numbers that are not finite.
        """
        flat = [np.ravel(np.asarray(params[name], dtype=np.float64)) for name, _ in self.shapes]
        place = np.concatenate(flat) / self.scales
        if not np.isfinite(place).all():
            raise ValueError(
                "the centre holds numbers that are not finite; pass a network that trained."
            )
        return place
