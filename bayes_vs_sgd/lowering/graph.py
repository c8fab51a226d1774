"""Export a torch module and read the graph as a list of operations that JAX can run."""

import copy
import gc
import io
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import nn
from torch.export.graph_signature import InputKind

from .operators import LAYOUT_ARGUMENTS, OPERATORS, Operator
from .precision import double_precision
from .refusals import (
    LoweringError,
    first_line,
    refuse_moving_buffers,
    refuse_moving_modules,
    refuse_moving_shapes,
    refuse_random,
    unknown_operator,
)

# The decomposition of attention costs a masked softmax even where nothing is masked, and that of
# the hard sigmoid has another derivative, by rounding, than PyTorch itself.
_KEPT_WHOLE = (
    torch.ops.aten.scaled_dot_product_attention.default,
    torch.ops.aten.hardsigmoid.default,
)


@dataclass(frozen=True)
class _Ref:
    """A value that an earlier operation of the graph computes."""

    name: str


@dataclass(frozen=True)
class _Operation:
    """One line of the graph: ``name = function(*args, **kwargs)``."""

    name: str
    function: Operator
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Lowered:
    """A torch module as a pure JAX function of its parameters and inputs.

    The graph is that of a double copy: float64 in it stands for the floating-point type of the
    parameters that the function is called with.

    Attributes:
        operations: The graph in order of execution.
        parameters: Graph input → parameter name, as in ``module.named_parameters()``; tied
            parameters share one name.
        constants: Graph input → value of a buffer or of a tensor made inside ``forward``.
        inputs: Graph inputs that the caller passes, in order.
        outputs: References to what the graph returns, flat.
        rebuild: The flat outputs → what the module returns.
    """

    operations: Sequence[_Operation]
    parameters: Mapping[str, str]
    constants: Mapping[str, np.ndarray]
    inputs: Sequence[str]
    outputs: Sequence[Any]
    rebuild: Callable[[Sequence[Any]], Any]

    def __call__(self, params: Mapping[str, jax.Array], *inputs: jax.Array) -> Any:
        """What the module returns, in the floating-point type that the parameters have."""
        return self.rebuild(self.flat(params, *inputs))

    def flat(self, params: Mapping[str, jax.Array], *inputs: jax.Array) -> list[Any]:
        """The tensors that the module returns, in one list."""
        real = _floating_type(params)
        values: dict[str, Any] = {
            node: jnp.asarray(value, _as_jax(value.dtype, real))
            for node, value in self.constants.items()
        }
        # NumPy's arrays cannot be indexed by traced ones.
        values |= {node: jnp.asarray(params[name]) for node, name in self.parameters.items()}
        values |= dict(zip(self.inputs, map(jnp.asarray, inputs), strict=True))
        for operation in self.operations:
            args, kwargs = _resolve((operation.args, operation.kwargs), values, real)
            result = operation.function(*args, **kwargs)
            values[operation.name] = _in_type(result, real)
        return _resolve(list(self.outputs), values, real)


def lower(module: nn.Module, example_inputs: tuple[torch.Tensor, ...]) -> Lowered:
    """Export ``module`` with a dynamic batch size and read its Core ATen graph.

    Args:
        module: Any module without moving buffers or active dropout.
        example_inputs: Tensors with a leading batch axis; only shapes and dtypes matter.

    Returns:
        The module as a JAX function.

    Raises:
        LoweringError: The module is refused, cannot be exported, or uses an operator that is not
            in the table.
    """
    refuse_moving_modules(module)
    module = copy.deepcopy(module).double()
    program = _export(module, example_inputs)
    refuse_moving_buffers(program)
    parameters, constants, inputs = _read_signature(module, program)
    operations = [_read(node) for node in program.graph.nodes if node.op == "call_function"]
    (outputs,) = next(node for node in program.graph.nodes if node.op == "output").args
    return Lowered(
        operations,
        parameters,
        constants,
        inputs,
        _translate(list(outputs)),
        program.call_spec.out_spec.unflatten,
    )


def _export(
    module: nn.Module, example_inputs: tuple[torch.Tensor, ...]
) -> torch.export.ExportedProgram:
    # torch.export takes a batch of 0 or 1 for a constant, and reads sizes alone.
    batch = tuple(_double(x.new_ones((3, *x.shape[1:]))) for x in example_inputs)
    dynamic = tuple({0: torch.export.Dim.DYNAMIC} for _ in batch)
    decompositions = torch.export.default_decompositions()
    for kept in _KEPT_WHOLE:
        decompositions.pop(kept, None)
    try:
        with double_precision(), _quiet(), _uncollected():
            program = torch.export.export(module, batch, dynamic_shapes=dynamic)
            return program.run_decompositions(decompositions)
    except Exception as error:  # torch raises many kinds; all of them mean the same here
        with double_precision():
            run(module, [_double(x) for x in example_inputs])
        raise LoweringError(
            f"torch.export cannot trace {type(module).__name__} ({first_line(error)}): the forward "
            "pass must not branch on the values of tensors and must accept any batch size."
        ) from error


