"""Kernels of convolutional networks with infinitely many channels."""

import math
from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from ...checks import require_count
from .fully_connected import require_rows
from .layers import Affine, Covariances, Kernels, as_real, nonlinearity
from .moments import require_activation
from .positions import PADDINGS, Padding, filter_mean, position_mean, size_after
from .scales import affine

Readout = Literal["flatten", "pool"]


@dataclass(frozen=True)
class Convolutional:
    """A convolutional network in one or two dimensions, with infinitely many channels.

    ``depth`` layers of convolution, each followed by the nonlinearity φ, then a linear readout:
    h_c(p) = (m_w/√(channels·q^dims))·Σ W_cc′(δ) h_c′(p + δ) + m_b·b_c, with W ~ N(0, (σ_w/m_w)²) and
    b ~ N(0, (σ_b/m_b)²). With ⟨·⟩ the mean over the filter's offsets (``positions.filter_mean``),
    K⁰(p, p′) = Σ_c x_c(p) x′_c(p′)/channels and Θ⁰ = 0:

    - convolution: K ← σ_b² + σ_w²·⟨K⟩ and Θ ← m_b² + m_w²·⟨K⟩ + σ_w²·⟨Θ⟩, with the K before;
    - nonlinearity: K ← E[φφ] and Θ ← Θ·E[φ′φ′];
    - readout: as a convolution, with the mean over equal positions (p = p′) for ``"flatten"``, which
      has a weight for every channel and position, and over all pairs for ``"pool"``, which averages
      over positions first.

    ``"flatten"`` needs equal positions alone: n·m·P numbers for P positions; ``"pool"`` needs
    n·m·P², so that it is for small images. Multipliers mean what they mean in ``FullyConnected``.

    Sources: Novak et al. 2019 (arXiv 1810.05148) and Garriga-Alonso et al. 2019 (arXiv 1808.05587) for
    the NNGP; Arora et al. 2019 (arXiv 1904.11955) for the tangent kernel.

    Attributes:
        depth: Layers of convolution.
        weight_std: σ_w.
        bias_std: σ_b.
        activation: φ: ``"relu"``, ``"erf"`` or ``"identity"``.
        filter_size: q, the side of the filters.
        strides: Step of the filters: one number, or one a layer. Windows begin at 0, stride,
            2·stride, …, as with PyTorch's ``padding=(q − 1)//2`` for odd q.
        padding: ``"same"`` (zeros), ``"circular"`` or ``"valid"`` (none).
        readout: ``"flatten"`` or ``"pool"`` (the global mean over positions).
        weight_multiplier: m_w; None is σ_w.
        bias_multiplier: m_b; None is σ_b. 0 is a network without biases.

    Raises:
        ValueError: A setting is not possible.
    """

    depth: int = 1
    weight_std: float = 1.0
    bias_std: float = 1.0
    activation: str = "relu"
    filter_size: int = 3
    strides: int | tuple[int, ...] = 1
    padding: Padding = "same"
    readout: Readout = "flatten"
    weight_multiplier: float | None = None
    bias_multiplier: float | None = None

    def __post_init__(self) -> None:
        for name in ("depth", "filter_size"):
            require_count(name, getattr(self, name))
        require_activation(self.activation)
        for name, known in (("padding", PADDINGS), ("readout", ("flatten", "pool"))):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} is unknown; pass one of {list(known)}."
                )
        for stride in self._strides():
            require_count("strides", stride)
        if len(self._strides()) != self.depth:
            raise ValueError(
                f"strides has {len(self._strides())} entries and the network {self.depth} layers; pass "
                "one number, or one a layer."
            )
        self._affine()

    def kernels(
        self, x: Float[Array, "n channels ..."], y: Float[Array, "m channels ..."] | None = None
    ) -> Kernels:
        """Both kernels between the images of x and of y (of x again, where y is None).

        Pure JAX, in the floating-point type of x: to be jitted, vmapped and differentiated.

        Args:
            x: Images (n, channels, height, width) or sequences (n, channels, length).
            y: As x, but for the number of rows.

        Raises:
            ValueError: The rows of x and y differ in shape, are no images, or are too small for the
                filters.
        """
        first = as_real(x)
        second = first if y is None else as_real(y)
        require_rows(first.shape, second.shape)
        self.pair_size(first.shape[1:])
        state = _inputs(first, second, pairs=self.readout == "pool")
        for stride in self._strides():
            state = nonlinearity(self._convolve(state, stride), self.activation)
        cross, tangent = position_mean(state.cross), position_mean(state.tangent)
        layer = self._affine()
        return Kernels(layer.variance(cross), layer.tangent(cross, tangent))

    def pair_size(self, shape: tuple[int, ...]) -> int:
        """How many numbers a pair of images (channels, ...) takes in the largest layer.

        Raises:
            ValueError: The shape is of no image or sequence, or too small for the filters.
        """
        if len(shape) not in (2, 3):
            raise ValueError(
                f"rows of x have shape {shape}; pass (channels, length) or (channels, height, width)."
            )
        sizes = list(shape[1:])
        for number, stride in enumerate(self._strides(), start=1):
            sizes = [
                size_after(s, filter_size=self.filter_size, stride=stride, padding=self.padding)
                for s in sizes
            ]
            if 0 in sizes:
                raise ValueError(
                    f"images of shape {shape} are smaller than the filters of layer {number}; lower "
                    f"filter_size={self.filter_size} or depth={self.depth}, or pad."
                )
        n_positions = math.prod(shape[1:])
        return n_positions**2 if self.readout == "pool" else n_positions

    def _convolve(self, inputs: Covariances, stride: int) -> Covariances:
        n_dims = inputs.of_x.ndim - 1

        def mean(covariance: Array, n_copies: int) -> Array:
            return filter_mean(
                covariance,
                n_dims=n_dims,
                n_copies=n_copies,
                filter_size=self.filter_size,
                stride=stride,
                padding=self.padding,
            )

        layer, n_copies = self._affine(), 2 if self.readout == "pool" else 1
        cross = mean(inputs.cross, n_copies)
        return Covariances(
            layer.variance(mean(inputs.of_x, 1)),
            layer.variance(mean(inputs.of_y, 1)),
            layer.variance(cross),
            layer.tangent(cross, mean(inputs.tangent, n_copies)),
        )

    def _strides(self) -> tuple[int, ...]:
        return self.strides if isinstance(self.strides, tuple) else (self.strides,) * self.depth

    def _affine(self) -> Affine:
        return affine(self.weight_std, self.bias_std, self.weight_multiplier, self.bias_multiplier)


def _inputs(x: Array, y: Array, *, pairs: bool) -> Covariances:
    n_channels, letters = x.shape[1], "pq"[: x.ndim - 2]
    others = letters.upper() if pairs else letters
    cross = jnp.einsum(
        f"nc{letters},mc{others}->nm{letters}{others if pairs else ''}", x, y, precision="highest"
    )
    of_x, of_y = ((a**2).sum(axis=1) / n_channels for a in (x, y))
    return Covariances(of_x, of_y, cross / n_channels, jnp.zeros_like(cross))
