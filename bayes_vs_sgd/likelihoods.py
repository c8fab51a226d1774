"""Likelihoods: what the network's outputs say about the targets, one row at a time.

A likelihood is anything with ``log_prob(outputs, y)``, which returns one number a row, and
``predict(outputs)``, which returns what averaging works on.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import jax.scipy.stats as stats
from jaxtyping import Array, Float, Int

from .scales import HalfCauchy as HalfCauchy
from .scales import HalfNormal as HalfNormal
from .scales import Scale


class Likelihood(Protocol):
    """What every likelihood offers."""

    def log_prob(self, outputs: Float[Array, "n ..."], y: Any) -> Float[Array, " n"]:
        """Log p(y | outputs) of every row."""
        ...

    def predict(self, outputs: Float[Array, "n ..."]) -> Float[Array, "n ..."]:
        """The prediction of every row: log probabilities of classes, or the mean."""
        ...


@dataclass(frozen=True)
class Categorical:
    """Classes with the outputs as logits: log p(y | z) = z_y − log Σ_c exp z_c."""

    def log_prob(self, outputs: Float[Array, "n c"], y: Int[Array, " n"]) -> Float[Array, " n"]:
        """Log p(y | outputs) of every row."""
        chosen = jnp.take_along_axis(outputs, jnp.asarray(y)[:, None], axis=-1)[:, 0]
        return chosen - jax.nn.logsumexp(outputs, axis=-1)

    def predict(self, outputs: Float[Array, "n c"]) -> Float[Array, "n c"]:
        """Log probabilities of the classes."""
        return jax.nn.log_softmax(outputs, axis=-1)


@dataclass(frozen=True)
class Bernoulli:
    """Two classes with one logit z: log p(1 | z) = −softplus(−z), log p(0 | z) = −softplus(z)."""

    def log_prob(self, outputs: Float[Array, "n ..."], y: Int[Array, " n"]) -> Float[Array, " n"]:
        """Log p(y | outputs) of every row."""
        logit = outputs.reshape(outputs.shape[0])
        return -jax.nn.softplus(jnp.where(jnp.asarray(y) == 1, -logit, logit))

    def predict(self, outputs: Float[Array, "n ..."]) -> Float[Array, "n 2"]:
        """Log probabilities of the classes 0 and 1."""
        logit = outputs.reshape(outputs.shape[0])
        return jnp.stack([-jax.nn.softplus(logit), -jax.nn.softplus(-logit)], axis=-1)


@dataclass(frozen=True)
class Signs:
    """Two classes with one output z that is fitted to −1 and 1: log N(2y − 1; z, std²).

    Its negative is the squared error of classifiers that are trained as regressions; the predicted class
    is the sign of z.

    Attributes:
        std: Standard deviation.
    """

    std: float = 1.0

    def __post_init__(self) -> None:
        if not self.std > 0:
            raise ValueError(f"std={self.std} is no noise level; pass a positive number.")

    def log_prob(self, outputs: Float[Array, "n ..."], y: Int[Array, " n"]) -> Float[Array, " n"]:
        """Log density of 2y − 1 under N(outputs, std²), of every row."""
        signs = 2.0 * jnp.asarray(y) - 1.0
        return stats.norm.logpdf(signs, outputs.reshape(outputs.shape[0]), self.std)

    def predict(self, outputs: Float[Array, "n ..."]) -> Float[Array, "n 2"]:
        """Log probabilities of the classes −1 and 1, ∝ their densities."""
        z = outputs.reshape(outputs.shape[0])
        both = jnp.stack([-2 * z, 2 * z], axis=-1) / (2 * self.std**2)
        return jax.nn.log_softmax(both, axis=-1)


@dataclass(frozen=True)
class Tokens:
    """Rows of tokens, each a class: log p(y | z) = Σ_{t: y_t ≠ pad} (z_t[y_t] − log Σ_c exp z_t[c]).

    A row is one observation, whatever its length: nothing is divided by the number of its tokens.

    Attributes:
        pad: The token that fills up short rows and says nothing; None where every token counts.
    """

    pad: int | None = 0

    def log_prob(
        self, outputs: Float[Array, "n length c"], y: Int[Array, "n length"]
    ) -> Float[Array, " n"]:
        """Log p(y | outputs) of every row, summed over its tokens.

        Raises:
            ValueError: There is not one token for every position of the outputs.
        """
        tokens = jnp.asarray(y)
        self.require_positions(outputs.shape, tokens.shape)
        log_probs = jax.nn.log_softmax(outputs, axis=-1)
        chosen = jnp.take_along_axis(log_probs, tokens[..., None], axis=-1)[..., 0]
        return jnp.where(tokens != self.pad, chosen, 0).sum(axis=-1)

    def predict(self, outputs: Float[Array, "n length c"]) -> Float[Array, "n length c"]:
        """Log probabilities of the token at every position, given those before it."""
        return jax.nn.log_softmax(outputs, axis=-1)

    def require_positions(self, outputs: tuple[int, ...], y: tuple[int, ...]) -> None:
        """Refuse shapes that are not those of rows of tokens.

        Raises:
            ValueError: ``outputs`` is not (n, length, c), or ``y`` not (n, length).
        """
        if len(outputs) != 3 or tuple(outputs[:2]) != tuple(y):
            raise ValueError(
                f"outputs have shape {tuple(outputs)} and y has {tuple(y)}; Tokens takes logits "
                "(n, length, c) and one token for each position, (n, length). For one class a row "
                "pass Categorical."
            )


@dataclass(frozen=True)
class Gaussian:
    """Real targets with noise: y ~ N(outputs, std²), independent over output components.

    Attributes:
        std: Standard deviation of the noise; or its prior, ``HalfNormal(scale)`` or
            ``HalfCauchy(scale)``, with which ``Posterior.of`` samples it along with the network.
    """

    std: float | Scale = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.std, Scale) and not self.std > 0:
            raise ValueError(f"std={self.std} is no noise level; pass a positive number.")

    @property
    def noise(self) -> Scale | None:
        """The prior of the noise level; None where the level is known."""
        return self.std if isinstance(self.std, Scale) else None

    def known_std(self) -> float:
        """The noise level.

        Raises:
            ValueError: It has a prior in place of a value.
        """
        if isinstance(self.std, Scale):
            raise ValueError(
                f"the noise level is sampled from {self.std}, so it has no value here; pass "
                "Gaussian(std=…) with a number, or let Posterior.of sample it."
            )
        return self.std

    def log_prob(
        self,
        outputs: Float[Array, "n ..."],
        y: Float[Array, "n ..."],
        std: Float[Array, ""] | None = None,
    ) -> Float[Array, " n"]:
        """Log p(y | outputs) of every row, summed over the components of the output.

        Args:
            outputs: Means.
            y: Targets.
            std: The noise level where it is sampled.

        Raises:
            ValueError: The noise level is sampled, and none is given.
        """
        level = self.known_std() if std is None else std
        n = outputs.shape[0]
        targets = jnp.asarray(y).reshape(n, -1)
        return stats.norm.logpdf(targets, outputs.reshape(n, -1), level).sum(axis=-1)

    def predict(self, outputs: Float[Array, "n ..."]) -> Float[Array, "n ..."]:
        """The mean of the target."""
        return outputs
