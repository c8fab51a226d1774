"""What convolution and pooling do to covariances between positions."""

from itertools import product
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

Padding = Literal["same", "circular", "valid"]
PADDINGS: tuple[Padding, ...] = ("same", "circular", "valid")


def filter_mean(
    covariance: Float[Array, "..."],
    *,
    n_dims: int,
    n_copies: int,
    filter_size: int,
    stride: int,
    padding: Padding,
) -> Float[Array, "..."]:
    """The mean of a covariance over the windows of a filter.

    With the filter's offsets δ ∈ {0, …, q − 1}^n_dims counted from the corner of the window at p:
    q^{−n_dims}·Σ_δ C(p + δ), or q^{−n_dims}·Σ_δ C(p + δ, p′ + δ) for all pairs of positions, since a
    filter has the same weights at p and p′. What lies outside counts as 0, or comes round.

    Args:
        covariance: Shape (..., *positions), or (..., *positions, *positions).
        n_dims: Dimensions of the image: 1 or 2.
        n_copies: How often the positions are among the axes: 1 or 2.
        filter_size: q, in every dimension.
        stride: Windows begin at 0, stride, 2·stride, …
        padding: ``"same"`` puts ⌊(q − 1)/2⌋ zeros before and ⌊q/2⌋ behind; ``"circular"`` as many
            values from the other end; ``"valid"`` none.
    """
    n_leading = covariance.ndim - n_copies * n_dims
    padded = _pad(covariance, n_leading, filter_size, padding)
    sizes = [padded.shape[n_leading + d] - filter_size + 1 for d in range(n_dims)]
    total = jnp.zeros(())
    for offset in product(range(filter_size), repeat=n_dims):
        window = [slice(o, o + n, stride) for o, n in zip(offset, sizes, strict=True)]
        total = total + padded[(..., *window * n_copies)]
    return (total / filter_size**n_dims).astype(covariance.dtype)


def size_after(size: int, *, filter_size: int, stride: int, padding: Padding) -> int:
    """How many windows fit along a dimension of this size."""
    n_windows = size - filter_size + 1 if padding == "valid" else size
    return max(0, -(-n_windows // stride))


def position_mean(covariance: Float[Array, "n m *positions"]) -> Float[Array, "n m"]:
    """The mean over positions, or over all pairs of them, whichever the covariance has."""
    return covariance.mean(axis=tuple(range(2, covariance.ndim)))


def _pad(covariance: Array, n_leading: int, filter_size: int, padding: Padding) -> Array:
    if padding == "valid" or filter_size == 1:
        return covariance
    widths = ((filter_size - 1) // 2, filter_size // 2)
    all_widths = [(0, 0)] * n_leading + [widths] * (covariance.ndim - n_leading)
    return jnp.pad(covariance, all_widths, mode="wrap" if padding == "circular" else "constant")
