from typing import Any

import jax
import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev

from bayes_vs_sgd import Dataset, Draws, Network, Posterior, likelihoods, priors, samplers, sgd
from bayes_vs_sgd.sgd.losses import negative_log_likelihood

RNG = np.random.default_rng(0)
N = 40
X = RNG.normal(size=(N, 5))
CLASSES = RNG.integers(0, 3, N)
REAL = X @ RNG.normal(size=(5, 1)) + 0.3 * RNG.normal(size=(N, 1))
CLASSIFIED = Dataset(X, CLASSES, X, CLASSES, n_classes=3)
REGRESSED = Dataset(X, REAL, X, REAL)
STD = 0.7
GAUSSIAN = likelihoods.Gaussian(STD)


def draws_of(network: Network, n_chains: int = 2, n_draws: int = 3, seed: int = 1) -> Draws:
    rng = np.random.default_rng(seed)
    return Draws({n: rng.normal(size=(n_chains, n_draws, *s)) for n, s in network.shapes.items()})


@pytest.fixture(scope="module")
def mlp() -> Network:
    module = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3))
    return Network(module, np.zeros((1, 5), np.float32))


@pytest.fixture(scope="module")
def linear() -> Network:
    return Network(nn.Linear(5, 1, bias=False), np.zeros((1, 5), np.float32))


def dense_hessians(
    network: Network, draws: Draws, dataset: Dataset, likelihood: likelihoods.Likelihood
) -> np.ndarray:
    """The Hessian of the mean loss by torch.func, shape (chain, draw, p, p)."""
    x, y = torch.from_numpy(dataset.x_train), torch.from_numpy(dataset.y_train)
    sizes = [int(np.prod(s)) for s in network.shapes.values()]

    def loss(flat: torch.Tensor, module: nn.Module) -> torch.Tensor:
        values = zip(network.shapes.items(), flat.split(sizes), strict=True)
        params = {n: v.reshape(s) for (n, s), v in values}
        outputs = functional_call(module, params, (x,))
        return negative_log_likelihood(likelihood, outputs, y).mean()

    def at(chain: int, draw: int) -> np.ndarray:
        module = network.to_torch({n: v[chain, draw] for n, v in draws.params.items()})
        flat = nn.utils.parameters_to_vector(module.parameters()).detach()
        return jacrev(jacrev(loss))(flat, module).numpy()

    return np.array([[at(c, d) for d in range(draws.n_draws)] for c in range(draws.n_chains)])


def effective_dimensions(hessians: np.ndarray, c: float) -> np.ndarray:
    eigenvalues = np.maximum(np.linalg.eigvalsh(N * hessians), 0)
    return (eigenvalues / (eigenvalues + c)).sum(-1)


def measure(network: Network, draws: Draws, **changes: Any) -> sgd.Sharpness:
    return sgd.sharpness(network, CLASSIFIED, draws, progress=False, **changes)


def test_linear_regression_has_its_closed_form(linear: Network) -> None:
    """H = XᵀX/(n·std²), whatever the weights are."""
    truth = X.T @ X / (N * STD**2)
    found = sgd.sharpness(
        linear, REGRESSED, draws_of(linear), likelihood=GAUSSIAN, n_eigenvalues=5,
        prior_precision=7.0, progress=False,
    )  # fmt: skip
    eigenvalues = np.linalg.eigvalsh(truth)[::-1]
    assert found.is_exact
    np.testing.assert_allclose(found.trace.value, np.full((2, 3), np.trace(truth)), rtol=1e-10)
    np.testing.assert_allclose(found.eigenvalues, np.tile(eigenvalues, (2, 3, 1)), rtol=1e-10)
    expected = np.sum(N * eigenvalues / (N * eigenvalues + 7.0))
    np.testing.assert_allclose(found.effective_dimension.value, expected, rtol=1e-10)
    np.testing.assert_array_equal(found.trace.sem, 0)
    np.testing.assert_array_equal(found.effective_dimension.sem, 0)


