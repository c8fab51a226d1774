"""Closed forms against the density that samplers see, the limit of training, and known answers."""

import itertools
from functools import cache

import arviz as az
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax.flatten_util import ravel_pytree
from scipy import stats
from torch import nn

from bayes_vs_sgd import (
    Dataset,
    Draws,
    Network,
    Posterior,
    averaging,
    conjugate,
    data,
    likelihoods,
    priors,
    samplers,
    sgd,
)
from bayes_vs_sgd.conjugate.features import unflatten
from bayes_vs_sgd.double_descent import theory
from models import MLP, NTK, Linear, RandomFeatures, lr_factors
from tests.conftest import within

RNG = np.random.default_rng(0)
X, X_NEW = RNG.normal(size=(12, 4)), RNG.normal(size=(5, 4))
Y, Y_TWO = RNG.normal(size=12), RNG.normal(size=(12, 2))
DATASET, TWO = Dataset(X, Y, X, Y), Dataset(X, Y_TWO, X, Y_TWO)
NOISE = likelihoods.Gaussian(0.6)
PRIOR = priors.FanIn(std=1.5, bias_std=0.7)


@cache
def random_features(width: int, out: int = 1, seed: int = 0) -> Network:
    return Network(RandomFeatures(4, width, out, seed=seed, bias=True), X.astype(np.float32))


@cache
def linear(n_features: int, width: int) -> Network:
    return Network(Linear(n_features, width), np.zeros((2, n_features), np.float32))


# Fewer parameters than targets, and more; one output, and two.
CASES = {
    "narrow": (random_features(5), DATASET),
    "wide": (random_features(30), DATASET),
    "two_outputs": (random_features(20, 2), TWO),
}


def design(network: Network, dataset: Dataset) -> np.ndarray:
    phi = conjugate.features(network, dataset.x_train)
    return phi.reshape(-1, phi.shape[-1])


def flat(network: Network, params: dict[str, np.ndarray], n_axes: int = 2) -> np.ndarray:
    return np.concatenate(
        [params[n].reshape(*params[n].shape[:n_axes], -1) for n in network.shapes], axis=-1
    )


def test_the_features_of_random_features_are_the_hidden_activations() -> None:
    network = random_features(7, 2)
    module = network.to_torch({n: np.zeros(s, np.float32) for n, s in network.shapes.items()})
    hidden = np.maximum(X @ module.projection.numpy().astype(float), 0)
    phi = conjugate.features(network, X)
    assert list(network.shapes) == ["readout.weight", "readout.bias"]
    assert phi.shape == (12, 2, 16)
    np.testing.assert_allclose(phi[:, 0, :7], hidden, atol=1e-12)
    np.testing.assert_allclose(phi[:, 1, 7:14], hidden, atol=1e-12)
    np.testing.assert_array_equal(phi[:, 0, 7:14], 0)
    np.testing.assert_array_equal(phi[:, :, 14:], np.broadcast_to(np.eye(2), (12, 2, 2)))


@pytest.mark.parametrize("name", CASES)
def test_features_times_parameters_are_the_networks_output(name: str, float64: None) -> None:
    network, dataset = CASES[name]
    params = {n: RNG.normal(size=s) for n, s in network.shapes.items()}
    outputs = np.asarray(network.apply(params, jnp.asarray(dataset.x_train)))
    phi = conjugate.features(network, dataset.x_train)
    np.testing.assert_allclose(phi @ flat(network, params, 0), outputs, atol=1e-10)


def test_a_network_that_is_not_made_by_torch_will_do() -> None:
    class Plain:
        shapes = {"slope": (4,)}  # noqa: RUF012

        def apply(self, params: dict, x: jax.Array) -> jax.Array:
            return x @ params["slope"]

    np.testing.assert_allclose(conjugate.features(Plain(), X)[:, 0], X, atol=1e-12)