def run(module: nn.Module, inputs: Sequence[torch.Tensor]) -> Any:
    """What the module returns.

    Raises:
        LoweringError: It fails on these inputs in PyTorch itself.
    """
    try:
        return module(*inputs)
    except Exception as error:  # whatever a user's forward may raise
        raise LoweringError(
            f"{type(module).__name__} itself fails on example_input ({first_line(error)}); pass rows "
            "of the shapes and dtypes that its forward takes."
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch.export from printing what its error, or the comparison of engines, will say."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Put garbage collection off: tracing makes so many objects that it takes a tenth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _double(x: torch.Tensor) -> torch.Tensor:
    return x.double() if x.is_floating_point() else x


def _read_signature(
    module: nn.Module, program: torch.export.ExportedProgram
) -> tuple[dict[str, str], dict[str, np.ndarray], list[str]]:
    parameters: dict[str, str] = {}
    constants: dict[str, np.ndarray] = {}
    inputs: list[str] = []
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    every_name = dict(module.named_parameters(remove_duplicate=False))
    for spec in program.graph_signature.input_specs:
        node = spec.arg.name
        if spec.kind is InputKind.PARAMETER:
            parameters[node] = names[id(every_name[spec.target])]
        elif spec.kind is InputKind.USER_INPUT:
            inputs.append(node)
        else:
            tensors = program.state_dict | program.constants
            constants[node] = tensors[spec.target].detach().cpu().numpy()
    return parameters, constants, inputs


def _read(node: torch.fx.Node) -> _Operation:
    name = _operator_name(node.target)
    refuse_random(name, node, _origin(node))
    refuse_moving_shapes(node, _origin(node))
    if name not in OPERATORS:
        raise unknown_operator(name, _origin(node))
    kwargs = {k: _translate(v) for k, v in node.kwargs.items() if k not in LAYOUT_ARGUMENTS}
    return _Operation(node.name, OPERATORS[name], _translate(node.args), kwargs)


def _operator_name(target: Any) -> str:
    if isinstance(target, torch._ops.OpOverload):
        return str(target)
    return f"operator.{target.__name__}"


def _origin(node: torch.fx.Node) -> str:
    stack = node.meta.get("nn_module_stack") or {"": ("", "")}
    path, layer = list(stack.values())[-1]
    kind = layer if isinstance(layer, str) else layer.__name__
    return f"layer {path!r}, {kind.rsplit('.', 1)[-1]}" if path else "in the module's own forward"


def _translate(value: Any) -> Any:
    """Replace what is torch's own (nodes, dtypes) by names and NumPy dtypes."""
    if isinstance(value, torch.fx.Node):
        return _Ref(value.name)
    if isinstance(value, torch.dtype):
        return torch.empty((), dtype=value).numpy().dtype
    if isinstance(value, list | tuple):
        # torch.fx has list and tuple types of its own
        return (
            [_translate(v) for v in value]
            if isinstance(value, list)
            else tuple(_translate(v) for v in value)
        )
    return value


def _resolve(value: Any, values: Mapping[str, Any], real: np.dtype) -> Any:
    if isinstance(value, _Ref):
        return values[value.name]
    if isinstance(value, np.dtype):
        return _as_jax(value, real)
    if isinstance(value, float):
        return _as_literal(value, real)
    if isinstance(value, list | tuple):
        return type(value)(_resolve(v, values, real) for v in value)
    if isinstance(value, Mapping):
        return {k: _resolve(v, values, real) for k, v in value.items()}
    return value


def _floating_type(params: Mapping[str, jax.Array]) -> np.dtype:
    types = [jnp.result_type(value) for value in params.values()]
    floating = [t for t in types if jnp.issubdtype(t, jnp.floating)]
    return np.dtype(jnp.result_type(*floating) if floating else jnp.result_type(float))


def _as_jax(dtype: np.dtype, real: np.dtype) -> np.dtype:
    """The type that JAX computes in where the graph names this one."""
    return real if dtype == np.float64 else jax.dtypes.canonicalize_dtype(dtype)


def _as_literal(value: float, real: np.dtype) -> float:
    """``torch.finfo(x.dtype)`` in a forward pass was written down for doubles."""
    double, short = jnp.finfo(np.float64), jnp.finfo(real)
    for name in ("max", "eps", "tiny"):
        if abs(value) == getattr(double, name):
            return math.copysign(getattr(short, name), value)
    return value


def _in_type(result: Any, real: np.dtype) -> Any:
    """Doubles that arise beside shorter parameters, from integers for instance, are shortened."""
    if isinstance(result, list | tuple):
        return type(result)(_in_type(r, real) for r in result)
    if isinstance(result, jax.Array) and result.dtype == jnp.float64 != real:
        return result.astype(real)
    return result
