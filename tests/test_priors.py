import jax
import numpy as np
import pytest
import scipy.stats as stats
import torch

from bayes_vs_sgd import priors

SHAPES = {"1.weight": (20, 30), "1.bias": (20,), "3.weight": (5, 4, 3, 3), "3.bias": (5,)}
PRIORS = {
    "normal": priors.Normal(0.7),
    "fan_in": priors.FanIn(std=2.0, bias_std=0.5),
    "torch_uniform": priors.TorchDefault(),
    "torch_normal": priors.TorchDefault(family="normal"),
    "independent": priors.Independent(
        {"1.weight": 0.3, "1.bias": 2.0, "3.weight": 1.1, "3.bias": 0.01},
        {"1.bias": -4.0, "3.weight": 0.5},
    ),
}
MEANS = {"independent": {"1.bias": -4.0, "3.weight": 0.5}}
STDS = {
    "normal": dict.fromkeys(SHAPES, 0.7),
    "fan_in": {"1.weight": 2 / 30**0.5, "1.bias": 0.5, "3.weight": 2 / 6, "3.bias": 0.5},
    "torch_uniform": {n: 1 / (3 * f) ** 0.5 for n, f in zip(SHAPES, (30, 30, 36, 36), strict=True)},
    "torch_normal": {n: 1 / (3 * f) ** 0.5 for n, f in zip(SHAPES, (30, 30, 36, 36), strict=True)},
    "independent": {"1.weight": 0.3, "1.bias": 2.0, "3.weight": 1.1, "3.bias": 0.01},
}


@pytest.mark.parametrize("name", PRIORS)
def test_draws_have_the_stated_spread(name: str) -> None:
    draws = priors.sample_many(PRIORS[name], jax.random.key(0), SHAPES, 2000)
    for parameter, std in STDS[name].items():
        values = np.asarray(draws[parameter], np.float64) - MEANS.get(name, {}).get(parameter, 0)
        n = values.size
        kurtosis = 1.8 if "uniform" in name else 3
        assert abs(values.mean()) < 5 * std / n**0.5
        assert abs(values.var() / std**2 - 1) < 5 * ((kurtosis - 1) / n) ** 0.5


@pytest.mark.parametrize("name", PRIORS)
def test_the_log_density_is_that_of_scipy(name: str, float64: None) -> None:
    params = PRIORS[name].sample(jax.random.key(1), SHAPES)
    expected = 0.0
    for parameter, std in STDS[name].items():
        values = np.asarray(params[parameter])
        mean = MEANS.get(name, {}).get(parameter, 0)
        law = (
            stats.uniform(-(3**0.5) * std, 2 * 3**0.5 * std)
            if "uniform" in name
            else stats.norm(mean, std)
        )
        expected += law.logpdf(values).sum()
    assert float(PRIORS[name].log_prob(params)) == pytest.approx(expected, abs=1e-9)


def test_torch_default_is_what_torch_does() -> None:
    torch.manual_seed(0)
    layers = [torch.nn.Linear(30, 20) for _ in range(300)]
    prior = priors.sample_many(
        priors.TorchDefault(),
        jax.random.key(2),
        {n: s for n, s in SHAPES.items() if n[0] == "1"},
        300,
    )
    for name in ("weight", "bias"):
        theirs = np.concatenate([getattr(layer, name).detach().numpy().ravel() for layer in layers])
        assert stats.ks_2samp(theirs, np.asarray(prior[f"1.{name}"]).ravel()).pvalue > 1e-3


def test_draw_i_does_not_depend_on_how_many_are_drawn() -> None:
    few = priors.sample_many(priors.Normal(), jax.random.key(0), SHAPES, 2)
    many = priors.sample_many(priors.Normal(), jax.random.key(0), SHAPES, 5)
    assert all((few[n] == many[n][:2]).all() for n in SHAPES)


def test_a_uniform_prior_excludes_what_lies_outside() -> None:
    params = {"weight": np.full((2, 4), 0.6), "bias": np.zeros(2)}
    assert priors.TorchDefault().log_prob(params) == -np.inf


def test_a_parameter_without_spread_starts_at_its_mean() -> None:
    prior = priors.Independent({"gain": 0.0, "weight": 1.0}, {"gain": 1.0})
    drawn = prior.sample(jax.random.key(0), {"gain": (3,), "weight": (2, 2)})
    assert (drawn["gain"] == 1).all()
    with pytest.raises(ValueError, match=r"stds\['gain'\]=0.0 gives a prior without density"):
        prior.log_prob(drawn)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: priors.Normal(0), "std=0"),
        (lambda: priors.FanIn(std=-1), "std=-1"),
        (lambda: priors.FanIn(bias_std=-1), "bias_std=-1"),
        (lambda: priors.FanIn(bias_std=0).log_prob({"b": np.zeros(3)}), "without density"),
        (lambda: priors.TorchDefault("cauchy"), "unknown"),
        (
            lambda: priors.TorchDefault().sample(jax.random.key(0), {"gain": (3,)}),
            "belongs to no Linear",
        ),
        (lambda: priors.Independent({"a": -1.0}), r"stds\['a'\]=-1.0 is not possible"),
        (
            lambda: priors.Independent({"a": 1.0}, {"b": 1.0}),
            r"means names \['b'\], which stds lacks",
        ),
        (
            lambda: priors.Independent({"a": 1.0}).sample(jax.random.key(0), {"b": (3,)}),
            r"stds lacks \['b'\] and has unknown \['a'\]",
        ),
        (
            lambda: priors.Independent({"a": 1.0, "b": 1.0}).log_prob({"a": np.zeros(3)}),
            r"stds lacks \[\] and has unknown \['b'\]",
        ),
    ],
)
def test_priors_that_are_not_possible_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
