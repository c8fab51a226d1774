"""Chain-steps a second of the local learning coefficient by SGLD, beside devinterp.

The network 64-64-10 on 1,000 digits near a minimum of the mean cross-entropy, batches of 128, 4 chains
of 2,000 steps from there, every batch loss in the average, β = 1/log n and γ = 1. All forms make the update
w ← w − (ε/2)(nβ∇L + γ(w − w*)) + √ε ξ and average the same losses; before anything is timed their
estimates must agree within the spread of their chains. devinterp draws its batches by its
``DataLoader``, ours without replacement, the plain scan in JAX with.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import nn

from bayes_vs_sgd import Network, Posterior, data, likelihoods, priors, samplers
from bayes_vs_sgd.functions.learning_coefficient import LocalChains, learning_coefficient
from models import MLP

from .measure import Effort, Form, Missing, Params, Row, compare, load_peer

# The work, and the CPU devices that JAX shows.
CASES = {"4 chains": 1, "4 chains on 2 devices": 2, "4 chains, loss over all rows": 1}
N_ROWS, N_CHAINS, N_STEPS = 1000, 4, 2000
BATCH_SIZE, STEP_SIZE, LOCALIZATION = 128, 2e-5, 1.0
N_BETA = N_ROWS / math.log(N_ROWS)
# Over devinterp, and over a bare scan in JAX, which has neither diagnostics nor a curvature.
GOAL, GOAL_IN_JAX = 15.0, 0.8
# How far two estimates may be apart: in their standard errors, and by how batches are drawn.
_ERRORS, _SLACK = 5.0, 0.05

# Seed → λ̂ of every chain.
Estimator = Callable[[int], np.ndarray]


class Problem(NamedTuple):
    """One network near a minimum.

    Attributes:
        network: The network.
        posterior: Likelihood and rows.
        centre: The parameters.
        loss_at_centre: Their mean loss.
        x: Inputs.
        y: Classes.
    """

    network: Network
    posterior: Posterior
    centre: Params
    loss_at_centre: float
    x: np.ndarray
    y: np.ndarray


def problem(n_steps: int = 2000) -> Problem:
    """The network after so many full-batch steps of descent from a narrow prior."""
    digits = data.digits(n_train=N_ROWS, label_noise=0.0)
    network = Network(MLP(64, 64, 10), digits.x_train[:1])
    posterior = Posterior.of(network, digits, likelihoods.Categorical(), priors.Normal(1.0))

    def loss(params: Params) -> jax.Array:
        return -posterior.total_log_likelihood(params) / N_ROWS

    def step(params: Params, _: None) -> tuple[Params, None]:
        return jax.tree.map(lambda w, g: w - 0.1 * g, params, jax.grad(loss)(params)), None

    start = priors.Normal(0.1).sample(jax.random.key(0), network.shapes)
    centre, _ = jax.jit(lambda p: jax.lax.scan(step, p, None, length=n_steps))(start)
    return Problem(network, posterior, centre, float(loss(centre)), digits.x_train, digits.y_train)


def rows(case: str, effort: Effort) -> Iterator[Row]:
    """All forms of one case."""
    work = problem()
    n_steps = max(20, round(N_STEPS * effort.seconds))
    loss = "full" if case.endswith("rows") else "batch"
    estimators: dict[str, Estimator | Missing] = {
        "learning_coefficient": ours(work, n_steps, loss),
        "devinterp": by_devinterp(work, n_steps),
        "JAX, vmap of scan": by_jax(work, n_steps),
    }
    note = require_one_estimate(
        {name: e for name, e in estimators.items() if not isinstance(e, Missing)}
    )
    goals = {"devinterp": GOAL, "JAX, vmap of scan": GOAL_IN_JAX}
    forms = [
        estimator
        if isinstance(estimator, Missing)
        else Form(name, _once(estimator), N_CHAINS * n_steps, goal=goals.get(name))
        for name, estimator in estimators.items()
    ]
    for row in compare("learning_coefficient", case, "chain-steps", forms[:1], forms[1:], effort):
        yield row if row.note else replace(row, note=note)


def _once(estimator: Estimator) -> Callable[[], Any]:
    return lambda: estimator(1)


def require_one_estimate(estimators: dict[str, Estimator]) -> str:
    """What the estimates are, refused where they are not one within their chains' spread.

    Raises:
        ValueError: A peer estimates something else.
    """
    by_chain = {name: estimator(0) for name, estimator in estimators.items()}
    (first, reference), *others = by_chain.items()
    for name, values in others:
        sem = math.hypot(*(v.std(ddof=1) / math.sqrt(len(v)) for v in (reference, values)))
        gap = abs(values.mean() - reference.mean())
        if not gap <= _ERRORS * sem + _SLACK * abs(reference.mean()):
            raise ValueError(
                f"{name} estimates {values.mean():.4g} and {first} {reference.mean():.4g}, with a "
                f"standard error of {sem:.2g} between them; mend it before comparing speeds."
            )
    return "estimates " + ", ".join(f"{values.mean():.3g}" for values in by_chain.values())


def ours(work: Problem, n_steps: int, loss: Any) -> Estimator:
    """All of a call, with its diagnostics and the bias of the step size."""
    chains = LocalChains(
        n_chains=N_CHAINS, n_burn_in=0, n_draws=n_steps, localization=LOCALIZATION, loss=loss
    )
    sampler = samplers.SGLD(step_size=STEP_SIZE, batch_size=BATCH_SIZE)

    def estimate(seed: int) -> np.ndarray:
        return learning_coefficient(
            jax.random.key(seed), work.posterior, work.centre, sampler,
            chains=chains, progress=False,
        ).by_chain  # fmt: skip

    return estimate


def by_devinterp(work: Problem, n_steps: int) -> Estimator | Missing:
    """``estimate_learning_coeff_with_summary`` of devinterp with its SGLD, chain after chain."""
    summary = load_peer("devinterp.slt.sampler")
    optimizer = load_peer("devinterp.optim.sgmcmc")
    if isinstance(summary, Missing) or isinstance(optimizer, Missing):
        return Missing("devinterp", summary.reason if isinstance(summary, Missing) else "")
    module = work.network.to_torch(work.centre)
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.from_numpy(work.x), torch.from_numpy(work.y)),
        batch_size=BATCH_SIZE,
        shuffle=True,
    )

    def evaluate(model: nn.Module, batch: Any) -> torch.Tensor:
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    def estimate(seed: int) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = summary.estimate_learning_coeff_with_summary(
                module, loader, evaluate=evaluate, sampling_method=optimizer.SGMCMC.sgld,
                optimizer_kwargs={"lr": STEP_SIZE, "nbeta": N_BETA, "localization": LOCALIZATION},
                num_draws=n_steps, num_chains=N_CHAINS, init_loss=work.loss_at_centre, seed=seed,
                device=torch.device("cpu"), verbose=False,
            )  # fmt: skip
        return np.array([found[f"llc-chain/{chain}"] for chain in range(N_CHAINS)])

    return estimate


def by_jax(work: Problem, n_steps: int) -> Estimator:
    """The same update as a scan, all chains by vmap around it."""
    x, y = jnp.asarray(work.x), jnp.asarray(work.y)

    def batch_loss(params: Params, rows: jax.Array) -> jax.Array:
        outputs = work.network.apply(params, x[rows])
        return -likelihoods.Categorical().log_prob(outputs, y[rows]).mean()

    def step(params: Params, key: jax.Array) -> tuple[Params, jax.Array]:
        key_rows, key_noise = jax.random.split(key)
        chosen = jax.random.randint(key_rows, (BATCH_SIZE,), 0, N_ROWS)
        value, slopes = jax.value_and_grad(batch_loss)(params, chosen)
        keys = dict(zip(params, jax.random.split(key_noise, len(params)), strict=True))
        new = {
            name: w
            - STEP_SIZE / 2 * (N_BETA * slopes[name] + LOCALIZATION * (w - work.centre[name]))
            + STEP_SIZE**0.5 * jax.random.normal(keys[name], w.shape)
            for name, w in params.items()
        }
        return new, value

    def chain(key: jax.Array) -> jax.Array:
        losses = jax.lax.scan(step, work.centre, jax.random.split(key, n_steps))[1]
        return N_BETA * (losses.mean() - work.loss_at_centre)

    run = jax.jit(jax.vmap(chain))
    return lambda seed: np.asarray(run(jax.random.split(jax.random.key(seed), N_CHAINS)))


if __name__ == "__main__":
    from .command import main

    main(["--only", "learning_coefficient"])
