"""How far layers and the tangent kernel move, at one width in one parameterization."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

import models
from bayes_vs_sgd import Draws, Estimate, Network, functions, likelihoods, sgd
from bayes_vs_sgd.functions import kernels
from studies._functions import Problem

from .arms import inputs
from .config import Config

# Hidden layers of these networks, so that there is a layer of each role.
DEPTH = 2
# The layers by role, as parameters of ``models.MLP`` have them.
ROLES = {"layers.1": "input", "layers.3": "hidden", "layers.5": "output"}
NORMS = ("spectral", "frobenius")
ENDS = ("test_error", "train_error", "train_loss")
# Of the tangent kernel: how far it turned, and how much it is like the target's, before and after.
KERNELS = ("kernel_change", "target_alignment_start", "target_alignment_end")
MEASURED = (*(f"{role}_{norm}" for role in ROLES.values() for norm in NORMS), *KERNELS, *ENDS)
# Networks whose tangent kernels are computed.
_MOST_KERNELS = 8


def network(config: Config, problem: Problem, parameterization: str, width: int) -> models.MLP:
    """The module."""
    scalings: dict[str, models.Parameterization] = {
        "standard": models.Standard(),
        "ntk": models.NTK(),
        "mup": models.MuP(min(config.widths)),
    }
    n_inputs = int(np.prod(problem.dataset.x_train.shape[1:]))
    return models.MLP(n_inputs, width, 1, DEPTH, parameterization=scalings[parameterization])


def learning_rate(config: Config, parameterization: str, width: int) -> float:
    """That of a parameter of factor 1."""
    return config.step / {"standard": width, "ntk": 1, "mup": min(config.widths)}[parameterization]


def flow_time(config: Config, n_rows: int) -> float:
    """The time of gradient flow on ½ Σ (f − y)² that the steps of the NTK parameterization take."""
    return config.step * config.n_steps / n_rows


def compute(
    config: Config, problem: Problem, parameterization: str, width: int, seed: int
) -> xr.DataTree:
    """Networks trained by full-batch gradient descent on the squared error to −1 and 1, and how they moved."""
    module = network(config, problem, parameterization, width)
    lowered = Network(module, problem.dataset.x_train[:1])
    trained = sgd.train(
        lowered,
        problem.dataset,
        n_seeds=config.n_networks,
        initial=models.prior(module, std=config.sigma_w, bias_std=config.sigma_b),
        optimizer=sgd.SGD(lr=learning_rate(config, parameterization, width), momentum=0.0),
        lr_factors=models.lr_factors(module),
        likelihood=likelihoods.Signs(),
        max_steps=config.n_steps,
        checkpoints=[0],
        seed=seed,
    )
    running = trained.running_chains()
    found = _measured(lowered, problem, trained, running) if len(running) > 1 else {}
    tree = xr.DataTree()
    for name in MEASURED:
        value = found.get(name, Estimate(math.nan, math.nan))
        tree.attrs |= {name: float(value.value), f"{name}_sem": float(value.sem)}
    tree.attrs |= {
        "n_networks": len(running),
        "n_failed": config.n_networks - len(running),
        "summary": f"hidden layer moved by {tree.attrs['hidden_spectral']:.3g}",
    }
    return tree


def _measured(
    lowered: Network, problem: Problem, trained: Draws, running: np.ndarray
) -> dict[str, Estimate]:
    """The means over networks that stayed finite."""
    start, end = ({name: a[running, i] for name, a in trained.params.items()} for i in (0, -1))
    moved = functions.movement(start, end)
    found = {
        f"{role}_{norm}": getattr(moved[f"{layer}.weight"], norm)
        for layer, role in ROLES.items()
        for norm in NORMS
    }
    found |= _kernels(lowered, problem, start, end)
    for name in ENDS:
        found[name] = mean_over(np.asarray(trained.stats[name])[running, -1])
    # The mean of ½(f − y)², without the constant of the normal density.
    loss = found["train_loss"]
    return found | {"train_loss": Estimate(loss.value - 0.5 * np.log(2 * np.pi), loss.sem)}


def _kernels(
    lowered: Network, problem: Problem, start: dict[str, np.ndarray], end: dict[str, np.ndarray]
) -> dict[str, Estimate]:
    """Alignment of the tangent kernels at start and end, and of each with the target, on all inputs.

    Networks that have died, whose kernel is constant, are left out.
    """
    x = jnp.asarray(inputs(problem))
    y = 2.0 * np.concatenate([problem.dataset.y_train, problem.dataset.y_test]) - 1

    @jax.jit
    def kernel(params: dict[str, jax.Array]) -> jax.Array:
        return kernels.output_mean(kernels.empirical_ntk(lowered.apply, params, x))

    target, rows = np.outer(y, y), []
    for i in range(min(_MOST_KERNELS, len(next(iter(start.values()))))):
        before, after = (
            np.asarray(kernel({name: jnp.asarray(a[i]) for name, a in side.items()}))
            for side in (start, end)
        )
        if not (_varies(before) and _varies(after)):
            continue
        rows.append(
            [
                1 - kernels.alignment(before, after),
                kernels.alignment(before, target),
                kernels.alignment(after, target),
            ]
        )
    if len(rows) < 2:
        return {}
    return {name: mean_over(row) for name, row in zip(KERNELS, np.array(rows).T, strict=True)}


def _varies(kernel: np.ndarray) -> bool:
    """Whether it depends on the inputs; that of a network whose hidden units are all dead does not."""
    return bool(np.ptp(kernel) > 1e-6 * np.abs(kernel).max())


def mean_over(values: np.ndarray) -> Estimate:
    """The mean over independent networks, with its standard error."""
    return Estimate(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))))
