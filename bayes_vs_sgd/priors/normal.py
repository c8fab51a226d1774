"""Priors that are independent normals: they differ in whose standard deviation is which."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..checks import require_positive
from .distributions import shaped
from .prior import Params, Shapes, fan_in, shapes_of
from .sampling import sample_entries


class Normals(ABC):
    """Independent normals: θ_n ~ N(mean_n, std_n²), every entry of the parameter of name n alike.

    A subclass says the standard deviations and, where they are not 0, the means.
    """

    @abstractmethod
    def stds_of(self, shapes: Shapes) -> Mapping[str, float]:
        """Standard deviation by parameter name, 0 or more."""

    def means_of(self, shapes: Shapes) -> Mapping[str, float]:
        """Mean by parameter name; 0 where it is not given."""
        return {}

    def log_prob(self, params: Params) -> Float[Array, ""]:
        """Σ_n [−½ Σ ((θ_n − mean_n)/std_n)² − size_n·log(std_n √(2π))].

        A constant inside the sum over entries makes it several times slower for many chains at once.

        Raises:
            ValueError: A standard deviation is 0.
        """
        shapes = shapes_of(params)
        stds, means = self._positive_stds(shapes), self.means_of(shapes)
        terms = [
            -0.5 * jnp.square((value - means.get(name, 0.0)) / stds[name]).sum()
            - value.size * math.log(stds[name] * math.sqrt(2 * math.pi))
            for name, value in params.items()
        ]
        return sum(terms, start=jnp.zeros(()))

    def sample(self, key: PRNGKeyArray, shapes: Shapes) -> dict[str, Float[Array, "..."]]:
        """One draw of all parameters."""
        stds, means = self.stds_of(shapes), self.means_of(shapes)
        standard = sample_entries(jax.random.normal, key, shapes)
        return {n: means.get(n, 0.0) + stds[n] * value for n, value in standard.items()}

    def distributions(self, shapes: Shapes) -> dict[str, Any]:
        """NumPyro's distribution of every parameter.

        Raises:
            ValueError: A standard deviation is 0.
        """
        # Importing NumPyro starts JAX, after which its devices cannot be chosen any more.
        from numpyro.distributions import Normal

        stds, means = self._positive_stds(shapes), self.means_of(shapes)
        return {n: shaped(Normal(means.get(n, 0.0), stds[n]), s) for n, s in shapes.items()}

    def gaussian_stds(self, shapes: Shapes) -> dict[str, float]:
        """Standard deviation by parameter name, where all of the prior is normals around 0.

        Raises:
            ValueError: A mean is not 0, or a standard deviation is 0.
        """
        shifted = {name: mean for name, mean in self.means_of(shapes).items() if mean != 0}
        if shifted:
            raise ValueError(
                f"the prior has the means {shifted}, but only normals around 0 are possible here; "
                "leave the means out."
            )
        return self._positive_stds(shapes)

    def _positive_stds(self, shapes: Shapes) -> dict[str, float]:
        stds = dict(self.stds_of(shapes))
        for name, std in stds.items():
            if not std > 0:
                raise ValueError(
                    f"stds[{name!r}]={std} gives a prior without density in {self}; pass a positive "
                    "number."
                )
        return stds


@dataclass(frozen=True)
class Normal(Normals):
    """The same normal on every parameter: θ ~ N(0, std²).

    Attributes:
        std: Standard deviation.
    """

    std: float = 1.0

    def __post_init__(self) -> None:
        require_positive("std", self.std)

    def stds_of(self, shapes: Shapes) -> dict[str, float]:
        """``std`` for every name."""
        return dict.fromkeys(shapes, self.std)


@dataclass(frozen=True)
class FanIn(Normals):
    """Normal weights scaled by fan-in: w ~ N(0, std²/fan_in), b ~ N(0, bias_std²).

    With ``std=√2`` and ``bias_std=0`` its draws are He's initialisation (arXiv 1502.01852); a prior
    of zero width has no density, so that one is to start from, not to sample.

    Attributes:
        std: Standard deviation of a weight times √fan_in.
        bias_std: Standard deviation of parameters with one axis.
    """

    std: float = 1.0
    bias_std: float = 1.0

    def __post_init__(self) -> None:
        require_positive("std", self.std)
        if not self.bias_std >= 0:
            raise ValueError(f"bias_std={self.bias_std} is negative; pass 0 or more.")

    def scale(self, shape: tuple[int, ...]) -> float:
        """The standard deviation of a parameter of this shape."""
        return self.std / math.sqrt(fan_in(shape)) if len(shape) > 1 else self.bias_std

    def stds_of(self, shapes: Shapes) -> dict[str, float]:
        """std/√fan_in of a weight, bias_std of a bias."""
        return {name: self.scale(shape) for name, shape in shapes.items()}


@dataclass(frozen=True)
class Independent(Normals):
    """A normal of its own for every parameter name: θ_name ~ N(mean_name, std_name²).

    Its methods refuse names that are not those of ``stds``.

    Attributes:
        stds: Standard deviation by parameter name. With 0 the parameter starts at its mean; there
            is no density then, so that such a prior is to start from, not to sample.
        means: Mean by parameter name; 0 where it is not given.

    Raises:
        ValueError: A standard deviation is negative, or a mean has no standard deviation.
    """

    stds: Mapping[str, float]
    means: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, std in self.stds.items():
            if not std >= 0:
                raise ValueError(f"stds[{name!r}]={std} is not possible; pass 0 or more.")
        unknown = sorted(set(self.means) - set(self.stds))
        if unknown:
            raise ValueError(f"means names {unknown}, which stds lacks; give each of them a std.")
        # Copies, so that what is found again by this prior stays true of it.
        object.__setattr__(self, "stds", dict(self.stds))
        object.__setattr__(self, "means", dict(self.means))

    def __hash__(self) -> int:
        return hash((frozenset(self.stds.items()), frozenset(self.means.items())))

    def stds_of(self, shapes: Shapes) -> Mapping[str, float]:
        """``stds`` itself.

        Raises:
            ValueError: The names are not those of ``stds``.
        """
        missing = sorted(set(shapes) - set(self.stds))
        unknown = sorted(set(self.stds) - set(shapes))
        if missing or unknown:
            raise ValueError(
                f"stds lacks {missing} and has unknown {unknown}; its names must be those of the "
                "network's parameters."
            )
        return self.stds

    def means_of(self, shapes: Shapes) -> Mapping[str, float]:
        """``means`` itself."""
        return self.means
