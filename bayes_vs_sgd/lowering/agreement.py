"""Is the lowered function the module? Outputs and gradients of both engines, in float64."""

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from .graph import Lowered, run
from .precision import double_precision
from .refusals import LoweringError, first_line

# Two engines that run the same graph in float64 differ by rounding alone.
_TOLERANCE = 1e-10
# A batch size that was never traced, and the rows that are looked at without the others.
_N_ROWS = 5
_ALONE = slice(3, 5)

Tensors = Sequence[torch.Tensor]


def require_agreement(module: nn.Module, lowered: Lowered, examples: Tensors) -> None:
    """Compare the outputs and parameter gradients of both engines in float64.

    Args:
        module: The torch module; its own parameters are used.
        lowered: The same module in JAX.
        examples: Its inputs. Floating-point ones are replaced by normal numbers where the module
            takes them; the rows of integer ones are used as they are, over and over.

    Raises:
        LoweringError: The engines disagree, JAX cannot run the module, the output has no
            floating-point number or is not finite, or one row of it depends on other rows of the
            input.
    """
    name = type(module).__name__
    double = copy.deepcopy(module).double()
    with double_precision(), torch.enable_grad():
        inputs, outputs = _run_torch(double, examples)
        _require_independent_rows(name, double, inputs, outputs)
        loss, gradients = _torch_gradient(double, outputs)
    with jax.enable_x64(True):
        params = {n: jnp.asarray(p.detach().numpy()) for n, p in double.named_parameters()}
        arrays = [jnp.asarray(x.numpy()) for x in inputs]
        try:
            jax_loss, jax_gradients = _jax_gradient(lowered, params, arrays)
        except Exception as error:  # whatever an operator of the table may raise
            raise LoweringError(
                f"JAX cannot run {name} ({first_line(error)}): an operator of the table does not take "
                "what PyTorch's takes; write that layer with other operations, or mend the operator "
                "with Network.add_operator."
            ) from error
        forward = _relative_error(loss, jax_loss)
        errors = [_relative_error(g, jax_gradients[n]) for n, g in gradients.items()]
        backward = max(errors, default=0.0)
    if not forward <= _TOLERANCE:
        raise LoweringError(
            f"PyTorch and JAX differ by {forward:.1e} (relative, float64) on {name}; an operator of "
            "the table does not do what PyTorch's does."
        )
    if not backward <= _TOLERANCE:
        raise LoweringError(
            f"PyTorch and JAX agree on the output of {name}, but their gradients differ by "
            f"{backward:.1e} (relative, float64): its forward pass stops gradients (detach, no_grad), "
            "so that SGD would follow no loss; or an operator of the table has a wrong derivative."
        )


def _run_torch(module: nn.Module, examples: Tensors) -> tuple[list[torch.Tensor], Tensors]:
    """Inputs at which the module is finite, and its floating-point outputs there."""
    generator = torch.Generator().manual_seed(0)
    candidates = [
        [_normal_like(x, generator) for x in examples],
        [_repeated(x) for x in examples],
    ]
    for inputs in candidates:
        outputs = _floating(run(module, inputs))
        if not outputs:
            raise LoweringError(f"{type(module).__name__} returns no floating-point tensor.")
        if all(bool(x.isfinite().all()) for x in outputs):
            return inputs, outputs
    raise LoweringError(
        f"the output of {type(module).__name__} is not finite, neither at normal inputs nor at "
        "example_input; pass rows of the data as example_input, and check the module's start."
    )


def _floating(outputs: Any) -> list[torch.Tensor]:
    return [x for x in tree_leaves(outputs) if torch.is_tensor(x) and x.is_floating_point()]


def _normal_like(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    if not x.is_floating_point():
        return _repeated(x)
    return torch.randn((_N_ROWS, *x.shape[1:]), generator=generator, dtype=torch.float64)


def _repeated(x: torch.Tensor) -> torch.Tensor:
    rows = x[torch.arange(_N_ROWS) % len(x)]
    return rows.double() if x.is_floating_point() else rows


def _require_independent_rows(
    name: str, module: nn.Module, inputs: Tensors, outputs: Tensors
) -> None:
    some = module(*(x[_ALONE] for x in inputs))
    for whole, alone in zip(outputs, _floating(some), strict=True):
        expected = whole[_ALONE] if whole.ndim and len(whole) == _N_ROWS else whole
        if expected.shape != alone.shape or not _relative_error(expected, alone) <= _TOLERANCE:
            raise LoweringError(
                f"rows of {name}'s output depend on other rows of its input, so the likelihood of a "
                "row would depend on the batch it comes in; the batch must be the leading axis "
                "(batch_first=True), and nothing may be averaged or normalised over it."
            )


def _torch_gradient(
    module: nn.Module, outputs: Tensors
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    named = dict(module.named_parameters())
    loss = _probe(outputs, torch)
    if not loss.requires_grad:
        return loss, {name: torch.zeros_like(p) for name, p in named.items()}
    gradients = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    return loss.detach(), {
        name: torch.zeros_like(p) if g is None else g
        for (name, p), g in zip(named.items(), gradients, strict=True)
    }


@partial(jax.jit, static_argnums=0)
def _jax_gradient(lowered: Lowered, params: Any, inputs: Sequence[jax.Array]) -> Any:
    def loss(params: Any) -> jax.Array:
        outputs = [x for x in lowered.flat(params, *inputs) if isinstance(x, jax.Array)]
        return _probe([x for x in outputs if jnp.issubdtype(x.dtype, jnp.floating)], jnp)

    return jax.value_and_grad(loss)(params)


def _probe(outputs: Sequence[Any], library: Any) -> Any:
    """A scalar that depends smoothly and differently on every entry of the outputs."""
    flat = [x.reshape(-1) for x in outputs]
    weights = [library.cos(library.arange(x.shape[0], dtype=x.dtype)) for x in flat]
    return sum((x * w).sum() for x, w in zip(flat, weights, strict=True))


def _relative_error(a: Any, b: Any) -> float:
    a, b = (np.asarray(x.detach() if torch.is_tensor(x) else x) for x in (a, b))
    return float(np.max(np.abs(a - b), initial=0.0) / (1 + np.max(np.abs(a), initial=0.0)))
