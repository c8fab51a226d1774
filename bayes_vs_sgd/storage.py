"""Where draws go as they come, and how a run survives being killed.

A checkpoint folder holds ``settings.json`` (what is run), ``draws.zarr`` (draws and statistics) and
``state.npz`` (the chains, or the networks in training, and how far they are). A piece's draws are
written first, every file of them in one atomic step; then ``state.npz`` is replaced in one, which is
what makes the piece count. Whatever a kill interrupts is written again.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from .checks import human_bytes


class DrawStore:
    """Arrays (chain, draw, ...) that are filled piece by piece, in memory or in Zarr on the disk.

    Args:
        like: Pytree of shapes (chain, ...) of one draw of the chains that run side by side.
        n_draws: Draws to come.
        folder: Where the draws lie; None keeps them in memory.
        unit: Draws of one Zarr chunk.
        resume: Whether the folder holds pieces that count.
        n_chains: Chains in all; None says that all run side by side.
        name: Of the Zarr group in the folder.
    """

    def __init__(
        self,
        like: Any,
        n_draws: int,
        folder: Path | None,
        unit: int,
        *,
        resume: bool,
        n_chains: int | None = None,
        name: str = "draws",
    ) -> None:
        def shape(leaf: Any) -> tuple[int, ...]:
            return (leaf.shape[0] if n_chains is None else n_chains, n_draws, *leaf.shape[1:])

        if folder is None:
            self.arrays = jax.tree.map(lambda leaf: np.empty(shape(leaf), leaf.dtype), like)
            return
        import zarr

        path = folder / f"{name}.zarr"
        if not resume and path.exists():
            shutil.rmtree(path)
        group = zarr.open_group(path, mode="r+" if resume else "w")

        def array(place: Any, leaf: Any) -> Any:
            name = jax.tree_util.keystr(place, simple=True, separator="/")
            if resume:
                return group[name]
            return group.create_array(
                name,
                shape=shape(leaf),
                chunks=(leaf.shape[0], unit, *leaf.shape[1:]),
                dtype=leaf.dtype,
                compressors=None,
            )

        self.arrays = jax.tree_util.tree_map_with_path(array, like)

    def write(self, start: int, piece: Any, *, first_chain: int = 0) -> None:
        """Put the leaves (m, n, ...) of a piece at n draws from ``start`` of m chains on."""

        def put(array: Any, values: np.ndarray) -> None:
            chains = slice(first_chain, first_chain + len(values))
            array[chains, start : start + values.shape[1]] = values

        jax.tree.map(put, self.arrays, piece)


class Checkpoint:
    """A folder in which a run can go on.

    Args:
        folder: Made where it is not there.
        settings: What decides the draws, as plain values; a folder of other settings is refused.

    Raises:
        ValueError: The folder holds another run, or something else.
    """

    def __init__(self, folder: str | Path, settings: Mapping[str, Any]) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "settings.json"
        written = json.loads(json.dumps(settings))
        if path.exists():
            found = json.loads(path.read_text())
            other = [n for n in written if found.get(n) != written[n]]
            if other:
                wanted = ", ".join(
                    f"{n} {found.get(n)!r} there and {written[n]!r} here" for n in other
                )
                raise ValueError(
                    f"checkpoint={self.folder} holds a run of other settings ({wanted}); pass "
                    "another folder, or the settings of that run."
                )
        elif any(p.suffix != ".tmp" for p in self.folder.iterdir()):
            raise ValueError(
                f"checkpoint={self.folder} is not empty and holds no run of this library; pass "
                "another folder."
            )
        else:
            _replace(path, json.dumps(written, indent=1).encode())

    def save(self, progress: Mapping[str, Any], state: Any) -> None:
        """Make a piece count: replace ``state.npz`` by this progress and these arrays."""
        leaves = {f"leaf_{i}": np.asarray(a) for i, a in enumerate(jax.tree.leaves(state))}
        temporary = self.folder / "state.npz.tmp"
        with temporary.open("wb") as file:
            np.savez(
                file, allow_pickle=False, progress=np.array(json.dumps(dict(progress))), **leaves
            )
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.folder / "state.npz")

    def load(self, like: Any = None) -> tuple[dict[str, Any], Any] | None:
        """The progress and the arrays last saved; None where there are none.

        Args:
            like: A tree of the form that was saved; without it the arrays come as a list.
        """
        path = self.folder / "state.npz"
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as found:
            progress = json.loads(str(found["progress"]))
            leaves = [found[f"leaf_{i}"] for i in range(len(found.files) - 1)]
        if like is None:
            return progress, leaves
        return progress, jax.tree.unflatten(jax.tree.structure(like), leaves)


def digest(tree: Any) -> str:
    """A short text that tells arrays apart, by name, shape, dtype and every bit."""
    found = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        found.update(f"{jax.tree_util.keystr(path)} {leaf.shape} {leaf.dtype}".encode())
        found.update(np.ascontiguousarray(leaf).tobytes())
    return found.hexdigest()[:16]


def loaded(tree: Any) -> Any:
    """The arrays of a store as NumPy arrays."""
    return jax.tree.map(lambda a: a if isinstance(a, np.ndarray) else a[:], tree)


def require_space(n_bytes: int, folder: Path | None) -> None:
    """Refuse draws that neither the disk nor the memory can hold.

    Raises:
        ValueError: With the sizes and the mend.
    """
    if folder is not None:
        there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
        free = shutil.disk_usage(there).free
        if n_bytes > free:
            raise ValueError(
                f"the draws take {human_bytes(n_bytes)} and the disk of checkpoint={folder} has "
                f"{human_bytes(free)} left; raise thin, lower n_draws, or collect less."
            )
        return
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if n_bytes > memory:
        raise ValueError(
            f"the draws take {human_bytes(n_bytes)} and this machine has {human_bytes(memory)} of "
            "memory; pass checkpoint=folder with in_memory=False, raise thin, or collect less."
        )


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
