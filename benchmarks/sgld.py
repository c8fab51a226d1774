"""Chain-steps a second of SGLD and SGHMC, beside BlackJAX and the torch libraries.

A network 64-64-10 on 1,000 digits, mini-batches of 128, a normal prior. All forms of SGLD make the
same update θ ← θ + (ε/2)ĝ + √ε ξ; a step of SGHMC is one gradient. Each hundredth state is kept, or
each. Peers draw their batches with replacement and in the cheapest way that they allow, devinterp
by its ``DataLoader``; ours without replacement.
"""

import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import nn

from bayes_vs_sgd import Posterior, data, likelihoods, priors, samplers

from .measure import Effort, Form, Missing, Params, Row, compare, load_peer, require_matched

# The work, and the CPU devices that JAX shows.
CASES = {
    "1 chain": 1,
    "8 chains": 1,
    "8 chains on 2 devices": 2,
    "1 chain, every state kept": 1,
    "8 chains, every state kept": 1,
    "8 chains, SGHMC": 1,
}
BATCH_SIZE = 128
STEP_SIZE = 1e-5
FRICTION = 10.0
THIN = 100
# Over the best torch form, and over the others.
GOAL, GOAL_IN_JAX = 6.0, 1.0

TorchParams = dict[str, torch.Tensor]
Batch = tuple[torch.Tensor, torch.Tensor]
# (key, position, batch) → position.
Step = Callable[[jax.Array, Params, Any], Params]


class Problem(NamedTuple):
    """One classification.

    Attributes:
        posterior: What is sampled.
        start: Starting points with a leading chain axis.
        x: Inputs of the training rows.
        y: Their classes.
    """

    posterior: Posterior
    start: Params
    x: np.ndarray
    y: np.ndarray

    @property
    def n_chains(self) -> int:
        """Number of chains."""
        return len(self.start["b0"])

    def torch_start(self) -> TorchParams:
        """The starting points in torch."""
        return {name: torch.from_numpy(np.array(value)) for name, value in self.start.items()}

    def torch_rows(self) -> Batch:
        """The training rows in torch."""
        return torch.from_numpy(self.x), torch.from_numpy(self.y)


class Network:
    """The network as plain JAX functions, with what ``Posterior.of`` needs."""

    shapes = {"w0": (64, 64), "b0": (64,), "w1": (64, 10), "b1": (10,)}  # noqa: RUF012

    @staticmethod
    def apply(params: Any, *inputs: Any) -> Any:
        """Logits, in JAX or in torch."""
        hidden = (inputs[0] @ params["w0"] + params["b0"]).clip(min=0)
        return hidden @ params["w1"] + params["b1"]


def problem(n_chains: int) -> Problem:
    """Digits, and draws of a narrow prior to start from."""
    digits = data.digits(n_train=1000, label_noise=0.0)
    prior, likelihood = priors.Normal(1.0), likelihoods.Categorical()
    posterior = Posterior.of(Network(), digits, likelihood, prior)
    start = priors.sample_many(priors.Normal(0.1), jax.random.key(0), Network.shapes, n_chains)
    return Problem(posterior, start, digits.x_train, digits.y_train)


def torch_log_density(p: TorchParams, batch: Batch) -> torch.Tensor:
    """The same estimate of the log density, up to a constant."""
    x, y = batch
    scale = 1000 / len(x)
    misfit = nn.functional.cross_entropy(Network.apply(p, x), y, reduction="sum")
    prior = torch.stack([(value**2).sum() for value in p.values()]).sum()
    return -scale * misfit - 0.5 * prior


def rows(case: str, effort: Effort) -> Iterator[Row]:
    """All forms of one case."""
    work = problem(int(case.split()[0]))
    require_matched(log_densities(work), points(work))
    ours, peers = forms(work, case, effort.seconds)
    yield from compare("sgld", case, "chain-steps", [ours], peers, effort)


