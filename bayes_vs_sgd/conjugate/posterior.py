"""The exact posterior of a linear network: Gaussian noise of known level and a prior of normals."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from ..checks import require_count, require_positive
from ..likelihoods import Gaussian, Likelihood
from ..posterior import Applied
from ..priors import Prior, gaussian_stds
from ..types import Dataset, Draws
from .features import by_entry, features, targets_of, unflatten
from .minimum_norm import require_real


def posterior(
    network: Applied,
    dataset: Dataset,
    likelihood: Likelihood,
    prior: Prior,
    *,
    temperature: float = 1.0,
) -> "Conjugate":
    """The normal whose density is that of ``Posterior.of`` with the same arguments.

    Args:
        network: A network that is linear in its parameters.
        dataset: Its training rows are the data.
        likelihood: ``Gaussian`` with a number as its noise level.
        prior: Normals around 0, as ``priors.gaussian_stds`` takes them.
        temperature: T of prior × likelihood^(1/T).

    Raises:
        ValueError: The network is not linear, the targets are classes or do not fit the outputs, the
            likelihood or the prior is another, or the temperature is not positive.
    """
    if not isinstance(likelihood, Gaussian):
        raise ValueError(
            f"likelihood={likelihood} has no conjugate prior of normals; pass Gaussian(std=…)."
        )
    require_real("posterior", dataset)
    require_positive("temperature", temperature)
    stds = by_entry(gaussian_stds(prior, network.shapes), network.shapes)
    jacobian = features(network, dataset.x_train)
    targets = targets_of(dataset.y_train, jacobian)
    design = jacobian.reshape(len(targets), -1)
    left, singular, right = np.linalg.svd(design * stds, full_matrices=False)
    return Conjugate(
        network=network,
        shapes=network.shapes,
        design=design,
        targets=targets,
        stds=stds,
        noise_std=likelihood.known_std(),
        temperature=temperature,
        left=left,
        singular=singular,
        right=right,
    )


@dataclass(frozen=True)
class Conjugate:
    """A posterior that is a normal; made by ``posterior``.

    In whitened parameters u = θ/stds the prior is N(0, I), the design A = Φ·diag(stds) = U·diag(s)·Vᵀ,
    and with v = T·noise_std² the posterior is N(m, (I + AᵀA/v)⁻¹), m = V·diag(s/(s² + v))·Uᵀy.

    Attributes:
        network: What the features of new inputs are taken from.
        shapes: Parameter name → shape.
        design: Φ on the training rows, shape (n·out, parameters).
        targets: y, shape (n·out,).
        stds: Standard deviation of the prior of every entry of θ.
        noise_std: Standard deviation of the noise.
        temperature: T of prior × likelihood^(1/T).
        left: U.
        singular: s.
        right: Vᵀ.
    """

    network: Applied = field(repr=False)
    shapes: Mapping[str, tuple[int, ...]]
    design: Float[np.ndarray, "rows parameters"] = field(repr=False)
    targets: Float[np.ndarray, " rows"] = field(repr=False)
    stds: Float[np.ndarray, " parameters"] = field(repr=False)
    noise_std: float
    temperature: float
    left: Float[np.ndarray, "rows rank"] = field(repr=False)
    singular: Float[np.ndarray, " rank"] = field(repr=False)
    right: Float[np.ndarray, "rank parameters"] = field(repr=False)

    @property
    def noise_variance(self) -> float:
        """V = T·noise_std², the noise that tempering leaves in the shape of the density."""
        return self.temperature * self.noise_std**2

    def maximum(self) -> Draws:
        """The maximum, which is the mean and ridge regression: stds·m.

        Returns:
            ``Draws`` of one chain and one draw, float64; ``stats`` has ``lp`` and ``gradient_norm``,
            which is rounding.
        """
        started = time.perf_counter()
        theta = self.stds * self._mean()
        residuals = self.targets - self.design @ theta
        gradient = self.design.T @ residuals / self.noise_variance - theta / self.stds**2
        norm = np.full((1, 1), np.linalg.norm(gradient))
        return self._as_draws(theta[None, None], {"gradient_norm": norm}, "maximum", started)

    def draw(self, key: PRNGKeyArray, *, n_chains: int, n_draws: int) -> Draws:
        """Independent draws: u = m + z − V·diag(1 − √(v/(s² + v)))·Vᵀz, z ~ N(0, I).

        Args:
            key: Source of randomness.
            n_chains: Length of the first axis.
            n_draws: Length of the second.

        Returns:
            ``Draws``, float64; ``stats`` has ``lp``, the log density up to the log evidence.

        Raises:
            ValueError: A number is less than 1.
        """
        require_count("n_chains", n_chains)
        require_count("n_draws", n_draws)
        started = time.perf_counter()
        with jax.enable_x64(True):
            shape = (n_chains, n_draws, len(self.stds))
            z = np.asarray(jax.random.normal(key, shape, dtype=np.float64))
        narrowed = 1 - np.sqrt(self._remaining())
        u = self._mean() + z - (z @ self.right.T * narrowed) @ self.right
        return self._as_draws(self.stds * u, {}, "draw", started)

    def log_evidence(self) -> float:
        """Log ∫ prior(θ)·Π_i p(y_i | θ)^{1/T} dθ, as a tempered sampler's ``log_evidence``.

        It is log N(y; 0, AAᵀ + vI) + (N/2)·log(2πv) − (N/2T)·log(2π·noise_std²), N = n·out.
        """
        v, n = self.noise_variance, len(self.targets)
        rotated = self.targets @ self.left
        unseen = self.targets - self.left @ rotated
        square = (rotated**2 / (self.singular**2 + v)).sum() + (unseen**2).sum() / v
        # log det(AAᵀ + vI) less the N·log v that tempering gives back.
        log_volume = np.log1p(self.singular**2 / v).sum()
        constant = n / self.temperature * math.log(2 * math.pi * self.noise_std**2)
        return float(-0.5 * (square + log_volume + constant))

    def predictive(
        self, x: np.ndarray
    ) -> tuple[Float[np.ndarray, "n out"], Float[np.ndarray, "n out"]]:
        """Mean and variance of f(x; θ) under the posterior; a new target adds noise_std² to the latter.

        The variance is ‖diag(√(v/(s² + v)))·Vᵀb‖² + ‖b − VVᵀb‖² with b = stds·Φ(x): what the data
        leave of the directions they see, and all of the others.

        Args:
            x: Inputs, shape (n, ...).
        """
        rows = features(self.network, x) * self.stds
        seen = rows @ self.right.T
        unseen = rows - seen @ self.right
        variance = (seen**2 * self._remaining()).sum(axis=-1) + (unseen**2).sum(axis=-1)
        return rows @ self._mean(), variance

    def _remaining(self) -> Float[np.ndarray, " rank"]:
        """Posterior over prior variance in every direction that the data see: v/(s² + v)."""
        return self.noise_variance / (self.singular**2 + self.noise_variance)

    def _mean(self) -> Float[np.ndarray, " parameters"]:
        shrunk = self.singular / (self.singular**2 + self.noise_variance)
        return (shrunk * (self.targets @ self.left)) @ self.right

    def _log_density(self, theta: Float[np.ndarray, "... parameters"]) -> np.ndarray:
        """Log prior(θ) + (1/T) Σ_i log p(y_i | θ)."""
        residuals = (self.targets - theta @ self.design.T) / self.noise_std
        normal = math.log(2 * math.pi)
        log_likelihood = -0.5 * (residuals**2).sum(axis=-1) - len(self.targets) * (
            0.5 * normal + math.log(self.noise_std)
        )
        log_prior = (
            -0.5 * ((theta / self.stds) ** 2).sum(axis=-1)
            - 0.5 * len(self.stds) * normal
            - np.log(self.stds).sum()
        )
        return log_prior + log_likelihood / self.temperature

    def _as_draws(
        self,
        theta: Float[np.ndarray, "chain draw parameters"],
        stats: Mapping[str, np.ndarray],
        method: str,
        started: float,
    ) -> Draws:
        return Draws(
            params=unflatten(theta, self.shapes),
            stats={"lp": self._log_density(theta), **stats},
            last=unflatten(theta[:, -1], self.shapes),
            info={"sampler": f"Conjugate.{method}", "seconds": time.perf_counter() - started},
        )