class Shifted(nn.Module):
    """Affine in its parameters, not linear."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x) + 1


@pytest.mark.parametrize("module", [MLP(4, 3, 1), Shifted()], ids=["mlp", "shifted"])
def test_a_network_that_is_not_linear_is_refused(module: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"not linear in its parameters.*models\.Linear"):
        conjugate.features(Network(module, X.astype(np.float32)), X)


@pytest.mark.parametrize("name", CASES)
def test_minimum_norm_is_the_pseudo_inverse(name: str) -> None:
    network, dataset = CASES[name]
    found = conjugate.minimum_norm(network, dataset)
    phi = design(network, dataset)
    assert (found.n_chains, found.n_draws) == (1, 1)
    expected = np.linalg.pinv(phi) @ dataset.y_train.ravel()
    np.testing.assert_allclose(flat(network, found.params)[0, 0], expected, atol=1e-9)
    loss = ((dataset.y_train.ravel() - phi @ expected) ** 2).sum() / 12
    np.testing.assert_allclose(found.stats["train_loss"], [[loss]], atol=1e-12)


def test_repeated_features_share_what_one_of_them_explains() -> None:
    doubled = np.concatenate([X, X], axis=1)
    found = conjugate.minimum_norm(linear(8, 8), Dataset(doubled, Y, doubled, Y))
    alone = np.linalg.lstsq(X, Y)[0]
    weights = found.last["map.weight"][0, 0]
    np.testing.assert_allclose(weights, np.tile(alone / 2, 2), atol=1e-10)


def test_singular_values_below_rcond_are_cut() -> None:
    narrowed = X * [1, 1, 1, 1e-3]
    dataset = Dataset(narrowed, Y, narrowed, Y)
    found = conjugate.minimum_norm(linear(4, 4), dataset, rcond=0.01).last["map.weight"][0, 0]
    np.testing.assert_allclose(found, np.linalg.pinv(narrowed, rcond=0.01) @ Y, atol=1e-10)
    assert not np.allclose(found, np.linalg.pinv(narrowed) @ Y)


def test_every_start_goes_to_the_nearest_solution() -> None:
    network = random_features(30)
    start = {n: RNG.normal(size=(3, *s)) for n, s in network.shapes.items()}
    found = flat(network, conjugate.minimum_norm(network, DATASET, initial=start).last, 1)
    theta, phi = flat(network, start, 1), design(network, DATASET)
    expected = theta + (np.linalg.pinv(phi) @ (Y - theta @ phi.T).T).T
    np.testing.assert_allclose(found, expected, atol=1e-9)
    again = conjugate.minimum_norm(network, DATASET, initial=Draws({}, last=start))
    np.testing.assert_array_equal(flat(network, again.last, 1), found)


def test_a_solution_is_where_descent_from_it_ends() -> None:
    network = random_features(30)
    once = conjugate.minimum_norm(network, DATASET)
    twice = conjugate.minimum_norm(network, DATASET, initial=once)
    np.testing.assert_allclose(
        flat(network, twice.last, 1), flat(network, once.last, 1), atol=1e-10
    )


@pytest.mark.parametrize("factors", [None, {"readout.weight": 0.3, "readout.bias": 2.0}])
def test_full_batch_training_from_zero_and_elsewhere_ends_there(
    factors: dict[str, float] | None,
) -> None:
    network = random_features(40)
    few = Dataset(X[:4], Y[:4, None], X, Y[:, None])
    zero = {n: np.zeros((1, *s)) for n, s in network.shapes.items()}
    other = {n: RNG.normal(size=(1, *s)) for n, s in network.shapes.items()}
    start = {n: np.concatenate([zero[n], other[n]]) for n in zero}
    trained = sgd.train(
        network, few, n_seeds=2, initial=start, lr_factors=factors, likelihood=NOISE,
        optimizer=sgd.SGD(lr=0.012, momentum=0.9), max_epochs=6000, progress=False,
    )  # fmt: skip
    found = conjugate.minimum_norm(network, few, initial=start, lr_factors=factors)
    for name in network.shapes:
        np.testing.assert_allclose(trained.last[name], found.last[name], atol=1e-7)
    plain = conjugate.minimum_norm(network, few, initial=start)
    assert np.allclose(plain.last["readout.bias"], found.last["readout.bias"]) == (factors is None)


def test_one_function_is_found_in_two_parameterizations() -> None:
    """NTK's unit weights, at factor 1, take the steps that Standard's take at factor 1/width."""
    torch.manual_seed(0)
    modules = [
        RandomFeatures(4, 30, 1, bias=True),
        RandomFeatures(4, 30, 1, bias=True, parameterization=NTK()),
    ]
    networks = [Network(module, X.astype(np.float32)) for module in modules]
    few = Dataset(X[:5], Y[:5], X, Y)
    factors = [{"readout.weight": 1 / 30}, lr_factors(modules[1])]
    functions = [
        conjugate.features(network, X_NEW)[:, 0]
        @ flat(network, conjugate.minimum_norm(network, few, lr_factors=f).last, 1)[0]
        for network, f in zip(networks, factors, strict=True)
    ]
    np.testing.assert_allclose(functions[0], functions[1], atol=1e-9)


def test_training_on_an_orthogonal_design_shrinks_towards_it_as_the_theory_says() -> None:
    scales = np.array([1.0, 0.15])
    found = data.orthogonal(10, scales=scales, coefficients=[0.45, 3.0], seed=1)
    dataset = Dataset(
        *(a.astype(float) for a in (found.x_train, found.y_train[:, None])),
        *(a.astype(float) for a in (found.x_test, found.y_test[:, None])),
    )
    network = linear(2, 2)
    trained = sgd.train(
        network, dataset, n_seeds=1, initial={"map.weight": np.zeros((1, 1, 2))},
        likelihood=likelihoods.Gaussian(1.0), optimizer=sgd.SGD(lr=0.1, momentum=0.0),
        checkpoints=[12, 30, 486], max_epochs=486, progress=False,
    )  # fmt: skip
    limit = conjugate.minimum_norm(network, dataset).last["map.weight"][0, 0]
    for k, weights in zip((12, 30, 486), trained.params["map.weight"][0], strict=True):
        expected = limit * (1 - (1 - 0.1 * scales**2) ** k)
        np.testing.assert_allclose(weights[0], expected, rtol=1e-4)


TEMPERATURES = [0.3, 1.0, 4.0]


def both(name: str, temperature: float = 1.0) -> tuple[Network, conjugate.Conjugate, Posterior]:
    network, dataset = CASES[name]
    if dataset is DATASET:
        dataset = Dataset(X, Y[:, None], X, Y[:, None])
    exact = conjugate.posterior(network, dataset, NOISE, PRIOR, temperature=temperature)
    return network, exact, Posterior.of(network, dataset, NOISE, PRIOR, temperature=temperature)


def moments(exact: conjugate.Conjugate) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance in the textbook's form."""
    precision = exact.design.T @ exact.design / exact.noise_variance + np.diag(exact.stds**-2.0)
    covariance = np.linalg.inv(precision)
    return covariance @ exact.design.T @ exact.targets / exact.noise_variance, covariance


