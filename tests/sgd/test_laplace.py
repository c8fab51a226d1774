import builtins
import re
from typing import Any

import jax
import numpy as np
import pytest
from torch import nn

from bayes_vs_sgd import Dataset, Draws, Network, averaging, diagnostics, likelihoods, priors, sgd
from bayes_vs_sgd.types import StoppedChainWarning
from models.mlp import MLP
from models.parameterization import NTK
from tests.conftest import within

RNG = np.random.default_rng(0)
N = 30
X = RNG.normal(size=(N, 4))
REAL = X @ RNG.normal(size=(4, 2)) + RNG.normal(size=(N, 2))
CLASSES = RNG.integers(0, 3, N)
CLASSIFIED = Dataset(X, CLASSES, X, CLASSES, n_classes=3)
REGRESSED = Dataset(X, REAL, X, REAL)
# Scales that differ enough for a swap of weight and bias, or of variance and precision, to show.
PRIOR = priors.Independent({"weight": 0.4, "bias": 1.5})
NOISE = 0.6


@pytest.fixture(scope="module")
def linear() -> Network:
    return Network(nn.Linear(4, 2), np.zeros((1, 4), np.float32))


@pytest.fixture(scope="module")
def classifier() -> Network:
    return Network(nn.Linear(4, 3), np.zeros((1, 4), np.float32))


@pytest.fixture(scope="module")
def mlp() -> Network:
    module = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    return Network(module, np.zeros((1, 4), np.float32))


def centres(network: Network, n_chains: int = 2, n_draws: int = 2) -> Draws:
    rng = np.random.default_rng(3)
    return Draws({n: rng.normal(size=(n_chains, n_draws, *s)) for n, s in network.shapes.items()})


def flat(params: dict[str, np.ndarray], names: list[str], n_axes: int = 2) -> np.ndarray:
    """Parameters in the module's order as vectors."""
    return np.concatenate(
        [params[n].reshape(*params[n].shape[:n_axes], -1) for n in names], axis=-1
    )


def stds_of(prior: Any, network: Network, names: list[str]) -> np.ndarray:
    stds = priors.gaussian_stds(prior, network.shapes)
    return np.concatenate([np.full(np.prod(network.shapes[n]), stds[n]) for n in names])


def drawn_from(draws: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> None:
    """Assert mean and covariance of independent normal draws (n, p), each within 5 of its errors."""
    n = len(draws)
    sd = np.sqrt(np.diag(covariance))
    within(draws.mean(0), mean, sd / np.sqrt(n))
    sem = np.sqrt((covariance**2 + np.outer(sd, sd) ** 2) / n)
    within(np.cov(draws.T), covariance, sem)


def regression_posterior(temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of prior × likelihood^(1/T), in torch's order: weight (out, in), bias."""
    design = np.einsum("ni,ok->nkoi", X, np.eye(2)).reshape(2 * N, 8)
    design = np.concatenate([design, np.tile(np.eye(2), (N, 1))], axis=1)
    precision = np.diag(np.r_[np.full(8, 0.4**-2), np.full(2, 1.5**-2)])
    precision = precision + design.T @ design / (NOISE**2 * temperature)
    covariance = np.linalg.inv(precision)
    return covariance @ design.T @ REAL.reshape(-1) / (NOISE**2 * temperature), covariance


@pytest.mark.parametrize("temperature", [1.0, 0.2])
def test_the_posterior_of_linear_regression_is_exact(linear: Network, temperature: float) -> None:
    mean, covariance = regression_posterior(temperature)
    trained = Draws({"weight": mean[:8].reshape(1, 1, 2, 4), "bias": mean[8:].reshape(1, 1, 2)})
    draws = sgd.laplace(
        linear, REGRESSED, trained, PRIOR, likelihood=likelihoods.Gaussian(NOISE),
        temperature=temperature, n_draws=20_000, batch_size=7,
    )  # fmt: skip
    drawn_from(flat(draws.params, ["weight", "bias"])[0], mean, covariance)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Linear(4, 2, bias=False), (4,)),
        (nn.Sequential(nn.Conv2d(1, 2, 2, bias=False), nn.Flatten()), (1, 2, 2)),
    ],
)
def test_kronecker_factors_are_exact_for_linear_regression_without_bias(
    module: nn.Module, shape: tuple[int, ...]
) -> None:
    """There H = I ⊗ XᵀX/std² is one Kronecker product; a kernel may be as large as the image."""
    x = X.reshape(N, *shape)
    network = Network(module, x[:1].astype(np.float32))
    trained = centres(network, 1, 1)
    draws = sgd.laplace(
        network, Dataset(x, REAL, x, REAL), trained, priors.Normal(0.4), temperature=2.0,
        likelihood=likelihoods.Gaussian(NOISE), subset="all", structure="kron", n_draws=20_000,
        batch_size=7,
    )  # fmt: skip
    precision = np.kron(np.eye(2), X.T @ X) / (2 * NOISE**2) + np.eye(8) / 0.4**2
    names = list(network.shapes)
    mean = flat(trained.params, names)[0, 0]
    drawn_from(flat(draws.params, names)[0], mean, np.linalg.inv(precision))


