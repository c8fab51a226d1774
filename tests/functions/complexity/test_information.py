import zlib

import numpy as np
import pytest
from scipy import stats

from bayes_vs_sgd.functions import complexity


def test_entropy_is_that_of_the_shares() -> None:
    bits = np.array([[0, 0, 0, 0], [0, 1, 0, 1], [1, 0, 0, 0], [1, 1, 1, 1], [0, 1, 2, 3]])
    quarter = -0.25 * np.log2(0.25) - 0.75 * np.log2(0.75)
    np.testing.assert_allclose(complexity.entropy(bits), [0, 1, quarter, 0, 2], rtol=1e-14)


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_entropy_agrees_with_scipy(n_classes: int) -> None:
    bits = np.random.default_rng(0).integers(0, n_classes, (50, 30))
    shares = [np.bincount(row, minlength=n_classes) / 30 for row in bits]
    exact = [stats.entropy(share, base=2) for share in shares]
    np.testing.assert_allclose(complexity.entropy(bits), exact, rtol=1e-12)


def test_entropy_is_the_same_of_a_function_and_its_complement() -> None:
    bits = np.random.default_rng(0).integers(0, 2, (300, 31))
    np.testing.assert_array_equal(complexity.entropy(bits), complexity.entropy(1 - bits))


def test_compressed_size_is_that_of_zlib_without_header_and_checksum() -> None:
    bits = np.random.default_rng(0).integers(0, 2, (40, 128)).astype(np.uint8)
    bits[:10] &= bits[:10, :1]
    exact = [len(zlib.compress(row.tobytes(), 9)) - 6 for row in bits]
    assert complexity.compressed_size(bits.astype(bool)).tolist() == exact


def test_order_compresses() -> None:
    rng = np.random.default_rng(0)
    constant, periodic = np.zeros(128, dtype=int), np.tile([0, 0, 1, 1], 32)
    clustered, random = np.repeat(rng.integers(0, 2, 16), 8), rng.integers(0, 2, 128)
    sizes = complexity.compressed_size(np.stack([constant, periodic, clustered, random]))
    assert (np.diff(sizes) > 0).all()
