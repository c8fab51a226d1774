"""Prior distributions over named parameters: a log density, and draws to start from.

A prior is anything with ``log_prob(params)`` and ``sample(key, shapes)``. Most of these are
independent over parameters. PyTorch's layout is assumed: a weight is (out, in, ...), so its fan-in
is the product of all axes but the first; a parameter with one axis or none is called a bias here.

What is sampled need not be the parameters themselves: a prior with ``params(variables)`` and
``sample_variables(key, shapes)``, such as ``Hierarchical``, is one on variables that make them, and its
``log_prob`` is the density of those. A prior with ``distributions(shapes)`` says to NumPyro what the
variables are.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import jax.scipy.stats as stats
from jaxtyping import Array, Float, PRNGKeyArray

from .scales import HalfCauchy as HalfCauchy
from .scales import HalfNormal as HalfNormal
from .scales import Scale

Params = Mapping[str, Float[Array, "..."]]
Shapes = Mapping[str, tuple[int, ...]]

# The noise level among the variables, on its logarithm.
LOG_NOISE_STD = "log_noise_std"
_UNSCALED, _LOG_SCALE = ".unscaled", ".log_scale"


class Prior(Protocol):
    """What every prior offers."""

    def log_prob(self, params: Params) -> Float[Array, ""]:
        """The normalised log density of all parameters together."""
        ...

    def sample(self, key: PRNGKeyArray, shapes: Shapes) -> dict[str, Float[Array, "..."]]:
        """One draw of all parameters."""
        ...


def fan_in(shape: tuple[int, ...]) -> int:
    """Number of inputs of one unit of a weight (out, in, ...): the product of ``shape[1:]``."""
    return math.prod(shape[1:])


@dataclass(frozen=True)
class Normal:
    """The same normal on every parameter: θ ~ N(0, std²).

    Attributes:
        std: Standard deviation.
    """

    std: float = 1.0

    def __post_init__(self) -> None:
        _require_positive("std", self.std)

    def log_prob(self, params: Params) -> Float[Array, ""]:
        """Σ log N(θ; 0, std²)."""
        return _log_normal(params, dict.fromkeys(params, self.std))

    def sample(self, key: PRNGKeyArray, shapes: Shapes) -> dict[str, Float[Array, "..."]]:
        """One draw of all parameters."""
        return _sample_normal(key, shapes, dict.fromkeys(shapes, self.std))

    def distributions(self, shapes: Shapes) -> dict[str, Any]:
        """NumPyro's distribution of every parameter."""
        return _normals(shapes, dict.fromkeys(shapes, self.std))


@dataclass(frozen=True)
class FanIn:
    """Normal weights scaled by fan-in: w ~ N(0, std²/fan_in), b ~ N(0, bias_std²).

    With ``std=√2`` and ``bias_std=0`` its draws are He's initialisation (arXiv 1502.01852); a prior
    of zero width has no density, so that one is to start from, not to sample.

    Attributes:
        std: Standard deviation of a weight times √fan_in.
        bias_std: Standard deviation of parameters with one axis.
    """

    std: float = 1.0
    bias_std: float = 1.0

    def __post_init__(self) -> None:
        _require_positive("std", self.std)
        if not self.bias_std >= 0:
            raise ValueError(f"bias_std={self.bias_std} is negative; pass 0 or more.")

    def scale(self, shape: tuple[int, ...]) -> float:
        """The standard deviation of a parameter of this shape."""
        return self.std / math.sqrt(fan_in(shape)) if len(shape) > 1 else self.bias_std

    def log_prob(self, params: Params) -> Float[Array, ""]:
        """Σ log N(w; 0, std²/fan_in) + Σ log N(b; 0, bias_std²)."""
        _require_positive("bias_std", self.bias_std)
        return _log_normal(params, {n: self.scale(value.shape) for n, value in params.items()})

    def sample(self, key: PRNGKeyArray, shapes: Shapes) -> dict[str, Float[Array, "..."]]:
        """One draw of all parameters."""
        return _sample_normal(key, shapes, {n: self.scale(shape) for n, shape in shapes.items()})

    def distributions(self, shapes: Shapes) -> dict[str, Any]:
        """NumPyro's distribution of every parameter."""
        _require_positive("bias_std", self.bias_std)
        return _normals(shapes, {n: self.scale(shape) for n, shape in shapes.items()})


