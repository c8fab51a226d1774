"""The posterior under the 0/1 likelihood, whose mass on a function is that function's volume."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Int, Num, UInt32

from ...posterior import Applied
from ...priors.prior import Prior, Shapes
from ...types import Dataset
from ..patterns import classify, pack
from ..prior import require_outputs


class Rows(NamedTuple):
    """The rows of a problem: arguments of its programs, so that others of their shapes need no new ones.

    Attributes:
        x_train: Training inputs.
        y_train: Their classes.
        x_test: Inputs on which functions are told apart.
    """

    x_train: Num[Array, "train ..."]
    y_train: Int[Array, " train"]
    x_test: Num[Array, "test ..."]


@dataclass(frozen=True)
class Rule:
    """A problem without its rows, equal to another of the same network and settings.

    Attributes:
        network: As in ``ZeroOne``.
        prior: As in ``ZeroOne``.
        n_classes: Number of classes.
        frozen: As in ``ZeroOne``.
    """

    network: Applied
    prior: Prior
    n_classes: int
    frozen: tuple[str, ...]

    @property
    def sampled_shapes(self) -> Shapes:
        """Shapes of the parameters that are not frozen."""
        return {n: s for n, s in self.network.shapes.items() if n not in self.frozen}

    @property
    def frozen_shapes(self) -> Shapes:
        """Shapes of the frozen parameters."""
        return {n: s for n, s in self.network.shapes.items() if n in self.frozen}

    def mistakes(self, params: Any, rows: Rows) -> Int[Array, ""]:
        """Number of training rows whose class is wrong: pure JAX, of one set of parameters."""
        outputs = self.network.apply(params, rows.x_train)
        return (classify(outputs) != rows.y_train).sum(dtype=jnp.int32)

    def pattern(self, params: Any, rows: Rows) -> UInt32[Array, " words"]:
        """The packed classes of the test rows: pure JAX, of one set of parameters."""
        return pack(classify(self.network.apply(params, rows.x_test)), self.n_classes)


@dataclass(frozen=True, eq=False)
class ZeroOne:
    """P(θ | S) = P(θ)·1[every training row of S is classified rightly] / P(S).

    P(S), the evidence, is the share of the prior that fits the training rows. A function f is a pattern of
    classes on the test rows, and P_B(f | S) the share of this posterior that makes it.

    Attributes:
        network: Anything with ``apply(params, x)`` and ``shapes``; one logit, or one a class.
        prior: P(θ).
        dataset: Training rows S with classes, and the test rows on which functions are told apart.
        frozen: Names of parameters φ that every run of an estimator draws once from the prior and then
            leaves: last-layer training freezes all but the last layer. A run then estimates P(S | φ) and
            P(f | S, φ). Weighted by their evidence, the runs' mean is P(f | S) of the whole network;
            with equal weights it is what training the last layers of random features gives.

    Raises:
        ValueError: The targets are no classes, the outputs not those of so many, or a frozen name is
            unknown or leaves nothing to draw.
    """

    network: Applied
    prior: Prior
    dataset: Dataset
    frozen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.dataset.n_classes < 2:
            raise ValueError(
                f"the targets of {self.dataset.name} are real numbers; the 0/1 likelihood needs "
                "classes, so pass a Dataset with n_classes of at least 2."
            )
        require_outputs(self.network, jnp.asarray(self.dataset.x_train[:1]), self.n_classes)
        unknown = set(self.frozen) - set(self.network.shapes)
        if unknown or len(set(self.frozen)) == len(self.network.shapes):
            raise ValueError(
                f"frozen={self.frozen} must name some, not all, of the parameters "
                f"{list(self.network.shapes)}."
            )

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return self.dataset.n_classes

    @property
    def n_train(self) -> int:
        """Number of training rows."""
        return len(self.dataset.y_train)

    @property
    def n_test(self) -> int:
        """Number of test rows, the inputs of a pattern."""
        return len(self.dataset.y_test)

    @property
    def rule(self) -> Rule:
        """What programs are compiled for."""
        return Rule(self.network, self.prior, self.n_classes, self.frozen)

    @cached_property
    def rows(self) -> Rows:
        """What they are given besides."""
        data = self.dataset
        return Rows(
            jnp.asarray(data.x_train),
            jnp.asarray(data.y_train, jnp.int32),
            jnp.asarray(data.x_test),
        )
