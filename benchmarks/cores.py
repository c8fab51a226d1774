"""Chain-steps a second of HMC with two cores over one: 4 chains of the regression of ``hmc``.

JAX's devices are fixed when it starts, so each number of them lives in a process of its own; the
two take turns.
"""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

from .measure import Effort, Form, Row, compare

# The work; each process shows its own devices.
CASES = {"4 chains": 1}
N_CHAINS = 4


def rows(case: str, effort: Effort) -> Iterator[Row]:
    """Two devices beside one, and beside a device for every chain."""
    n_draws = max(2, round(effort.seconds * 1000))
    with _Worker(1, n_draws) as one, _Worker(2, n_draws) as two, _Worker(4, n_draws) as four:
        n_units = float(N_CHAINS * n_draws)
        ours = [
            Form("samplers.HMC, 2 devices", two.run, n_units, processor=two.processor_seconds),
            Form("samplers.HMC, 4 devices", four.run, n_units, processor=four.processor_seconds),
        ]
        name = "samplers.HMC, 1 device"
        peers = [Form(name, one.run, n_units, goal=1.7, processor=one.processor_seconds)]
        yield from compare("cores", case, "chain-steps", ours, peers, effort)


class _Worker:
    """A process that shows JAX so many devices and samples when it is told to."""

    def __init__(self, n_devices: int, n_draws: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, n_devices, n_draws))
        self._processor = 0.0

    def __enter__(self) -> "_Worker":
        self._process.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._pipe.send(False)
        self._process.join()

    def run(self) -> None:
        """Sample once."""
        self._pipe.send(True)
        self._processor += self._pipe.recv()

    def processor_seconds(self) -> float:
        """Processor time of all runs so far."""
        return self._processor


def _serve(pipe: Connection, n_devices: int, n_draws: int) -> None:
    from bayes_vs_sgd import samplers

    samplers.use_devices("cpu", n_devices)
    from .hmc import ours, problem

    run: Callable[[], Any] = ours(problem(N_CHAINS), n_draws).run
    while pipe.recv():
        before = time.process_time()
        run()
        pipe.send(time.process_time() - before)


if __name__ == "__main__":
    from .command import main

    main(["--only", "cores"])
