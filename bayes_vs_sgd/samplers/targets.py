"""How a target reaches the devices: its data as an argument of the compiled run, not a constant.

So data can be laid over devices, are not copied into the program, and another data set of the same
shape needs no second compilation.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Float

from ..posterior import Posterior
from ..programs import found_again
from .devices import DATA_AXIS
from .kernel import as_target

# Data → target. Hashable where the functions in it are, so that programs can be found again.
Template = Callable[[Any], Any]


@dataclasses.dataclass(frozen=True)
class _WithoutData:
    kind: type
    settings: tuple[tuple[str, Any], ...]

    def __call__(self, data: Any) -> Any:
        return self.kind(**dict(self.settings), data=data)


@dataclasses.dataclass(frozen=True)
class _Whole:
    target: Any

    def __call__(self, data: Any) -> Any:
        return self.target


def split_data(target: Any, n_data_shards: int = 1) -> tuple[Template, Any]:
    """The target as a function of its data, and the data.

    Args:
        target: A ``Posterior``, anything with ``log_density``, or a function.
        n_data_shards: Devices that share the rows; the target made from one share sums over all.

    Raises:
        ValueError: Rows are to be shared that the target does not have, or that do not divide.
    """
    target = as_target(target)
    if not isinstance(target, Posterior):
        if n_data_shards > 1:
            raise ValueError(
                f"n_data_shards={n_data_shards} needs the rows of the data; pass a "
                "Posterior(log_prior=…, log_likelihood=…, data=…) in place of a log density."
            )
        return _Whole(target), ()
    if target.n_rows % n_data_shards:
        raise ValueError(
            f"n_data_shards={n_data_shards} does not divide the {target.n_rows} rows; pass a number "
            "that does, or leave some rows out."
        )
    kind: type = type(target) if n_data_shards == 1 else _Sharded
    settings = tuple(
        (f.name, getattr(target, f.name)) for f in dataclasses.fields(target) if f.name != "data"
    )
    return _WithoutData(kind, settings), target.data


class _Sharded(Posterior):
    """A posterior that holds one device's share of the rows."""

    def total_log_likelihood(self, params: Any) -> Float[Array, ""]:
        """Σ over the rows of all devices."""
        return _total(super().total_log_likelihood(_enter(params)))

    def log_density_estimate(self, params: Any, batch: Any) -> Float[Array, ""]:
        """Unbiased for the sum over all devices, each with a batch of its own rows."""
        scale = self.n_rows / len(jax.tree.leaves(batch)[0])
        log_likelihood = _total(self.log_likelihood(_enter(params), batch).sum())
        return self.log_prior(params) + scale * log_likelihood / self.temperature


# The pair that makes the gradient of a sum over devices right on every one of them: parameters enter
# unchanged and their gradients are summed; values are summed and their gradients pass unchanged.
@jax.custom_vjp
def _enter(params: Any) -> Any:
    return params


_enter.defvjp(lambda params: (params, None), lambda _, g: (jax.lax.psum(g, DATA_AXIS),))


@jax.custom_vjp
def _total(value: Array) -> Array:
    return jax.lax.psum(value, DATA_AXIS)


_total.defvjp(lambda value: (jax.lax.psum(value, DATA_AXIS), None), lambda _, g: (g,))


def check_target(template: Template, data: Any, initial: Any, *, with_gradient: bool) -> None:
    """Refuse a log density that is no scalar or cannot be differentiated, before anything compiles.

    Args:
        template: Makes something with ``log_density`` from the data.
        data: All rows.
        initial: Parameters with a leading chain axis.
        with_gradient: Whether the sampler differentiates.

    Raises:
        ValueError: With the mend.
    """
    one = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), initial)
    for path, leaf in jax.tree_util.tree_leaves_with_path(one):
        if with_gradient and not jax.numpy.issubdtype(leaf.dtype, jax.numpy.floating):
            raise ValueError(
                f"the starting points{jax.tree_util.keystr(path)} are {leaf.dtype}, which have no "
                "gradient; make them floating-point numbers."
            )
    # As the devices will hold it: NumPy's doubles become single there, unless JAX is told otherwise.
    data = jax.tree.map(jax.typeof, data)
    log_density, gradient = _traceable(template)
    try:
        shape = jax.eval_shape(log_density, one, data)
    except (
        jax.errors.TracerArrayConversionError,
        jax.errors.ConcretizationTypeError,
    ) as error:
        raise ValueError(
            "the log density turns parameters or data into NumPy arrays, Python numbers or branches, "
            "which can neither be compiled nor differentiated; write it with jax.numpy."
        ) from error
    if getattr(shape, "shape", None) != () or not jax.numpy.issubdtype(
        shape.dtype, jax.numpy.floating
    ):
        raise ValueError(
            f"the log density returns {shape}; it must return one floating-point number for one set "
            "of parameters."
        )
    if not with_gradient:
        return
    for path, leaf in jax.tree_util.tree_leaves_with_path(one):
        if leaf.dtype != shape.dtype:
            raise ValueError(
                f"the starting points{jax.tree_util.keystr(path)} are {leaf.dtype} and the log density "
                f"is {shape.dtype}; give parameters and data the same precision."
            )
    try:
        jax.eval_shape(gradient, one, data)
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"the log density cannot be differentiated ({reason}); replace that operation, for "
            "instance a while_loop by a scan, or pass a sampler that takes no gradient."
        ) from error


@found_again(32)
def _traceable(template: Template) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """(params, data) → log density, and its gradient; JAX remembers what it traced of them."""

    def log_density(params: Any, data: Any) -> Any:
        return template(data).log_density(params)

    return jax.jit(log_density), jax.jit(jax.grad(log_density))
