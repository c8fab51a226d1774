"""Where networks start: draws of a prior, given parameters, or the end of another run."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import numpy as np

from ..network import Network
from ..priors import Prior, sample_many
from ..types import Draws

# Draws of a prior are made in blocks of so many, at most of so many numbers in all. A compiled
# function rounds in another way for another number of draws, and start s must not depend on how many
# there are.
_BLOCK, _BLOCK_NUMBERS = 64, 2**22


class Starts:
    """The starting points of ``n_seeds`` networks, made where they are needed.

    Args:
        initial: A prior, parameters with a leading axis, or ``Draws`` whose last parameters are taken.
        network: The architecture.
        n_seeds: Number of networks.
        seed: Root of the randomness of a prior's draws.
        first_seed: Number of the first network.

    Raises:
        ValueError: Given parameters are of other names, shapes or number.
    """

    def __init__(
        self,
        initial: Prior | Mapping[str, np.ndarray] | Draws,
        network: Network,
        n_seeds: int,
        seed: int,
        first_seed: int,
    ) -> None:
        given: Any = initial.last if isinstance(initial, Draws) else initial
        self._given: dict[str, np.ndarray] | None = None
        self._first, self._names = first_seed, tuple(network.shapes)
        if isinstance(given, Mapping):
            self._given = _checked(given, network, n_seeds)
        elif hasattr(given, "sample"):
            self._draw = partial(sample_many, given, jax.random.key(seed), network.shapes)
        else:
            raise ValueError(
                f"initial is a {type(initial).__name__}; pass a prior, parameters with a leading axis of "
                f"n_seeds={n_seeds}, or Draws."
            )
        n_parameters = max(1, network.n_parameters)
        self._length = int(np.clip(_BLOCK_NUMBERS // n_parameters, 1, _BLOCK))

    def of(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """The starts of networks ``start`` to ``stop`` of the run, leaves (stop − start, ...)."""
        if self._given is not None:
            return {name: value[start:stop].copy() for name, value in self._given.items()}
        first, last, length = start + self._first, stop + self._first, self._length
        blocks = [
            self._draw(length, first=k * length) for k in range(first // length, -(-last // length))
        ]
        skipped = first - first // length * length
        return {
            name: np.concatenate([np.asarray(block[name]) for block in blocks])[
                skipped : skipped + stop - start
            ]
            # JAX sorts names; torch's order is that of registration.
            for name in self._names
        }

    @property
    def are_given(self) -> bool:
        """Whether they are given parameters, and no draws of a prior."""
        return self._given is not None


def _checked(given: Mapping[str, Any], network: Network, n_seeds: int) -> dict[str, np.ndarray]:
    arrays = {name: np.asarray(value) for name, value in given.items()}
    for name, value in arrays.items():
        if value.ndim == 0 or not np.issubdtype(value.dtype, np.floating):
            raise ValueError(
                f"initial[{name!r}] is {value.dtype} of shape {value.shape}; pass floating-point numbers "
                f"with a leading axis of n_seeds={n_seeds}."
            )
    dtypes = sorted({str(value.dtype) for value in arrays.values()})
    if len(dtypes) > 1:
        raise ValueError(
            f"initial holds {' and '.join(dtypes)}; pass all parameters in one of them."
        )
    lengths = {len(value) for value in arrays.values()}
    if lengths != {n_seeds}:
        raise ValueError(
            f"initial has leading axes of {sorted(lengths)}; it must hold n_seeds={n_seeds} starts."
        )
    if set(arrays) != set(network.shapes):
        missing = sorted(set(network.shapes) - set(arrays))
        unknown = sorted(set(arrays) - set(network.shapes))
        raise ValueError(
            f"initial lacks {missing} and has unknown {unknown}; its names must be those of "
            "module.named_parameters()."
        )
    for name, shape in network.shapes.items():
        if arrays[name].shape[1:] != shape:
            raise ValueError(
                f"initial[{name!r}] has shape {arrays[name].shape}; it must be {(n_seeds, *shape)}."
            )
    return {name: arrays[name] for name in network.shapes}
