"""Learning coefficients whose value is known, in closed form or by quadrature."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayes_vs_sgd import Posterior, likelihoods, samplers
from bayes_vs_sgd.functions.learning_coefficient import (
    LearningCoefficient,
    LocalChains,
    learning_coefficient,
    learning_coefficients,
    quadratic_learning_coefficient,
    step_size_bias,
)
from tests.conftest import within

KEY = jax.random.key(7)
HMC = samplers.HMC(n_leapfrog=10)


def no_prior(params: Any) -> jax.Array:
    """The prior plays no part: whoever used it would fail."""
    raise AssertionError


def potential(loss: Any, data: Any) -> Posterior:
    """One row whose negative log likelihood is the loss: β is all of nβ."""
    return Posterior(
        no_prior, lambda p, rows: -jax.vmap(lambda row: loss(p, row))(rows), data[None]
    )


def bowl(p: Any, row: jax.Array) -> jax.Array:
    return 0.5 * (row * jnp.square(p["w"] - 3.0)).sum()


H = np.array([0.0, 0.1, 1.0, 10.0], np.float32)
BOWL = potential(bowl, jnp.asarray(H))
AT = {"w": jnp.full(4, 3.0)}
SETTINGS: dict[str, Any] = {"inverse_temperature": 100.0, "localization": 2.0}


def estimate(
    posterior: Posterior, centre: Any, sampler: samplers.Sampler, **settings: Any
) -> LearningCoefficient:
    chains = LocalChains(**settings)
    return learning_coefficient(KEY, posterior, centre, sampler, chains=chains, progress=False)


def agrees(found: LearningCoefficient, exact: float, bias: float = 0.0) -> None:
    """Converged, and within five Monte Carlo errors and a bias that is known."""
    assert found.rhat < 1.05
    assert found.ess > 200
    within(found.estimate.value, exact, found.estimate.sem + bias / 5)


def test_hmc_finds_the_closed_form_of_a_quadratic_loss_with_localization() -> None:
    found = estimate(BOWL, AT, HMC, n_draws=1000, **SETTINGS)
    agrees(found, quadratic_learning_coefficient(H, n_beta=100.0, localization=2.0))
    assert found.trusted, found
    assert found.step_size_bias is None
    assert found.acceptance is not None
    assert ((found.acceptance > 0.5) & (found.acceptance <= 1)).all()
    assert found.by_chain.mean() == pytest.approx(found.estimate.value, rel=1e-6)
    assert found.losses.shape == (4, 1000)
    assert found.loss_at_centre == 0


@pytest.mark.parametrize("loss", ["batch", "full"])
def test_sgld_has_the_law_of_its_steps_and_reports_their_bias(loss: str) -> None:
    """ε·a = 1 in the stiffest direction: a third more than without steps, by the known division."""
    step = 1e-3
    sampler = samplers.SGLD(step_size=step, batch_size=1)
    found = estimate(BOWL, AT, sampler, n_draws=2000, thin=20, loss=loss, **SETTINGS)
    at = {"n_beta": 100.0, "localization": 2.0}
    agrees(found, quadratic_learning_coefficient(H, **at, step_size=step))
    unbiased = quadratic_learning_coefficient(H, **at)
    assert found.estimate.value - unbiased > 4 * found.estimate.sem
    assert found.step_size_bias is not None
    # The Hessian is diagonal, so that random signs find its trace without error.
    expected = step_size_bias(H.sum(), n_beta=100.0, step_size=step)
    assert found.step_size_bias.value == pytest.approx(expected, rel=1e-5)
    assert found.acceptance is None


def test_the_burn_in_is_left_out_of_the_average() -> None:
    """The draws after a burn-in of 30 are the last of a run without one: SGLD adapts nothing."""
    sampler = samplers.SGLD(step_size=1e-3, batch_size=1)
    burnt = estimate(BOWL, AT, sampler, n_burn_in=30, n_draws=20, **SETTINGS)
    whole = estimate(BOWL, AT, sampler, n_burn_in=0, n_draws=50, **SETTINGS)
    np.testing.assert_allclose(burnt.losses, whole.losses[:, 30:], rtol=1e-4, atol=1e-6)
    assert burnt.estimate.value == pytest.approx(100 * whole.losses[:, 30:].mean(), rel=1e-4)


def singular(powers: tuple[int, int]) -> Posterior:
    """L = (w₁^{k₁} w₂^{k₂})²/2 as one row."""
    return potential(
        lambda p, row: row * jnp.square(p["w"][0] ** powers[0] * p["w"][1] ** powers[1]),
        jnp.full((), 0.5),
    )


def by_quadrature(powers: tuple[int, int], n_beta: float, localization: float) -> float:
    """nβ·E L under exp(−nβL − γ|w|²/2), on a grid of equal steps in the logarithms of |w|."""
    t = np.linspace(-30, 3, 1500)
    w = np.exp(t)
    loss = 0.5 * (w[:, None] ** powers[0] * w[None] ** powers[1]) ** 2
    square = w[:, None] ** 2 + w[None] ** 2
    weights = np.exp(-n_beta * loss - 0.5 * localization * square + t[:, None] + t[None])
    return float(n_beta * (weights * loss).sum() / weights.sum())


@pytest.mark.parametrize("powers", [(1, 1), (1, 2)])
def test_a_singular_point_has_the_coefficient_of_its_posterior(powers: tuple[int, int]) -> None:
    """Exact at finite nβ by quadrature; regular counting would say 1."""
    found = estimate(
        singular(powers), {"w": jnp.zeros(2)}, samplers.HMC(n_leapfrog=20),
        n_draws=2000, inverse_temperature=1e3, localization=1.0,
    )  # fmt: skip
    exact = by_quadrature(powers, 1e3, 1.0)
    agrees(found, exact)
    assert exact < 0.5


@pytest.mark.parametrize("powers", [(1, 1), (1, 2), (2, 3)])
def test_the_coefficient_of_a_singular_point_tends_to_the_theorems(
    powers: tuple[int, int],
) -> None:
    """min 1/(2k_j), from below: by (nβ)^{1/(2k₂) − 1/(2k₁)}, or for equal powers by 1/log(nβ)."""
    low, high = 1 / (2 * max(powers)), 1 / (2 * min(powers))
    gaps = [low - by_quadrature(powers, n_beta, 1.0) for n_beta in (1e6, 1e12)]
    if low == high:
        assert gaps[1] * np.log(1e12) == pytest.approx(1, rel=0.1)
    else:
        assert gaps[1] / gaps[0] == pytest.approx(1e6 ** (low - high), rel=0.2)
    assert gaps[0] > gaps[1] > 0


def regression(n: int = 500, d: int = 5) -> tuple[Posterior, dict[str, jax.Array], np.ndarray]:
    """Linear regression at its least squares, and the curvatures of its mean loss."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, d)) * np.linspace(0.7, 1.5, d)
    y = x @ np.arange(d) + rng.normal(size=n)
    likelihood = likelihoods.Gaussian(1.0)
    posterior = Posterior(
        no_prior,
        lambda p, rows: likelihood.log_prob(rows[0] @ p["w"], rows[1]),
        (jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32)),
    )
    best = np.linalg.lstsq(x, y)[0]
    return posterior, {"w": jnp.asarray(best, jnp.float32)}, np.linalg.eigvalsh(x.T @ x / n)


