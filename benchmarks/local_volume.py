"""Evaluations a second of the radial local volume, beside tyche and rays in torch.

The network 64-64-10 around one draw of a narrow prior: the mean divergence from its predictions on
1,000 digits, up to 0.01 nats, along 100 directions. A unit is one evaluation of that cost for one
direction. All forms look at the same directions' costs; each searches in its own way, to its own
precision, so the speed of an evaluation is compared and not that of an estimate.

tyche is on no registry: put the folder ``src`` of the repository EleutherAI/tyche on ``PYTHONPATH`` to
have its row, ``basin_volume``.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch

from bayes_vs_sgd import Network, data, priors
from bayes_vs_sgd.functions import local_volume as volumes
from models import MLP

from .measure import Effort, Form, Missing, Params, Row, compare, load_peer, require_matched

# The work, and the CPU devices that JAX shows.
CASES = {"100 directions": 1, "100 directions on 2 devices": 2}
N_ROWS, CUTOFF = 1000, 0.01
# Over tyche, and over the other torch form, which stands in for it where it is missing.
GOAL = 5.0
PRIOR = priors.Normal(0.3)


class Problem(NamedTuple):
    """One centre and the rows that its cost is on.

    Attributes:
        centre: Parameters.
        x: Inputs.
        log_probs: The centre's predictions of them.
    """

    centre: Params
    x: np.ndarray
    log_probs: np.ndarray


@cache
def network() -> Network:
    """The network."""
    return Network(MLP(64, 64, 10), np.zeros((1, 64), np.float32))


def problem(n_rows: int = N_ROWS) -> Problem:
    """A draw of the prior, and digits."""
    x = data.digits(n_train=N_ROWS, label_noise=0.0).x_train[:n_rows]
    centre = PRIOR.sample(jax.random.key(0), network().shapes)
    outputs = network().apply(centre, jnp.asarray(x))
    return Problem(centre, x, np.asarray(jax.nn.log_softmax(outputs)))


def divergence(params: Params, rows: Any) -> jax.Array:
    """The mean over rows of KL(centre's prediction ‖ prediction)."""
    x, log_probs = rows
    gaps = log_probs - jax.nn.log_softmax(network().apply(params, x))
    return (jnp.exp(log_probs) * gaps).sum(axis=1).mean()


def rows(case: str, effort: Effort) -> Iterator[Row]:
    """All forms of one case."""
    work = problem()
    require_matched(costs(work), points(work))
    n_directions = max(4, round(100 * min(1.0, effort.seconds)))
    n_devices = CASES[case]
    # An evaluation is one product at the machine's speed in all forms: five times is for two cores.
    goal = GOAL if n_devices > 1 else None
    ours = form("local_volume", our_search(work, n_directions))
    searches = {
        "tyche": tyche_search(work, n_directions),
        "torch, ray after ray": torch_search(work, n_directions),
    }
    peers: list[Form | Missing] = []
    for name, search in searches.items():
        if isinstance(search, Missing):
            peers.append(search)
            continue
        for n_threads in range(1, n_devices + 1):
            suffix = "" if n_threads == 1 else f", {n_threads} threads"
            peers.append(form(name + suffix, on_threads(search, n_threads), goal))
    yield from compare("local_volume", case, "evaluations", [ours], peers, effort)


def form(name: str, search: Callable[[], int], goal: float | None = None) -> Form:
    """A search that does the same whenever it is called, and its number of evaluations."""
    return Form(name, search, search(), goal=goal)


def on_threads(search: Callable[[], int], n_threads: int) -> Callable[[], int]:
    """The same search with so many threads of torch."""

    def run() -> int:
        torch.set_num_threads(n_threads)
        n_evaluations = search()
        torch.set_num_threads(1)
        return n_evaluations

    return run


def points(work: Problem) -> list[Params]:
    """Where the costs are compared."""
    draws = [PRIOR.sample(jax.random.key(seed), network().shapes) for seed in (1, 2)]
    return [work.centre, *draws]


def costs(work: Problem) -> dict[str, Callable[[Any], Any]]:
    """Those of all forms."""
    in_torch = torch_cost(work)
    return {
        "local_volume": lambda p: divergence(p, (work.x, work.log_probs)),
        "tyche and torch": lambda p: in_torch(flat(p)),
    }


def flat(params: Params) -> torch.Tensor:
    """The parameters in torch as one vector."""
    return torch.from_numpy(np.concatenate([np.ravel(params[name]) for name in network().shapes]))


def torch_cost(work: Problem) -> Callable[[torch.Tensor], torch.Tensor]:
    """The same cost of a vector, without gradients."""
    x, log_probs = torch.from_numpy(work.x.copy()), torch.from_numpy(work.log_probs.copy())
    probs = log_probs.exp()
    shapes = list(network().shapes.items())
    sizes = [int(np.prod(shape)) for _, shape in shapes]

    def cost(vector: torch.Tensor) -> torch.Tensor:
        parts = zip(shapes, vector.split(sizes), strict=True)
        w0, b0, w1, b1 = (part.reshape(shape) for (_, shape), part in parts)
        with torch.no_grad():
            hidden = torch.nn.functional.linear(x, w0, b0).clip(min=0)
            outputs = torch.nn.functional.linear(hidden, w1, b1)
            gaps = log_probs - torch.log_softmax(outputs, dim=1)
            return (probs * gaps).sum(dim=1).mean()

    return cost


def our_search(work: Problem, n_directions: int) -> Callable[[], int]:
    """All of a call, with the integrals, the errors and the look back."""
    rows = (jnp.asarray(work.x), jnp.asarray(work.log_probs))
    region = volumes.cost_below(divergence, work.centre, CUTOFF, data=rows)
    rays = volumes.Rays(n_directions=n_directions)

    def run() -> int:
        return volumes.local_volume(
            jax.random.key(1), region, work.centre, PRIOR, rays=rays
        ).n_evaluations

    return run


def tyche_search(work: Problem, n_directions: int) -> Callable[[], int] | Missing:
    """The estimate of tyche with the Gaussian prior; it calls the cost for one direction after another."""
    tyche = load_peer("basin_volume.volume")
    if isinstance(tyche, Missing):
        return Missing("tyche", "no registry carries it; put its src on PYTHONPATH")
    cost, centre = torch_cost(work), flat(work.centre)

    def run() -> int:
        n_calls = 0

        def counted(vector: torch.Tensor) -> torch.Tensor:
            nonlocal n_calls
            n_calls += 1
            return cost(vector)

        tyche.get_estimates_vectorized_gauss(
            n_directions, PRIOR.std, unary_fn=counted, params=centre, cutoff=CUTOFF,
            seed=1, with_tqdm=False,
        )  # fmt: skip
        return n_calls

    return run


def torch_search(work: Problem, n_directions: int) -> Callable[[], int]:
    """Doubling and halving along one direction after another, each until it is precise to 1 %."""
    cost, centre = torch_cost(work), flat(work.centre)

    def run() -> int:
        generator = torch.Generator().manual_seed(1)
        n_calls = 0
        for _ in range(n_directions):
            direction = torch.randn(len(centre), generator=generator)
            direction /= direction.norm()
            low, high, radius = 0.0, float("inf"), 1.0
            while high - low > 0.01 * radius:
                inside = bool(cost(centre + radius * direction) <= CUTOFF)
                low, high = (radius, high) if inside else (low, radius)
                radius = 2 * low if high == float("inf") else (low + high) / 2
                n_calls += 1
        return n_calls

    return run


if __name__ == "__main__":
    from .command import main

    main(["--only", "local_volume"])
