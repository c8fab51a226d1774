"""Sensitivity against known functions, the Fourier formula and the definition by pairs of inputs."""

import functools

import numpy as np
import pytest
from scipy.linalg import hadamard

from bayes_vs_sgd.functions import complexity

N = range(1, 7)


def inputs(n: int) -> np.ndarray:
    """Row i spells i, the first variable first."""
    return np.array([[i >> (n - 1 - v) & 1 for v in range(n)] for i in range(2**n)])


def random_tables(n: int, n_classes: int = 2) -> np.ndarray:
    return np.random.default_rng(n).integers(0, n_classes, (30, 2**n))


def spectrum(tables: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """|T| and f̂(T)² of the functions with values ±1."""
    n_inputs = tables.shape[1]
    coefficients = (1 - 2 * tables) @ hadamard(n_inputs) / n_inputs
    return np.array([t.bit_count() for t in range(n_inputs)]), coefficients**2


@pytest.mark.parametrize("n", N)
def test_known_functions_have_their_sensitivity(n: int) -> None:
    x = inputs(n)
    parity, conjunction = x.sum(axis=1) % 2, x.all(axis=1)
    tables = np.stack([parity, conjunction, 0 * parity, *x.T])
    # The one input of AND's 1 has n sensitive bits, and n inputs have one each.
    exact = [n, 2 * n / 2**n, 0, *[1] * n]
    np.testing.assert_allclose(complexity.sensitivity(tables), exact, rtol=1e-14)


def test_the_majority_of_three_has_sensitivity_three_halves() -> None:
    majority = inputs(3).sum(axis=1) >= 2
    assert complexity.sensitivity(majority[None]).tolist() == [1.5]


@pytest.mark.parametrize("n", N)
def test_sensitivity_is_the_total_influence_of_the_fourier_coefficients(n: int) -> None:
    tables = random_tables(n)
    sizes, weights = spectrum(tables)
    np.testing.assert_allclose(complexity.sensitivity(tables), weights @ sizes, rtol=1e-12)


@pytest.mark.parametrize("n", N)
@pytest.mark.parametrize("noise", [0.03, 0.4, 0.9])
def test_noise_sensitivity_is_its_fourier_formula(n: int, noise: float) -> None:
    tables = random_tables(n)
    sizes, weights = spectrum(tables)
    exact = 0.5 - 0.5 * weights @ (1 - 2 * noise) ** sizes
    found = complexity.noise_sensitivity(tables, noise=noise)
    np.testing.assert_allclose(found, exact, atol=1e-14)


@pytest.mark.parametrize("n", [1, 3, 5])
def test_with_several_classes_both_are_sums_over_pairs_of_inputs(n: int) -> None:
    tables = random_tables(n, n_classes=4)
    differ = tables[:, :, None] != tables[:, None, :]
    distance = (inputs(n)[:, None] != inputs(n)[None]).sum(axis=-1)
    neighbours = (differ & (distance == 1)).sum(axis=(1, 2)) / 2**n
    np.testing.assert_allclose(complexity.sensitivity(tables), neighbours, rtol=1e-12)
    flip = functools.reduce(np.kron, [np.array([[0.8, 0.2], [0.2, 0.8]])] * n)
    exact = (differ * flip).sum(axis=(1, 2)) / 2**n
    found = complexity.noise_sensitivity(tables, noise=0.2)
    np.testing.assert_allclose(found, exact, atol=1e-14)


def test_the_three_noises_without_a_computation() -> None:
    """None; every bit flipped; y independent of x."""
    tables = random_tables(5)
    share = tables.mean(axis=1)
    for noise, exact in (
        (0.0, np.zeros(30)),
        (1.0, (tables != tables[:, ::-1]).mean(axis=1)),
        (0.5, 2 * share * (1 - share)),
    ):
        found = complexity.noise_sensitivity(tables, noise=noise)
        np.testing.assert_allclose(found, exact, atol=1e-14)


def test_little_noise_is_seen_in_proportion_to_the_sensitivity() -> None:
    tables = random_tables(6)
    found = complexity.noise_sensitivity(tables, noise=1e-6) / 1e-6
    np.testing.assert_allclose(found, complexity.sensitivity(tables), rtol=1e-4)


def test_noise_that_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match=r"noise=1\.5"):
        complexity.noise_sensitivity(random_tables(3), noise=1.5)
