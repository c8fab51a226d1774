"""How much chains of one quantity say of its mean: effective sample size, R-hat, standard error."""

import numpy as np
from jaxtyping import Float
from scipy import fft, stats

Trace = Float[np.ndarray, "chain draw"]


def effective_sample_size(trace: Trace) -> float:
    """The number of independent draws whose mean is as precise as that of all chains.

    Chains are split in halves. With W the mean variance within and V = W·(n − 1)/n + (variance of the
    means), ρ_t = 1 − (W − γ_t)/V, γ_t the mean autocovariance at lag t; the sums ρ_2t + ρ_{2t+1}
    are kept as long as they are positive, and made to decrease (Geyer 1992), and
    ESS = mn/τ, τ = −1 + 2Σ(ρ_2t + ρ_{2t+1}) ≥ 1/log₁₀(mn) (Vehtari et al. 2021, without ranks: it is
    the mean that is asked for).

    Args:
        trace: At least 4 finite draws of each chain.

    Returns:
        The ESS; NaN where no draw differs from another.
    """
    halves = _halves(trace)
    m, n = halves.shape
    covariances = _autocovariance(halves)
    within = covariances[:, 0].mean() * n / (n - 1)
    total = within * (n - 1) / n + (halves.mean(axis=1).var(ddof=1) if m > 1 else 0.0)
    if not total > 0:
        return np.nan
    rho = 1 - (within - covariances.mean(axis=0)) / total
    # γ is biased by (n − t)/n, whose variance at 0 is W·(n − 1)/n; lag 0 has ρ = 1.
    rho[0] = 1.0
    pairs = rho[: n - n % 2].reshape(-1, 2).sum(axis=1)
    negative = np.flatnonzero(pairs <= 0)
    # The last lags are of too few products.
    longest = max(1, (n - 3) // 2)
    last = min(longest, int(negative[0])) if len(negative) else longest
    # Of the first pair that is left out, the even one is still precise.
    rest = max(rho[2 * last], 0.0) if 2 * last < n else 0.0
    tau = -1 + 2 * np.minimum.accumulate(pairs[:last]).sum() + rest
    return float(m * n / max(tau, 1 / np.log10(m * n)))


def mean_error(trace: Trace) -> float:
    """The standard error of the mean of all draws: their standard deviation by √ESS."""
    return float(trace.std(ddof=1) / np.sqrt(effective_sample_size(trace)))


def rank_rhat(trace: Trace) -> float:
    """Rank-normalised split R-hat, the larger of bulk and tail (Vehtari et al. 2021).

    Args:
        trace: At least 4 finite draws of each chain.

    Returns:
        R-hat; NaN where no draw differs from another.
    """
    halves = _halves(trace)
    folded = np.abs(halves - np.median(halves))
    return max(_rhat(_rank_normal(halves)), _rhat(_rank_normal(folded)))


def _halves(trace: Trace) -> Trace:
    n = trace.shape[1] // 2
    return np.concatenate([trace[:, :n], trace[:, -n:]]).astype(np.float64)


def _rank_normal(halves: Trace) -> Trace:
    ranks = stats.rankdata(halves, axis=None).reshape(halves.shape)
    return stats.norm.ppf((ranks - 3 / 8) / (halves.size + 1 / 4))


def _rhat(halves: Trace) -> float:
    n = halves.shape[1]
    within = halves.var(axis=1, ddof=1).mean()
    between = halves.mean(axis=1).var(ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.sqrt((n - 1) / n + between / within))


def _autocovariance(halves: Trace) -> Float[np.ndarray, "chain lag"]:
    """(1/n) Σ_i (x_i − x̄)(x_{i+t} − x̄) at every lag."""
    n = halves.shape[1]
    centred = halves - halves.mean(axis=1, keepdims=True)
    size = fft.next_fast_len(2 * n)
    spectrum = np.abs(fft.rfft(centred, size, axis=1)) ** 2
    return fft.irfft(spectrum, size, axis=1)[:, :n] / n
