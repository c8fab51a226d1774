"""The compiled loop that advances many chains and keeps their draws."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ..programs import found_again
from .devices import ChainMap
from .kernel import LANE_AXIS, Kernel, Sampler
from .targets import Template

# The key of a chain's first state; iterations count upwards from 0.
_INIT = 2**31 - 1
# More chains of one CPU device are many.
_MOST_APART = 4


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
    """The compiled functions of a run.

    Attributes:
        chains: How chains lie on devices.
        start: (data, keys, params) → (``Chains``, log densities, whether gradients are finite).
        advance: (data, keys, ``Chains``, buffers, start, stop) → (``Chains``, buffers, sums over the
            piece). The buffers, for kept draws and their statistics, are of shape (chain, at least
            stop − start, ...) and are overwritten in place. Index i < n_warmup is an iteration of the
            warm-up, i ≥ n_warmup the draw i − n_warmup, which takes ``thin`` iterations.
        params: (data, ``Chains``) → the parameters now.
        like: (data, keys, params) → shapes of the kept draw and the statistics of all chains.
    """

    chains: ChainMap
    start: Callable[..., Any]
    advance: Callable[..., Any]
    params: Callable[..., Any]
    like: Callable[..., Any]


@found_again(32)
def program(
    template: Template,
    sampler: Sampler,
    collect: Callable[[Any], Any] | None,
    n_chains: int,
    n_data_shards: int,
    n_warmup: int,
    thin: int,
) -> Program:
    """The program of a run, found again where it was compiled before."""
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

    def advance(
        data: Any, keys: Any, chains: Chains, buffers: Any, start: Array, stop: Array
    ) -> tuple[Chains, Any, dict[str, Array]]:
        one_draw = _draw(kernel(data), n_warmup, thin)
        keep = _over_lanes(lambda state: kept(kernel(data), state))

        def lanes_from(lane: Array | int, keys: Any, chains: Chains, buffers: Any) -> Any:
            def body(i: Array, carry: Any) -> Any:
                (states, n_finite, stopped), buffers, sums = carry
                states, stats = one_draw(keys, states, start + i)
                sums = jax.tree.map(lambda s, n: s + n, sums, _totals(stats))

                def put(carry: Any) -> Any:
                    n_finite, stopped, buffers = carry
                    draws, finite = keep(states)
                    stopped = stopped | ~finite
                    draws = jax.tree.map(lambda a: _blank(a, stopped), draws)
                    buffers = jax.tree.map(
                        lambda b, v: _write(b, v, lane, i), buffers, (draws, stats)
                    )
                    return n_finite + ~stopped, stopped, buffers

                n_finite, stopped, buffers = jax.lax.cond(
                    start >= n_warmup, put, lambda carry: carry, (n_finite, stopped, buffers)
                )
                return Chains(states, n_finite, stopped), buffers, sums

            _, like = jax.eval_shape(one_draw, keys, chains.states, start)
            sums = jax.tree.map(jnp.zeros_like, _totals(jax.tree.map(jnp.zeros_like, like)))
            return jax.lax.fori_loop(0, stop - start, body, (chains, buffers, sums))

        n_lanes = len(chains.stopped)
        if not _apart(kernel(data), n_lanes):
            return lanes_from(0, keys, chains, buffers)

        def next_lane(buffers: Any, lane_and_chain: Any) -> Any:
            lane, key, chain = lane_and_chain
            chains = jax.tree.map(lambda a: a[None], chain)
            chains, buffers, sums = lanes_from(lane, key[None], chains, buffers)
            return buffers, jax.tree.map(lambda a: a[0], (chains, sums))

        buffers, (chains, sums) = jax.lax.scan(
            next_lane, buffers, (jnp.arange(n_lanes), keys, chains)
        )
        return chains, buffers, sums

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
        chains.jit(advance, n_shared=2, rows=True, donate=3),
        chains.jit(params, rows=True),
        chains.shapes(like, rows=True),
    )


def _apart(kernel: Kernel, n_lanes: int) -> bool:
    """Whether the chains of one device run one after another, each for a whole piece.

    On a CPU a few chains run faster so: a product of one small matrix is faster than the batched
    form that ``vmap`` makes of it, a branch stays a branch, and no chain waits for another's longer
    trajectory.
    """
    if n_lanes == 1 or kernel.together == "always" or jax.default_backend() != "cpu":
        return False
    return kernel.together == "never" or n_lanes <= _MOST_APART


def _write(buffer: Array, values: Array, lane: Array | int, i: Array) -> Array:
    """The buffer (chain, draw, ...) with the values (chain, ...) from chain ``lane`` on at draw i."""
    at = (lane, i, *[0] * (values.ndim - 1))
    return jax.lax.dynamic_update_slice(buffer, values[:, None], at)


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
