"""The three things that travel between the parts: data, draws, numbers with an error."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from jaxtyping import Int, Num


@dataclass(frozen=True)
class Dataset:
    """A train and test split, checked when it is made.

    Attributes:
        x_train: Inputs, shape (n_train, ...), finite.
        y_train: Integer classes of shape (n_train,), or float targets of shape (n_train, ...).
        x_test: Inputs, shape (n_test, ...), finite.
        y_test: Targets of the test rows.
        n_classes: Number of classes; 0 says that the targets are real numbers.
        noisy: True where a training label was redrawn or changed, shape (n_train,); None, or nowhere
            True, without label noise.
        name: What the data are called in reports.
        y_test_noisy: Targets of the test rows with noise of the kind and fraction of the training
            labels'; None without it.

    Raises:
        ValueError: An array is empty, not finite, of unequal length, or a label is no class.
    """

    x_train: Num[np.ndarray, "n_train ..."]
    y_train: Num[np.ndarray, "n_train ..."]
    x_test: Num[np.ndarray, "n_test ..."]
    y_test: Num[np.ndarray, "n_test ..."]
    n_classes: int = 0
    noisy: np.ndarray | None = None
    name: str = "data"
    y_test_noisy: Num[np.ndarray, "n_test ..."] | None = None

    def __post_init__(self) -> None:
        pairs = [("x_train", "y_train"), ("x_test", "y_test")]
        if self.y_test_noisy is not None:
            pairs.append(("x_test", "y_test_noisy"))
        for x_name, y_name in pairs:
            x, y = getattr(self, x_name), getattr(self, y_name)
            _check_rows(x_name, x, y_name, y)
            if self.n_classes:
                _check_classes(y_name, y, self.n_classes)


def _check_rows(x_name: str, x: np.ndarray, y_name: str, y: np.ndarray) -> None:
    if len(x) == 0:
        raise ValueError(f"{x_name} has no rows; pass at least one.")
    if len(x) != len(y):
        raise ValueError(
            f"{x_name} has {len(x)} rows and {y_name} has {len(y)}; they must be equal in number."
        )
    for name, values in ((x_name, x), (y_name, y)):
        n_bad = int(np.size(values) - np.isfinite(values).sum())
        if n_bad:
            raise ValueError(
                f"{name} holds {n_bad} values that are NaN or infinite; remove or impute those rows."
            )


def _check_classes(name: str, y: np.ndarray, n_classes: int) -> None:
    if not np.issubdtype(np.asarray(y).dtype, np.integer):
        raise ValueError(f"{name} is {y.dtype}; class labels must be integers 0…{n_classes - 1}.")
    if y.min() < 0 or y.max() >= n_classes:
        raise ValueError(
            f"{name} has labels from {y.min()} to {y.max()}, outside the classes 0…{n_classes - 1}; "
            "relabel them or pass the right n_classes."
        )


class StoppedChainWarning(UserWarning):
    """Parameters of a chain, or of a network in training, ceased to be finite."""


@dataclass(frozen=True)
class Draws:
    """Parameters with the leading axes (chain, draw), wherever they came from.

    A sampler's chain is a Markov chain and its draw a state after warm-up; for SGD the chain is
    the seed and the draw a checkpoint.

    Attributes:
        params: Pytree whose leaves have shape (n_chains, n_draws, ...): parameters by name, or
            whatever the sampler's ``collect`` returned.
        stats: Per-draw statistics under ArviZ's names, each of shape (n_chains, n_draws).
        last: The final parameters of each chain, leaves (n_chains, ...); a warm start.
        info: Facts on the run as plain numbers and strings (sampler, divergences in warm-up, time), or
            lists of them with one entry a chain.
    """

    params: Any
    stats: Mapping[str, np.ndarray] = field(default_factory=dict)
    last: Any = None
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_chains(self) -> int:
        """Number of chains (seeds)."""
        return int(self._leaves()[0].shape[0])

    @property
    def n_draws(self) -> int:
        """Number of draws (checkpoints) in each chain."""
        return int(self._leaves()[0].shape[1])

    def _leaves(self) -> list[Any]:
        """Arrays (chain, draw, ...); statistics where no parameters were kept."""
        return jax.tree.leaves(self.params) or list(self.stats.values())

    def running_chains(self) -> Int[np.ndarray, " n"]:
        """Numbers of the chains whose parameters stayed finite to the end."""
        stopped = str(self.info.get("stopped_chains", "")).split(", ")
        return np.array([c for c in range(self.n_chains) if str(c) not in stopped], dtype=int)

    def running(self) -> "Draws":
        """The chains whose parameters stayed finite to the end.

        Raises:
            ValueError: None did.
        """
        kept = self.running_chains()
        if len(kept) == 0:
            raise ValueError(
                "the parameters of every chain ceased to be finite; lower the step size."
            )
        info = {**self.info, "stopped_chains": ""}
        stats = {name: value[kept] for name, value in self.stats.items()}
        take = lambda tree: jax.tree.map(lambda a: np.asarray(a)[kept], tree)  # noqa: E731
        return Draws(take(self.params), stats, take(self.last), info)


@dataclass(frozen=True)
class Estimate:
    """A number (or an array of them) with the standard error of its estimator.

    Attributes:
        value: The estimate.
        sem: Its standard error; the spread of what was averaged is ``std``, never this.
    """

    value: Any
    sem: Any

    def __str__(self) -> str:
        if np.ndim(self.value):
            return f"{self.value} ± {self.sem}"
        return f"{self.value:.4g} ± {self.sem:.2g}"
