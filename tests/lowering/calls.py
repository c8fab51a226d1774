"""One call of an operator in both engines, and the numbers that it is made with."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from hypothesis import strategies as st

from bayes_vs_sgd.lowering import OPERATORS, double_precision

Shape = Sequence[int]


@dataclass(frozen=True)
class Call:
    """Arguments of an operator: NumPy arrays stand for tensors, the rest is passed as it is."""

    args: Sequence[Any]
    kwargs: Mapping[str, Any] = field(default_factory=dict)


def call(*args: Any, **kwargs: Any) -> Call:
    return Call(args, kwargs)


class Source:
    """What a strategy draws from."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw
        self.rng = np.random.default_rng(draw(st.integers(0, 999)))

    def pick(self, *options: Any) -> Any:
        return self._draw(st.sampled_from(options))

    def flag(self) -> bool:
        return self._draw(st.booleans())

    def shape(self) -> Shape:
        return self.pick((3,), (2, 3), (2, 3, 4))

    def axis(self, shape: Shape) -> int:
        return self.pick(*range(-len(shape), len(shape)))

    def axes(self, shape: Shape) -> list[int]:
        return self.pick([0], [-1], list(range(len(shape))), [len(shape) - 1, 0][: len(shape)])

    def floats(self, shape: Shape, low: float = -2, high: float = 2) -> np.ndarray:
        return np.asarray(self.rng.uniform(low, high, shape))

    def ints(self, shape: Shape, low: int = -2, high: int = 2) -> np.ndarray:
        return np.asarray(self.rng.integers(low, high, shape, endpoint=True))

    def bools(self, shape: Shape) -> np.ndarray:
        return np.asarray(self.rng.random(shape) < 0.5)

    def tensor(self, shape: Shape, kind: str, low: float = -2, high: float = 2) -> np.ndarray:
        if kind == "float":
            return self.floats(shape, low, high)
        if kind == "int":
            return self.ints(shape, int(np.ceil(low)), int(np.floor(high)))
        return self.bools(shape)

    def distinct(self, shape: Shape, kind: str = "float") -> np.ndarray:
        numbers = self.rng.permutation(int(np.prod(shape))).reshape(shape)
        return numbers if kind == "int" else numbers / 3

    def nonzero(self, shape: Shape, kind: str = "float") -> np.ndarray:
        size = self.tensor(shape, kind, 1, 3)
        return size if kind == "bool" else np.asarray(size * np.where(self.bools(shape), -1, 1))

    def maybe(self, value: Any) -> Any:
        return value if self.flag() else None


@dataclass(frozen=True)
class Outcome:
    """What an operator returned, flat, and its gradients to every floating-point tensor."""

    values: Sequence[np.ndarray]
    gradients: Sequence[np.ndarray]


def run_both(
    name: str, call: Call, *, reference: Callable[..., Any] | None = None, double: bool = True
) -> tuple[Outcome, Outcome]:
    """The outcomes in PyTorch and in JAX.

    Args:
        name: An operator of the table.
        call: Its arguments.
        reference: What stands for the operator in PyTorch, if it has no derivative there.
        double: In float64, with gradients through random cotangents; else in float32, without.
    """
    leaves, tree = jax.tree.flatten((call.args, dict(call.kwargs)))
    if not double:
        leaves = [x.astype(np.float32) if _is_float(x) else x for x in leaves]
    values, tensors = _in_torch(reference or _aten(name), leaves, tree, double)
    smooth = tuple(i for i, x in enumerate(values) if torch.is_tensor(x) and x.requires_grad)
    rng = np.random.default_rng(0)
    cotangents = [rng.normal(size=values[i].shape) for i in smooth]
    gradients = _torch_gradients([values[i] for i in smooth], tensors, cotangents)
    with jax.enable_x64(double):
        settings = tuple(None if isinstance(x, np.ndarray) else (type(x), x) for x in leaves)
        arrays = [jnp.asarray(x) for x in leaves if isinstance(x, np.ndarray)]
        found = _compiled(name, settings, tree, smooth, double)(arrays, cotangents)
    plain = [x.detach().numpy() if torch.is_tensor(x) else np.asarray(x) for x in values]
    return Outcome(plain, gradients), Outcome(*jax.tree.map(np.asarray, found))


def _in_torch(
    function: Callable[..., Any], leaves: Sequence[Any], tree: Any, double: bool
) -> tuple[list[Any], list[torch.Tensor]]:
    """The results, and the tensors that they may be differentiated to."""
    given = [torch.tensor(x) if isinstance(x, np.ndarray) else x for x in leaves]
    floats = [x for x in given if torch.is_tensor(x) and x.is_floating_point()]
    if double:
        floats = [x.requires_grad_() for x in floats]
    args, kwargs = jax.tree.unflatten(tree, given)
    with double_precision() if double else nullcontext():
        return jax.tree.leaves(function(*args, **kwargs)), floats


def _torch_gradients(
    values: Sequence[torch.Tensor], inputs: Sequence[torch.Tensor], cotangents: Sequence[np.ndarray]
) -> list[np.ndarray]:
    if not values:
        return []
    directions = [torch.tensor(c) for c in cotangents]
    found = torch.autograd.grad(values, inputs, directions, allow_unused=True)
    return [
        (torch.zeros_like(x) if g is None else g).numpy()
        for x, g in zip(inputs, found, strict=True)
    ]


@cache
def _compiled(
    name: str, settings: Sequence[Any], tree: Any, smooth: Sequence[int], double: bool
) -> Callable[..., Any]:
    """(arrays, cotangents) → (results, gradients), compiled once for equal settings."""

    def weighted(floats: list[jax.Array], arrays: list[jax.Array], cotangents: Any) -> Any:
        chosen, every = iter(floats), iter(arrays)
        given = []
        for setting in settings:
            x = next(every) if setting is None else _as_jax(setting[1])
            given.append(next(chosen) if setting is None and _is_float(x) else x)
        args, kwargs = jax.tree.unflatten(tree, given)
        results = jax.tree.leaves(OPERATORS[name](*args, **kwargs))
        terms = [jnp.vdot(results[i], c) for i, c in zip(smooth, cotangents, strict=True)]
        return sum(terms, jnp.zeros(())), results

    def run(arrays: list[jax.Array], cotangents: list[jax.Array]) -> Any:
        floats = [x for x in arrays if _is_float(x)]
        if not smooth:
            return weighted(floats, arrays, cotangents)[1], []
        gradients, results = jax.grad(weighted, has_aux=True)(floats, arrays, cotangents)
        return results, gradients

    return jax.jit(run)


def _aten(name: str) -> torch._ops.OpOverload:
    _, operator, overload = name.split(".")
    return getattr(getattr(torch.ops.aten, operator), overload)


def _is_float(x: Any) -> bool:
    return hasattr(x, "shape") and jnp.issubdtype(x.dtype, jnp.floating)


def _as_jax(x: Any) -> Any:
    if isinstance(x, torch.dtype):
        return jax.dtypes.canonicalize_dtype(torch.empty((), dtype=x).numpy().dtype)
    return x