@dataclass(frozen=True)
class TorchDefault:
    """PyTorch's own initialisation of Linear and convolution layers as a prior.

    PyTorch draws weight and bias of such a layer from U(−1/√fan_in, 1/√fan_in), where a bias takes
    the fan-in of the weight of its layer (``name.weight`` for ``name.bias``).

    Attributes:
        family: ``"uniform"``, exactly that (its density is 0 outside, where HMC rejects); or
            ``"normal"``, N(0, 1/(3·fan_in)), the normal of the same variance.
    """

    family: str = "uniform"

    def __post_init__(self) -> None:
        if self.family not in ("uniform", "normal"):
            raise ValueError(f"family={self.family!r} is unknown; pass 'uniform' or 'normal'.")

    def bound(self, name: str, shapes: Shapes) -> float:
        """1/√fan_in of the layer that the parameter belongs to.

        Raises:
            ValueError: A bias has no weight beside it.
        """
        shape = shapes[name]
        if len(shape) <= 1:
            weight = name.removesuffix("bias") + "weight"
            if weight not in shapes or len(shapes[weight]) < 2:
                raise ValueError(
                    f"{name} belongs to no Linear or convolution layer, so PyTorch's default does "
                    "not say its distribution; use priors.FanIn or priors.Normal."
                )
            shape = shapes[weight]
        return 1 / math.sqrt(fan_in(shape))

    def log_prob(self, params: Params) -> Float[Array, ""]:
        """Σ log U(θ; ±1/√fan_in), or Σ log N(θ; 0, 1/(3·fan_in))."""
        shapes = {name: tuple(value.shape) for name, value in params.items()}
        bounds = {name: self.bound(name, shapes) for name in shapes}
        if self.family == "normal":
            return _log_normal(params, {n: b / math.sqrt(3) for n, b in bounds.items()})
        return sum(
            (stats.uniform.logpdf(v, -bounds[n], 2 * bounds[n]).sum() for n, v in params.items()),
            start=jnp.zeros(()),
        )

    def sample(self, key: PRNGKeyArray, shapes: Shapes) -> dict[str, Float[Array, "..."]]:
        """One draw of all parameters."""
        bounds = {name: self.bound(name, shapes) for name in shapes}
        if self.family == "normal":
            return _sample_normal(key, shapes, {n: b / math.sqrt(3) for n, b in bounds.items()})
        standard = _unflatten(jax.random.uniform(key, (_size(shapes),), minval=-1.0), shapes)
        return {name: bounds[name] * value for name, value in standard.items()}

    def distributions(self, shapes: Shapes) -> dict[str, Any]:
        """NumPyro's distribution of every parameter."""
        bounds = {name: self.bound(name, shapes) for name in shapes}
        if self.family == "normal":
            return _normals(shapes, {n: b / math.sqrt(3) for n, b in bounds.items()})
        from numpyro.distributions import Uniform

        return {n: _shaped(Uniform(-b, b), shapes[n]) for n, b in bounds.items()}


@dataclass(frozen=True)
class Independent:
    """A normal of its own for every parameter name: θ_name ~ N(mean_name, std_name²).

    Attributes:
        stds: Standard deviation by parameter name. With 0 the parameter starts at its mean; there
            is no density then, so that such a prior is to start from, not to sample.
        means: Mean by parameter name; 0 where it is not given.

    Raises:
        ValueError: A standard deviation is negative, or a mean has no standard deviation.
    """

    stds: Mapping[str, float]
    means: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, std in self.stds.items():
            if not std >= 0:
                raise ValueError(f"stds[{name!r}]={std} is not possible; pass 0 or more.")
        unknown = sorted(set(self.means) - set(self.stds))
        if unknown:
            raise ValueError(f"means names {unknown}, which stds lacks; give each of them a std.")

    def log_prob(self, params: Params) -> Float[Array, ""]:
        """Σ log N(θ_name; mean_name, std_name²).

        Raises:
            ValueError: The names are not those of ``stds``, or a standard deviation is 0.
        """
        self._require_names(params)
        for name, std in self.stds.items():
            _require_positive(f"stds[{name!r}]", std)
        return _log_normal(params, self.stds, self.means)

    def sample(self, key: PRNGKeyArray, shapes: Shapes) -> dict[str, Float[Array, "..."]]:
        """One draw of all parameters.

        Raises:
            ValueError: The names are not those of ``stds``.
        """
        self._require_names(shapes)
        centred = _sample_normal(key, shapes, self.stds)
        return {name: self.means.get(name, 0.0) + value for name, value in centred.items()}

    def distributions(self, shapes: Shapes) -> dict[str, Any]:
        """NumPyro's distribution of every parameter.

        Raises:
            ValueError: The names are not those of ``stds``, or a standard deviation is 0.
        """
        self._require_names(shapes)
        for name, std in self.stds.items():
            _require_positive(f"stds[{name!r}]", std)
        return _normals(shapes, self.stds, self.means)

    def _require_names(self, given: Mapping[str, object]) -> None:
        missing, unknown = sorted(set(given) - set(self.stds)), sorted(set(self.stds) - set(given))
        if missing or unknown:
            raise ValueError(
                f"stds lacks {missing} and has unknown {unknown}; its names must be those of the "
                "network's parameters."
            )


