"""The problem at every value of the axis."""

import hashlib
from dataclasses import dataclass, fields, replace

from bayes_vs_sgd.checks import require_count
from bayes_vs_sgd.data import truth_table
from studies import function_volume
from studies._functions import Training
from studies.function_volume.config import check as check_one

from .axes import AXES
from .config import Config

# Longer truth tables are called by their first bits and a digest.
_LONGEST = 16


@dataclass(frozen=True)
class Place:
    """One value of the axis.

    Attributes:
        name: What it is called, in reports and as a file.
        x: Where it lies along the axis; a target by its place in the order given.
        config: The settings of ``studies.function_volume`` there.
        volume: The cell of its posterior; at all learning rates it is one and the same.
    """

    name: str
    x: float
    config: function_volume.Config
    volume: str

    def trained(self, training: Training) -> str:
        """The cell of a way to train."""
        return f"{self.name}-{training.name}"


def places(config: Config) -> list[Place]:
    """Every value of the axis, numbers in rising order.

    Raises:
        ValueError: A value or a setting is not possible, or the values are fewer than two that differ.
    """
    _check(config)
    axis = AXES[config.axis]
    values = [axis.number(config.axis, value) for value in config.values or axis.values]
    if axis.is_numeric:
        values.sort()
    base = _base(config)
    changed = [_resolved(config, axis.change(base, value)) for value in values]
    for one in changed:
        check_one(one)
    if len(set(changed)) < max(len(changed), 2):
        raise ValueError(
            f"values={config.values} must be two or more that differ; for one alone run studies.function_volume."
        )
    return [_place(config, *one) for one in zip(range(len(values)), values, changed, strict=True)]


def _check(config: Config) -> None:
    """Refuse settings that do not go with the axis, and those that the other study lacks."""
    require_count("max_rungs", config.max_rungs)
    if config.axis == "target" and config.data != "boolean":
        raise ValueError(f"data={config.data!r} has one target only; pass another axis.")
    if config.axis == "n_train" and config.train_mask:
        raise ValueError("train_mask fixes the training rows; leave it out along n_train.")


def _base(config: Config) -> function_volume.Config:
    """The settings that both studies have."""
    names = {field.name for field in fields(function_volume.Config)}
    shared = {name: getattr(config, name) for name in names if hasattr(config, name)}
    return function_volume.Config(**shared, estimators=("splitting",))


def _resolved(config: Config, problem: function_volume.Config) -> function_volume.Config:
    """With the truth table of a target that is given by name."""
    if config.data != "boolean":
        return problem
    table = truth_table(problem.target, config.n_variables, seed=config.seed)
    return replace(problem, target=table)


def _place(
    config: Config, index: int, value: str | float, problem: function_volume.Config
) -> Place:
    name = _name(value) if isinstance(value, str) else f"{value:g}"
    x = index if isinstance(value, str) else value
    return Place(name, float(x), problem, "volume" if config.axis == "lr" else f"{name}-volume")


def _name(target: str) -> str:
    if len(target) <= _LONGEST or set(target) - {"0", "1"}:
        return target
    return f"{target[:8]}_{hashlib.sha256(target.encode()).hexdigest()[:8]}"
