"""Two tables of functions brought to one."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Num, UInt


@dataclass(frozen=True)
class Alignment:
    """The functions of two tables, each once, and where those of each table stand.

    Attributes:
        functions: Packed keys in rising order, shape (n_functions, n_words).
        rows_a: Row of each function of the first table.
        rows_b: Row of each function of the second.
    """

    functions: UInt[np.ndarray, "n_functions n_words"]
    rows_a: Int[np.ndarray, " n_a"]
    rows_b: Int[np.ndarray, " n_b"]

    @property
    def n_functions(self) -> int:
        """Functions in either table."""
        return len(self.functions)

    def a(self, values: Num[np.ndarray, "*batch n_a"]) -> Num[np.ndarray, "*batch n_functions"]:
        """Counts or weights of the first table in the common one, 0 where it lacks the function.

        Raises:
            ValueError: ``values`` has another length than the table.
        """
        return self._placed("first", values, self.rows_a)

    def b(self, values: Num[np.ndarray, "*batch n_b"]) -> Num[np.ndarray, "*batch n_functions"]:
        """The same for the second table.

        Raises:
            ValueError: ``values`` has another length than the table.
        """
        return self._placed("second", values, self.rows_b)

    def _placed(self, table: str, values: np.ndarray, rows: np.ndarray) -> np.ndarray:
        values = np.asarray(values)
        if values.ndim == 0 or values.shape[-1] != len(rows):
            raise ValueError(
                f"values has shape {values.shape} and the {table} table {len(rows)} functions; its last axis "
                "must be the functions."
            )
        placed = np.zeros((*values.shape[:-1], self.n_functions), values.dtype)
        placed[..., rows] = values
        return placed


def align(
    keys_a: UInt[np.ndarray, "n_a n_words"], keys_b: UInt[np.ndarray, "n_b n_words"]
) -> Alignment:
    """Merge two tables of packed keys.

    Args:
        keys_a: Keys, each once, in any order; the first word is the most significant.
        keys_b: The same of the other side.

    Raises:
        ValueError: A table is not of unsigned integers, has a key twice, or the words differ in
            number or type.
    """
    keys_a, keys_b = np.asarray(keys_a), np.asarray(keys_b)
    for name, keys in (("keys_a", keys_a), ("keys_b", keys_b)):
        if keys.ndim != 2 or not np.issubdtype(keys.dtype, np.unsignedinteger):
            raise ValueError(
                f"{name} has shape {keys.shape} and type {keys.dtype}; pass packed keys (n_functions, "
                "n_words) of unsigned integers."
            )
    if keys_a.shape[1] != keys_b.shape[1] or keys_a.dtype != keys_b.dtype:
        raise ValueError(
            f"keys_a has {keys_a.shape[1]} words of {keys_a.dtype} and keys_b {keys_b.shape[1]} of "
            f"{keys_b.dtype}; pack both sides on the same inputs."
        )
    both = np.concatenate([keys_a, keys_b])
    order = np.lexsort(both.T[::-1]) if len(both) else np.zeros(0, np.int64)
    new = np.ones(len(both), bool)
    new[1:] = (both[order][1:] != both[order][:-1]).any(axis=1)
    rows = np.empty(len(both), np.int64)
    rows[order] = np.cumsum(new) - 1
    found = Alignment(both[order[new]], rows[: len(keys_a)], rows[len(keys_a) :])
    for name, of_table in (("keys_a", found.rows_a), ("keys_b", found.rows_b)):
        n_twice = len(of_table) - len(np.unique(of_table))
        if n_twice:
            raise ValueError(
                f"{name} repeats {n_twice} of its keys; count each function in one row."
            )
    return found
