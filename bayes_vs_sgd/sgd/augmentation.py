"""Random changes of the inputs, as functions of uniform numbers.

An augmentation draws nothing itself: each row comes with uniform numbers of its own, so that what
becomes of it depends on no other row, network or device. All can be traced.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch.nn import functional

from ..checks import require_count, require_positive


class Augmentation(Protocol):
    """What every augmentation offers."""

    def n_uniforms(self, shape: tuple[int, ...]) -> int:
        """Uniform numbers that one row of this shape needs."""
        ...

    def __call__(self, x: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        """The rows as a network is to see them.

        Args:
            x: Inputs of shape (rows, ...).
            u: Uniform numbers in [0, 1) of shape (rows, n_uniforms).

        Returns:
            Shape and dtype of ``x``.
        """
        ...


@dataclass(frozen=True)
class Flip:
    """Images (channels, height, width) mirrored left to right where u < ½."""

    def n_uniforms(self, shape: tuple[int, ...]) -> int:
        """One number an image.

        Raises:
            ValueError: This is no shape of an image.
        """
        _require_image("Flip", shape)
        return 1

    def __call__(self, x: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        """The images, half of them mirrored."""
        _require_uniforms(self, x, u)
        return torch.where(u[:, 0, None, None, None] < 0.5, x.flip(-1), x)


@dataclass(frozen=True)
class Shift:
    """Images (channels, height, width) moved by s = ⌊u·(2·pixels + 1)⌋ − pixels down, and right.

    Each of the two s is uniform on −pixels…pixels, and what moves in from outside is 0: the random
    crop of a padded image.

    Attributes:
        pixels: The largest move.
    """

    pixels: int = 4

    def __post_init__(self) -> None:
        require_count("pixels", self.pixels, 0)

    def n_uniforms(self, shape: tuple[int, ...]) -> int:
        """Two numbers an image: down, then right.

        Raises:
            ValueError: This is no shape of an image.
        """
        _require_image("Shift", shape)
        return 2

    def __call__(self, x: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        """The images, each moved by its own numbers."""
        _require_uniforms(self, x, u)
        channels, height, width = x.shape[1:]
        padded = functional.pad(x, [self.pixels] * 4)
        # The product may be rounded up to 2·pixels + 1.
        corner = 2 * self.pixels - (u * (2 * self.pixels + 1)).long().clamp(max=2 * self.pixels)
        rows = corner[:, :1] + torch.arange(height, device=x.device)
        columns = corner[:, 1:] + torch.arange(width, device=x.device)
        places = rows[:, :, None] * padded.shape[-1] + columns[:, None, :]
        places = places.flatten(1)[:, None].expand(-1, channels, -1)
        return padded.flatten(2).gather(2, places).unflatten(2, (height, width))


@dataclass(frozen=True)
class Jitter:
    """Noise on every entry: x + std·Φ⁻¹(u), which is N(x, std²).

    Attributes:
        std: Standard deviation of the noise.
    """

    std: float

    def __post_init__(self) -> None:
        require_positive("std", self.std)

    def n_uniforms(self, shape: tuple[int, ...]) -> int:
        """One number an entry."""
        return math.prod(shape)

    def __call__(self, x: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        """The inputs with noise."""
        _require_uniforms(self, x, u)
        # Φ⁻¹ is infinite at 0 and 1; the generator's numbers are multiples of eps/2.
        eps = torch.finfo(u.dtype).eps
        noise = torch.special.ndtri(u.clamp(eps / 4, 1 - eps / 2))
        return x + self.std * noise.reshape(x.shape).to(x.dtype)


@dataclass(frozen=True)
class Compose:
    """Several augmentations, one after another, each with numbers of its own.

    Attributes:
        parts: In the order in which they act.
    """

    parts: tuple[Augmentation, ...]

    def n_uniforms(self, shape: tuple[int, ...]) -> int:
        """The numbers of all parts together."""
        return sum(part.n_uniforms(shape) for part in self.parts)

    def __call__(self, x: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        """The inputs after the last part."""
        _require_uniforms(self, x, u)
        numbers = u.split([part.n_uniforms(tuple(x.shape[1:])) for part in self.parts], dim=1)
        for part, own in zip(self.parts, numbers, strict=True):
            x = part(x, own)
        return x


def _require_image(name: str, shape: tuple[int, ...]) -> None:
    if len(shape) != 3:
        raise ValueError(
            f"{name} takes images (channels, height, width), and a row here has shape {shape}; "
            "reshape the inputs, or use Jitter."
        )


def _require_uniforms(augmentation: Augmentation, x: torch.Tensor, u: torch.Tensor) -> None:
    expected = (len(x), augmentation.n_uniforms(tuple(x.shape[1:])))
    if tuple(u.shape) != expected:
        raise ValueError(
            f"u has shape {tuple(u.shape)}, and {augmentation} needs {expected} for these rows; "
            "n_uniforms says how many numbers a row takes."
        )
