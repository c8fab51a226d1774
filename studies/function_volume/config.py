"""The settings of the study, and what is refused before anything is computed."""

from dataclasses import dataclass, replace

from bayes_vs_sgd import functions
from bayes_vs_sgd.checks import require_count, require_probability
from studies._functions import ProblemOptions, Training, check_problem, check_trainings

# Of the network itself, by draws; and of the same network with hidden layers of infinite width.
FINITE = ("splitting", "tempered", "elliptical", "reweighting", "rejection")
INFINITE = ("nngp", "ep")


@dataclass(frozen=True, kw_only=True)
class Config(ProblemOptions):
    """Settings of the study of function volume.

    Attributes:
        sgd: Ways to train, such as "sgd lr=0.01 batch=1 momentum=0.9", "adam lr=0.01 batch=32 loss=mse" or
            "sgd lr=0.05 batch=1 longer=200".
        n_sgd: Runs of each.
        max_epochs: Epochs after which a run that does not fit is given up, and counted as such.
        estimators: Estimators of the posterior volume; the first is compared with SGD, the others check it,
            but for "nngp" and "ep", which are of the same network with hidden layers of infinite width.
        n_runs: Independent runs of each estimator.
        n_particles: Particles of a run of SMC.
        n_moves: Moves of every particle at every rung.
        n_draws: Draws of every particle at the end.
        thin: Moves between them.
        n_prior: Draws of the prior in a run of rejection.
        sharpness: Of the likelihood that is reweighted.
        n_orthant: Draws of nngp for every probability of an orthant; P(S) has ten times as many.
        n_compared: Functions at most, the most probable, on which the infinite network is compared with the
            finite one.
        n_blocks: Blocks of SGD runs whose spread is their error.
        margin: Total variation below which two distributions count as equal.
        level: Confidence level of intervals and verdicts.
        complexity: Measure of a function's complexity.
    """

    sgd: tuple[str, ...] = (
        "sgd lr=0.0003 batch=1",
        "sgd lr=0.01 batch=1",
        "sgd lr=0.05 batch=1",
        "sgd lr=0.01 batch=1 momentum=0.9",
    )
    n_sgd: int = 10_000
    max_epochs: int = 5000
    estimators: tuple[str, ...] = ("splitting", "tempered", "reweighting", "nngp", "ep")
    n_runs: int = 8
    n_particles: int = 1000
    n_moves: int = 20
    n_draws: int = 20
    thin: int = 10
    n_prior: int = 1_000_000
    sharpness: float = 4.0
    n_orthant: int = 20_000
    n_compared: int = 50
    n_blocks: int = 32
    margin: float = 0.1
    level: float = 0.95
    complexity: str = "lempel_ziv"

    def trainings(self) -> list[Training]:
        """The ways to train."""
        return [Training.parse(text) for text in self.sgd]

    @property
    def finite(self) -> tuple[str, ...]:
        """The estimators of the network itself."""
        return tuple(name for name in self.estimators if name in FINITE)

    @property
    def infinite(self) -> tuple[str, ...]:
        """The estimators of the network of infinite width."""
        return tuple(name for name in self.estimators if name in INFINITE)

    def estimator(self, name: str) -> functions.Estimator:
        """The settings of an estimator of the network itself."""
        smc = functions.SMC(
            n_particles=self.n_particles,
            n_moves=self.n_moves,
            n_draws=self.n_draws,
            thin=self.thin,
        )
        found: dict[str, functions.Estimator] = {
            "splitting": smc,
            "tempered": replace(smc, schedule=functions.Temperatures()),
            "elliptical": replace(smc, move=functions.Elliptical()),
            "reweighting": functions.Reweighting(sharpness=self.sharpness),
            "rejection": functions.Rejection(self.n_prior),
        }
        return found[name]


PRESETS = {
    "quick": Config(),
    "full": Config(preset="full", n_sgd=100_000, n_runs=16, n_particles=4000, n_moves=40),
}


def check(config: Config) -> None:
    """Refuse settings that are not possible.

    Raises:
        ValueError: With the mend.
    """
    check_problem(config)
    check_trainings(config.sgd)
    for name in ("n_sgd", "max_epochs"):
        require_count(name, getattr(config, name))
    for name in ("n_runs", "n_blocks"):
        require_count(name, getattr(config, name), least=4)
    require_probability("margin", config.margin, 0.1)
    require_probability("level", config.level, 0.95)
    check_estimators(config)
    if config.complexity not in functions.complexity.MEASURES:
        raise ValueError(
            f"complexity={config.complexity!r} is unknown; pass one of "
            f"{', '.join(functions.complexity.MEASURES)}."
        )


def check_estimators(config: Config) -> None:
    """Refuse estimators that are not possible.

    Raises:
        ValueError: One is unknown or named twice, the first has no draws of functions, or a setting of one
            is not possible.
    """
    known, names = (*FINITE, *INFINITE), config.estimators
    if not names or not set(names) <= set(known) or len(set(names)) < len(names):
        raise ValueError(f"estimators={names} must be some of {', '.join(known)}, each once.")
    if names[0] in INFINITE:
        raise ValueError(
            f"estimators begins with {names[0]}, which draws no functions to compare with SGD's; begin with one "
            f"of {', '.join(FINITE)}."
        )
    require_count("n_orthant", config.n_orthant, least=2)
    require_count("n_compared", config.n_compared)
    for name in config.finite:
        config.estimator(name)
