"""The settings of the double-descent study, and what is refused of them."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bayes_vs_sgd import double_descent, runs, sgd
from bayes_vs_sgd.samplers import HMC, MAP, MCLMC, NUTS, SGHMC, SGLD, CosineCycles, TemperedSMC
from bayes_vs_sgd.sgd import SGD, Adam, Cosine, InverseSqrt, Linear, Steps

Model = Literal["mlp", "cnn", "resnet18", "linear", "random_features", "decoder", "translator"]


@dataclass(frozen=True, kw_only=True)
class Config(runs.RunOptions):
    """Settings of the double-descent study.

    Attributes:
        axis: What is swept. Its values are those of the setting in the plural; every other setting
            stays as it is.
        widths: Width of the network: hidden units, channels, features. Increasing, as all that follow.
        depths: Hidden layers; of a residual network blocks a stage.
        densities: Share of the weights that a sparse network keeps.
        epochs: When networks and chains are looked at along training; by default about 14 on a log
            grid up to the longest. A chain has made so many gradients on all rows.
        samples: Training rows, all of them the first of the same rows.
        temperatures: T of prior × likelihood^(1/T).
        prior_stds: Standard deviations of the prior.
        warmups: Iterations of the warm-up.
        draw_counts: Draws of each chain.
        arms: What is compared; "five" for SGD, deep ensemble, MAP, one draw and BMA, "all" for all
            that the model has.
        tempered: Temperatures at which draw and BMA are there as further arms.
        prior_factors: Factors on the standard deviation of the prior at which MAP, draw and BMA are
            there as further arms.
        model: Architecture; multilayer perceptron by default.
        width: Width where it is not swept.
        depth: Hidden layers; of a residual network blocks a stage.
        sparsity: Share of the weights that is 0, at random places.
        norm: Normalization of convolutional networks.
        data: "digits", "mnist", "fashion_mnist", "cifar10", "cifar100", "isotropic", or a file: .npz
            (x_train, y_train, x_test, y_test; x, y; or UCI's X, y, test_mask), or .txt(.gz) whose
            characters are predicted.
        target: The other language of a file of sentences, for the translator.
        data_root: Where downloads lie.
        n_train: Training rows.
        n_test: Test rows at most.
        label_noise: Fraction of training labels redrawn uniformly, or turned to the next class.
        noise: Kind of the label noise.
        noise_file: Noisy labels of all training rows, in place of label_noise.
        n_features: Inputs of the isotropic data.
        signal: Norm of their coefficients.
        noise_std: Noise of real targets: of the isotropic data, of the likelihood, and of what SGD predicts.
        sample_noise: Sample the noise level, with a half-normal prior of scale noise_std.
        context: Characters that a decoder sees.
        max_length: Longest sentence of the translator.
        vocabulary_size: Words of each language.
        n_splits: Data splits, each with its own rows and noise.
        seed: Root of all randomness.
        center: What a curve is over splits or replicates: at the threshold of a linear model means do
            not exist, and medians do.
        n_seeds: Networks that SGD trains at each place, and starts of the MAP.
        ensemble_size: Networks in one deep ensemble; of as many starts the best is one MAP.
        optimizer: Which optimiser trains; its settings follow under its name.
        sgd: Settings of SGD.
        adam: Settings of Adam.
        schedule: Learning rate over the run; its settings follow under its name.
        cosine: Settings of the cosine schedule.
        linear: Settings of the linear schedule.
        steps: Settings of the schedule in steps.
        inverse_sqrt: Settings of the inverse square root.
        initial: Where SGD starts: He's initialisation, the posterior's prior, or PyTorch's default.
        batch_size: Rows of a mini-batch; all rows where there are fewer.
        max_epochs: Epochs at most; a network stops earlier when its training error is 0.
        patience: A network also stops when its training error has not fallen for so many epochs; 0
            for never.
        stop_at_interpolation: Whether a network stops when its training error is 0. Along epochs none
            stops.
        label_smoothing: Share of every label spread over all classes.
        augment: Random shifts by up to 4 pixels and flips of images.
        n_checkpoints: Epochs, on a log grid, at which the map of width × epochs is known.
        validation: Share of the training rows held out to stop early and to tune the prior.
        average_epochs: Epochs for which SWA and SWAG go on from the trained networks.
        average_lr: Their learning rate, as a factor on that of training.
        swag_rank: Deviations that SWAG keeps.
        n_gaussian_draws: Draws of SWAG and of Laplace around each network.
        laplace_subset: What Laplace draws.
        laplace_structure: What it keeps of the curvature.
        tuned_factors: Factors on prior_std among which the tuned MAP chooses.
        prior_std: Standard deviation of a weight times the root of its fan-in.
        bias_std: Standard deviation of a bias.
        hierarchical: Learn a scale of every weight matrix and bias, half-Cauchy around 1.
        temperature: T of prior × likelihood^(1/T).
        map: Settings of the maximisation.
        sampler: Which sampler draws the reference; its settings follow under its name.
        hmc: Settings of HMC.
        nuts: Settings of NUTS.
        n_chains: Markov chains at each place.
        n_warmup: Iterations that adapt the sampler.
        n_draws: Draws kept of each chain.
        mclmc: Settings of the MCLMC ensemble, whose chains start at maxima.
        mclmc_thin: Its iterations a draw.
        sghmc: Settings of SGHMC.
        sgld: Settings of cyclical SGLD, but for its step size.
        cycles: Step size of cyclical SGLD.
        minibatch_warmup: Epochs of SGHMC and cyclical SGLD that are thrown away.
        minibatch_thin: Epochs a draw of SGHMC and cyclical SGLD.
        smc: Settings of tempered SMC, which measures the log evidence.
        n_runs: Its independent runs.
        micro_batch: Rows that the posterior takes at once; 0 for all.
        capacity_rows: Numbers of rows to train on for the effective model complexity, which is measured
            where there are some.
        epsilon: Training error that counts as fitting.
        margin_error: A second rise of the test error below this counts as none.
        margin_nll: The same for the test NLL, in nats.
        margin_brier: The same for the Brier score.
        margin_ece: The same for the expected calibration error.
        margin_mse: The same for the mean squared error.
        level: Confidence level of the intervals.
    """

    axis: Literal[
        "width", "depth", "sparsity", "epochs", "samples", "temperature", "prior", "warmup", "draws"
    ] = "width"
    widths: tuple[int, ...] = (4, 6, 8, 10, 12, 16, 20, 28)
    depths: tuple[int, ...] = (1, 2, 3, 4, 6)
    densities: tuple[float, ...] = (0.1, 0.15, 0.2, 0.3, 0.45, 0.7, 1.0)
    epochs: tuple[int, ...] = ()
    samples: tuple[int, ...] = (50, 100, 200, 300, 400, 600, 900, 1200)
    temperatures: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 1.0)
    prior_stds: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)
    warmups: tuple[int, ...] = (10, 30, 100, 300)
    draw_counts: tuple[int, ...] = (10, 30, 100, 300)
    arms: tuple[str, ...] = ("five",)
    tempered: tuple[float, ...] = ()
    prior_factors: tuple[float, ...] = ()
    model: Model = "mlp"
    width: int = 12
    depth: int = 1
    sparsity: float = 0.0
    norm: Literal["group", "layer", "filter_response", "none"] = "group"
    data: str = "digits"
    target: str = ""
    data_root: Path = Path("data")
    n_train: int = 400
    n_test: int = 10_000
    label_noise: float = 0.2
    noise: Literal["symmetric", "pairwise"] = "symmetric"
    noise_file: Path | None = None
    n_features: int = 100
    signal: float = 1.0
    noise_std: float = 0.5
    sample_noise: bool = False
    context: int = 32
    max_length: int = 16
    vocabulary_size: int = 500
    n_splits: int = 1
    seed: int = 0
    center: Literal["mean", "median"] = "mean"
    n_seeds: int = 16
    ensemble_size: int = 4
    optimizer: Literal["sgd", "adam"] = "sgd"
    sgd: SGD = field(default_factory=SGD)
    adam: Adam = field(default_factory=Adam)
    schedule: Literal["constant", "cosine", "linear", "steps", "inverse_sqrt"] = "constant"
    cosine: Cosine = field(default_factory=Cosine)
    linear: Linear = field(default_factory=Linear)
    steps: Steps = field(default_factory=lambda: Steps(at=()))
    inverse_sqrt: InverseSqrt = field(default_factory=InverseSqrt)
    initial: Literal["he", "prior", "torch"] = "he"
    batch_size: int = 100
    max_epochs: int = 2000
    patience: int = 300
    stop_at_interpolation: bool = True
    label_smoothing: float = 0.0
    augment: bool = False
    n_checkpoints: int = 20
    validation: float = 0.15
    average_epochs: int = 60
    average_lr: float = 1.0
    swag_rank: int = 20
    n_gaussian_draws: int = 30
    laplace_subset: Literal["last_layer", "all"] = "last_layer"
    laplace_structure: Literal["full", "kron", "diagonal"] = "full"
    tuned_factors: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
    prior_std: float = 2.0
    bias_std: float = 1.0
    hierarchical: bool = False
    temperature: float = 1.0
    map: MAP = field(default_factory=lambda: MAP(n_steps=3000))
    sampler: Literal["hmc", "nuts"] = "hmc"
    hmc: HMC = field(default_factory=lambda: HMC(n_leapfrog=100, target_acceptance=0.65))
    nuts: NUTS = field(default_factory=NUTS)
    n_chains: int = 4
    n_warmup: int = 250
    n_draws: int = 350
    mclmc: MCLMC = field(default_factory=MCLMC)
    mclmc_thin: int = 20
    sghmc: SGHMC = field(default_factory=lambda: SGHMC(step_size=5e-3, friction=20.0))
    sgld: SGLD = field(default_factory=SGLD)
    cycles: CosineCycles = field(
        default_factory=lambda: CosineCycles(1e-3, cycle_length=2000, exploration=0.5)
    )
    minibatch_warmup: int = 500
    minibatch_thin: int = 5
    smc: TemperedSMC = field(default_factory=lambda: TemperedSMC(n_particles=200))
    n_runs: int = 4
    micro_batch: int = 0
    capacity_rows: tuple[int, ...] = ()
    epsilon: float = 0.01
    margin_error: float = 0.02
    margin_nll: float = 0.1
    margin_brier: float = 0.03
    margin_ece: float = 0.03
    margin_mse: float = 0.1
    level: float = 0.95

    @property
    def margins(self) -> dict[str, float]:
        """Margin by metric, those on noisy test labels being the same."""
        margins = {
            name: getattr(self, f"margin_{name}")
            for name in ("error", "nll", "brier", "ece", "mse")
        }
        return margins | {f"{name}_noisy": margins[name] for name in ("error", "nll", "brier")}

    @property
    def values(self) -> tuple[float, ...]:
        """The values along the axis, from least to most."""
        if self.axis == "epochs":
            grid = sgd.log_grid(self.longest, n=14)
            return self.epochs or tuple(sorted({*grid, self.max_epochs}))
        return getattr(self, AXES[self.axis].plural)

    @property
    def longest(self) -> int:
        """Epochs of SGD, or gradients of a chain on all rows, whichever are more."""
        leapfrogs = self.hmc.n_leapfrog if self.sampler == "hmc" else 1
        chains = (self.n_warmup + self.n_draws) * leapfrogs
        return max(self.max_epochs, chains if {"draw", "bma"} & set(self.arm_names) else 0)

    @property
    def arm_names(self) -> tuple[str, ...]:
        """The arms without variants, in the order of ``double_descent.ARMS``."""
        from .methods import possible_arms

        asked = set(self.arms)
        if "all" in asked:
            asked |= set(possible_arms(self))
        if "five" in asked:
            asked |= set(double_descent.FIVE) & set(possible_arms(self))
        return tuple(name for name in double_descent.ARMS if name in asked)

    def at(self, value: float) -> "Config":
        """The settings at one place of the axis."""
        axis = AXES[self.axis]
        if axis.singular is None:
            return self
        value = 1 - value if axis.name == "sparsity" else value
        kind = type(getattr(self, axis.singular))
        return dataclasses.replace(self, **{axis.singular: kind(value)})


@dataclass(frozen=True)
class AxisSetting:
    """Which settings an axis is made of.

    Attributes:
        name: Of the axis.
        plural: The setting with its values.
        singular: The setting that takes one of them at each place; None where one cell gives all places.
        least: Least value.
        most: Largest value.
    """

    name: str
    plural: str
    singular: str | None
    least: float
    most: float = float("inf")


AXES = {
    axis.name: axis
    for axis in (
        AxisSetting("width", "widths", "width", 1),
        AxisSetting("depth", "depths", "depth", 1),
        AxisSetting("sparsity", "densities", "sparsity", 1e-6, 1),
        AxisSetting("epochs", "epochs", None, 1),
        AxisSetting("samples", "samples", "n_train", 2),
        AxisSetting("temperature", "temperatures", "temperature", 1e-12),
        AxisSetting("prior", "prior_stds", "prior_std", 1e-12),
        AxisSetting("warmup", "warmups", "n_warmup", 0),
        AxisSetting("draws", "draw_counts", "n_draws", 4),
    )
}
# What a value of an axis is called in a refusal.
_ONE = {"widths": "width", "depths": "depth", "densities": "density"}


def check(config: Config) -> None:
    """Refuse settings that make no sweep.

    Raises:
        ValueError: With the mend.
    """
    _check_axis(AXES[config.axis], config.values)
    _check_arms(config)
    least = {"n_splits": 1, "n_chains": 2, "n_draws": 4, "n_warmup": 0, "ensemble_size": 2}
    least |= {"max_epochs": 1, "patience": 0, "batch_size": 1, "n_test": 2, "depth": 1, "width": 1}
    least |= {"average_epochs": 2, "swag_rank": 0, "n_gaussian_draws": 2, "n_checkpoints": 0}
    least |= {"mclmc_thin": 1, "minibatch_warmup": 0, "minibatch_thin": 1, "n_runs": 2}
    least |= {"micro_batch": 0, "n_features": 1, "context": 1, "max_length": 1}
    for name, minimum in least.items():
        if getattr(config, name) < minimum:
            raise ValueError(f"{name}={getattr(config, name)} is too few; pass at least {minimum}.")
    if config.n_seeds < 2 * config.ensemble_size:
        raise ValueError(
            f"n_seeds={config.n_seeds} gives fewer than 2 ensembles of {config.ensemble_size}, so "
            f"their spread is unknown; pass at least {2 * config.ensemble_size}."
        )
    if config.n_chains * config.n_draws < 40:
        raise ValueError(
            f"n_draws={config.n_draws} in {config.n_chains} chains is too few for cross-validation and "
            "ESS; pass at least 40 draws in all."
        )
    positive = ("prior_std", "bias_std", "temperature", "average_lr", "noise_std", "signal")
    for name in (*positive, *(f for f in vars(config) if f.startswith("margin_"))):
        if not getattr(config, name) > 0:
            raise ValueError(f"{name}={getattr(config, name)} is not positive; pass more than 0.")
    for name in ("tempered", "prior_factors", "tuned_factors"):
        if not all(value > 0 for value in getattr(config, name)):
            raise ValueError(f"{name}={getattr(config, name)} has a value that is not positive.")
    if not 0 <= config.sparsity < 1:
        raise ValueError(f"sparsity={config.sparsity} leaves no weights; pass a share in [0, 1).")
    if not 0 < config.validation < 1:
        raise ValueError(
            f"validation={config.validation} is no share of the training rows to hold out; 0.15 is "
            "usual."
        )
    if not 0 < config.level < 1:
        raise ValueError(f"level={config.level} is no confidence level; 0.95 is usual.")


def _check_axis(axis: AxisSetting, values: Sequence[float]) -> None:
    name, one = axis.plural, _ONE.get(axis.plural, "value")
    if len(values) < 3 or list(values) != sorted(set(values)):
        raise ValueError(
            f"{name}={list(values)} is no sweep; pass at least 3 different ones in increasing order."
        )
    if min(values) < axis.least:
        raise ValueError(
            f"{name}={list(values)} has a {one} of {min(values)}; pass at least {axis.least:g}."
        )
    if max(values) > axis.most:
        raise ValueError(
            f"{name}={list(values)} has a {one} of {max(values)}; pass at most {axis.most:g}."
        )


def _check_epochs(config: Config) -> None:
    """Every arm along epochs needs three places where it has begun and not ended."""
    from .methods import METHODS

    trained = set(METHODS["sgd"].arms) & set(config.arm_names)
    n = sum(e <= config.max_epochs for e in config.values)
    if trained and n < 3:
        raise ValueError(
            f"epochs={list(config.values)} has {n} of at most max_epochs={config.max_epochs}, where SGD ends; "
            "pass at least 3."
        )
    n = sum(e >= config.hmc.n_leapfrog for e in config.values)
    if config.sampler == "hmc" and {"draw", "bma"} & set(config.arm_names) and n < 3:
        raise ValueError(
            f"epochs={list(config.values)} has {n} of at least hmc.n_leapfrog={config.hmc.n_leapfrog}, the "
            "gradients of a chain's first transition; pass at least 3."
        )


def _check_arms(config: Config) -> None:
    from .methods import METHODS, possible_arms

    known = [*double_descent.ARMS, "five", "all"]
    unknown = [name for name in config.arms if name not in known]
    if unknown:
        raise ValueError(f"arms={unknown} are none of the arms; pass some of {', '.join(known)}.")
    possible = possible_arms(config)
    impossible = [n for n in config.arms if n in double_descent.ARMS and n not in possible]
    if impossible:
        raise ValueError(
            f"arms={impossible} are not possible with axis={config.axis}, model={config.model} and these "
            f"data; possible are {', '.join(possible)}."
        )
    if not config.arm_names:
        raise ValueError("arms is empty; pass some arms, or 'five' or 'all'.")
    if config.axis == "epochs":
        _check_epochs(config)
    exact = set(METHODS["exact"].arms) & set(config.arm_names)
    if exact and config.n_splits < 2:
        raise ValueError(
            f"n_splits={config.n_splits} repeats {', '.join(sorted(exact))} once, so their error is "
            "unknown; pass at least 2."
        )
