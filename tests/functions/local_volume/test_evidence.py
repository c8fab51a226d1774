"""Laplace's evidence where it is exact, where it is close, and where it says that it is neither."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayes_vs_sgd import Dataset, Posterior, conjugate, likelihoods, priors
from bayes_vs_sgd.functions.local_volume import laplace_evidence
from tests.conftest import within

KEY = jax.random.key(0)


class Linear:
    """f(x) = W·x + b with two outputs."""

    shapes = {"w": (2, 3), "b": (2,)}  # noqa: RUF012

    @staticmethod
    def apply(params: Any, x: Any) -> Any:
        return x @ params["w"].T + params["b"]


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_it_is_exact_for_the_bayesian_linear_model(temperature: float) -> None:
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))
    dataset = Dataset(x, x[:, :2] - x[:, 2:] + noise, x, noise)
    setting = (Linear(), dataset, likelihoods.Gaussian(0.7), priors.FanIn(2.0, bias_std=0.5))
    exact = conjugate.posterior(*setting, temperature=temperature)
    centre = {name: value[0, 0] for name, value in exact.maximum().params.items()}
    posterior = Posterior.of(*setting, temperature=temperature)
    found = laplace_evidence(KEY, posterior, centre, n_draws=50)
    # The posterior holds its rows in float32, and so does the reference not.
    assert found.log_evidence == pytest.approx(exact.log_evidence(), abs=1e-4)
    assert found.trusted, found
    assert found.effective_draws == pytest.approx(50, abs=1e-3)
    assert found.correction.value == pytest.approx(0, abs=1e-4)
    assert found.newton_decrement < 1e-8


def product(strength: float) -> Posterior:
    """Prior N(0, I) on (w₁, w₂) and the likelihood exp(−strength·(w₁w₂)²/2)."""
    return Posterior(
        priors.Normal(1.0).log_prob,
        lambda p, rows: -0.5 * rows * jnp.square(p["w"].prod()),
        jnp.full((1,), strength),
    )


def on_a_grid(posterior: Posterior, edge: float, n_steps: int) -> float:
    """Log Z of a density of two parameters, by equal steps from −edge to edge."""
    axis = np.linspace(-edge, edge, n_steps + 1)
    grid = jnp.asarray(np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2), jnp.float32)
    values = np.asarray(
        jax.lax.map(lambda w: posterior.log_density({"w": w}), grid, batch_size=4096)
    )
    top = values.max()
    return float(
        top + np.log(np.exp(np.float64(values - top)).sum()) + 2 * np.log(axis[1] - axis[0])
    )


def test_around_a_singular_point_it_is_wrong_and_says_so() -> None:
    posterior = product(400.0)
    found = laplace_evidence(KEY, posterior, {"w": jnp.zeros(2)}, n_draws=4000)
    exact = on_a_grid(posterior, 8, 1600)
    assert found.log_evidence == pytest.approx(0, abs=1e-6)
    assert exact < -1.5
    assert not found.trusted
    assert "singular" in str(found)
    within(found.log_evidence + found.correction.value, exact, found.correction.sem)


def test_a_saddle_has_no_approximation() -> None:
    posterior = Posterior(
        lambda p: jnp.zeros(()), lambda p, rows: rows * p["w"].prod(), jnp.ones(1)
    )
    found = laplace_evidence(KEY, posterior, {"w": jnp.zeros(2)})
    assert math.isnan(found.log_evidence)
    assert found.n_not_positive == 1
    assert "1 of 2 eigenvalues of the Hessian are not positive" in str(found)


def test_a_flat_direction_has_no_approximation() -> None:
    posterior = Posterior(
        lambda p: jnp.zeros(()), lambda p, rows: -rows * p["w"].sum() ** 2, jnp.ones(1)
    )
    found = laplace_evidence(KEY, posterior, {"w": jnp.zeros(2)})
    assert found.n_not_positive == 1
    assert math.isnan(found.correction.value)


def logistic(n: int) -> Posterior:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 2))
    y = (rng.uniform(size=n) < 1 / (1 + np.exp(-x @ [1.0, -0.5]))).astype(np.int32)
    likelihood = likelihoods.Bernoulli()
    return Posterior(
        priors.Normal(2.0).log_prob,
        lambda p, rows: likelihood.log_prob(rows[0] @ p["w"], rows[1]),
        (jnp.asarray(x, jnp.float32), jnp.asarray(y)),
    )


def maximum(posterior: Posterior) -> dict[str, jax.Array]:
    """Newton's steps to the maximum."""

    def step(w: jax.Array, _: None) -> tuple[jax.Array, None]:
        density = lambda w: posterior.log_density({"w": w})  # noqa: E731
        return w - jnp.linalg.solve(jax.hessian(density)(w), jax.grad(density)(w)), None

    return {"w": jax.jit(lambda w: jax.lax.scan(step, w, None, length=20)[0])(jnp.zeros(2))}


def test_its_error_for_a_regular_model_falls_with_the_rows_and_its_draws_know_it() -> None:
    errors = []
    for n in (30, 300):
        posterior = logistic(n)
        found = laplace_evidence(KEY, posterior, maximum(posterior), n_draws=2000)
        assert found.trusted, found
        exact = on_a_grid(posterior, 5, 120)
        errors.append(found.log_evidence - exact)
        within(found.log_evidence + found.correction.value, exact, found.correction.sem + 1e-4)
    assert abs(errors[1]) < abs(errors[0]) / 4


def test_a_point_that_is_no_maximum_is_not_trusted() -> None:
    posterior = logistic(300)
    centre = {"w": maximum(posterior)["w"] + 0.3}
    found = laplace_evidence(KEY, posterior, centre)
    assert found.newton_decrement > 1
    assert "the density still rises" in str(found)


def test_too_few_draws_are_refused() -> None:
    with pytest.raises(ValueError, match="n_draws=1"):
        laplace_evidence(KEY, product(1.0), {"w": jnp.zeros(2)}, n_draws=1)
