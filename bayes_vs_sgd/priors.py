"""Prior distributions over named parameters: a log density, and draws to start from.

A prior is anything with ``log_prob(params)`` and ``sample(key, shapes)``. All of these are
independent over parameters. PyTorch's layout is assumed: a weight is (out, in, ...), so its fan-in
is the product of all axes but the first; a parameter with one axis or none is called a bias here.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Protocol

import jax
import jax.numpy as jnp
import jax.scipy.stats as stats
from jaxtyping import Array, Float, PRNGKeyArray

Params = Mapping[str, Float[Array, "..."]]
Shapes = Mapping[str, tuple[int, ...]]


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
        return sum(
            (stats.norm.logpdf(value, scale=self.std).sum() for value in params.values()),
            start=jnp.zeros(()),
        )

    def sample(self, key: PRNGKeyArray, shapes: Shapes) -> dict[str, Float[Array, "..."]]:
        """One draw of all parameters."""
        return _sample_normal(key, shapes, dict.fromkeys(shapes, self.std))


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
        return sum(
            (
                stats.norm.logpdf(value, scale=self.scale(value.shape)).sum()
                for value in params.values()
            ),
            start=jnp.zeros(()),
        )

    def sample(self, key: PRNGKeyArray, shapes: Shapes) -> dict[str, Float[Array, "..."]]:
        """One draw of all parameters."""
        return _sample_normal(key, shapes, {n: self.scale(shape) for n, shape in shapes.items()})


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
        terms = []
        for name, value in params.items():
            bound = self.bound(name, shapes)
            if self.family == "uniform":
                terms.append(stats.uniform.logpdf(value, -bound, 2 * bound).sum())
            else:
                terms.append(stats.norm.logpdf(value, scale=bound / math.sqrt(3)).sum())
        return sum(terms, start=jnp.zeros(()))

    def sample(self, key: PRNGKeyArray, shapes: Shapes) -> dict[str, Float[Array, "..."]]:
        """One draw of all parameters."""
        bounds = {name: self.bound(name, shapes) for name in shapes}
        if self.family == "normal":
            return _sample_normal(key, shapes, {n: b / math.sqrt(3) for n, b in bounds.items()})
        standard = _unflatten(jax.random.uniform(key, (_size(shapes),), minval=-1.0), shapes)
        return {name: bounds[name] * value for name, value in standard.items()}


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
        return sum(
            (
                stats.norm.logpdf(value, self.means.get(name, 0.0), self.stds[name]).sum()
                for name, value in params.items()
            ),
            start=jnp.zeros(()),
        )

    def sample(self, key: PRNGKeyArray, shapes: Shapes) -> dict[str, Float[Array, "..."]]:
        """One draw of all parameters.

        Raises:
            ValueError: The names are not those of ``stds``.
        """
        self._require_names(shapes)
        centred = _sample_normal(key, shapes, self.stds)
        return {name: self.means.get(name, 0.0) + value for name, value in centred.items()}

    def _require_names(self, given: Mapping[str, object]) -> None:
        missing, unknown = sorted(set(given) - set(self.stds)), sorted(set(self.stds) - set(given))
        if missing or unknown:
            raise ValueError(
                f"stds lacks {missing} and has unknown {unknown}; its names must be those of the "
                "network's parameters."
            )


def sample_many(
    prior: Prior, key: PRNGKeyArray, shapes: Shapes, n: int
) -> dict[str, Float[Array, "n ..."]]:
    """``n`` independent draws with a leading axis; draw i does not depend on ``n``."""

    @jax.jit
    def draw(numbers: Array) -> dict[str, Array]:
        return jax.vmap(lambda i: prior.sample(jax.random.fold_in(key, i), shapes))(numbers)

    return draw(jnp.arange(n))


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
