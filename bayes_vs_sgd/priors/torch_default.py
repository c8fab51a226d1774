"""PyTorch's own initialisation as a prior."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.stats as stats
from jaxtyping import Array, Float, PRNGKeyArray

from .distributions import shaped
from .normal import Independent
from .prior import Params, Shapes, fan_in, shapes_of
from .sampling import sample_entries


@dataclass(frozen=True)
class TorchDefault:
    """PyTorch's own initialisation of Linear and convolution layers as a prior.

    PyTorch draws weight and bias of such a layer from U(−1/√fan_in, 1/√fan_in), where a bias takes
    the fan-in of the weight of its layer (``name.weight`` for ``name.bias``).

    Attributes:
        family: ``"uniform"``, exactly that (its density is 0 outside, where HMC rejects); or
            ``"normal"``, N(0, 1/(3·fan_in)), the normal of the same variance.
    """

    family: str = "uniform"

    def __post_init__(self) -> None:
        if self.family not in ("uniform", "normal"):
            raise ValueError(f"family={self.family!r} is unknown; pass 'uniform' or 'normal'.")

    def bound(self, name: str, shapes: Shapes) -> float:
        """1/√fan_in of the layer that the parameter belongs to.

        Raises:
            ValueError: A bias has no weight beside it.
        """
        shape = shapes[name]
        if len(shape) <= 1:
            weight = name.removesuffix("bias") + "weight"
            if weight not in shapes or len(shapes[weight]) < 2:
                raise ValueError(
                    f"{name} belongs to no Linear or convolution layer, so PyTorch's default does "
                    "not say its distribution; use priors.FanIn or priors.Normal."
                )
            shape = shapes[weight]
        return 1 / math.sqrt(fan_in(shape))

    def log_prob(self, params: Params) -> Float[Array, ""]:
        """Σ log U(θ; ±1/√fan_in), or Σ log N(θ; 0, 1/(3·fan_in))."""
        shapes = shapes_of(params)
        if self.family == "normal":
            return self._normal(shapes).log_prob(params)
        bounds = self._bounds(shapes)
        return sum(
            (stats.uniform.logpdf(v, -bounds[n], 2 * bounds[n]).sum() for n, v in params.items()),
            start=jnp.zeros(()),
        )

    def sample(self, key: PRNGKeyArray, shapes: Shapes) -> dict[str, Float[Array, "..."]]:
        """One draw of all parameters."""
        if self.family == "normal":
            return self._normal(shapes).sample(key, shapes)
        bounds = self._bounds(shapes)
        standard = sample_entries(partial(jax.random.uniform, minval=-1.0), key, shapes)
        return {name: bounds[name] * value for name, value in standard.items()}

    def distributions(self, shapes: Shapes) -> dict[str, Any]:
        """NumPyro's distribution of every parameter."""
        if self.family == "normal":
            return self._normal(shapes).distributions(shapes)
        # Importing NumPyro starts JAX, after which its devices cannot be chosen any more.
        from numpyro.distributions import Uniform

        return {n: shaped(Uniform(-b, b), shapes[n]) for n, b in self._bounds(shapes).items()}

    def gaussian_stds(self, shapes: Shapes) -> dict[str, float]:
        """Standard deviation by parameter name, where the family is normal.

        Raises:
            ValueError: The family is uniform.
        """
        if self.family == "uniform":
            raise ValueError(
                "TorchDefault('uniform') is not normal; pass TorchDefault('normal'), the normal of "
                "the same variance."
            )
        return self._normal(shapes).gaussian_stds(shapes)

    def _bounds(self, shapes: Shapes) -> dict[str, float]:
        return {name: self.bound(name, shapes) for name in shapes}

    def _normal(self, shapes: Shapes) -> Independent:
        return Independent({n: b / math.sqrt(3) for n, b in self._bounds(shapes).items()})
