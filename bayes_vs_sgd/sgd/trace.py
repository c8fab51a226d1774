"""A function of tensors as a straight list of tensor operations."""

import operator
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch._guards import TracingContext, tracing
from torch._subclasses import FakeTensorMode
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.attention import SDPBackend, sdpa_kernel

TensorFunction = Callable[..., tuple[torch.Tensor, ...]]

_aten = torch.ops.aten
# A product with fewer columns than this on a CPU is several times faster with rows and columns
# exchanged.
_NARROW = 16
_RESHAPES = (_aten.expand.default, _aten.view.default, _aten._unsafe_view.default)


def trace(function: TensorFunction, *arguments: torch.Tensor) -> GraphModule:
    """Record what ``function`` does, leave out what does nothing, and merge what is one operation.

    ``torch.func`` costs every call more than the arithmetic of a small network, and leaves behind
    operations without effect: reshapes to the same shape, products with 1, transposes undone. A
    matrix product and the bias added to it become one operation, an outer product becomes a
    multiplication, and a product with few columns is computed the other way round.

    Args:
        function: Works on tensors alone, without control flow that depends on their values, and
            changes none of them in place.
        arguments: Examples; the result holds for their shapes and dtypes only.

    Returns:
        The same function, without its overhead; call its ``forward``, for ``__call__`` looks for
        hooks every time.
    """
    # PyTorch has no batching rule for the fused attention, and would run network after network.
    # Without a mode for all make_fx makes one for the shape of every result, a third of its time.
    shapes = TracingContext(FakeTensorMode(allow_fallback_kernels=True))
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), tracing(shapes):
        recorded = make_fx(function)(*arguments)
    recorded.graph.eliminate_dead_code()
    for node in recorded.graph.nodes:
        same = _same_as(node)
        if same is not None:
            node.replace_all_uses_with(same)
    recorded.graph.eliminate_dead_code()
    for node in list(recorded.graph.nodes):
        _merge_bias(recorded, node)
        _multiply_outer(recorded, node)
        _turn_column(recorded, node)
        _turn_narrow(recorded, node)
    recorded.graph.eliminate_dead_code()
    recorded.recompile()
    return recorded


def is_view(node: Node) -> bool:
    """Whether the result of a node lies in the memory of its first argument."""
    return lies_in_its_argument(node.target)


def is_narrow(stacked: torch.Tensor) -> bool:
    """Whether stacked matrices have fewer columns than rows, and few."""
    return stacked.ndim == 3 and 1 < stacked.shape[2] < min(_NARROW, stacked.shape[1])


def lies_in_its_argument(function: Any) -> bool:
    """Whether what an operator returns lies in the memory of its first argument."""
    # Neither says so in a schema.
    if function in (operator.getitem, _aten._unsafe_view.default):
        return True
    schema: Any = getattr(function, "_schema", None)
    return schema is not None and any(r.alias_info is not None for r in schema.returns)


def roots_of(nodes: Iterable[Node]) -> dict[Node, Node]:
    """The node whose memory each node's result lies in: itself, or what it is a view of."""
    roots: dict[Node, Node] = {}
    for node in nodes:
        source = next(iter(node.all_input_nodes), None)
        roots[node] = roots[source] if source is not None and is_view(node) else node
    return roots


def _same_as(node: Node) -> Node | None:
    """The node whose value this one repeats, if there is one."""
    source: Any = node.args[0] if node.args else None
    if node.op != "call_function" or not isinstance(source, Node):
        return None
    if node.target in _RESHAPES and node.meta["val"].shape == source.meta["val"].shape:
        return source
    if node.target is _aten.mul.Scalar and node.args[1] == 1:
        return source
    twice = node.target is _aten.transpose.int and source.target is node.target
    return source.all_input_nodes[0] if twice and source.args[1:] == node.args[1:] else None


