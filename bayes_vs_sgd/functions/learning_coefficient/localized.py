"""The density around a centre that the learning coefficient is an average of, for every sampler."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ...conjugate.features import unflatten
from ...posterior import Posterior
from ...samplers import Kernel, Sampler

LossKind = Literal["full", "batch"]


@dataclass(frozen=True)
class Localized(Posterior):
    """p(w | w*) ∝ exp(−nβ·L_n(w) − (γ/2)·|w − w*|²), with the centre w* beside the position w.

    What is sampled is the tree ``{"centre": w*, "position": w}``, so that chains around different
    centres are one program; ``Around`` moves the position alone. Both are vectors, since in a loop
    one long array costs less than many short ones. β is 1/``temperature``.

    Attributes:
        localization: γ.
        shapes: (name, shape) of the parameters that ``log_likelihood`` takes, in their order in w.
    """

    localization: float = 1.0
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()

    def by_name(self, position: Float[Array, "*batch d"]) -> dict[str, Float[Array, "..."]]:
        """The parameters of w by name."""
        return unflatten(position, dict(self.shapes))

    def around(self, centre: Any) -> Posterior:
        """The density of the position for one centre."""

        def log_prior(position: Array) -> Float[Array, ""]:
            return -0.5 * self.localization * jnp.square(position - centre).sum()

        def log_likelihood(position: Array, data: Any) -> Float[Array, " n"]:
            return self.log_likelihood(self.by_name(position), data)

        return Posterior(
            log_prior,
            log_likelihood,
            self.data,
            temperature=self.temperature,
            micro_batch=self.micro_batch,
        )

    def log_density(self, params: Any) -> Float[Array, ""]:
        """−nβ·L_n(w) − (γ/2)·|w − w*|²."""
        return self.around(params["centre"]).log_density(params["position"])

    @property
    def n_beta(self) -> float:
        """nβ."""
        return self.n_rows / self.temperature

    def mean_loss(self, position: Float[Array, " d"]) -> Float[Array, ""]:
        """L_n(w) = −(1/n) Σ_i log p(data_i | w)."""
        return -self.total_log_likelihood(self.by_name(position)) / self.n_rows


class _Chain(NamedTuple):
    inner: Any
    centre: Array


@dataclass(frozen=True)
class Around:
    """Any sampler, moving the position of a ``Localized`` density and leaving its centre.

    The kept parameters are ``position`` and, for ``loss="full"``, ``loss``, L_n(w) over all rows; for
    ``loss="batch"`` the statistic ``batch_loss`` is the loss on the batch of the step, at the
    position before it.

    Attributes:
        sampler: What moves the position.
        loss: Which loss is computed.
    """

    sampler: Sampler
    loss: LossKind = "full"

    @property
    def target_acceptance(self) -> float | None:
        """The mean acceptance that the sampler's warm-up aims at; None without one."""
        return getattr(self.sampler, "target_acceptance", None)

    @property
    def uses_gradient(self) -> bool:
        """Whether the sampler differentiates."""
        return getattr(self.sampler, "uses_gradient", True)

    def kernel(self, target: Localized, n_warmup: int) -> Kernel:
        """The Markov kernel for one target and one length of warm-up."""

        def of(centre: Any) -> Kernel:
            return self.sampler.kernel(target.around(centre), n_warmup)

        def init(key: PRNGKeyArray, params: Any) -> _Chain:
            centre = params["centre"]
            return _Chain(of(centre).init(key, params["position"]), centre)

        def step(key: PRNGKeyArray, chain: _Chain, iteration: Array) -> tuple[_Chain, Any]:
            kernel = of(chain.centre)
            inner, stats = kernel.step(key, chain.inner, iteration)
            if self.loss == "batch":
                before = kernel.params(chain.inner)
                held = target.around(chain.centre).log_prior(before)
                batch_loss = (held - stats["lp_estimate"]) / target.n_beta
                stats = stats | {"batch_loss": batch_loss}
            return _Chain(inner, chain.centre), stats

        def params(chain: _Chain) -> Any:
            position = of(chain.centre).params(chain.inner)
            if self.loss == "batch":
                return {"position": position}
            return {"position": position, "loss": target.mean_loss(position)}

        return Kernel(init, step, params, of(None).together)
