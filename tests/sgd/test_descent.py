"""Descent without written gradients takes the steps of torch's optimiser, and only where it may."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from bayes_vs_sgd import Dataset, Network, sgd
from bayes_vs_sgd.sgd.descent import descend, descends
from bayes_vs_sgd.sgd.layout import inputs_first
from bayes_vs_sgd.sgd.objective import Objective
from bayes_vs_sgd.sgd.program import Program
from bayes_vs_sgd.sgd.trace import trace
from models import MLP

from .test_program import CASES, N, gradients


class Products(nn.Module):
    """Parameters multiply each other, so that the gradient of one reads another."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Parameter(torch.randn(5, 4)), nn.Parameter(torch.randn(3, 5))
        self.scale, self.shift = nn.Parameter(torch.randn(3)), nn.Parameter(torch.randn(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ (self.second @ self.first).T + self.scale * self.shift


RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 4))
DATASET = Dataset(X, RNG.integers(0, 3, 24), X[:6], RNG.integers(0, 3, 6), n_classes=3)


def rule(**settings: Any) -> torch.optim.SGD:
    return torch.optim.SGD([nn.Parameter(torch.zeros(2))], **{"lr": 0.1} | settings)


def test_only_plain_gradient_descent_does_without_the_gradient() -> None:
    assert descends(rule())
    for name, value in {"momentum": 0.9, "weight_decay": 0.1, "maximize": True}.items():
        assert not descends(rule(**{name: value}))
    assert not descends(torch.optim.Adam([nn.Parameter(torch.zeros(2))]))
    mixed = torch.optim.SGD(
        [{"params": [nn.Parameter(torch.zeros(2))], "weight_decay": w} for w in (0.0, 0.1)], 0.1
    )
    assert not descends(mixed)


STEPPED = CASES | {"products of parameters": lambda: (Products(), (16, 4))}


@pytest.mark.parametrize("name", STEPPED)
@pytest.mark.parametrize("n_rows", [1, 5])
def test_a_step_moves_every_parameter_by_its_rate_times_its_gradient(
    name: str, n_rows: int
) -> None:
    module, shape = STEPPED[name]()
    n_rows = 16 if name == "reads what it writes" else n_rows
    module = module.double()
    random = torch.Generator().manual_seed(0)
    x = torch.randn(N, n_rows, *shape[1:], generator=random, dtype=torch.float64)
    y = torch.randint(3, (N, n_rows), generator=random)
    function, params = gradients(module, x, y)
    program = Program(descend(trace(function, x, y, *params), 2), 2 + len(params))
    moved = [p.clone() for p in params]
    bound = program.bind(moved)
    rates = [-0.01 * (k + 1) for k in range(len(params))]
    for _ in range(3):
        # PyTorch warns that it has no batching rule for the fused attention.
        with sdpa_kernel(SDPBackend.MATH):
            found = function(x, y, *params)
        params = [p + r * g for p, r, g in zip(params, rates, found, strict=True)]
        bound(x, y, *rates)
        for one, expected in zip(moved, params, strict=True):
            torch.testing.assert_close(one, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("n_rows", [1, 5])
def test_weights_with_few_inputs_move_as_their_product_is_made(n_rows: int) -> None:
    """Their gradient is written nowhere, neither as it is nor turned."""
    random = torch.Generator().manual_seed(0)
    x = torch.randn(N, n_rows, 4, generator=random, dtype=torch.float64)
    y = torch.randint(3, (N, n_rows), generator=random)
    function, params = gradients(MLP(4, 8, 3, 2).double(), x, y)
    moved = [inputs_first(p) for p in params]
    recorded = descend(trace(function, x, y, *moved), 2)
    added = [n for n in recorded.graph.nodes if n.target is torch.ops.aten.add_.Tensor]
    assert all(n.args[0].meta["val"].ndim == 2 for n in added)
    expected = [p - 0.1 * g for p, g in zip(params, function(x, y, *params), strict=True)]
    Program(recorded, 2 + len(params)).bind(moved)(x, y, *[-0.1] * len(params))
    for one, value in zip(moved, expected, strict=True):
        torch.testing.assert_close(one, value, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("clip_norm", [None, 0.7])
@pytest.mark.parametrize("batch_size", [1, 6, 24])
def test_it_is_the_optimiser_that_it_stands_for(
    batch_size: int, clip_norm: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A momentum too small to be seen makes torch's own optimiser take the steps."""
    stepped: list[bool] = []
    descent = Objective.descent

    def noted(self: Objective, params: Sequence[torch.Tensor]) -> Any:
        stepped.append(params[0].mT.is_contiguous())
        return descent(self, params)

    monkeypatch.setattr(Objective, "descent", noted)
    network = Network(MLP(4, 8, 3, 2), X[:1].astype(np.float32))
    names = list(network.shapes)
    settings: dict[str, Any] = {
        "n_seeds": 3, "batch_size": batch_size, "max_steps": 50,
        "schedule": sgd.Cosine(n_warmup=5), "lr_factors": {names[0]: 0.5, names[-1]: 2.0},
        "clip_norm": clip_norm, "progress": False, "checkpoints": [10],
    }  # fmt: skip
    start = {n: RNG.normal(size=(3, *s)) for n, s in network.shapes.items()}
    settings["initial"] = start
    plain, written = (
        sgd.train(network, DATASET, optimizer=sgd.SGD(0.1, momentum), **settings)
        for momentum in (0.0, 1e-300)
    )
    assert stepped
    assert all(stepped)
    for name, value in written.params.items():
        np.testing.assert_allclose(plain.params[name], value, rtol=0, atol=1e-12)
        assert not np.allclose(value[:, -1], start[name], atol=1e-3)


def test_a_gradient_that_is_another_parameter_is_read_before_that_one_moves() -> None:
    """a·b, whose gradients are b and a."""
    a, b = torch.tensor([[1.0]]), torch.tensor([[3.0]])
    recorded = trace(lambda a, b: (b.view(1, 1), a.view(1, 1)), a, b)
    Program(descend(recorded, 0), 2).bind([a, b])(-0.5, -0.5)
    assert (a.item(), b.item()) == (1 - 0.5 * 3, 3 - 0.5 * 1)
