"""The posterior: prior × likelihood^(1/temperature), as one log density for every method."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .checks import require_count
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
        micro_batch: Rows that the likelihood takes at once; None for all. The sum over all rows stays
            exact, activations are computed again for the gradient, and memory is that of
            ``micro_batch`` rows.

    Raises:
        ValueError: The temperature is not positive, the data have rows unequal in number, or
            ``micro_batch`` is no positive integer.
    """

    log_prior: Callable[[Any], Float[Array, ""]]
    log_likelihood: Callable[[Any, Any], Float[Array, " n"]]
    data: Any
    temperature: float = 1.0
    sample_prior: Callable[[PRNGKeyArray, int], Any] | None = None
    micro_batch: int | None = None

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(
                f"temperature={self.temperature} is not positive; T=1 is Bayes, small T the MAP."
            )
        rows = {len(leaf) for leaf in jax.tree.leaves(self.data)}
        if len(rows) != 1:
            raise ValueError(f"data has leaves with {sorted(rows)} rows; all must have the same.")
        if self.micro_batch is not None:
            require_count("micro_batch", self.micro_batch)

    @classmethod
    def of(
        cls,
        network: Applied,
        dataset: Dataset,
        likelihood: Likelihood,
        prior: Prior,
        *,
        temperature: float = 1.0,
        micro_batch: int | None = None,
    ) -> "Posterior":
        """The posterior of a network on the training rows of a dataset.

        Args:
            network: Anything with ``apply(params, x)`` and ``shapes``, such as a ``Network``.
            dataset: Its training rows are the data.
            likelihood: One of ``likelihoods``.
            prior: One of ``priors``.
            temperature: T of prior × likelihood^(1/T).
            micro_batch: Rows that the network takes at once; None for all.
        """

        def log_likelihood(params: Any, data: tuple[Array, Array]) -> Float[Array, " n"]:
            x, y = data
            return likelihood.log_prob(network.apply(params, x), y)

        def sample_prior(key: PRNGKeyArray, n: int) -> Any:
            return sample_many(prior, key, network.shapes, n)

        data = (jnp.asarray(dataset.x_train), jnp.asarray(dataset.y_train))
        return cls(prior.log_prob, log_likelihood, data, temperature, sample_prior, micro_batch)

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
        return self.log_prior(params) + self.total_log_likelihood(params) / self.temperature

    def total_log_likelihood(self, params: Any) -> Float[Array, ""]:
        """Σ_i log p(data_i | θ) over all rows, ``micro_batch`` of them at a time."""
        n_full, n_rest = divmod(self.n_rows, self.micro_batch or self.n_rows)
        if n_full == 0 or (n_full == 1 and n_rest == 0):
            return self.log_likelihood(params, self.data).sum()

        @jax.checkpoint
        def part(params: Any, rows: Any) -> Float[Array, ""]:
            return self.log_likelihood(params, rows).sum()

        cut = self.n_rows - n_rest
        full = jax.tree.map(lambda a: a[:cut].reshape(n_full, -1, *a.shape[1:]), self.data)
        total = jax.lax.map(lambda rows: part(params, rows), full).sum()
        if n_rest:
            total += part(params, jax.tree.map(lambda a: a[cut:], self.data))
        return total

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
