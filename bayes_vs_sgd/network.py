"""One torch module, two engines: PyTorch itself and the same graph in JAX."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jaxtyping import Array
from torch import nn

from .lowering import LoweringError, lower

# Arrays by parameter name: JAX, NumPy, or whatever NumPy can read.
Params = Mapping[str, Any]

# Two engines that run the same graph in float64 differ by rounding alone.
_AGREEMENT = 1e-10


class Network:
    """A ``torch.nn.Module`` that JAX can run too, with parameters by name.

    The module is exported (Core ATen, dynamic batch size), its graph is run by a table of JAX
    operators, and both engines are compared in float64 before the object exists.

    Args:
        module: The network. It is copied; the original is never changed.
        example_input: An array or tensor with a leading batch axis, or a tuple of them for a module
            with several inputs; shapes and dtypes are what matters.

    Attributes:
        shapes: Parameter name → shape, in the order of ``module.named_parameters()``.

    Raises:
        LoweringError: The module is refused, uses an unknown operator, or the engines disagree.
    """

    def __init__(self, module: nn.Module, example_input: Any) -> None:
        inputs = example_input if isinstance(example_input, tuple) else (example_input,)
        tensors = tuple(_as_tensor(x) for x in inputs)
        self._module = copy.deepcopy(module).cpu()
        self._lowered = lower(self._module, tensors)
        self.shapes: dict[str, tuple[int, ...]] = {
            name: tuple(p.shape) for name, p in self._module.named_parameters()
        }
        _require_agreement(self._module, self._lowered, tensors)

    @property
    def n_parameters(self) -> int:
        """Number of parameters, tied ones counted once."""
        return sum(int(np.prod(shape)) for shape in self.shapes.values())

    def apply(self, params: Params, *inputs: Array) -> Any:
        """The network's output: a pure JAX function, to be jitted, vmapped and differentiated.

        Args:
            params: Parameters by the names of ``module.named_parameters()``.
            *inputs: The module's inputs, with a leading batch axis.

        Returns:
            What the module returns, as JAX arrays.

        Raises:
            ValueError: A parameter is missing, unknown or of another shape.
        """
        self._check(params)
        return self._lowered(params, *inputs)

    def to_torch(self, params: Params) -> nn.Module:
        """A new torch module that holds ``params``.

        Raises:
            ValueError: A parameter is missing, unknown or of another shape.
        """
        self._check(params)
        module = copy.deepcopy(self._module)
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                value = torch.from_numpy(np.array(params[name]))
                parameter.data = value.to(dtype=value.dtype)
        return module

    def from_torch(self, module: nn.Module) -> dict[str, np.ndarray]:
        """The parameters of a torch module of this architecture, by name."""
        return {name: p.detach().cpu().numpy().copy() for name, p in module.named_parameters()}

    def _check(self, params: Params) -> None:
        if set(params) != set(self.shapes):
            missing, extra = set(self.shapes) - set(params), set(params) - set(self.shapes)
            raise ValueError(
                f"params lacks {sorted(missing)} and has unknown {sorted(extra)}; its names must be "
                "those of module.named_parameters()."
            )
        for name, shape in self.shapes.items():
            if tuple(jnp.shape(params[name])) != shape:
                raise ValueError(
                    f"params[{name!r}] has shape {tuple(jnp.shape(params[name]))}; the module's is "
                    f"{shape}. For many parameter sets use jax.vmap."
                )


def _as_tensor(x: Any) -> torch.Tensor:
    return x.detach().cpu() if isinstance(x, torch.Tensor) else torch.from_numpy(np.array(x))


def _require_agreement(
    module: nn.Module, lowered: Callable[..., Any], examples: Sequence[torch.Tensor]
) -> None:
    """Compare outputs and parameter gradients of both engines in float64, at random parameters."""
    generator = torch.Generator().manual_seed(0)
    double = copy.deepcopy(module).double()
    inputs = [_random_like(x, generator) for x in examples]
    with torch.enable_grad():
        loss, gradients = _torch_gradient(double, inputs)
    with jax.enable_x64(True):
        params = {name: jnp.asarray(p.detach().numpy()) for name, p in double.named_parameters()}
        value, gradient = jax.jit(
            jax.value_and_grad(lambda p: _probe(lowered(p, *(jnp.asarray(x) for x in inputs)), jnp))
        )(params)
        pairs = [(loss, value)] + [(gradients[name], gradient[name]) for name in gradients]
        errors = [_relative_error(np.asarray(a), np.asarray(b)) for a, b in pairs]
    if not max(errors) <= _AGREEMENT:
        raise LoweringError(
            f"PyTorch and JAX differ by {max(errors):.1e} (relative, float64) on "
            f"{type(module).__name__}; an operator of the table does not do what PyTorch's does."
        )


def _probe(output: Any, library: Any) -> Any:
    """A scalar that depends smoothly and differently on every entry of the output."""
    leaves = [output] if not isinstance(output, list | tuple) else list(output)
    flat = [leaf.reshape(-1) for leaf in leaves]
    weights = [library.cos(library.arange(leaf.shape[0], dtype=leaf.dtype)) for leaf in flat]
    return sum((leaf * w).sum() for leaf, w in zip(flat, weights, strict=True))


def _torch_gradient(
    module: nn.Module, inputs: Sequence[np.ndarray]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    named = dict(module.named_parameters())
    value = _probe(module(*(torch.from_numpy(x) for x in inputs)), torch)
    gradients = torch.autograd.grad(value, list(named.values()), allow_unused=True)
    filled = {
        name: np.zeros(p.shape) if g is None else g.numpy()
        for (name, p), g in zip(named.items(), gradients, strict=True)
    }
    return value.detach().numpy(), filled


def _random_like(x: torch.Tensor, generator: torch.Generator) -> np.ndarray:
    """Five rows, a batch size that was never traced: random floats, or the given integers again."""
    if not x.is_floating_point():
        return x[torch.arange(5) % len(x)].numpy()
    return torch.randn((5, *x.shape[1:]), generator=generator, dtype=torch.float64).numpy()


def _relative_error(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.max(np.abs(a - b), initial=0.0) / (1 + np.max(np.abs(a), initial=0.0)))
