"""Orders in memory are changed only where the module computes the same, and what a step makes is counted."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bayes_vs_sgd import Dataset, Network, sgd
from bayes_vs_sgd.sgd.footprint import bytes_of, convolves
from bayes_vs_sgd.sgd.layout import inputs_first, takes_channels_last, takes_inputs_first
from models import CNN, MLP


class Flattened(nn.Module):
    """Reads its weights and its images by ``view``, which takes memory as it lies."""

    def __init__(self, *, convolves: bool) -> None:
        super().__init__()
        self.layer = nn.Conv2d(2, 3, 3) if convolves else nn.Linear(4, 6)
        self.readout = nn.Linear(3 * 4 if convolves else 6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = self.layer.weight.view(-1).square().mean()
        hidden = self.layer(x)
        return self.readout(hidden.view(x.shape[0], -1)) * scale


RNG = np.random.default_rng(0)


def test_modules_that_need_their_memory_as_it_is_are_recognised() -> None:
    images, rows = torch.randn(4, 2, 4, 4), torch.randn(4, 4)
    assert takes_channels_last(CNN(2, 3, 3), torch.randn(4, 2, 8, 8))
    assert not takes_channels_last(Flattened(convolves=True), images)
    assert not takes_channels_last(MLP(4, 8, 3, 1), rows)
    assert takes_inputs_first(MLP(4, 8, 3, 1), rows)
    assert not takes_inputs_first(Flattened(convolves=False), rows)


def test_weights_with_few_inputs_lie_with_inputs_first() -> None:
    for shape, turns in {
        (3, 8, 4): True,
        (3, 8, 1): False,
        (3, 4, 8): False,
        (3, 40, 16): False,
    }.items():
        stacked = torch.randn(*shape)
        found = inputs_first(stacked)
        torch.testing.assert_close(found, stacked, rtol=0, atol=0)
        assert (found is not stacked) == turns
        assert found.transpose(1, 2).is_contiguous() >= turns


@pytest.mark.parametrize("shape", [(4,), (2, 4, 4)], ids=["rows", "images"])
def test_a_module_that_needs_its_memory_as_it_is_trains_as_in_a_plain_loop(
    shape: tuple[int, ...],
) -> None:
    torch.manual_seed(0)
    module = Flattened(convolves=len(shape) == 3).double()
    x, y = RNG.normal(size=(8, *shape)), RNG.integers(0, 3, 8)
    network = Network(module, x[:2].astype(np.float32))
    start = {n: np.repeat(p.detach().numpy()[None], 2, 0) for n, p in module.named_parameters()}
    settings: dict[str, Any] = {"optimizer": sgd.SGD(0.1, 0.0), "max_steps": 20, "progress": False}
    draws = sgd.train(
        network,
        Dataset(x, y, x, y, n_classes=3),
        n_seeds=2,
        initial=start,
        batch_size=8,
        **settings,
    )
    rule = torch.optim.SGD(module.parameters(), 0.1)
    for _ in range(20):
        rule.zero_grad()
        nn.functional.cross_entropy(module(torch.from_numpy(x)), torch.from_numpy(y)).backward()
        rule.step()
    for name, p in module.named_parameters():
        np.testing.assert_allclose(draws.params[name][1, -1], p.detach(), rtol=0, atol=1e-12)


def test_the_bytes_of_many_rows_follow_from_few() -> None:
    weight = torch.randn(5, 3)

    def run(n: int) -> None:
        (torch.randn(n, 5).mT @ torch.ones(n, 3)).exp() + weight

    # Rows of 5 and 3 numbers, and three results of the weight's size.
    for n_rows in (1, 3, 100):
        assert bytes_of(run, n_rows) == 4 * (n_rows * 8 + 3 * 15)


def test_a_convolution_is_seen_whatever_it_is_called() -> None:
    images = torch.randn(2, 1, 8, 8)

    class Functional(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.conv2d(x, torch.ones(1, 1, 3, 3))

    assert convolves(Functional(), images)
    assert not convolves(nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 2)), images)
