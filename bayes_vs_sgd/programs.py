"""Programs that are compiled once and found again by what they were made of."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any


@dataclass(frozen=True)
class Bound:
    """A function with its first arguments given.

    Equal where both are, as methods and what ``functools.partial`` makes are not: so programs of two
    posteriors, networks or priors that are made alike are found again.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]

    def __call__(self, *args: Any) -> Any:
        """The function of the arguments given and of these."""
        return self.function(*self.args, *args)


def found_again[R](n: int) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Keep the last ``n`` results of a function of positional arguments.

    Where an argument cannot be hashed, the function is called anew.
    """

    def decorate(function: Callable[..., R]) -> Callable[..., R]:
        kept = lru_cache(maxsize=n)(function)

        @wraps(function)
        def call(*args: Any) -> R:
            try:
                hash(args)
            except TypeError:
                return function(*args)
            return kept(*args)

        return call

    return decorate
