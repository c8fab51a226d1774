"""Does the double-descent peak that SGD shows go away under Bayesian model averaging, and why?

One ReLU network at many widths. SGD trains it from many seeds; HMC samples its posterior; the MAP
maximises the very log density that HMC samples. Five arms tell what removes a peak: SGD, a deep
ensemble (averaging without a posterior), the MAP (the prior without averaging), one posterior draw
(the posterior without averaging), and the BMA.
"""

import dataclasses
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import jax
import numpy as np
import torch
import xarray as xr

from bayes_vs_sgd import (
    Dataset,
    Draws,
    Network,
    Posterior,
    averaging,
    data,
    diagnostics,
    double_descent,
    functions,
    likelihoods,
    priors,
    report,
    runs,
    samplers,
    sgd,
)
from bayes_vs_sgd.samplers import HMC, MAP, NUTS
from bayes_vs_sgd.sgd import SGD, Adam
from models import MLP


@dataclass(frozen=True, kw_only=True)
class Config(runs.RunOptions):
    """Settings of the double-descent study.

    Attributes:
        widths: Hidden units, increasing.
        depth: Hidden layers.
        data: "digits", or a .npz file with x_train, y_train, x_test, y_test (or x, y).
        n_train: Training rows.
        n_test: Test rows at most.
        label_noise: Fraction of training labels redrawn uniformly.
        n_splits: Data splits, each with its own rows and noise.
        seed: Root of all randomness.
        n_seeds: Networks that SGD trains at each width, and starts of the MAP.
        ensemble_size: Networks in one deep ensemble; of as many starts the best is one MAP.
        optimizer: Which optimiser trains; its settings follow under its name.
        sgd: Settings of SGD.
        adam: Settings of Adam.
        initial: Where SGD starts: He's initialisation, the posterior's prior, or PyTorch's default.
        batch_size: Rows of a mini-batch.
        max_epochs: Epochs at most; a network stops earlier when its training error is 0.
        patience: A network also stops when its training error has not fallen for so many epochs.
        prior_std: Standard deviation of a weight times the root of its fan-in.
        bias_std: Standard deviation of a bias.
        temperature: T of prior × likelihood^(1/T).
        map: Settings of the maximisation.
        sampler: Which sampler draws; its settings follow under its name.
        hmc: Settings of HMC.
        nuts: Settings of NUTS.
        n_chains: Markov chains at each width.
        n_warmup: Iterations that adapt the sampler.
        n_draws: Draws kept of each chain.
        margin_error: A second rise of the test error below this counts as none.
        margin_nll: The same for the test NLL, in nats.
        level: Confidence level of the intervals.
    """

    widths: tuple[int, ...] = (4, 6, 8, 10, 12, 16, 20, 28)
    depth: int = 1
    data: str = "digits"
    n_train: int = 400
    n_test: int = 10_000
    label_noise: float = 0.2
    n_splits: int = 1
    seed: int = 0
    n_seeds: int = 16
    ensemble_size: int = 4
    optimizer: Literal["sgd", "adam"] = "sgd"
    sgd: SGD = field(default_factory=SGD)
    adam: Adam = field(default_factory=Adam)
    initial: Literal["he", "prior", "torch"] = "he"
    batch_size: int = 100
    max_epochs: int = 2000
    patience: int = 300
    prior_std: float = 2.0
    bias_std: float = 1.0
    temperature: float = 1.0
    map: MAP = field(default_factory=lambda: MAP(n_steps=3000))
    sampler: Literal["hmc", "nuts"] = "hmc"
    hmc: HMC = field(default_factory=lambda: HMC(n_leapfrog=100, target_acceptance=0.65))
    nuts: NUTS = field(default_factory=NUTS)
    n_chains: int = 4
    n_warmup: int = 250
    n_draws: int = 350
    margin_error: float = 0.02
    margin_nll: float = 0.1
    level: float = 0.95


# A cell's method, and the arms that it yields.
METHODS = {"sgd": ("sgd", "deep_ensemble"), "map": ("map",), "hmc": ("draw", "bma")}

PRESETS = {
    "quick": Config(),
    "full": Config(
        preset="full",
        widths=(2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 30, 50, 100, 200, 400),
        n_splits=5,
        n_seeds=64,
        ensemble_size=8,
        max_epochs=4000,
        patience=800,
        n_chains=8,
        n_warmup=2000,
        n_draws=2000,
        map=MAP(n_steps=20_000),
    ),
}


