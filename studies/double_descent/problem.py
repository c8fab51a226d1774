"""What a cell works on: the data of a split, and the network, likelihood and prior of a place."""

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import torch
from torch import nn

from bayes_vs_sgd import (
    Dataset,
    Draws,
    Network,
    Posterior,
    averaging,
    data,
    double_descent,
    likelihoods,
    priors,
)
from bayes_vs_sgd.priors import LOG_NOISE_STD
from models import (
    CNN,
    MLP,
    Decoder,
    Linear,
    RandomFeatures,
    ResNet18,
    Sparse,
    Translator,
    prior,
)

from .config import Config

# Predictions of the test and training rows with the axes (replicate, member), and the noise level.
Predicted = dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """One place on the axis and one data split.

    Attributes:
        config: The settings there.
        dataset: The data there.
        split: Number of the split.
        seed: Root of the randomness of one cell.
        device: Torch device.
    """

    config: Config
    dataset: Dataset
    split: int
    seed: int
    device: str

    @cached_property
    def module(self) -> nn.Module:
        """The architecture."""
        torch.manual_seed(0)
        return build(self.config, self.dataset, self.split)

    @cached_property
    def network(self) -> Network:
        """The architecture, lowered."""
        return Network(self.module, self.dataset.x_train[:2])

    @property
    def is_real(self) -> bool:
        """Whether the targets are real numbers."""
        return self.dataset.n_classes == 0

    @property
    def likelihood(self) -> likelihoods.Likelihood:
        """The likelihood of the posterior."""
        if self.is_real:
            std = self.config.noise_std
            return likelihoods.Gaussian(
                likelihoods.HalfNormal(std) if self.config.sample_noise else std
            )
        return likelihoods.Tokens() if self.dataset.y_train.ndim > 1 else likelihoods.Categorical()

    @property
    def loss(self) -> likelihoods.Likelihood:
        """What SGD minimises: of real targets half the squared error, whatever the noise."""
        return likelihoods.Gaussian(1.0) if self.is_real else self.likelihood

    @property
    def normals(self) -> priors.Prior:
        """The prior of the parameters where no scale is learnt; gains of normalizations lie about 1."""
        return normals(self.module, self.config.prior_std, self.config.bias_std)

    @property
    def start(self) -> priors.Prior:
        """Where SGD starts."""
        if self.config.initial == "he":
            return normals(self.module, 2**0.5, 0.0)
        return self.normals if self.config.initial == "prior" else priors.TorchDefault()

    @property
    def centred(self) -> priors.FanIn:
        """Normals about 0 with the standard deviations of ``normals``."""
        return priors.FanIn(std=self.config.prior_std, bias_std=self.config.bias_std)

    @property
    def prior(self) -> priors.Prior:
        """The prior of the posterior."""
        return priors.Hierarchical(self.normals) if self.config.hierarchical else self.normals

    def posterior(self) -> Posterior:
        """The density that chains sample and MAP maximises."""
        return Posterior.of(
            self.network,
            self.dataset,
            self.likelihood,
            self.prior,
            temperature=self.config.temperature,
            micro_batch=self.config.micro_batch or None,
        )

    def predicted(self, variables: Any, posterior: Posterior) -> Predicted:
        """What chains keep of a state: its parameters, and what it predicts of both parts."""
        params = posterior.params(variables)
        found = {"params": params}
        for part in ("test", "train"):
            x = jnp.asarray(getattr(self.dataset, f"x_{part}"))
            found[part] = self.likelihood.predict(self.network.apply(params, x))
        if self.is_real:
            std = self.config.noise_std
            found["std"] = (
                jnp.exp(variables[LOG_NOISE_STD]) if self.config.sample_noise else jnp.asarray(std)
            )
        return found

    def of_draws(self, draws: Draws) -> Predicted:
        """The same of parameters that come from elsewhere, whose noise level is noise_std."""
        predict = lambda x: averaging.predict(self.network, draws, x, self.loss)  # noqa: E731
        found = {"test": predict(self.dataset.x_test), "train": predict(self.dataset.x_train)}
        return found | ({"std": self.config.noise_std} if self.is_real else {})

    def members(self, predicted: Predicted, part: str) -> double_descent.Members:
        """Predictions (replicate, member, n, ...) with the targets they are judged by."""
        y = getattr(self.dataset, f"y_{part}")
        if self.is_real:
            std = predicted["std"]
            return double_descent.RealMembers.of(predicted[part], std, y)
        noisy = self.dataset.y_test_noisy if part == "test" else None
        return double_descent.ClassMembers(predicted[part], y, noisy)

    def losses(self, arm: str, predicted: Predicted) -> Any:
        """The losses of an arm whose members are these."""
        test, train = (self.members(predicted, part) for part in ("test", "train"))
        return double_descent.arm(arm).losses(test, train)

    def first_rows(self, n: int) -> "Problem":
        """The same with the first n training rows."""
        return dataclasses.replace(self, dataset=first_rows(self.dataset, n))

    def held_out(self) -> tuple["Problem", "Problem"]:
        """The problem on the rows that are not held out, and one whose test rows are held out."""
        dataset = self.dataset
        n = len(dataset.x_train) - max(1, round(self.config.validation * len(dataset.x_train)))
        rest = first_rows(dataset, n)
        judged = dataclasses.replace(
            rest, x_test=dataset.x_train[n:], y_test=dataset.y_train[n:], y_test_noisy=None
        )
        return dataclasses.replace(self, dataset=rest), dataclasses.replace(self, dataset=judged)

    def batch_size(self) -> int:
        """Rows of a mini-batch."""
        return min(self.config.batch_size, len(self.dataset.x_train))

    def steps_per_epoch(self) -> int:
        """Steps of an epoch."""
        return len(self.dataset.x_train) // self.batch_size()