@pytest.mark.parametrize(
    ("name", "temperature"), list(zip(CASES, TEMPERATURES, strict=True)), ids=list(CASES)
)
def test_it_is_the_density_that_samplers_see(name: str, temperature: float, float64: None) -> None:
    """Value and gradient at the maximum, and the curvature everywhere: log densities are quadratic."""
    network, exact, posterior = both(name, temperature)
    maximum = exact.maximum()
    params = {n: jnp.asarray(v[0]) for n, v in maximum.last.items()}
    assert maximum.stats["lp"][0, 0] == pytest.approx(
        float(posterior.log_density(params)), rel=1e-10
    )
    gradient = jax.jit(jax.grad(posterior.log_density))(params)
    assert np.abs(ravel_pytree(gradient)[0]).max() < 1e-8
    assert maximum.stats["gradient_norm"].max() < 1e-8

    def of_theta(theta: jax.Array) -> jax.Array:
        return posterior.log_density(unflatten(theta, network.shapes))

    hessian = -jax.jit(jax.hessian(of_theta))(jnp.zeros(len(exact.stds)))
    mean, covariance = moments(exact)
    np.testing.assert_allclose(np.linalg.inv(hessian), covariance, atol=1e-9)
    np.testing.assert_allclose(flat(network, maximum.params)[0, 0], mean, atol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_the_evidence_is_that_of_the_marginal_normal(name: str) -> None:
    _, exact, _ = both(name)
    marginal = exact.design @ np.diag(exact.stds**2) @ exact.design.T + 0.36 * np.eye(
        len(exact.targets)
    )
    expected = stats.multivariate_normal.logpdf(exact.targets, cov=marginal)
    assert exact.log_evidence() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("name", CASES)
def test_prior_times_tempered_likelihood_over_the_posterior_is_the_evidence(
    name: str, temperature: float
) -> None:
    network, exact, _ = both(name, temperature)
    mean, covariance = moments(exact)
    draws = exact.draw(jax.random.key(0), n_chains=2, n_draws=3)
    theta = flat(network, draws.params).reshape(6, -1)
    log_posterior = stats.multivariate_normal.logpdf(theta, mean, covariance, allow_singular=False)
    np.testing.assert_allclose(
        draws.stats["lp"].ravel() - log_posterior, exact.log_evidence(), rtol=1e-8
    )


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("n_parameters", [1, 2])
def test_the_evidence_is_the_integral(n_parameters: int, temperature: float) -> None:
    x, y = X[:3, :n_parameters], Y[:3]
    exact = conjugate.posterior(
        linear(n_parameters, n_parameters), Dataset(x, y, x, y), NOISE, priors.Normal(0.8),
        temperature=temperature,
    )  # fmt: skip

    axis = np.linspace(-7, 7, 701)
    theta = np.stack(np.meshgrid(*[axis] * n_parameters), axis=-1).reshape(-1, n_parameters)
    likelihood = stats.norm.logpdf(y, theta @ x.T, 0.6).sum(axis=1)
    joint = np.exp(stats.norm.logpdf(theta, 0, 0.8).sum(axis=1) + likelihood / temperature)
    integral = joint.sum() * (axis[1] - axis[0]) ** n_parameters
    assert exact.log_evidence() == pytest.approx(np.log(integral), abs=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_draws_are_independent_and_have_the_posteriors_moments(name: str) -> None:
    network, exact, _ = both(name, 0.8)
    n = 20_000
    draws = exact.draw(jax.random.key(1), n_chains=2, n_draws=n // 2)
    mean, covariance = moments(exact)
    theta = flat(network, draws.params).reshape(n, -1)
    white = np.linalg.solve(np.linalg.cholesky(covariance), (theta - mean).T).T
    d = white.shape[1]
    within(white.mean(0), np.zeros(d), np.full(d, n**-0.5))
    within(white.T @ white / n, np.eye(d), np.where(np.eye(d, dtype=bool), 2**0.5, 1) / n**0.5)
    within((white[1:] * white[:-1]).mean(0), np.zeros(d), np.full(d, n**-0.5))
    assert draws.n_chains == 2
    for parameter, last in draws.last.items():
        np.testing.assert_array_equal(last, draws.params[parameter][:, -1])


def test_the_log_density_of_draws_is_the_posteriors(float64: None) -> None:
    _, exact, posterior = both("two_outputs", 0.8)
    draws = exact.draw(jax.random.key(2), n_chains=2, n_draws=3)
    for c, i in itertools.product(range(2), range(3)):
        one = {n: jnp.asarray(v[c, i]) for n, v in draws.params.items()}
        assert draws.stats["lp"][c, i] == pytest.approx(
            float(posterior.log_density(one)), rel=1e-10
        )


def test_a_key_gives_the_same_draws_again() -> None:
    _, exact, _ = both("wide")
    one, again, other = (
        exact.draw(jax.random.key(s), n_chains=1, n_draws=2).params["readout.weight"]
        for s in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)


@pytest.mark.parametrize("name", CASES)
def test_the_predictive_moments_are_those_of_the_parameters(name: str) -> None:
    network, exact, _ = both(name)
    mean, covariance = moments(exact)
    phi = conjugate.features(network, X_NEW)
    found_mean, found_variance = exact.predictive(X_NEW)
    np.testing.assert_allclose(found_mean, phi @ mean, atol=1e-9)
    expected = np.einsum("nop,pq,noq->no", phi, covariance, phi)
    np.testing.assert_allclose(found_variance, expected, rtol=1e-8)


def test_predictions_of_the_draws_average_to_the_maximum() -> None:
    """In a linear Gaussian model the BMA mean is the MAP."""
    network, exact, _ = both("wide")
    draws = exact.draw(jax.random.key(3), n_chains=1, n_draws=4000)
    of_draws = averaging.predict(network, draws, X_NEW, NOISE)[0, ..., 0]
    of_maximum = averaging.predict(network, exact.maximum(), X_NEW, NOISE)[0, 0, :, 0]
    mean, variance = (a[:, 0] for a in exact.predictive(X_NEW))
    np.testing.assert_allclose(of_maximum, mean, atol=1e-4)
    within(of_draws.mean(0), mean, (variance / 4000) ** 0.5)
    within(of_draws.var(0), variance, variance * (2 / 4000) ** 0.5)


def test_tempering_towards_zero_gives_minimum_norm_in_the_priors_metric() -> None:
    network, dataset = random_features(30), DATASET
    exact = conjugate.posterior(network, dataset, NOISE, PRIOR, temperature=1e-10)
    squares = {n: s**2 for n, s in priors.gaussian_stds(PRIOR, network.shapes).items()}
    limit = conjugate.minimum_norm(network, dataset, lr_factors=squares)
    np.testing.assert_allclose(
        flat(network, exact.maximum().last, 1), flat(network, limit.last, 1), atol=1e-6
    )


def test_hmc_agrees_with_the_closed_form() -> None:
    network, exact, posterior = both("narrow", 1.0)
    start = posterior.draw_prior(jax.random.key(4), 4)
    draws = samplers.sample(
        jax.random.key(5), posterior, start, samplers.HMC(n_leapfrog=20),
        n_warmup=300, n_draws=1000, progress=False,
    )  # fmt: skip
    theta = flat(network, {n: np.asarray(v) for n, v in draws.params.items()}).astype(float)
    mean, covariance = moments(exact)
    for j in range(theta.shape[-1]):
        values = theta[..., j]
        assert az.ess(values) > 400
        within(values.mean(), mean[j], az.mcse(values))
        centred = (values - mean[j]) ** 2
        within(centred.mean(), covariance[j, j], az.mcse(centred))


def test_a_draw_loses_twice_what_the_posterior_mean_loses() -> None:
    """Any exact posterior of a well-specified model: E‖draw − truth‖² = 2·E‖mean − truth‖²."""
    network = random_features(30)
    phi, ratio = design(network, DATASET), []
    stds = np.concatenate(
        [np.full(int(np.prod(s)), PRIOR.scale(s)) for s in network.shapes.values()]
    )
    for seed in range(400):
        rng = np.random.default_rng(seed)
        truth = stds * rng.normal(size=len(stds))
        y = phi @ truth + 0.6 * rng.normal(size=12)
        exact = conjugate.posterior(network, Dataset(X, y, X, y), NOISE, PRIOR)
        mean = flat(network, exact.maximum().last, 1)[0]
        draw = flat(network, exact.draw(jax.random.key(seed), n_chains=1, n_draws=1).last, 1)[0]
        ratio.append(((draw - truth) ** 2).sum() - 2 * ((mean - truth) ** 2).sum())
    within(np.mean(ratio), 0, np.std(ratio) / 400**0.5)


@pytest.mark.parametrize("p", [5, 20, 45, 80])
def test_least_squares_has_the_finite_sample_risk_of_the_theorem(p: int) -> None:
    """Away from the threshold of 30, where the mean over training sets has an error."""
    fits = [
        conjugate.minimum_norm(linear(80, p), data.isotropic(30, n_features=80, n_test=1, seed=s))
        for s in range(300)
    ]
    weights = np.stack([fit.last["map.weight"][0, 0] for fit in fits])
    risks = data.isotropic_risk(weights, n_features=80)
    within(risks.mean(), theory.minimum_norm_risk(p, 30, 80), risks.std() / 300**0.5)
    losses = np.array([fit.stats["train_loss"][0, 0] for fit in fits])
    exact = theory.minimum_norm_train_loss(p, 30, 80)
    within(losses.mean(), exact, losses.std() / 300**0.5 + 1e-12)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("ratio", [0.1, 1.0])
def test_ridge_has_the_excess_risk_of_the_asymptotics(gamma: float, ratio: float) -> None:
    """At λ = ratio·λ*: the prior is 1/√ratio times as wide as the truth. n = 100 is nearly infinite."""
    n, width, risks = 100, round(100 * gamma), []
    penalty = ratio * theory.optimal_penalty(gamma)
    for seed in range(16):
        exact = conjugate.posterior(
            linear(width, width),
            data.isotropic(n, n_features=width, n_test=1, seed=seed),
            likelihoods.Gaussian(0.5),
            priors.Normal(0.5 / (n * penalty) ** 0.5),
        )
        weights = exact.maximum().last["map.weight"][0, 0]
        risks.append(data.isotropic_risk(weights, n_features=width) - 0.25)
    limit = theory.ridge_excess_risk(gamma, penalty=penalty)
    within(np.mean(risks), limit, np.std(risks, ddof=1) / 16**0.5)


# Test MSE at 20, 55, 65, 100, 3000 random ReLU features, 60 repetitions, by an independent program.
WIDTHS = (20, 55, 65, 100, 3000)
RELU = {
    "minimum_norm": (0.475, 4.94, 4.64, 1.03, 0.430),
    "bma": (0.364, 0.248, 0.233, 0.213, 0.177),
    "draw": (0.434, 0.367, 0.378, 0.362, 0.377),
}


def relu_losses(width: int) -> dict[str, np.ndarray]:
    """Clean test MSE of 4 networks on 15 data sets each, shape (60,).

    60 rows of 10 normal inputs, noise of variance 0.2, and a target from the prior itself: a network
    of 1000 ReLUs with a read-out N(0, 2/1000). The prior is N(0, 2/width), He's.
    """
    losses: dict[str, list[np.ndarray]] = {name: [] for name in RELU}
    for v in range(4):
        module = RandomFeatures(10, width, 1, seed=1000 * width + v)
        network = Network(module, np.zeros((2, 10), np.float32))
        for s in range(15):
            rng = np.random.default_rng([v, s])
            x = rng.normal(size=(260, 10))
            inner = rng.normal(size=(10, 1000)) / 10**0.5
            clean = np.maximum(x @ inner, 0) @ rng.normal(size=1000) * (2 / 1000) ** 0.5
            y = clean[:60] + 0.2**0.5 * rng.normal(size=60)
            dataset = Dataset(x[:60], y, x[60:], clean[60:])
            exact = conjugate.posterior(
                network, dataset, likelihoods.Gaussian(0.2**0.5), priors.FanIn(std=2**0.5)
            )
            arms = {
                "minimum_norm": conjugate.minimum_norm(network, dataset),
                "bma": exact.maximum(),
                "draw": exact.draw(jax.random.key(15 * v + s), n_chains=1, n_draws=1),
            }
            phi = conjugate.features(network, dataset.x_test)[:, 0]
            for name, draws in arms.items():
                error = phi @ draws.last["readout.weight"][0, 0] - dataset.y_test
                losses[name].append((error**2).mean())
    return {name: np.array(values) for name, values in losses.items()}


@pytest.mark.slow
def test_random_relu_features_reproduce_the_known_numbers() -> None:
    """Both have the error of 60 repetitions; the peak is that of minimum norm alone."""
    found = {width: relu_losses(width) for width in WIDTHS}
    for name, known in RELU.items():
        values = np.array([found[width][name] for width in WIDTHS])
        sem = values.std(axis=1, ddof=1) / 60**0.5
        within(values.mean(axis=1), np.array(known), 2**0.5 * sem, k=4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"likelihood": likelihoods.Categorical()}, "has no conjugate prior"),
        ({"likelihood": likelihoods.Gaussian(likelihoods.HalfNormal())}, "no value here"),
        ({"prior": priors.TorchDefault()}, "is not normal"),
        ({"temperature": 0.0}, "temperature=0.0"),
        (
            {"dataset": Dataset(X, np.arange(12) % 2, X, np.arange(12) % 2, n_classes=2)},
            "2 classes",
        ),
        ({"dataset": TWO}, "y_train has 2 components a row and the network 1 outputs"),
    ],
)
def test_posteriors_without_a_closed_form_are_refused(changes: dict, message: str) -> None:
    arguments = {
        "network": random_features(5), "dataset": DATASET, "likelihood": NOISE, "prior": PRIOR,
    } | changes  # fmt: skip
    with pytest.raises(ValueError, match=message):
        conjugate.posterior(**arguments)


