"""How sharp the minimum is that a network lies in, how noisy its gradient, how large its weights."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse.linalg import ArpackNoConvergence, eigsh
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from .. import progress as progress_bars
from ..checks import require_count, require_positive
from ..likelihoods import Categorical, Likelihood
from ..network import Network
from ..types import Dataset, Draws, Estimate
from .found import module_at, require_parameters, training_rows
from .losses import negative_log_likelihood

# They bound the memory: columns of the dense Hessian at once, and entries of what is kept beside it,
# per-example gradients or vectors of Lanczos.
_COLUMNS = 64
_ENTRIES = 2**25
# Relative accuracy of the largest eigenvalues beyond ``n_exact`` parameters.
_TOLERANCE = 1e-6
# Lanczos has found an invariant subspace when what is new is this much smaller than the product.
_NOTHING_NEW = 1e-10
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

Tensors = dict[str, torch.Tensor]
Numbers = dict[str, Any]


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
    spectrum = _Spectrum(n_eigenvalues, prior_precision, n_probes, n_lanczos)
    require_count("n_exact", n_exact, least=0)
    require_count("batch_size", batch_size)
    _check_sizes(network, dataset, n_eigenvalues)
    require_parameters(network, draws)
    is_exact = network.n_parameters <= max(n_exact, n_eigenvalues)
    rows = _Rows(*training_rows(dataset), likelihood, batch_size)
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


@dataclass(frozen=True)
class _Rows:
    """The training rows, and what says how much a network loses on them."""

    x: torch.Tensor
    y: torch.Tensor
    likelihood: Likelihood
    batch_size: int

    @property
    def n(self) -> int:
        return len(self.x)

    def pieces(self, size: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Inputs and targets of ``size`` rows at a time."""
        return list(zip(self.x.split(size), self.y.split(size), strict=True))


