"""How chains around a centre are run, and the density that they sample."""

import math
from dataclasses import dataclass
from typing import get_args

from ...checks import require_count, require_positive
from ...posterior import Posterior
from ...priors import Shapes
from ...samplers import Sampler
from .localized import Localized, LossKind


@dataclass(frozen=True)
class LocalChains:
    """Settings of an estimate.

    Attributes:
        n_chains: Chains around each centre, all starting there, each with its own randomness.
        n_burn_in: Iterations left out of the average; samplers that adapt do so in them.
        n_draws: Draws kept of each chain.
        thin: Iterations a draw.
        inverse_temperature: β; None for 1/log n (Watanabe 2013).
        localization: γ ≥ 0. Directions of curvature h with nβh ≪ γ do not count.
        loss: ``"full"`` computes L_n over all rows at every draw; ``"batch"`` takes the loss of the
            batch that a mini-batch sampler has computed anyway.
        n_probes: Products with the Hessian for the bias of SGLD's step.
    """

    n_chains: int = 4
    n_burn_in: int = 500
    n_draws: int = 500
    thin: int = 1
    inverse_temperature: float | None = None
    localization: float = 1.0
    loss: LossKind = "full"
    n_probes: int = 16

    def __post_init__(self) -> None:
        require_count("n_chains", self.n_chains)
        require_count("n_burn_in", self.n_burn_in, least=0)
        # R-hat and ESS need halves of two.
        require_count("n_draws", self.n_draws, least=4)
        require_count("thin", self.thin)
        require_count("n_probes", self.n_probes, least=2)
        if self.inverse_temperature is not None:
            require_positive("inverse_temperature", self.inverse_temperature)
        if not 0 <= self.localization < math.inf:
            raise ValueError(
                f"localization={self.localization} is not possible; pass a number of at least 0."
            )
        if self.loss not in get_args(LossKind):
            raise ValueError(f"loss={self.loss!r} is unknown; pass 'full' or 'batch'.")

    def require_sampler(self, sampler: Sampler) -> None:
        """Refuse a sampler that does not compute the loss that is asked for.

        Raises:
            ValueError: It has no batches, and their loss is asked for.
        """
        if self.loss == "batch" and not hasattr(sampler, "batch_size"):
            raise ValueError(
                f"loss='batch' needs a sampler with batches, and {type(sampler).__name__} has none; "
                "pass loss='full'."
            )

    def target(self, posterior: Posterior, shapes: Shapes) -> Localized:
        """The density around a centre, with the likelihood and the data of a posterior.

        Args:
            posterior: Whose likelihood and data.
            shapes: Of the parameters by name.

        Raises:
            ValueError: There is one row and no inverse temperature.
        """
        n, beta = posterior.n_rows, self.inverse_temperature
        if beta is None:
            if n < 2:
                raise ValueError(
                    f"inverse_temperature=None means 1/log n, and n is {n}; pass a number."
                )
            beta = 1 / math.log(n)
        return Localized(
            posterior.log_prior,
            posterior.log_likelihood,
            posterior.data,
            temperature=1 / beta,
            micro_batch=posterior.micro_batch,
            localization=self.localization,
            shapes=tuple((name, tuple(shape)) for name, shape in shapes.items()),
        )
