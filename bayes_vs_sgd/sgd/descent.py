"""Plain gradient descent in place of a recorded gradient: products are added to the parameters at once.

A small network's step is bound by memory. Where θ ← θ − lr·g is all that the optimiser does, the last
operation of every gradient adds its result to θ, and the gradient itself is never written.
"""

from typing import Any

import torch
from torch.fx import GraphModule, Node

from .trace import roots_of

_aten = torch.ops.aten


def descends(rule: torch.optim.Optimizer) -> bool:
    """Whether a step of an optimiser is θ ← θ − lr·g and nothing else."""
    return type(rule) is torch.optim.SGD and not any(
        group[name]
        for group in rule.param_groups
        for name in ("momentum", "weight_decay", "nesterov", "maximize")
    )


def descend(recorded: GraphModule, n_inputs: int) -> GraphModule:
    """A recorded gradient as θ_k ← θ_k + rate_k·g_k, in place and after everything that reads θ.

    Args:
        recorded: Of inputs and then parameters, one result a parameter, in their order. It is changed.
        n_inputs: Arguments that come before the parameters.

    Returns:
        A function of the inputs, of one number rate_k a parameter, and of the parameters, which it
        returns.
    """
    graph = recorded.graph
    arguments = [n for n in graph.nodes if n.op == "placeholder"]
    params, output = arguments[n_inputs:], graph.output_node()
    found: Any = output.args[0]
    roots = roots_of(graph.nodes)
    of_params = {n for n in graph.nodes if roots[n] in params}
    with graph.inserting_before(params[0]):
        rates = [graph.placeholder(f"rate_{k}") for k in range(len(params))]
    with graph.inserting_before(output):
        gradients = [_apart(gradient) if gradient in of_params else gradient for gradient in found]
        output.args = (tuple(gradients),)
        moved = [
            _moved(*of_one, of_params) for of_one in zip(params, gradients, rates, strict=True)
        ]
    output.args = (tuple(moved),)
    graph.eliminate_dead_code()
    recorded.recompile()
    return recorded


def _apart(gradient: Node) -> Node:
    """The gradient in memory of its own: it lies in a parameter's, which is about to move."""
    node = gradient.graph.call_function(_aten.clone.default, (gradient,))
    node.meta = gradient.meta
    return node


def _moved(parameter: Node, gradient: Node, rate: Node, of_params: set[Node]) -> Node:
    """The parameter with its gradient added, which is computed only here where that is one operation."""
    call = parameter.graph.call_function

    def may_wait(node: Node) -> bool:
        # Another parameter may have moved by then.
        reads_none = all(isinstance(a, Node) and a not in of_params for a in node.args)
        same_type = node.meta["val"].dtype == parameter.meta["val"].dtype
        return len(node.users) == 1 and same_type and reads_none

    # Adding reads memory in any order; only optimisers need the parameter's own.
    is_copy = gradient.target is _aten.clone.default and may_wait(gradient)
    found: Any = gradient.args[0] if is_copy else gradient
    place = parameter
    turned = parameter.meta["val"].mT if _turns(found) else None
    if turned is not None and turned.is_contiguous() and len(found.users) == 1:
        found, place = found.args[0], call(_aten.transpose.int, (parameter, 1, 2))
    scale: dict[str, Any]
    if found.target is _aten.bmm.default and may_wait(found):
        scale = {"alpha": rate, "out": place}
        call(_aten.baddbmm.out, (place, *found.args), scale)
    elif found.target is _aten.mul.Tensor and may_wait(found):
        scale = {"value": rate, "out": place}
        call(_aten.addcmul.out, (place, *found.args), scale)
    else:
        call(_aten.add_.Tensor, (place, found), {"alpha": rate})
    return parameter


def _turns(node: Node) -> bool:
    """Whether the last two of three axes are exchanged."""
    axes: Any = node.args[1:]
    return node.target is _aten.transpose.int and {axis % 3 for axis in axes} == {1, 2}