@dataclass(frozen=True)
class _Spectrum:
    """What is asked of the eigenvalues of a Hessian, given as that of the SUM of n losses."""

    n_eigenvalues: int
    prior_precision: float
    n_probes: int
    n_lanczos: int

    def __post_init__(self) -> None:
        require_count("n_eigenvalues", self.n_eigenvalues)
        require_positive("prior_precision", self.prior_precision)
        require_count("n_probes", self.n_probes, least=2)
        require_count("n_lanczos", self.n_lanczos)

    def exact(self, hessian: Any, n: int, rng: np.random.Generator) -> Numbers:
        """From all eigenvalues; nothing is random here."""
        dense = _dense(hessian)
        if not np.isfinite(dense).all():
            return {}
        eigenvalues = np.linalg.eigvalsh(dense)
        return {
            "trace": eigenvalues.sum() / n,
            "trace_sem": 0.0,
            "eigenvalues": eigenvalues[::-1][: self.n_eigenvalues] / n,
            "effective_dimension": self._determined(eigenvalues).sum(),
            "effective_dimension_sem": 0.0,
        }

    def estimated(self, hessian: Any, n: int, rng: np.random.Generator) -> Numbers:
        """From products with random vectors."""
        size = hessian.shape[0]
        start = rng.standard_normal(size)
        product = hessian @ torch.from_numpy(start)
        if not torch.isfinite(product).all():
            return {}
        n_steps = min(self.n_lanczos, size)
        pairs = [
            _lanczos(hessian, torch.from_numpy(rng.choice([-1.0, 1.0], (size, width))), n_steps)
            for width in _widths(self.n_probes, _ENTRIES // (size * n_steps))
        ]
        nodes, weights = (np.concatenate(values) for values in zip(*pairs, strict=True))
        # ARPACK takes a zero product for a zero start.
        largest = _largest(hessian, self.n_eigenvalues, start) if product.any() else 0.0
        return {
            **_mean("trace", size * (weights * nodes).sum(1) / n),
            "eigenvalues": largest / n,
            **_mean("effective_dimension", size * (weights * self._determined(nodes)).sum(1)),
        }

    def _determined(self, eigenvalues: np.ndarray) -> np.ndarray:
        positive = np.maximum(eigenvalues, 0)
        return positive / (positive + self.prior_precision)


def _measured(
    module: nn.Module,
    rows: _Rows,
    spectrum: Callable[[Any, int, np.random.Generator], Numbers],
    rng: np.random.Generator,
) -> Numbers:
    """All numbers of one network; what is left out is not finite."""
    # It imports curvlinops, which few need.
    from .hessian import Hessian

    # The fused attention has no second derivative.
    with sdpa_kernel(SDPBackend.MATH):
        noise = _gradient_noise(module, rows)
        hessian = Hessian(module, rows.likelihood, rows.pieces(rows.batch_size))
        curvature = spectrum(hessian, rows.n, rng) if noise else {}
    return {**noise, **curvature, **_norms(module)}


def _widths(n: int, most: int) -> list[int]:
    """``n`` in parts of at most ``most``, and of 1 at least."""
    width = max(1, min(n, most))
    return [min(width, n - first) for first in range(0, n, width)]


def _dense(hessian: Any) -> Float[np.ndarray, "p p"]:
    columns = torch.eye(hessian.shape[0], dtype=torch.float64).split(_COLUMNS, dim=1)
    return torch.cat([hessian @ c for c in columns], dim=1).detach().numpy()


def _lanczos(
    hessian: Any, start: Float[torch.Tensor, "p k"], n_steps: int
) -> tuple[Float[np.ndarray, "k m"], Float[np.ndarray, "k m"]]:
    """Nodes and weights of the Gauss quadrature of the spectral measure that each start sees.

    v_{m+1} ∝ Hv_m, made orthogonal to v_1…v_m twice; the nodes are the eigenvalues of the tridiagonal
    matrix, the weights the squared first entries of its eigenvectors.
    """
    basis = torch.zeros((n_steps + 1, *start.shape), dtype=start.dtype)
    basis[0] = start / torch.linalg.vector_norm(start, dim=0)
    diagonal, beside = [], []
    for step in range(n_steps):
        known, product = basis[: step + 1], hessian @ basis[step]
        diagonal.append((basis[step] * product).sum(0))
        new = product
        for _ in range(2):
            new = new - torch.einsum("mpk,mk->pk", known, torch.einsum("mpk,pk->mk", known, new))
        norm, whole = (torch.linalg.vector_norm(v, dim=0) for v in (new, product))
        is_new = norm > _NOTHING_NEW * whole
        # Beyond an invariant subspace zeros follow, which have no weight.
        beside.append(norm * is_new)
        basis[step + 1] = torch.where(is_new, new / norm, 0)
    off = torch.diag_embed(torch.stack(beside[:-1], dim=1), 1) if n_steps > 1 else 0
    tridiagonal = torch.diag_embed(torch.stack(diagonal, dim=1)) + off
    nodes, vectors = torch.linalg.eigh(tridiagonal, UPLO="U")
    return nodes.numpy(), vectors[:, 0].square().numpy()


def _largest(
    hessian: Any, n: int, start: Float[np.ndarray, " p"]
) -> Float[np.ndarray, " k"] | float:
    """The ``n`` largest eigenvalues, descending; NaN where ARPACK does not converge."""
    try:
        found = eigsh(
            hessian.to_scipy(), n, which="LA", v0=start, tol=_TOLERANCE, return_eigenvectors=False
        )
    except ArpackNoConvergence:
        return np.nan
    return np.sort(found)[::-1]


def _gradient_noise(module: nn.Module, rows: _Rows) -> Numbers:
    """The gradient's variance, its squared norm and their ratio; nothing where it is not finite."""
    params = {name: p.detach() for name, p in module.named_parameters()}

    def loss(params: Tensors, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return negative_log_likelihood(
            rows.likelihood, functional_call(module, params, (x,)), y
        ).sum()

    def of_row(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return _flat(grad(loss)(params, x[None], y[None]))

    total = torch.zeros(sum(p.numel() for p in params.values()), dtype=torch.float64)
    for x, y in rows.pieces(rows.batch_size):
        total += _flat(grad(loss)(params, x, y))
    squares, along = [], []
    for x, y in rows.pieces(max(1, min(rows.batch_size, _ENTRIES // len(total)))):
        gradients = vmap(of_row)(x, y)
        squares.append(gradients.square().sum(1))
        along.append(gradients @ total)
    norms = torch.cat(squares)
    if not torch.isfinite(norms.sum() + total @ total):
        return {}
    return _noise(norms.numpy(), torch.cat(along).numpy(), float(total @ total))


def _flat(by_name: Tensors) -> torch.Tensor:
    return torch.cat([value.flatten() for value in by_name.values()])


def _noise(
    squares: Float[np.ndarray, " n"], along: Float[np.ndarray, " n"], total: float
) -> Numbers:
    """The numbers and their jackknife errors from |g_i|², g_i·S and |S|²."""
    n = len(squares)
    variance, signal = _unbiased(n, squares.sum(), total)
    without = _unbiased(n - 1, squares.sum() - squares, total - 2 * along + squares)
    found = {
        "gradient_variance": variance,
        "gradient_variance_sem": _jackknife(without[0]),
        "gradient_norm_squared": signal,
        "gradient_norm_squared_sem": _jackknife(without[1]),
        "noise_scale": math.inf,
        "noise_scale_sem": math.inf,
    }
    if signal > 0:
        scale = variance / signal
        # To first order: what is left out may well turn the denominator negative.
        sem = _jackknife(without[0] - scale * without[1]) / signal
        found |= {"noise_scale": scale, "noise_scale_sem": sem}
    return found


def _unbiased(n: int, squares: Any, total: Any) -> tuple[Any, Any]:
    """The unbiased tr Σ and |G|² from Σ|g_i|² and |S|² of n rows."""
    return (squares - total / n) / (n - 1), (total - squares) / (n * (n - 1))


def _jackknife(without: Float[np.ndarray, " n"]) -> float:
    """The standard error from what comes out without each row in turn."""
    n = len(without)
    return float(np.sqrt((n - 1) / n * np.square(without - without.mean()).sum()))


def _mean(name: str, samples: Float[np.ndarray, " k"]) -> Numbers:
    """Mean and its standard error."""
    sem = samples.std(ddof=1) / math.sqrt(len(samples))
    return {name: samples.mean(), f"{name}_sem": sem}


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