def test_a_regular_model_has_half_its_parameters() -> None:
    posterior, centre, curvatures = regression()
    found = estimate(posterior, centre, HMC, n_draws=1500, localization=0.1)
    assert found.n_beta == pytest.approx(500 / np.log(500))
    exact = quadratic_learning_coefficient(curvatures, n_beta=found.n_beta, localization=0.1)
    assert exact == pytest.approx(2.5, abs=5e-3)
    agrees(found, exact)


def test_mini_batches_add_less_than_independent_ones_would() -> None:
    """By ε·nβ·tr(H)/8 for the step and at most nβ/b times that for the noise of batches."""
    posterior, centre, curvatures = regression()
    step, size = 2e-3, 50
    sampler = samplers.SGLD(step_size=step, batch_size=size)
    found = estimate(
        posterior, centre, sampler, n_draws=4000, thin=10, localization=0.1, n_chains=8
    )
    settings = {"n_beta": found.n_beta, "localization": 0.1, "step_size": step}
    without_noise = quadratic_learning_coefficient(curvatures, **settings)
    bias = step_size_bias(curvatures.sum(), n_beta=found.n_beta, step_size=step)
    assert found.ess > 200
    assert found.estimate.value > without_noise - 4 * found.estimate.sem
    most = without_noise + 1.5 * found.n_beta / size * bias
    assert found.estimate.value < most + 4 * found.estimate.sem
    assert found.step_size_bias is not None
    within(found.step_size_bias.value, bias, found.step_size_bias.sem)