def dense_ggn(
    network: Network, params: dict[str, np.ndarray], names: list[str], is_binary: bool = False
) -> np.ndarray:
    """Σ_i J_iᵀ[diag(p_i) − p_i p_iᵀ]J_i by JAX, whose Jacobian has nothing of what is tested."""
    jacobians = jax.jacrev(lambda p: network.apply(p, X))(params)
    outputs = np.asarray(network.apply(params, X))
    matrix = flat({n: np.asarray(jacobians[n]) for n in names}, names)
    if is_binary:
        p = 1 / (1 + np.exp(-outputs[:, 0]))
        return np.einsum("np,n,nq->pq", matrix[:, 0], p * (1 - p), matrix[:, 0])
    p = np.asarray(jax.nn.softmax(outputs))
    middle = np.einsum("nc,ck->nck", p, np.eye(p.shape[1])) - np.einsum("nc,nk->nck", p, p)
    return np.einsum("ncp,nck,nkq->pq", matrix, middle, matrix)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("subset", "n_drawn"), [("all", 43), ("last_layer", 18)])
@pytest.mark.parametrize("structure", ["full", "diagonal"])
def test_an_mlp_has_the_generalised_gauss_newton_matrix(
    mlp: Network, subset: Any, n_drawn: int, structure: Any
) -> None:
    trained = centres(mlp)
    prior = priors.FanIn(std=1.5, bias_std=0.5)
    draws = sgd.laplace(
        mlp, CLASSIFIED, trained, prior, temperature=0.5, subset=subset, structure=structure,
        n_draws=20_000,
    )  # fmt: skip
    names = list(mlp.shapes) if subset == "all" else ["2.weight", "2.bias"]
    assert draws.info["n_drawn_parameters"] == n_drawn
    for chain in range(2):
        params = {n: v[chain, -1] for n, v in trained.params.items()}
        ggn = dense_ggn(mlp, params, names)
        precision = ggn / 0.5 + np.diag(stds_of(prior, mlp, names) ** -2)
        if structure == "diagonal":
            precision = np.diag(np.diag(precision))
        mean = flat({n: v[None] for n, v in params.items()}, names, 1)[0]
        drawn_from(flat(draws.params, names)[chain], mean, np.linalg.inv(precision))


