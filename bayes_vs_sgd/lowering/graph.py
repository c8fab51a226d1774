"""Export a torch module and read the graph as a list of operations that JAX can run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import torch
from torch import nn
from torch.export.graph_signature import InputKind

from .operators import LAYOUT_ARGUMENTS, OPERATORS, Operator
from .refusals import LoweringError, refuse_moving_buffers, refuse_moving_modules


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


@dataclass(frozen=True)
class Lowered:
    """A torch module as a pure JAX function of its parameters and inputs.

    Attributes:
        operations: The graph in order of execution.
        parameters: Graph input → parameter name, as in ``module.named_parameters()``; tied
            parameters share one name.
        constants: Graph input → value of a buffer or of a tensor made inside ``forward``.
        inputs: Graph inputs that the caller passes, in order.
        outputs: What the graph returns: one reference, or a tuple of them.
    """

    operations: Sequence[_Operation]
    parameters: Mapping[str, str]
    constants: Mapping[str, np.ndarray]
    inputs: Sequence[str]
    outputs: Any

    def __call__(self, params: Mapping[str, jax.Array], *inputs: jax.Array) -> Any:
        """Run the graph, in the floating-point type that the parameters and inputs have."""
        values: dict[str, Any] = dict(self.constants)
        values |= {node: params[name] for node, name in self.parameters.items()}
        values |= dict(zip(self.inputs, inputs, strict=True))
        for operation in self.operations:
            args, kwargs = _resolve((operation.args, operation.kwargs), values)
            values[operation.name] = operation.function(*args, **kwargs)
        return _resolve(self.outputs, values)


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
    program = _export(module, example_inputs)
    refuse_moving_buffers(program)
    parameters, constants, inputs = _read_signature(module, program)
    operations = [_read(node) for node in program.graph.nodes if node.op == "call_function"]
    (outputs,) = next(node for node in program.graph.nodes if node.op == "output").args
    references = _translate(outputs)
    return Lowered(
        operations,
        parameters,
        constants,
        inputs,
        references[0] if len(references) == 1 else references,
    )


def _export(
    module: nn.Module, example_inputs: tuple[torch.Tensor, ...]
) -> torch.export.ExportedProgram:
    # torch.export takes a batch of 0 or 1 for a constant, and reads sizes alone.
    batch = tuple(x.new_ones((3, *x.shape[1:])) for x in example_inputs)
    dynamic = tuple({0: torch.export.Dim.DYNAMIC} for _ in batch)
    try:
        return torch.export.export(module, batch, dynamic_shapes=dynamic).run_decompositions()
    except Exception as error:  # torch raises many kinds; all of them mean the same here
        first_line = str(error).strip().split("\n")[0]
        raise LoweringError(
            f"torch.export cannot trace {type(module).__name__}: {first_line} "
            "The forward pass must not branch on the values of tensors and must accept any batch size."
        ) from error


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
    if name not in OPERATORS:
        raise LoweringError(
            f"the operator {name} ({_origin(node)}) is not in the table; add its JAX form to "
            "bayes_vs_sgd.lowering.OPERATORS, or write that layer with other operations."
        )
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


def _resolve(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, _Ref):
        return values[value.name]
    if isinstance(value, list | tuple):
        return type(value)(_resolve(v, values) for v in value)
    if isinstance(value, Mapping):
        return {k: _resolve(v, values) for k, v in value.items()}
    return value
