"""Networks that train together: stacked along a leading axis, at the same step, with one optimiser."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import torch

from .averages import SWAG, Average, Sums
from .batches import Batches, Feed
from .descent import descends
from .objective import Objective
from .optimizers import Optimizer, build_groups
from .schedules import Schedule

Tensors = dict[str, torch.Tensor]

# A place in the stack that no network needs: it repeats one, and nothing is read of it.
FILLER = -1


@dataclass(frozen=True)
class Recipe:
    """How networks are trained, the same for all of them.

    Attributes:
        objective: The loss, on its data.
        batches: Which rows at which step.
        optimizer: Settings.
        schedule: Factor on the learning rate.
        n_steps: Steps at most, which the schedule runs over.
        lr_factors: Factor on the learning rate by parameter name.
        weight_decay: Weight decay by parameter name.
        n_uniforms: Random numbers that augmentation and dropout of a row take.
        average: What is kept in place of the last iterate.
        key: Root of the randomness of draws from an average.
    """

    objective: Objective
    batches: Batches
    optimizer: Optimizer
    schedule: Schedule
    n_steps: int
    lr_factors: Mapping[str, float]
    weight_decay: Mapping[str, float]
    n_uniforms: int
    average: Average | None
    key: jax.Array


class Chunk:
    """Stacked parameters with their optimiser and averages.

    Args:
        recipe: How they are trained.
        seeds: Seed number at every place of the stack, or ``FILLER``.
        params: Stacked tensors by name, which this object changes in place.
        step: Steps done.

    Attributes:
        seeds: The seed numbers, shape (n_places,).
        step: Steps done.
    """

    def __init__(self, recipe: Recipe, seeds: np.ndarray, params: Tensors, step: int = 0) -> None:
        self.seeds, self.step = seeds, step
        self._recipe = recipe
        self._params = {name: value.requires_grad_() for name, value in params.items()}
        self._rule = build_groups(
            recipe.optimizer, self._params, recipe.lr_factors, recipe.weight_decay
        )
        self._descends = descends(self._rule) and recipe.objective.descends(len(seeds))
        if self._descends:
            for parameter in self._params.values():
                parameter.data = recipe.objective.laid_out(parameter.data)
        self._lrs = [group.get("lr") for group in self._rule.param_groups]
        self._feed = Feed(recipe.batches, np.maximum(seeds, 0))
        average = recipe.average
        self._sums: dict[str, Sums] = (
            {} if average is None else {n: average.begin(v) for n, v in self.params.items()}
        )
        self._n_averaged = 0

    @property
    def params(self) -> Tensors:
        """The parameters now, detached; later steps change them in place."""
        return {name: value.detach() for name, value in self._params.items()}

    @property
    def places(self) -> np.ndarray:
        """Places of the stack that hold a network."""
        return np.flatnonzero(self.seeds != FILLER)

    def advance(self, stop: int) -> None:
        """Train until ``stop`` steps are done."""
        tensors = list(self.params.values())
        average, objective = self._recipe.average, self._recipe.objective
        descent = objective.descent(tensors) if self._descends else None
        gradient = objective.gradient(tensors)
        for step in range(self.step, stop):
            self._set_lr(step)
            if descent is not None:
                descent(*self._batch(step), self._rates())
            else:
                self._optimize(gradient(*self._batch(step)))
            if average is not None and average.counts(step + 1):
                self._take_in(average)
        for parameter in self._params.values():
            parameter.grad = None
        self.step = stop

    def judge(self, params: Tensors, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Mean loss and error rate (mean squared residual) at every place."""
        loss, error = self._recipe.objective.judge(list(params.values()), split)
        return loss.cpu().numpy(), error.cpu().numpy()

    def kept(self) -> list[Tensors]:
        """What is kept of the networks now: their parameters, their average, or draws around it."""
        average = self._recipe.average
        n = 1 if average is None or average.n_draws is None else average.n_draws
        if not self._n_averaged:
            return [self.params] * n
        if isinstance(average, SWAG):
            seeds = np.maximum(self.seeds, 0)
            return [
                average.draw(self._sums, self._n_averaged, self._recipe.key, seeds, k)
                for k in range(n)
            ]
        return [{name: sums["mean"] for name, sums in self._sums.items()}]

    def state(self) -> dict[str, Any]:
        """Everything that training goes on from: tensors by name, and numbers."""
        optimizer = {
            name: dict(self._rule.state[parameter]) for name, parameter in self._params.items()
        }
        return {
            "params": self.params,
            "optimizer": optimizer,
            "sums": self._sums,
            "n_averaged": self._n_averaged,
        }

    @classmethod
    def of_state(
        cls, recipe: Recipe, seeds: np.ndarray, step: int, state: Mapping[str, Any]
    ) -> "Chunk":
        """The chunk that goes on from a state."""
        chunk = cls(recipe, seeds, dict(state["params"]), step)
        # A dictionary without entries may be missing.
        optimizer = state.get("optimizer", {})
        for name, parameter in chunk._params.items():
            if optimizer.get(name):
                chunk._rule.state[parameter] = dict(optimizer[name])
        # Into the sums as they begin, whose order in memory is that of the parameters: a disk keeps
        # none, and a matrix product of another order rounds otherwise.
        for name, sums in state.get("sums", {}).items():
            for part, value in sums.items():
                chunk._sums[name][part].copy_(value)
        chunk._n_averaged = int(state["n_averaged"])
        return chunk

    def _batch(self, step: int) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        batches, n_uniforms = self._recipe.batches, self._recipe.n_uniforms
        if batches.is_whole and not n_uniforms:
            return None, None
        device = next(iter(self._params.values())).device
        rows = torch.from_numpy(self._feed.rows(step)).to(device)
        if not n_uniforms:
            return rows, None
        uniforms = batches.uniforms(np.maximum(self.seeds, 0), step, n_uniforms)
        return rows, torch.from_numpy(uniforms).to(device)

    def _optimize(self, gradients: Sequence[torch.Tensor]) -> None:
        for parameter, found in zip(self._params.values(), gradients, strict=True):
            parameter.grad = found
        # Some of torch's optimisers change the gradient in place, which came in this mode.
        with torch.inference_mode():
            self._rule.step()

    def _rates(self) -> list[float]:
        """The learning rate of every parameter."""
        rates = {p: group["lr"] for group in self._rule.param_groups for p in group["params"]}
        return [rates[parameter] for parameter in self._params.values()]

    def _set_lr(self, step: int) -> None:
        factor = self._recipe.schedule(step, self._recipe.n_steps)
        for group, lr in zip(self._rule.param_groups, self._lrs, strict=True):
            if lr is not None:
                group["lr"] = lr * factor

    def _take_in(self, average: Average) -> None:
        for name, value in self.params.items():
            average.add(self._sums[name], value, self._n_averaged)
        self._n_averaged += 1


