"""Hamiltonian Monte Carlo on part of the rows, with the estimate of the likelihood corrected."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ..checks import require_count
from ..posterior import Posterior
from .hmc import HMC
from .kernel import Kernel, Stats, require_parts
from .numpyro_backend import NumPyroChain
from .nuts import NUTS
from .targets import _Sharded

# Columns of the Hessian that are computed side by side.
_COLUMNS = 32


class _Reference(NamedTuple):
    """The tempered log likelihood of all rows around one point, to second order."""

    point: Float[Array, " d"]
    value: Float[Array, ""]
    gradient: Float[Array, " d"]
    hessian: Float[Array, "d d"]


class _State(NamedTuple):
    chain: NumPyroChain
    rows: Int[Array, " m"]
    reference: _Reference | None


@dataclass(frozen=True)
class HMCECS:
    """HMC with energy-conserving subsampling (Dang, Quiroz, Kohn, Tran & Villani 2019).

    The state holds m row numbers u, drawn with replacement, beside θ. One iteration proposes one of
    ``n_blocks`` blocks of u anew and accepts it with probability min(1, exp(ℓ̂(θ, u') − ℓ̂(θ, u))), then
    makes one transition of ``inner`` on log prior(θ) + ℓ̂(θ, u) with u fixed. With ℓᵢ the log
    likelihood of row i over T, qᵢ its second-order Taylor polynomial around the chain's starting
    point and dᵢ = ℓᵢ − qᵢ,

        ℓ̂(θ, u) = Σ_i qᵢ(θ) + n·mean_u(d) − ½ n²/m·var_u(d).

    The last term undoes the bias of exp, so that θ has the posterior but for an error of order
    1/(n m²) where the variance n²/m·var_u(d), the statistic ``estimate_variance``, is about 1 or
    less. Far from the starting point it is not: start chains at a maximum, as ``maximize`` finds it.
    Transitions are NumPyro's.

    Only for small models that are nearly quadratic where the posterior lies, such as generalised linear
    ones with many rows. The sum of the polynomials takes a Hessian of all rows, d² numbers a chain,
    computed once; and on a tanh network of 25 parameters and 400 rows, started at a maximum, the median
    of the variance was 7 with batches of 200 rows and 80 with 50: such draws are not those of the
    posterior. Look at ``estimate_variance``.

    Attributes:
        batch_size: Rows m that one gradient sees.
        n_blocks: Blocks of u; more of them change less at once and are accepted more often.
        inner: The transition, ``NUTS(backend="numpyro")`` or ``HMC(backend="numpyro")``.
        proxy: ``"taylor"``, or None for qᵢ = 0, the naive estimate. Its variance n²/m·var(ℓ) exceeds 1
            by far even with m = n, and the draws are then not those of the posterior.
    """

    batch_size: int
    n_blocks: int = 10
    inner: HMC | NUTS = NUTS(backend="numpyro")  # noqa: RUF009
    proxy: Literal["taylor"] | None = "taylor"

    def __post_init__(self) -> None:
        require_count("batch_size", self.batch_size, least=2)
        require_count("n_blocks", self.n_blocks)
        if self.n_blocks > self.batch_size:
            raise ValueError(
                f"n_blocks={self.n_blocks} exceeds the {self.batch_size} rows of a batch; pass fewer."
            )
        if self.proxy not in ("taylor", None):
            raise ValueError(f"proxy={self.proxy!r} is unknown; pass 'taylor' or None.")
        if self.inner.backend != "numpyro":
            raise ValueError(
                f"inner={self.inner} is not NumPyro's, which makes the transitions here; pass "
                f"{type(self.inner).__name__}(backend='numpyro')."
            )

    @property
    def target_acceptance(self) -> float:
        """Mean acceptance that the warm-up of the transitions aims at."""
        return self.inner.target_acceptance

    def kernel(self, target: Any, n_warmup: int) -> Kernel:
        """The Markov kernel for one posterior and one length of warm-up."""
        posterior: Posterior = require_parts(target, "HMCECS")
        if isinstance(posterior, _Sharded):
            raise ValueError("HMCECS draws from all rows on every device; pass n_data_shards=1.")
        if self.batch_size > posterior.n_rows:
            raise ValueError(
                f"batch_size={self.batch_size} exceeds the {posterior.n_rows} training rows; pass at "
                f"most {posterior.n_rows}."
            )
        moves = self.inner.numpyro_moves(n_warmup)

        def init(key: PRNGKeyArray, params: Any) -> _State:
            rows = jax.random.randint(key, (self.batch_size,), 0, posterior.n_rows)
            reference = _expand(posterior, params) if self.proxy == "taylor" else None
            chain = moves.start(params, lambda p: _estimate(posterior, p, rows, reference)[0])
            return _State(chain, rows, reference)

        def step(key: PRNGKeyArray, state: _State, iteration: Array) -> tuple[_State, Stats]:
            key_rows, key_move = jax.random.split(key)
            state, row_stats = self._change_rows(key_rows, posterior, state)
            chain, stats = moves.advance(
                key_move,
                state.chain,
                iteration,
                lambda p: _estimate(posterior, p, state.rows, state.reference)[0],
            )
            stats |= row_stats | {"lp_estimate": -chain.potential}
            return state._replace(chain=chain), stats

        return Kernel(init, step, lambda state: state.chain.position, together="many")

    def _change_rows(
        self, key: PRNGKeyArray, posterior: Posterior, state: _State
    ) -> tuple[_State, Stats]:
        """The pseudo-marginal Metropolis update of one block of rows."""
        key_block, key_new, key_accept = jax.random.split(key, 3)
        block = jax.random.randint(key_block, (), 0, self.n_blocks)
        is_changed = jnp.arange(self.batch_size) * self.n_blocks // self.batch_size == block
        new = jax.random.randint(key_new, (self.batch_size,), 0, posterior.n_rows)
        rows = jnp.where(is_changed, new, state.rows)
        (value, variance), gradient = jax.value_and_grad(
            lambda p: _estimate(posterior, p, rows, state.reference), has_aux=True
        )(state.chain.position)
        rise = value + state.chain.potential
        acceptance = jnp.where(jnp.isnan(rise), 0.0, jnp.exp(jnp.minimum(rise, 0.0)))
        accepted = jax.random.uniform(key_accept, (), acceptance.dtype) < acceptance
        changed = state._replace(
            rows=rows,
            chain=state.chain._replace(
                potential=-value, gradient=jax.tree.map(jnp.negative, gradient)
            ),
        )
        state = jax.tree.map(lambda a, b: jnp.where(accepted, a, b), changed, state)
        return state, {"row_acceptance_rate": acceptance, "estimate_variance": variance}


def _expand(posterior: Posterior, params: Any) -> _Reference:
    point, unflatten = ravel_pytree(params)

    def total(flat: Float[Array, " d"]) -> Float[Array, ""]:
        return posterior.total_log_likelihood(unflatten(flat)) / posterior.temperature

    def column(direction: Float[Array, " d"]) -> Float[Array, " d"]:
        return jax.jvp(jax.grad(total), (point,), (direction,))[1]

    value, gradient = jax.value_and_grad(total)(point)
    directions = jnp.eye(point.size, dtype=point.dtype)
    hessian = jax.lax.map(column, directions, batch_size=min(_COLUMNS, point.size))
    return _Reference(point, value, gradient, hessian)


def _estimate(
    posterior: Posterior, params: Any, rows: Int[Array, " m"], reference: _Reference | None
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The log prior with ℓ̂, and the variance of the estimate of the log likelihood."""
    batch = jax.tree.map(lambda a: a[rows], posterior.data)
    flat, unflatten = ravel_pytree(params)

    def of_rows(flat: Float[Array, " d"]) -> Float[Array, " m"]:
        return posterior.log_likelihood(unflatten(flat), batch) / posterior.temperature

    difference, total = of_rows(flat), jnp.zeros((), flat.dtype)
    if reference is not None:
        away = flat - reference.point
        difference -= _second_order(of_rows, reference.point, away)
        total = reference.value + (reference.gradient + 0.5 * reference.hessian @ away) @ away
    variance = posterior.n_rows**2 / len(rows) * jnp.var(difference)
    total += posterior.n_rows * jnp.mean(difference) - 0.5 * variance
    return posterior.log_prior(params) + total, variance


def _second_order(
    function: Callable[[Array], Array], point: Float[Array, " d"], away: Float[Array, " d"]
) -> Float[Array, " m"]:
    """The Taylor polynomial at ``point + away``, by derivatives along the line to it."""
    zero, one = jnp.zeros((), point.dtype), jnp.ones((), point.dtype)

    def slope(t: Float[Array, ""]) -> tuple[Array, Array]:
        return jax.jvp(lambda s: function(point + s * away), (t,), (one,))

    (value, first), (_, second) = jax.jvp(slope, (zero,), (one,))
    return value + first + 0.5 * second