def test_the_gradient_noise_of_linear_regression_has_its_closed_form(linear: Network) -> None:
    """g_i = x_i(x_iᵀw − y_i)/std², so all is told by an (n, 5) matrix."""
    draws = draws_of(linear)
    found = sgd.sharpness(linear, REGRESSED, draws, likelihood=GAUSSIAN, progress=False)
    for chain, draw in np.ndindex(2, 3):
        gradients = X * (X @ draws.params["weight"][chain, draw].T - REAL) / STD**2
        variance = np.trace(np.cov(gradients.T))
        others = np.sum(gradients @ gradients.T) - np.sum(gradients**2)
        signal = others / (N * (N - 1))
        assert found.gradient_variance.value[chain, draw] == pytest.approx(variance)
        assert found.gradient_norm_squared.value[chain, draw] == pytest.approx(signal)
        assert found.noise_scale.value[chain, draw] == pytest.approx(variance / signal)


def test_the_numbers_of_an_mlp_are_those_of_its_dense_hessian(mlp: Network) -> None:
    draws = draws_of(mlp)
    truth = dense_hessians(mlp, draws, CLASSIFIED, likelihoods.Categorical())
    found = measure(mlp, draws, n_eigenvalues=4, prior_precision=2.0, batch_size=7)
    eigenvalues = np.linalg.eigvalsh(truth)
    np.testing.assert_allclose(found.trace.value, np.trace(truth, axis1=2, axis2=3), rtol=1e-9)
    np.testing.assert_allclose(found.eigenvalues, eigenvalues[..., :-5:-1], rtol=1e-9)
    expected = effective_dimensions(truth, 2.0)
    np.testing.assert_allclose(found.effective_dimension.value, expected, rtol=1e-9)
    assert eigenvalues.min() < -1e-3  # the case that counts as 0


def test_beyond_the_exact_size_lanczos_finds_the_same(mlp: Network) -> None:
    """With as many steps as parameters only the probes are random."""
    draws = draws_of(mlp, 1, 2)
    truth = dense_hessians(mlp, draws, CLASSIFIED, likelihoods.Categorical())
    found = measure(
        mlp, draws, n_eigenvalues=3, n_exact=0, n_probes=40, n_lanczos=57, batch_size=16
    )
    assert not found.is_exact
    np.testing.assert_allclose(found.eigenvalues, np.linalg.eigvalsh(truth)[..., :-4:-1], rtol=1e-6)
    z = (found.effective_dimension.value - effective_dimensions(truth, 1.0)) / (
        found.effective_dimension.sem
    )
    assert np.abs(z).max() < 5
    assert (found.trace.sem > 0).all()


def test_few_steps_of_lanczos_come_close(mlp: Network) -> None:
    draws = draws_of(mlp, 1, 1)
    settings: dict[str, Any] = {"n_exact": 0, "n_probes": 10}
    few, all_of_them = (measure(mlp, draws, n_lanczos=n, **settings) for n in (15, 57))
    assert few.trace.value == pytest.approx(all_of_them.trace.value, rel=1e-9)
    assert few.effective_dimension.value == pytest.approx(
        all_of_them.effective_dimension.value, rel=0.05
    )


def z_scores(found: sgd.Sharpness, truth: np.ndarray, name: str) -> np.ndarray:
    estimate = getattr(found, name)
    return ((estimate.value - truth) / estimate.sem).ravel()


def test_the_error_bars_over_probes_are_right() -> None:
    """80 independent estimates for one network: their z-scores are of unit spread."""
    x = np.random.default_rng(3).normal(size=(N, 8))
    network = Network(nn.Linear(8, 1, bias=False), np.zeros((1, 8), np.float32))
    many = Draws({"weight": np.ones((1, 80, 1, 8))})
    found = sgd.sharpness(
        network, Dataset(x, REAL, x, REAL), many, likelihood=GAUSSIAN, n_exact=0, n_probes=20,
        n_lanczos=8, progress=False,
    )  # fmt: skip
    eigenvalues = np.linalg.eigvalsh(x.T @ x) / STD**2
    truth = {
        "trace": eigenvalues.sum() / N,
        "effective_dimension": np.sum(eigenvalues / (eigenvalues + 1)),
    }
    for name, expected in truth.items():
        z = z_scores(found, expected, name)
        assert len(np.unique(z)) == 80
        assert abs(z.mean()) < 4 / np.sqrt(80), name
        assert 0.85 < z.std() < 1.25, name


