"""What samplers on mini-batches share: batches, gradient estimates, and the frame of their kernels."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ..checks import require_count
from ..random_bits import random_bits
from .devices import DATA_AXIS
from .kernel import Kernel, Stats, require_parts
from .schedules import CosineCycles, Schedule, as_schedule

# Position → (log density estimate, its gradient).
Estimate = tuple[Float[Array, ""], Any]


class MinibatchSettings(Protocol):
    """The settings that all of these samplers have."""

    @property
    def step_size(self) -> float | Schedule:
        """A step size, or one for every iteration."""
        ...

    @property
    def batch_size(self) -> int:
        """Rows of a gradient estimate."""
        ...

    @property
    def control_variates(self) -> bool:
        """Whether gradients are estimated by their difference to the starting point's."""
        ...


class Centre(NamedTuple):
    """A point, its log density over all rows, and the gradient of that."""

    position: Any
    value: Float[Array, ""]
    gradient: Any


class Chain(NamedTuple):
    """The state of one chain.

    Attributes:
        position: The parameters.
        auxiliary: What the sampler carries besides: a momentum, a preconditioner.
        order: The rows in the order of this epoch.
        centre: The centre of the control variates; None without them.
    """

    position: Any
    auxiliary: Any
    order: Int[Array, " n"]
    centre: Centre | None


class Step(NamedTuple):
    """What an iteration gives a move.

    Attributes:
        size: ε.
        has_noise: Whether this update is one with noise; None where all are.
        iteration: Counted from 0.
    """

    size: Float[Array, ""]
    has_noise: Bool[Array, ""] | None
    iteration: Int[Array, ""]


# (key, params) → auxiliary.
Start = Callable[[PRNGKeyArray, Any], Any]
# (key, position, auxiliary, gradient, step) → (position, auxiliary, statistics).
Move = Callable[[PRNGKeyArray, Any, Any, Any, Step], tuple[Any, Any, Stats]]


def check_settings(settings: MinibatchSettings) -> None:
    """Refuse a step size or a batch size that is not possible.

    Raises:
        ValueError: With the mend.
    """
    as_schedule(settings.step_size)
    require_count("batch_size", settings.batch_size)


def count_rows(target: Any) -> int:
    """Number of rows of the target on all devices together."""
    return target.n_rows * _n_shards()


def minibatch_kernel(target: Any, settings: MinibatchSettings, start: Start, move: Move) -> Kernel:
    """The kernel that estimates a gradient at each iteration and hands it to a move.

    Its statistics are those of the move and ``lp_estimate`` (at the old state), ``step_size``,
    ``diverging`` (the gradient is not finite), ``n_steps``, and with ``CosineCycles`` also
    ``sampling_stage``.

    Args:
        target: A ``Posterior``.
        settings: Those of the sampler.
        start: (key, params) → auxiliary.
        move: (key, position, auxiliary, gradient, step) → (position, auxiliary, statistics).

    Raises:
        ValueError: The target is a plain log density, or has fewer rows than a batch.
    """
    require_parts(target, type(settings).__name__)
    schedule = as_schedule(settings.step_size)
    batch_size = _local_batch_size(target, settings.batch_size)
    is_full = batch_size == target.n_rows
    has_centre = settings.control_variates and not is_full

    def init(key: PRNGKeyArray, params: Any) -> Chain:
        order = jnp.arange(0 if is_full else target.n_rows, dtype=jnp.int32)
        full = jax.value_and_grad(target.log_density)
        centre = Centre(params, *full(params)) if has_centre else None
        return Chain(params, start(key, params), order, centre)

    def estimate(key: PRNGKeyArray, chain: Chain, iteration: Array) -> tuple[Array, Estimate]:
        if is_full:
            return chain.order, jax.value_and_grad(target.log_density)(chain.position)
        order, rows = next_batch(key, chain.order, iteration, batch_size)
        batch = jax.tree.map(lambda a: a[rows], target.data)
        return order, estimate_gradient(target, batch, chain.position, chain.centre)

    def step(key: PRNGKeyArray, chain: Chain, iteration: Array) -> tuple[Chain, Stats]:
        key_order, key_move = jax.random.split(key)
        order, (value, gradient) = estimate(key_order, chain, iteration)
        has_noise = schedule.is_sampling(iteration) if isinstance(schedule, CosineCycles) else None
        now = Step(schedule(iteration).astype(value.dtype), has_noise, iteration)
        position, auxiliary, stats = move(key_move, chain.position, chain.auxiliary, gradient, now)
        stats |= {
            # The norm is finite where all components are; XLA is quicker at it than at the components.
            "diverging": ~jnp.isfinite(mean_square(gradient)),
            "lp_estimate": value,
            "n_steps": jnp.asarray(1),
            "step_size": now.size,
        }
        if has_noise is not None:
            stats["sampling_stage"] = has_noise
        return Chain(position, auxiliary, order, chain.centre), stats

    return Kernel(init, step, lambda chain: chain.position, together="many")