def test_many_centres_at_once_are_each_alone() -> None:
    """The first centre's chains have the keys of a run around it alone."""
    centres = {"w": jnp.stack([AT["w"], AT["w"] + 1, AT["w"] - 2])}
    sampler = samplers.SGLD(step_size=1e-3, batch_size=1)
    chains = LocalChains(n_chains=2, n_burn_in=5, n_draws=20, **SETTINGS)
    found = learning_coefficients(KEY, BOWL, centres, sampler, chains=chains, progress=False)
    alone = estimate(BOWL, AT, sampler, n_chains=2, n_burn_in=5, n_draws=20, **SETTINGS)
    assert len(found) == 3
    np.testing.assert_allclose(found[0].losses, alone.losses, rtol=1e-4, atol=1e-6)
    for i, shift in ((1, 1.0), (2, -2.0)):
        assert found[i].loss_at_centre == pytest.approx(0.5 * H.sum() * shift**2, rel=1e-5)
        assert found[i].last["w"].shape == (2, 4)
        # γ pulls to each centre's own place in the direction without curvature.
        assert abs(found[i].last["w"][:, 0] - 3 - shift).max() < 1


def test_a_centre_that_is_no_minimum_is_not_trusted() -> None:
    found = estimate(BOWL, {"w": AT["w"] + 2}, HMC, n_draws=300, **SETTINGS)
    assert found.estimate.value < 0
    assert "no minimum" in str(found)


def test_chains_that_blow_up_are_counted_and_left_out() -> None:
    sampler = samplers.SGLD(step_size=1.0, batch_size=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", samplers.StoppedChainWarning)
        found = estimate(BOWL, AT, sampler, n_draws=50, **SETTINGS)
    assert found.n_stopped == 4
    assert np.isnan(found.estimate.value)
    assert "4 of 4 chains ceased to be finite" in str(found)


def test_what_is_not_possible_is_refused() -> None:
    for settings, said in (
        ({"n_chains": 0}, "n_chains=0"),
        ({"n_draws": 3}, "n_draws=3"),
        ({"n_burn_in": -1}, "n_burn_in=-1"),
        ({"inverse_temperature": 0.0}, "inverse_temperature=0.0"),
        ({"localization": -1.0}, "localization=-1.0"),
        ({"loss": "some"}, "loss='some' is unknown"),
        ({"n_probes": 1}, "n_probes=1"),
    ):
        with pytest.raises(ValueError, match=said):
            LocalChains(**settings)
    with pytest.raises(ValueError, match="needs a sampler with batches"):
        estimate(BOWL, AT, HMC, loss="batch", **SETTINGS)
    with pytest.raises(ValueError, match="means 1/log n, and n is 1"):
        estimate(BOWL, AT, HMC)
    with pytest.raises(ValueError, match="batch_size=9 exceeds the 1 training rows"):
        estimate(BOWL, AT, samplers.SGLD(batch_size=9), **SETTINGS)
