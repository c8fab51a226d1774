"""Waves of networks one after another: progress, storage, and going on after a kill."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import torch

from ..progress import Report, bar
from ..storage import Checkpoint, DrawStore, loaded, require_space
from .chunk import Recipe
from .plan import Plan
from .starts import Starts
from .wave import STATISTICS, Stops, Wave

# Bytes of parameters, optimisers and averages that train at the same time.
_WAVE = 2**31
# A piece of training takes about this long at most, and a state is saved about this often.
_SECONDS_OF_A_PIECE, _SECONDS_BETWEEN_SAVES = 1.0, 10.0


@dataclass(frozen=True)
class Run:
    """All networks of a call, in waves that fit the memory.

    Attributes:
        recipe: How networks are trained.
        plan: When they are looked at and kept.
        stops: When they stop early.
        starts: Where they start.
        n_seeds: How many there are.
        first_seed: Number of the first.
        largest: Places of a full chunk.
        collect: Stacked parameters → what is kept of them.
        device: Where they train.
        description: For the progress bar.
    """

    recipe: Recipe
    plan: Plan
    stops: Stops
    starts: Starts
    n_seeds: int
    first_seed: int
    largest: int
    collect: Callable[[Mapping[str, torch.Tensor]], Any]
    device: torch.device
    description: str

    @property
    def n_kept(self) -> int:
        """Draws that are kept of every network."""
        average = self.recipe.average
        n = None if average is None else average.n_draws
        return len(self.plan.keeps) if n is None else n

    def like(self) -> Any:
        """The form of what is kept of a stack of one."""
        one = {n: torch.from_numpy(np.array(v)) for n, v in self.starts.of(0, 1).items()}
        kept = self.collect(one)
        return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), kept)

    def loss_at_start(self) -> float:
        """Training loss of the first network before any step."""
        one = [torch.from_numpy(np.array(v)).to(self.device) for v in self.starts.of(0, 1).values()]
        loss, _ = self.recipe.objective.judge(one, "train")
        return float(loss[0])

    def __call__(self, place: Checkpoint | None, *, in_memory: bool, progress: bool) -> "Outcome":
        """Train all of them, or those that are left."""
        saved = None if place is None else place.load()
        at = _At(**saved[0]["at"]) if saved is not None else _At()
        folder = None if place is None else place.folder
        length = self._wave_length()
        kept, last = self._stores(length, folder, resume=saved is not None)
        n_waves = -(-self.n_seeds // length)
        with bar(self.description, n_waves * self.plan.n_steps, show=progress) as report:
            for first in range(at.first, self.n_seeds, length):
                wave = self._wave(first, min(first + length, self.n_seeds))
                if saved is not None and saved[0]["layout"]:
                    wave.restore(_unpack(saved[0]["layout"], saved[1], self.device))
                saved = None
                self._train(wave, at, kept, place, _Shown(report, first // length, self))
                last.write(0, {n: v[:, None] for n, v in wave.last.items()}, first_chain=first)
                at.finish(wave, first, first + length)
                if place is not None:
                    place.save({"at": vars(at), "layout": []}, [])
        params = loaded(kept.arrays["params"]) if in_memory else kept.arrays["params"]
        return Outcome(
            params,
            loaded(kept.arrays["stats"]),
            {name: value[:, 0] for name, value in loaded(last.arrays).items()},
            at.failed,
            at.seconds,
        )

    def _train(
        self, wave: Wave, at: "_At", store: DrawStore, place: Checkpoint | None, shown: "_Shown"
    ) -> None:
        """Train a wave to its end; the step that ``at`` names is done, with all its events."""
        if at.step < 0:
            self._event(wave, 0, at, store)
        n, begun = 1, time.perf_counter()
        saved_at = begun
        while wave.trains.any() and wave.step < self.plan.n_steps:
            event = self.plan.next_event(wave.step)
            stop = min(event, wave.step + n)
            before = time.perf_counter()
            done = stop - wave.step
            wave.advance(stop)
            per_step = (time.perf_counter() - before) / done
            n = int(np.clip(_SECONDS_OF_A_PIECE / max(per_step, 1e-9), 1, 2 * n))
            at.step = stop
            if stop == event:
                self._event(wave, stop, at, store)
            now = time.perf_counter()
            at.seconds, begun = at.seconds + now - begun, now
            if place is not None and now - saved_at > _SECONDS_BETWEEN_SAVES:
                layout, leaves = _pack(wave.state())
                place.save({"at": vars(at), "layout": layout}, leaves)
                saved_at = now
            shown(wave, stop)
        n_left = self.n_kept - at.n_kept
        if n_left:
            self._write(wave, at, store, n_left)

    def _event(self, wave: Wave, step: int, at: "_At", store: DrawStore) -> None:
        is_last = step == self.plan.n_steps
        is_kept = step in self.plan.keeps and not is_last
        if not self.plan.looks_at(step) and not is_kept:
            return
        at.step = step
        wave.look()
        if self.plan.looks_at(step):
            wave.stop(self.stops, all_of_them=is_last)
        if is_kept:
            wave.keep(wave.trains.copy())
            self._write(wave, at, store, 1)

    def _write(self, wave: Wave, at: "_At", store: DrawStore, n: int) -> None:
        piece = wave.kept
        if piece["stats"]["step"].shape[1] == 1:
            piece = jax.tree.map(lambda a: np.repeat(a, n, axis=1), piece)
        store.write(at.n_kept, piece, first_chain=at.first)
        at.n_kept += n

    def _wave(self, first: int, last: int) -> Wave:
        params = {
            name: torch.from_numpy(np.array(value)).to(self.device)
            for name, value in self.starts.of(first, last).items()
        }
        return Wave(self.recipe, self.largest, self.first_seed + first, params, self.collect)

    def _wave_length(self) -> int:
        if self.largest == 1:
            return 1
        bytes_a_network = sum(v.nbytes for v in self.starts.of(0, 1).values())
        # Parameters, gradients and two moments; what averages keep; what is handed on.
        copies = 6 + getattr(self.recipe.average, "rank", 0) + self.n_kept
        longest = max(1, int(_WAVE // (copies * bytes_a_network)))
        whole_chunks = max(1, longest // self.largest) * self.largest
        return min(self.n_seeds, whole_chunks)

    def _stores(
        self, length: int, folder: Path | None, *, resume: bool
    ) -> tuple[DrawStore, DrawStore]:
        """Where draws and final parameters go."""
        shape = lambda a: jax.ShapeDtypeStruct((length, *a.shape[1:]), a.dtype)  # noqa: E731
        params = jax.tree.map(shape, self.like())
        final = {name: shape(value) for name, value in self.starts.of(0, 1).items()}
        stats = {n: jax.ShapeDtypeStruct((length,), np.dtype(np.float64)) for n in STATISTICS}
        n_bytes = sum(
            int(np.prod(leaf.shape[1:])) * leaf.dtype.itemsize * n
            for tree, n in ((params, self.n_kept), (stats, self.n_kept), (final, 1))
            for leaf in jax.tree.leaves(tree)
        )
        require_space(n_bytes * self.n_seeds, folder)
        n_at_once = 1 if self.n_kept == len(self.plan.keeps) else self.n_kept
        return (
            DrawStore(
                {"params": params, "stats": stats}, self.n_kept, folder, n_at_once,
                resume=resume, n_chains=self.n_seeds,
            ),
            DrawStore(final, 1, folder, 1, resume=resume, n_chains=self.n_seeds, name="last"),
        )  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What a run has found.

    Attributes:
        params: Leaves (seed, draw, ...).
        stats: By name, (seed, draw).
        last: Final iterates, leaves (seed, ...).
        failed: Numbers of the chains whose loss ceased to be finite.
        seconds: Time in training, all parts of an interrupted run together.
    """

    params: Any
    stats: dict[str, np.ndarray]
    last: dict[str, np.ndarray]
    failed: list[int]
    seconds: float


