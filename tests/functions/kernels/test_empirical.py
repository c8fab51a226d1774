"""The tangent kernel of finite networks."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayes_vs_sgd.functions.kernels import empirical_ntk, output_mean

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(5, 3)), RNG.normal(size=(4, 3))
PARAMS = {"b": RNG.normal(size=4), "V": RNG.normal(size=(4, 2)), "W": RNG.normal(size=(3, 4))}
pytestmark = pytest.mark.usefixtures("float64")


def apply(params: Any, x: Any) -> Any:
    return jnp.tanh(x @ params["W"] + params["b"]) @ params["V"]


def whole(x: np.ndarray) -> np.ndarray:
    """The Jacobian of all rows, (n·out, parameters)."""
    found = jax.jacfwd(lambda p: apply(p, x))(PARAMS)
    return np.concatenate([np.asarray(found[n]).reshape(len(x) * 2, -1) for n in PARAMS], axis=1)


def test_a_linear_model_has_the_kernel_of_its_features() -> None:
    found = empirical_ntk(lambda p, x: x @ p["w"], {"w": np.zeros(3)}, X, Y)
    assert found.shape == (5, 1, 4, 1)
    np.testing.assert_allclose(found[:, 0, :, 0], X @ Y.T, rtol=1e-12)


@pytest.mark.parametrize("batch_size", [None, 2])
def test_it_is_the_product_of_jacobians_whatever_the_blocks(batch_size: int | None) -> None:
    found = empirical_ntk(apply, PARAMS, X, Y, batch_size=batch_size)
    np.testing.assert_allclose(found.reshape(10, 8), whole(X) @ whole(Y).T, rtol=1e-10)


def test_without_y_it_is_symmetric_and_its_output_mean_is_the_trace() -> None:
    found = empirical_ntk(apply, PARAMS, X)
    matrix = np.asarray(found.reshape(10, 10))
    np.testing.assert_allclose(matrix, matrix.T, rtol=1e-12)
    mean = (matrix[::2, ::2] + matrix[1::2, 1::2]) / 2
    np.testing.assert_allclose(output_mean(found), mean, rtol=1e-12)


def test_it_can_be_mapped_over_draws_of_the_parameters() -> None:
    draws = {name: np.stack([value, 2 * value]) for name, value in PARAMS.items()}
    found = jax.jit(jax.vmap(lambda p: empirical_ntk(apply, p, X, batch_size=2)))(draws)
    for i in range(2):
        alone = empirical_ntk(apply, {n: v[i] for n, v in draws.items()}, X)
        np.testing.assert_allclose(found[i], alone, rtol=1e-10)


def test_blocks_of_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="batch_size=0"):
        empirical_ntk(apply, PARAMS, X, batch_size=0)