START = {"readout.weight": np.zeros((2, 1, 5)), "readout.bias": np.zeros((2, 1))}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"dataset": Dataset(X, np.arange(12) % 2, X, np.arange(12) % 2, n_classes=2)},
            "2 classes",
        ),
        ({"initial": {"readout.weight": np.zeros((2, 1, 5))}}, "initial holds"),
        ({"initial": 3}, "initial holds int"),
        ({"initial": START | {"readout.bias": np.zeros((3, 1))}}, r"has shape \(3, 1\)"),
        ({"lr_factors": {"wieght": 1.0}}, r"lr_factors names \['wieght'\]"),
        ({"lr_factors": {"readout.bias": -1.0}}, "=-1.0 is not possible"),
    ],
)
def test_starts_and_factors_of_another_network_are_refused(changes: dict, message: str) -> None:
    arguments = {"network": random_features(5), "dataset": DATASET} | changes
    with pytest.raises(ValueError, match=message):
        conjugate.minimum_norm(**arguments)


@pytest.mark.parametrize("changes", [{"n_chains": 0}, {"n_draws": 0}])
def test_no_draws_are_refused(changes: dict) -> None:
    _, exact, _ = both("narrow")
    with pytest.raises(ValueError, match=next(iter(changes))):
        exact.draw(jax.random.key(0), **({"n_chains": 1, "n_draws": 1} | changes))
