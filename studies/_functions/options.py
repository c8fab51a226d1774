"""The settings that say which problem a study of function space is about."""

from collections.abc import Sequence
from dataclasses import dataclass

from bayes_vs_sgd import runs
from bayes_vs_sgd.checks import require_count, require_positive

from .training import Training


@dataclass(frozen=True, kw_only=True)
class ProblemOptions(runs.RunOptions):
    """Data, network and prior.

    Attributes:
        data: "boolean" for the target below; else "digits", "mnist", "fashion_mnist", or an .npz file,
            whose classes are made two: the lower half and the upper half of their numbers.
        target: Boolean target, 2ⁿ bits; bit i is the value at the input whose binary digits spell i.
        train_mask: 1 for the rows to train on, 2ⁿ bits; empty takes n_train rows at random.
        n_train: Training rows where no mask is given.
        n_test: Test images, on which functions are told apart.
        hidden: Units of each hidden layer, with ReLU.
        sigma_w: Weights are N(0, sigma_w²/fan_in), in the prior and at SGD's start.
        sigma_b: Biases are N(0, sigma_b²).
        seed: Root of all randomness.
    """

    data: str = "boolean"
    target: str = "0011" * 32
    train_mask: str = ""
    n_train: int = 64
    n_test: int = 100
    hidden: tuple[int, ...] = (40, 40)
    sigma_w: float = 1.0
    sigma_b: float = 1.0
    seed: int = 0


def check_problem(config: ProblemOptions) -> None:
    """Refuse a problem that is not possible.

    Raises:
        ValueError: With the mend.
    """
    for name in ("n_train", "n_test"):
        require_count(name, getattr(config, name))
    if not config.hidden:
        raise ValueError("hidden is empty; pass the units of at least one hidden layer.")
    for width in config.hidden:
        require_count("hidden", width)
    require_positive("sigma_w", config.sigma_w)
    if not 0 <= config.sigma_b < float("inf"):
        raise ValueError(f"sigma_b={config.sigma_b} is not possible; pass 0 or a positive number.")


def check_trainings(texts: Sequence[str]) -> None:
    """Refuse ways to train that are not possible.

    Raises:
        ValueError: One cannot be read, two are alike, or there is none.
    """
    names = [Training.parse(text).name for text in texts]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"sgd={tuple(texts)} must be ways to train that differ, at least one.")
