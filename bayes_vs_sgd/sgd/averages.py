"""Averages of the iterates of SGD, and Gaussians fitted to them, kept while networks train.

All of them act on every entry of the stacked parameters alone. Steps are counted from 1; the iterate
of step k is that after k updates.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jaxtyping import Array

from ..checks import require_count, require_fraction, require_positive

Sums = dict[str, torch.Tensor]


class Average(ABC):
    """What is kept of the iterates in place of the last one.

    Attributes:
        start: The first step whose iterate counts.
        every: Steps from one iterate that counts to the next.
    """

    start: int
    every: int

    def __post_init__(self) -> None:
        require_count("start", self.start)
        require_count("every", self.every)

    @property
    def n_draws(self) -> int | None:
        """Draws a network that are taken at its end; None where the average itself is kept."""
        return None

    def counts(self, step: int) -> bool:
        """Whether the iterate of this step counts."""
        return step >= self.start and (step - self.start) % self.every == 0

    def begin(self, params: torch.Tensor) -> Sums:
        """What is kept of a stacked tensor, each with the leading axis of networks: the mean.

        The first iterate takes the place of its entries.
        """
        return {"mean": params.clone()}

    @abstractmethod
    def add(self, sums: Sums, params: torch.Tensor, n: int) -> None:
        """Take in an iterate in place, after ``n`` others."""


@dataclass(frozen=True)
class SWA(Average):
    """Stochastic weight averaging: θ̄ = (1/n) Σ θ_k over the iterates that count (arXiv 1803.05407).

    Its learning rate is usually constant or cyclical from ``start`` on. For SGD of constant step η on
    a quadratic h with gradient noise of variance s² the average of T iterates has variance
    s²/(h²T) for T large, whatever η.

    Attributes:
        start: The first step whose iterate counts.
        every: Steps from one iterate that counts to the next; those of an epoch are usual.
    """

    start: int = 1
    every: int = 1

    def add(self, sums: Sums, params: torch.Tensor, n: int) -> None:
        """Mean ← mean + (θ − mean)/(n + 1)."""
        sums["mean"].lerp_(params, 1 / (n + 1))


@dataclass(frozen=True)
class EMA(Average):
    """Exponential moving average: θ̄ ← decay·θ̄ + (1 − decay)·θ, from θ̄ = the first iterate on.

    Attributes:
        decay: Share of θ̄ that stays.
        start: The first step whose iterate counts.
        every: Steps from one iterate that counts to the next.
    """

    decay: float = 0.999
    start: int = 1
    every: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_fraction("decay", self.decay)

    def add(self, sums: Sums, params: torch.Tensor, n: int) -> None:
        """Mean ← mean + (1 − decay)·(θ − mean)."""
        sums["mean"].lerp_(params, 1 - self.decay if n else 1.0)


@dataclass(frozen=True)
class SWAG(Average):
    """A Gaussian fitted to the iterates, and draws from it (Maddox et al., arXiv 1902.02476).

    With n iterates that count, their mean θ̄ and, entry by entry, their variance
    σ² = (1/n) Σ (θ_k − θ̄)²; with the deviations d_i = θ_i − θ̄_i of the last K of them from the mean
    at that time, a draw is

        θ = θ̄ + √scale·(σ·z/√2 + Σ_i d_i·u_i/√(2(K − 1))),    z, u ~ N(0, 1),

    and with ``rank=0``, the diagonal form, θ = θ̄ + √scale·σ·z. One network gives SWAG; networks from
    several seeds, all draws of which are averaged, give MultiSWAG (arXiv 2002.08791).

    Attributes:
        n_draws: Draws of every network, taken when it stops.
        rank: K ≥ 2, or 0 for the diagonal form. Memory grows by K copies of the parameters.
        scale: Factor on the covariance.
        start: The first step whose iterate counts.
        every: Steps from one iterate that counts to the next; those of an epoch are usual.
    """

    n_draws: int = 30
    rank: int = 20
    scale: float = 1.0
    start: int = 1
    every: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_count("n_draws", self.n_draws)
        require_positive("scale", self.scale)
        if self.rank != 0:
            require_count("rank", self.rank, least=2)

    def begin(self, params: torch.Tensor) -> Sums:
        """Mean, sum of squared deviations, and the last deviations."""
        n, *shape = params.shape
        return super().begin(params) | {
            "squares": torch.zeros_like(params),
            "deviations": params.new_zeros((n, self.rank, *shape)),
        }

    def add(self, sums: Sums, params: torch.Tensor, n: int) -> None:
        """Welford's update of mean and squares; the oldest deviation makes room."""
        before = params - sums["mean"] if n else torch.zeros_like(params)
        sums["mean"].lerp_(params, 1 / (n + 1))
        after = params - sums["mean"]
        sums["squares"].addcmul_(before, after)
        if self.rank:
            sums["deviations"][:, n % self.rank] = after

    def draw(
        self, sums: dict[str, Sums], n: int, key: Array, seeds: np.ndarray, number: int
    ) -> dict[str, torch.Tensor]:
        """Draw ``number`` of every network's Gaussian.

        Args:
            sums: By parameter name, after ``n`` ≥ 1 iterates.
            n: Iterates that were taken in.
            key: Root of the randomness, a JAX key; the draw of a network depends on its seed alone.
            seeds: Seed numbers, shape (networks,).
            number: Which draw.
        """
        keys = _keys(key, seeds, number)
        columns = min(n, self.rank)
        u = _normals(keys, len(sums), (columns,))
        result = {}
        for k, (name, kept) in enumerate(sums.items()):
            mean = kept["mean"]
            z = torch.from_numpy(_normals(keys, k, tuple(mean.shape[1:]))).to(mean)
            away = (kept["squares"] / n).sqrt() * z
            if self.rank:
                away = away / 2**0.5
            if columns > 1:
                weights = torch.from_numpy(u).to(mean) / (2 * (columns - 1)) ** 0.5
                away = away + torch.einsum(
                    "nk,nk...->n...", weights, kept["deviations"][:, :columns]
                )
            result[name] = mean + self.scale**0.5 * away
        return result


def _keys(key: Array, seeds: np.ndarray, number: int) -> Array:
    fold = jax.random.fold_in
    return jax.vmap(lambda s: fold(fold(key, s), number))(jnp.asarray(seeds))


def _normals(keys: Array, stream: int, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal numbers (network, *shape), one stream a parameter."""
    draw = lambda key: jax.random.normal(jax.random.fold_in(key, stream), shape)  # noqa: E731
    return np.array(jax.vmap(draw)(keys))
