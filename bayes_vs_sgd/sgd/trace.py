"""A function of tensors as a straight list of tensor operations."""

from collections.abc import Callable
from typing import Any

import torch
from torch.fx import Node
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.attention import SDPBackend, sdpa_kernel

TensorFunction = Callable[..., tuple[torch.Tensor, ...]]

_RESHAPES = (
    torch.ops.aten.expand.default,
    torch.ops.aten.view.default,
    torch.ops.aten._unsafe_view.default,
)


def trace(function: TensorFunction, *arguments: torch.Tensor) -> TensorFunction:
    """Record what ``function`` does and leave out what does nothing.

    ``torch.func`` costs every call more than the arithmetic of a small network, and leaves behind
    operations without effect: reshapes to the same shape, products with 1, transposes undone.

    Args:
        function: Works on tensors alone, without control flow that depends on their values, and
            changes none of them in place.
        arguments: Examples; the result holds for their shapes and dtypes only.

    Returns:
        The same function, without its overhead.
    """
    # PyTorch has no batching rule for the fused attention, and would run network after network.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        recorded = make_fx(function)(*arguments)
    recorded.graph.eliminate_dead_code()
    for node in recorded.graph.nodes:
        same = _same_as(node)
        if same is not None:
            node.replace_all_uses_with(same)
    recorded.graph.eliminate_dead_code()
    recorded.recompile()
    # Without __call__, which looks for hooks every time.
    return recorded.forward


def _same_as(node: Node) -> Node | None:
    """The node whose value this one repeats, if there is one."""
    source: Any = node.args[0] if node.args else None
    if node.op != "call_function" or not isinstance(source, Node):
        return None
    if node.target in _RESHAPES and node.meta["val"].shape == source.meta["val"].shape:
        return source
    if node.target is torch.ops.aten.mul.Scalar and node.args[1] == 1:
        return source
    twice = node.target is torch.ops.aten.transpose.int and source.target is node.target
    return source.all_input_nodes[0] if twice and source.args[1:] == node.args[1:] else None
