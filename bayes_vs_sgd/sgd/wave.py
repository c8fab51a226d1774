"""The networks that train at the same time, in chunks that fit the processor's cache.

All chunks stand at the same step whenever networks are looked at, so that those which still train can
be put together again when others have stopped.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import torch

from .caches import last_cache
from .chunk import FILLER, Chunk, Recipe, regroup

# Bytes that a step of the networks of one chunk may touch, on an accelerator and for each thread of a CPU:
# a quarter of the last cache, not less than is worth the calls and not more than gains anything.
_ON_DEVICE, _LEAST, _MOST = 2**28, 9 * 2**20, 36 * 2**20
# With multiples of so many places no entry is left over that vector instructions do not fill, and
# a network is computed in the same way whichever its place is, as far as matrix products allow.
_FEWEST = 16
# A network whose step touches more bytes gains nothing from company.
_LARGE = 2**20

STATISTICS = ("train_loss", "train_error", "test_loss", "test_error", "step", "epoch")


@dataclass(frozen=True)
class Stops:
    """When a network stops before its last step, judged on all training rows.

    Attributes:
        at_interpolation: When its training error is 0.
        at_loss: When its training loss is at most this.
        patience: When its training error has not fallen for so many steps.
    """

    at_interpolation: bool = False
    at_loss: float | None = None
    patience: int | None = None


def places(n_networks: int, largest: int) -> list[int]:
    """Places of the chunks for so many networks: full ones, and a power of two for the rest.

    Few sizes, so that few functions are traced.
    """
    full, rest = divmod(n_networks, largest)
    sizes = [largest] * full
    if rest:
        sizes.append(min(largest, max(_FEWEST, 1 << (rest - 1).bit_length())))
    return sizes


def largest_chunk(n_bytes: int, device: str) -> int:
    """Places of a full chunk; 1 where networks are trained one at a time.

    Args:
        n_bytes: That a step of one network touches.
        device: Type of the torch device.
    """
    if n_bytes > _LARGE:
        return 1
    room = _room(device) / n_bytes
    return max(_FEWEST, 1 << round(math.log2(room))) if room > 1 else _FEWEST


def _room(device: str) -> int:
    """Bytes that a step of one chunk may touch."""
    if device != "cpu":
        return _ON_DEVICE
    return torch.get_num_threads() * min(max(last_cache() // 4, _LEAST), _MOST)


class Wave:
    """Networks of consecutive seeds, what is known of each, and which of them still train.

    Args:
        recipe: How they are trained.
        largest: Places of a full chunk.
        first_seed: Seed number of the first network.
        params: Where they start: stacked tensors by name.
        collect: Stacked parameters → what is kept of them.

    Attributes:
        trains: False for networks that have stopped; what is known of them stays as it was.
        failed: True where the loss ceased to be finite.
    """

    def __init__(
        self,
        recipe: Recipe,
        largest: int,
        first_seed: int,
        params: Mapping[str, torch.Tensor],
        collect: Callable[[Mapping[str, torch.Tensor]], Any],
    ) -> None:
        self._recipe, self._largest, self._first = recipe, largest, first_seed
        self._collect = collect
        n = len(next(iter(params.values())))
        self.trains, self.failed = np.ones(n, dtype=bool), np.zeros(n, dtype=bool)
        self._statistics = {name: np.full(n, np.nan) for name in STATISTICS}
        self._lowest, self._lowest_at = np.full(n, np.inf), np.zeros(n)
        self._chunks = self._cut(params)
        kept = self._chunks[0].kept()
        like = jax.tree.map(np.asarray, collect(kept[0]))
        self._kept = {
            "params": jax.tree.map(lambda a: np.zeros((n, len(kept), *a.shape[1:]), a.dtype), like),
            "stats": {name: np.full((n, len(kept)), np.nan) for name in STATISTICS},
        }
        self.last = {name: value.cpu().numpy().copy() for name, value in params.items()}

    @property
    def step(self) -> int:
        """Steps done by the networks that still train."""
        return self._chunks[0].step if self._chunks else self._recipe.n_steps

    @property
    def kept(self) -> dict[str, Any]:
        """Parameters and statistics as last kept, leaves (network, draw, ...)."""
        return self._kept

    def advance(self, stop: int) -> None:
        """Train until ``stop`` steps are done."""
        for chunk in self._chunks:
            chunk.advance(stop)

    def look(self) -> None:
        """Judge the networks that still train on the training rows."""
        step, epoch = self.step, self.step / self._recipe.batches.steps_per_epoch
        for chunk in self._chunks:
            loss, error = chunk.judge(chunk.params, "train")
            at, here = self._networks(chunk, self.trains)
            self._note(at, train_loss=loss[here], train_error=error[here], step=step, epoch=epoch)

    def stop(self, stops: Stops, *, all_of_them: bool = False) -> None:
        """Stop the networks that meet a rule or have no finite loss, and put the others together."""
        error = self._statistics["train_error"]
        fell = self.trains & (error < self._lowest)
        self._lowest[fell], self._lowest_at[fell] = error[fell], self.step
        self.failed |= self.trains & ~np.isfinite(self._statistics["train_loss"])
        stopping = self.failed | all_of_them
        if stops.at_interpolation:
            stopping |= self._statistics["train_error"] == 0
        if stops.at_loss is not None:
            stopping |= self._statistics["train_loss"] <= stops.at_loss
        if stops.patience is not None:
            stopping |= self.step - self._lowest_at >= stops.patience
        stopping &= self.trains
        if not stopping.any():
            return
        self.keep(stopping)
        for chunk in self._chunks:
            at, here = self._networks(chunk, stopping)
            for name, value in chunk.params.items():
                self.last[name][at] = value.cpu().numpy()[here]
        self.trains &= ~stopping
        self._regroup()

    def keep(self, wanted: np.ndarray) -> None:
        """Keep of these networks what there is now; of those that failed, nothing but NaN.

        Args:
            wanted: Mask of shape (n,), all of which still train.
        """
        chunks = [c for c in self._chunks if len(self._networks(c, wanted)[0])]
        for chunk in chunks:
            at, here = self._networks(chunk, wanted)
            ok = ~self.failed[at]
            for k, (values, statistics) in enumerate(self._found(chunk)):
                self._put(at, here, ok, k, values)
                for name in STATISTICS:
                    new = statistics.get(name)
                    self._kept["stats"][name][at, k] = (
                        self._statistics[name][at] if new is None else new[here]
                    )

    def state(self) -> dict[str, Any]:
        """Everything that the wave goes on from, as nested dictionaries of arrays and numbers."""
        return {
            "trains": self.trains,
            "failed": self.failed,
            "statistics": self._statistics,
            "lowest": self._lowest,
            "lowest_at": self._lowest_at,
            "kept": {str(k): a for k, a in enumerate(jax.tree.leaves(self._kept))},
            "last": self.last,
            "chunks": {
                str(k): {"seeds": chunk.seeds, "step": chunk.step, "state": chunk.state()}
                for k, chunk in enumerate(self._chunks)
            },
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.trains, self.failed = state["trains"], state["failed"]
        self._statistics = dict(state["statistics"])
        self._lowest, self._lowest_at = state["lowest"], state["lowest_at"]
        leaves = [state["kept"][str(k)] for k in range(len(state["kept"]))]
        self._kept = jax.tree.unflatten(jax.tree.structure(self._kept), leaves)
        self.last = dict(state["last"])
        chunks = state.get("chunks", {})
        self._chunks = [
            Chunk.of_state(self._recipe, one["seeds"], int(one["step"]), one["state"])
            for one in (chunks[str(k)] for k in range(len(chunks)))
        ]

    def _cut(self, params: Mapping[str, torch.Tensor]) -> list[Chunk]:
        n, first, chunks = len(self.trains), 0, []
        for size in places(n, self._largest):
            index = np.minimum(np.arange(first, first + size), n - 1)
            seeds = np.where(np.arange(first, first + size) < n, self._first + index, FILLER)
            taken = {name: value[torch.from_numpy(index)] for name, value in params.items()}
            chunks.append(Chunk(self._recipe, seeds, taken))
            first += size
        return chunks

    def _regroup(self) -> None:
        self._chunks = regroup(
            self._recipe,
            self._chunks,
            lambda seeds: self.trains[seeds - self._first],
            lambda n: places(n, self._largest),
        )

    def _networks(self, chunk: Chunk, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numbers in the wave, and places in the chunk, of the chunk's networks that are wanted."""
        here = chunk.places
        here = here[wanted[chunk.seeds[here] - self._first]]
        return chunk.seeds[here] - self._first, here

    def _note(self, at: np.ndarray, **values: Any) -> None:
        for name, value in values.items():
            self._statistics[name][at] = value

    def _found(self, chunk: Chunk) -> list[tuple[Any, dict[str, np.ndarray]]]:
        """What a chunk has to keep, draw by draw, with the statistics of exactly that."""
        found = []
        for params in chunk.kept():
            names = ["test"] if self._recipe.average is None else ["train", "test"]
            statistics: dict[str, np.ndarray] = {}
            for name in names:
                loss, error = chunk.judge(params, name)
                statistics |= {f"{name}_loss": loss, f"{name}_error": error}
            found.append((self._collect(params), statistics))
        return found

    def _put(self, at: np.ndarray, here: np.ndarray, ok: np.ndarray, k: int, values: Any) -> None:
        def put(array: np.ndarray, value: Any) -> None:
            array[at[ok], k] = np.asarray(value)[here[ok]]
            if np.issubdtype(array.dtype, np.inexact):
                array[at[~ok], k] = np.nan

        jax.tree.map(put, self._kept["params"], values)