@dataclass(frozen=True)
class Hierarchical:
    """A scale of its own for every parameter, sampled with it: θ_n = τ_n·v_n, v_n ~ base, τ_n ~ scale.

    Every name (the weight of a layer, its bias) has one τ. The form is the non-centred one: the
    variables are v_n under ``"n.unscaled"`` and log τ_n under ``"n.log_scale"``, both unconstrained,
    independent under the prior, and the density of log τ includes its Jacobian. ``params`` makes
    the parameters of them.

    Attributes:
        base: The prior where τ = 1; one centred at 0, else its means are scaled too.
        scale: The distribution of τ.

    Raises:
        ValueError: The base has scales of its own.
    """

    base: Prior
    scale: Scale = HalfCauchy()  # noqa: RUF009

    def __post_init__(self) -> None:
        if hasattr(self.base, "params"):
            raise ValueError(
                f"base={self.base} is no prior on the parameters themselves; pass one such as "
                "FanIn or Normal."
            )

    def log_prob(self, params: Params) -> Float[Array, ""]:
        """Σ log p_base(v_n) + Σ_n [log p(τ_n) + log τ_n] of the variables.

        Raises:
            ValueError: These are not the variables.
        """
        unscaled, log_scales = _split(params)
        return self.base.log_prob(unscaled) + sum(
            (self.scale.log_prob_of_log(value) for value in log_scales.values()),
            start=jnp.zeros(()),
        )

    def params(self, variables: Params) -> dict[str, Float[Array, "..."]]:
        """The network's parameters τ_n·v_n.

        Raises:
            ValueError: These are not the variables.
        """
        unscaled, log_scales = _split(variables)
        return {name: jnp.exp(log_scales[name]) * value for name, value in unscaled.items()}

    def sample_variables(self, key: PRNGKeyArray, shapes: Shapes) -> dict[str, Float[Array, "..."]]:
        """One draw of all variables."""
        key_base, key_scale = jax.random.split(key)
        unscaled = self.base.sample(key_base, shapes)
        keys = jax.random.split(key_scale, len(shapes))
        scales = [self.scale.sample_log(k) for k in keys]
        return {f"{n}{_UNSCALED}": value for n, value in unscaled.items()} | {
            f"{n}{_LOG_SCALE}": value for n, value in zip(shapes, scales, strict=True)
        }

    def sample(self, key: PRNGKeyArray, shapes: Shapes) -> dict[str, Float[Array, "..."]]:
        """One draw of all parameters of the network."""
        return self.params(self.sample_variables(key, shapes))

    def distributions(self, shapes: Shapes) -> dict[str, Any]:
        """NumPyro's distribution of every variable."""
        base = distributions_of(self.base, shapes)
        return {f"{n}{_UNSCALED}": value for n, value in base.items()} | {
            f"{n}{_LOG_SCALE}": self.scale.log_distribution() for n in shapes
        }


@dataclass(frozen=True)
class WithNoise:
    """The variables of a prior, and the noise level σ of a likelihood beside them.

    The variable is log σ under ``"log_noise_std"``; its density includes the Jacobian.

    Attributes:
        prior: That of the network.
        noise: The distribution of σ.
    """

    prior: Prior
    noise: Scale

    def log_prob(self, params: Params) -> Float[Array, ""]:
        """The log density of the prior + log p(σ) + log σ."""
        return self.prior.log_prob(_without_noise(params)) + self.noise.log_prob_of_log(
            params[LOG_NOISE_STD]
        )

    def params(self, variables: Params) -> dict[str, Float[Array, "..."]]:
        """The network's parameters."""
        return params_of(self.prior)(_without_noise(variables))

    def sample_variables(self, key: PRNGKeyArray, shapes: Shapes) -> dict[str, Float[Array, "..."]]:
        """One draw of all variables."""
        key_prior, key_noise = jax.random.split(key)
        variables = _variables_of(self.prior, key_prior, shapes)
        return {**variables, LOG_NOISE_STD: self.noise.sample_log(key_noise)}

    def sample(self, key: PRNGKeyArray, shapes: Shapes) -> dict[str, Float[Array, "..."]]:
        """One draw of all parameters of the network."""
        return self.params(self.sample_variables(key, shapes))

    def distributions(self, shapes: Shapes) -> dict[str, Any]:
        """NumPyro's distribution of every variable."""
        return {
            **distributions_of(self.prior, shapes),
            LOG_NOISE_STD: self.noise.log_distribution(),
        }


def params_of(prior: Prior) -> Callable[[Any], Any]:
    """Variables → the network's parameters; the variables themselves where the prior is on those."""
    return getattr(prior, "params", _unchanged)


def sample_many(
    prior: Prior, key: PRNGKeyArray, shapes: Shapes, n: int
) -> dict[str, Float[Array, "n ..."]]:
    """``n`` independent draws with a leading axis; draw i does not depend on ``n``."""
    return _many(lambda key: prior.sample(key, shapes), key, n)


