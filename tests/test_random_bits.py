import jax
import numpy as np
import pytest

from bayes_vs_sgd.random_bits import random_bits


@pytest.mark.parametrize("n", [1, 7, 300_001])
@pytest.mark.parametrize("seed", [0, 5, 2**31])
def test_they_are_the_bits_of_jax(seed: int, n: int) -> None:
    for key in (jax.random.key(seed), jax.random.PRNGKey(seed), jax.random.key(seed, impl="rbg")):
        np.testing.assert_array_equal(random_bits(key, n), jax.random.bits(key, (n,)))


def test_every_key_of_many_has_its_own() -> None:
    keys = jax.random.split(jax.random.key(1), 5)
    found = jax.jit(jax.vmap(lambda key: random_bits(key, 9)))(keys)
    np.testing.assert_array_equal(found, [jax.random.bits(key, (9,)) for key in keys])
