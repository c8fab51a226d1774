"""How sharp the minimum is that a network lies in, how noisy its gradient, how large its weights."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from .. import progress as progress_bars
from ..checks import require_count
from ..likelihoods import Categorical, Likelihood
from ..network import Network
from ..types import Dataset, Draws, Estimate
from .found import Numbers, module_at, require_parameters, training_rows
from .gradient_noise import Rows, gradient_noise
from .spectrum import Spectrum

# Without one of the rows there must still be two.
_FEWEST_ROWS = 3
_ESTIMATES = (
    "trace",
    "effective_dimension",
    "gradient_variance",
    "gradient_norm_squared",
    "noise_scale",
)
_NORM = "norm of "


@dataclass(frozen=True)
class Sharpness:
    """Curvature, gradient noise and size of networks, each with the leading axes (chain, draw).

    L(θ) = (1/n) Σ_i −log p(y_i | x_i, θ) is the mean loss over the n training rows and H its Hessian.
    Where a parameter is not finite, every number is NaN; where a gradient or the Hessian is not, those
    are that need it.

    Attributes:
        trace: tr H. Its ``sem`` is 0 where it is exact.
        eigenvalues: The largest eigenvalues of H, the sharpness first; shape (chain, draw,
            n_eigenvalues). NaN where Lanczos did not converge.
        effective_dimension: Σ_j λ_j/(λ_j + prior_precision) with λ_j = max(0, eigenvalue of n·H): the
            number of directions that the SUM of the losses determines better than the prior. Its
            ``sem`` is 0 where it is exact; else it is that over random probes alone and leaves out
            the bias of the quadrature, which falls with ``n_lanczos``.
        gradient_variance: tr Σ, Σ the covariance of one row's gradient; unbiased.
        gradient_norm_squared: |G|² of the expected gradient; unbiased, so it can be negative.
        noise_scale: B_simple = tr Σ/|G|². Infinite, with an infinite ``sem``, where the estimate of
            |G|² is not positive: the gradient there is not told from 0 by these rows.
        weight_norm: |θ|₂.
        weight_norms: |θ_name|₂ by parameter name.
        is_exact: Whether the curvature comes from all eigenvalues of the dense Hessian.
    """

    trace: Estimate
    eigenvalues: Float[np.ndarray, "chain draw k"]
    effective_dimension: Estimate
    gradient_variance: Estimate
    gradient_norm_squared: Estimate
    noise_scale: Estimate
    weight_norm: Float[np.ndarray, "chain draw"]
    weight_norms: dict[str, Float[np.ndarray, "chain draw"]]
    is_exact: bool


def sharpness(
    network: Network,
    dataset: Dataset,
    draws: Draws,
    *,
    likelihood: Likelihood = Categorical(),  # noqa: B008
    n_eigenvalues: int = 1,
    prior_precision: float = 1.0,
    n_exact: int = 1000,
    n_probes: int = 30,
    n_lanczos: int = 30,
    batch_size: int = 256,
    seed: int = 0,
    progress: bool = True,
) -> Sharpness:
    """Measure every network of ``draws``, trained or sampled, on the training rows in float64.

    Up to ``n_exact`` parameters the Hessian H of the mean loss is made dense and all its eigenvalues
    are computed. Beyond, with v_k random signs, k = 1…K, and P parameters:

    tr H ≈ (1/K) Σ_k v_kᵀHv_k (Hutchinson), sem = std_k/√K;
    Σ_j f(λ_j) ≈ (1/K) Σ_k P·Σ_m τ_km f(λ_km), λ_km and τ_km the nodes and weights of ``n_lanczos`` steps
    of Lanczos from v_k (stochastic Lanczos quadrature, Ubaru et al. 2017), f(λ) = λ/(λ + c)
    and 0 below 0; the largest eigenvalues by ARPACK's Lanczos to a relative 1e-6.

    With g_i the gradient of row i's loss and S = Σ_i g_i, each with the jackknife's error over rows:

    tr Σ = (Σ_i |g_i|² − |S|²/n)/(n − 1), |G|² = (|S|² − Σ_i |g_i|²)/(n(n − 1)), B_simple = tr Σ/|G|².

    The plug-in |S/n|² would be too large by tr Σ/n, which is most of it near a minimum. Average
    tr Σ and |G|² over networks before the ratio is taken; the mean of ratios does not exist there.

    Args:
        network: The architecture.
        dataset: Its training rows.
        draws: Parameters by name with the axes (chain, draw).
        likelihood: Decides the loss.
        n_eigenvalues: Number of largest eigenvalues.
        prior_precision: c of the effective dimension, 1/std² of the prior; T/std² for a posterior of
            temperature T.
        n_exact: Most parameters for which the Hessian is made dense: memory P², time P products.
        n_probes: K, random probes of each network; every network has its own.
        n_lanczos: Hessian-vector products a probe; memory P·n_lanczos.
        batch_size: Rows at once. The results do not depend on it.
        seed: The probes of (chain, draw) derive from (``seed``, chain, draw) alone.
        progress: Show networks done and the time left.

    Raises:
        ValueError: A number is not possible, there are fewer than 3 training rows, the draws are not
            those of the network, or the likelihood has no torch form.

    Source:
        Noise scale: McCandlish et al., arXiv 1812.06162, appendix A. Effective dimension: MacKay
        (1992); Maddox, Benton and Wilson, arXiv 2003.02139.
    """
    spectrum = Spectrum(n_eigenvalues, prior_precision, n_probes, n_lanczos)
    require_count("n_exact", n_exact, least=0)
    require_count("batch_size", batch_size)
    _check_sizes(network, dataset, n_eigenvalues)
    require_parameters(network, draws)
    is_exact = network.n_parameters <= max(n_exact, n_eigenvalues)
    rows = Rows(*training_rows(dataset), likelihood, batch_size)
    measure = spectrum.exact if is_exact else spectrum.estimated
    found = _unknown(network, draws, n_eigenvalues)
    places = list(np.ndindex(draws.n_chains, draws.n_draws))
    with progress_bars.bar("sharpness", len(places), show=progress) as report:
        for n_done, place in enumerate(places, start=1):
            module = module_at(network, draws, *place)
            if module is not None:
                rng = np.random.default_rng([seed, *place])
                for name, value in _measured(module, rows, measure, rng).items():
                    found[name][place] = value
            report(n_done, "")
    return _result(found, network, is_exact)


def _measured(
    module: nn.Module,
    rows: Rows,
    spectrum: Callable[[Any, int, np.random.Generator], Numbers],
    rng: np.random.Generator,
) -> Numbers:
    """All numbers of one network; what is left out is not finite."""
    # It imports curvlinops, which few need.
    from .hessian import Hessian

    # The fused attention has no second derivative.
    with sdpa_kernel(SDPBackend.MATH):
        noise = gradient_noise(module, rows)
        hessian = Hessian(module, rows.likelihood, rows.pieces(rows.batch_size))
        curvature = spectrum(hessian, rows.n, rng) if noise else {}
    return {**noise, **curvature, **_norms(module)}


def _norms(module: nn.Module) -> Numbers:
    norms = {
        f"{_NORM}{name}": float(torch.linalg.vector_norm(p.detach()))
        for name, p in module.named_parameters()
    }
    return {"weight_norm": math.hypot(*norms.values()), **norms}


def _unknown(network: Network, draws: Draws, n_eigenvalues: int) -> dict[str, np.ndarray]:
    """Every number as NaN."""
    shape = (draws.n_chains, draws.n_draws)
    names = [*_ESTIMATES, *(f"{name}_sem" for name in _ESTIMATES), "weight_norm"]
    names += [f"{_NORM}{name}" for name in network.shapes]
    unknown = {name: np.full(shape, np.nan) for name in names}
    return {**unknown, "eigenvalues": np.full((*shape, n_eigenvalues), np.nan)}


def _result(found: dict[str, np.ndarray], network: Network, is_exact: bool) -> Sharpness:
    estimates = {name: Estimate(found[name], found[f"{name}_sem"]) for name in _ESTIMATES}
    return Sharpness(
        **estimates,
        eigenvalues=found["eigenvalues"],
        weight_norm=found["weight_norm"],
        weight_norms={name: found[f"{_NORM}{name}"] for name in network.shapes},
        is_exact=is_exact,
    )


def _check_sizes(network: Network, dataset: Dataset, n_eigenvalues: int) -> None:
    if n_eigenvalues > network.n_parameters:
        raise ValueError(
            f"n_eigenvalues={n_eigenvalues} exceeds the network's {network.n_parameters} parameters; "
            f"pass at most {network.n_parameters}."
        )
    if len(dataset.x_train) < _FEWEST_ROWS:
        raise ValueError(
            f"x_train has {len(dataset.x_train)} rows; the error of the gradient noise needs at "
            f"least {_FEWEST_ROWS}."
        )
