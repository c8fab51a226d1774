"""A sampler whose warm-up is kept among its draws."""

from dataclasses import dataclass

from .kernel import Kernel, Sampler, Target


@dataclass(frozen=True)
class WithWarmup:
    """``sampler`` with a warm-up of ``n_adapt`` iterations whose states are draws too.

    ``sample(…, WithWarmup(sampler, n), n_warmup=0, n_draws=n + m)`` makes the chains of
    ``sample(…, sampler, n_warmup=n, n_draws=m)`` and keeps all their states, to see how chains come
    from where they started to where they stay. The first n draws are none of the posterior.

    Attributes:
        sampler: Any sampler of chains.
        n_adapt: Iterations of its warm-up.
    """

    sampler: Sampler
    n_adapt: int

    @property
    def uses_gradient(self) -> bool:
        """Whether the sampler takes gradients."""
        return getattr(self.sampler, "uses_gradient", True)

    def kernel(self, target: Target, n_warmup: int) -> Kernel:
        """The sampler's kernel for a warm-up of ``n_adapt`` iterations.

        Raises:
            ValueError: There is another warm-up beside it.
        """
        if n_warmup:
            raise ValueError(
                f"n_warmup={n_warmup} would be a second warm-up beside n_adapt={self.n_adapt}; pass "
                "n_warmup=0."
            )
        return self.sampler.kernel(target, self.n_adapt)