def main(config: Config) -> None:
    """Run the study: every cell of method × width × split, then the verdict and the report."""
    started = time.perf_counter()
    study = Study(config, *prepare(config))
    folder = runs.open_folder("double_descent", config)
    print(f"double descent on {study.datasets[0].name}: {len(study.cells())} cells → {folder.path}")
    runs.run_cells(study.cells(), study.compute, folder, executor=config.executor)
    sweep = assemble(config, study.cells(), folder)
    margins = {"error": config.margin_error, "nll": config.margin_nll}
    verdict = sweep.verdict(margins, level=config.level, seed=config.seed)
    table = sweep.table(level=config.level, seed=config.seed)
    folder.write_text("summary.csv", table.to_csv(index=False))
    folder.write_json("verdict.json", verdict)
    folder.write_json("fidelity.json", fidelity(sweep))
    folder.write_json("provenance.json", provenance(config, time.perf_counter() - started))
    page = report.write(folder)
    print(report.table_text(table))
    print(report.verdict_text(verdict))
    print(f"\n{page}   ({time.perf_counter() - started:.0f} s)")


def prepare(config: Config) -> tuple[str, list[Dataset]]:
    """Everything that can be refused, before anything is computed or written.

    Raises:
        UserError: A setting, the device or the data are not possible.
    """
    try:
        check(config)
        device = samplers.use_devices(config.device)
        datasets = [load(config, split) for split in range(config.n_splits)]
        if config.batch_size > config.n_train:
            raise ValueError(
                f"batch_size={config.batch_size} exceeds the {config.n_train} training rows; pass at "
                f"most {config.n_train}."
            )
        MLP(1, min(config.widths), 2, config.depth)
        return device, datasets
    except (ValueError, RuntimeError) as error:
        raise runs.UserError(str(error)) from error


def check(config: Config) -> None:
    """Refuse settings that make no sweep.

    Raises:
        ValueError: With the mend.
    """
    widths = config.widths
    if len(widths) < 3 or list(widths) != sorted(set(widths)):
        raise ValueError(
            f"widths={list(widths)} is no sweep; pass at least 3 different widths in increasing order."
        )
    if min(widths) < 1:
        raise ValueError(f"widths={list(widths)} has a width of {min(widths)}; pass at least 1.")
    least = {"n_splits": 1, "n_chains": 2, "n_draws": 4, "n_warmup": 0, "ensemble_size": 2}
    least |= {"max_epochs": 1, "patience": 1, "batch_size": 1, "n_test": 2, "depth": 1}
    for name, minimum in least.items():
        if getattr(config, name) < minimum:
            raise ValueError(f"{name}={getattr(config, name)} is too few; pass at least {minimum}.")
    if config.n_seeds < 2 * config.ensemble_size:
        raise ValueError(
            f"n_seeds={config.n_seeds} gives fewer than 2 ensembles of {config.ensemble_size}, so "
            f"their spread is unknown; pass at least {2 * config.ensemble_size}."
        )
    if config.n_chains * config.n_draws < 40:
        raise ValueError(
            f"n_draws={config.n_draws} in {config.n_chains} chains is too few for cross-validation and "
            "ESS; pass at least 40 draws in all."
        )
    for name in ("prior_std", "bias_std", "temperature", "margin_error", "margin_nll"):
        if not getattr(config, name) > 0:
            raise ValueError(f"{name}={getattr(config, name)} is not positive; pass more than 0.")
    if not 0 < config.level < 1:
        raise ValueError(f"level={config.level} is no confidence level; 0.95 is usual.")


def load(config: Config, split: int) -> Dataset:
    """The data of one split."""
    seed = config.seed + split
    if config.data == "digits":
        return data.digits(config.n_train, config.label_noise, seed, n_test=config.n_test)
    return data.from_npz(
        Path(config.data),
        n_train=config.n_train,
        n_test=config.n_test,
        label_noise=config.label_noise,
        seed=seed,
    )


