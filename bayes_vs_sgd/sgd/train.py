"""Train all seeds side by side, each with its own start, batches and stopping time."""

import time
from collections.abc import Mapping, Sequence

import jax
import numpy as np
import torch

from .. import progress as progress_bars
from ..checks import require_count, require_positive
from ..likelihoods import Categorical, Likelihood
from ..network import Network
from ..priors import Prior, sample_many
from ..types import Dataset, Draws
from .cohort import Cohort
from .optimizers import SGD, Optimizer

# Looking at the training error costs a forward pass over all rows, so it is done this often.
_EPOCHS_BETWEEN_LOOKS = 10
# Taking stopped networks out of the stack costs a new trace, so it waits until half have stopped.
_SHRINK_BELOW = 0.5


def train(
    network: Network,
    dataset: Dataset,
    *,
    n_seeds: int,
    initial: Prior | Mapping[str, np.ndarray],
    optimizer: Optimizer = SGD(),  # noqa: B008
    lr_factors: Mapping[str, float] | None = None,
    likelihood: Likelihood = Categorical(),  # noqa: B008
    batch_size: int | None = None,
    max_epochs: int = 1000,
    checkpoints: Sequence[int] = (),
    stop_at_interpolation: bool = False,
    patience: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    progress: bool = True,
) -> Draws:
    """Train ``n_seeds`` networks by minimising the mean negative log likelihood of their batches.

    Every network has its own start and its own order of batches, drawn without replacement; what
    is left at an epoch's end and fills no batch is left out. A network that has stopped keeps its
    parameters, and stopped networks leave the stack once they are half of it. The stopping rules look every 10 epochs.

    Args:
        network: The architecture.
        dataset: Its training rows.
        n_seeds: Number of networks. Start and batches of seed s derive from (``seed``, s) alone.
        initial: A prior to draw the starts from, or parameters with a leading axis of ``n_seeds``.
        optimizer: Settings of an elementwise ``torch.optim`` optimiser.
        lr_factors: The learning rate of parameter ``name`` is lr·lr_factors[name], and lr where the
            name is missing; parameterizations that scale with the width need them. The factors act
            as torch's parameter groups do: a weight decay in the gradient is scaled along with it.
        likelihood: Decides the loss.
        batch_size: Rows a step; None takes all of them.
        max_epochs: Passes over the training rows at most.
        checkpoints: Epochs after which parameters are kept; the end is always kept. A network that
            stopped earlier has its final parameters there.
        stop_at_interpolation: Stop a network when its training error is 0.
        patience: Stop a network when its training error has not fallen for this many epochs.
        seed: Root of all randomness.
        device: Torch device.
        progress: Show epochs, networks still training and the time left.

    Returns:
        ``Draws`` with chain = seed and draw = checkpoint (the end last). ``stats``: ``train_loss``,
        ``train_error`` and ``epoch``. ``info`` counts the networks whose training error is 0 and
        those whose loss is not finite.

    Raises:
        ValueError: A count, the batch size, a checkpoint, a learning-rate factor, the device or
            ``initial`` is not possible.
    """
    n_rows = len(dataset.x_train)
    batch_size = n_rows if batch_size is None else batch_size
    _check(n_seeds, batch_size, n_rows, max_epochs, checkpoints, patience)
    _check_lr_factors(lr_factors or {}, network)
    place = _device(device)
    x = torch.from_numpy(np.asarray(dataset.x_train)).to(place)
    y = torch.from_numpy(np.asarray(dataset.y_train)).to(place)
    starts = _starts(initial, network, n_seeds, seed)
    module = network.to_torch({name: value[0] for name, value in starts.items()}).to(place)

    start = {name: torch.from_numpy(value).to(place) for name, value in starts.items()}
    cohort = Cohort(module, likelihood, optimizer, start, lr_factors)
    record = _Record(cohort, x, y)
    shuffles = [np.random.default_rng([seed, s]) for s in range(n_seeds)]
    kept = []
    started = time.perf_counter()
    with progress_bars.bar(type(optimizer).__name__, max_epochs, show=progress) as report:
        for epoch in range(1, max_epochs + 1):
            for rows in _batches(shuffles, cohort.seeds, n_rows, batch_size):
                cohort.step(x, y, rows.to(place))
            is_kept, is_last = epoch in checkpoints, epoch == max_epochs
            if is_kept or is_last or epoch % _EPOCHS_BETWEEN_LOOKS == 0:
                record.look(cohort, x, y, epoch)
                if is_kept and not is_last:
                    kept.append(record.snapshot())
                n_training = record.stop(epoch, stop_at_interpolation, patience)
                if n_training == 0:
                    break
                if n_training <= len(cohort.seeds) * _SHRINK_BELOW:
                    cohort.keep(record.trains[cohort.seeds])
                report(epoch, f"{n_training} of {n_seeds} networks still train")
    n_missed = sum(c > epoch for c in set(checkpoints) - {max_epochs})
    kept += [record.snapshot()] * (n_missed + 1)
    return record.draws(kept, repr(optimizer), time.perf_counter() - started)


