"""The noise level of a likelihood, sampled beside the variables of a prior."""

from dataclasses import dataclass
from typing import Any

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from ..scales import Scale
from .distributions import distributions_of
from .prior import Params, Prior, Shapes, params_of
from .sampling import variables_of

# The noise level among the variables, on its logarithm.
LOG_NOISE_STD = "log_noise_std"


@dataclass(frozen=True)
class WithNoise:
    """The variables of a prior, and the noise level σ of a likelihood beside them.

    The variable is log σ under ``"log_noise_std"``; its density includes the Jacobian.

    Attributes:
        prior: That of the network.
        noise: The distribution of σ.
    """

    prior: Prior
    noise: Scale

    def log_prob(self, params: Params) -> Float[Array, ""]:
        """The log density of the prior + log p(σ) + log σ."""
        return self.prior.log_prob(_without_noise(params)) + self.noise.log_prob_of_log(
            params[LOG_NOISE_STD]
        )

    def params(self, variables: Params) -> dict[str, Float[Array, "..."]]:
        """The network's parameters."""
        return params_of(self.prior)(_without_noise(variables))

    def sample_variables(self, key: PRNGKeyArray, shapes: Shapes) -> dict[str, Float[Array, "..."]]:
        """One draw of all variables."""
        key_prior, key_noise = jax.random.split(key)
        variables = variables_of(self.prior, key_prior, shapes)
        return {**variables, LOG_NOISE_STD: self.noise.sample_log(key_noise)}

    def sample(self, key: PRNGKeyArray, shapes: Shapes) -> dict[str, Float[Array, "..."]]:
        """One draw of all parameters of the network."""
        return self.params(self.sample_variables(key, shapes))

    def distributions(self, shapes: Shapes) -> dict[str, Any]:
        """NumPyro's distribution of every variable."""
        return {
            **distributions_of(self.prior, shapes),
            LOG_NOISE_STD: self.noise.log_distribution(),
        }


def _without_noise(variables: Params) -> dict[str, Float[Array, "..."]]:
    if LOG_NOISE_STD not in variables:
        raise ValueError(
            f"the variables lack {LOG_NOISE_STD!r}, the noise level that is sampled with the "
            "network; start from posterior.draw_prior(key, n)."
        )
    return {name: value for name, value in variables.items() if name != LOG_NOISE_STD}
