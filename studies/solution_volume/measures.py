"""What is measured around one network: a cell for each family of measures."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

from bayes_vs_sgd import Estimate, Posterior, samplers
from bayes_vs_sgd.functions import learning_coefficient, local_volume
from studies._functions import Problem, Training

from .config import Config
from .networks import Networks, patterns_of
from .regions import log_volumes


@dataclass(frozen=True)
class Measure:
    """A number around one network.

    Attributes:
        label: What it is called.
        unit: Its unit.
        sign: 1 where a larger number says a larger volume, −1 where it says a smaller one.
        family: The cell that it comes from.
    """

    label: str
    unit: str
    sign: int
    family: str


MEASURES = {
    "volume_function": Measure("log local volume, same function", "nats", 1, "volumes"),
    "volume_fit": Measure("log local volume, zero training error", "nats", 1, "volumes"),
    "volume_basin": Measure("log local volume, low divergence", "nats", 1, "volumes"),
    "llc_sgld": Measure("learning coefficient, SGLD", "λ", -1, "llc_sgld"),
    "llc_hmc": Measure("learning coefficient, HMC", "λ", -1, "llc_hmc"),
    "laplace": Measure("Laplace's log evidence", "nats", 1, "laplace"),
    "trace": Measure("trace of the Hessian", "nats a row", -1, "curvature"),
    "sharpness": Measure("largest eigenvalue of the Hessian", "nats a row", -1, "curvature"),
}


@dataclass(frozen=True)
class Work:
    """What a family is computed from.

    Attributes:
        config: The study's settings.
        problem: Data, network and prior.
        training: How the networks were trained; its likelihood is that of all losses.
        networks: The networks.
        seed: Of all randomness.
        partial: Where chains that are killed go on.
    """

    config: Config
    problem: Problem
    training: Training
    networks: Networks
    seed: int
    partial: Path

    @property
    def key(self) -> Any:
        """The root of the keys."""
        return jax.random.key(self.seed)

    @property
    def posterior(self) -> Posterior:
        """Prior × likelihood of the training rows."""
        problem = self.problem
        return Posterior.of(
            problem.network, problem.dataset, self.training.likelihood(), problem.prior
        )


def volumes(work: Work) -> xr.DataTree:
    """Log local volumes of the three regions of every network, a key for each."""
    found = [
        log_volumes(
            jax.random.fold_in(work.key, number),
            work.problem,
            work.training.likelihood(),
            work.networks.one(number),
            n_directions=work.config.n_directions,
            tilt=work.config.tilt,
            cutoff=work.config.cutoff,
        )
        for number in range(len(work.networks))
    ]
    by_name = {name: [regions[name] for regions in found] for name in found[0]}
    return to_tree(
        {name: [v.log_volume for v in results] for name, results in by_name.items()},
        {name: [v.doubts for v in results] for name, results in by_name.items()},
        {
            f"{name}_effective": [v.effective_directions for v in results]
            for name, results in by_name.items()
        },
    )


def llc_sgld(work: Work) -> xr.DataTree:
    """Local learning coefficients by Langevin chains, what their step adds beside them."""
    return _coefficients("llc_sgld", work, *work.config.sgld(len(work.problem.dataset.x_train)))


def llc_hmc(work: Work) -> xr.DataTree:
    """Local learning coefficients by chains with an accept step."""
    return _coefficients("llc_hmc", work, *work.config.hmc())


def _coefficients(
    name: str,
    work: Work,
    sampler: samplers.Sampler,
    chains: learning_coefficient.LocalChains,
) -> xr.DataTree:
    found = learning_coefficient.learning_coefficients(
        work.key,
        work.posterior,
        dict(work.networks.params),
        sampler,
        chains=chains,
        checkpoint=work.partial,
    )
    facts = {
        f"{name}_rhat": [c.rhat for c in found],
        f"{name}_ess": [c.ess for c in found],
        f"{name}_bias": [c.step_size_bias.value if c.step_size_bias else 0.0 for c in found],
    }
    return to_tree({name: [c.estimate for c in found]}, {name: [c.doubts for c in found]}, facts)


def laplace(work: Work) -> xr.DataTree:
    """Laplace's log evidence around each network as it is, and where it climbs to.

    The formula wants a maximum of the posterior, which a network is not that was stopped when it fitted:
    the doubts say how far it is from one, and where there is no approximation at all. At the maximum that it
    climbs to another function may be, so that the evidence there is not the network's. Nothing is random
    but the check: ``sem`` is 0.
    """
    # One posterior for all, so that its Hessian is compiled once.
    posterior, params = work.posterior, dict(work.networks.params)
    found = [
        local_volume.laplace_evidence(
            jax.random.fold_in(work.key, number),
            posterior,
            work.networks.one(number),
            n_draws=work.config.n_laplace,
        )
        for number in range(len(work.networks))
    ]
    top = samplers.maximize(posterior, params, samplers.MAP(n_steps=work.config.n_climb))
    stays = (patterns_of(work.problem, top.last) == work.networks.words).all(axis=1)
    return to_tree(
        {"laplace": [Estimate(e.log_evidence, 0.0) for e in found]},
        {"laplace": [e.doubts for e in found]},
        {
            "laplace_effective": [e.effective_draws for e in found],
            "laplace_decrement": [e.newton_decrement for e in found],
            "maximum_same_function": stays.astype(float),
            "maximum_log_density": top.stats["lp"][:, 0],
        },
    )


def curvature(work: Work) -> xr.DataTree:
    """Trace and largest eigenvalue of the Hessian of the mean training loss, from the whole matrix in float64."""
    posterior = work.posterior

    def mean_loss(params: Any, rows: Any) -> Any:
        return -posterior.log_likelihood(params, rows).mean()

    spectra = []
    for number in range(len(work.networks)):
        hessian = local_volume.hessian_matrix(
            mean_loss, work.networks.one(number), data=posterior.data
        )
        spectra.append(np.linalg.eigvalsh(hessian))
    exact = {
        "trace": [Estimate(float(values.sum()), 0.0) for values in spectra],
        "sharpness": [Estimate(float(values[-1]), 0.0) for values in spectra],
    }
    return to_tree(exact, {name: [()] * len(spectra) for name in exact}, {})


FAMILIES: dict[str, Callable[[Work], xr.DataTree]] = {
    "curvature": curvature,
    "volumes": volumes,
    "llc_sgld": llc_sgld,
    "llc_hmc": llc_hmc,
    "laplace": laplace,
}


def to_tree(
    found: Mapping[str, Sequence[Estimate]],
    doubts: Mapping[str, Sequence[Sequence[str]]],
    facts: Mapping[str, Any],
) -> xr.DataTree:
    """Measures of every network as a cell: values, errors, what else is known, and doubts."""
    columns = {name: np.array([float(e.value) for e in each]) for name, each in found.items()}
    columns |= {f"{name}_sem": np.array([e.sem for e in each]) for name, each in found.items()}
    columns |= {name: np.asarray(values, float) for name, values in facts.items()}
    tree = xr.DataTree(xr.Dataset({name: ("network", v) for name, v in columns.items()}))
    tree.attrs["doubts"] = json.dumps(doubts)
    trusted = [f"{sum(not d for d in each)} {name}" for name, each in doubts.items()]
    tree.attrs["summary"] = f"trusted: {', '.join(trusted)} of {len(next(iter(doubts.values())))}"
    return tree
