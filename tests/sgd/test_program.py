"""Programs with buffers compute what the recorded function computes, call after call."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from bayes_vs_sgd.likelihoods import Bernoulli
from bayes_vs_sgd.sgd.losses import negative_log_likelihood
from bayes_vs_sgd.sgd.program import Program
from bayes_vs_sgd.sgd.trace import trace
from models import CNN, MLP, Decoder

N = 3


def gradients(
    module: nn.Module, x: torch.Tensor, y: torch.Tensor
) -> tuple[Callable[..., tuple[torch.Tensor, ...]], list[torch.Tensor]]:
    """The gradient of the cross-entropy of stacked copies of a module, and their parameters."""
    names = [name for name, _ in module.named_parameters()]

    def loss(params: tuple[torch.Tensor, ...], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        outputs = functional_call(module, dict(zip(names, params, strict=True)), (x,))
        return nn.functional.cross_entropy(outputs.flatten(0, -2), y.flatten())

    def of_stack(x: torch.Tensor, y: torch.Tensor, *params: torch.Tensor) -> tuple:
        return vmap(grad(loss))(params, x, y)

    random = torch.Generator().manual_seed(1)
    params = [
        p.detach() + 0.3 * torch.randn(N, *p.shape, generator=random, dtype=p.dtype)
        for p in module.parameters()
    ]
    return of_stack, params


def activations() -> nn.Module:
    layers = [nn.Tanh(), nn.GELU(), nn.SiLU(), nn.Sigmoid(), nn.Softplus(), nn.LayerNorm(5)]
    stack = [m for layer in layers for m in (nn.Linear(5, 5), layer)]
    return nn.Sequential(nn.Linear(4, 5), *stack, nn.Linear(5, 3))


class Shares(nn.Module):
    """Adds a product to itself, transposed: what is overwritten must not be read again."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        product = (x @ self.weight).unflatten(0, (4, -1))
        mixed = product * product.transpose(0, 1).exp() + product.transpose(0, 1)
        return mixed.relu().flatten(0, 1)[:, :3] * product.flatten(0, 1)[:, 1:]


class Tokens(nn.Module):
    """A decoder of tokens that are read off real numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = Decoder(5, 8, 3, depth=1, n_heads=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decoder(x.abs().long().clamp(max=4))


CASES: dict[str, Callable[[], tuple[nn.Module, tuple[int, ...]]]] = {
    "MLP": lambda: (MLP(4, 20, 3, 2), (16, 4)),
    "activations": lambda: (activations(), (16, 4)),
    "CNN": lambda: (CNN(1, 2, 3, norm="layer"), (2, 1, 8, 8)),
    "attention": lambda: (Tokens(), (4, 6)),
    "reads what it writes": lambda: (Shares(), (16, 4)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_program_computes_what_was_recorded_call_after_call(name: str) -> None:
    module, shape = CASES[name]()
    module = module.double()
    random = torch.Generator().manual_seed(0)
    x = torch.randn(N, *shape, generator=random, dtype=torch.float64)
    y = torch.randint(3, (N, shape[0]), generator=random)
    function, params = gradients(module, x, y)
    program = Program(trace(function, x, y, *params), 2)
    bound = program.bind(params)
    for scale in (1.0, -0.5, 2.0):
        with torch.no_grad():
            for p in params:
                p.mul_(scale)
        found = [g.clone() for g in bound(scale * x, y.flip(1))]
        # PyTorch warns that it has no batching rule for the fused attention.
        with sdpa_kernel(SDPBackend.MATH):
            wanted = function(scale * x, y.flip(1), *params)
        for one, expected in zip(found, wanted, strict=True):
            torch.testing.assert_close(one, expected, rtol=1e-11, atol=1e-11)


def test_two_stacks_share_a_program_without_mixing() -> None:
    module = MLP(4, 6, 3, 1).double()
    x, y = torch.randn(N, 8, 4, dtype=torch.float64), torch.randint(3, (N, 8))
    function, params = gradients(module, x, y)
    others = [2 * p for p in params]
    program = Program(trace(function, x, y, *params), 2)
    first, second = program.bind(params), program.bind(others)
    for bound, own in ((first, params), (second, others), (first, params)):
        found = [g.clone() for g in bound(x, y)]
        for one, expected in zip(found, function(x, y, *own), strict=True):
            torch.testing.assert_close(one, expected, rtol=1e-12, atol=1e-12)


def test_no_memory_is_asked_for_by_a_small_network() -> None:
    """Nor inside of operators that only seem to write where they are told."""
    module = MLP(4, 8, 1, 2)
    names = [name for name, _ in module.named_parameters()]

    def loss(params: tuple[torch.Tensor, ...], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        outputs = functional_call(module, dict(zip(names, params, strict=True)), (x,))
        return negative_log_likelihood(Bernoulli(), outputs, y).mean()

    x, y = torch.randn(16, 8, 4), torch.randint(2, (16, 8))
    params = [p.detach().expand(16, *p.shape).contiguous() for p in module.parameters()]
    recorded = trace(lambda x, y, *params: vmap(grad(loss))(params, x, y), x, y, *params)
    bound = Program(recorded, 2).bind(params)
    bound(x, y)
    with torch.profiler.profile(profile_memory=True) as profile:
        bound(x, y)
    asked = {e.name: e.self_cpu_memory_usage for e in profile.events()}
    assert "aten::baddbmm" in asked
    # A number takes 8 bytes at most.
    assert {n: b for n, b in asked.items() if b > 8} == {}


def test_a_column_is_the_same_as_a_row() -> None:
    a, b, c = torch.randn(5, 8, 40), torch.randn(5, 1, 40), torch.randn(5, 1)
    recorded = trace(lambda a, b, c: (a @ b.mT, c[:, None] + a @ b.mT, b.mT), a, b, c)
    found = recorded(a, b, c)
    shapes = [n.meta["val"].shape for n in recorded.graph.nodes if "bmm" in str(n.target)]
    assert shapes == [(5, 1, 8)] * 2
    for one, expected in zip(found, (a @ b.mT, c[:, None] + a @ b.mT, b.mT), strict=True):
        torch.testing.assert_close(one, expected, rtol=1e-5, atol=1e-5)


def test_a_narrow_product_is_the_same_the_other_way_round() -> None:
    a, b = torch.randn(5, 8, 40), torch.randn(5, 8, 7)
    recorded = trace(lambda a, b: (a.mT @ b,), a, b)
    assert "clone" in recorded.code
    np.testing.assert_allclose(recorded(a, b)[0], a.mT @ b, rtol=1e-5, atol=1e-5)


def test_an_outer_product_is_a_multiplication() -> None:
    a, b = torch.randn(5, 1, 40), torch.randn(5, 1, 7)
    recorded = trace(lambda a, b: (a.mT @ b,), a, b)
    assert "mul" in recorded.code
    assert "bmm" not in recorded.code
    assert torch.equal(recorded(a, b)[0], a.mT @ b)
