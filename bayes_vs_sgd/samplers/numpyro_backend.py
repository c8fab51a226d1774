"""NumPyro's HMC and NUTS as the step of one chain, warmed up by NumPyro's own windowed adaptation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .kernel import Kernel, LogDensity, Stats

# Potential −log density → NumPyro's kernel for it.
MakeKernel = Callable[[Callable[[Any], Array]], Any]


class NumPyroChain(NamedTuple):
    """What NumPyro's kernel remembers from one transition to the next, but for its key.

    Attributes:
        position: Parameters.
        potential: −log density there.
        gradient: Of the potential.
        adaptation: NumPyro's ``HMCAdaptState``: step size, mass matrix, and what they come from.
    """

    position: Any
    potential: Float[Array, ""]
    gradient: Any
    adaptation: Any


@dataclass(frozen=True)
class NumPyroMoves:
    """Transitions by a NumPyro kernel; the log density may change between them.

    NumPyro keeps the settings of a run inside its kernel object, so every step makes the object
    again around the arrays of the chain; nothing of that is computed twice.

    Attributes:
        make: Potential → NumPyro's kernel.
        n_warmup: Iterations that adapt.
        step_size_jitter: Relative half-width of the step size of one transition.
        max_tree_depth: Doublings at most of trajectories that are trees; None for others.
    """

    make: MakeKernel
    n_warmup: int
    step_size_jitter: float = 0.0
    max_tree_depth: int | None = None

    def kernel(self, log_density: LogDensity) -> Kernel:
        """The Markov kernel for one log density."""

        def step(key: PRNGKeyArray, chain: NumPyroChain, iteration: Array) -> Any:
            chain, stats = self.advance(key, chain, iteration, log_density)
            return chain, stats | {"lp": -chain.potential}

        return Kernel(
            lambda key, params: self.start(params, log_density),
            step,
            lambda chain: chain.position,
            together="many" if self.max_tree_depth is None else "never",
        )

    def start(self, params: Any, log_density: LogDensity) -> NumPyroChain:
        """A chain at its start, with the step size given and the identity as its mass matrix."""
        potential, gradient = jax.value_and_grad(lambda p: -log_density(p))(params)
        chain = NumPyroChain(params, potential, gradient, None)
        _, state = self._bind(chain, log_density)
        return chain._replace(adaptation=state.adapt_state._replace(rng_key=None))

    def advance(
        self, key: PRNGKeyArray, chain: NumPyroChain, iteration: Array, log_density: LogDensity
    ) -> tuple[NumPyroChain, Stats]:
        """One transition, and below ``n_warmup`` one update of the settings."""
        key_move, key_jitter = jax.random.split(key)
        settings = chain.adaptation
        jitter = self.step_size_jitter * jax.random.uniform(
            key_jitter, (), settings.step_size.dtype, minval=-1.0, maxval=1.0
        )
        kernel, state = self._bind(chain, log_density)
        new = kernel.sample(
            state._replace(
                i=iteration.astype(state.i.dtype),
                adapt_state=settings._replace(step_size=settings.step_size * (1 + jitter)),
                rng_key=key_move,
            ),
            (),
            {},
        )
        step_size = jnp.where(
            iteration < self.n_warmup, new.adapt_state.step_size, settings.step_size
        )
        stats = {
            "acceptance_rate": new.accept_prob,
            "diverging": new.diverging,
            "energy": new.energy,
            "n_steps": jnp.asarray(new.num_steps, state.num_steps.dtype),
            "step_size": settings.step_size,
        }
        if self.max_tree_depth is not None:
            stats |= tree_statistics(_tree_depth(stats["n_steps"]), self.max_tree_depth)
        adapted = new.adapt_state._replace(step_size=step_size)
        return NumPyroChain(new.z, new.potential_energy, new.z_grad, adapted), stats

    def _bind(self, chain: NumPyroChain, log_density: LogDensity) -> tuple[Any, Any]:
        """NumPyro's kernel and its state at a chain; with the potential given, it evaluates nothing."""
        from numpyro.infer.util import ParamInfo

        kernel = self.make(lambda params: -log_density(params))
        start = ParamInfo(chain.position, chain.potential, chain.gradient)
        return kernel, kernel.init(jax.random.key(0), self.n_warmup, start)


def tree_statistics(depth: Array, most: int) -> Stats:
    """The depth of a tree, and whether it could not become deeper."""
    return {"tree_depth": depth, "reached_max_treedepth": depth >= most}


def _tree_depth(n_steps: Array) -> Array:
    """Doublings of a trajectory of so many leapfrog steps: ⌊log₂ n⌋ + 1."""
    n_bits = jnp.iinfo(n_steps.dtype).bits
    return n_bits - jax.lax.clz(n_steps)
