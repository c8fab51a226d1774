"""``python -m benchmarks``: every benchmark in a process of its own, one table of all rows."""

import argparse
import dataclasses
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .measure import Effort, Row
from .table import markdown

# In the order of the table. Each module has ``CASES``, work → CPU devices, and ``rows``.
BENCHMARKS = (
    "hmc", "sgld", "sgd", "functions", "learning_coefficient", "local_volume", "convolution", "ess",
    "cores", "lowering",
)  # fmt: skip
RESULTS = Path(__file__).parent / "results.md"

_MARK = "benchmark row: "
# One thread an engine and device; read when the libraries start.
_SWITCHES = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "MPLBACKEND": "agg",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is asked for, print the table, and write it where all of it was run."""
    settings = _parser().parse_args([*(arguments or ()), *sys.argv[1:]])
    effort = Effort(settings.turns, settings.seconds, settings.scale)
    if settings.case:
        serve(settings.only[0], settings.case, effort)
        return
    chosen = settings.only or BENCHMARKS
    out: Path | None = settings.out or (None if settings.only else RESULTS)
    begun = time.perf_counter()
    rows: list[Row] = []
    n_failed = 0
    for name in chosen:
        for case in importlib.import_module(f"benchmarks.{name}").CASES:
            print(f"{name}, {case} …", file=sys.stderr, flush=True)
            before = len(rows)
            rows += measured(name, case, effort)
            n_failed += any(row.note.startswith("failed") for row in rows[before:])
    table = markdown(rows, effort, time.perf_counter() - begun)
    print(table)
    if out is not None:
        out.write_text(table)
    if n_failed:
        raise SystemExit(f"{n_failed} cases failed; what they said is above.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, help="these benchmarks alone")
    parser.add_argument("--turns", type=int, default=3, help="timed repeats of every form")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a turn of a form")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the long single runs")
    parser.add_argument("--out", type=Path, help=f"the table's file; {RESULTS.name} where all run")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    return parser


def measured(name: str, case: str, effort: Effort) -> Iterator[Row]:
    """The rows of one case, measured in a fresh process and shown as they come."""
    command = [sys.executable, "-m", "benchmarks", "--only", name, "--case", case]
    command += ["--turns", str(effort.n_turns), "--seconds", str(effort.seconds)]
    command += ["--scale", str(effort.scale)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | _SWITCHES, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        if line.startswith(_MARK):
            row = Row(**json.loads(line.removeprefix(_MARK)))
            print(f"  {shown(row)}", file=sys.stderr, flush=True)
            yield row
        else:
            said.append(line)
    if process.wait() != 0:
        print("".join(said[-40:]), file=sys.stderr, flush=True)
        yield Row(name, case, "", "", "", note=f"failed: {said[-1].strip() if said else ''}")


def shown(row: Row) -> str:
    """A row as a line of progress."""
    if row.ratio is None:
        return f"{row.ours or row.peer}: {row.note}"
    return f"{row.ours} / {row.peer}: {row.ratio:.2f}"


def serve(name: str, case: str, effort: Effort) -> None:
    """Measure one case in this process and print its rows for the process that started it."""
    import torch

    from bayes_vs_sgd import samplers

    module: Any = importlib.import_module(f"benchmarks.{name}")
    torch.set_num_threads(1)
    samplers.use_devices("cpu", module.CASES[case])
    for row in module.rows(case, effort):
        print(f"\n{_MARK}{json.dumps(dataclasses.asdict(row))}", flush=True)
