"""The settings of the study, and what is refused before anything is computed."""

from dataclasses import dataclass, replace

from bayes_vs_sgd import functions
from bayes_vs_sgd.checks import require_count, require_probability
from studies._functions import ProblemOptions, Training, check_problem, check_trainings

ESTIMATORS = ("splitting", "tempered", "elliptical", "reweighting", "rejection")


@dataclass(frozen=True, kw_only=True)
class Config(ProblemOptions):
    """Settings of the study of function volume.

    Attributes:
        sgd: Ways to train, such as "sgd lr=0.01 batch=1 momentum=0.9", "adam lr=0.01 batch=32 loss=mse" or
            "sgd lr=0.05 batch=1 longer=200".
        n_sgd: Runs of each.
        max_epochs: Epochs after which a run that does not fit is given up, and counted as such.
        estimators: Estimators of the posterior volume; the first is compared with SGD, the others check it.
        n_runs: Independent runs of each estimator.
        n_particles: Particles of a run of SMC.
        n_moves: Moves of every particle at every rung.
        n_draws: Draws of every particle at the end.
        thin: Moves between them.
        n_prior: Draws of the prior in a run of rejection.
        sharpness: Of the likelihood that is reweighted.
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
    estimators: tuple[str, ...] = ("splitting", "tempered", "reweighting")
    n_runs: int = 8
    n_particles: int = 1000
    n_moves: int = 20
    n_draws: int = 20
    thin: int = 10
    n_prior: int = 1_000_000
    sharpness: float = 4.0
    n_blocks: int = 32
    margin: float = 0.1
    level: float = 0.95
    complexity: str = "lempel_ziv"

    def trainings(self) -> list[Training]:
        """The ways to train."""
        return [Training.parse(text) for text in self.sgd]

    def estimator(self, name: str) -> functions.Estimator:
        """The settings of an estimator."""
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
    unknown = [name for name in config.estimators if name not in ESTIMATORS]
    if unknown or not config.estimators or len(set(config.estimators)) < len(config.estimators):
        raise ValueError(
            f"estimators={config.estimators} must be some of {', '.join(ESTIMATORS)}, each once."
        )
    if config.complexity not in functions.complexity.MEASURES:
        raise ValueError(
            f"complexity={config.complexity!r} is unknown; pass one of "
            f"{', '.join(functions.complexity.MEASURES)}."
        )
    for name in config.estimators:
        config.estimator(name)