class _Record:
    """The latest parameters, loss and error of every network, and which of them still train.

    Attributes:
        trains: False for networks that have stopped; what is recorded of them stays as it was.
    """

    def __init__(self, cohort: Cohort, x: torch.Tensor, y: torch.Tensor) -> None:
        n = len(cohort.seeds)
        self.trains = np.ones(n, dtype=bool)
        self._params = {name: value.clone() for name, value in cohort.params.items()}
        self._stats = {name: np.full(n, np.nan) for name in ("train_loss", "train_error", "epoch")}
        self._lowest = np.full(n, np.inf)
        self._lowest_at = np.zeros(n)
        self.look(cohort, x, y, 0)

    def look(self, cohort: Cohort, x: torch.Tensor, y: torch.Tensor, epoch: int) -> None:
        """Note where the networks that still train are."""
        loss, error = cohort.judge(x, y)
        places = np.flatnonzero(self.trains[cohort.seeds])
        seeds = cohort.seeds[places]
        for name, value in cohort.params.items():
            where = torch.from_numpy(np.stack([seeds, places])).to(value.device)
            self._params[name][where[0]] = value[where[1]]
        self._stats["train_loss"][seeds] = loss[places]
        self._stats["train_error"][seeds] = error[places]
        self._stats["epoch"][seeds] = epoch
        fell = seeds[error[places] < self._lowest[seeds]]
        self._lowest[fell] = self._stats["train_error"][fell]
        self._lowest_at[fell] = epoch

    def stop(self, epoch: int, at_interpolation: bool, patience: int | None) -> int:
        """Stop networks that interpolate, are stuck or have no finite loss; how many still train."""
        stops = ~np.isfinite(self._stats["train_loss"])
        if at_interpolation:
            stops |= self._stats["train_error"] == 0
        if patience is not None:
            stops |= epoch - self._lowest_at >= patience
        self.trains &= ~stops
        return int(self.trains.sum())

    def snapshot(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Copies of parameters and statistics now."""
        params = {name: value.cpu().numpy().copy() for name, value in self._params.items()}
        return params, {name: value.copy() for name, value in self._stats.items()}

    def draws(
        self,
        kept: list[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]],
        optimizer: str,
        seconds: float,
    ) -> Draws:
        """All snapshots as ``Draws``."""
        stats = {name: np.stack([s[name] for _, s in kept], axis=1) for name in self._stats}
        params = {name: np.stack([p[name] for p, _ in kept], axis=1) for name in self._params}
        info = {
            "sampler": optimizer,
            "interpolated": int((stats["train_error"][:, -1] == 0).sum()),
            "nonfinite": int((~np.isfinite(stats["train_loss"][:, -1])).sum()),
            "seconds": seconds,
        }
        return Draws(params, stats, {name: value[:, -1] for name, value in params.items()}, info)


def _batches(
    shuffles: Sequence[np.random.Generator], seeds: np.ndarray, n_rows: int, batch_size: int
) -> list[torch.Tensor]:
    """Row numbers of one epoch, a tensor (n_active, batch_size) for every step."""
    order = torch.from_numpy(np.stack([shuffles[s].permutation(n_rows) for s in seeds]))
    n_steps = n_rows // batch_size
    return list(order[:, : n_steps * batch_size].split(batch_size, dim=1))


def _starts(
    initial: Prior | Mapping[str, np.ndarray], network: Network, n_seeds: int, seed: int
) -> dict[str, np.ndarray]:
    given = (
        initial
        if isinstance(initial, Mapping)
        else sample_many(initial, jax.random.key(seed), network.shapes, n_seeds)
    )
    starts = {name: np.array(value) for name, value in given.items()}
    lengths = {len(value) for value in starts.values()}
    if lengths != {n_seeds}:
        raise ValueError(
            f"initial has leading axes of {sorted(lengths)}; it must hold n_seeds={n_seeds} starts."
        )
    return {name: starts[name] for name in network.shapes}


def _check(
    n_seeds: int,
    batch_size: int,
    n_rows: int,
    max_epochs: int,
    checkpoints: Sequence[int],
    patience: int | None,
) -> None:
    require_count("n_seeds", n_seeds)
    require_count("batch_size", batch_size)
    require_count("max_epochs", max_epochs)
    if patience is not None:
        require_count("patience", patience)
    if batch_size > n_rows:
        raise ValueError(
            f"batch_size={batch_size} exceeds the {n_rows} training rows; pass at most {n_rows}."
        )
    outside = [c for c in checkpoints if not 1 <= c <= max_epochs]
    if outside:
        raise ValueError(
            f"checkpoints={outside} lie outside 1…max_epochs={max_epochs}; name epochs inside."
        )


def _check_lr_factors(lr_factors: Mapping[str, float], network: Network) -> None:
    unknown = sorted(set(lr_factors) - set(network.shapes))
    if unknown:
        raise ValueError(
            f"lr_factors has unknown {unknown}; its names must be those of module.named_parameters()."
        )
    for name, factor in lr_factors.items():
        require_positive(f"lr_factors[{name!r}]", factor)


def _device(name: str) -> torch.device:
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError("device='cuda' is not available to PyTorch here; pass 'cpu'.")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device={name!r} is unknown to PyTorch; pass 'cpu' or 'cuda'.") from error
