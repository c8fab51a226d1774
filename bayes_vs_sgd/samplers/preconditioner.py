"""A diagonal preconditioner from mini-batch gradients, estimated in the warm-up and then frozen."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from ..checks import require_positive, require_probability


class Scales(NamedTuple):
    """A preconditioner and what it is estimated from, in the shape of the parameters.

    Attributes:
        scale: √G.
        mean_square: v.
    """

    scale: Any
    mean_square: Any


@dataclass(frozen=True)
class RMSprop:
    """G = 1/(λ + √v), with v a running mean of squared gradients: v ← αv + (1 − α)(ĝ/n)².

    ĝ is the gradient of the log density estimate and n the number of rows, so that λ means the same
    for every n (Tieleman & Hinton 2012; Li et al. 2016). v begins at 1 and G so at about the
    identity: at a mode, where a chain may start, the first gradients are near 0, and G made from
    them alone would throw the chain far off.

    Attributes:
        decay: α in (0, 1): v forgets over about 1/(1 − α) iterations.
        damping: λ > 0, which limits G where gradients vanish.
    """

    decay: float = 0.99
    damping: float = 1e-5

    def __post_init__(self) -> None:
        require_probability("decay", self.decay, 0.99)
        require_positive("damping", self.damping)

    def start(self, params: Any) -> Scales:
        """The identity."""
        ones = jax.tree.map(jnp.ones_like, params)
        return Scales(ones, ones)

    def update(
        self,
        scales: Scales,
        gradient: Any,
        iteration: Int[Array, ""],
        *,
        n_warmup: int,
        n_rows: int,
    ) -> Scales:
        """The scales after one more gradient; those given from iteration ``n_warmup`` on."""
        if n_warmup == 0:
            return scales

        def learn(scales: Scales) -> Scales:
            new = jax.tree.map(
                lambda v, g: self.decay * v + (1 - self.decay) * (g / n_rows) ** 2,
                scales.mean_square,
                gradient,
            )
            return Scales(jax.tree.map(lambda v: (self.damping + jnp.sqrt(v)) ** -0.5, new), new)

        return jax.lax.cond(iteration < n_warmup, learn, lambda scales: scales, scales)
