import torch
from torch.func import grad, vmap
from torch.nn import functional

from bayes_vs_sgd.sgd.trace import trace


def gradient(x: torch.Tensor, y: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> tuple:
    def loss(params: tuple, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        outputs = functional.linear(functional.linear(x, params[0], params[1]).relu(), params[0].mT)
        return functional.cross_entropy(outputs, y)

    return vmap(grad(loss))((w, b), x, y)


def examples() -> tuple[torch.Tensor, ...]:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(3, 5, 4, generator=random, dtype=torch.float64)
    w = torch.randn(3, 6, 4, generator=random, dtype=torch.float64)
    b = torch.randn(3, 6, generator=random, dtype=torch.float64)
    return x, torch.randint(4, (3, 5), generator=random), w, b


def test_the_traced_function_is_the_same_function() -> None:
    traced = trace(gradient, *examples())
    x, y, w, b = examples()
    others = (x.flip(1), y.flip(0), 2 * w, b - 1)
    for found, expected in zip(traced(*others), gradient(*others), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-13)


def test_what_only_looks_idle_is_kept() -> None:
    """A reshape that repeats, a product with 2, and transposes of other axes do something."""

    def function(a: torch.Tensor) -> tuple[torch.Tensor, ...]:
        doubled = vmap(lambda m: torch.addmm(m[0], m, m, beta=2))(a)
        return a.expand(2, 3, 3), a.transpose(0, 1).transpose(1, 2), doubled

    a = torch.arange(9.0).reshape(1, 3, 3)
    traced = trace(function, a)
    for found, expected in zip(traced(a), function(a), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
