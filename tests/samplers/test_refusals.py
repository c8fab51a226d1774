import jax
import jax.numpy as jnp
import pytest

from bayes_vs_sgd import samplers


def run(**changes: object) -> None:
    settings = {
        "target": lambda x: -jnp.sum(x**2),
        "initial": jnp.ones((2, 3)),
        "sampler": samplers.HMC(n_leapfrog=2),
        "n_warmup": 5,
        "n_draws": 5,
        "progress": False,
    } | changes
    samplers.sample(jax.random.key(0), **settings)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_draws": 0}, "n_draws=0"),
        ({"n_warmup": -1}, "n_warmup=-1"),
        ({"initial": {"a": jnp.ones((2, 3)), "b": jnp.ones(3)}}, r"\[2, 3\] chains"),
        ({"initial": jnp.ones(())}, "leading chain axis"),
        ({"target": lambda x: -(x**2)}, "one floating-point number"),
        ({"target": lambda x: jnp.log(-jnp.sum(x**2))}, "chain 0 starts where the log density"),
        ({"target": lambda x: jnp.sum(jnp.sqrt(x - 1))}, "chain 0 starts where the log density"),
    ],
)
def test_what_cannot_be_sampled_is_refused_in_a_sentence(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(**changes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: samplers.HMC(step_size=0), "step_size=0"),
        (lambda: samplers.HMC(n_leapfrog=0), "n_leapfrog=0"),
        (lambda: samplers.HMC(target_acceptance=1.0), "no probability"),
        (lambda: samplers.HMC(step_size_jitter=1), "must lie in"),
        (lambda: samplers.NUTS(max_tree_depth=0), "max_tree_depth=0"),
        (lambda: samplers.NUTS(target_acceptance=0), "no probability"),
        (lambda: samplers.MAP(n_steps=0), "n_steps=0"),
    ],
)
def test_settings_that_are_not_possible_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_failures_are_counted_not_raised() -> None:
    draws = samplers.sample(
        jax.random.key(0),
        lambda x: -jnp.sum(x**4),
        jnp.ones((2, 3)),
        samplers.HMC(n_leapfrog=20, step_size=30.0),
        n_warmup=0,
        n_draws=20,
        progress=False,
    )
    assert draws.info["divergences"] == draws.stats["diverging"].sum() == 40
    assert draws.info["nonfinite_draws"] == 0
