"""The settings of the study, and what is refused before anything is computed."""

from dataclasses import dataclass

from bayes_vs_sgd import functions, runs
from bayes_vs_sgd.checks import require_count, require_positive, require_probability
from models.activations import activation

# A table of all functions of more variables is of no use: each is drawn once.
_MOST_VARIABLES = 10


@dataclass(frozen=True, kw_only=True)
class Config(runs.RunOptions):
    """Settings of the study of simplicity bias.

    Attributes:
        n_variables: Variables of the Boolean functions, whose 2ⁿ inputs are all looked at.
        width: Units of each hidden layer.
        depth: Hidden layers.
        activation: "tanh", "relu", "silu" or "gelu".
        sigma_w: Weights are N(0, sigma_w²/fan_in); one prior for each.
        sigma_b: Biases are N(0, sigma_b²).
        n_draws: Draws of each prior, of the perceptron and of uniformly random functions.
        complexity: Measure of a function's complexity.
        least_count: Functions found less often count neither for the envelope nor for the correlation.
        n_bootstrap: Resamples behind the errors of those two.
        level: Confidence level of the intervals, each by itself.
        seed: Root of all randomness.
    """

    n_variables: int = 7
    width: int = 40
    depth: int = 10
    activation: str = "tanh"
    sigma_w: tuple[float, ...] = (1.0, 1.5, 2.0, 4.0, 8.0)
    sigma_b: float = 0.2
    n_draws: int = 200_000
    complexity: str = "lempel_ziv"
    least_count: int = 10
    n_bootstrap: int = 500
    level: float = 0.95
    seed: int = 0


PRESETS = {
    "quick": Config(),
    "full": Config(
        preset="full", n_draws=10_000_000, sigma_w=(1.0, 1.25, 1.5, 1.75, 2.0, 3.0, 4.0, 6.0, 8.0)
    ),
}


def check(config: Config) -> None:
    """Refuse settings that are not possible.

    Raises:
        ValueError: With the mend.
    """
    for name in ("n_variables", "width", "depth", "least_count"):
        require_count(name, getattr(config, name))
    if config.n_variables > _MOST_VARIABLES:
        raise ValueError(
            f"n_variables={config.n_variables} makes functions of {2**config.n_variables} inputs, of which "
            f"hardly two draws are alike; pass {_MOST_VARIABLES} at most."
        )
    require_count("n_draws", config.n_draws, least=1000)
    require_count("n_bootstrap", config.n_bootstrap, least=20)
    activation(config.activation)
    if not config.sigma_w or len(set(config.sigma_w)) < len(config.sigma_w):
        raise ValueError(f"sigma_w={config.sigma_w} must be some numbers that differ.")
    for value in config.sigma_w:
        require_positive("sigma_w", value)
    if not 0 <= config.sigma_b < float("inf"):
        raise ValueError(f"sigma_b={config.sigma_b} is not possible; pass 0 or a positive number.")
    require_probability("level", config.level, 0.95)
    if config.complexity not in functions.complexity.MEASURES:
        raise ValueError(
            f"complexity={config.complexity!r} is unknown; pass one of "
            f"{', '.join(functions.complexity.MEASURES)}."
        )
