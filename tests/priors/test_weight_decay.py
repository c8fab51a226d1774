"""Weight decay is the gradient of the log prior, in the units of a mean loss."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from bayes_vs_sgd import Dataset, Network, Posterior, likelihoods, priors

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 4))
Y = RNG.integers(0, 3, 12)
DATASET = Dataset(X, Y, X, Y, n_classes=3)
MODULE = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
NAMES = [name for name, _ in MODULE.named_parameters()]
PRIORS = {
    "normal": priors.Normal(0.7),
    "fan_in": priors.FanIn(std=2.0, bias_std=0.5),
    "torch_normal": priors.TorchDefault(family="normal"),
    "independent": priors.Independent(dict(zip(NAMES, (0.3, 2.0, 1.1, 0.4), strict=True))),
    "zero_means": priors.Independent(dict.fromkeys(NAMES, 0.6), {"0.bias": 0.0}),
}
SHAPES = {"weight": (2, 3), "bias": (2,)}


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(MODULE, np.zeros((1, 4), np.float32))


def penalised_loss(module: nn.Module, decay: dict[str, float]) -> torch.Tensor:
    loss = functional.cross_entropy(module(torch.from_numpy(X)), torch.from_numpy(Y))
    penalties = [decay[n] * value.square().sum() for n, value in module.named_parameters()]
    return loss + 0.5 * sum(penalties)


@pytest.mark.parametrize("temperature", [1.0, 0.3])
@pytest.mark.parametrize("name", PRIORS)
def test_weight_decay_descends_along_the_gradient_of_the_log_posterior(
    network: Network, name: str, temperature: float, float64: None
) -> None:
    prior = PRIORS[name]
    posterior = Posterior.of(
        network, DATASET, likelihoods.Categorical(), prior, temperature=temperature
    )
    params = prior.sample(jax.random.key(1), network.shapes)
    upward = jax.grad(posterior.log_density)(params)

    decay = priors.weight_decay(prior, network.shapes, len(X), temperature=temperature)
    module = network.to_torch({n: np.asarray(v) for n, v in params.items()})
    penalised_loss(module, decay).backward()
    for parameter, value in module.named_parameters():
        expected = -temperature / len(X) * np.asarray(upward[parameter])
        np.testing.assert_allclose(value.grad.numpy(), expected, rtol=1e-10, atol=1e-10)


def test_the_standard_deviations_are_those_of_the_draws() -> None:
    stds = priors.gaussian_stds(priors.FanIn(std=2.0, bias_std=0.5), SHAPES)
    assert stds == pytest.approx({"weight": 2 / 3**0.5, "bias": 0.5})
    assert priors.gaussian_stds(priors.TorchDefault("normal"), SHAPES) == pytest.approx(
        dict.fromkeys(SHAPES, 1 / 3)
    )


class Narrow:
    """A prior of somebody else's that says it is normal."""

    def gaussian_stds(self, shapes: dict[str, tuple[int, ...]]) -> dict[str, float]:
        return dict.fromkeys(shapes, 0.1)


def test_a_prior_of_ones_own_says_its_standard_deviations() -> None:
    assert priors.weight_decay(Narrow(), SHAPES, 50) == pytest.approx(dict.fromkeys(SHAPES, 2.0))


NORMAL = priors.Normal()


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (priors.TorchDefault(), "pass TorchDefault\\('normal'\\)"),
        (priors.Hierarchical(NORMAL), "Hierarchical is no prior of normals around 0"),
        (priors.WithNoise(NORMAL, priors.HalfNormal()), "WithNoise is no prior of normals"),
        (priors.SemiOrthogonal(), "SemiOrthogonal is no prior of normals"),
        (priors.FanIn(bias_std=0), r"stds\['bias'\]=0 gives a prior without density in FanIn"),
        (
            priors.Independent({"weight": 1.0, "bias": 1.0}, {"bias": 0.5}),
            r"means \{'bias': 0.5\}, but only normals around 0",
        ),
        (
            priors.Independent({"weight": 1.0, "bias": 0.0}),
            r"stds\['bias'\]=0.0 gives a prior without density",
        ),
        (priors.Independent({"weight": 1.0}), r"stds lacks \['bias'\]"),
    ],
)
def test_priors_that_are_no_weight_decay_are_refused(prior: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        priors.weight_decay(prior, SHAPES, 10)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"n_rows": 0}, "n_rows=0"), ({"temperature": 0.0}, "temperature=0.0 is not possible")],
)
def test_numbers_that_are_not_possible_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        priors.weight_decay(NORMAL, SHAPES, **({"n_rows": 10} | changes))


def test_a_network_without_biases_may_have_a_prior_that_gives_them_no_spread() -> None:
    params = {"weight": jnp.ones((2, 3))}
    expected = priors.FanIn(std=2.0).log_prob(params)
    assert priors.FanIn(std=2.0, bias_std=0).log_prob(params) == expected
