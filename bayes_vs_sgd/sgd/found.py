"""Found networks, one at a time, and the rows that they were trained on, in float64."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from ..network import Network
from ..types import Dataset, Draws

# What is measured of one network, by name.
Numbers = dict[str, Any]


def require_parameters(network: Network, draws: Draws) -> None:
    """Refuse draws that are not the parameters of this network.

    Raises:
        ValueError: A name or a shape is another.
    """
    params = draws.params if isinstance(draws.params, Mapping) else {"": draws.params}
    held = {name: tuple(value.shape[2:]) for name, value in params.items()}
    if held != network.shapes:
        raise ValueError(
            f"the draws hold {held} and the network's parameters are {network.shapes}; pass draws of "
            "this network, without collect=, from a prior on the parameters themselves."
        )


def module_at(network: Network, draws: Draws, chain: int, draw: int) -> nn.Module | None:
    """The network of one draw with parameters and buffers in float64; None if one is not finite."""
    params = {name: np.asarray(value[chain, draw]) for name, value in draws.params.items()}
    if not all(np.isfinite(value).all() for value in params.values()):
        return None
    return network.to_torch(params).double()


@contextmanager
def torchscript_allowed() -> Iterator[None]:
    """Without the warning that TorchScript is deprecated.

    linear_operator, which curvlinops and laplace-torch need, compiles with it when it is imported.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".torch\.jit\.script", FutureWarning)
        yield


def training_rows(dataset: Dataset) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and targets of the training rows: float64, and int64 where they are integers."""
    x, y = (torch.from_numpy(np.array(a)) for a in (dataset.x_train, dataset.y_train))
    return _widest(x), _widest(y)


def _widest(a: torch.Tensor) -> torch.Tensor:
    return a.double() if a.is_floating_point() else a.long()
