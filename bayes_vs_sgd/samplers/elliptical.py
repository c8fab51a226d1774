"""Elliptical slice sampling: no gradient and nothing to tune, for priors that are Gaussian."""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray

from .kernel import Kernel, LogDensity, Stats, require_parts
from .tempering import parts

# How far from the mean, in standard deviations, the prior is compared with the Gaussian.
_RADII = (0.5, 2.0, 8.0)
# What rounding may add to the slope there, relative to the radius.
_TOLERANCE = 1e-3


class OnEllipse(NamedTuple):
    """A chain in the coordinates in which its prior is N(0, I): θ = mean + std·standard.

    Attributes:
        standard: The position.
        log_likelihood: (1/T) Σ_i log p(data_i | θ) there.
        mean: Of the prior.
        std: Of the prior.
    """

    standard: Any
    log_likelihood: Float[Array, ""]
    mean: Any
    std: Any


@dataclass(frozen=True)
class EllipticalSlice:
    """Elliptical slice sampling (Murray, Adams & MacKay 2010), BlackJAX's kernel.

    With z = (θ − mean)/std, so that the prior is N(0, I), and ℓ = (1/T) Σ_i log p(data_i | θ), one
    transition: draw ν ~ N(0, I), log y = ℓ(z) + log U(0, 1) and an angle φ ~ U(0, 2π); propose
    z cos φ + ν sin φ until ℓ > log y there, each time drawing φ anew from a bracket that shrinks
    towards 0. It always moves. A proposal whose likelihood is not finite counts as outside.

    It takes a ``Posterior`` whose prior is independent and Gaussian over parameters, such as
    ``priors.Normal``, ``FanIn`` and ``Independent``. Mean and standard deviations are found from the
    derivatives of ``log_prior``, and checked. It suits likelihoods that say little about each
    parameter; the more they say, the smaller the angles. ``n_steps`` counts evaluations of the
    likelihood.
    """

    uses_gradient: ClassVar[bool] = False

    def kernel(self, target: Any, n_warmup: int) -> Kernel:
        """The Markov kernel for one target; there is nothing to adapt.

        Raises:
            ValueError: The target is no ``Posterior``; ``init`` raises where its prior is not Gaussian.
        """
        # Importing BlackJAX starts JAX, after which its devices cannot be chosen any more.
        from blackjax.mcmc.elliptical_slice import EllipSliceState, build_kernel

        log_prior, log_likelihood = parts(require_parts(target, "EllipticalSlice"))

        def init(key: PRNGKeyArray, params: Any) -> OnEllipse:
            mean, std = _gaussian(log_prior, params)
            standard = jax.tree.map(lambda p, m, s: (p - m) / s, params, mean, std)
            return OnEllipse(standard, log_likelihood(params), mean, std)

        def step(key: PRNGKeyArray, state: OnEllipse, iteration: Array) -> tuple[OnEllipse, Stats]:
            def gain(standard: Any) -> Array:
                """How much higher log likelihood is than now."""
                value = log_likelihood(_place(state._replace(standard=standard)))
                value = jnp.where(jnp.isfinite(value), value - state.log_likelihood, -jnp.inf)
                # The bracket can shrink to the state itself, where rounding could put the log
                # likelihood below the slice: the search would never end.
                return jnp.where(_equal(standard, state.standard), 0, value)

            flat, _ = ravel_pytree(state.standard)
            move = build_kernel(jnp.ones_like(flat), jnp.zeros((), flat.dtype))
            now = EllipSliceState(state.standard, jnp.zeros_like(state.log_likelihood))
            new, info = move(key, now, gain)
            state = state._replace(
                standard=_as(new.position, state.standard),
                log_likelihood=_as(state.log_likelihood + new.logdensity, state.log_likelihood),
            )
            return state, {
                "acceptance_rate": jnp.ones_like(state.log_likelihood),
                "lp": log_prior(_place(state)) + state.log_likelihood,
                "n_steps": info.subiter,
            }

        return Kernel(init, step, _place, together="never")


def _place(state: OnEllipse) -> Any:
    return jax.tree.map(lambda z, m, s: m + s * z, state.standard, state.mean, state.std)


def _equal(tree: Any, other: Any) -> Array:
    same = jax.tree.map(lambda a, b: jnp.all(a == b), tree, other)
    return jnp.stack(jax.tree.leaves(same)).all()


def _as(tree: Any, like: Any) -> Any:
    """Angles are of JAX's default precision, which the parameters need not have."""
    return jax.tree.map(lambda a, b: jnp.asarray(a, b.dtype), tree, like)


def _gaussian(log_prior: LogDensity, params: Any) -> tuple[Any, Any]:
    """Mean and standard deviations of an independent Gaussian, from its log density.

    The prior knows no data, so this is computed while a run is traced.

    Raises:
        ValueError: It is no independent Gaussian.
    """
    with jax.ensure_compile_time_eval():
        zeros = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), params)
        origin, unravel = ravel_pytree(zeros)
        value_and_slope = jax.value_and_grad(lambda x: log_prior(unravel(x)))
        slope = lambda x: value_and_slope(x)[1]  # noqa: E731
        # The Hessian is diagonal if the prior is independent, and then this is its diagonal.
        _, curvature = jax.jvp(slope, (origin,), (jnp.ones_like(origin),))
        mean = origin - slope(origin) / curvature
        # Far from the origin the first step rounds; the second, from the mean, does not.
        mean = mean - slope(mean) / curvature
        std = (-1 / curvature) ** 0.5
        wrong = ~(jnp.isfinite(mean) & jnp.isfinite(std) & (std > 0))
        top, _ = value_and_slope(mean)
        height_wrong = jnp.asarray(False)
        rng = np.random.default_rng(0)
        for radius in _RADII:
            z = jnp.asarray(radius * rng.standard_normal(len(origin)), origin.dtype)
            value, found = value_and_slope(mean + std * z)
            wrong |= ~(jnp.abs(std * found + z) <= _TOLERANCE * radius)
            drop = jnp.sum(z**2) / 2
            allowed = _TOLERANCE * (1 + drop + jnp.abs(top))
            height_wrong |= ~(jnp.abs(top - value - drop) <= allowed)
        # Of a height it is unknown which parameter makes it wrong.
        wrong = jnp.where(wrong.any(), wrong, height_wrong)
        if wrong.any():
            raise ValueError(
                "EllipticalSlice needs a prior that is an independent Gaussian over parameters, and "
                f"log_prior is none in {_names(unravel(wrong.astype(origin.dtype)))}; use "
                "priors.Normal, FanIn or Independent, or a sampler such as HMC."
            )
        return unravel(mean), unravel(std)


def _names(wrong: Any) -> str:
    """The leaves where not all is zero, at most three of them."""
    leaves = jax.tree_util.tree_leaves_with_path(wrong)
    names = [f"params{jax.tree_util.keystr(path)}" for path, leaf in leaves if np.any(leaf)]
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
