"""The settings of the study, and what is refused before anything is computed."""

from dataclasses import dataclass

from bayes_vs_sgd import functions
from bayes_vs_sgd.checks import require_count, require_positive, require_probability
from studies._functions import ProblemOptions, Training, check_problem, check_trainings

PARAMETERIZATIONS = ("standard", "ntk", "mup")


@dataclass(frozen=True, kw_only=True)
class Config(ProblemOptions):
    """Settings of the study of feature learning.

    Attributes:
        n_train: Training rows where no mask is given.
        sgd: How all layers are trained, such as "sgd lr=0.01 batch=1".
        sgd_last: How the last layer alone is trained, which needs larger steps to fit in as many epochs.
        n_sgd: Runs of each of the two.
        max_epochs: Epochs after which a run that does not fit is given up, and counted as such.
        n_runs: Independent runs of the posterior of the whole network, and of that of infinite width.
        n_particles: Particles of a run of multilevel splitting.
        n_moves: Moves of every particle at every rung.
        n_draws: Draws of every particle at the end.
        thin: Moves between them.
        n_features: Draws of frozen random features, each a run of its own; a multiple of n_blocks.
        n_feature_particles: Particles of such a run.
        n_infinite: Draws of a run of the infinitely wide posterior.
        n_tangent: Draws of the infinitely wide network after training.
        widths: Units of each of the two hidden layers of the networks whose layers' movement is measured.
        parameterizations: Of those networks: "standard", "ntk", "mup".
        n_networks: Networks of each width and parameterization.
        step: Learning rate of the neural tangent parameterization. Standard has step/width, maximal update
            step/(the smallest width) times its factors, so that weights between hidden layers step alike
            at the smallest width.
        n_steps: Steps of full-batch gradient descent on the squared error to −1 and 1.
        tolerance: An exponent of the width closer to 0 than this counts as 0.
        n_blocks: Blocks of SGD runs, and of random features, whose spread is their error.
        margin: Total variation below which two distributions count as equal.
        level: Confidence level of intervals and verdicts.
        complexity: Measure of a function's complexity.
    """

    n_train: int = 32
    sgd: str = "sgd lr=0.01 batch=1"
    sgd_last: str = "sgd lr=0.1 batch=1 momentum=0.9"
    n_sgd: int = 2000
    max_epochs: int = 500
    n_runs: int = 8
    n_particles: int = 1000
    n_moves: int = 20
    n_draws: int = 5
    thin: int = 20
    n_features: int = 256
    n_feature_particles: int = 1024
    n_infinite: int = 2000
    n_tangent: int = 20_000
    widths: tuple[int, ...] = (32, 64, 128, 256)
    parameterizations: tuple[str, ...] = PARAMETERIZATIONS
    n_networks: int = 12
    step: float = 0.5
    n_steps: int = 500
    tolerance: float = 0.25
    n_blocks: int = 16
    margin: float = 0.1
    level: float = 0.95
    complexity: str = "lempel_ziv"

    @property
    def trainings(self) -> dict[str, Training]:
        """How networks are trained, by arm."""
        return {"sgd": Training.parse(self.sgd), "sgd_last": Training.parse(self.sgd_last)}

    @property
    def whole(self) -> functions.SMC:
        """The estimator of the whole network's posterior."""
        return functions.SMC(
            n_particles=self.n_particles,
            n_moves=self.n_moves,
            n_draws=self.n_draws,
            thin=self.thin,
        )

    @property
    def frozen(self) -> functions.SMC:
        """The estimator of the posterior over last layers; a run has one draw of features."""
        return functions.SMC(
            n_particles=self.n_feature_particles,
            n_moves=self.n_moves,
            n_draws=1,
            thin=self.thin,
            n_pilot=min(self.n_feature_particles, 256),
        )


PRESETS = {
    "quick": Config(),
    "full": Config(
        preset="full",
        n_sgd=100_000,
        n_runs=16,
        n_particles=4000,
        n_draws=20,
        n_blocks=32,
        n_features=2048,
        n_feature_particles=2048,
        n_infinite=20_000,
        n_tangent=200_000,
        widths=(32, 64, 128, 256, 512, 1024),
        n_networks=32,
        n_steps=4000,
    ),
}


def check(config: Config) -> None:
    """Refuse settings that are not possible.

    Raises:
        ValueError: With the mend.
    """
    check_problem(config)
    for text in (config.sgd, config.sgd_last):
        check_trainings([text])
    for name in ("n_sgd", "max_epochs", "n_networks", "n_steps"):
        require_count(name, getattr(config, name))
    for name in ("n_runs", "n_blocks"):
        require_count(name, getattr(config, name), least=4)
    require_count("n_networks", config.n_networks, least=2)
    require_count("n_infinite", config.n_infinite, least=2)
    require_count("n_features", config.n_features, least=config.n_blocks)
    require_count("n_tangent", config.n_tangent, least=config.n_blocks)
    if config.n_features % config.n_blocks:
        raise ValueError(
            f"n_features={config.n_features} draws of features do not make n_blocks={config.n_blocks} blocks of "
            "one size; pass a multiple."
        )
    if len(set(config.widths)) < max(len(config.widths), 3):
        raise ValueError(f"widths={config.widths} must be at least three that differ.")
    for width in config.widths:
        require_count("widths", width)
    unknown = set(config.parameterizations) - set(PARAMETERIZATIONS)
    if unknown or not config.parameterizations:
        raise ValueError(
            f"parameterizations={config.parameterizations} must be some of {', '.join(PARAMETERIZATIONS)}."
        )
    require_positive("step", config.step)
    require_positive("tolerance", config.tolerance)
    require_probability("margin", config.margin, 0.1)
    require_probability("level", config.level, 0.95)
    if config.complexity not in functions.complexity.MEASURES:
        raise ValueError(
            f"complexity={config.complexity!r} is unknown; pass one of "
            f"{', '.join(functions.complexity.MEASURES)}."
        )
    # Made here, so that what their settings refuse is refused before anything is computed.
    _ = config.whole, config.frozen
