"""A function along a straight line, with all that is affine in the radius computed once.

The outputs of a first layer are affine in its parameters, and so along any line of them: its products,
most of the work of many networks, are made for the place and for the direction, and at each radius their
sum is left.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var
from jaxtyping import Array, Float

# Linear in their only array, in either of two, and sums.
_LINEAR = frozenset(
    ["broadcast_in_dim", "neg", "reduce_sum", "reshape", "rev", "slice", "squeeze", "transpose"]
)
_BILINEAR = frozenset(["conv_general_dilated", "dot_general", "mul"])
_SUMS = {"add": 1, "add_any": 1, "sub": -1}
# What is a program of its own, and the name that it has among the parameters.
_CALLS = {
    "closed_call": "call_jaxpr", "custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr",
    "jit": "jaxpr", "pjit": "jaxpr",
}  # fmt: skip


class _Affine(NamedTuple):
    """at + radius·slope.

    Attributes:
        at: Its value where the radius is 0.
        slope: What a unit of the radius adds.
        turned: The transpose that made it, and the affine array that was turned: at a radius the sum
            is made of that one, since the next product often turns it back.
    """

    at: Any
    slope: Any
    turned: "tuple[JaxprEqn, _Affine] | None" = None


class _Late(NamedTuple):
    """Output ``output`` of step ``step``, which needs the radius."""

    step: int
    output: int


class _Step(NamedTuple):
    """One operation that is left to be done at every radius."""

    operation: JaxprEqn
    arguments: list[Any]


def along(
    function: Callable[[Float[Array, " d"]], Array],
    place: Float[Array, " d"],
    direction: Float[Array, " d"],
) -> Callable[[Float[Array, ""]], Array]:
    """The function r ↦ function(place + r·direction), equal but for rounding, and cheaper at many r.

    Sums, products with what does not change, and changes of shape of what is affine in r are affine:
    they are computed once for the place and once for the direction, here; the rest at each r.

    Args:
        function: Pure JAX, with one array for its value.
        place: Where r = 0.
        direction: Of the line.
    """
    program = jax.make_jaxpr(function)(place)
    split = _Split([])
    (value,) = split.read(program.jaxpr, program.consts, [_Affine(place, direction)])
    return lambda radius: split.run(value, radius)


@dataclass(frozen=True)
class _Split:
    """A program of which all is done that does not need the radius.

    Attributes:
        steps: What is left.
    """

    steps: list[_Step]

    def read(self, program: Jaxpr, constants: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
        """Do what can be done of a program, and return its values: arrays, affine or late ones."""
        found: dict[Var, Any] = dict(zip(program.constvars, constants, strict=True))
        found |= dict(zip(program.invars, arguments, strict=True))

        def value(atom: Any) -> Any:
            return atom.val if isinstance(atom, Literal) else found[atom]

        for operation in program.eqns:
            values = self._do(operation, [value(atom) for atom in operation.invars])
            found |= dict(zip(operation.outvars, values, strict=True))
        return [value(atom) for atom in program.outvars]

    def _do(self, operation: JaxprEqn, arguments: list[Any]) -> list[Any]:
        inner = operation.params.get(_CALLS.get(operation.primitive.name, ""))
        if inner is not None:
            return self.read(inner.jaxpr, inner.consts, arguments)
        if not any(isinstance(a, _Affine | _Late) for a in arguments):
            return _values(operation, arguments)
        if not any(isinstance(a, _Late) for a in arguments):
            affine = _affine(operation, arguments)
            if affine is not None:
                return [affine]
        self.steps.append(_Step(operation, arguments))
        return [_Late(len(self.steps) - 1, i) for i in range(len(operation.outvars))]

    def run(self, value: Any, radius: Float[Array, ""]) -> Array:
        """A value at one radius."""
        done: list[list[Any]] = []
        sums: dict[int, Any] = {}

        def at(argument: Any) -> Any:
            if isinstance(argument, _Late):
                return done[argument.step][argument.output]
            if not isinstance(argument, _Affine):
                return argument
            if id(argument) not in sums:
                sums[id(argument)] = total(argument)
            return sums[id(argument)]

        def total(affine: _Affine) -> Any:
            if affine.turned is None:
                return affine.at + radius.astype(affine.at.dtype) * affine.slope
            operation, before = affine.turned
            return _values(operation, [at(before)])[0]

        for operation, arguments in self.steps:
            done.append(_values(operation, [at(a) for a in arguments]))
        return at(value)


def _values(operation: JaxprEqn, arguments: Sequence[Any]) -> list[Any]:
    parameters = operation.primitive.get_bind_params(operation.params)
    found = operation.primitive.bind(*arguments, **parameters)
    return list(found) if operation.primitive.multiple_results else [found]


def _affine(operation: JaxprEqn, arguments: Sequence[Any]) -> _Affine | None:
    """The value of an operation of affine arguments and constants, where it is affine too."""
    name = operation.primitive.name
    moving = [i for i, a in enumerate(arguments) if isinstance(a, _Affine)]
    is_linear = (name in _LINEAR or name in _BILINEAR) and len(moving) == 1
    is_quotient = name == "div" and moving == [0]
    if not (is_linear or is_quotient or name in _SUMS):
        return None
    (at,) = _values(operation, [a.at if isinstance(a, _Affine) else a for a in arguments])
    if name not in _SUMS:
        slopes = [a.slope if isinstance(a, _Affine) else a for a in arguments]
        turned = (operation, arguments[0]) if name == "transpose" else None
        return _Affine(at, _values(operation, slopes)[0], turned)
    signs = (1, _SUMS[name])
    slope = sum(signs[i] * arguments[i].slope for i in moving)
    return _Affine(at, jnp.broadcast_to(slope, at.shape))