class _At:
    """How far a run is: finished waves, the step of this one, draws kept, failures, time."""

    def __init__(
        self,
        first: int = 0,
        step: int = -1,
        n_kept: int = 0,
        failed: list[int] | None = None,
        seconds: float = 0.0,
    ) -> None:
        self.first, self.step, self.n_kept, self.seconds = first, step, n_kept, seconds
        self.failed = failed or []

    def finish(self, wave: Wave, first: int, next_first: int) -> None:
        self.failed = [*self.failed, *(first + np.flatnonzero(wave.failed)).tolist()]
        self.first, self.step, self.n_kept = next_first, -1, 0


class _Shown:
    """What the progress bar says."""

    def __init__(self, report: Report, n_before: int, run: Run) -> None:
        self._report, self._before, self._n = report, n_before * run.plan.n_steps, run.n_seeds

    def __call__(self, wave: Wave, step: int) -> None:
        n, n_failed = len(wave.trains), int(wave.failed.sum())
        failed = f", {n_failed} without finite loss" if n_failed else ""
        detail = f"{int(wave.trains.sum())} of {n} networks still train{failed}"
        self._report(self._before + step, detail)


def _pack(tree: Any) -> tuple[list[list[Any]], list[np.ndarray]]:
    """Nested dictionaries as arrays, with the path and the kind of each."""
    layout: list[list[Any]] = []
    leaves: list[np.ndarray] = []

    def walk(path: list[str], value: Any) -> None:
        if isinstance(value, Mapping):
            for name, inner in value.items():
                walk([*path, name], inner)
            return
        if isinstance(value, torch.Tensor):
            kind, array = f"tensor on {value.device.type}", value.detach().cpu().numpy()
        elif isinstance(value, np.ndarray):
            kind, array = "array", value
        else:
            kind, array = ("none", np.zeros(())) if value is None else ("number", np.asarray(value))
        layout.append([path, kind])
        leaves.append(array)

    walk([], tree)
    return layout, leaves


def _unpack(layout: list[list[Any]], leaves: list[np.ndarray], device: torch.device) -> Any:
    """The nested dictionaries that were packed."""
    tree: dict[str, Any] = {}
    for (path, kind), leaf in zip(layout, leaves, strict=True):
        place = tree
        for name in path[:-1]:
            place = place.setdefault(name, {})
        if kind.startswith("tensor"):
            # Some optimisers count their steps on the CPU wherever the parameters are.
            where = "cpu" if kind.endswith("cpu") else device
            place[path[-1]] = torch.from_numpy(leaf.copy()).to(where)
        elif kind == "array":
            place[path[-1]] = leaf.copy()
        else:
            place[path[-1]] = None if kind == "none" else leaf.item()
    return tree
