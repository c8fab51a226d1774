"""One sweep of expectation propagation over the sites, and the evidence at its fixed point."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve, solve_triangular
from jaxtyping import Array, Float

from .normal_tail import NormalTail, normal_tail


class Sites(NamedTuple):
    """The factors exp(−τ_i f_i²/2 + ν_i f_i), and the Gaussian that they and the prior make.

    Attributes:
        precision: τ ≥ 0.
        shift: ν.
        mean: Σν, of the Gaussian.
        covariance: Σ = (K⁻¹ + diag τ)⁻¹.
    """

    precision: Float[Array, " n"]
    shift: Float[Array, " n"]
    mean: Float[Array, " n"]
    covariance: Float[Array, "n n"]


def no_sites(kernel: Float[Array, "n n"]) -> Sites:
    """The prior."""
    zeros = jnp.zeros(len(kernel))
    return Sites(zeros, zeros, zeros, kernel)


def sweep(
    kernel: Float[Array, "n n"], signs: Float[Array, " n"], sites: Sites, damping: float
) -> Sites:
    """Match the moments of every site in turn, then compute the Gaussian anew."""

    def visit(i: Array, now: Sites) -> Sites:
        cavity_precision, cavity_shift = _cavity(now, i)
        precision, shift = _matched(cavity_precision, cavity_shift, signs[i])
        precision = (1 - damping) * precision + damping * now.precision[i]
        shift = (1 - damping) * shift + damping * now.shift[i]
        # Rounding can spoil the cavity of an input that others determine; its site waits.
        usable = (cavity_precision > 0) & jnp.isfinite(precision) & jnp.isfinite(shift)
        precision = jnp.where(usable, precision, now.precision[i])
        shift = jnp.where(usable, shift, now.shift[i])
        return _with_site(now, i, precision, shift)

    end = jax.lax.fori_loop(0, len(signs), visit, sites)
    return _gaussian(kernel, end.precision, end.shift)


def log_evidence_of(
    kernel: Float[Array, "n n"], signs: Float[Array, " n"], sites: Sites
) -> Float[Array, ""]:
    """Log of the integral of the prior times the sites, each of which keeps its cavity's mass.

    With cavities of precision τ₋ and mean μ₋, B = I + S^½ K S^½ and z = s μ₋ √τ₋:
    Σ log Φ(z) + ½ Σ log(1 + τ/τ₋) − ½ log|B| + ½ νᵀΣν − ½ Σ ν²/(τ₋ + τ) + ½ Σ μ₋τ₋(τμ₋ − 2ν)/(τ₋ + τ).
    Source: Rasmussen & Williams 2006, equations 3.65 and 3.73–3.74.
    """
    precision, shift = sites.precision, sites.shift
    cavity_precision, cavity_shift = _cavity(sites, slice(None))
    total = cavity_precision + precision
    mean = cavity_shift / cavity_precision
    factor = _factor(kernel, precision)
    return (
        normal_tail(signs * cavity_shift / jnp.sqrt(cavity_precision)).log_cdf.sum()
        + 0.5 * jnp.log1p(precision / cavity_precision).sum()
        - jnp.log(jnp.diag(factor)).sum()
        + 0.5 * shift @ sites.mean
        - 0.5 * (shift**2 / total).sum()
        + 0.5 * (cavity_shift * (precision * mean - 2 * shift) / total).sum()
    )


def projected(
    kernel: Float[Array, "n n"], precision: Float[Array, " n"], cross: Float[Array, "n m"]
) -> tuple[Float[Array, "n n"], Float[Array, "n m"]]:
    """(K + diag(τ)⁻¹)⁻¹ = S^½ B⁻¹ S^½, and L⁻¹ S^½ K(X, x*) with B = L Lᵀ."""
    root = jnp.sqrt(precision)
    factor = _factor(kernel, precision)
    inverse = root[:, None] * cho_solve((factor, True), jnp.diag(root))
    return inverse, solve_triangular(factor, root[:, None] * cross, lower=True)


def _matched(
    cavity_precision: Array, cavity_shift: Array, sign: Array
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """τ and ν of the site that gives the cavity the moments of cavity × step."""
    root = jnp.sqrt(cavity_precision)
    tail: NormalTail = normal_tail(sign * cavity_shift / root)
    precision = cavity_precision * tail.hazard * tail.excess / tail.variance
    return precision, sign * root * tail.hazard * tail.slope / tail.variance


def _cavity(sites: Sites, i: Array | slice) -> tuple[Array, Array]:
    variance = jnp.diag(sites.covariance)[i]
    precision = 1 / variance - sites.precision[i]
    return precision, sites.mean[i] / variance - sites.shift[i]


def _with_site(sites: Sites, i: Array, precision: Array, shift: Array) -> Sites:
    """The Gaussian after a change of one site: Σ − Σ_i Σ_iᵀ δ/(1 + δΣ_ii)."""
    column = sites.covariance[i]
    change = precision - sites.precision[i]
    gain = change / (1 + change * column[i])
    covariance = sites.covariance - gain * jnp.outer(column, column)
    shifts = sites.shift.at[i].set(shift)
    return Sites(sites.precision.at[i].set(precision), shifts, covariance @ shifts, covariance)


def _gaussian(kernel: Array, precision: Array, shift: Array) -> Sites:
    _, half = projected(kernel, precision, kernel)
    covariance = kernel - half.T @ half
    return Sites(precision, shift, covariance @ shift, covariance)


def _factor(kernel: Array, precision: Array) -> Array:
    root = jnp.sqrt(precision)
    return jnp.linalg.cholesky(jnp.eye(len(kernel)) + root[:, None] * kernel * root)
