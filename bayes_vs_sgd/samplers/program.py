"""The compiled loop that advances many chains and keeps their draws."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from .devices import ChainMap
from .kernel import LANE_AXIS, Kernel, Sampler
from .targets import Template

# The key of a chain's first state; iterations count upwards from 0.
_INIT = 2**31 - 1


class Chains(NamedTuple):
    """What goes from one piece of a run to the next; every leaf has a leading chain axis.

    Attributes:
        states: The states of the kernel.
        n_finite: Draws so far before the parameters ceased to be finite.
        stopped: Whether they have ceased to be.
    """

    states: Any
    n_finite: Array
    stopped: Array


class Program(NamedTuple):
    """The two compiled functions of a run.

    Attributes:
        chains: How chains lie on devices.
        start: (data, keys, params) → (``Chains``, log densities, whether gradients are finite).
        advance: (data, keys, ``Chains``, start, stop) → (``Chains``, sums over the piece, (kept
            draws, their statistics)). Index i < n_warmup is an iteration of the warm-up, i ≥ n_warmup the draw
            i − n_warmup, which takes ``thin`` iterations.
        params: (data, ``Chains``) → the parameters now.
        like: (data, keys, params) → shapes of the kept draw and the statistics of all chains.
    """

    chains: ChainMap
    start: Callable[..., Any]
    advance: Callable[..., Any]
    params: Callable[..., Any]
    like: Callable[..., Any]


def program(
    template: Template,
    sampler: Sampler,
    collect: Callable[[Any], Any] | None,
    *,
    n_chains: int,
    n_data_shards: int,
    n_warmup: int,
    thin: int,
) -> Callable[[int], Program]:
    """The program of a run by the length of its buffer, found again where it was compiled before."""
    arguments: tuple[Any, ...] = (
        template,
        sampler,
        collect,
        n_chains,
        n_data_shards,
        n_warmup,
        thin,
    )
    try:
        hash(arguments)
    except TypeError:
        return lambda length: _build.__wrapped__(*arguments, length)
    return lambda length: _build(*arguments, length)


# A run takes two, for its shapes and for itself.
@lru_cache(maxsize=64)
def _build(
    template: Template,
    sampler: Sampler,
    collect: Callable[[Any], Any] | None,
    n_chains: int,
    n_data_shards: int,
    n_warmup: int,
    thin: int,
    length: int,
) -> Program:
    chains = ChainMap(n_chains, n_data_shards)

    def kernel(data: Any) -> Kernel:
        return sampler.kernel(template(data), n_warmup)

    def kept(kernel: Kernel, state: Any) -> tuple[Any, Array]:
        params = kernel.params(state)
        return (collect(params) if collect else params), _is_finite(params)

    def start(data: Any, keys: Any, params: Any) -> tuple[Chains, Array, Array]:
        with_gradient = getattr(sampler, "uses_gradient", True)

        def one(key: PRNGKeyArray, params: Any) -> tuple[Any, Array, Array]:
            value, finite = _evaluate(template(data).log_density, params, with_gradient)
            return kernel(data).init(jax.random.fold_in(key, _INIT), params), value, finite

        states, values, finite = _over_lanes(one)(keys, params)
        zero = jnp.zeros(finite.shape, jnp.int32)
        return Chains(states, zero, zero.astype(bool)), values, finite

    def advance(data: Any, keys: Any, chains: Chains, start: Array, stop: Array) -> Any:
        one_draw = _draw(kernel(data), n_warmup, thin)
        keep = _over_lanes(lambda state: kept(kernel(data), state))

        def buffer(like: Any) -> Any:
            return jax.tree.map(
                lambda a: jnp.zeros((a.shape[0], length, *a.shape[1:]), a.dtype), like
            )

        def body(i: Array, carry: Any) -> Any:
            (states, n_finite, stopped), sums, draws, stats = carry
            states, new_stats = one_draw(keys, states, start + i)
            sums = jax.tree.map(lambda s, n: s + n, sums, _totals(new_stats))

            def put(carry: Any) -> Any:
                n_finite, stopped, draws, stats = carry
                new, finite = keep(states)
                stopped = stopped | ~finite
                new = jax.tree.map(lambda a: _blank(a, stopped), new)
                write = lambda buffers, values: jax.tree.map(  # noqa: E731
                    lambda b, v: b.at[:, i].set(v), buffers, values
                )
                return n_finite + ~stopped, stopped, write(draws, new), write(stats, new_stats)

            n_finite, stopped, draws, stats = jax.lax.cond(
                start >= n_warmup, put, lambda carry: carry, (n_finite, stopped, draws, stats)
            )
            return Chains(states, n_finite, stopped), sums, draws, stats

        _, stats_like = jax.eval_shape(one_draw, keys, chains.states, start)
        draws_like, _ = jax.eval_shape(keep, chains.states)
        sums = jax.tree.map(jnp.zeros_like, _totals(jax.tree.map(jnp.zeros_like, stats_like)))
        carry = (chains, sums, buffer(draws_like), buffer(stats_like))
        chains, sums, draws, stats = jax.lax.fori_loop(0, stop - start, body, carry)
        return chains, sums, (draws, stats)

    def params(data: Any, chains: Chains) -> Any:
        return _over_lanes(kernel(data).params)(chains.states)

    def like(data: Any, keys: Any, params: Any) -> tuple[Any, Any]:
        def one(key: PRNGKeyArray, params: Any) -> tuple[Any, Any]:
            state = kernel(data).init(key, params)
            _, stats = kernel(data).step(key, state, jnp.asarray(0))
            return kept(kernel(data), state)[0], stats

        return _over_lanes(one)(keys, params)

    return Program(
        chains,
        chains.jit(start, rows=True),
        chains.jit(advance, n_shared=2, rows=True),
        chains.jit(params, rows=True),
        chains.shapes(like, rows=True),
    )


def _over_lanes(function: Callable[..., Any]) -> Callable[..., Any]:
    """``vmap`` over the chains of one device; of one alone the function itself, which is faster."""

    def mapped(*trees: Any) -> Any:
        if len(jax.tree.leaves(trees)[0]) > 1:
            return jax.vmap(function, axis_name=LANE_AXIS)(*trees)
        first = jax.tree.map(lambda a: a[0], trees)
        return jax.tree.map(lambda a: jnp.asarray(a)[None], function(*first))

    return mapped


def _draw(kernel: Kernel, n_warmup: int, thin: int) -> Callable[..., Any]:
    """One iteration of the warm-up, or the ``thin`` iterations of one draw, of all chains."""

    def iterate(keys: Any, states: Any, iteration: Array) -> tuple[Any, Any]:
        def one(key: PRNGKeyArray, state: Any) -> tuple[Any, Any]:
            return kernel.step(jax.random.fold_in(key, iteration), state, iteration)

        return _over_lanes(one)(keys, states)

    if thin == 1:
        return iterate

    def draw(keys: Any, states: Any, index: Array) -> tuple[Any, Any]:
        warm = index < n_warmup
        first = jnp.where(warm, index, n_warmup + (index - n_warmup) * thin)
        n = jnp.where(warm, 1, thin)

        def body(t: Array, carry: Any) -> Any:
            states, stats = carry
            states, new = iterate(keys, states, first + t)
            return states, {name: _merge(name, stats[name], new[name], n) for name in new}

        _, like = jax.eval_shape(iterate, keys, states, index)
        zeros = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), like)
        return jax.lax.fori_loop(0, n, body, (states, zeros))

    return draw


def _merge(name: str, old: Array, new: Array, n: Array) -> Array:
    """One statistic of a draw from those of its iterations, with ArviZ's meaning of it."""
    if name in ("diverging", "reached_max_treedepth"):
        return old | new
    if name == "n_steps":
        return old + new
    if name == "acceptance_rate":
        return old + new / n
    return new


def _totals(stats: Any) -> dict[str, Array]:
    return {
        name: stats[name].astype(stats[name].dtype if name != "diverging" else jnp.int32)
        for name in ("acceptance_rate", "diverging")
        if name in stats
    }


def _is_finite(tree: Any) -> Array:
    leaves = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in leaves]).all()


def _blank(values: Array, stopped: Array) -> Array:
    if not jnp.issubdtype(values.dtype, jnp.floating):
        return values
    return jnp.where(stopped.reshape(-1, *[1] * (values.ndim - 1)), jnp.nan, values)


def _evaluate(
    log_density: Callable[[Any], Array], params: Any, with_gradient: bool
) -> tuple[Array, Array]:
    if not with_gradient:
        value = log_density(params)
        return value, jnp.isfinite(value)
    value, gradient = jax.value_and_grad(log_density)(params)
    return value, jnp.isfinite(value) & _is_finite(gradient)