def forms(work: Problem, case: str, seconds: float) -> tuple[Form, list[Form | Missing]]:
    """Our form of a case, and the peers'."""
    n_draws = max(1, round(240 * seconds / work.n_chains))
    n_few = max(4, round(300 * seconds / work.n_chains))
    best_torch = torch_loop if work.n_chains == 1 else torch_vmap
    if case.endswith("every state kept"):
        ours = ours_form(work, sgld(), 20 * n_draws, 1)
        return ours, [best_torch(work, n_few, 1), blackjax_scan(work, 20 * n_draws, 1)]
    if case.endswith("SGHMC"):
        ours = ours_form(work, sghmc(), n_draws, THIN)
        return ours, [posteriors_vmap(work, n_few, "baoa"), blackjax_sghmc(work, n_draws)]
    peers: list[Form | Missing] = [
        torch_loop(work, n_few, THIN),
        posteriors_loop(work, n_few),
        devinterp_form(work, n_few),
        blackjax_steps(work, n_few),
        blackjax_scan(work, max(1, n_draws // 4), THIN),
    ]
    if work.n_chains > 1:
        peers += [torch_vmap(work, n_few, THIN), posteriors_vmap(work, n_few, "sgld")]
    if CASES[case] > 1:
        peers.append(torch_vmap(work, n_few, THIN, n_threads=CASES[case]))
    return ours_form(work, sgld(), n_draws, THIN), peers


def sgld() -> samplers.SGLD:
    """Our SGLD."""
    return samplers.SGLD(step_size=STEP_SIZE, batch_size=BATCH_SIZE)


def sghmc() -> samplers.SGHMC:
    """Our SGHMC; its step size stands for the root of SGLD's."""
    return samplers.SGHMC(step_size=STEP_SIZE**0.5, friction=FRICTION, batch_size=BATCH_SIZE)


def points(work: Problem) -> list[Params]:
    """Where the log densities are compared."""
    first = jax.tree.map(lambda a: a[0], work.start)
    return [first, jax.tree.map(lambda a: 5 * a, first), jax.tree.map(jnp.zeros_like, first)]


def log_densities(work: Problem) -> dict[str, Callable[[Any], Any]]:
    """Those of all forms, over all rows."""

    def in_torch(p: Params) -> torch.Tensor:
        return torch_log_density(
            {n: torch.from_numpy(np.array(v)) for n, v in p.items()}, work.torch_rows()
        )

    def by_devinterp(p: Params) -> torch.Tensor:
        module = torch_module({n: np.array(v) for n, v in p.items()})
        x, y = work.torch_rows()
        decay = torch.stack([(value**2).sum() for value in module.parameters()]).sum()
        return -len(x) * nn.functional.cross_entropy(module(x), y) - 0.5 * decay

    def by_blackjax(p: Params) -> jax.Array:
        rows = jax.vmap(_log_likelihood_of_row, in_axes=(None, 0))(p, work.posterior.data)
        return work.posterior.log_prior(p) + rows.sum()

    return {
        "samplers.SGLD": work.posterior.log_density,
        "torch and posteriors": in_torch,
        "devinterp": by_devinterp,
        "BlackJAX": by_blackjax,
    }


def ours_form(work: Problem, sampler: samplers.Sampler, n_draws: int, thin: int) -> Form:
    """All of a call of ``samplers.sample``."""

    def run() -> None:
        samplers.sample(
            jax.random.key(1), work.posterior, work.start, sampler,
            n_warmup=0, n_draws=n_draws, thin=thin, progress=False,
        )  # fmt: skip

    name = f"samplers.{type(sampler).__name__}"
    return Form(name, run, work.n_chains * n_draws * thin)


def torch_loop(work: Problem, n_steps: int, thin: int) -> Form:
    """A plain loop, chain after chain: autograd, and the update in place."""
    rows = work.torch_rows()

    def chain(p: TorchParams) -> None:
        kept = []
        for step in range(n_steps):
            chosen = torch.randint(len(rows[0]), (BATCH_SIZE,))
            value = torch_log_density(p, (rows[0][chosen], rows[1][chosen]))
            slopes = torch.autograd.grad(value, list(p.values()))
            with torch.no_grad():
                for parameter, slope in zip(p.values(), slopes, strict=True):
                    parameter.add_(slope, alpha=STEP_SIZE / 2)
                    parameter.add_(torch.randn_like(parameter), alpha=STEP_SIZE**0.5)
            if step % thin == 0:
                kept.append({name: value.detach().clone() for name, value in p.items()})

    def run() -> None:
        for c in range(work.n_chains):
            chain({n: v[c].clone().requires_grad_() for n, v in work.torch_start().items()})

    return Form("torch, loop", run, work.n_chains * n_steps, goal=GOAL)


def torch_vmap(work: Problem, n_steps: int, thin: int, n_threads: int = 1) -> Form:
    """All chains at once by ``torch.func``, each with its own batches."""
    gradient = torch.func.vmap(torch.func.grad(torch_log_density))

    def step(p: TorchParams, batch: Batch) -> TorchParams:
        slopes = gradient(p, batch)
        return {
            n: v + STEP_SIZE / 2 * slopes[n] + STEP_SIZE**0.5 * torch.randn_like(v)
            for n, v in p.items()
        }

    def run() -> None:
        torch.set_num_threads(n_threads)
        steps_side_by_side(work, step, work.torch_start(), n_steps, thin)
        torch.set_num_threads(1)

    name = "torch, vmap" if n_threads == 1 else f"torch, vmap, {n_threads} threads"
    return Form(name, run, work.n_chains * n_steps, goal=GOAL)


def steps_side_by_side(
    work: Problem, step: Callable[..., Any], state: Any, n_steps: int, thin: int
) -> None:
    """Steps of all chains at once, each with its own batches."""
    x, y = work.torch_rows()
    kept = []
    with torch.no_grad():
        for i in range(n_steps):
            chosen = torch.randint(len(x), (work.n_chains, BATCH_SIZE))
            state = step(state, (x[chosen], y[chosen]))
            if i % thin == 0:
                kept.append(state)


def posteriors_loop(work: Problem, n_steps: int) -> Form | Missing:
    """The documented loop of posteriors over batches, chain after chain."""
    posteriors = load_peer("posteriors")
    if isinstance(posteriors, Missing):
        return posteriors
    x, y = work.torch_rows()
    # Its update adds lr·ĝ.
    transform = posteriors.sgmcmc.sgld.build(_with_auxiliary, lr=STEP_SIZE / 2)

    def run() -> None:
        for c in range(work.n_chains):
            state, kept = transform.init({n: v[c] for n, v in work.torch_start().items()}), []
            for i in range(n_steps):
                chosen = torch.randint(len(x), (BATCH_SIZE,))
                state, _ = transform.update(state, (x[chosen], y[chosen]))
                if i % THIN == 0:
                    kept.append(state.params)

    return Form("posteriors, loop", run, work.n_chains * n_steps, goal=GOAL)


def posteriors_vmap(work: Problem, n_steps: int, algorithm: str) -> Form | Missing:
    """The update of posteriors, all chains at once by ``torch.func.vmap``."""
    posteriors = load_peer("posteriors")
    if isinstance(posteriors, Missing):
        return posteriors
    start = work.torch_start()
    if algorithm == "sgld":
        transform = posteriors.sgmcmc.sgld.build(_with_auxiliary, lr=STEP_SIZE / 2)
        states: tuple[TorchParams, ...] = (start,)
    else:
        transform = posteriors.sgmcmc.baoa.build(_with_auxiliary, STEP_SIZE**0.5, alpha=FRICTION)
        states = (start, {name: torch.randn_like(value) for name, value in start.items()})

    def one(state: tuple[TorchParams, ...], batch: Batch) -> tuple[TorchParams, ...]:
        new, _ = transform.update(transform.init(*state), batch)
        return (new.params,) if algorithm == "sgld" else (new.params, new.momenta)

    # The momentum is the second argument of ``init``, which ``build`` has set to None.
    if algorithm != "sgld":
        transform = transform._replace(init=posteriors.sgmcmc.baoa.init)
    step = torch.func.vmap(one, randomness="different")

    def run() -> None:
        steps_side_by_side(work, step, states, n_steps, THIN)

    return Form(f"posteriors {algorithm}, vmap", run, work.n_chains * n_steps, goal=GOAL)


def _with_auxiliary(p: Any, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return torch_log_density(p, batch), torch.zeros(())


def torch_module(p: dict[str, np.ndarray]) -> nn.Module:
    """The network as a module that holds ``p``."""
    module = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    with torch.no_grad():
        for place, i in ((0, "0"), (2, "1")):
            layer: Any = module[place]
            layer.weight.copy_(torch.from_numpy(p[f"w{i}"].T.copy()))
            layer.bias.copy_(torch.from_numpy(p[f"b{i}"]))
    return module


def devinterp_form(work: Problem, n_steps: int) -> Form | Missing:
    """The ``sample`` of devinterp with its SGLD, chain after chain."""
    sampler = load_peer("devinterp.slt.sampler")
    optimizer = load_peer("devinterp.optim.sgmcmc")
    if isinstance(sampler, Missing) or isinstance(optimizer, Missing):
        return Missing("devinterp", sampler.reason if isinstance(sampler, Missing) else "")
    x, y = work.torch_rows()
    module = torch_module({name: np.array(value[0]) for name, value in work.start.items()})
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(x, y), batch_size=BATCH_SIZE, shuffle=True
    )
    thin = min(THIN, n_steps)

    def evaluate(model: nn.Module, batch: Any) -> torch.Tensor:
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    def run() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sampler.sample(
                module, loader, [_keep_nothing], evaluate=evaluate,
                sampling_method=optimizer.SGMCMC.sgld,
                optimizer_kwargs={"lr": STEP_SIZE, "nbeta": len(x), "weight_decay": 1.0},
                num_draws=n_steps // thin, num_chains=work.n_chains, num_steps_bw_draws=thin,
                verbose=False,
            )  # fmt: skip

    return Form("devinterp", run, work.n_chains * (n_steps // thin) * thin, goal=GOAL)


def _keep_nothing(**_: Any) -> None:
    """What is kept is left to a callback, which would copy the weights."""


def _log_likelihood_of_row(p: Any, row: Any) -> jax.Array:
    """BlackJAX maps a likelihood of one row over the batch."""
    x, y = row
    return jax.nn.log_softmax(Network.apply(p, x))[y]


def _blackjax_gradient(work: Problem) -> Any:
    import blackjax

    return blackjax.sgmcmc.gradients.grad_estimator(
        work.posterior.log_prior, _log_likelihood_of_row, len(work.x)
    )


def _blackjax_step(work: Problem) -> Step:
    import blackjax

    kernel = blackjax.sgld(_blackjax_gradient(work))
    # Its update adds step_size·ĝ.
    return lambda key, position, batch: kernel.step(key, position, batch, STEP_SIZE / 2)


def _random_batch(key: jax.Array, rows: Any) -> Any:
    chosen = jax.random.randint(key, (BATCH_SIZE,), 0, len(rows[0]))
    return jax.tree.map(lambda a: a[chosen], rows)


def blackjax_steps(work: Problem, n_steps: int) -> Form:
    """The documented loop: batches from outside, a jitted step; many chains by vmap."""
    one = _blackjax_step(work)
    step = jax.jit(jax.vmap(one))
    batches = jax.jit(jax.vmap(_random_batch, in_axes=(0, None)))

    def run() -> None:
        position, kept = work.start, []
        for i in range(n_steps):
            keys = jax.random.split(jax.random.fold_in(jax.random.key(1), i), work.n_chains)
            position = step(keys, position, batches(keys, work.posterior.data))
            if i % THIN == 0:
                kept.append(position)
        jax.block_until_ready(position)

    return Form("BlackJAX, jitted step", run, work.n_chains * n_steps, goal=GOAL_IN_JAX)


def blackjax_scan(work: Problem, n_draws: int, thin: int) -> Form:
    """The same step in a scan, and all chains by vmap around it."""
    run = _scanned(work, _blackjax_step(work), n_draws, thin)
    return Form("BlackJAX, vmap of scan", run, work.n_chains * n_draws * thin, goal=GOAL_IN_JAX)


def blackjax_sghmc(work: Problem, n_draws: int) -> Form:
    """BlackJAX's SGHMC, whose step is ten updates with one batch and a fresh momentum."""
    import blackjax

    n_updates = 10
    kernel = blackjax.sghmc(_blackjax_gradient(work), n_updates)
    run = _scanned(
        work,
        lambda key, p, batch: kernel.step(key, p, batch, STEP_SIZE),
        n_draws,
        THIN // n_updates,
    )
    name = "BlackJAX, sghmc, vmap of scan"
    return Form(name, run, work.n_chains * n_draws * THIN, goal=GOAL_IN_JAX)


def _scanned(work: Problem, one: Step, n_draws: int, thin: int) -> Callable[[], None]:
    def chain(key: jax.Array, start: Params, rows: Any) -> Any:
        def step(position: Params, key: jax.Array) -> tuple[Params, None]:
            key_batch, key_step = jax.random.split(key)
            return one(key_step, position, _random_batch(key_batch, rows)), None

        def draw(position: Params, key: jax.Array) -> tuple[Params, Params]:
            position, _ = jax.lax.scan(step, position, jax.random.split(key, thin))
            return position, position

        return jax.lax.scan(draw, start, jax.random.split(key, n_draws))

    compiled = jax.jit(jax.vmap(chain, in_axes=(0, 0, None)))
    keys = jax.random.split(jax.random.key(1), work.n_chains)
    return lambda: jax.block_until_ready(compiled(keys, work.start, work.posterior.data))


if __name__ == "__main__":
    from .command import main

    main(["--only", "sgld"])
