"""The maximum of the very log density that the samplers draw from."""

import time
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from ..checks import require_count, require_positive
from ..types import Draws
from .devices import ChainMap, count_chains


@dataclass(frozen=True)
class MAP:
    """Adam on −log density with a cosine step size that ends at 0 (optax), from every start.

    θ ← θ − η_k m̂_k / (√v̂_k + 1e-8), η_k = learning_rate·(1 + cos(πk/n_steps))/2, with Adam's
    moments m̂, v̂ of the full gradient. Networks have many maxima: each start finds its own, and the
    log density of each is kept so that the highest can be taken.

    Attributes:
        n_steps: Full gradient steps.
        learning_rate: η at the start.
    """

    n_steps: int = 5000
    learning_rate: float = 0.03

    def __post_init__(self) -> None:
        require_count("n_steps", self.n_steps)
        require_positive("learning_rate", self.learning_rate)


def maximize(target: Any, initial: Any, settings: MAP = MAP()) -> Draws:
    """Climb to a local maximum of the log density from every starting point.

    Args:
        target: A ``Posterior`` (anything with ``log_density``), or a function params → log density.
        initial: Pytree of starting points; every leaf has a leading axis, the start.
        settings: Steps and learning rate.

    Returns:
        ``Draws`` with chain = start and one draw, the last iterate; ``stats`` has ``lp`` and
        ``gradient_norm``, the Euclidean norm of its gradient there.

    Raises:
        ValueError: The starts are of unequal number.
    """
    log_density = getattr(target, "log_density", target)
    optimizer = optax.adam(optax.cosine_decay_schedule(settings.learning_rate, settings.n_steps))

    def climb(params: Any) -> tuple[Any, Array, Array]:
        def step(_: Array, carry: tuple[Any, Any]) -> tuple[Any, Any]:
            params, state = carry
            gradient = jax.grad(lambda p: -log_density(p))(params)
            updates, state = optimizer.update(gradient, state)
            return optax.apply_updates(params, updates), state

        params, _ = jax.lax.fori_loop(0, settings.n_steps, step, (params, optimizer.init(params)))
        value, gradient = jax.value_and_grad(log_density)(params)
        return params, value, optax.tree.norm(gradient)

    started = time.perf_counter()
    chains = ChainMap(count_chains(initial))
    initial = chains.put(jax.tree.map(jnp.asarray, initial))
    params, value, norm = chains.jit(jax.vmap(climb))(initial)
    last = jax.tree.map(np.asarray, params)
    return Draws(
        params=jax.tree.map(lambda a: a[:, None], last),
        stats={"lp": np.asarray(value)[:, None], "gradient_norm": np.asarray(norm)[:, None]},
        last=last,
        info={"sampler": repr(settings), "seconds": time.perf_counter() - started},
    )