def next_batch(
    key: PRNGKeyArray, order: Int[Array, " n"], iteration: Int[Array, ""], batch_size: int
) -> tuple[Int[Array, " n"], Int[Array, " {batch_size}"]]:
    """The order of the rows in this epoch, and the rows of this iteration's batch.

    An epoch is ⌊n/batch_size⌋ batches without replacement from a fresh random order, so every row is
    equally likely to be in a batch; the rows that are left over sit this epoch out.

    Args:
        key: Used in the first iteration of an epoch alone.
        order: That of the last iteration.
        iteration: Counted from 0; the same in all chains, so that orders are made once an epoch.
        batch_size: b.
    """
    n_rows = len(order)
    place = iteration % (n_rows // batch_size)
    order = jax.lax.cond(
        place == 0,
        lambda _: _permutation(key, n_rows),
        lambda old: old,
        order,
    )
    return order, jax.lax.dynamic_slice(order, (place * batch_size,), (batch_size,))


def estimate_gradient(target: Any, batch: Any, position: Any, centre: Centre | None) -> Estimate:
    """An unbiased estimate of the log density and the gradient of it, from one batch.

    With a centre θ̂ it is log density(θ̂) + [estimate(θ) − estimate(θ̂)], and so the gradient: exact at
    the centre, and of small variance near it (Baker et al. 2019).
    """

    def log_density(params: Any) -> Float[Array, ""]:
        return target.log_density_estimate(params, batch)

    value, gradient = jax.value_and_grad(log_density)(position)
    if centre is None:
        return value, gradient
    value_there, gradient_there = jax.value_and_grad(log_density)(centre.position)
    return centre.value + (value - value_there), jax.tree.map(
        lambda full, here, there: full + (here - there), centre.gradient, gradient, gradient_there
    )


def mean_square(tree: Any) -> Float[Array, ""]:
    """The mean of the squares of all numbers in a tree."""
    leaves = [leaf.ravel() for leaf in jax.tree.leaves(tree)]
    return sum(jnp.vdot(a, a) for a in leaves) / sum(a.size for a in leaves)


def _permutation(key: PRNGKeyArray, n: int) -> Int[Array, " {n}"]:
    # Two of the numbers are equal with probability n²/2³³, and then in no order that would matter.
    return jax.lax.sort(
        (random_bits(key, n), jnp.arange(n, dtype=jnp.int32)), num_keys=1, is_stable=False
    )[1]


def _local_batch_size(target: Any, batch_size: int) -> int:
    if batch_size > count_rows(target):
        raise ValueError(
            f"batch_size={batch_size} exceeds the {count_rows(target)} training rows; pass at most "
            f"{count_rows(target)}."
        )
    if batch_size % _n_shards():
        raise ValueError(
            f"batch_size={batch_size} is no multiple of n_data_shards={_n_shards()}, the devices that "
            "share the rows; pass one."
        )
    return batch_size // _n_shards()


def _n_shards() -> int:
    try:
        return jax.lax.axis_size(DATA_AXIS)
    except NameError:
        return 1