@pytest.mark.usefixtures("float64")
def test_one_logit_is_logistic_regression() -> None:
    """Where the GGN is the Hessian."""
    network = Network(nn.Linear(4, 1), np.zeros((1, 4), np.float32))
    y = (REAL[:, 0] > 0).astype(int)
    trained = centres(network, 1, 1)
    draws = sgd.laplace(
        network, Dataset(X, y, X, y, n_classes=2), trained, priors.Normal(2.0),
        likelihood=likelihoods.Bernoulli(), n_draws=20_000,
    )  # fmt: skip
    params = {n: v[0, 0] for n, v in trained.params.items()}
    names = ["weight", "bias"]
    precision = dense_ggn(network, params, names, is_binary=True) + np.eye(5) / 4
    mean = flat({n: v[None] for n, v in params.items()}, names, 1)[0]
    drawn_from(flat(draws.params, names)[0], mean, np.linalg.inv(precision))


@pytest.mark.parametrize("structure", ["full", "kron", "diagonal"])
def test_without_data_that_matter_the_prior_is_left(mlp: Network, structure: Any) -> None:
    prior = priors.FanIn(std=1.5, bias_std=0.5)
    draws = sgd.laplace(
        mlp, CLASSIFIED, centres(mlp, 1, 1), prior, temperature=1e12, subset="all",
        structure=structure, n_draws=4000,
    )  # fmt: skip
    stds = stds_of(prior, mlp, list(mlp.shapes))
    within(flat(draws.params, list(mlp.shapes))[0].std(0), stds, stds / np.sqrt(8000))


def test_kronecker_factors_of_an_mlp_do_not_depend_on_the_batches(mlp: Network) -> None:
    settings: dict[str, Any] = {"subset": "all", "structure": "kron", "n_draws": 3}
    small, large = (
        sgd.laplace(mlp, CLASSIFIED, centres(mlp), priors.Normal(), batch_size=b, **settings)
        for b in (7, 30)
    )
    for name, value in small.params.items():
        np.testing.assert_allclose(value, large.params[name], rtol=1e-9)


def test_the_last_layer_alone_is_drawn(mlp: Network) -> None:
    trained = centres(mlp)
    draws = sgd.laplace(mlp, CLASSIFIED, trained, priors.Normal(), n_draws=4)
    for name, value in draws.params.items():
        centre = trained.params[name][:, -1:]
        assert value.shape == (2, 4, *mlp.shapes[name])
        assert (value == centre).all() == name.startswith("0.")
        np.testing.assert_array_equal(draws.last[name], value[:, -1])


def test_the_dtype_of_the_trained_networks_is_kept(mlp: Network) -> None:
    trained = centres(mlp)
    single = Draws({n: v.astype(np.float32) for n, v in trained.params.items()})
    draws = sgd.laplace(mlp, CLASSIFIED, single, priors.Normal(), n_draws=4)
    assert {v.dtype for v in draws.params.values()} == {np.dtype(np.float32)}


def test_chains_have_draws_of_their_own_and_of_the_seed(mlp: Network) -> None:
    trained = centres(mlp)
    twins = Draws({n: np.repeat(v[:1], 2, axis=0) for n, v in trained.params.items()})
    first = Draws({n: v[:1] for n, v in trained.params.items()})
    settings: dict[str, Any] = {"n_draws": 4}
    both = sgd.laplace(mlp, CLASSIFIED, twins, priors.Normal(), **settings)
    alone = sgd.laplace(mlp, CLASSIFIED, first, priors.Normal(), **settings)
    other = sgd.laplace(mlp, CLASSIFIED, first, priors.Normal(), seed=1, **settings)
    np.testing.assert_array_equal(both.params["2.bias"][:1], alone.params["2.bias"])
    assert (both.params["2.bias"][0] != both.params["2.bias"][1]).all()
    assert (other.params["2.bias"] != alone.params["2.bias"]).all()


