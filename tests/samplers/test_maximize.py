import jax.numpy as jnp
import numpy as np
import pytest

from bayes_vs_sgd import samplers


def test_the_map_of_linear_regression_is_the_ridge_solution(float64: None) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 3)), rng.normal(size=20)

    def log_density(w: object) -> object:
        return -0.5 * jnp.sum((y - x @ w) ** 2) / 0.3 - 0.5 * jnp.sum(w**2) / 2.0

    exact = np.linalg.solve(x.T @ x + 0.3 / 2 * np.eye(3), x.T @ y)
    found = samplers.maximize(log_density, rng.normal(size=(5, 3)), samplers.MAP(n_steps=3000))
    assert found.params.shape == (5, 1, 3)
    np.testing.assert_allclose(found.params[:, 0], np.tile(exact, (5, 1)), atol=1e-6)
    np.testing.assert_allclose(found.stats["lp"][:, 0], float(log_density(exact)), rtol=1e-9)
    assert found.stats["gradient_norm"].max() < 1e-4


def test_starts_find_their_own_maxima_and_say_how_high() -> None:
    found = samplers.maximize(
        lambda x: jnp.logaddexp(-((x - 2) ** 2), 1 - (x + 2) ** 2), jnp.array([1.0, -1.0])
    )
    np.testing.assert_allclose(found.params[:, 0], [2, -2], atol=1e-2)
    np.testing.assert_allclose(found.stats["lp"][:, 0], [0, 1], atol=1e-3)


def test_starts_unequal_in_number_are_refused() -> None:
    with pytest.raises(ValueError, match="leading"):
        samplers.maximize(lambda p: -(p["a"] ** 2), {"a": jnp.ones(2), "b": jnp.ones(3)})
