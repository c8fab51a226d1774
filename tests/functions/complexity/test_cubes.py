import numpy as np
import pytest

from bayes_vs_sgd.functions.complexity.cubes import ABSENT, all_cubes, prime_implicants


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_cube_holds_the_inputs_with_its_digits(n: int) -> None:
    cubes = all_cubes(n)
    assert cubes.digits.shape == (3**n, n)
    assert len({tuple(digits) for digits in cubes.digits}) == 3**n
    for digits, inside in zip(cubes.digits, cubes.contains, strict=True):
        for i in range(2**n):
            spelt = [int(d) for d in f"{i:0{n}b}"]
            fits = all(d in (ABSENT, s) for d, s in zip(digits, spelt, strict=True))
            assert inside[i] == fits


def test_prime_implicants_are_the_largest_cubes_inside_the_function() -> None:
    """Of all 256 functions of three variables, by inclusion of sets of inputs."""
    tables = (np.arange(256)[:, None] >> np.arange(8) & 1).astype(bool)
    contains = all_cubes(3).contains
    inside = ~(contains[None] & ~tables[:, None]).any(axis=-1)
    larger = (contains[:, None] <= contains[None]).all(axis=-1) & ~np.eye(27, dtype=bool)
    prime = inside & ~(larger[None] & inside[:, None]).any(axis=-1)
    np.testing.assert_array_equal(prime_implicants(tables.reshape(256, 2, 2, 2)), prime)
    assert prime.sum() > 256