@dataclass(frozen=True)
class Study:
    """The grid of cells and how each kind is computed."""

    config: Config
    device: str
    datasets: list[Dataset]

    def cells(self) -> list[runs.Cell]:
        """Every method at every width on every split."""
        return [
            runs.Cell(
                f"{method}-w{width}-s{split}", {"method": method, "width": width, "split": split}
            )
            for split in range(self.config.n_splits)
            for width in self.config.widths
            for method in METHODS
        ]

    def compute(self, cell: runs.Cell) -> xr.DataTree:
        """One cell: train, maximise or sample, and keep what its arms need."""
        width, dataset = cell.settings["width"], self.datasets[cell.settings["split"]]
        network = lowered(self.config.depth, width, dataset.x_train[0].shape, dataset.n_classes)
        compute = {"sgd": self.train, "map": self.maximize, "hmc": self.sample}
        method = list(METHODS).index(cell.settings["method"])
        root = np.random.SeedSequence([self.config.seed, cell.settings["split"], width, method])
        tree = compute[cell.settings["method"]](network, dataset, int(root.generate_state(1)[0]))
        tree.attrs["summary"] = summary(tree)
        return tree

    def train(self, network: Network, dataset: Dataset, seed: int) -> xr.DataTree:
        """Networks from many seeds: the arms SGD and deep ensemble."""
        config = self.config
        start: dict[str, priors.Prior] = {
            "he": priors.FanIn(std=2**0.5, bias_std=0.0),
            "prior": self.prior(),
            "torch": priors.TorchDefault(),
        }
        trained = sgd.train(
            network,
            dataset,
            n_seeds=config.n_seeds,
            initial=start[config.initial],
            optimizer=config.sgd if config.optimizer == "sgd" else config.adam,
            batch_size=config.batch_size,
            max_epochs=config.max_epochs,
            stop_at_interpolation=True,
            patience=config.patience,
            seed=seed,
            device=self.device,
        )
        test = averaging.predict(network, trained, dataset.x_test)
        train = averaging.predict(network, trained, dataset.x_train)
        runs_on = still_running(config, trained)
        of_test, of_train = test[runs_on], train[runs_on]
        test_groups, train_groups = grouped(config.ensemble_size, of_test[:, -1], of_train[:, -1])
        single, ensemble = double_descent.Arm(averaged=False), double_descent.Arm(averaged=True)
        tree = diagnostics.to_datatree(trained, test, dataset=dataset, train_log_probs=train)
        tree["arms/sgd"] = xr.DataTree(single.losses(of_test, of_train, dataset))
        tree["arms/deep_ensemble"] = xr.DataTree(
            ensemble.losses(test_groups, train_groups, dataset)
        )
        tree.attrs.update(trained.info)
        return tree

    def maximize(self, network: Network, dataset: Dataset, seed: int) -> xr.DataTree:
        """The best of several climbs from the prior: the arm MAP."""
        config, posterior = self.config, self.posterior(network, dataset)
        starts = posterior.draw_prior(jax.random.key(seed), config.n_seeds)
        maxima = samplers.maximize(posterior, starts, config.map)
        test = averaging.predict(network, maxima, dataset.x_test)
        train = averaging.predict(network, maxima, dataset.x_train)
        best = best_of_groups(maxima.stats["lp"][:, 0], config.ensemble_size)
        tree = diagnostics.to_datatree(maxima, test, dataset=dataset, train_log_probs=train)
        arm = double_descent.Arm(averaged=False)
        tree["arms/map"] = xr.DataTree(arm.losses(test[best], train[best], dataset))
        tree.attrs.update(maxima.info)
        return tree

    def sample(self, network: Network, dataset: Dataset, seed: int) -> xr.DataTree:
        """Markov chains from the prior: the arms one draw and BMA."""
        config, posterior = self.config, self.posterior(network, dataset)
        key, key_start = jax.random.split(jax.random.key(seed))
        likelihood = likelihoods.Categorical()

        def collect(params: dict[str, jax.Array]) -> dict[str, object]:
            predict = lambda x: likelihood.predict(network.apply(params, x))  # noqa: E731
            return {
                "params": params,
                "test": predict(dataset.x_test),
                "train": predict(dataset.x_train),
            }

        draws = samplers.sample(
            key,
            posterior,
            posterior.draw_prior(key_start, config.n_chains),
            config.hmc if config.sampler == "hmc" else config.nuts,
            n_warmup=config.n_warmup,
            n_draws=config.n_draws,
            collect=collect,
        )
        test, train = draws.params["test"], draws.params["train"]
        weights = dataclasses.replace(draws, params=draws.params["params"])
        convergence = diagnostics.function_convergence(weights, test)
        tree = diagnostics.to_datatree(weights, test, dataset=dataset, train_log_probs=train)
        draw = double_descent.Arm(averaged=False)
        bma = double_descent.Arm(averaged=True, pooled=True)
        tree["arms/draw"] = xr.DataTree(draw.losses(test, train, dataset))
        tree["arms/bma"] = xr.DataTree(bma.losses(test, train, dataset))
        tree["convergence"] = xr.DataTree(convergence.by_value)
        tree.attrs.update(draws.info)
        tree.attrs.update(convergence.figures() | diagnostics.run_summary(tree))
        return tree

    def prior(self) -> priors.FanIn:
        """The prior of the posterior."""
        return priors.FanIn(std=self.config.prior_std, bias_std=self.config.bias_std)

    def posterior(self, network: Network, dataset: Dataset) -> Posterior:
        """The density that HMC samples and MAP maximises."""
        return Posterior.of(
            network,
            dataset,
            likelihoods.Categorical(),
            self.prior(),
            temperature=self.config.temperature,
        )


