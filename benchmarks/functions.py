"""Functions a second: from the prior, and at the end of training.

The network 7–40–40–1 on the 128 Boolean inputs of 7 bits. Prior: draws of the parameters, functions packed
and counted, by ``functions.sample_prior``; beside torch's loop over networks and beside one large matrix
product, the share of the machine's peak with the random numbers included. Training: SGD on single rows until the
training error is 0 on 64 rows, by ``sgd.train``; beside torch's loop, which looks as often.
"""

from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import jax
import numpy as np
import torch
from torch import nn

from bayes_vs_sgd import Dataset, Network, data, functions, likelihoods, priors, sgd
from models import MLP

from .measure import Effort, Form, Row, compare
from .sgd import with_threads

# The work, and the CPU devices that JAX shows.
CASES = {
    "prior functions, 1 thread": 1,
    "prior functions, 2 threads": 2,
    "SGD to zero error, 1 thread": 1,
    "SGD to zero error, 2 threads": 2,
}
SIZES = (7, 40, 40, 1)
_N_DRAWS = 2**17
_N_RUNS = 4000
_LR = 0.01
_MOST_EPOCHS = 2000


def rows(case: str, effort: Effort) -> Iterator[Row]:
    """All forms of one case."""
    n_threads = int(case.split(", ")[1].split()[0])
    if case.startswith("prior"):
        yield from compare(
            "functions", case, "functions", [prior_form()],
            [prior_loop(), matrix_product(n_threads)], effort,
        )  # fmt: skip
        return
    yield from compare(
        "functions", case, "runs", [training_form(n_threads)], [training_loop()], effort
    )


def operations() -> float:
    """Additions and multiplications in the matrix products of one network on all inputs."""
    return 2.0 * 128 * sum(a * b for a, b in pairwise(SIZES))


def network() -> Network:
    """The network."""
    return Network(MLP(7, 40, 1, depth=2), np.zeros((1, 7), np.float32))


def prior_form() -> Form:
    """``functions.sample_prior``, all of the call but its compilation."""
    the_network, inputs = network(), data.boolean_inputs(7)

    def run() -> None:
        functions.sample_prior(
            jax.random.key(0), the_network, priors.FanIn(), inputs, n_draws=_N_DRAWS, progress=False
        )

    return Form("functions.sample_prior", run, _N_DRAWS)


def prior_loop(n_networks: int = 500) -> Form:
    """Torch's loop: a fresh set of parameters, one pass, the pattern as bytes, counted in a dict."""
    module = nn.Sequential(
        nn.Linear(7, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1)
    )
    x = torch.from_numpy(data.boolean_inputs(7))
    stds = [1.0 if p.ndim == 1 else p.shape[1] ** -0.5 for p in module.parameters()]

    def run() -> None:
        counts: dict[bytes, int] = {}
        with torch.no_grad():
            for _ in range(n_networks):
                for parameter, std in zip(module.parameters(), stds, strict=True):
                    parameter.normal_(0, std)
                pattern = np.packbits((module(x) > 0).numpy()).tobytes()
                counts[pattern] = counts.get(pattern, 0) + 1

    return Form("torch, loop over networks", with_threads(1, run), n_networks, 8.0)


def matrix_product(n_threads: int, size: int = 2048) -> Form:
    """One large matrix product, counted in functions: the ratio is our share of the peak."""
    a, b = torch.randn(2, size, size)
    out = torch.empty(size, size)
    run = with_threads(n_threads, partial(torch.mm, a, b, out=out))
    return Form(f"torch.mm, {size}×{size}: the peak", run, 2 * size**3 / operations(), 0.3)


def problem() -> Dataset:
    """Half of the inputs, of the target 0011 repeated."""
    return data.boolean("0011" * 32, n_train=64)


def training_form(n_threads: int) -> Form:
    """``sgd.train`` to zero training error, functions collected."""
    the_network, dataset = network(), problem()

    def run() -> None:
        sgd.train(
            the_network, dataset, n_seeds=_N_RUNS, initial=priors.FanIn(), batch_size=1,
            optimizer=sgd.SGD(_LR, 0.0), likelihood=likelihoods.Bernoulli(), max_epochs=_MOST_EPOCHS,
            look_every=1, stop_at_interpolation=True, progress=False,
            collect=functions.collect_patterns(the_network, dataset.x_test),
        )  # fmt: skip

    return Form("sgd.train", with_threads(n_threads, run), _N_RUNS)


def training_loop(n_networks: int = 6) -> Form:
    """One network after another, one thread; it looks at all training rows after every epoch."""
    the_network, dataset = network(), problem()
    x, y = torch.from_numpy(dataset.x_train), torch.from_numpy(dataset.y_train).float()
    test = torch.from_numpy(dataset.x_test)
    starts = priors.sample_many(priors.FanIn(), jax.random.key(0), the_network.shapes, n_networks)

    def run() -> None:
        torch.manual_seed(0)
        for i in range(n_networks):
            module = the_network.to_torch({name: value[i] for name, value in starts.items()})
            rule = torch.optim.SGD(module.parameters(), _LR)
            for _ in range(_MOST_EPOCHS):
                for row in torch.randperm(len(x)):
                    rule.zero_grad()
                    loss = nn.functional.binary_cross_entropy_with_logits(
                        module(x[row : row + 1])[:, 0], y[row : row + 1]
                    )
                    loss.backward()
                    rule.step()
                with torch.no_grad():
                    if ((module(x)[:, 0] > 0) == (y == 1)).all():
                        break
            with torch.no_grad():
                np.packbits((module(test) > 0).numpy())

    return Form("torch, loop", with_threads(1, run), n_networks, 60.0)