def normals(module: nn.Module, std: float, bias_std: float) -> priors.Prior:
    """N(0, std²/fan_in) for weights, N(0, bias_std²) for biases, N(1, bias_std²) for gains."""
    found = prior(module, std=std, bias_std=bias_std, gain_std=bias_std)
    return found if has_gains(module) else priors.FanIn(std=std, bias_std=bias_std)


def has_gains(module: nn.Module) -> bool:
    """Whether there are normalizations, whose gains start at 1."""
    return bool(prior(module).means)


def pick(predicted: Predicted, index: Any) -> Predicted:
    """The same entries of every leading axis of the predictions."""
    chosen = {part: predicted[part][index] for part in ("test", "train")}
    if "std" in predicted:
        chosen["std"] = predicted["std"][index] if np.ndim(predicted["std"]) else predicted["std"]
    return chosen


def first_rows(dataset: Dataset, n: int) -> Dataset:
    """The first n training rows of a dataset."""
    noisy = None if dataset.noisy is None else dataset.noisy[:n]
    return dataclasses.replace(
        dataset, x_train=dataset.x_train[:n], y_train=dataset.y_train[:n], noisy=noisy
    )


def build(config: Config, dataset: Dataset, split: int = 0) -> nn.Module:
    """The module of a place.

    Raises:
        ValueError: A size is not possible.
    """
    module = _dense(config, dataset, split)
    return (
        Sparse(module, 1 - config.sparsity, seed=config.seed + split) if config.sparsity else module
    )


def _dense(config: Config, dataset: Dataset, split: int) -> nn.Module:
    shape = dataset.x_train.shape[1:]
    n_outputs = dataset.n_classes or math.prod(dataset.y_train.shape[1:])
    width, depth = config.width, config.depth
    if config.model == "mlp":
        return MLP(math.prod(shape), width, n_outputs, depth)
    if config.model == "cnn":
        return CNN(shape[0], width, n_outputs, norm=config.norm)
    if config.model == "resnet18":
        return ResNet18(shape[0], width, n_outputs, norm=config.norm, n_blocks=depth)
    if config.model == "linear":
        return Linear(math.prod(shape), width, n_outputs)
    if config.model == "random_features":
        return RandomFeatures(math.prod(shape), width, n_outputs, seed=config.seed + split)
    if config.model == "decoder":
        heads = math.gcd(width, 4)
        return Decoder(
            dataset.n_classes, width, depth=depth, n_heads=heads, max_length=config.context
        )
    heads = math.gcd(width, 8)
    words = getattr(dataset, "source_words", ())
    return Translator(
        max(len(words), 4),
        width,
        n_outputs,
        depth=depth,
        n_heads=heads,
        max_length=dataset.x_train.shape[-1],
    )


def load(config: Config, split: int, n_train: int) -> Dataset:
    """The data of one split, laid out as the model takes them.

    Raises:
        ValueError: The data cannot be had, or are none for this model.
    """
    dataset = _load(config, split, n_train)
    images = config.model in ("cnn", "resnet18")
    tokens = np.issubdtype(dataset.x_train.dtype, np.integer)
    if tokens != (config.model in ("decoder", "translator")):
        raise ValueError(
            f"model={config.model!r} does not take {dataset.name}; text is for the decoder, pairs of "
            "sentences for the translator, and everything else for the other models."
        )
    if config.model in ("linear", "random_features") and dataset.n_classes:
        raise ValueError(
            f"model={config.model!r} is the exact test bed for real targets, and {dataset.name} has "
            "classes; pass --data isotropic or a file of UCI, or --model mlp."
        )
    return data.images(dataset) if images else dataset


def _load(config: Config, split: int, n_train: int) -> Dataset:
    seed = config.seed + split
    if config.model == "translator":
        if not config.target:
            raise ValueError(
                "the translator needs two files of sentences; pass --data FILE --target FILE."
            )
        return data.translation(
            config.data,
            config.target,
            n_train=n_train,
            n_test=config.n_test,
            max_length=config.max_length,
            vocabulary_size=config.vocabulary_size,
            seed=seed,
        )
    if config.data == "isotropic":
        return data.isotropic(
            n_train,
            n_features=config.n_features,
            n_test=config.n_test,
            signal=config.signal,
            noise_std=config.noise_std,
            seed=seed,
        )
    if Path(config.data).suffix in (".txt", ".gz"):
        return data.text(
            config.data,
            context=config.context,
            n_train=n_train,
            n_test=config.n_test,
            label_noise=config.label_noise,
            seed=seed,
        )
    return data.load(
        config.data,
        n_train=n_train,
        n_test=config.n_test,
        label_noise=label_noise(config),
        seed=seed,
        root=config.data_root,
    )


def label_noise(config: Config) -> float | data.LabelNoise:
    """The noise of the labels."""
    if config.noise_file is not None:
        return data.FromFile(config.noise_file)
    if config.noise == "pairwise":
        return data.Pairwise(config.label_noise)
    return config.label_noise
