"""The prior's mass along one ray, exactly and in logarithms."""

import numpy as np
from jaxtyping import Float
from scipy.special import xlogy

# What lies this many nats below the highest point of the integrand is left out: e⁻⁴⁵ of the integral.
_DEPTH = 45.0
# The integrand is analytic and falls by that much at most: 96 nodes leave rounding alone.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(96)
_N_HALVINGS = 32
# A step of Newton's gains a factor e at least on the share of the mass that is left in a tail.
_N_STEPS, _PRECISION = 100, 1e-12
# Rays whose nodes are held at once.
_N_AT_ONCE = 4096

Rays = Float[np.ndarray, " n"]


def log_ray_integral(radius: Rays, slope: Rays, dimension: int) -> Rays:
    """The log of I(R, b) = ∫₀ᴿ r^{d−1} exp(−r²/2 − b·r) dr, by quadrature around the peak.

    A ray from z* along the unit vector u meets the density of N(0, I) as
    exp(−|z* + r·u|²/2) = exp(−|z*|²/2)·exp(−r²/2 − b·r), b = u·z*. The logarithm of the integrand,
    g(r) = (d − 1)·log r − r²/2 − b·r, is concave with its maximum on [0, R] at min(R, r̂),
    r̂ = (√(b² + 4(d − 1)) − b)/2; Gauss and Legendre's rule covers the interval on which g lies less
    than 45 nats below it. For b = 0 this is log[2^{d/2−1}·γ(d/2, R²/2)].

    Args:
        radius: R ≥ 0 of every ray; infinite where the ray never leaves.
        slope: b of every ray.
        dimension: d ≥ 1; 10⁵ and more are fine.

    Returns:
        The natural logarithms, −∞ where R = 0; their error is that of rounding g, some 10⁻¹⁶ of |g|.
    """
    radius, slope = (np.asarray(a, dtype=np.float64) for a in np.broadcast_arrays(radius, slope))
    parts = range(0, len(radius), _N_AT_ONCE)
    found = [
        _log_integral(radius[i : i + _N_AT_ONCE], slope[i : i + _N_AT_ONCE], dimension)
        for i in parts
    ]
    return np.concatenate(found) if found else np.zeros(0)


def radius_at(quantile: Rays, radius: Rays, slope: Rays, dimension: int) -> Rays:
    """The r with I(r, b) = q·I(R, b): the q-quantile of the ray's mass within R.

    Args:
        quantile: q in (0, 1) of every ray.
        radius: R > 0 of every ray.
        slope: b of every ray.
        dimension: d.
    """
    start, stop = _window(radius, slope, dimension)
    wanted = quantile * _integral(start, stop, radius, slope, dimension)
    peak = _peak(radius, slope, dimension)
    top = _log_integrand(peak, slope, dimension)
    # The mass is convex below the peak and concave above: from there Newton's steps never overshoot.
    found = peak
    for _ in range(_N_STEPS):
        gap = wanted - _integral(start, found, radius, slope, dimension)
        step = gap / np.exp(_log_integrand(found, slope, dimension) - top)
        found = np.clip(found + step, start, stop)
        if np.all(np.abs(step) <= _PRECISION * (stop - start)):
            break
    return found


def _log_integral(radius: Rays, slope: Rays, dimension: int) -> Rays:
    is_empty = radius == 0
    radius = np.where(is_empty, 1.0, radius)
    low, high = _window(radius, slope, dimension)
    top = _log_integrand(_peak(radius, slope, dimension), slope, dimension)
    found = top + np.log(_integral(low, high, radius, slope, dimension))
    return np.where(is_empty, -np.inf, found)


def _integral(low: Rays, high: Rays, radius: Rays, slope: Rays, dimension: int) -> Rays:
    """∫ exp(g(r) − g(peak)) dr from ``low`` to ``high``, the peak being that on [0, R]."""
    top = _log_integrand(_peak(radius, slope, dimension), slope, dimension)
    half = 0.5 * (high - low)
    nodes = low[:, None] + half[:, None] * (1 + _NODES)
    drops = _log_integrand(nodes, slope[:, None], dimension) - top[:, None]
    return half * (np.exp(drops) @ _WEIGHTS)


def _log_integrand(r: np.ndarray, slope: np.ndarray, dimension: int) -> np.ndarray:
    return xlogy(dimension - 1, r) - r * (0.5 * r + slope)


def _peak(radius: Rays, slope: Rays, dimension: int) -> Rays:
    """Where the integrand is largest on [0, R]; of its two equal forms each loses no digits for one sign of b."""
    root = np.sqrt(slope**2 + 4 * (dimension - 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        mode = np.where(slope > 0, 2 * (dimension - 1) / (root + slope), 0.5 * (root - slope))
    return np.minimum(radius, mode)


def _window(radius: Rays, slope: Rays, dimension: int) -> tuple[Rays, Rays]:
    """The part of [0, R] on which the integrand is no more than ``_DEPTH`` nats below its peak."""
    peak = _peak(radius, slope, dimension)
    least = _log_integrand(peak, slope, dimension) - _DEPTH
    below, above = np.zeros_like(peak), peak.copy()
    # g'' ≤ −1, so the right edge lies within √(2·depth) of the peak, or is R.
    inner, outer = peak.copy(), np.minimum(radius, peak + np.sqrt(2 * _DEPTH))
    for _ in range(_N_HALVINGS):
        middle = 0.5 * (below + above)
        falls = _log_integrand(middle, slope, dimension) < least
        below, above = np.where(falls, middle, below), np.where(falls, above, middle)
        middle = 0.5 * (inner + outer)
        falls = _log_integrand(middle, slope, dimension) < least
        inner, outer = np.where(falls, inner, middle), np.where(falls, middle, outer)
    return below, outer
