"""What has no fixed likelihood or cannot be exported is refused, with the reason and the mend."""

import torch
from torch import nn
from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols

_BATCH_NORM = nn.modules.batchnorm._BatchNorm
_DROPOUT = nn.modules.dropout._DropoutNd
_RANDOM = (
    "dropout", "bernoulli", "rand", "normal", "uniform", "poisson", "multinomial", "exponential",
)  # fmt: skip


class LoweringError(ValueError):
    """A module that has no JAX counterpart here; the message says why and what to do."""


def refuse_moving_modules(module: nn.Module) -> None:
    """Refuse layers whose output depends on more than input and parameters.

    Raises:
        LoweringError: BatchNorm in training mode (the likelihood of one row depends on its batch),
            or active dropout (the likelihood is random).
    """
    for name, layer in module.named_modules():
        if isinstance(layer, _BATCH_NORM) and (layer.training or not layer.track_running_stats):
            raise LoweringError(
                f"{name or 'the module'} is {type(layer).__name__} in training mode: with it the "
                "likelihood of one row depends on the batch it comes in, so there is no posterior; "
                "use group, layer or filter response norm instead."
            )
        if isinstance(layer, _DROPOUT) and layer.training and layer.p > 0:
            raise LoweringError(
                f"{name or 'the module'} is active dropout (p={layer.p}): the likelihood would be "
                "random; set p=0, or call module.eval() before making the Network and train it with "
                "sgd.train(..., dropout=True)."
            )


def refuse_moving_buffers(program: torch.export.ExportedProgram) -> None:
    """Refuse a module whose forward pass writes to its own buffers.

    Raises:
        LoweringError: A buffer changes in the forward pass.
    """
    moving = sorted(program.graph_signature.buffers_to_mutate.values())
    if moving:
        raise LoweringError(
            f"the forward pass changes the buffer {moving[0]!r}: the likelihood would depend on the "
            "order of evaluations; make the module a pure function of parameters and input."
        )


def refuse_random(operator: str, node: torch.fx.Node, origin: str) -> None:
    """Refuse an operator that draws random numbers.

    Raises:
        LoweringError: The likelihood would be random.
    """
    if operator == "aten.scaled_dot_product_attention.default":
        dropout = node.kwargs.get("dropout_p", node.args[4] if len(node.args) > 4 else 0)
        if dropout:
            raise LoweringError(
                f"attention ({origin}) has active dropout (p={dropout}): the likelihood would be "
                "random; set it to 0, or call module.eval() before making the Network."
            )
    kind, _, name = operator.partition(".")
    if kind == "aten" and name.removeprefix("native_").startswith(_RANDOM):
        raise LoweringError(
            f"the operator {operator} ({origin}) draws random numbers, so the likelihood would be "
            "random; switch dropout off with p=0 or module.eval(), or pass the noise as an input."
        )


def refuse_moving_shapes(node: torch.fx.Node, origin: str) -> None:
    """Refuse a tensor whose shape depends on values.

    Raises:
        LoweringError: JAX compiles for fixed shapes, and rows could not be told apart.
    """
    value = node.meta.get("val")
    if isinstance(value, torch.Tensor) and free_unbacked_symbols(value):
        raise LoweringError(
            f"{node.target} ({origin}) makes a tensor whose size depends on the data, by a mask as an "
            "index for instance; write it with torch.where."
        )


def first_line(error: Exception) -> str:
    """What an error of PyTorch says, without its explanations."""
    return str(error).strip().split("\n")[0].rstrip(".")


def unknown_operator(operator: str, origin: str) -> LoweringError:
    """The error for an operator that the table does not have."""
    return LoweringError(
        f"the operator {operator} ({origin}) is not in the table; add its JAX form with "
        f'Network.add_operator("{operator}", function), where function takes the arguments of the '
        "PyTorch operator, or write that layer with other operations."
    )
