"""The Laplace approximation around trained networks: a Gaussian posterior, drawn from."""

import math
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader, TensorDataset

from ..checks import require_count, require_positive
from ..likelihoods import Bernoulli, Categorical, Gaussian, Likelihood
from ..network import Network
from ..priors import Prior, gaussian_stds
from ..types import Dataset, Draws, StoppedChainWarning
from .found import module_at, require_parameters, torchscript_allowed, training_rows

Subset = Literal["last_layer", "all"]
Structure = Literal["full", "kron", "diagonal"]

# What laplace-torch calls them.
_STRUCTURES = {"full": "full", "kron": "kron", "diagonal": "diag"}
# Layers with y = Wx + b, of which Kronecker factors are known.
_KRONECKER = (nn.Linear, nn.Conv2d)


def laplace(
    network: Network,
    dataset: Dataset,
    trained: Draws,
    prior: Prior,
    *,
    likelihood: Likelihood = Categorical(),  # noqa: B008
    temperature: float = 1.0,
    subset: Subset = "last_layer",
    structure: Structure = "full",
    n_draws: int = 100,
    batch_size: int = 32,
    seed: int = 0,
) -> Draws:
    """Draw from the Laplace approximation of prior × likelihood^(1/T) around every trained network.

    θ ~ N(θ*, (H/T + Λ)⁻¹), H = Σ_i J_iᵀ [∇²_f −log p(y_i | f_i)] J_i, Λ = diag(1/std²)

    θ* are the last parameters of each chain, H is the generalised Gauss-Newton matrix (GGN) of the SUM
    of the negative log likelihoods there, J_i = ∂f_i/∂θ, and std are the prior's. All is computed in
    float64. It approximates the posterior where θ* is its maximum: train with the prior's weight
    decay, ``priors.weight_decay``. Elsewhere θ* stays the centre all the same.

    ``structure`` is what is kept of H: all of it (``"full"``, memory P² for P parameters), a Kronecker
    product for each weight and a block for each bias (``"kron"``, KFAC), or its diagonal, and likewise
    for T ≠ 1. laplace-torch computes it.

    Args:
        network: The architecture.
        dataset: Its training rows.
        trained: Parameters by name with the axes (chain, draw); the last draw of each chain is θ*.
        prior: Normals around 0: Normal, FanIn, Independent or TorchDefault("normal").
        likelihood: Categorical, Bernoulli or Gaussian with a known noise level.
        temperature: T.
        subset: ``"last_layer"`` draws weight and bias of the last ``torch.nn.Linear`` that the module
            holds, with all else at θ*; ``"all"`` draws every parameter.
        structure: What is kept of H.
        n_draws: Draws around each network.
        batch_size: Rows at once. But for ``"kron"`` the time grows with it, for the Jacobians of all
            of them are taken together; the results do not depend on it.
        seed: The draws of chain c derive from (``seed``, c) alone.

    Returns:
        ``Draws`` of all parameters, in the dtype of ``trained``. Chains without an approximation,
        since their parameters or their H are not finite, have NaN; they are named in
        ``info["stopped_chains"]``, and a ``StoppedChainWarning`` says so.

    Raises:
        ValueError: A setting is not possible, the prior is not Gaussian, the likelihood has no GGN
            here, ``trained`` is not of this network, there is no ``torch.nn.Linear``, or a parameter
            has no Kronecker factors.
        ImportError: laplace-torch is missing.

    Source:
        Daxberger et al., Laplace Redux, arXiv 2106.14806.
    """
    require_positive("temperature", temperature)
    require_count("n_draws", n_draws)
    require_count("batch_size", batch_size)
    _require_one_of("subset", subset, get_args(Subset))
    _require_one_of("structure", structure, get_args(Structure))
    require_parameters(network, trained)
    rows = _rows(dataset, likelihood)
    names = _drawn(network, subset)
    if structure == "kron":
        _require_kronecker(network, names, rows.tensors[0])
    stds = gaussian_stds(prior, network.shapes)
    precision = torch.tensor([stds[name] ** -2 for name in names], dtype=torch.float64)
    approximation = _Approximation(likelihood, temperature, structure, precision, batch_size)
    started = time.perf_counter()
    samples = np.full((trained.n_chains, n_draws, _size(network, names)), np.nan)
    for chain in range(trained.n_chains):
        module = module_at(network, trained, chain, -1)
        if module is not None:
            generator = torch.Generator().manual_seed(_number(seed, chain))
            samples[chain] = approximation.draw(module, names, rows, n_draws, generator)
    stopped = np.flatnonzero(~np.isfinite(samples).all(axis=(1, 2)))
    samples[stopped] = np.nan
    info = {
        "sampler": f"laplace(subset={subset!r}, structure={structure!r}, temperature={temperature})",
        "n_drawn_parameters": samples.shape[-1],
        "stopped_chains": ", ".join(map(str, stopped)),
        "nonfinite_draws": len(stopped) * n_draws,
        "seconds": time.perf_counter() - started,
    }
    params = _by_name(network, trained, names, samples, stopped)
    draws = Draws(params, {}, {name: value[:, -1] for name, value in params.items()}, info)
    _warn(draws)
    return draws


