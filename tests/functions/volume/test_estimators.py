"""Every estimator of function volume, against volumes that are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import models
from bayes_vs_sgd import Dataset, Network, data, functions, priors, samplers
from bayes_vs_sgd.functions import (
    PCN,
    SMC,
    Elliptical,
    Levels,
    Rejection,
    Reweighting,
    Temperatures,
    ZeroOne,
)

from .problems import equicorrelated, linear, orthant, probability_that_one_weight_is_larger

SMALL = {"n_particles": 512, "n_moves": 60, "n_draws": 10, "thin": 5}
ESTIMATORS = {
    "splitting": SMC(Levels(), **SMALL),
    "tempered": SMC(Temperatures(), **SMALL),
    "elliptical": SMC(Levels(), Elliptical(), **SMALL),
    "tempered elliptical": SMC(Temperatures(), Elliptical(), **SMALL),
    "rejection": Rejection(100_000),
    "reweighting": Reweighting(sharpness=3.0, n_particles=128, n_warmup=20, n_draws=30),
}

# Compiling these takes longest, and each has a like that is quick.
LONG = {"elliptical", "tempered elliptical", "reweighting"}


def estimate(
    problem: ZeroOne, estimator: functions.Estimator, seed: int = 0
) -> functions.FunctionPosterior:
    return functions.posterior_probabilities(
        jax.random.key(seed), problem, estimator, n_runs=8, progress=False
    )


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in ESTIMATORS],
)
def test_the_evidence_and_the_posterior_of_correlated_orthants(name: str) -> None:
    n = 10
    found = estimate(equicorrelated(n), ESTIMATORS[name])
    assert not found.doubts
    assert 0 < found.log_evidence.sem < 0.1
    assert abs(found.log_evidence.value + np.log(n + 1)) < 4 * found.log_evidence.sem
    one = found.probability_of(np.array([[1]]))
    assert 0 < one.sem[0] < 0.02
    assert abs(one.value[0] - (n + 1) / (n + 2)) < 4 * one.sem[0]


@pytest.mark.parametrize(
    "name", [pytest.param("splitting", marks=pytest.mark.slow), "tempered elliptical"]
)
def test_rare_events_that_rejection_cannot_see(name: str) -> None:
    found = estimate(orthant(24), ESTIMATORS[name])
    assert abs(found.log_evidence.value + 24 * np.log(2)) < 4 * found.log_evidence.sem
    assert found.log_evidence.sem < 0.25
    one = found.probability_of(np.array([[1]]))
    assert abs(one.value[0] - 0.5) < 4 * one.sem[0]


@pytest.mark.slow
def test_the_width_of_the_prior_counts() -> None:
    """w₁ > |w₂| for w₁ ~ N(0, 1), w₂ ~ N(0, 9), as two rows; w₂ has the sign of the test row."""
    x = np.array([[1.0, 1.0], [1.0, -1.0]])
    problem = linear(x, np.array([[0.0, 1.0]]))
    scaled = Stretched(problem.network, np.array([1.0, 3.0], np.float32))
    problem = ZeroOne(scaled, problem.prior, problem.dataset)
    wanted = np.log(probability_that_one_weight_is_larger(3.0) / 2)
    for name in ("splitting", "rejection"):
        found = estimate(problem, ESTIMATORS[name])
        assert abs(found.log_evidence.value - wanted) < 4 * found.log_evidence.sem


class Stretched:
    """A linear unit whose weights are stretched."""

    def __init__(self, network: Network, scales: np.ndarray) -> None:
        self.network, self.scales = network, scales
        self.shapes = network.shapes

    def apply(self, params: dict, *inputs: object) -> object:
        return self.network.apply({"unit.weight": params["unit.weight"] * self.scales}, *inputs)


@pytest.mark.slow
def test_the_stated_errors_are_the_spread_of_repetitions() -> None:
    n = 10
    estimator = SMC(Levels(), n_particles=256, n_moves=10, n_draws=5, thin=5)
    z_evidence, z_posterior = [], []
    problem = equicorrelated(n)
    for seed in range(12):
        found = estimate(problem, estimator, seed)
        z_evidence.append((found.log_evidence.value + np.log(n + 1)) / found.log_evidence.sem)
        one = found.probability_of(np.array([[1]]))
        z_posterior.append((one.value[0] - (n + 1) / (n + 2)) / one.sem[0])
    for z in (z_evidence, z_posterior):
        # Student's t with 7 degrees of freedom has variance 1.4; χ² of 12 of them, within 1 in 10⁴.
        assert 0.25 < np.mean(np.square(z)) < 4.5


@pytest.mark.slow
def test_the_functions_are_those_of_rejection() -> None:
    x = data.boolean_inputs(4)
    network = Network(models.MLP(4, 16, 1), x[:1])
    dataset = data.boolean("0110011001100110", "1111000010010000")
    problem = ZeroOne(network, priors.FanIn(), dataset)
    exact = estimate(problem, Rejection(400_000))
    found = estimate(problem, SMC(n_particles=1024, n_moves=15, n_draws=10, thin=10), seed=1)
    assert not exact.doubts
    difference = found.log_evidence.value - exact.log_evidence.value
    assert abs(difference) < 4 * np.hypot(found.log_evidence.sem, exact.log_evidence.sem)
    common = np.argsort(-exact.probability.value)[:10]
    ours = found.probability_of(exact.patterns[common])
    z = (ours.value - exact.probability.value[common]) / np.hypot(
        ours.sem, exact.probability.sem[common]
    )
    # Spreads over 8 runs have heavy tails.
    assert np.mean(z**2) < 4


def test_weighted_last_layers_are_the_whole_network_and_unweighted_ones_are_not() -> None:
    """A 3-2-1 network on 4 of the 8 inputs."""
    x = data.boolean_inputs(3)
    network = Network(models.MLP(3, 2, 1), x[:1])
    dataset = data.boolean("00010111", "10110100")
    whole = estimate(ZeroOne(network, priors.FanIn(), dataset), Rejection(400_000))
    frozen = ("layers.1.weight", "layers.1.bias")
    features = functions.posterior_probabilities(
        jax.random.key(3),
        ZeroOne(network, priors.FanIn(), dataset, frozen),
        SMC(n_particles=64, n_moves=10, n_draws=4, thin=5, n_pilot=256),
        n_runs=1500,
        progress=False,
    )
    evidence = features.log_evidence
    assert abs(evidence.value - whole.log_evidence.value) < 4 * evidence.sem
    weighted = features.probability_of(whole.patterns)
    z = (weighted.value - whole.probability.value) / np.hypot(weighted.sem, whole.probability.sem)
    assert np.mean(z[whole.probability.value > 0.01] ** 2) < 3
    words = [tuple(w) for w in features.words]
    order = [words.index(tuple(w)) if tuple(w) in words else -1 for w in whole.words]
    unweighted = np.append(features.unweighted.probability.value, 0.0)[order]
    assert 0.5 * abs(unweighted - whole.probability.value).sum() > 0.05
    assert 0.5 * abs(weighted.value - whole.probability.value).sum() < 0.04
    pooled = features.pooled(30)
    np.testing.assert_allclose(pooled.probability.value, features.probability.value)
    assert pooled.log_evidence.value == pytest.approx(evidence.value)
    assert pooled.log_evidence.sem == pytest.approx(evidence.sem, rel=0.5)
    np.testing.assert_allclose(
        pooled.probability.sem.max(), features.probability.sem.max(), rtol=0.5
    )


def test_an_estimator_that_cannot_be_trusted_says_so() -> None:
    nothing = estimate(orthant(24), Rejection(1000))
    assert "nothing is known" in " ".join(nothing.doubts)
    assert nothing.log_evidence.value == -np.inf
    assert np.isnan(nothing.log_evidence.sem)
    assert "only" in " ".join(estimate(equicorrelated(10), Rejection(64)).doubts)
    smooth = Reweighting(
        sharpness=0.3, n_particles=32, n_chains=4, n_warmup=5, n_draws=10, n_moves=2
    )
    assert "weigh like" in " ".join(estimate(orthant(24), smooth).doubts)


def test_runs_that_disagree_are_a_doubt() -> None:
    found = functions.FunctionPosterior.of(
        [np.zeros((3, 1), np.uint32)] * 4, np.array([0.0, -30.0, -31.0, -30.0]), 1, 2
    )
    assert "weigh like 1.0" in found.doubts[0]


def test_the_same_key_gives_the_same_numbers() -> None:
    problem = equicorrelated(4)
    a, b = (estimate(problem, SMC(n_particles=64, n_moves=3)) for _ in range(2))
    np.testing.assert_array_equal(a.log_evidences, b.log_evidences)
    np.testing.assert_array_equal(a.words, b.words)


@pytest.mark.parametrize("estimator", [SMC(n_particles=64, n_moves=3), Rejection(640)])
def test_other_rows_of_the_same_shapes_need_no_other_program(
    estimator: functions.Estimator, caplog: pytest.LogCaptureFixture
) -> None:
    with jax.log_compiles():
        estimate(equicorrelated(5), estimator)
        assert "Compiling" in caplog.text
        caplog.clear()
        estimate(linear(np.eye(7)[:5], np.eye(7)[5:6]), estimator)
        assert "Compiling" not in caplog.text


def test_what_is_not_possible_is_refused() -> None:
    problem = equicorrelated(4)
    with pytest.raises(ValueError, match="estimates no volume"):
        functions.posterior_probabilities(jax.random.key(0), problem, samplers.HMC())
    with pytest.raises(ValueError, match="must name some, not all"):
        ZeroOne(problem.network, problem.prior, problem.dataset, ("nothing",))
    regression = Dataset(*(np.ones((2, 5), np.float32), np.ones(2, np.float32)) * 2)
    with pytest.raises(ValueError, match="needs classes"):
        ZeroOne(problem.network, problem.prior, regression)
    with pytest.raises(ValueError, match="exceeds the 8 particles"):
        Reweighting(n_particles=8, n_chains=9)
    with pytest.raises(ValueError, match="no probability"):
        Levels(keep=1.5)
    with pytest.raises(ValueError, match="is not normal"):
        estimate(ZeroOne(problem.network, priors.TorchDefault(), problem.dataset), SMC())
    impossible = linear(np.array([[1.0], [-1.0]]), np.ones((1, 1)))
    with pytest.raises(RuntimeError, match="best particle"):
        estimate(impossible, SMC(n_particles=64, n_pilot=64, n_moves=2, max_rungs=3))


def test_moves_leave_the_prior_alone_where_nothing_is_forbidden() -> None:
    """With equal weights pCN accepts everything, and both moves keep N(0, I)."""
    from bayes_vs_sgd.functions.volume.moves import Block, Setting
    from bayes_vs_sgd.functions.whitened import Whitened

    whitened = Whitened.of(priors.Normal(), {"w": (3,)})
    setting = Setting(
        whitened.draw,
        lambda z: (z["w"] > 0).sum(axis=1),
        jnp.zeros(4),
        jnp.float32(0.4),
    )
    z = whitened.draw(jax.random.key(0), 50_000)
    block = Block(z, setting.mistakes(z))
    for move in (PCN(), Elliptical()):
        moved, share = move(jax.random.key(1), block, setting)
        assert float(share) == 1.0
        w = np.asarray(moved.z["w"], float)
        assert abs(w.mean()) < 5 / np.sqrt(w.size)
        assert abs((w**2).mean() - 1) < 5 * np.sqrt(2 / w.size)
        np.testing.assert_array_equal(moved.mistakes, setting.mistakes(moved.z))
        assert not np.array_equal(w, z["w"])