@pytest.mark.parametrize("structure", ["full", "kron", "diagonal"])
def test_networks_that_are_not_finite_are_named_and_left_out(mlp: Network, structure: Any) -> None:
    trained = centres(mlp, 3)
    trained.params["0.bias"][1, -1, 2] = np.nan
    trained.params["0.bias"][0, 0, 2] = np.nan  # not the last draw
    trained.params["2.weight"][2] *= 1e200  # its curvature overflows
    y = np.tile(REAL[:, :1], 3)
    with pytest.warns(StoppedChainWarning, match=r"2 of 3 networks .* \(chains 1, 2\)"):
        draws = sgd.laplace(
            mlp, Dataset(X, y, X, y), trained, priors.Normal(), likelihood=likelihoods.Gaussian(),
            subset="all", structure=structure, n_draws=4,
        )  # fmt: skip
    assert draws.info["stopped_chains"] == "1, 2"
    assert draws.info["nonfinite_draws"] == 8
    for value in draws.params.values():
        assert np.isfinite(value[0]).all()
        assert np.isnan(value[1:]).all()
    assert draws.running().n_chains == 1


def test_what_follows_takes_the_draws(mlp: Network) -> None:
    start = {n: v[:, 0] for n, v in centres(mlp).params.items()}
    trained = sgd.train(mlp, CLASSIFIED, n_seeds=2, initial=start, max_epochs=50, progress=False)
    draws = sgd.laplace(mlp, CLASSIFIED, trained, priors.Normal(), n_draws=20)
    log_probs = averaging.predict(mlp, draws, X)
    assert log_probs.shape == (2, 20, N, 3)
    assert np.isfinite(averaging.metrics(averaging.bma(log_probs), CLASSES)["nll"].value)
    tree = diagnostics.to_datatree(draws, log_probs, dataset=CLASSIFIED)
    assert tree["posterior"].sizes["draw"] == 20


def refusal(network: Network, message: str, **changes: Any) -> None:
    settings: dict[str, Any] = {
        "dataset": CLASSIFIED, "trained": centres(network), "prior": priors.Normal(),
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        sgd.laplace(network, **(settings | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": 0.0}, "temperature=0.0"),
        ({"n_draws": 0}, "n_draws=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"subset": "first"}, "subset='first' is unknown; pass one of 'last_layer', 'all'"),
        ({"structure": "thin"}, "structure='thin' is unknown"),
        ({"prior": priors.TorchDefault()}, "not normal"),
        ({"prior": priors.Hierarchical(priors.Normal())}, "no prior of normals"),
        ({"prior": priors.FanIn(bias_std=0.0)}, "bias_std=0.0"),
        ({"likelihood": likelihoods.Gaussian(likelihoods.HalfNormal())}, "no value here"),
        ({"likelihood": "poisson"}, "str has no Laplace approximation"),
        ({"trained": Draws(np.zeros((1, 1, 3)))}, "pass draws of this network"),
    ],
)
def test_what_cannot_be_approximated_is_refused(mlp: Network, changes: dict, message: str) -> None:
    refusal(mlp, message, **changes)


def test_a_module_without_a_linear_layer_has_no_last_one() -> None:
    module = nn.Sequential(nn.Conv1d(1, 3, 4), nn.Flatten())
    refusal(Network(module, np.zeros((1, 1, 4), np.float32)), "no torch.nn.Linear")


def test_kronecker_factors_of_other_layers_are_refused() -> None:
    """One that scales its weight looks like torch's, but has other factors."""
    normed = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), nn.Linear(3, 3))
    network = Network(normed, np.zeros((1, 4), np.float32))
    names = re.escape("['1.weight', '1.bias']")
    refusal(network, names, subset="all", structure="kron")
    scaled = MLP(4, 8, 3, parameterization=NTK())
    network = Network(scaled, np.zeros((1, 4), np.float32))
    refusal(network, "are none of their parameters", subset="all", structure="kron")


def test_without_the_library_the_extra_is_named(
    mlp: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = builtins.__import__

    def without(name: str, *args: Any) -> Any:
        if name == "laplace":
            raise ImportError(name)
        return plain(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"install bayes-vs-sgd\[laplace\]"):
        sgd.laplace(mlp, CLASSIFIED, centres(mlp), priors.Normal())