class _Logits(nn.Module):
    """A network whose outputs are a matrix with a row each: means, or logits of all classes."""

    def __init__(self, module: nn.Module, likelihood: Likelihood) -> None:
        super().__init__()
        self.module = module
        self.is_binary = isinstance(likelihood, Bernoulli)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs, or 0 beside the one logit of two classes."""
        outputs = self.module(x)
        outputs = outputs.reshape(outputs.shape[0], -1)
        if not self.is_binary:
            return outputs
        return torch.cat([torch.zeros_like(outputs), outputs], dim=1)


@dataclass(frozen=True)
class _Approximation:
    """Everything but the network.

    Attributes:
        precision: 1/std² of every parameter that is drawn.
    """

    likelihood: Likelihood
    temperature: float
    structure: Structure
    precision: torch.Tensor
    batch_size: int

    def draw(
        self,
        module: nn.Module,
        names: Sequence[str],
        rows: TensorDataset,
        n_draws: int,
        generator: torch.Generator,
    ) -> np.ndarray | float:
        """Draws around one network, shape (n_draws, parameters drawn); NaN where there are none."""
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(name in names)
        fitted = self._laplace(module)
        try:
            # The fused attention has no batched derivative.
            with sdpa_kernel(SDPBackend.MATH):
                fitted.fit(DataLoader(rows, batch_size=self.batch_size))
            # An infinite precision would give finite draws, all at the centre.
            is_proper = torch.isfinite(fitted.log_det_posterior_precision)
            return fitted.sample(n_draws, generator).numpy() if is_proper else np.nan
        # laplace-torch leaves Python where an eigendecomposition fails.
        except (torch.linalg.LinAlgError, SystemExit):  # type: ignore[attr-defined]
            return np.nan

    def _laplace(self, module: nn.Module) -> Any:
        kind, noise_std = "classification", 1.0
        if isinstance(self.likelihood, Gaussian):
            kind, noise_std = "regression", self.likelihood.known_std()
        n_drawn = sum(p.numel() for p in module.parameters() if p.requires_grad)
        # All weights as a subnetwork: the other way to the full H computes it in float32.
        is_full = self.structure == "full"
        kwargs = {"subnetwork_indices": torch.arange(n_drawn)} if is_full else {}
        return _library().Laplace(
            _Logits(module, self.likelihood),
            kind,
            "all",
            _STRUCTURES[self.structure],
            sigma_noise=noise_std,
            prior_precision=self.precision,
            temperature=self.temperature,
            backend_kwargs=kwargs,
        )


def _library() -> Any:
    try:
        with torchscript_allowed():
            import laplace
    except ImportError as error:
        raise ImportError("laplace needs laplace-torch; install bayes-vs-sgd[laplace].") from error
    return laplace


def _rows(dataset: Dataset, likelihood: Likelihood) -> TensorDataset:
    """Inputs, and targets as laplace-torch wants them."""
    x, y = training_rows(dataset)
    if isinstance(likelihood, Gaussian):
        likelihood.known_std()
        return TensorDataset(x, y.reshape(len(y), -1).double())
    if isinstance(likelihood, Bernoulli):
        return TensorDataset(x, (y.reshape(len(y)) == 1).long())
    if isinstance(likelihood, Categorical):
        return TensorDataset(x, y)
    raise ValueError(
        f"{type(likelihood).__name__} has no Laplace approximation here; pass Categorical, Bernoulli "
        "or Gaussian."
    )


def _template(network: Network) -> nn.Module:
    """The module at no particular parameters, none of them 0."""
    rng = np.random.default_rng(0)
    return network.to_torch({n: rng.normal(size=s) for n, s in network.shapes.items()}).double()


def _drawn(network: Network, subset: Subset) -> list[str]:
    """Names of what is drawn, in the module's order."""
    if subset == "all":
        return list(network.shapes)
    module = _template(network)
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    if not layers:
        raise ValueError("the module has no torch.nn.Linear; pass subset='all'.")
    last = {id(p) for p in layers[-1].parameters()}
    return [name for name, p in module.named_parameters() if id(p) in last]


