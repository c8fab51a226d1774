"""Function → how often it was found, counted exactly over any number of chunks, devices and runs."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8, UInt32

from ..types import Estimate
from .patterns import n_words, pack_bits, unpack

# Odd constants of splitmix64 (Steele, Lea & Flood 2014).
_MULTIPLIERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_STEP = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class FunctionCounts:
    """How often each function was found.

    Attributes:
        words: Packed patterns, each once, in rising order; shape (n_functions, n_words).
        counts: How often each was found.
        n_inputs: Inputs of a pattern.
        n_classes: Classes.
    """

    words: UInt32[np.ndarray, "n_functions words"]
    counts: Int[np.ndarray, " n_functions"]
    n_inputs: int
    n_classes: int = 2

    @classmethod
    def of(
        cls, words: UInt32[np.ndarray, "n words"], n_inputs: int, n_classes: int = 2
    ) -> "FunctionCounts":
        """Count packed patterns, in any order.

        Raises:
            ValueError: The patterns have another number of words than so many inputs take.
        """
        wanted = n_words(n_inputs, n_classes)
        if words.ndim != 2 or words.shape[1] != wanted:
            raise ValueError(
                f"patterns have shape {words.shape}; {n_inputs} inputs of {n_classes} classes take "
                f"{wanted} words each, (n, {wanted})."
            )
        found, counts = count_rows(words)
        return cls(found, counts, n_inputs, n_classes)

    @classmethod
    def empty(cls, n_inputs: int, n_classes: int = 2) -> "FunctionCounts":
        """Of no draws."""
        words = np.zeros((0, n_words(n_inputs, n_classes)), np.uint32)
        return cls(words, np.zeros(0, np.int64), n_inputs, n_classes)

    @classmethod
    def merged(cls, tables: Iterable["FunctionCounts"]) -> "FunctionCounts":
        """The counts of several tables together; exact in any order.

        Raises:
            ValueError: There is none, or their patterns are of different inputs or classes.
        """
        parts = list(tables)
        if not parts:
            raise ValueError("there are no tables to merge; pass at least one.")
        kinds = {(t.n_inputs, t.n_classes) for t in parts}
        if len(kinds) > 1:
            raise ValueError(
                f"the tables are of patterns of (inputs, classes) {sorted(kinds)}; merge those of one kind."
            )
        words = np.concatenate([t.words for t in parts])
        found, counts = count_rows(words, np.concatenate([t.counts for t in parts]))
        return cls(found, counts, *kinds.pop())

    @property
    def n_functions(self) -> int:
        """Different functions found."""
        return len(self.counts)

    @property
    def total(self) -> int:
        """Draws counted."""
        return int(self.counts.sum())

    @property
    def patterns(self) -> UInt8[np.ndarray, "n_functions n_inputs"]:
        """The class that each function gives to each input."""
        return unpack(self.words, self.n_inputs, self.n_classes)

    @property
    def probability(self) -> Estimate:
        """Share p of the draws of each function; sem √(p(1 − p)/n), for n independent draws.

        A function that was not found is not in the table; its probability is below 3/n at 95 %.
        """
        p = self.counts / max(self.total, 1)
        return Estimate(p, np.sqrt(p * (1 - p) / max(self.total, 1)))

    def mean_of(self, values: Float[np.ndarray, " n_functions"]) -> Estimate:
        """Mean over the draws of a property of functions; sem s/√n, s² = Σ(v − v̄)²/(n − 1).

        Args:
            values: v of each function, in the order of the table.

        Raises:
            ValueError: They are not as many as the functions.
        """
        values = np.asarray(values, np.float64)
        if values.shape != self.counts.shape:
            raise ValueError(
                f"values has shape {values.shape}; pass one for each of the {self.n_functions} functions."
            )
        n = max(self.total, 1)
        mean = float(values @ self.counts / n)
        variance = float((values - mean) ** 2 @ self.counts / max(n - 1, 1))
        return Estimate(mean, float(np.sqrt(variance / n)))

    def count_of(self, patterns: Int[np.ndarray, "m n_inputs"]) -> Int[np.ndarray, " m"]:
        """How often given functions were found, 0 where never.

        Raises:
            ValueError: They have another number of inputs.
        """
        patterns = np.asarray(patterns)
        if patterns.ndim != 2 or patterns.shape[1] != self.n_inputs:
            raise ValueError(
                f"patterns have shape {patterns.shape}; pass (m, {self.n_inputs}), one class an input."
            )
        places = find_rows(self.words, pack_bits(patterns, self.n_classes))
        return np.where(places >= 0, np.append(self.counts, 0)[places], 0)

    def largest(self, n: int) -> "FunctionCounts":
        """The ``n`` functions found most often, in the order of the table."""
        kept = np.sort(np.argsort(-self.counts, kind="stable")[:n])
        return FunctionCounts(self.words[kept], self.counts[kept], self.n_inputs, self.n_classes)

    def given(
        self, rows: Bool[np.ndarray, " n_inputs"], classes: Int[np.ndarray, " n_given"]
    ) -> "FunctionCounts":
        """The functions that give ``classes`` to the inputs of ``rows``, as patterns on the others.

        Of draws of the prior these are draws of the posterior under the 0/1 likelihood.

        Args:
            rows: True for the inputs that are conditioned on.
            classes: What they must have.

        Raises:
            ValueError: The rows are not as many as inputs, or not as many as the classes, or all.
        """
        rows, classes = np.asarray(rows, bool), np.asarray(classes)
        if rows.shape != (self.n_inputs,) or rows.sum() != len(classes):
            raise ValueError(
                f"rows has shape {rows.shape} with {int(rows.sum())} True, and there are {len(classes)} "
                f"classes; pass ({self.n_inputs},) with as many True as classes."
            )
        if rows.all():
            raise ValueError(
                "rows names every input, so that one function is left; leave some out."
            )
        patterns = self.patterns
        fits = (patterns[:, rows] == classes).all(axis=1)
        found, counts = count_rows(
            pack_bits(patterns[fits][:, ~rows], self.n_classes), self.counts[fits]
        )
        return FunctionCounts(found, counts, int((~rows).sum()), self.n_classes)

    def save(self, path: str | Path) -> None:
        """Write it as an ``.npz``."""
        np.savez(
            path,
            allow_pickle=False,
            words=self.words,
            counts=self.counts,
            n_inputs=self.n_inputs,
            n_classes=self.n_classes,
        )

    @classmethod
    def load(cls, path: str | Path) -> "FunctionCounts":
        """Read what ``save`` wrote."""
        with np.load(path, allow_pickle=False) as found:
            return cls(
                found["words"], found["counts"], int(found["n_inputs"]), int(found["n_classes"])
            )


class Counter:
    """Counts patterns chunk by chunk, in memory of the order of the functions found.

    Args:
        counts: What was counted before.
    """

    def __init__(self, counts: FunctionCounts) -> None:
        self._parts = [counts]

    def add(self, words: UInt32[np.ndarray, "n words"]) -> None:
        """Count some packed patterns."""
        like = self._parts[0]
        self._parts.append(FunctionCounts.of(words, like.n_inputs, like.n_classes))
        # Merging whenever the new parts are as many as the old keeps the work per pattern constant.
        if sum(t.n_functions for t in self._parts[1:]) > max(like.n_functions, 2**16):
            self._parts = [FunctionCounts.merged(self._parts)]

    def result(self) -> FunctionCounts:
        """All that was counted."""
        self._parts = [FunctionCounts.merged(self._parts)]
        return self._parts[0]


def count_rows(
    words: UInt32[np.ndarray, "n words"], counts: Int[np.ndarray, " n"] | None = None
) -> tuple[UInt32[np.ndarray, "m words"], Int[np.ndarray, " m"]]:
    """Equal rows put together: every row once, in rising order, and its count.

    Rows are sorted by a hash of 64 bits, which one pass over machine words does. Rows of one hash are
    then compared, and where two different ones have met the rows are sorted in full: the result
    is exact.

    Args:
        words: Rows.
        counts: What each counts; 1 by default.
    """
    words = np.ascontiguousarray(words, np.uint32)
    if len(words) == 0:
        return words, np.zeros(0, np.int64)
    order = np.argsort(_hash(words), kind="stable" if len(words) < 2**12 else None)
    ordered = words[order]
    hashes = _hash(ordered)
    new_hash = np.append(True, hashes[1:] != hashes[:-1])
    new_row = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))
    if (new_row & ~new_hash).any():
        order = _rising(words)
        ordered = words[order]
        new_row = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))
    firsts = np.flatnonzero(new_row)
    ones = np.ones(len(words), np.int64) if counts is None else np.asarray(counts, np.int64)
    found, sums = ordered[firsts], np.add.reduceat(ones[order], firsts)
    rising = _rising(found)
    return found[rising], sums[rising]


def find_rows(
    words: UInt32[np.ndarray, "n words"], wanted: UInt32[np.ndarray, "m words"]
) -> Int[np.ndarray, " m"]:
    """Where each wanted row stands among rising, different rows; −1 where it does not."""
    both = np.concatenate([words, wanted])
    order = np.lexsort([np.arange(len(both)), *both.T[::-1]])
    ordered = both[order]
    new = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))[: len(both)]
    first = order[np.flatnonzero(new)][np.cumsum(new) - 1]
    places = np.empty(len(both), np.int64)
    places[order] = np.where(first < len(words), first, -1)
    return places[len(words) :]


def _rising(words: UInt32[np.ndarray, "n words"]) -> Int[np.ndarray, " n"]:
    """The order in which rows rise: by their first two words in one pass, and ties by all of them."""
    first = words[:, 0].astype(np.uint64) << np.uint64(32)
    if words.shape[1] > 1:
        first |= words[:, 1]
    order = np.argsort(first)
    ordered = first[order]
    repeats = ordered[1:] == ordered[:-1]
    tied = np.append(False, repeats) | np.append(repeats, False)
    among = order[tied]
    order[tied] = among[np.lexsort(words[among].T[::-1])]
    return order


def _hash(words: UInt32[np.ndarray, "n words"]) -> np.ndarray:
    """64 bits of every row."""
    found = np.zeros(len(words), np.uint64)
    with np.errstate(over="ignore"):
        for column in words.T:
            found = (found + _STEP) ^ column.astype(np.uint64)
            for multiplier, shift in zip(_MULTIPLIERS, (30, 27), strict=True):
                found = (found ^ (found >> np.uint64(shift))) * multiplier
            found ^= found >> np.uint64(31)
    return found