def sample_variables(
    prior: Prior, key: PRNGKeyArray, shapes: Shapes, n: int
) -> dict[str, Float[Array, "n ..."]]:
    """``n`` independent draws, like ``sample_many``, of what is sampled in place of parameters."""
    return _many(lambda key: _variables_of(prior, key, shapes), key, n)


def _many(
    draw_one: Callable[[PRNGKeyArray], dict[str, Array]], key: PRNGKeyArray, n: int
) -> dict[str, Array]:
    @jax.jit
    def draw(numbers: Array) -> dict[str, Array]:
        return jax.vmap(lambda i: draw_one(jax.random.fold_in(key, i)))(numbers)

    return draw(jnp.arange(n))


def _variables_of(prior: Prior, key: PRNGKeyArray, shapes: Shapes) -> dict[str, Array]:
    return getattr(prior, "sample_variables", prior.sample)(key, shapes)


def _unchanged(variables: Any) -> Any:
    return variables


def _without_noise(variables: Params) -> dict[str, Float[Array, "..."]]:
    if LOG_NOISE_STD not in variables:
        raise ValueError(
            f"the variables lack {LOG_NOISE_STD!r}, the noise level that is sampled with the "
            "network; start from posterior.draw_prior(key, n)."
        )
    return {name: value for name, value in variables.items() if name != LOG_NOISE_STD}


def _split(variables: Params) -> tuple[dict[str, Array], dict[str, Array]]:
    """Unscaled values and log scales of a hierarchical prior, both by parameter name."""
    unscaled, log_scales = (
        {n.removesuffix(end): value for n, value in variables.items() if n.endswith(end)}
        for end in (_UNSCALED, _LOG_SCALE)
    )
    if set(unscaled) != set(log_scales) or len(variables) != 2 * len(unscaled):
        raise ValueError(
            f"{sorted(variables)} are not the variables of a hierarchical prior, which are "
            f"'name{_UNSCALED}' and 'name{_LOG_SCALE}' for every parameter; start from "
            "posterior.draw_prior(key, n)."
        )
    return unscaled, log_scales


def distributions_of(prior: Any, shapes: Shapes) -> dict[str, Any]:
    """The prior's NumPyro distribution of every variable, by name.

    Raises:
        ValueError: The prior has no ``distributions``.
    """
    if not hasattr(prior, "distributions"):
        raise ValueError(
            f"{type(prior).__name__} does not say its NumPyro distributions; give it a method "
            "distributions(shapes) that returns one for every variable."
        )
    return prior.distributions(shapes)


def _normals(
    shapes: Shapes, stds: Mapping[str, float], means: Mapping[str, float] | None = None
) -> dict[str, Any]:
    # Importing NumPyro starts JAX, after which its devices cannot be chosen any more.
    from numpyro.distributions import Normal

    means = means or {}
    return {n: _shaped(Normal(means.get(n, 0.0), stds[n]), shape) for n, shape in shapes.items()}


def _shaped(distribution: Any, shape: tuple[int, ...]) -> Any:
    """The same NumPyro distribution for every entry, together one event."""
    return distribution.expand(shape).to_event(len(shape))


def _log_normal(
    params: Params, stds: Mapping[str, float], means: Mapping[str, float] | None = None
) -> Float[Array, ""]:
    """Σ_n [−½ Σ ((θ_n − mean_n)/std_n)² − size_n·log(std_n √(2π))].

    A constant inside the sum over entries makes it several times slower for many chains at once.
    """
    means = means or {}
    terms = [
        -0.5 * jnp.square((value - means.get(name, 0.0)) / stds[name]).sum()
        - value.size * math.log(stds[name] * math.sqrt(2 * math.pi))
        for name, value in params.items()
    ]
    return sum(terms, start=jnp.zeros(()))


def _sample_normal(
    key: PRNGKeyArray, shapes: Shapes, stds: Mapping[str, float]
) -> dict[str, Float[Array, "..."]]:
    standard = _unflatten(jax.random.normal(key, (_size(shapes),)), shapes)
    return {name: stds[name] * value for name, value in standard.items()}


def _unflatten(flat: Float[Array, " d"], shapes: Shapes) -> dict[str, Float[Array, "..."]]:
    """Cut one vector into named parameters; one call of the generator compiles much faster."""
    ends = list(accumulate(math.prod(shape) for shape in shapes.values()))
    starts = [0, *ends[:-1]]
    return {
        name: flat[start:end].reshape(shape)
        for (name, shape), start, end in zip(shapes.items(), starts, ends, strict=True)
    }


def _size(shapes: Shapes) -> int:
    return sum(math.prod(shape) for shape in shapes.values())


def _require_positive(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name}={value} gives a prior without density; pass a positive number.")