def _require_kronecker(network: Network, names: Sequence[str], x: torch.Tensor) -> None:
    """Refuse parameters that are not W or b of one layer y = Wx + b."""
    module = _template(network)
    n_uses = Counter(id(p) for _, p in module.named_parameters(remove_duplicate=False))
    plain: set[int] = set()

    def note(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        kind: Any = next(kind for kind in _KRONECKER if isinstance(layer, kind))
        if torch.allclose(kind.forward(layer, *inputs), output):
            plain.update(id(p) for p in layer.parameters())

    for layer in module.modules():
        if isinstance(layer, _KRONECKER):
            layer.register_forward_hook(note)
    with torch.no_grad():
        module(x[:1])
    parameters = dict(module.named_parameters())
    others = [n for n in names if id(parameters[n]) not in plain or n_uses[id(parameters[n])] > 1]
    if others:
        raise ValueError(
            f"structure='kron' is possible for torch.nn.Linear and torch.nn.Conv2d as they are, "
            f"without shared weights, and {others} are none of their parameters; pass 'diagonal' or "
            "'full'."
        )


def _by_name(
    network: Network,
    trained: Draws,
    names: Sequence[str],
    samples: np.ndarray,
    stopped: np.ndarray,
) -> dict[str, np.ndarray]:
    """All parameters of all draws; those that are not drawn are views of θ*."""
    ends = np.cumsum([math.prod(network.shapes[name]) for name in names])
    drawn = dict(zip(names, np.split(samples, ends[:-1], axis=-1), strict=True))
    params = {}
    for name, shape in network.shapes.items():
        centre = np.array(trained.params[name][:, -1])
        centre[stopped] = np.nan
        whole = (*samples.shape[:2], *shape)
        if name in drawn:
            params[name] = drawn[name].reshape(whole).astype(centre.dtype)
        else:
            params[name] = np.broadcast_to(centre[:, None], whole)
    return params


def _size(network: Network, names: Sequence[str]) -> int:
    return sum(math.prod(network.shapes[name]) for name in names)


def _number(seed: int, chain: int) -> int:
    return int(np.random.SeedSequence([seed, chain]).generate_state(1, np.uint64)[0] >> 1)


def _require_one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(
            f"{name}={value!r} is unknown; pass one of {', '.join(map(repr, allowed))}."
        )


def _warn(draws: Draws) -> None:
    stopped = draws.info["stopped_chains"]
    if stopped:
        warnings.warn(
            f"{stopped.count(',') + 1} of {draws.n_chains} networks have no Laplace approximation "
            f"(chains {stopped}): their parameters or their H are not finite, or H/T + Λ is not "
            "positive; their draws are NaN. Leave them out with draws.running().",
            StoppedChainWarning,
            stacklevel=3,
        )
