import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayes_vs_sgd import Posterior, samplers


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
        ({"thin": 0}, "thin=0"),
        ({"target": 3}, "pass a Posterior or a function"),
        ({"target": lambda x: float(np.sum(x))}, "write it with jax.numpy"),
        ({"target": lambda x: jnp.asarray(np.asarray(x)).sum()}, "write it with jax.numpy"),
        (
            {
                "target": Posterior(
                    lambda x: -jnp.sum(x**2), lambda x, rows: np.asarray(rows) * x[0], np.ones(5)
                )
            },
            "parameters or data into NumPy arrays",
        ),
        ({"initial": jnp.ones((2, 3), int)}, "int32, which have no gradient"),
        (
            {"target": lambda x: jax.lax.while_loop(lambda s: s < 3, lambda s: s + 1, x.sum())},
            "cannot be differentiated .* replace that operation",
        ),
        ({"sampler": samplers.TemperedSMC()}, "samplers.sample_population"),
        ({"sampler": samplers.SGLD()}, "SGLD needs the prior and the likelihood apart"),
        ({"sampler": samplers.MCLMC(), "initial": jnp.ones((2, 1))}, "one parameter is too few"),
        ({"sampler": samplers.GHMC()}, "start more chains"),
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
        (lambda: samplers.NUTS(backend="stan"), "backend='stan'"),
        (lambda: samplers.MALA(step_size=-1), "step_size=-1"),
        (lambda: samplers.MCLMC(energy_variance=0), "energy_variance=0"),
        (lambda: samplers.AdjustedMCLMC(target_acceptance=1), "no probability"),
        (lambda: samplers.ChEES(learning_rate=0), "learning_rate=0"),
        (lambda: samplers.GHMC(n_folds=1), "n_folds=1"),
        (lambda: samplers.MAP(n_steps=0), "n_steps=0"),
    ],
)
def test_settings_that_are_not_possible_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_parameters_and_data_of_unequal_precision_are_refused(float64: None) -> None:
    with pytest.raises(ValueError, match="the same precision"):
        run(
            target=lambda x: -jnp.sum((x - jnp.ones(3)) ** 2), initial=jnp.ones((2, 3), jnp.float32)
        )


def test_a_log_density_that_kills_a_chain_stops_it_and_names_it() -> None:
    def log_density(x: jax.Array) -> jax.Array:
        return -0.5 * jnp.sum(x**2)

    class Dying:
        def kernel(self, target: object, n_warmup: int) -> samplers.Kernel:
            def step(key: jax.Array, x: jax.Array, iteration: jax.Array) -> tuple:
                dies = (samplers.kernel.chain_number() == 1) & (iteration == 7)
                return jnp.where(dies, jnp.nan, x + 1), {"n_steps": jnp.asarray(1)}

            return samplers.Kernel(lambda key, x: x, step, lambda x: x)

    with pytest.warns(samplers.StoppedChainWarning, match=r"1 of 3 chains .*\(chains 1\)"):
        draws = samplers.sample(
            jax.random.key(0),
            log_density,
            jnp.zeros((3, 2)),
            Dying(),
            n_warmup=2,
            n_draws=10,
            collect=lambda x: {"sum": x.sum(), "sign": jnp.sign(x).astype(int)},
        )
    assert draws.info["stopped_chains"] == "1"
    assert draws.info["nonfinite_draws"] == 5
    np.testing.assert_array_equal(np.isnan(draws.params["sum"]).sum(axis=1), [0, 5, 0])
    assert draws.running().n_chains == 2


def test_a_warm_up_that_did_not_settle_is_warned_of() -> None:
    with pytest.warns(samplers.WarmupWarning, match="raise n_warmup above 1"):
        samplers.sample(
            jax.random.key(0),
            lambda x: -0.5 * jnp.sum(x**2),
            jnp.ones((2, 3)),
            samplers.HMC(n_leapfrog=3, step_size=1e-5),
            n_warmup=1,
            n_draws=200,
            progress=False,
        )


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
