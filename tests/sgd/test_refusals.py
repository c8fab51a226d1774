"""What is not possible is refused in a sentence that names the mend."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bayes_vs_sgd import Dataset, Network, likelihoods, priors, sgd

X = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
LABELS = np.random.default_rng(0).integers(0, 3, 30)
DATASET = Dataset(X, LABELS, X, LABELS, n_classes=3)

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown name": (
        {"weight_decay": {"weights": 0.1}},
        r"weight_decay has unknown \['weights'\]; its names must be those of",
    ),
    "a negative decay": ({"weight_decay": {"weight": -0.1}}, r"weight_decay\['weight'\]=-0.1 is"),
    "a decay that is none": ({"weight_decay": {"weight": float("nan")}}, "weight'.=nan is not"),
    "too much smoothing": ({"label_smoothing": 1.5}, "label_smoothing=1.5 is not possible; pass a"),
    "negative smoothing": ({"label_smoothing": -0.1}, "label_smoothing=-0.1 is not possible"),
    "smoothed numbers": (
        {"label_smoothing": 0.1, "likelihood": likelihoods.Gaussian(1.0)},
        "label_smoothing=0.1 needs classes, and Gaussian has none; pass 0",
    ),
    "an unknown noise": (
        {"likelihood": likelihoods.Gaussian(likelihoods.HalfNormal(1.0))},
        "the noise level is sampled from HalfNormal",
    ),
    "no gradient": ({"clip_norm": 0.0}, "clip_norm=0.0 is not possible; pass a positive number"),
    "two ends": (
        {"max_epochs": 3, "max_steps": 4},
        "max_epochs=3 and max_steps=4 both end the run; pass one of them",
    ),
    "no steps": ({"max_steps": 0}, "max_steps=0 is not possible"),
    "no looks": ({"look_every": 0}, "look_every=0 is not possible"),
    "no patience": ({"patience": 0}, "patience=0 is not possible"),
    "a late checkpoint": (
        {"max_steps": 4, "checkpoints": [0, 4, 5]},
        r"checkpoints=\[5\] lie outside 0…max_steps=4; name steps inside",
    ),
    "an early checkpoint": ({"checkpoints": [-1]}, r"checkpoints=\[-1\] lie outside 0…max_epochs"),
    "half a checkpoint": ({"checkpoints": [1.5]}, r"checkpoints=\[1.5\] are no whole numbers"),
    "a long warm-up": (
        {"max_steps": 4, "schedule": sgd.Cosine(n_warmup=5)},
        "n_warmup=5 exceeds the 4 steps of the run",
    ),
    "a list of starts": ({"initial": [1.0]}, "initial is a list; pass a prior, parameters with"),
    "no starts": ({"initial": {}}, "must hold n_seeds=2 starts"),
    "another name": (
        {"initial": {"slope": np.zeros((2, 3, 4)), "bias": np.zeros((2, 3))}},
        r"initial lacks \['weight'\] and has unknown \['slope'\]",
    ),
    "another shape": (
        {"initial": {"weight": np.zeros((2, 4, 3)), "bias": np.zeros((2, 3))}},
        r"initial\['weight'\] has shape \(2, 4, 3\); it must be \(2, 3, 4\)",
    ),
    "too few starts": (
        {"initial": {"weight": np.zeros((1, 3, 4)), "bias": np.zeros((2, 3))}},
        r"leading axes of \[1, 2\]; it must hold n_seeds=2",
    ),
    "one number": (
        {"initial": {"weight": 0.0, "bias": np.zeros((2, 3))}},
        r"initial\['weight'\] is float64 of shape \(\); pass floating-point numbers with a leading",
    ),
    "whole numbers": (
        {"initial": {"weight": np.zeros((2, 3, 4), int), "bias": np.zeros((2, 3))}},
        r"initial\['weight'\] is int64 of shape \(2, 3, 4\); pass floating-point",
    ),
    "two precisions": (
        {"initial": {"weight": np.zeros((2, 3, 4)), "bias": np.zeros((2, 3), np.float32)}},
        r"initial holds float32 and float64; pass all parameters in one",
    ),
    "no place for draws": ({"in_memory": False}, "pass checkpoint=folder"),
    "a loss that is none": ({"stop_at_loss": float("nan")}, "stop_at_loss=nan is no loss"),
    "a negative number": ({"first_seed": -1}, "first_seed=-1 is not possible"),
    "an image that is none": ({"augment": sgd.Flip()}, "Flip takes images"),
}  # fmt: skip


@pytest.fixture(scope="module")
def linear() -> Network:
    return Network(nn.Linear(4, 3), X[:1])


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_possible_is_refused_in_a_sentence(linear: Network, name: str) -> None:
    changes, message = REFUSED[name]
    settings = {"n_seeds": 2, "initial": priors.Normal(), "progress": False} | changes
    with pytest.raises(ValueError, match=message):
        sgd.train(linear, DATASET, **settings)


def test_a_weight_decay_that_is_not_there_cannot_be_changed() -> None:
    network = Network(nn.Linear(4, 3, bias=False), X[:1])
    settings = {"optimizer": sgd.AGD(), "weight_decay": {"weight": 0.1}}
    with pytest.raises(ValueError, match="AGD has no weight_decay; leave weight_decay out"):
        sgd.train(network, DATASET, n_seeds=2, initial=priors.Normal(), progress=False, **settings)


NO_RATE = {
    "lr_factors": ({"lr_factors": {"weight": 2.0}}, "has no lr; leave lr_factors out"),
    "schedule": ({"schedule": sgd.Cosine()}, "has no learning rate that a schedule could change"),
}


class WithoutRate:
    """An optimiser of somebody else's, in place of whose learning rate stands nothing."""

    def build(self, parameters: Any) -> torch.optim.Optimizer:
        rule = torch.optim.SGD(parameters)
        for group in rule.param_groups:
            del group["lr"]
        return rule


@pytest.mark.parametrize("name", NO_RATE)
def test_a_learning_rate_that_is_not_there_cannot_be_changed(linear: Network, name: str) -> None:
    changes, message = NO_RATE[name]
    settings = {"n_seeds": 2, "initial": priors.Normal(), "progress": False} | changes
    with pytest.raises(ValueError, match=f"WithoutRate {message}"):
        sgd.train(linear, DATASET, optimizer=WithoutRate(), **settings)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sgd.Elementwise("NoSuch"), "'NoSuch' is no class of torch.optim; pass one such as"),
        (lambda: sgd.Elementwise("lr_scheduler"), "is no class of torch.optim"),
        (lambda: sgd.Elementwise("LBFGS"), "torch.optim.LBFGS cannot be built with {}, or does not"),
        (lambda: sgd.Elementwise("Adafactor"), "does not act on every entry alone"),
        (lambda: sgd.Elementwise("SparseAdam"), "or does not step on a gradient"),
        (lambda: sgd.Elementwise("RMSprop", {"lr": -1}), "cannot be built with {'lr': -1}"),
        (lambda: sgd.Elementwise("RMSprop", {"rate": 1}), "cannot be built with {'rate': 1}"),
        (lambda: sgd.SGD(lr=0.0), "lr=0.0 is not possible; pass a positive number"),
        (lambda: sgd.Adam(lr=float("nan")), "lr=nan is not possible"),
        (lambda: sgd.AdamW(lr=-1.0), "lr=-1.0 is not possible"),
        (lambda: sgd.AGD(gain=0.0), "gain=0.0 is not possible"),
    ],
)  # fmt: skip
def test_optimisers_that_are_not_possible_are_refused(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make()
