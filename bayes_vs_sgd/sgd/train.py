"""Train any number of networks, each with its own start, batches and stopping time."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import torch

from ..checks import require_count, require_fraction, require_positive
from ..likelihoods import Categorical, Likelihood
from ..network import Network
from ..priors import Prior
from ..storage import Checkpoint, digest
from ..types import Dataset, Draws, StoppedChainWarning
from .augmentation import Augmentation
from .averages import Average
from .batches import Batches
from .chunk import Recipe
from .objective import Loss, Objective
from .optimizers import SGD, Optimizer, build_groups
from .plan import Plan
from .run import Outcome, Run
from .schedules import Constant, Schedule
from .starts import Starts
from .wave import Stops, largest_chunk

# The stream of draws around averages, beside those of ``batches``.
_DRAWS = np.uint32(2**32 - 3)


def train(
    network: Network,
    dataset: Dataset,
    *,
    n_seeds: int,
    initial: Prior | Mapping[str, np.ndarray] | Draws,
    optimizer: Optimizer = SGD(),  # noqa: B008
    schedule: Schedule = Constant(),  # noqa: B008
    lr_factors: Mapping[str, float] | None = None,
    weight_decay: Mapping[str, float] | None = None,
    clip_norm: float | None = None,
    likelihood: Likelihood = Categorical(),  # noqa: B008
    label_smoothing: float = 0.0,
    augment: Augmentation | None = None,
    dropout: bool = False,
    batch_size: int | None = None,
    max_epochs: int | None = None,
    max_steps: int | None = None,
    checkpoints: Sequence[int] = (),
    look_every: int | None = None,
    stop_at_interpolation: bool = False,
    stop_at_loss: float | None = None,
    patience: int | None = None,
    average: Average | None = None,
    collect: Callable[[Any], Any] | None = None,
    seed: int = 0,
    first_seed: int = 0,
    device: str = "cpu",
    mixed_precision: bool = False,
    compiled: bool = False,
    checkpoint: str | Path | None = None,
    in_memory: bool = True,
    progress: bool = True,
) -> Draws:
    """Train ``n_seeds`` networks by minimising the mean negative log likelihood of their batches.

    Every network has its own start and its own order of batches, drawn without replacement; what
    is left at an epoch's end and fills no batch is left out. Small networks are stacked in chunks that
    fit the cache, one chunk a torch thread; large ones, and on a CPU convolutional ones, are trained one
    at a time with all threads. A network that has stopped keeps its parameters and costs nothing
    more. What becomes of a seed does not depend on the seeds that run beside it, but for rounding: on a
    CPU matrix products may round by place where a network's matrices do not lie at multiples of 64
    bytes, on a GPU by the size of the stack.

    A network whose training loss is not finite when it is looked at is stopped: its draws from there on
    are NaN, it is named in ``info["stopped_chains"]``, and a ``StoppedChainWarning`` says so;
    ``Draws.running`` leaves it out, and so do averages of predictions, with a warning.

    Counts of ``checkpoints``, ``look_every`` and ``patience`` are epochs, or steps where
    ``max_steps`` is given in place of ``max_epochs``. Averages and schedules count steps.

    Args:
        network: The architecture.
        dataset: Its training rows; the test rows are looked at, never trained on.
        n_seeds: Number of networks, with the numbers ``first_seed``, ``first_seed`` + 1, ….
        initial: A prior to draw the starts from; or parameters with a leading axis of ``n_seeds``; or
            ``Draws`` of so many chains, whose last parameters are taken.
        optimizer: Settings: ``SGD``, ``Adam``, ``AdamW``, ``Elementwise`` for the others of
            ``torch.optim``, or ``AGD``.
        schedule: Factor on the learning rate, step by step.
        lr_factors: The learning rate of parameter ``name`` is lr·lr_factors[name], and lr where the
            name is missing; 0 freezes it at its start. Parameterizations that scale with the width need
            them. The factors act as torch's parameter groups do: a weight decay in the gradient is scaled
            along with it.
        weight_decay: Weight decay by parameter name, in place of the optimiser's; that of
            ``priors.weight_decay`` makes maxima of the posterior of the minima (for ``SGD`` and ``Adam``).
        clip_norm: Largest norm of the gradient of a network.
        likelihood: Decides the loss.
        label_smoothing: Share of every label that is spread over all classes in the training loss.
        augment: Random changes of the inputs of every batch.
        dropout: Train with the dropout of a module that was in evaluation mode, ``module.eval()``, when
            the ``Network`` was made. ``nn.Dropout`` and ``nn.Dropout1d`` to ``3d``, and their functions
            called with ``self.training``, then zero each entry (channel) with probability p and
            divide the others by 1 − p, with masks of their own for every network, step and row. Losses,
            stopping rules and all predictions are those of the network without dropout, the mean
            network. False trains without it.
        batch_size: Rows a step; None takes all of them.
        max_epochs: Passes over the training rows at most; 1000 where neither is given.
        max_steps: Steps at most, in place of ``max_epochs``.
        checkpoints: When parameters are kept, 0 being the start; the end is always kept. A network
            that stopped earlier has its final parameters there. See ``log_grid``.
        look_every: How often the stopping rules look, beside the start; 10 epochs by default.
        stop_at_interpolation: Stop a network when its training error is 0.
        stop_at_loss: Stop a network when its mean negative log likelihood on all training rows,
            without smoothing and decay, is at most this.
        patience: Stop a network when its training error has not fallen for so long.
        average: What is kept in place of the iterates: ``SWA``, ``EMA``, or draws of ``SWAG``.
        collect: A JAX function of one network's parameters; what it returns is kept in place of them.
            ``collect=lambda params: {}`` keeps the curves alone.
        seed: Root of all randomness.
        first_seed: Number of the first network; start and batches of network s derive from
            (``seed``, s) alone.
        device: Torch device.
        mixed_precision: Forward and backward in bfloat16 where autocast holds it safe; parameters and
            optimiser stay as they are.
        compiled: Compile the gradient by ``torch.compile``: worth its minutes for large networks on
            a GPU.
        checkpoint: A folder that draws are streamed to. The same call with the same folder goes on
            where a killed run stopped, and returns what that run would have returned, bit for bit.
        in_memory: False leaves the draws on the disk: the leaves of ``params`` are Zarr arrays. It
            needs ``checkpoint``.
        progress: Show steps, networks still training and the time left.

    Returns:
        ``Draws`` with chain = seed and draw = checkpoint (the end last). ``stats``: ``train_loss``,
        ``train_error``, ``test_loss``, ``test_error`` (of what is kept), ``step`` and ``epoch``.
        ``last`` has the final iterates. ``info`` counts the networks whose final training error is 0,
        and names those whose loss ceased to be finite.

    Raises:
        ValueError: A count, the batch size, a checkpoint, a factor, the device, ``initial`` or a
            combination of settings is not possible, ``dropout`` finds none or other randomness, or the
            folder holds a run of other settings.
    """
    n_rows = len(dataset.x_train)
    batch_size = n_rows if batch_size is None else batch_size
    _check_counts(n_seeds, first_seed, batch_size, n_rows)
    batches = Batches(seed, n_rows, batch_size)
    plan = Plan.of(
        batches.steps_per_epoch, max_epochs, max_steps, checkpoints, look_every, patience
    )
    stops = Stops(stop_at_interpolation, stop_at_loss, plan.patience)
    loss = Loss(likelihood, label_smoothing, clip_norm, augment, dropout, mixed_precision, compiled)
    _check_loss(loss, stop_at_loss)
    _check_names(network, lr_factors=lr_factors, weight_decay=weight_decay)
    _check_kept(average, checkpoints, checkpoint, in_memory=in_memory)
    place = _device(device)
    starts = Starts(initial, network, n_seeds, seed, first_seed)

    start = {name: torch.from_numpy(value).to(place) for name, value in starts.of(0, 1).items()}
    objective = _objective(network, dataset, loss, start, place)
    recipe = Recipe(
        objective,
        batches,
        optimizer,
        schedule,
        plan.n_steps,
        dict(lr_factors or {}),
        dict(weight_decay or {}),
        objective.n_uniforms(batch_size),
        average,
        jax.random.fold_in(jax.random.key(seed), _DRAWS),
    )
    run = Run(
        recipe,
        plan,
        stops,
        starts,
        n_seeds,
        first_seed,
        _largest(recipe, start, place),
        _arrays if collect is None else _collected(collect),
        place,
        type(optimizer).__name__,
    )
    folder = None
    if checkpoint is not None:
        settings = _settings(network, dataset, run, loss)
        folder = Checkpoint(checkpoint, settings)
    outcome = run(folder, in_memory=in_memory, progress=progress)
    return _draws(outcome, optimizer, average)


def _objective(
    network: Network,
    dataset: Dataset,
    loss: Loss,
    start: Mapping[str, torch.Tensor],
    place: torch.device,
) -> Objective:
    dtype = next(iter(start.values())).dtype
    module = network.to_torch({name: value[0].cpu().numpy() for name, value in start.items()})

    def tensor(values: np.ndarray) -> torch.Tensor:
        # Torch takes no reversed views, and warns of what cannot be written, such as JAX's arrays.
        found = torch.from_numpy(np.require(values, requirements=["C", "W"]))
        return found.to(place, dtype if found.is_floating_point() else found.dtype)

    train = (tensor(dataset.x_train), tensor(dataset.y_train))
    test = (tensor(dataset.x_test), tensor(dataset.y_test))
    return Objective(module.to(place), list(network.shapes), loss, train, test)


def _largest(recipe: Recipe, start: Mapping[str, torch.Tensor], place: torch.device) -> int:
    """Places of a full chunk, and a refusal of what cannot be trained before anything is written.

    Raises:
        ValueError: The optimiser, the schedule or the loss does not suit the network.
    """
    params = {name: value.clone().requires_grad_() for name, value in start.items()}
    rule = build_groups(recipe.optimizer, params, recipe.lr_factors, recipe.weight_decay)
    name = type(recipe.optimizer).__name__
    if recipe.schedule != Constant() and "lr" not in rule.param_groups[0]:
        raise ValueError(f"{name} has no learning rate that a schedule could change; leave it out.")
    recipe.schedule(0, recipe.n_steps)
    batches, rows, uniforms = recipe.batches, None, None
    if not batches.is_whole or recipe.n_uniforms:
        rows = torch.zeros(1, batches.batch_size, dtype=torch.int64, device=place)
    if recipe.n_uniforms:
        uniforms = torch.zeros(1, batches.batch_size, recipe.n_uniforms, device=place)
    tensors = [value.detach() for value in params.values()]
    n_bytes = recipe.objective.measure(tensors, rows, uniforms)
    if not recipe.objective.gains_from_company:
        return 1
    # Beside what the gradient makes: parameters and two moments.
    touched = n_bytes + 3 * sum(t.numel() * t.element_size() for t in tensors)
    return largest_chunk(touched, place.type)


def _arrays(params: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: value.cpu().numpy() for name, value in params.items()}


def _collected(collect: Callable[[Any], Any]) -> Callable[[Mapping[str, torch.Tensor]], Any]:
    """``collect`` of stacked tensors, network by network."""
    of_stack = jax.jit(jax.vmap(collect))
    return lambda params: of_stack(_arrays(params))


def _settings(network: Network, dataset: Dataset, run: Run, loss: Loss) -> dict[str, Any]:
    """What decides the draws, as plain values."""
    recipe, rows = run.recipe, (dataset.x_train, dataset.y_train, dataset.x_test, dataset.y_test)
    return {
        "module": recipe.objective.module_text,
        "parameters": {name: list(shape) for name, shape in network.shapes.items()},
        "optimizer": repr(recipe.optimizer),
        "schedule": repr(recipe.schedule),
        "lr_factors": {name: float(value) for name, value in recipe.lr_factors.items()},
        "weight_decay": {name: float(value) for name, value in recipe.weight_decay.items()},
        "loss": repr(loss),
        "batch_size": recipe.batches.batch_size,
        "plan": repr(run.plan),
        "stops": repr(run.stops),
        "average": repr(recipe.average),
        "n_seeds": run.n_seeds,
        "first_seed": run.first_seed,
        "key": np.asarray(jax.random.key_data(recipe.key)).tolist(),
        "kept": str(run.like()),
        "device": run.device.type,
        "starting points": digest(run.starts.of(0, run.n_seeds if run.starts.are_given else 1)),
        "data": digest([np.asarray(a) for a in rows]),
        # Another architecture may have parameters of the same shapes.
        "loss at the start": f"{run.loss_at_start():.6g}",
    }


def _draws(outcome: Outcome, optimizer: Optimizer, average: Average | None) -> Draws:
    stats = outcome.stats
    info = {
        "sampler": repr(optimizer) if average is None else f"{average!r} of {optimizer!r}",
        "interpolated": int((stats["train_error"][:, -1] == 0).sum()),
        "nonfinite": len(outcome.failed),
        "stopped_chains": ", ".join(map(str, outcome.failed)),
        "seconds": outcome.seconds,
    }
    if outcome.failed:
        shown = ", ".join(map(str, outcome.failed[:10])) + (
            ", …" if len(outcome.failed) > 10 else ""
        )
        warnings.warn(
            f"the loss of {len(outcome.failed)} of {len(stats['step'])} networks ceased to be finite "
            f"(chains {shown}); their draws are NaN from there on. Lower the learning rate, clip the "
            "gradient by clip_norm, or leave them out with draws.running().",
            StoppedChainWarning,
            stacklevel=3,
        )
    return Draws(outcome.params, stats, outcome.last, info)


def _check_counts(n_seeds: int, first_seed: int, batch_size: int, n_rows: int) -> None:
    require_count("n_seeds", n_seeds)
    require_count("first_seed", first_seed, least=0)
    require_count("batch_size", batch_size)
    if batch_size > n_rows:
        raise ValueError(
            f"batch_size={batch_size} exceeds the {n_rows} training rows; pass at most {n_rows}."
        )


def _check_loss(loss: Loss, stop_at_loss: float | None) -> None:
    require_fraction("label_smoothing", loss.label_smoothing)
    if loss.clip_norm is not None:
        require_positive("clip_norm", loss.clip_norm)
    if stop_at_loss is not None and not math.isfinite(stop_at_loss):
        raise ValueError(f"stop_at_loss={stop_at_loss} is no loss; pass a finite number.")


def _check_kept(
    average: Average | None, checkpoints: Sequence[int], checkpoint: object, *, in_memory: bool
) -> None:
    if not in_memory and checkpoint is None:
        raise ValueError("in_memory=False needs a place for the draws; pass checkpoint=folder.")
    if average is not None and average.n_draws is not None and len(checkpoints):
        raise ValueError(
            f"checkpoints={list(checkpoints)} cannot be kept beside {type(average).__name__}, whose "
            "draws are taken at the end; leave them out."
        )


def _check_names(network: Network, **by_argument: Mapping[str, float] | None) -> None:
    for argument, values in by_argument.items():
        unknown = sorted(set(values or {}) - set(network.shapes))
        if unknown:
            raise ValueError(
                f"{argument} has unknown {unknown}; its names must be those of "
                "module.named_parameters()."
            )
        for name, value in (values or {}).items():
            if value != 0:
                require_positive(f"{argument}[{name!r}]", value)


def _device(name: str) -> torch.device:
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError("device='cuda' is not available to PyTorch here; pass 'cpu'.")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device={name!r} is unknown to PyTorch; pass 'cpu' or 'cuda'.") from error
