"""The axes: what each is called, its usual values, and what a value of it changes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

from bayes_vs_sgd.checks import require_count, require_positive
from studies import function_volume
from studies._functions import Training

Name = Literal["target", "n_train", "width", "depth", "sigma_w", "lr"]
Problem = function_volume.Config


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        label: What it is called in figures.
        values: Its values by default.
        read: What a value is.
        change: The settings of a comparison with the value put in.
    """

    label: str
    values: tuple[str, ...]
    read: Callable[[str], Any]
    change: Callable[[Problem, Any], Problem]

    @property
    def is_numeric(self) -> bool:
        """Whether its values are numbers."""
        return self.read is not str

    def number(self, name: str, value: str) -> Any:
        """A value as it is read.

        Raises:
            ValueError: It is no number, or not of the right kind.
        """
        kind = "an integer of at least 1" if self.read is int else "a positive number"
        try:
            found = self.read(value)
        except ValueError as error:
            raise ValueError(f"{name}={value} is not possible; pass {kind}.") from error
        if self.read is int:
            require_count(name, found)
        if self.read is float:
            require_positive(name, found)
        return found


def at_rate(texts: tuple[str, ...], rate: float) -> tuple[str, ...]:
    """Ways to train with another learning rate; those that differ in nothing else once."""
    without = [[part for part in text.split() if not part.startswith("lr=")] for text in texts]
    return tuple(dict.fromkeys(" ".join([*parts, f"lr={rate:g}"]) for parts in without))


def line(axis: Name, training: Training) -> tuple[str, str]:
    """Name and label of a way to train that stay the same along the axis."""
    if axis != "lr":
        return training.name, training.label
    rate = f"{training.lr:g}"
    return training.name.replace(f"_lr{rate}", ""), training.label.replace(f", lr {rate}", "")


AXES: Mapping[Name, Axis] = MappingProxyType(
    {
        "target": Axis(
            "target",
            ("and_of_three", "one_variable", "majority", "xor_of_two", "parity_of_three", "random"),
            str,
            lambda problem, x: replace(problem, target=x),
        ),
        "n_train": Axis(
            "training rows",
            ("8", "16", "32", "64"),
            int,
            lambda problem, x: replace(problem, n_train=x),
        ),
        "width": Axis(
            "units of each hidden layer",
            ("10", "20", "40", "80"),
            int,
            lambda problem, x: replace(problem, hidden=(x,) * len(problem.hidden)),
        ),
        "depth": Axis(
            "hidden layers",
            ("1", "2", "3", "4"),
            int,
            lambda problem, x: replace(problem, hidden=problem.hidden[:1] * x),
        ),
        "sigma_w": Axis(
            "σ_w (weights are N(0, σ_w²/fan_in))",
            ("0.7", "1", "1.4", "2"),
            float,
            lambda problem, x: replace(problem, sigma_w=x),
        ),
        "lr": Axis(
            "learning rate",
            ("0.003", "0.01", "0.03", "0.1"),
            float,
            lambda problem, x: replace(problem, sgd=at_rate(problem.sgd, x)),
        ),
    }
)
