import jax
import numpy as np
import pytest
from scipy import stats

from bayes_vs_sgd.random_bits import random_bits, random_normals


@pytest.mark.parametrize("n", [1, 7, 300_001])
@pytest.mark.parametrize("seed", [0, 5, 2**31])
def test_they_are_the_bits_of_jax(seed: int, n: int) -> None:
    for key in (jax.random.key(seed), jax.random.PRNGKey(seed), jax.random.key(seed, impl="rbg")):
        np.testing.assert_array_equal(random_bits(key, n), jax.random.bits(key, (n,)))


def test_every_key_of_many_has_its_own() -> None:
    keys = jax.random.split(jax.random.key(1), 5)
    found = jax.jit(jax.vmap(lambda key: random_bits(key, 9)))(keys)
    np.testing.assert_array_equal(found, [jax.random.bits(key, (9,)) for key in keys])


def test_normals_have_the_normal_law_in_the_middle_and_in_the_tails() -> None:
    n = 2_000_001
    draws = np.asarray(random_normals(jax.random.key(3), n), np.float64)
    assert draws.shape == (n,)
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96), (6, 15, 10170)):
        assert abs((draws**power).mean() - moment) < 5 * np.sqrt(variance / n)
    assert stats.kstest(draws, "norm").pvalue > 1e-4
    for bound in (2.0, 3.0, 4.0):
        for tail in (draws > bound, draws < -bound):
            wanted = n * stats.norm.sf(bound)
            assert abs(tail.sum() - wanted) < 5 * np.sqrt(wanted)


def test_the_two_normals_of_a_pair_are_independent() -> None:
    n = 1_000_000
    draws = np.asarray(random_normals(jax.random.key(4), n), np.float64)
    first, second = draws[: n // 2], draws[n // 2 :]
    for f, g in ((np.sign, np.sign), (np.abs, np.abs), (np.square, np.square), (np.abs, np.sign)):
        assert abs(np.corrcoef(f(first), g(second))[0, 1]) < 5 / np.sqrt(n / 2)
    angle = np.arctan2(second, first)
    assert stats.kstest(angle, "uniform", args=(-np.pi, 2 * np.pi)).pvalue > 1e-4


def test_normals_depend_on_the_key_alone() -> None:
    key = jax.random.key(5)
    np.testing.assert_array_equal(
        random_normals(key, 11), jax.jit(lambda k: random_normals(k, 11))(key)
    )
    assert not np.array_equal(random_normals(key, 11), random_normals(jax.random.key(6), 11))