def lowered(depth: int, width: int, shape: tuple[int, ...], n_classes: int) -> Network:
    """The network of one width."""
    torch.manual_seed(0)
    module = MLP(int(np.prod(shape)), width, n_classes, depth)
    return Network(module, np.zeros((2, *shape), np.float32))


def still_running(config: Config, trained: Draws) -> np.ndarray:
    """Numbers of the networks whose loss stayed finite; the arms are made of them.

    Raises:
        UserError: Too few for two ensembles.
    """
    kept = trained.running_chains()
    if len(kept) < 2 * config.ensemble_size:
        raise runs.UserError(
            f"the loss of {trained.n_chains - len(kept)} of {trained.n_chains} networks ceased to be "
            f"finite, and two ensembles of {config.ensemble_size} need {2 * config.ensemble_size} of "
            f"them; lower --{config.optimizer}.lr."
        )
    return kept


def grouped(size: int, *members: np.ndarray) -> list[np.ndarray]:
    """Disjoint groups of ``size`` members: (member, ...) → (group, size, ...)."""
    n_groups = len(members[0]) // size
    return [m[: n_groups * size].reshape(n_groups, size, *m.shape[1:]) for m in members]


def best_of_groups(log_density: np.ndarray, size: int) -> np.ndarray:
    """The index of the highest maximum in every group of ``size`` starts."""
    (groups,) = grouped(size, log_density)
    return groups.argmax(axis=1) + size * np.arange(len(groups))


def assemble(
    config: Config, cells: list[runs.Cell], folder: runs.RunFolder
) -> double_descent.Sweep:
    """All cells of a run as one sweep."""
    by_arm: dict[str, list[list[xr.Dataset]]] = {
        arm: [[] for _ in range(config.n_splits)] for arm in double_descent.ARMS
    }
    unconverged = []
    for cell in cells:
        for arm in METHODS[cell.settings["method"]]:
            losses = folder.read_group(cell.key, f"arms/{arm}")
            by_arm[arm][cell.settings["split"]].append(losses)
        if not folder.read_group(cell.key).attrs.get("converged", True):
            unconverged.append(cell.key)
    return double_descent.Sweep.of(config.widths, by_arm, unconverged)


def fidelity(sweep: double_descent.Sweep) -> list[dict[str, float | str]]:
    """Agreement and total variation of every arm to the BMA, at every width (first split)."""
    rows = []
    for arm, losses in sweep.arms.items():
        for k, width in enumerate(sweep.complexity):
            at = {"split": 0, "complexity": k}
            reference = averaging.bma(sweep.arms["bma"]["log_prob"].isel(at).to_numpy()[:, None])
            predictions = losses["log_prob"].isel(at).to_numpy()
            same = functions.agreement(predictions, reference)
            apart = functions.total_variation(predictions, reference)
            rows.append(
                {
                    "arm": arm,
                    "complexity": width,
                    "agreement": same.value,
                    "agreement_sem": same.sem,
                    "total_variation": apart.value,
                    "total_variation_sem": apart.sem,
                }
            )
    return rows


def summary(tree: xr.DataTree) -> str:
    """A few words on a finished cell."""
    errors = ", ".join(
        f"{double_descent.ARMS[arm]} {float(node['error_estimate'].mean()):.3f}"
        for arm, node in tree["arms"].children.items()
    )
    r_hat = f", R-hat {tree.attrs['rhat']:.3f}" if "rhat" in tree.attrs else ""
    return f"error: {errors}{r_hat}"


def provenance(config: Config, seconds: float) -> dict[str, object]:
    """What produced the run."""
    return runs.provenance() | {
        "seed": config.seed,
        "device": config.device,
        "executor": config.executor,
        "preset": config.preset,
        "wall_seconds_of_the_last_session": seconds,
    }


if __name__ == "__main__":
    # More threads than one slow small networks down, the more so beside JAX's.
    torch.set_num_threads(1)
    runs.run_study(lambda: main(runs.parse(PRESETS, prog="python -m studies.double_descent")))
