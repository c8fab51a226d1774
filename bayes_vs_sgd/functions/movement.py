"""How far each parameter of a network has moved from its start."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ..types import Estimate


@dataclass(frozen=True)
class Movement:
    """How far one parameter moved: means over chains with their standard errors.

    Arrays along draws where there were several, and NaN for the error of a single chain.

    Attributes:
        frobenius: ‖W_t − W_0‖_F/‖W_0‖_F; infinite where W_0 = 0.
        spectral: ‖W_t − W_0‖₂/‖W_0‖₂, largest singular values of W as (out, everything else); the same as
            ``frobenius`` for a vector. In a hidden layer that learns features it stays of order 1 as the
            width grows, where ``frobenius`` vanishes (Yang, Simon & Bernstein 2023, arXiv 2310.17813).
        root_mean_square: √mean((W_t − W_0)²) over entries, which needs no scale.
        n_chains: Chains that were averaged.
        n_not_finite: Chains left out because a number in them is NaN or infinite.
    """

    frobenius: Estimate
    spectral: Estimate
    root_mean_square: Estimate
    n_chains: int
    n_not_finite: int


def movement(
    start: Mapping[str, Float[np.ndarray, "chain ..."]],
    end: Mapping[str, Float[np.ndarray, "chain ..."]],
) -> dict[str, Movement]:
    """How far each parameter moved, averaged over chains (seeds).

    Args:
        start: W_0 by name, each (chain, *shape).
        end: W_t by name, each (chain, *shape); or (chain, draw, *shape), such as ``Draws.params``, for
            one figure a draw (checkpoint).

    Returns:
        ``Movement`` by name, in the order of ``start``.

    Raises:
        ValueError: The names differ, a shape does not fit, or no chain is finite.
    """
    if set(start) != set(end):
        raise ValueError(
            f"start has the parameters {sorted(start)} and end {sorted(end)}; pass those of one network."
        )
    return {name: _moved(name, start[name], end[name]) for name in start}


def _moved(name: str, start: np.ndarray, end: np.ndarray) -> Movement:
    before, after = (np.asarray(a, dtype=np.float64) for a in (start, end))
    several = _has_draws(name, before, after)
    after = after if several else after[:, None]
    finite = _finite(before) & _finite(after)
    if not finite.any():
        raise ValueError(
            f"the parameter {name!r} is finite in no chain; lower the step size or learning rate."
        )
    before, after = before[finite][:, None], after[finite]
    # (chain, draw) each.
    norms = {kind: _norms(after - before, kind) for kind in ("fro", 2)}
    scales = {kind: _norms(before, kind) for kind in ("fro", 2)}
    size = max(1, before[0, 0].size)
    return Movement(
        _over_chains(_ratio(norms["fro"], scales["fro"]), several),
        _over_chains(_ratio(norms[2], scales[2]), several),
        _over_chains(norms["fro"] / np.sqrt(size), several),
        n_chains=int(finite.sum()),
        n_not_finite=int((~finite).sum()),
    )


def _has_draws(name: str, start: np.ndarray, end: np.ndarray) -> bool:
    """Whether ``end`` has an axis of draws behind that of chains."""
    if start.ndim and start.shape == end.shape:
        return False
    if start.ndim and end.ndim == start.ndim + 1 and end.shape[:1] + end.shape[2:] == start.shape:
        return True
    raise ValueError(
        f"start[{name!r}] has shape {start.shape} and end[{name!r}] {end.shape}; pass (chain, *shape), "
        "and for the end that or (chain, draw, *shape)."
    )


def _finite(values: np.ndarray) -> np.ndarray:
    return np.isfinite(values.reshape(len(values), -1)).all(axis=1)


def _norms(values: Float[np.ndarray, "chain draw ..."], kind: str | int) -> np.ndarray:
    """Norm of every parameter as a matrix (out, everything else), shape (chain, draw)."""
    n_rows = values.shape[2] if values.ndim > 3 else 1
    matrices = values.reshape(*values.shape[:2], n_rows, -1)
    return np.linalg.norm(matrices, ord=kind, axis=(2, 3))  # type: ignore[arg-type]


def _ratio(norms: np.ndarray, scales: np.ndarray) -> np.ndarray:
    scales = np.broadcast_to(scales, norms.shape)
    ratios = np.divide(norms, scales, out=np.full(norms.shape, np.inf), where=scales > 0)
    return np.where((norms == 0) & (scales == 0), 0.0, ratios)


def _over_chains(values: Float[np.ndarray, "chain draw"], several: bool) -> Estimate:
    n_chains = len(values)
    mean = values.mean(axis=0)
    sem = np.full(mean.shape, np.nan)
    known = np.isfinite(values).all(axis=0)
    if n_chains > 1:
        sem[known] = values[:, known].std(axis=0, ddof=1) / np.sqrt(n_chains)
    return Estimate(mean, sem) if several else Estimate(float(mean[0]), float(sem[0]))
