"""Which devices JAX uses, and how chains are spread over them."""

import os
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, PartitionSpec

_CHAINS = PartitionSpec("chain")
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

    Each device runs its chains alone, so nothing is communicated and a chain depends on how many
    devices there are by rounding alone.

    Args:
        n_chains: Number of chains. The largest number of devices that divides it is used.
    """

    def __init__(self, n_chains: int) -> None:
        devices = jax.devices()
        n_devices = max(n for n in range(1, len(devices) + 1) if n_chains % n == 0)
        self._mesh = Mesh(np.array(devices[:n_devices]), ("chain",))

    def put(self, tree: Any) -> Any:
        """Lay the leading (chain) axis of every leaf over the devices."""
        return jax.device_put(tree, jax.sharding.NamedSharding(self._mesh, _CHAINS))

    def jit(self, function: Callable[..., Any], n_shared: int = 0) -> Callable[..., Any]:
        """Compile a function of per-chain pytrees whose last ``n_shared`` arguments are shared.

        Every leaf of the other arguments and of the result has a leading chain axis.
        """

        def run(*args: Any) -> Any:
            n_chained = len(args) - n_shared
            # Kernels of other libraries make fresh constants, which the varying-axes check refuses.
            return jax.shard_map(
                function,
                mesh=self._mesh,
                in_specs=(_CHAINS,) * n_chained + (_SHARED,) * n_shared,
                out_specs=_CHAINS,
                check_vma=False,
            )(*args)

        return jax.jit(run)


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
