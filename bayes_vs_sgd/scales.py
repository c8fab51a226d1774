"""Distributions of a positive scale that is sampled, on its logarithm, which is unconstrained."""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .checks import require_positive


@dataclass(frozen=True)
class HalfCauchy:
    """τ = |t|, t ~ Cauchy(0, scale): its tail lets single scales be large (Gelman 2006).

    Attributes:
        scale: The median of τ.
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        require_positive("scale", self.scale)

    def log_prob_of_log(self, log_value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Log density of log τ: log p(τ) + log τ = log(2/π) + u − log(1 + e^{2u}), u = log(τ/scale)."""
        u = log_value - math.log(self.scale)
        return math.log(2 / math.pi) + u - jax.nn.softplus(2 * u)

    def sample_log(self, key: PRNGKeyArray) -> Float[Array, ""]:
        """One draw of log τ."""
        return math.log(self.scale) + jnp.log(jnp.abs(jax.random.cauchy(key)))

    def log_distribution(self) -> Any:
        """NumPyro's distribution of log τ."""
        return _log_of("HalfCauchy", self.scale)


@dataclass(frozen=True)
class HalfNormal:
    """τ = |t|, t ~ N(0, scale²).

    Attributes:
        scale: Root mean square of τ.
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        require_positive("scale", self.scale)

    def log_prob_of_log(self, log_value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Log density of log τ: log p(τ) + log τ = ½ log(2/π) + u − ½e^{2u}, u = log(τ/scale)."""
        u = log_value - math.log(self.scale)
        return 0.5 * math.log(2 / math.pi) + u - 0.5 * jnp.exp(2 * u)

    def sample_log(self, key: PRNGKeyArray) -> Float[Array, ""]:
        """One draw of log τ."""
        return math.log(self.scale) + jnp.log(jnp.abs(jax.random.normal(key)))

    def log_distribution(self) -> Any:
        """NumPyro's distribution of log τ."""
        return _log_of("HalfNormal", self.scale)


Scale = HalfCauchy | HalfNormal


def _log_of(name: str, scale: float) -> Any:
    # Importing NumPyro starts JAX, after which its devices cannot be chosen any more.
    from numpyro import distributions

    base = getattr(distributions, name)(scale)
    return distributions.TransformedDistribution(base, distributions.transforms.ExpTransform().inv)
