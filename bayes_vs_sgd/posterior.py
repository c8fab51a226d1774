"""The posterior: prior × likelihood^(1/temperature), as one log density for every method."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .likelihoods import Likelihood
from .priors import Prior, sample_many
from .types import Dataset


class Applied(Protocol):
    """What a posterior needs of a network."""

    shapes: dict[str, tuple[int, ...]]

    def apply(self, params: Any, *inputs: Array) -> Any:
        """The network's output as a pure JAX function."""
        ...


@dataclass(frozen=True)
class Posterior:
    """log p(θ | data) = log prior(θ) + (1/T) Σ_i log p(data_i | θ) + constant.

    Only the likelihood is tempered: T = 1 is Bayes, T → 0 its maximum, T → ∞ the prior.

    Attributes:
        log_prior: Parameters → scalar.
        log_likelihood: (parameters, data) → one log likelihood a row, shape (n,).
        data: Pytree of arrays with a leading row axis; what ``log_likelihood`` takes.
        temperature: T > 0.
        sample_prior: (key, n) → parameters with a leading axis of n; None where it is unknown.

    Raises:
        ValueError: The temperature is not positive, or the data have rows unequal in number.
    """

    log_prior: Callable[[Any], Float[Array, ""]]
    log_likelihood: Callable[[Any, Any], Float[Array, " n"]]
    data: Any
    temperature: float = 1.0
    sample_prior: Callable[[PRNGKeyArray, int], Any] | None = None

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(
                f"temperature={self.temperature} is not positive; T=1 is Bayes, small T the MAP."
            )
        rows = {len(leaf) for leaf in jax.tree.leaves(self.data)}
        if len(rows) != 1:
            raise ValueError(f"data has leaves with {sorted(rows)} rows; all must have the same.")

    @classmethod
    def of(
        cls,
        network: Applied,
        dataset: Dataset,
        likelihood: Likelihood,
        prior: Prior,
        *,
        temperature: float = 1.0,
    ) -> "Posterior":
        """The posterior of a network on the training rows of a dataset.

        Args:
            network: Anything with ``apply(params, x)`` and ``shapes``, such as a ``Network``.
            dataset: Its training rows are the data.
            likelihood: One of ``likelihoods``.
            prior: One of ``priors``.
            temperature: T of prior × likelihood^(1/T).
        """

        def log_likelihood(params: Any, data: tuple[Array, Array]) -> Float[Array, " n"]:
            x, y = data
            return likelihood.log_prob(network.apply(params, x), y)

        def sample_prior(key: PRNGKeyArray, n: int) -> Any:
            return sample_many(prior, key, network.shapes, n)

        data = (jnp.asarray(dataset.x_train), jnp.asarray(dataset.y_train))
        return cls(prior.log_prob, log_likelihood, data, temperature, sample_prior)

    def draw_prior(self, key: PRNGKeyArray, n: int) -> Any:
        """Draws of the prior with a leading axis of ``n``, to start chains from.

        Raises:
            ValueError: ``sample_prior`` was not given.
        """
        if self.sample_prior is None:
            raise ValueError("this posterior knows no draws of its prior; pass sample_prior to it.")
        return self.sample_prior(key, n)

    @property
    def n_rows(self) -> int:
        """Number of training rows."""
        return len(jax.tree.leaves(self.data)[0])

    def log_density(self, params: Any) -> Float[Array, ""]:
        """Log prior(θ) + (1/T) Σ_i log p(data_i | θ), up to the log evidence."""
        return (
            self.log_prior(params) + self.log_likelihood(params, self.data).sum() / self.temperature
        )

    def log_density_estimate(self, params: Any, batch: Any) -> Float[Array, ""]:
        """Log prior(θ) + (n/|batch|)(1/T) Σ_{i ∈ batch} log p(data_i | θ).

        Unbiased for ``log_density`` when every row is equally likely to be in the batch.

        Args:
            params: One set of parameters.
            batch: Rows of ``data``: the same pytree with a shorter leading axis.
        """
        scale = self.n_rows / len(jax.tree.leaves(batch)[0])
        log_likelihood = self.log_likelihood(params, batch).sum()
        return self.log_prior(params) + scale * log_likelihood / self.temperature
