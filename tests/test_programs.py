"""What is made alike finds the programs of what was compiled before."""

from collections.abc import Callable

import jax
import numpy as np
import pytest
from torch import nn

from bayes_vs_sgd import (
    Dataset,
    Draws,
    Network,
    Posterior,
    averaging,
    likelihoods,
    priors,
    samplers,
)
from bayes_vs_sgd.programs import Bound, found_again

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3)).astype(np.float32)
SHAPES = {"weight": (4, 3), "bias": (4,)}
PRIORS: dict[str, Callable[[], priors.Prior]] = {
    "normal": lambda: priors.Normal(0.7),
    "fan_in": lambda: priors.FanIn(std=2.0),
    "torch": priors.TorchDefault,
    "independent": lambda: priors.Independent({"weight": 0.3, "bias": 2.0}, {"bias": 1.0}),
}


def compiles(run: Callable[[], object], caplog: pytest.LogCaptureFixture) -> bool:
    caplog.clear()
    with jax.log_compiles():
        run()
    return "Compiling" in caplog.text


def network(n_outputs: int = 1) -> Network:
    return Network(nn.Linear(3, n_outputs), X[:1])


def posterior(seed: int, **settings: object) -> Posterior:
    y = np.random.default_rng(seed).normal(size=12).astype(np.float32)
    dataset = Dataset(X, y, X, y)
    return Posterior.of(
        network(), dataset, likelihoods.Gaussian(0.5), priors.FanIn(2.0), **settings
    )


def draws(target: Posterior) -> Draws:
    start = target.draw_prior(jax.random.key(0), 2)
    return samplers.sample(
        jax.random.key(1),
        target,
        start,
        samplers.HMC(n_leapfrog=3),
        n_warmup=5,
        n_draws=5,
        progress=False,
    )


def test_networks_are_equal_where_one_graph_is_theirs() -> None:
    assert network() == network() != network(2)
    assert len({network(), network(), network(2)}) == 2
    assert network() != nn.Linear(3, 1)


def test_other_rows_of_the_same_network_are_sampled_by_the_same_program(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second = posterior(0), posterior(1)
    assert compiles(lambda: draws(first), caplog)
    assert not compiles(lambda: draws(second), caplog)
    assert compiles(lambda: draws(posterior(1, temperature=0.5)), caplog)
    found = draws(second)
    expected = jax.vmap(jax.vmap(second.log_density))(found.params)
    np.testing.assert_allclose(found.stats["lp"], expected, rtol=1e-5)


@pytest.mark.parametrize("name", PRIORS)
def test_another_prior_of_the_same_settings_is_drawn_from_by_the_same_program(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = [priors.sample_many(PRIORS[name](), jax.random.key(0), SHAPES, 7)]
    key = jax.random.key(1)
    again = lambda: found.append(priors.sample_many(PRIORS[name](), key, SHAPES, 7))  # noqa: E731
    assert not compiles(again, caplog)
    alone = PRIORS[name]().sample(jax.random.fold_in(key, 3), SHAPES)
    for part, value in alone.items():
        np.testing.assert_allclose(found[1][part][3], value, rtol=1e-5)
        assert (found[0][part] != found[1][part]).all()


def test_draws_begin_at_any_number() -> None:
    whole = priors.sample_many(priors.Normal(), jax.random.key(0), SHAPES, 9)
    rest = priors.sample_many(priors.Normal(), jax.random.key(0), SHAPES, 4, first=5)
    np.testing.assert_allclose(whole["weight"][5:], rest["weight"], rtol=1e-5)


def test_predictions_of_networks_built_alike_need_one_program(
    caplog: pytest.LogCaptureFixture,
) -> None:
    params = priors.sample_many(priors.Normal(), jax.random.key(0), SHAPES, 6)
    some = Draws(params={n: np.asarray(v)[:, None] for n, v in params.items()})
    expected = averaging.predict(network(4), some, X)
    found = []
    assert not compiles(lambda: found.append(averaging.predict(network(4), some, X)), caplog)
    np.testing.assert_array_equal(found[0], expected)
    assert compiles(lambda: averaging.predict(network(4), some, X, likelihoods.Gaussian()), caplog)


def test_means_changed_afterwards_are_not_those_of_the_prior() -> None:
    means = {"bias": 1.0}
    prior = priors.Independent({"weight": 0.0, "bias": 0.0}, means)
    means["bias"] = 2.0
    assert (priors.sample_many(prior, jax.random.key(0), SHAPES, 2)["bias"] == 1).all()


def test_a_bound_function_is_equal_where_function_and_arguments_are() -> None:
    assert Bound(max, (1, 2)) == Bound(max, (1, 2))
    assert len({Bound(max, (1,)), Bound(max, (1,)), Bound(min, (1,)), Bound(max, (2,))}) == 3
    assert Bound(max, (1, 2))(3) == 3


def test_what_cannot_be_looked_up_is_made_anew() -> None:
    made = found_again(4)(lambda value: [value])
    assert made(1) is made(1)
    assert made([1]) is not made([1])
