"""The shift of the integration variables that makes the weights of an orthant as equal as possible."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .normal_tail import inverse_hazard, normal_tail

_MAX_STEPS, _MAX_HALVINGS = 100, 30
# Residual at which the equations count as solved, and rounding of their potential, by their terms.
_TOLERANCE, _ROUNDING = 1e-9, 1e-13
# A step that takes more than this share of a hazard goes along t, which keeps it positive.
_LARGEST_SHARE = 0.8


class Tilt(NamedTuple):
    """Means of the integration variables.

    Attributes:
        shift: μ, one number a variable in the order of integration.
        log_bound: Log of a number that no weight can exceed.
    """

    shift: Float[Array, " n"]
    log_bound: Float[Array, ""]


class _Point(NamedTuple):
    """Where Newton's method is: t, h(t), dh/dt, the residual, its terms' size and the potential."""

    t: Float[Array, " n"]
    hazard: Float[Array, " n"]
    rate: Float[Array, " n"]
    residual: Float[Array, " n"]
    size: Float[Array, " n"]
    value: Float[Array, ""]


class _Progress(NamedTuple):
    point: _Point
    n_steps: Array
    stuck: Array


def minimax_tilt(slopes: Float[Array, "n n"]) -> Tilt:
    """The saddle point of the log weight, least in the shift μ and greatest in the variables e.

    The variables e_k ~ N(μ_k, 1), cut off at e_k > −(Ae)_k, have the log weight ψ(e; μ) = Σ_k [μ_k²/2
    − μ_k e_k + log Φ̄(t_k)] with t_k = −(Ae)_k − μ_k. With h = φ(t)/Φ̄(t) the saddle has e = μ + h
    and μ = Aᵀh, so that one equation is left: t + (UUᵀ − I)h(t) = 0 with U = I + A. It is the
    gradient in h of ½‖Uᵀh‖² − ½‖h‖² + t·h + log Φ̄(t), which is strictly convex in h; Newton's method
    with halved steps finds its minimum. ψ is concave in e, so that its value at the saddle is a bound
    on every weight.

    Where Newton's method does not arrive (labels that contradict inputs all but equal), the shift is 0
    and the bound log 1 = 0: no tilt.

    Source: Botev 2017, "The normal law under linear restrictions: simulation and estimation via minimax
    tilting" (arXiv 1603.04166).

    Args:
        slopes: A, strictly lower triangular, from ``Ordered.slopes``.
    """
    unit = slopes + jnp.eye(len(slopes))

    def unfinished(now: _Progress) -> Array:
        return ~_solved(now.point) & ~now.stuck & (now.n_steps < _MAX_STEPS)

    start = _Progress(_at(unit, jnp.zeros(len(unit))), jnp.asarray(0), jnp.asarray(False))
    end = jax.lax.while_loop(unfinished, lambda now: _newton_step(unit, now), start).point
    shift = slopes.T @ end.hazard
    log_masses = normal_tail(-end.t).log_cdf
    log_bound = (log_masses - 0.5 * shift**2 - shift * end.hazard).sum()
    usable = _solved(end) & jnp.isfinite(log_bound) & (log_bound < 0)
    return Tilt(jnp.where(usable, shift, 0), jnp.where(usable, log_bound, 0))


def _at(unit: Float[Array, "n n"], t: Float[Array, " n"]) -> _Point:
    tail = normal_tail(-t)
    hazard = tail.hazard
    drawn = hazard @ unit
    residual = t - hazard + unit @ drawn
    size = 1 + jnp.abs(t) + jnp.abs(unit) @ jnp.abs(drawn)
    value = 0.5 * (drawn @ drawn - hazard @ hazard) + t @ hazard + tail.log_cdf.sum()
    return _Point(t, hazard, hazard * tail.excess, residual, size, value)


def _solved(point: _Point) -> Array:
    return (jnp.abs(point.residual) < _TOLERANCE * point.size).all()


def _newton_step(unit: Float[Array, "n n"], now: _Progress) -> _Progress:
    point, identity = now.point, jnp.eye(len(unit))
    curvature = identity + (unit @ unit.T - identity) * point.rate
    direction = -jnp.linalg.solve(curvature, point.residual)
    slope = point.residual @ (point.rate * direction)
    slack = _ROUNDING * point.size.sum()

    def too_high(trial: tuple[_Point, Array, Array]) -> Array:
        there, share, _ = trial
        return ~(there.value <= point.value + 1e-4 * share * slope + slack)

    def again(trial: tuple[_Point, Array, Array]) -> Array:
        return too_high(trial) & (trial[2] < _MAX_HALVINGS)

    def halve(trial: tuple[_Point, Array, Array]) -> tuple[_Point, Array, Array]:
        share = trial[1] / 2
        return _at(unit, _moved(point, share * direction)), share, trial[2] + 1

    # The whole step is the first that is tried; the loop holds the only copy of the program.
    start = (point._replace(value=jnp.asarray(jnp.inf)), jnp.asarray(2.0), jnp.asarray(-1))
    found = jax.lax.while_loop(again, halve, start)
    return _Progress(found[0], now.n_steps + 1, too_high(found))


def _moved(point: _Point, step: Float[Array, " n"]) -> Float[Array, " n"]:
    """T after a step in t, taken along a straight line in h where h stays positive.

    The potential is nearly quadratic in h where constraints bind, and nearly linear in t where not.
    """
    change = point.rate * step
    along_t = ~(change > -_LARGEST_SHARE * point.hazard)
    target = jnp.where(along_t, 1.0, jnp.maximum(point.hazard + change, jnp.finfo(step.dtype).tiny))
    return jnp.where(along_t, point.t + step, -inverse_hazard(target))
