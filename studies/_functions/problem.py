"""What is asked of both sides: data, network, prior."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import pairwise

import numpy as np
from torch import nn

from bayes_vs_sgd import Dataset, Network, data, functions, priors, runs, samplers
from bayes_vs_sgd.data.boolean import bits, random_mask

from .options import ProblemOptions


@dataclass(frozen=True)
class Problem:
    """The same network, prior and data for SGD and the posterior.

    Attributes:
        options: Which problem it is.
        dataset: Training rows S and the rows on which functions are told apart.
        trained: True for the inputs of a Boolean function that are trained on; None for images.
    """

    options: ProblemOptions
    dataset: Dataset
    trained: np.ndarray | None = None

    @classmethod
    def of(cls, options: ProblemOptions) -> "Problem":
        """Load the data.

        Raises:
            ValueError: The target, the mask or the data are not possible.
        """
        if options.data != "boolean":
            return cls(options, halved(_loaded(options)))
        target = bits("target", options.target)
        if options.train_mask:
            mask = options.train_mask
        else:
            mask = "".join(
                map(str, random_mask(len(target), options.n_train, options.seed).astype(int))
            )
        return cls(options, data.boolean(options.target, mask), bits("train_mask", mask) == 1)

    @cached_property
    def network(self) -> Network:
        """A fully connected ReLU network with one logit; that of another problem of its sizes."""
        return _network(self.dataset.x_train.shape[1:], self.options.hidden)

    @property
    def prior(self) -> priors.FanIn:
        """The distribution of the parameters on both sides."""
        return priors.FanIn(std=self.options.sigma_w, bias_std=self.options.sigma_b)

    @cached_property
    def zero_one(self) -> functions.ZeroOne:
        """The posterior under the 0/1 likelihood."""
        return functions.ZeroOne(self.network, self.prior, self.dataset)

    def whole(self, patterns: np.ndarray) -> np.ndarray:
        """Patterns on all inputs: of a Boolean function with the training rows put in, else as they are."""
        if self.trained is None:
            return patterns
        found = np.empty((len(patterns), len(self.trained)), np.uint8)
        found[:, self.trained] = self.dataset.y_train
        found[:, ~self.trained] = patterns
        return found


def prepared[OptionsT: ProblemOptions](
    options: OptionsT, check: Callable[[OptionsT], None]
) -> Problem:
    """The problem of a study, with everything that can be refused before anything is computed or written.

    Args:
        options: The study's settings; their device is chosen here.
        check: Refuses settings with a ``ValueError``.

    Raises:
        UserError: A setting, the device or the data are not possible.
    """
    with runs.refusals():
        check(options)
        samplers.use_devices(options.device)
        problem = Problem.of(options)
        # Made here, so that what cannot be exported or told apart is refused here.
        problem.zero_one  # noqa: B018
        return problem


# Programs are found again by the network, so that targets and rows of the same shapes share them.
@cache
def _network(shape: tuple[int, ...], hidden: tuple[int, ...]) -> Network:
    sizes = [int(np.prod(shape)), *hidden]
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    layers.append(nn.Linear(sizes[-1], 1))
    return Network(nn.Sequential(*layers), np.ones((1, *shape), np.float32))


def _loaded(options: ProblemOptions) -> Dataset:
    return data.load(
        options.data, n_train=options.n_train, n_test=options.n_test, seed=options.seed
    )


def halved(dataset: Dataset) -> Dataset:
    """Two classes of many: the lower half of their numbers is 0, the upper half 1.

    Raises:
        ValueError: The targets are real numbers.
    """
    if dataset.n_classes < 2:
        raise ValueError(f"the targets of {dataset.name} are real numbers; functions need classes.")
    threshold = (dataset.n_classes + 1) // 2
    return replace(
        dataset,
        y_train=(dataset.y_train >= threshold).astype(np.int64),
        y_test=(dataset.y_test >= threshold).astype(np.int64),
        y_test_noisy=None,
        noisy=None,
        n_classes=2,
        name=f"{dataset.name}, halves of the classes",
    )
