"""What a run will cost, before it starts: parameters, memory, arithmetic, hours."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from bayes_vs_sgd import Dataset, averaging
from bayes_vs_sgd.checks import human_bytes

from .config import Config
from .problem import build
from .stand_in import n_test_rows

if TYPE_CHECKING:
    from .study import Study

# Speed that a GPU is taken to have with networks of this kind in float32, in FLOP/s; between a tenth and
# a half of what data sheets of recent ones promise.
GPU_FLOPS = 1e13
# A gradient has the forward pass, and two products of the same size on the way back.
_GRADIENT = 3
# Where a method finds the number itself: leapfrog steps of a trajectory of NUTS, temperatures of SMC.
_NUTS_STEPS, _TEMPERATURES = 64, 40
# Epochs of which early stopping keeps the weights, at most.
_LOOKS = 40
# Feature maps that the forward pass of a layer holds: what comes in, what goes out, and a shortcut.
_MAPS_AT_ONCE = 3
# FLOP of the step whose speed is measured on a CPU, so that a large network does not take a minute.
_MEASURED = 1e10


@dataclass(frozen=True)
class Network:
    """One network and what a row of data costs it.

    Attributes:
        n_parameters: Numbers that are learnt.
        flops: Of the forward pass of one row, a product and a sum being two.
        activations: Bytes that the gradient of one row keeps.
        widest: Bytes of the largest of them.
    """

    n_parameters: int
    flops: float
    activations: float
    widest: float

    @classmethod
    def of(cls, module: nn.Module, x: np.ndarray) -> "Network":
        """Count in forward passes of two and of four rows, whose difference leaves out all constants."""
        (flops2, saved2), (flops4, saved4) = (_forward(module, rows_of(x, n)) for n in (2, 4))
        n_parameters = sum(p.numel() for p in module.parameters())
        return cls(
            n_parameters,
            (flops4 - flops2) / 2,
            (sum(saved4) - sum(saved2)) / 2,
            (max(saved4, default=0) - max(saved2, default=0)) / 2,
        )


def rows_of(x: np.ndarray, n: int) -> torch.Tensor:
    """So many rows, the first ones again where there are fewer."""
    return torch.from_numpy(np.ascontiguousarray(x[np.arange(n) % len(x)]))


def _forward(module: nn.Module, rows: torch.Tensor) -> tuple[float, list[int]]:
    """FLOP of a forward pass, and bytes of what it saves for the gradient, parameters left out."""
    parameters = {p.untyped_storage().data_ptr() for p in module.parameters()}
    saved: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        # What two operators save is there once.
        if storage.data_ptr() not in parameters:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with FlopCounterMode(display=False) as counter, saved_tensors_hooks(note, lambda t: t):
        # Kept until the end, so that no storage is freed and its address used again.
        output = module(rows)
    del output
    return counter.get_total_flops(), list(saved.values())


def row_gradients(config: Config, method: str, arms: tuple[str, ...]) -> float:
    """Gradients of single rows that a method takes at one place, at most.

    Networks that stop earlier cost less. NUTS is taken to have 64 leapfrog steps a draw, and SMC 40
    temperatures. Predictions, looks at the losses and the curvature of Laplace are not counted; what
    linear models solve exactly counts as nothing.
    """
    n_rows = config.n_train
    chains = config.n_chains * n_rows
    leapfrogs = {"hmc": config.hmc.n_leapfrog, "nuts": _NUTS_STEPS}
    iterations = config.n_warmup + config.n_draws
    climbing = config.n_seeds * config.map.n_steps * n_rows
    minibatch = config.minibatch_warmup + config.minibatch_thin * config.n_draws
    explored = config.minibatch_thin * config.n_draws / (1 - config.cycles.exploration)
    smc = config.smc
    moves = smc.n_moves * getattr(smc.sampler, "n_leapfrog", _NUTS_STEPS)
    costs: dict[str, Callable[[], float]] = {
        "sgd": lambda: (
            config.n_seeds * n_rows * (config.max_epochs + _further_epochs(config, arms))
        ),
        "early": lambda: (1 - config.validation) * config.n_seeds * config.max_epochs * n_rows,
        "map": lambda: climbing,
        "map_tuned": lambda: climbing * (1 + (1 - config.validation) * len(config.tuned_factors)),
        "hmc": lambda: chains * iterations * leapfrogs[config.sampler],
        "nuts": lambda: chains * iterations * _NUTS_STEPS,
        "mclmc": lambda: chains * (2 * iterations * config.mclmc_thin + config.map.n_steps),
        "sghmc": lambda: chains * minibatch,
        "csgld": lambda: chains * (config.minibatch_warmup + explored),
        "smc": lambda: config.n_runs * smc.n_particles * _TEMPERATURES * moves * n_rows,
        "exact": lambda: 0.0,
        "capacity": lambda: config.n_seeds * config.max_epochs * sum(config.capacity_rows),
    }
    return float(costs[method]())


def _further_epochs(config: Config, arms: tuple[str, ...]) -> int:
    """Epochs of SWA and of SWAG; along epochs SWA is a run of its own."""
    swa = config.max_epochs if config.axis == "epochs" else config.average_epochs
    swag = config.average_epochs if {"swag", "multiswag"} & set(arms) else 0
    return swag + (swa if "swa" in arms else 0)


def memory(
    config: Config, network: Network, method: str, arms: tuple[str, ...], dataset: Dataset
) -> float:
    """Bytes that a cell holds at once.

    These are its data, the weights and predictions that it keeps, and the larger of what its gradients and
    its predictions take: of trained networks as many rows as ``averaging.rows_at_once`` has, of chains all.
    """
    n_rows, n_test = config.n_train, n_test_rows(dataset)
    weights = 4.0 * network.n_parameters
    outputs = max(dataset.n_classes, 1) * np.prod(dataset.y_test.shape[1:] or (1,))
    predictions = 4.0 * outputs * (n_rows + n_test)
    inputs = dataset.x_train[0].nbytes * (n_rows + n_test)
    if method in ("sgd", "early", "capacity"):
        at_once = config.n_seeds
        gradients = 5 * weights + min(config.batch_size, n_rows) * network.activations
        kept = _kept_networks(config, method, arms, weights, predictions)
    else:
        at_once, n_kept = _chains(config, method)
        rows = min(config.micro_batch or n_rows, n_rows)
        gradients = at_once * (6 * weights + rows * network.activations)
        kept = n_kept * (weights + predictions)
    one_row = np.broadcast_to(dataset.x_train[:1], (n_rows, *dataset.x_train.shape[1:]))
    trained = method in ("sgd", "early", "map", "map_tuned")
    predicted = averaging.rows_at_once(one_row, at_once) if trained else n_rows
    predicting = 0 if method == "capacity" else at_once * predicted * _MAPS_AT_ONCE * network.widest
    return inputs + kept + max(gradients, predicting)


def _kept_networks(
    config: Config, method: str, arms: tuple[str, ...], weights: float, predictions: float
) -> float:
    if method == "capacity":
        return config.n_seeds * weights
    if method == "early":
        return config.n_seeds * (_LOOKS * weights + predictions)
    places = len([e for e in config.values if e <= config.max_epochs])
    along = config.axis == "epochs"
    n_kept = places if along else max(config.n_checkpoints, 1)
    n_predicted = (1 + ("swa" in arms)) * (places if along else 1)
    swag = 0.0
    if {"swag", "multiswag"} & set(arms):
        # The mean, the squares and the deviations of a network in training, then the draws of all.
        drawn = config.n_seeds * config.n_gaussian_draws
        swag = (2 + config.swag_rank) * weights + drawn * (weights + predictions)
    return config.n_seeds * (n_kept * weights + n_predicted * predictions) + swag


def _chains(config: Config, method: str) -> tuple[int, int]:
    """Networks whose gradients are taken at once, and draws that are kept."""
    if method in ("map", "map_tuned"):
        return config.n_seeds, config.n_seeds
    if method == "smc":
        return config.smc.n_particles, config.n_runs * config.smc.n_particles
    return config.n_chains, config.n_chains * config.n_draws


def estimate(study: "Study") -> pd.DataFrame:
    """One row a cell: place, method, parameters, bytes, and FLOP."""
    networks: dict[float | None, Network] = {}
    rows = []
    for cell in study.cells():
        value, method = cell.settings["value"], cell.settings["method"]
        config = study.config if value is None else study.config.at(value)
        dataset = study.datasets[cell.settings["split"]]
        if value not in networks:
            networks[value] = Network.of(build(config, dataset), dataset.x_train)
        network, arms = networks[value], study.arms(method)
        gradients = row_gradients(config, method, arms)
        rows.append(
            {
                "cell": cell.key,
                "place": value,
                "method": method,
                "parameters": network.n_parameters,
                "bytes": memory(config, network, method, arms, dataset),
                "flop": _GRADIENT * network.flops * gradients,
            }
        )
    return pd.DataFrame(rows)


def measured_flops(study: "Study") -> float:
    """FLOP/s of PyTorch's gradient of the largest network, on the device of the run.

    Of one batch, or on a CPU of as many rows as take 10¹⁰ FLOP, but at least one.
    """
    config = study.config
    here = config if config.axis == "epochs" else config.at(config.values[-1])
    dataset = study.datasets[0]
    module = build(here, dataset).to(study.device)
    flops = _GRADIENT * Network.of(build(here, dataset), dataset.x_train).flops
    n_rows = config.batch_size
    if study.device == "cpu":
        n_rows = min(n_rows, max(1, int(_MEASURED / flops)))
    x = rows_of(dataset.x_train, n_rows).to(study.device)

    def step() -> None:
        module(x).square().mean().backward()
        if study.device == "cuda":
            torch.cuda.synchronize()

    step()
    n, started = 0, time.perf_counter()
    while time.perf_counter() - started < 1.0:
        step()
        n += 1
    return flops * len(x) * n / (time.perf_counter() - started)


def describe(study: "Study") -> str:
    """The estimate as lines for a terminal."""
    table, speed = estimate(study), measured_flops(study)
    by_place = table.groupby("place", sort=False, dropna=False).agg(
        cells=("cell", "size"), parameters=("parameters", "first"), memory=("bytes", "max"),
        flop=("flop", "sum"),
    )  # fmt: skip
    by_method = table.groupby("method", sort=False).agg(
        cells=("cell", "size"), memory=("bytes", "max"), flop=("flop", "sum")
    )
    by_place = by_place.assign(place=[_name(p) for p in by_place.index]).set_index("place")
    total = table["flop"].sum()
    return "\n".join(
        [
            f"{len(table)} cells along {study.config.axis} on {study.datasets[0].name}; nothing was "
            "computed or written.",
            "",
            _shown(by_place, speed).to_string(),
            "",
            _shown(by_method, speed).to_string(),
            "",
            f"In all {total:.2e} FLOP: about {_hours(total, speed)} hours here, at the {speed:.1e} FLOP/s "
            f"that the largest network reached on this {study.device} just now, or {_hours(total, GPU_FLOPS)} "
            f"hours of a GPU that is assumed to reach {GPU_FLOPS:.0e} FLOP/s. The largest cell takes about "
            f"{human_bytes(table['bytes'].max())} of memory.",
            "The hours are those of gradients, as if no network stopped before its last epoch; predictions "
            "come on top. Small networks are slower than their arithmetic says.",
        ]
    )


def _shown(table: pd.DataFrame, speed: float) -> pd.DataFrame:
    columns = {
        "memory": [human_bytes(b) for b in table["memory"]],
        "flop": [f"{f:.1e}" for f in table["flop"]],
        "hours here": [_hours(f, speed) for f in table["flop"]],
        "GPU hours": [_hours(f, GPU_FLOPS) for f in table["flop"]],
    }
    return table.drop(columns=["memory", "flop"]).assign(**columns)


def _hours(flop: float, speed: float) -> str:
    hours = flop / speed / 3600
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"


def _name(place: float | None) -> str:
    return "all epochs" if place is None or np.isnan(place) else f"{place:g}"
