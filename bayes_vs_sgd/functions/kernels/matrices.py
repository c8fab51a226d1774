"""Kernel matrices in double precision, block by block."""

import math
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from ...checks import require_count
from .layers import Kernels

# Numbers that one covariance of a block may hold; a few of them are alive at once.
_BLOCK = 2**22


class Architecture(Protocol):
    """A network of infinite width: ``FullyConnected``, ``Convolutional``."""

    def kernels(self, x: Float[Array, "n ..."], y: Float[Array, "m ..."] | None = None) -> Kernels:
        """Both kernels between the rows of x and of y."""
        ...

    def pair_size(self, shape: tuple[int, ...]) -> int:
        """How many numbers a pair of inputs of this shape takes."""
        ...


def kernel_matrices(
    architecture: Architecture,
    x: Num[np.ndarray, "n ..."],
    y: Num[np.ndarray, "m ..."] | None = None,
    *,
    batch_size: int | None = None,
) -> Kernels:
    """Both kernels as NumPy arrays in float64, whatever JAX's default precision is.

    Rows are taken in blocks, so that memory does not grow with n·m times the positions of an image.
    Without y the matrices are symmetric to the last bit and blocks below the diagonal are not
    computed.

    Args:
        architecture: ``FullyConnected`` or ``Convolutional``.
        x: Inputs, shape (n, ...).
        y: Inputs, shape (m, ...); None is x itself.
        batch_size: Rows of x and of y in a block; None takes as many as 32 MB allow for one array.

    Returns:
        ``Kernels`` of shape (n, m), or (n, n).

    Raises:
        ValueError: Rows of x and y differ in shape or do not suit the architecture, there are none, or
            ``batch_size`` is no positive integer.
    """
    first = np.asarray(x, dtype=np.float64)
    second = first if y is None else np.asarray(y, dtype=np.float64)
    if 0 in (len(first), len(second)):
        raise ValueError(f"x has {len(first)} rows and y {len(second)}; pass at least one of each.")
    size = architecture.pair_size(first.shape[1:])
    rows = batch_size or max(1, math.isqrt(_BLOCK // size))
    require_count("batch_size", rows if batch_size is None else batch_size)
    found = Kernels(*(np.empty((len(first), len(second))) for _ in range(2)))  # type: ignore[arg-type]
    for top in range(0, len(first), rows):
        for left in range(0 if y is not None else top, len(second), rows):
            block = _padded(architecture, first[top : top + rows], second[left : left + rows], rows)
            _place(found, block, top, left, symmetric=y is None)
    return found


def _padded(architecture: Architecture, x: np.ndarray, y: np.ndarray, rows: int) -> Kernels:
    """One block; the last row is repeated up to one shape for all, which is compiled once."""
    whole = [a[np.minimum(np.arange(rows), len(a) - 1)] for a in (x, y)]
    if len(x) < rows and len(y) < rows:
        whole = [x, y]
    with jax.enable_x64(True):
        block = _kernels(architecture, *map(jnp.asarray, whole))
        return Kernels(*(np.asarray(k)[: len(x), : len(y)] for k in block))  # type: ignore[arg-type]


def _place(found: Kernels, block: Kernels, top: int, left: int, *, symmetric: bool) -> None:
    for whole, part in zip(found, block, strict=True):
        values = np.tril(part) + np.tril(part, -1).T if symmetric and top == left else part
        whole[top : top + len(part), left : left + part.shape[1]] = values
        if symmetric and top != left:
            whole[left : left + part.shape[1], top : top + len(part)] = values.T


@jax.jit(static_argnums=0)
def _kernels(architecture: Architecture, x: Array, y: Array) -> Kernels:
    return architecture.kernels(x, y)
