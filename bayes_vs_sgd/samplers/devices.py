"""Which devices JAX uses, and how chains are spread over them."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from .kernel import DEVICE_AXIS

DATA_AXIS = "data"
_CHAINS = PartitionSpec(DEVICE_AXIS)
_ROWS = PartitionSpec(DATA_AXIS)
_SHARED = PartitionSpec()


def use_devices(device: str = "auto", n_cpu_devices: int | None = None) -> str:
    """Choose JAX's platform and show it every CPU core as a device; call it before JAX starts.

    Args:
        device: ``"cpu"``, ``"cuda"``, or ``"auto"`` (a GPU where JAX has one, else the CPU).
        n_cpu_devices: CPU devices to show; by default the cores this process may use.

    Returns:
        The platform in use, ``"cpu"`` or ``"cuda"``.

    Raises:
        ValueError: The device is unknown or not there.
        RuntimeError: JAX runs already with other settings.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device={device!r} is unknown; pass 'auto', 'cpu' or 'cuda'.")
    n_cores = n_cpu_devices or len(os.sched_getaffinity(0))
    try:
        jax.config.update("jax_num_cpu_devices", n_cores)
        if device != "auto":
            jax.config.update("jax_platforms", device)
    except RuntimeError as error:
        raise RuntimeError(
            "JAX has started already, so its devices are fixed; call samplers.use_devices() before "
            "anything that computes with JAX."
        ) from error
    try:
        platform = jax.devices()[0].platform
    # JAX 0.12 fails an assertion of its own where it has no plugin for the platform.
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device={device!r} is not available to JAX here; pass 'cpu', or install "
            "bayes-vs-sgd[cuda] on a machine with an NVIDIA GPU."
        ) from error
    return "cuda" if platform == "gpu" else platform


class ChainMap:
    """Runs a function of many chains with the chains split evenly over the devices.

    Each group of ``n_data_shards`` devices runs its chains alone, every device of it with its share
    of the rows. Nothing is communicated between groups unless a kernel asks for it, and a chain
    depends on the number of devices by rounding alone.

    Args:
        n_chains: Number of chains. The largest number of groups that divides it is used.
        n_data_shards: Devices that share the rows of the data of one chain.

    Raises:
        ValueError: There are fewer devices than ``n_data_shards``.
    """

    def __init__(self, n_chains: int, n_data_shards: int = 1) -> None:
        devices = jax.devices()
        if n_data_shards > len(devices):
            raise ValueError(
                f"n_data_shards={n_data_shards} exceeds the {len(devices)} devices that JAX sees; "
                "pass fewer, or call samplers.use_devices() before JAX starts."
            )
        n_groups = len(devices) // n_data_shards
        n_groups = max(n for n in range(1, n_groups + 1) if n_chains % n == 0)
        grid = np.array(devices[: n_groups * n_data_shards]).reshape(n_groups, n_data_shards)
        self._mesh = Mesh(grid, (DEVICE_AXIS, DATA_AXIS))

    def put(self, tree: Any) -> Any:
        """Lay the leading (chain) axis of every leaf over the devices."""
        return jax.device_put(tree, NamedSharding(self._mesh, _CHAINS))

    def put_rows(self, tree: Any) -> Any:
        """Lay the leading (row) axis of every leaf over the devices that share the rows."""
        return jax.device_put(tree, NamedSharding(self._mesh, _ROWS))

    def jit(
        self,
        function: Callable[..., Any],
        n_shared: int = 0,
        *,
        rows: bool = False,
        donate: int | None = None,
    ) -> Callable[..., Any]:
        """Compile a function of per-chain pytrees whose last ``n_shared`` arguments are shared.

        Every leaf of the other arguments and of the result has a leading chain axis. With ``rows``
        the first argument is no chain's but the data, a pytree with a leading row axis. The argument
        number ``donate`` gives its memory to the result.
        """
        return jax.jit(self._map(function, n_shared, rows), donate_argnums=donate)

    def shapes(self, function: Callable[..., Any], *, rows: bool = False) -> Callable[..., Any]:
        """The shapes of what ``jit`` of the same function returns, without compiling it."""
        return partial(jax.eval_shape, self._map(function, 0, rows))

    def _map(self, function: Callable[..., Any], n_shared: int, rows: bool) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            n_chained = len(args) - n_shared - rows
            specs = (_ROWS,) * rows + (_CHAINS,) * n_chained + (_SHARED,) * n_shared
            # Kernels of other libraries make fresh constants, which the varying-axes check refuses.
            return jax.shard_map(
                function, mesh=self._mesh, in_specs=specs, out_specs=_CHAINS, check_vma=False
            )(*args)

        return run


def count_chains(initial: Any) -> int:
    """The length of the leading axis that all leaves share.

    Raises:
        ValueError: The leaves differ in it, or one has none.
    """
    leaves = jax.tree.leaves(initial)
    counts = {int(np.shape(leaf)[0]) if np.ndim(leaf) else 0 for leaf in leaves}
    if len(counts) != 1 or 0 in counts:
        raise ValueError(
            f"initial has leaves with {sorted(counts)} chains; give every leaf the same leading "
            "chain axis (for one chain, an axis of 1)."
        )
    return counts.pop()
