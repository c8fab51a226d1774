"""The probability that a Gaussian vector lies in an orthant, by Monte Carlo with an error."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ...checks import require_count
from ...types import Estimate
from .arguments import correlation_of, signs_of
from .ordering import ordered
from .tilting import Tilt, minimax_tilt

# Fewer effective draws than this say little about their own spread.
LEAST_EFFECTIVE = 200
# Where a cut-off normal is drawn from a Rayleigh tail: its weights there differ by 1/_FAR⁴.
_FAR = 6.0


@dataclass(frozen=True)
class Orthant:
    """Estimates of log P(s_i f_i > 0 for all i); arrays where several labellings were given.

    Attributes:
        log_probability: In nats. The estimate of P is unbiased; the log of it is low by sem²/2 on
            average. Its error is the relative error of P, from the spread of independent draws.
        effective_sample_size: (Σw)²/Σw² of the weights.
        log_weight_bound: Log of a number w_max that no weight exceeds, to rounding: none that is large
            can have been missed by chance beyond ``worst_sem``.
        n_draws: Independent draws.
    """

    log_probability: Estimate
    effective_sample_size: Float[np.ndarray, "*functions"]
    log_weight_bound: Float[np.ndarray, "*functions"]
    n_draws: int

    @property
    def worst_sem(self) -> Float[np.ndarray, "*functions"]:
        """The largest relative error that weights ≤ w_max can have: √((w_max/P − 1)/n_draws)."""
        with np.errstate(over="ignore"):
            ratio = np.exp(self.log_weight_bound - self.log_probability.value)
        return np.sqrt(np.maximum(ratio - 1, 0) / self.n_draws)

    @property
    def trusted(self) -> np.ndarray:
        """Whether at least 200 effective draws stand behind the error."""
        return np.asarray(self.effective_sample_size >= LEAST_EFFECTIVE)

    def statement(self) -> str:
        """One sentence: how many estimates can be trusted."""
        trusted = np.atleast_1d(self.trusted)
        least = np.min(self.effective_sample_size)
        counts = f"{trusted.sum()} of {trusted.size} orthant probabilities"
        if trusted.all():
            return (
                f"{counts} have at least {LEAST_EFFECTIVE} effective draws (fewest: {least:.0f})."
            )
        return (
            f"{counts} have at least {LEAST_EFFECTIVE} effective draws (fewest: {least:.0f} of "
            f"{self.n_draws}); the others cannot be trusted, nor can their errors: raise n_draws."
        )


def orthant_probability(
    key: PRNGKeyArray,
    covariance: Float[np.ndarray, "n n"],
    signs: Int[np.ndarray, "*functions n"],
    *,
    n_draws: int = 10_000,
) -> Orthant:
    """Estimate log P(s_i f_i > 0 for all i) of f ~ N(0, covariance), for one or many s.

    The evidence of labels s under the 0/1 likelihood of a Gaussian process. With the variables in the
    order of ``ordered``, f is positive in the orthant where e_k > l_k = −Σ_{j<k} A_kj e_j for
    all k, e ~ N(0, I). Draw e_1, e_2, … in turn, each from N(μ_k, 1) cut off at l_k, with the shift μ
    of ``minimax_tilt``; then P = E[Π_k Φ̄(l_k − μ_k)·exp(μ_k²/2 − μ_k e_k)], without bias for any μ.
    Beyond l_k − μ_k = 6 the excess u is drawn from a Rayleigh tail, with φ(l_k − μ_k)/u in place of
    Φ̄.

    Every labelling has draws of its own. The work is n_draws·n² multiplications each. Where inputs
    determine one another, a variable keeps 1e-7 of its standard deviation as noise. All is float64.

    Sources: Genz 1992 and Geweke, Hajivassiliou & Keane for the separation of variables; Botev 2017
    (arXiv 1603.04166) for the shift.

    Args:
        key: Random key.
        covariance: K(X, X), positive semi-definite, of any scale.
        signs: s ∈ {−1, +1}, shape (n,) or (n_functions, n).
        n_draws: Independent draws for every labelling.

    Raises:
        ValueError: The matrix is no covariance, a sign is not ±1, shapes do not fit, or ``n_draws``
            is less than 2.
    """
    require_count("n_draws", n_draws, least=2)
    correlation, _ = correlation_of("covariance", covariance)
    orthants = signs_of("signs", signs, len(correlation))
    with jax.enable_x64(True):
        found = _estimate_all(key, jnp.asarray(correlation), jnp.asarray(orthants), n_draws)
        value, sem, effective, bound = (np.asarray(a) for a in found)
    if np.ndim(signs) == 1:
        return Orthant(
            Estimate(float(value[0]), float(sem[0])), effective[0], bound[0], n_draws=n_draws
        )
    return Orthant(Estimate(value, sem), effective, bound, n_draws=n_draws)


@jax.jit(static_argnums=3)
def _estimate_all(
    key: PRNGKeyArray, correlation: Array, orthants: Array, n_draws: int
) -> tuple[Array, Array, Array, Array]:
    def one(numbered: tuple[Array, Array]) -> tuple[Array, Array, Array, Array]:
        number, signs = numbered
        slopes = ordered(signs[:, None] * correlation * signs).slopes
        tilt = minimax_tilt(slopes)
        _, log_weights = weighted_draws(jax.random.fold_in(key, number), slopes, tilt, n_draws)
        return *_summary(log_weights), tilt.log_bound

    return jax.lax.map(one, (jnp.arange(len(orthants)), orthants))


def weighted_draws(
    key: PRNGKeyArray, slopes: Float[Array, "n n"], tilt: Tilt, n_draws: int
) -> tuple[Float[Array, "n draws"], Float[Array, " draws"]]:
    """Draws of e with g > 0, and the logarithms of the weights that make them draws of N(0, I) there.

    The mean weight is the probability of the orthant.

    Args:
        key: Random key.
        slopes: ``Ordered.slopes``.
        tilt: ``minimax_tilt(slopes)``.
        n_draws: How many.
    """
    n = len(slopes)

    def step(k: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        drawn, log_weight = state
        lower = -slopes[k] @ drawn - tilt.shift[k]
        uniform = jax.random.uniform(
            jax.random.fold_in(key, k), (n_draws,), minval=jnp.finfo(float).tiny, dtype=float
        )
        excess, log_mass = _cut_off(uniform, lower)
        value = tilt.shift[k] + excess
        gain = log_mass + 0.5 * tilt.shift[k] ** 2 - tilt.shift[k] * value
        return drawn.at[k].set(value), log_weight + gain

    start = (jnp.zeros((n, n_draws)), jnp.zeros(n_draws))
    return jax.lax.fori_loop(0, n, step, start)


def _cut_off(uniform: Array, lower: Array) -> tuple[Array, Array]:
    """A draw u > lower and log(φ(u)/its density): log Φ̄(lower), or log(φ(lower)/u) in the tail."""
    far = lower > _FAR
    inner, outer = jnp.where(far, 0.0, lower), jnp.where(far, lower, _FAR)
    mass = jax.scipy.special.ndtr(-inner)
    near = -jax.scipy.special.ndtri(uniform * mass)
    # Rounding of Φ̄ near 1 could let the draw fall below the cut.
    near = jnp.maximum(near, inner)
    distant = jnp.sqrt(outer**2 - 2 * jnp.log(uniform))
    log_density = -0.5 * outer**2 - 0.5 * jnp.log(2 * jnp.pi)
    return jnp.where(far, distant, near), jnp.where(
        far, log_density - jnp.log(distant), jnp.log(mass)
    )


def _summary(log_weights: Float[Array, " draws"]) -> tuple[Array, Array, Array]:
    """Log mean weight, the relative error of the mean weight, effective sample size."""
    n_draws = len(log_weights)
    highest = log_weights.max()
    weights = jnp.exp(log_weights - highest)
    mean = weights.mean()
    sem = weights.std(ddof=1) / mean / jnp.sqrt(n_draws)
    effective = weights.sum() ** 2 / (weights**2).sum()
    return highest + jnp.log(mean), sem, effective
