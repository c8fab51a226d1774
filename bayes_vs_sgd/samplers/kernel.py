"""What a sampler is: settings that build a Markov kernel, warm-up included."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from jaxtyping import Array, PRNGKeyArray

LogDensity = Callable[[Any], Array]
State = Any
Stats = dict[str, Array]


class Kernel(NamedTuple):
    """One Markov chain, to be vmapped over chains.

    Attributes:
        init: params → state.
        step: (key, state, iteration) → (state, statistics). Iterations below ``n_warmup`` adapt; all
            later ones leave the settings of the kernel as they are, so the chain is Markov.
        params: state → params.
    """

    init: Callable[[Any], State]
    step: Callable[[PRNGKeyArray, State, Array], tuple[State, Stats]]
    params: Callable[[State], Any]


class Sampler(Protocol):
    """A frozen dataclass of settings."""

    def kernel(self, log_density: LogDensity, n_warmup: int) -> Kernel:
        """The Markov kernel for one target and one length of warm-up."""
        ...
