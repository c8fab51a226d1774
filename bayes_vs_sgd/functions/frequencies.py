"""P_SGD(f | S): how often training ends in each function, among the runs that fit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from ..posterior import Applied
from ..types import Draws, Estimate
from .patterns import classify, pack
from .table import FunctionCounts, find_rows


def collect_patterns(
    network: Applied, inputs: Any, n_classes: int = 2
) -> Callable[[Any], dict[str, Array]]:
    """What ``sgd.train`` is to keep of a network in place of its parameters: its function.

    ``sgd.train(..., collect=collect_patterns(network, dataset.x_test))``: a million runs then take
    a few megabytes.

    Args:
        network: Anything with ``apply(params, x)``.
        inputs: Where functions are told apart.
        n_classes: Classes.
    """
    x = np.asarray(inputs)
    return lambda params: {
        "pattern": pack(classify(network.apply(params, jnp.asarray(x))), n_classes)
    }


@dataclass(frozen=True)
class FunctionFrequencies:
    """The functions of independent runs of SGD that reached zero training error.

    Attributes:
        words: Packed pattern of every run that fits, in the order of seeds.
        n_runs: Runs in all.
        n_unfit: Runs that ended with a training error above 0.
        n_failed: Runs whose loss ceased to be finite; not among the unfit.
        n_inputs: Inputs of a pattern.
        n_classes: Classes.
    """

    words: UInt32[np.ndarray, "n_fit words"]
    n_runs: int
    n_unfit: int
    n_failed: int
    n_inputs: int
    n_classes: int = 2

    @classmethod
    def merged(cls, parts: Sequence["FunctionFrequencies"]) -> "FunctionFrequencies":
        """Several sets of runs as one.

        Raises:
            ValueError: There is none, or their patterns are of different inputs or classes.
        """
        kinds = {(p.n_inputs, p.n_classes) for p in parts}
        if len(kinds) != 1:
            raise ValueError(
                f"the parts are of patterns of (inputs, classes) {sorted(kinds)}; merge those of one kind."
            )
        return cls(
            np.concatenate([p.words for p in parts]),
            sum(p.n_runs for p in parts),
            sum(p.n_unfit for p in parts),
            sum(p.n_failed for p in parts),
            *kinds.pop(),
        )

    @property
    def n_fit(self) -> int:
        """Runs with zero training error, which are what is counted."""
        return len(self.words)

    @property
    def counts(self) -> FunctionCounts:
        """How often each function was found."""
        return FunctionCounts.of(self.words, self.n_inputs, self.n_classes)

    @property
    def share_fit(self) -> Estimate:
        """Share of the runs that fit, with its binomial error."""
        p = self.n_fit / self.n_runs
        return Estimate(p, float(np.sqrt(p * (1 - p) / self.n_runs)))

    def shares(
        self, words: UInt32[np.ndarray, "n_functions words"], n_blocks: int
    ) -> Float[np.ndarray, "n_blocks n_functions"]:
        """Frequencies of given functions in consecutive blocks of runs, equal in size but for one.

        Args:
            words: Rising packed patterns, among them all that were found.
            n_blocks: Blocks; their spread is an error that presumes nothing.

        Raises:
            ValueError: There are fewer runs that fit than blocks.
        """
        if self.n_fit < n_blocks:
            raise ValueError(
                f"{self.n_fit} runs fit, fewer than n_blocks={n_blocks}; train more networks or longer."
            )
        found = np.zeros((n_blocks, len(words)))
        for block, mine in zip(found, np.array_split(self.words, n_blocks), strict=True):
            np.add.at(block, find_rows(words, mine), 1 / len(mine))
        return found


def sgd_probabilities(
    trained: Draws, n_inputs: int, n_classes: int = 2, *, draw: int = -1
) -> FunctionFrequencies:
    """P_SGD(f | S) of the runs of ``sgd.train`` that reached zero training error.

    Args:
        trained: Of ``sgd.train(..., collect=collect_patterns(network, x_test))``.
        n_inputs: Rows of ``x_test``.
        n_classes: Classes.
        draw: Which checkpoint; the end by default.

    Returns:
        The functions, and how many runs did not fit or failed: those are reported, not counted.

    Raises:
        ValueError: The draws hold no patterns.
    """
    if not isinstance(trained.params, dict) or set(trained.params) != {"pattern"}:
        raise ValueError(
            "the draws hold parameters, not patterns; pass collect=functions.collect_patterns(network, "
            "x_test) to sgd.train."
        )
    error = np.asarray(trained.stats["train_error"])[:, draw]
    words = np.asarray(trained.params["pattern"])[:, draw]
    failed = ~np.isfinite(error)
    running = np.zeros(len(error), bool)
    running[trained.running_chains()] = True
    failed |= ~running
    fits = (error == 0) & ~failed
    return FunctionFrequencies(
        words[fits].astype(np.uint32),
        len(error),
        int((~fits & ~failed).sum()),
        int(failed.sum()),
        n_inputs,
        n_classes,
    )
