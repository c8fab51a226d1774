"""A recorded function as Python source that computes the same without asking for memory.

Small networks are bound by what surrounds the arithmetic. Here intermediate results go to buffers that
are made once and used again as soon as nobody reads them: on a busy machine fresh memory costs more
than the arithmetic that fills it. Views of the parameters, which stay the same tensors, are taken
once for many calls, and constants are computed once for all.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch.fx import GraphModule, Node

from .trace import TensorFunction, is_view, roots_of

_aten = torch.ops.aten


def _relu(x: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
    # relu.out computes in memory of its own and copies.
    return torch.clamp_min(x, 0, out=out)


# Operators whose results go to buffers, with the function that writes there and the name of its
# argument. Functions of the torch namespace are called at half the cost of torch.ops.
_INTO: dict[Any, tuple[Callable[..., Any], str]] = {
    _aten.bmm.default: (torch.bmm, "out"),
    _aten.baddbmm.default: (torch.baddbmm, "out"),
    _aten.mm.default: (torch.mm, "out"),
    _aten.addmm.default: (torch.addmm, "out"),
    _aten.index_select.default: (torch.index_select, "out"),
    _aten.add.Tensor: (torch.add, "out"),
    _aten.sub.Tensor: (torch.sub, "out"),
    _aten.mul.Tensor: (torch.mul, "out"),
    _aten.div.Tensor: (torch.div, "out"),
    _aten.neg.default: (torch.neg, "out"),
    _aten.exp.default: (torch.exp, "out"),
    _aten.tanh.default: (torch.tanh, "out"),
    _aten.sigmoid.default: (torch.sigmoid, "out"),
    _aten.sum.dim_IntList: (torch.sum, "out"),
    _aten.relu.default: (_relu, "out"),
    _aten.softplus.default: (_aten.softplus.out, "out"),
    _aten.gelu.default: (_aten.gelu.out, "out"),
    _aten.silu.default: (_aten.silu.out, "out"),
    _aten._log_softmax.default: (_aten._log_softmax.out, "out"),
    _aten._softmax.default: (_aten._softmax.out, "out"),
    _aten._log_softmax_backward_data.default: (_aten._log_softmax_backward_data.out, "out"),
    _aten.threshold_backward.default: (_aten.threshold_backward.grad_input, "grad_input"),
    _aten.tanh_backward.default: (_aten.tanh_backward.grad_input, "grad_input"),
    _aten.sigmoid_backward.default: (_aten.sigmoid_backward.grad_input, "grad_input"),
    _aten.softplus_backward.default: (_aten.softplus_backward.grad_input, "grad_input"),
    _aten.gelu_backward.default: (_aten.gelu_backward.grad_input, "grad_input"),
    _aten.silu_backward.default: (_aten.silu_backward.grad_input, "grad_input"),
}
_DIRECT: dict[Any, Callable[..., Any]] = {
    _aten.view.default: torch.Tensor.view,
    _aten.transpose.int: torch.transpose,
    _aten.select.int: torch.select,
    _aten.unsqueeze.default: torch.unsqueeze,
    _aten.baddbmm.out: torch.baddbmm,
    _aten.addcmul.out: torch.addcmul,
    _aten.add_.Tensor: torch.Tensor.add_,
}
# Of those, the ones whose entries depend on other entries: their result may not lie where an argument
# lies. That of all others may.
_NOT_ENTRY_BY_ENTRY = {
    _aten.bmm.default,
    _aten.baddbmm.default,
    _aten.mm.default,
    _aten.addmm.default,
    _aten.index_select.default,
    _aten.sum.dim_IntList,
    _aten._log_softmax.default,
    _aten._softmax.default,
    _aten._log_softmax_backward_data.default,
}
# Their results depend on the shape of their argument alone.
_OF_SHAPES = (_aten.ones_like.default, _aten.zeros_like.default, _aten.scalar_tensor.default)
_OF_CONSTANTS = (
    _aten.view.default,
    _aten.expand.default,
    _aten.div.Scalar,
    _aten.mul.Scalar,
    _aten.neg.default,
)


class Program:
    """A recorded function of inputs and parameters, the parameters being its last arguments.

    Its results lie in buffers of this object, which the next call writes again.

    Args:
        recorded: The function.
        n_inputs: Arguments that come before the parameters.
    """

    def __init__(self, recorded: GraphModule, n_inputs: int) -> None:
        nodes = list(recorded.graph.nodes)
        arguments = [n for n in nodes if n.op == "placeholder"]
        self._roots = roots_of(nodes)
        self._names: dict[str, Any] = {}
        constants = self._constants(nodes)
        bound = _views_of(nodes, arguments[n_inputs:])
        needed = _needed(nodes, constants)
        rest = [
            n
            for n in nodes
            if n.op == "call_function" and n in needed and n not in constants | bound
        ]
        views = [n for n in nodes if n in bound]
        into = self._buffers(rest, recorded.graph.output_node())
        results = ", ".join(self._text(r) for r in recorded.graph.output_node().args[0])  # type: ignore[union-attr]
        source = [
            f"def bind({_names(arguments[n_inputs:])}):",
            *(f"    {n.name} = {self._called(n)}" for n in views),
            f"    def run({_names(arguments[:n_inputs])}):",
            *(f"        {n.name} = {self._called(n, into.get(n))}" for n in rest),
            f"        return ({results},)",
            "    return run",
        ]
        exec("\n".join(source), self._names)

    def bind(self, params: Sequence[torch.Tensor]) -> TensorFunction:
        """The function of the inputs alone, for parameters that change in place only."""
        run = self._names["bind"](*params)

        def without_book_keeping(*inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
            # It spares even the book-keeping of views that no_grad still does.
            with torch.inference_mode():
                return run(*inputs)

        return without_book_keeping

    def _constants(self, nodes: Sequence[Node]) -> set[Node]:
        """Nodes that are computed here, once for all."""
        changed = {self._roots[n] for n in nodes if _changes_its_argument(n)}
        found: dict[Node, torch.Tensor] = {}
        for node in nodes:
            of_constants = node.target in _OF_CONSTANTS and all(
                a in found for a in node.all_input_nodes
            )
            if self._roots[node] in changed or not (node.target in _OF_SHAPES or of_constants):
                continue
            arguments: list[Any] = [
                found.get(a, _like(a)) if isinstance(a, Node) else a for a in node.args
            ]
            found[node] = node.target(*arguments, **node.kwargs)  # type: ignore[operator]
            self._names[node.name] = found[node]
        return set(found)

    def _buffers(self, nodes: Sequence[Node], output: Node) -> dict[Node, str]:
        """A buffer for every result that can have one, shared by those that live apart in time."""
        last = {self._roots[a]: i for i, n in enumerate(nodes) for a in n.all_input_nodes}
        kept = {self._roots[a] for a in output.all_input_nodes}
        free: dict[tuple[Any, ...], list[torch.Tensor]] = {}
        owned: dict[Node, torch.Tensor] = {}
        into = {}

        def give_back(roots: set[Node]) -> None:
            for root in roots:
                flat = owned[root]
                free.setdefault((flat.dtype, flat.device, flat.numel()), []).append(flat)

        for i, node in enumerate(nodes):
            roots = {self._roots[a] for a in node.all_input_nodes}
            ends = {r for r in roots if last[r] == i and r in owned and r not in kept}
            value: Any = node.meta.get("val")
            if (node.target in _INTO or _copies(node)) and value.is_contiguous():
                in_place = _in_place(node, ends, self._roots)
                give_back(in_place)
                ends -= in_place
                kind = (value.dtype, value.device, value.numel())
                spare = free.get(kind)
                owned[node] = spare.pop() if spare and node not in kept else _empty(*kind)
                into[node] = f"buffer_{node.name}"
                self._names[into[node]] = owned[node].view(value.shape)
            give_back(ends)
        return into

    def _called(self, node: Node, buffer: str | None = None) -> str:
        """The call of an operator as source."""
        function: Any = node.target
        out = ""
        if buffer is not None and _copies(node):
            return f"{buffer}.copy_({self._text(node.args[0])})"
        if buffer is not None:
            function, argument = _INTO[node.target]
            out = f", {argument}={buffer}"
        name = f"call_{node.name}"
        self._names[name] = _DIRECT.get(function, function)
        arguments = [self._text(a) for a in node.args]
        arguments += [f"{k}={self._text(v)}" for k, v in node.kwargs.items()]
        return f"{name}({', '.join(arguments)}{out})"

    def _text(self, value: Any) -> str:
        if isinstance(value, Node):
            return value.name if value.op != "get_attr" else self._text(_attribute(value))
        if isinstance(value, list | tuple):
            return "[" + ", ".join(self._text(v) for v in value) + "]"
        if value is None or isinstance(value, bool | int):
            return repr(value)
        name = f"value_{len(self._names)}"
        self._names[name] = value
        return name


class Executable(Protocol):
    """A function of inputs and parameters that is called again and again with the same parameters."""

    def bind(self, params: Sequence[torch.Tensor]) -> TensorFunction:
        """The function of the inputs alone."""
        ...


class Eager:
    """A function as it is, without recording: for networks that are large by themselves.

    Args:
        function: Of inputs and then parameters.
        with_gradient: Whether autograd works inside.
    """

    def __init__(self, function: TensorFunction, *, with_gradient: bool) -> None:
        self._function, self._with_gradient = function, with_gradient

    def bind(self, params: Sequence[torch.Tensor]) -> TensorFunction:
        """The function of the inputs alone."""

        def call(*inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
            with torch.inference_mode(not self._with_gradient):
                return self._function(*inputs, *params)

        return call


class Compiled:
    """The same by ``torch.compile``, which fuses operations and plans memory itself.

    Args:
        recorded: The function.
        n_inputs: Arguments that come before the parameters.
    """

    def __init__(self, recorded: GraphModule, n_inputs: int) -> None:
        self._function = torch.compile(recorded)

    def bind(self, params: Sequence[torch.Tensor]) -> TensorFunction:
        """The function of the inputs alone."""

        def without_gradient(*inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
            with torch.no_grad():
                return self._function(*inputs, *params)

        return without_gradient


def by_autograd(loss: Callable[..., torch.Tensor]) -> TensorFunction:
    """The gradient in the first argument, a tuple of tensors, as a plain training loop takes it.

    ``torch.func.grad`` takes some operations apart, such as group norm, to be differentiable again.
    """

    def gradient(params: tuple[torch.Tensor, ...], *rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        leaves = tuple(p.detach().requires_grad_() for p in params)
        with torch.enable_grad():
            value = loss(leaves, *rows)
        return torch.autograd.grad(value, leaves, allow_unused=True, materialize_grads=True)

    return gradient


def _views_of(nodes: Sequence[Node], sources: Sequence[Node]) -> set[Node]:
    """Views of the sources, and views of those."""
    found: set[Node] = set()
    for node in nodes:
        is_of_sources = all(a in found or a in sources for a in node.all_input_nodes)
        if is_view(node) and not _changes_its_argument(node) and is_of_sources:
            found.add(node)
    return found


def _needed(nodes: Sequence[Node], constants: set[Node]) -> set[Node]:
    """What the results depend on, when the constants are known."""
    found = set(nodes[-1].all_input_nodes)
    for node in reversed(nodes):
        if _changes_its_argument(node):
            found.add(node)
        if node in found and node not in constants:
            found.update(node.all_input_nodes)
    return found


def _copies(node: Node) -> bool:
    """Whether the node copies its argument, as it is or to another type."""
    settings = {k: v for k, v in node.kwargs.items() if v is not None}
    return node.target is _aten.clone.default or (
        node.target is _aten._to_copy.default and set(settings) == {"dtype"}
    )


def _in_place(node: Node, ends: set[Node], roots: dict[Node, Node]) -> set[Node]:
    """An argument that is needed no more and in whose place the result can be computed, if any.

    Args:
        node: What is computed.
        ends: Memory that is read for the last time here.
        roots: By node.
    """
    if node.target in _NOT_ENTRY_BY_ENTRY or _copies(node):
        return set()
    shape = node.meta["val"].shape
    inputs = node.all_input_nodes
    for one in inputs:
        is_read_once = sum(roots[a] is one for a in inputs) == 1
        if one in ends and is_read_once and one.meta["val"].shape == shape:
            return {one}
    return set()


def _changes_its_argument(node: Node) -> bool:
    schema: Any = getattr(node.target, "_schema", None)
    return schema is not None and schema.is_mutable


def _attribute(node: Node) -> Any:
    return getattr(node.graph.owning_module, str(node.target))


def _like(node: Node) -> torch.Tensor:
    value = node.meta["val"]
    return torch.empty(value.shape, dtype=value.dtype, device=value.device)


def _empty(dtype: torch.dtype, device: torch.device, numel: int) -> torch.Tensor:
    return torch.empty(numel, dtype=dtype, device=device)


def _names(nodes: Sequence[Node]) -> str:
    return ", ".join(n.name for n in nodes)