def _merge_bias(recorded: GraphModule, node: Node) -> None:
    """Replace bias + product by one operation, where the product is used for nothing else."""
    if node.target is not _aten.add.Tensor or node.kwargs or len(node.args) != 2:
        return
    for product, bias in (node.args, node.args[::-1]):
        if not (isinstance(product, Node) and isinstance(bias, Node)):
            return
        # In mixed precision the sum is of another dtype than the product.
        is_mixed = product.meta["val"].dtype != bias.meta["val"].dtype
        if product.target is _aten.bmm.default and len(product.users) == 1 and not is_mixed:
            with recorded.graph.inserting_before(node):
                merged = recorded.graph.call_function(_aten.baddbmm.default, (bias, *product.args))
            merged.meta = node.meta
            node.replace_all_uses_with(merged)
            return


def _multiply_outer(recorded: GraphModule, node: Node) -> None:
    """Replace the product of a column and a row, the gradient of a batch of one, by a multiplication."""
    if node.target is not _aten.bmm.default or len(node.all_input_nodes) != 2:
        return
    left, right = node.all_input_nodes
    if left.meta["val"].shape[2] == 1:
        with recorded.graph.inserting_before(node):
            product = recorded.graph.call_function(_aten.mul.Tensor, (left, right))
        product.meta = node.meta
        node.replace_all_uses_with(product)


def _turn_column(recorded: GraphModule, node: Node) -> None:
    """Replace A·b by the row bᵀ·Aᵀ, whose entries lie in memory as those of the column do."""
    if node.target not in (_aten.bmm.default, _aten.baddbmm.default):
        return
    *bias, left, right = node.args
    value = node.meta["val"]
    is_column = value.shape[2] == 1 and value.shape[1] > 1 and left.meta["val"].shape[2] > 1  # type: ignore[union-attr]
    shares_bias = all(b.meta["val"].shape[1:] == (1, 1) for b in bias)  # type: ignore[union-attr]
    if not is_column or not shares_bias or value.device.type != "cpu" or node.kwargs:
        return
    call: Any = recorded.graph.call_function
    with recorded.graph.inserting_before(node):
        turned = [call(_aten.transpose.int, (factor, 1, 2)) for factor in (right, left)]
        row = call(node.target, (*bias, *turned))
        column = call(_aten.view.default, (row, list(value.shape)))
    for new, old in zip(turned, (right, left), strict=True):
        new.meta["val"] = old.meta["val"].transpose(1, 2)  # type: ignore[union-attr]
        same = _same_as(new)
        if same is not None:
            new.replace_all_uses_with(same)
    row.meta["val"] = value.new_empty((len(value), 1, value.shape[1]))
    column.meta["val"] = value
    node.replace_all_uses_with(column)


def _turn_narrow(recorded: GraphModule, node: Node) -> None:
    """Replace Aᵀ·B with few columns by (Bᵀ·A)ᵀ: the gradient of a weight with few inputs."""
    if node.target is not _aten.bmm.default:
        return
    left, right = node.all_input_nodes if len(node.all_input_nodes) == 2 else (node, node)
    turns = left.target is _aten.transpose.int and {d % 3 for d in left.args[1:]} == {1, 2}  # type: ignore[operator]
    is_outer = left.meta["val"].shape[2] == 1
    if not turns or is_outer or node.meta["val"].device.type != "cpu":
        return
    if not is_narrow(node.meta["val"]):
        return
    n_rows, n_columns = node.meta["val"].shape[1:]
    call = recorded.graph.call_function
    with recorded.graph.inserting_before(node):
        turned = call(_aten.transpose.int, (right, 1, 2))
        product = call(_aten.bmm.default, (turned, left.args[0]))
        back = call(_aten.transpose.int, (product, 1, 2))
        whole = call(_aten.clone.default, (back,), {"memory_format": torch.contiguous_format})
    turned.meta["val"] = right.meta["val"].transpose(1, 2)
    product.meta["val"] = node.meta["val"].new_empty((len(node.meta["val"]), n_columns, n_rows))
    back.meta["val"] = product.meta["val"].transpose(1, 2)
    whole.meta["val"] = node.meta["val"]
    node.replace_all_uses_with(whole)