def test_the_error_bars_over_rows_are_right(linear: Network) -> None:
    """Rows of the same population 300 times over, against what it is on 200 000 of them."""
    rng = np.random.default_rng(5)
    weight = np.full((1, 5), 0.2)

    def rows(n: int) -> tuple[np.ndarray, np.ndarray]:
        x = rng.normal(size=(n, 5))
        return x, x.sum(1, keepdims=True) + rng.normal(size=(n, 1))

    x, y = rows(200_000)
    gradients = x * (x @ weight.T - y)
    variance = np.trace(np.cov(gradients.T))
    signal = np.sum(gradients.mean(0) ** 2) - variance / len(x)
    truth = {
        "gradient_variance": variance,
        "gradient_norm_squared": signal,
        "noise_scale": variance / signal,
    }
    draws = Draws({"weight": weight[None, None]})
    likelihood = likelihoods.Gaussian(1.0)
    found = [
        sgd.sharpness(
            linear, Dataset(*rows(150), x, y), draws, likelihood=likelihood, progress=False
        )
        for _ in range(300)
    ]
    for name, expected in truth.items():
        z = np.concatenate([z_scores(f, expected, name) for f in found])
        assert abs(z.mean()) < 0.4, name
        assert 0.85 < z.std() < 1.35, name


def test_at_a_minimum_the_noise_scale_is_infinite(linear: Network) -> None:
    """There |S|² is 0, so that the unbiased |G|² is −tr Σ/n."""
    best = np.linalg.lstsq(X, REAL, rcond=None)[0].T
    found = sgd.sharpness(
        linear, REGRESSED, Draws({"weight": best[None, None]}), likelihood=GAUSSIAN, progress=False
    )
    assert np.isposinf(found.noise_scale.value).all()
    assert np.isposinf(found.noise_scale.sem).all()
    np.testing.assert_allclose(
        found.gradient_norm_squared.value, -found.gradient_variance.value / N, rtol=1e-9
    )


def test_weight_norms_are_those_of_the_parameters(mlp: Network) -> None:
    draws = draws_of(mlp)
    found = measure(mlp, draws)
    for name, value in draws.params.items():
        expected = np.sqrt((value.reshape(2, 3, -1) ** 2).sum(-1))
        np.testing.assert_allclose(found.weight_norms[name], expected)
    whole = np.sqrt(sum(norm**2 for norm in found.weight_norms.values()))
    np.testing.assert_allclose(found.weight_norm, whole)


@pytest.mark.parametrize("n_exact", [0, 1000])
def test_networks_that_are_not_finite_are_nan_and_change_no_other(
    mlp: Network, n_exact: int
) -> None:
    draws = draws_of(mlp)
    settings: dict[str, Any] = {"n_exact": n_exact, "n_probes": 3, "n_lanczos": 4}
    whole = measure(mlp, draws, **settings)
    draws.params["2.bias"][1, 0, 1] = np.inf
    draws.params["2.weight"][0, 2] *= 1e200  # its loss is finite and its |g|² is not
    found = measure(mlp, draws, **settings)
    is_bad = np.zeros((2, 3), bool)
    is_bad[1, 0] = is_bad[0, 2] = True
    for before, after in [
        (whole.trace.value, found.trace.value),
        (whole.noise_scale.sem, found.noise_scale.sem),
        (whole.eigenvalues[..., 0], found.eigenvalues[..., 0]),
    ]:
        np.testing.assert_array_equal(np.isnan(after), is_bad)
        np.testing.assert_array_equal(after[~is_bad], before[~is_bad])
    np.testing.assert_array_equal(np.isnan(found.weight_norm), [[0, 0, 0], [1, 0, 0]])


