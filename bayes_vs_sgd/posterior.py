"""The posterior: prior × likelihood^(1/temperature), as one log density for every method."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .checks import require_count
from .likelihoods import Gaussian, Likelihood
from .priors import (
    LOG_NOISE_STD,
    Prior,
    WithNoise,
    distributions_of,
    params_of,
    sample_variables,
)
from .programs import Bound
from .types import Dataset


class Applied(Protocol):
    """What a posterior needs of a network."""

    shapes: dict[str, tuple[int, ...]]

    def apply(self, params: Any, *inputs: Array) -> Any:
        """The network's output as a pure JAX function."""
        ...


def _unchanged(variables: Any) -> Any:
    return variables


def _take(data: Any, rows: Array) -> Any:
    return jax.tree.map(lambda a: a[rows], data)


def _log_prior(prior: Prior, variables: Any) -> Float[Array, ""]:
    return prior.log_prob(variables)


def _params(prior: Prior, variables: Any) -> Any:
    return params_of(prior)(variables)


def _log_likelihood(
    network: Applied,
    prior: Prior,
    likelihood: Likelihood,
    variables: Any,
    data: tuple[Array, Array],
) -> Float[Array, " n"]:
    x, y = data
    outputs = network.apply(params_of(prior)(variables), x)
    if isinstance(likelihood, Gaussian) and likelihood.noise is not None:
        return likelihood.log_prob(outputs, y, jnp.exp(variables[LOG_NOISE_STD]))
    return likelihood.log_prob(outputs, y)


def _sample_prior(network: Applied, prior: Prior, key: PRNGKeyArray, n: int) -> Any:
    return sample_variables(prior, key, network.shapes, n)


def _distributions(network: Applied, prior: Prior) -> Mapping[str, Any]:
    return distributions_of(prior, network.shapes)


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
        params: What is sampled → the network's parameters, to pass as ``collect=`` of
            ``samplers.sample``; changes nothing unless a hierarchical prior or a sampled noise level
            brings variables of its own.
        distributions: The NumPyro distribution of every variable by name, made when it is called;
            None where they are unknown.

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
    params: Callable[[Any], Any] = _unchanged
    distributions: Callable[[], Mapping[str, Any]] | None = None

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

        Raises:
            ValueError: The noise level is sampled under a name that a parameter has.
        """
        noise = likelihood.noise if isinstance(likelihood, Gaussian) else None
        if noise is not None and LOG_NOISE_STD in network.shapes:
            raise ValueError(
                f"the network has a parameter {LOG_NOISE_STD!r}, which is what the sampled noise "
                "level is called; rename it."
            )
        joint = prior if noise is None else WithNoise(prior, noise)
        return cls(
            log_prior=Bound(_log_prior, (joint,)),
            log_likelihood=Bound(_log_likelihood, (network, joint, likelihood)),
            data=(jnp.asarray(dataset.x_train), jnp.asarray(dataset.y_train)),
            temperature=temperature,
            sample_prior=Bound(_sample_prior, (network, joint)),
            micro_batch=micro_batch,
            params=Bound(_params, (joint,)),
            distributions=Bound(_distributions, (network, joint)),
        )

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

    def numpyro_model(self) -> Callable[..., None]:
        """The same posterior as a NumPyro model, for NumPyro's own tools.

        Its sites are the variables, each under its own name, and the tempered log likelihood as the
        factor ``"log_likelihood"`` in the plate ``"data"``. The model takes ``batch_size=None``: with
        a number the plate takes so many rows at random and scales them up, as NumPyro's HMCECS and
        SVI want it.

        Raises:
            ValueError: The distributions of the variables are unknown.
        """
        if self.distributions is None:
            raise ValueError(
                "this posterior does not know the distributions of its variables; make it with "
                "Posterior.of, or pass distributions=lambda: {name: NumPyro distribution}."
            )
        distributions = self.distributions()

        def model(batch_size: int | None = None) -> None:
            # Importing NumPyro starts JAX, after which its devices cannot be chosen any more.
            import numpyro

            variables = {name: numpyro.sample(name, d) for name, d in distributions.items()}
            with numpyro.plate("data", self.n_rows, batch_size) as rows:
                batch = self.data if batch_size is None else _take(self.data, rows)
                rows_log_likelihood = self.log_likelihood(variables, batch) / self.temperature
                numpyro.factor("log_likelihood", rows_log_likelihood)

        return model

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
