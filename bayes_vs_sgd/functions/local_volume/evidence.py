"""Laplace's approximation of the evidence around one solution, and a check by its own draws."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ...checks import require_count
from ...conjugate.features import unflatten
from ...posterior import Posterior
from ...programs import found_again
from ...samplers.targets import Template, split_data
from ...types import Estimate
from .hessian import Expansion, expansion, flat64, in_float64
from .mean import LogMean, log_mean_exp

# Draws that must carry the check, and the nats by which it and the centre's height may be off.
MIN_EFFECTIVE = 10
MAX_CORRECTION = 0.5


@dataclasses.dataclass(frozen=True)
class LaplaceEvidence:
    """log Z of prior × likelihood^(1/T) by Laplace's approximation, in nats.

    Attributes:
        log_evidence: NaN where the Hessian is not positive definite.
        correction: log of the mean of density/approximation over draws of the approximation, relative
            to ``log_evidence``: 0 for a Gaussian posterior. ``log_evidence + correction`` is an
            importance-sampled evidence, unbiased before the logarithm.
        effective_draws: (Σw)²/Σw² of the n_draws weights.
        n_draws: Draws of the check.
        newton_decrement: ½ gᵀH⁻¹g, how much higher the quadratic's maximum lies than the centre.
        eigenvalues: Of H = −∇² log density at the centre, ascending.
    """

    log_evidence: float
    correction: Estimate
    effective_draws: float
    n_draws: int
    newton_decrement: float
    eigenvalues: Float[np.ndarray, " d"] = dataclasses.field(repr=False)

    @property
    def n_not_positive(self) -> int:
        """Eigenvalues that are not above rounding, d·2⁻⁵²·|largest|."""
        return int((self.eigenvalues <= _floor(self.eigenvalues)).sum())

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why the number cannot be trusted, a sentence each; empty where nothing speaks against it."""
        if self.n_not_positive:
            return (
                f"{self.n_not_positive} of {len(self.eigenvalues)} eigenvalues of the Hessian are not "
                "positive: the centre is no isolated maximum, and there is no approximation",
            )
        found = []
        if not self.newton_decrement <= MAX_CORRECTION:
            found.append(
                f"the density still rises by {self.newton_decrement:.2g} nats from the centre; maximize it "
                "first"
            )
        if not self.effective_draws >= MIN_EFFECTIVE:
            found.append(
                f"{self.effective_draws:.1f} of its {self.n_draws} draws carry the check: the posterior is "
                "far from this normal"
            )
        elif abs(self.correction.value) > MAX_CORRECTION + 3 * self.correction.sem:
            found.append(
                f"its own draws correct it by {self.correction} nats: the posterior is no normal, as around "
                "a singular point"
            )
        return tuple(found)

    @property
    def trusted(self) -> bool:
        """Whether nothing speaks against the number."""
        return not self.doubts

    def __str__(self) -> str:
        text = f"log evidence {self.log_evidence:.6g} by Laplace, correction {self.correction}"
        return text if self.trusted else f"{text}; it cannot be trusted: {'; '.join(self.doubts)}."


def laplace_evidence(
    key: PRNGKeyArray,
    posterior: Posterior,
    centre: Any,
    *,
    n_draws: int = 200,
    n_at_once: int = 32,
) -> LaplaceEvidence:
    """Laplace's log Z ≈ log prior(θ*) + (1/T)·log likelihood(θ*) + (d/2)·log 2π − ½·log det H.

    H = −∇² log density at θ* is computed whole and in float64, by products with unit vectors. For a
    Gaussian posterior the result is exact. Elsewhere it is checked: for draws θ = θ* + H^{−½}g,
    g ~ N(0, I), the weights are w = exp(log density(θ) − log density(θ*) + |g|²/2), which are all 1
    for a Gaussian; their mean corrects the evidence, and where few of them carry it, or the
    correction is large, as for singular models, the result says that it cannot be trusted.

    Args:
        key: Source of randomness of the check.
        posterior: Whose evidence; its prior must be normalised.
        centre: θ*, its maximum, by name.
        n_draws: Draws of the check.
        n_at_once: Columns of H, and draws, computed side by side.

    Raises:
        ValueError: There are more than 12,000 parameters, or a count is not possible.
    """
    require_count("n_draws", n_draws, least=2)
    template, data = split_data(posterior)
    at = expansion(_negative_log_density(template), centre, data, n_at_once)
    values, vectors = np.linalg.eigh(at.hessian)
    decrement, log_evidence = math.nan, math.nan
    check = LogMean(Estimate(math.nan, math.nan), math.nan, (math.nan, math.nan), 0.0)
    if (values > _floor(values)).all():
        decrement = float(0.5 * ((vectors.T @ at.gradient) ** 2 / values).sum())
        constant = 0.5 * len(values) * math.log(2 * math.pi) - 0.5 * np.log(values).sum()
        log_evidence = float(-at.value + constant)
        log_weights = _log_weights(
            key, template, data, centre, at, vectors / np.sqrt(values), n_draws, n_at_once
        )
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
        check = log_mean_exp(np.nan_to_num(log_weights, nan=-np.inf), rng)
    return LaplaceEvidence(
        log_evidence, check.estimate, check.effective, n_draws, decrement, values
    )


def _floor(eigenvalues: Float[np.ndarray, " d"]) -> float:
    return float(len(eigenvalues) * np.finfo(np.float64).eps * np.abs(eigenvalues).max())


def _log_weights(
    key: PRNGKeyArray,
    template: Template,
    data: Any,
    centre: Any,
    at: Expansion,
    factor: Float[np.ndarray, "d d"],
    n_draws: int,
    n_at_once: int,
) -> Float[np.ndarray, " n"]:
    shapes = {name: tuple(np.shape(value)) for name, value in centre.items()}
    with jax.enable_x64(True):
        g = np.asarray(jax.random.normal(key, (n_draws, len(factor)), jnp.float64))
        theta = jnp.asarray(flat64(centre) + g @ factor.T)
        costs = _costs(template, tuple(shapes.items()), n_at_once)(theta, in_float64(data))
        return at.value - np.asarray(costs) + 0.5 * (g**2).sum(axis=1)


@found_again(32)
def _negative_log_density(template: Template) -> Any:
    def cost(params: Any, data: Any) -> Array:
        return -template(data).log_density(params)

    return cost


@found_again(32)
def _costs(template: Template, shapes: Any, n_at_once: int) -> Any:
    cost = _negative_log_density(template)

    def costs(theta: Array, data: Any) -> Array:
        one = lambda row: cost(unflatten(row, dict(shapes)), data)  # noqa: E731
        return jax.lax.map(one, theta, batch_size=n_at_once)

    return jax.jit(costs)