def test_a_flat_loss_has_no_curvature(mlp: Network) -> None:
    """Dead units and a saturated output: every derivative is 0."""
    draws = Draws({n: np.zeros((1, 1, *s)) for n, s in mlp.shapes.items()})
    draws.params["2.bias"][0, 0, 0] = 1e4
    dataset = Dataset(X, np.zeros(N, int), X, np.zeros(N, int), n_classes=3)
    found = sgd.sharpness(mlp, dataset, draws, n_exact=0, n_probes=2, progress=False)
    assert found.eigenvalues.item() == found.trace.value.item() == 0
    assert found.effective_dimension.value.item() == 0


def test_probes_derive_from_the_seed_and_the_place_alone(mlp: Network) -> None:
    draws = draws_of(mlp)
    first = Draws({n: v[:1, :2] for n, v in draws.params.items()})
    settings: dict[str, Any] = {"n_exact": 0, "n_probes": 3, "n_lanczos": 5}
    whole, part = measure(mlp, draws, **settings), measure(mlp, first, **settings)
    np.testing.assert_array_equal(whole.trace.value[:1, :2], part.trace.value)
    other = measure(mlp, first, seed=1, **settings)
    assert (other.trace.value != part.trace.value).all()


def test_trained_and_sampled_networks_are_measured_alike(mlp: Network) -> None:
    """In float32, as both sides work."""
    x = X.astype(np.float32)
    dataset = Dataset(x, CLASSES, x, CLASSES, n_classes=3)
    start = {n: v[:, 0].astype(np.float32) for n, v in draws_of(mlp).params.items()}
    trained = sgd.train(
        mlp, dataset, n_seeds=2, initial=start, max_epochs=30, checkpoints=[10], progress=False
    )
    posterior = Posterior.of(mlp, dataset, likelihoods.Categorical(), priors.Normal(1.0))
    sampled = samplers.sample(
        jax.random.key(0), posterior, start, samplers.HMC(n_leapfrog=3), n_warmup=10, n_draws=2,
        progress=False,
    )  # fmt: skip
    for draws in (trained, sampled):
        found = sgd.sharpness(mlp, dataset, draws, progress=False)
        assert found.trace.value.shape == (2, 2)
        assert (found.trace.value > 0).all()


def test_a_network_with_attention_convolution_and_silu_is_measured() -> None:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv1d(3, 4, 1)
            self.norm = nn.LayerNorm(4)
            self.out = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = nn.functional.silu(self.convolution(x)).transpose(1, 2)
            h = nn.functional.scaled_dot_product_attention(h, h, self.norm(h))
            return self.out(h.mean(1))

    x = np.random.default_rng(0).normal(size=(10, 3, 6))
    y = np.arange(10) % 2
    dataset = Dataset(x, y, x, y, n_classes=2)
    network = Network(Attends(), x[:2].astype(np.float32))
    draws = draws_of(network, 1, 1)
    truth = dense_hessians(network, draws, dataset, likelihoods.Categorical())
    found = sgd.sharpness(network, dataset, draws, batch_size=4, progress=False)
    np.testing.assert_allclose(found.trace.value, np.trace(truth, axis1=2, axis2=3), rtol=1e-8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_eigenvalues": 0}, "n_eigenvalues=0"),
        ({"n_eigenvalues": 58}, "n_eigenvalues=58 exceeds the network's 57 parameters"),
        ({"prior_precision": 0.0}, "prior_precision=0.0"),
        ({"n_probes": 1}, "n_probes=1"),
        ({"n_lanczos": 0}, "n_lanczos=0"),
        ({"n_exact": -1}, "n_exact=-1"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"likelihood": likelihoods.Gaussian(likelihoods.HalfNormal())}, "no value here"),
    ],
)
def test_what_cannot_be_measured_is_refused(mlp: Network, changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure(mlp, draws_of(mlp), **changes)


def test_draws_of_another_network_and_too_few_rows_are_refused(
    mlp: Network, linear: Network
) -> None:
    with pytest.raises(ValueError, match="pass draws of this network"):
        measure(mlp, draws_of(linear))
    with pytest.raises(ValueError, match="pass draws of this network"):
        measure(mlp, Draws(np.zeros((1, 1, 3))))
    two = Dataset(X[:2], CLASSES[:2], X, CLASSES, n_classes=3)
    with pytest.raises(ValueError, match="at least 3"):
        sgd.sharpness(mlp, two, draws_of(mlp), progress=False)
