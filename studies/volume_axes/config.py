"""The settings of the study."""

from dataclasses import dataclass

from studies._functions import ProblemOptions

from .axes import Name


@dataclass(frozen=True, kw_only=True)
class Config(ProblemOptions):
    """Settings of the study of agreement along an axis.

    Attributes:
        axis: What changes; every other setting stays as it is.
        values: Its values: targets by name or as 2ⁿ bits, else numbers. Empty for some usual ones.
        n_variables: Variables of a target that is given by name.
        target: Boolean target where it is not the axis, by name or as 2ⁿ bits.
        n_train: Training rows where no mask is given; fewer are the first of more.
        sgd: Ways to train, such as "sgd lr=0.01 batch=1 momentum=0.9" or "adam lr=0.01 batch=0". Along lr
            each is taken once, whatever its own lr.
        n_sgd: Runs of each at every value.
        max_epochs: Epochs after which a run that does not fit is given up, and counted as such.
        n_runs: Independent runs of multilevel splitting at every value.
        n_particles: Particles of a run.
        n_moves: Moves of every particle at every rung.
        max_rungs: Tries at a next rung after which the posterior is given up.
        n_draws: Draws of every particle at the end.
        thin: Moves between them.
        n_blocks: Blocks of SGD runs whose spread is their error.
        margin: Total variation below which two distributions count as equal.
        level: Confidence level of intervals and verdicts, each by itself.
        complexity: Measure of the target's complexity.
    """

    axis: Name = "target"
    values: tuple[str, ...] = ()
    n_variables: int = 7
    target: str = "one_variable"
    n_train: int = 32
    sgd: tuple[str, ...] = (
        "sgd lr=0.2 batch=0",
        "sgd lr=0.01 batch=1",
        "sgd lr=0.01 batch=1 momentum=0.9",
    )
    n_sgd: int = 1000
    max_epochs: int = 200
    n_runs: int = 6
    n_particles: int = 500
    n_moves: int = 20
    max_rungs: int = 50
    n_draws: int = 5
    thin: int = 10
    n_blocks: int = 16
    margin: float = 0.1
    level: float = 0.95
    complexity: str = "lempel_ziv"


PRESETS = {
    "quick": Config(),
    "full": Config(
        preset="full",
        sgd=("sgd lr=0.0003 batch=1", *Config().sgd, "sgd lr=0.05 batch=1"),
        n_sgd=20_000,
        max_epochs=5000,
        n_runs=12,
        n_particles=2000,
        n_moves=100,
        max_rungs=500,
        n_draws=20,
        n_blocks=32,
    ),
}
