"""One torch module, two engines: PyTorch itself and the same graph in JAX."""

import copy
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import torch
from jaxtyping import Array
from torch import nn

from .lowering import OPERATORS, Operator, lower_once, require_agreement

# Arrays by parameter name: JAX, NumPy, or whatever NumPy can read.
Params = Mapping[str, Any]


class Network:
    """A ``torch.nn.Module`` that JAX can run too, with parameters by name.

    The module is exported (Core ATen, dynamic batch size), its graph is run by a table of JAX
    operators, and both engines are compared in float64 before the object exists. Modules that are
    built alike share one graph, so that making the same network again costs little; the two networks
    are equal, and what was compiled of one is found again for the other.

    Args:
        module: The network. It is copied; the original is never changed.
        example_input: An array or tensor with a leading batch axis, or a tuple of them for a module
            with several inputs. Shapes and dtypes are what matters, and that integers are valid:
            rows of the data are the best example.

    Attributes:
        shapes: Parameter name → shape, in the order of ``module.named_parameters()``.

    Raises:
        LoweringError: The module is refused (BatchNorm in training mode, a buffer that changes,
            active dropout, control flow or shapes that depend on values, rows that depend on one
            another), uses an unknown operator, or the engines disagree.
        ValueError: The module is none, or the example input is no array with rows.
    """

    def __init__(self, module: nn.Module, example_input: Any) -> None:
        inputs = example_input if isinstance(example_input, tuple) else (example_input,)
        tensors = tuple(map(_as_input, inputs))
        if not isinstance(module, nn.Module):
            raise ValueError(f"module is a {type(module).__name__}; pass a torch.nn.Module.")
        self._module = copy.deepcopy(module).cpu()
        self._lowered = lower_once(self._module, tensors)
        self.shapes: dict[str, tuple[int, ...]] = {
            name: tuple(p.shape) for name, p in self._module.named_parameters()
        }
        require_agreement(self._module, self._lowered, tensors)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Network) and self._lowered is other._lowered

    def __hash__(self) -> int:
        return id(self._lowered)

    @staticmethod
    def add_operator(name: str, function: Operator) -> None:
        """Teach every network made from now on an operator, or another form of one.

        ``Network.add_operator("aten.i0.default", jax.scipy.special.i0)``

        Args:
            name: As the refusal says it: ``"namespace.operator.overload"``.
            function: Pure JAX, with the arguments of the PyTorch operator in its order and under
                its names; dtypes arrive as NumPy dtypes, and devices and layouts not at all.

        Raises:
            ValueError: The name has another form, or the function cannot be called.
        """
        if len(name.split(".")) < 3 or not callable(function):
            raise ValueError(
                f"add_operator({name!r}, {function!r}): pass the name of a refused operator, such as "
                "'aten.i0.default', and a JAX function."
            )
        OPERATORS[name] = function

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
            ValueError: A parameter is missing, unknown or of another shape, or an input is missing.
        """
        self._check(params)
        if len(inputs) != len(self._lowered.inputs):
            raise ValueError(
                f"apply got {len(inputs)} inputs and the module takes {len(self._lowered.inputs)}; "
                "pass each as an argument of its own."
            )
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


def _as_input(x: Any) -> torch.Tensor:
    try:
        tensor = x.detach().cpu() if isinstance(x, torch.Tensor) else torch.from_numpy(np.array(x))
    except TypeError as error:
        raise ValueError(
            f"example_input has a {type(x).__name__} that is no array of numbers; pass some rows of "
            "the data, or a tuple of arrays for a module with several inputs."
        ) from error
    if tensor.ndim == 0 or len(tensor) == 0:
        raise ValueError(
            f"example_input has shape {tuple(tensor.shape)}; it needs a leading batch axis with at "
            "least one row."
        )
    return tensor
