"""A prior whose scales are sampled with the network."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..scales import HalfCauchy, Scale
from .distributions import distributions_of
from .prior import Params, Prior, Shapes

_UNSCALED, _LOG_SCALE = ".unscaled", ".log_scale"


@dataclass(frozen=True)
class Hierarchical:
    """A scale of its own for every parameter, sampled with it: θ_n = τ_n·v_n, v_n ~ base, τ_n ~ scale.

    Every name (the weight of a layer, its bias) has one τ. The form is the non-centred one: the
    variables are v_n under ``"n.unscaled"`` and log τ_n under ``"n.log_scale"``, both unconstrained,
    independent under the prior, and the density of log τ includes its Jacobian. ``params`` makes
    the parameters of them.

    Attributes:
        base: The prior where τ = 1; one centred at 0, else its means are scaled too.
        scale: The distribution of τ.

    Raises:
        ValueError: The base has scales of its own.
    """

    base: Prior
    scale: Scale = HalfCauchy()  # noqa: RUF009

    def __post_init__(self) -> None:
        if hasattr(self.base, "params"):
            raise ValueError(
                f"base={self.base} is no prior on the parameters themselves; pass one such as "
                "FanIn or Normal."
            )

    def log_prob(self, params: Params) -> Float[Array, ""]:
        """Σ log p_base(v_n) + Σ_n [log p(τ_n) + log τ_n] of the variables.

        Raises:
            ValueError: These are not the variables.
        """
        unscaled, log_scales = _split(params)
        return self.base.log_prob(unscaled) + sum(
            (self.scale.log_prob_of_log(value) for value in log_scales.values()),
            start=jnp.zeros(()),
        )

    def params(self, variables: Params) -> dict[str, Float[Array, "..."]]:
        """The network's parameters τ_n·v_n.

        Raises:
            ValueError: These are not the variables.
        """
        unscaled, log_scales = _split(variables)
        return {name: jnp.exp(log_scales[name]) * value for name, value in unscaled.items()}

    def sample_variables(self, key: PRNGKeyArray, shapes: Shapes) -> dict[str, Float[Array, "..."]]:
        """One draw of all variables."""
        key_base, key_scale = jax.random.split(key)
        unscaled = self.base.sample(key_base, shapes)
        keys = jax.random.split(key_scale, len(shapes))
        scales = [self.scale.sample_log(k) for k in keys]
        return {f"{n}{_UNSCALED}": value for n, value in unscaled.items()} | {
            f"{n}{_LOG_SCALE}": value for n, value in zip(shapes, scales, strict=True)
        }

    def sample(self, key: PRNGKeyArray, shapes: Shapes) -> dict[str, Float[Array, "..."]]:
        """One draw of all parameters of the network."""
        return self.params(self.sample_variables(key, shapes))

    def distributions(self, shapes: Shapes) -> dict[str, Any]:
        """NumPyro's distribution of every variable."""
        base = distributions_of(self.base, shapes)
        return {f"{n}{_UNSCALED}": value for n, value in base.items()} | {
            f"{n}{_LOG_SCALE}": self.scale.log_distribution() for n in shapes
        }


def _split(variables: Params) -> tuple[dict[str, Array], dict[str, Array]]:
    """Unscaled values and log scales of a hierarchical prior, both by parameter name."""
    unscaled, log_scales = (
        {n.removesuffix(end): value for n, value in variables.items() if n.endswith(end)}
        for end in (_UNSCALED, _LOG_SCALE)
    )
    if set(unscaled) != set(log_scales) or len(variables) != 2 * len(unscaled):
        raise ValueError(
            f"{sorted(variables)} are not the variables of a hierarchical prior, which are "
            f"'name{_UNSCALED}' and 'name{_LOG_SCALE}' for every parameter; start from "
            "posterior.draw_prior(key, n)."
        )
    return unscaled, log_scales