def regroup(
    recipe: Recipe,
    chunks: Sequence[Chunk],
    trains: Callable[[np.ndarray], np.ndarray],
    sizes: Callable[[int], list[int]],
) -> list[Chunk]:
    """The networks that still train, in as few chunks as hold them.

    Args:
        recipe: How they are trained.
        chunks: At the same step.
        trains: Seed numbers → which of them still train.
        sizes: Number of networks → places of every chunk.
    """
    places = [c.places[trains(c.seeds[c.places])] for c in chunks]
    seeds = np.concatenate([c.seeds[p] for c, p in zip(chunks, places, strict=True)])
    if len(seeds) == 0:
        return []
    n_places = sum(len(c.seeds) for c in chunks)
    wanted = sizes(len(seeds))
    if sum(wanted) == n_places:
        return list(chunks)
    whole = _joined([c.state() for c in chunks], places, [len(c.seeds) for c in chunks])
    ends = np.cumsum(wanted)
    return [
        Chunk.of_state(recipe, *part(seeds, whole, int(end) - size, size, chunks[0].step))
        for size, end in zip(wanted, ends, strict=True)
    ]


def part(
    seeds: np.ndarray, state: Any, first: int, size: int, step: int
) -> tuple[np.ndarray, int, Any]:
    """``size`` places from network ``first`` on, what is over filled up with the last of them."""
    n = min(size, len(seeds) - first)
    index = first + np.minimum(np.arange(size), n - 1)
    taken = np.where(np.arange(size) < n, seeds[index], FILLER)
    at = torch.from_numpy(index)

    def take(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        return leaf[at.to(leaf.device)] if _is_stacked(leaf, len(seeds)) else leaf.clone()

    return taken, step, _map(take, state)


def _joined(states: Sequence[Any], places: Sequence[np.ndarray], n_places: Sequence[int]) -> Any:
    """One state of the networks at these places of several chunks."""

    def join(*leaves: Any) -> Any:
        if not isinstance(leaves[0], torch.Tensor) or not _is_stacked(leaves[0], n_places[0]):
            return leaves[0]
        return torch.cat(
            [
                leaf[torch.from_numpy(place).to(leaf.device)]
                for leaf, place in zip(leaves, places, strict=True)
            ]
        )

    return _map(join, *states)


def _is_stacked(leaf: torch.Tensor, n: int) -> bool:
    """Whether a tensor has the leading axis of the networks; a count of steps has no axis."""
    return leaf.ndim > 0 and len(leaf) == n


def _map(function: Callable[..., Any], *trees: Any) -> Any:
    """The function on every leaf of nested dictionaries of one structure."""
    if isinstance(trees[0], Mapping):
        return {name: _map(function, *(tree[name] for tree in trees)) for name in trees[0]}
    return function(*trees)
