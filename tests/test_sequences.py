import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.nn import functional

from bayes_vs_sgd import Dataset, Network, Posterior, averaging, data, likelihoods, priors, sgd
from models import Decoder, EncoderDecoder, Translator

from .parity import assert_engines_agree

RNG = np.random.default_rng(0)
POETRY = "".join(RNG.choice(list("to be or not,\n"), 600))
TOKENS = likelihoods.Tokens()
PRIOR = priors.FanIn(std=1.0, bias_std=0.5)


@pytest.fixture(scope="module")
def characters(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("text") / "poetry.txt"
    path.write_text(POETRY)
    return data.text(path, context=6, n_train=24, n_test=10, label_noise=0.25)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> data.Translation:
    folder, words = tmp_path_factory.mktemp("pairs"), ["eins", "zwei", "drei", "vier"]
    lines = [" ".join(RNG.choice(words, RNG.integers(1, 5))) for _ in range(40)]
    paths: list[Path] = [folder / "one", folder / "other"]
    paths[0].write_text("\n".join(lines))
    paths[1].write_text("\n".join(line[::-1] for line in lines))
    return data.translation(*paths, n_train=24, n_test=10, max_length=4, vocabulary_size=3)


@functools.cache
def decoder(n_tokens: int) -> Network:
    torch.manual_seed(0)
    module = Decoder(n_tokens, 8, depth=1, n_heads=2, max_length=6)
    return Network(module, np.zeros((2, 6), np.int64))


@functools.cache
def translator(n_source: int, n_target: int) -> Network:
    torch.manual_seed(0)
    module = Translator(n_source, 8, n_target, depth=1, n_heads=2, max_length=5)
    return Network(module, np.ones((2, 2, 5), np.int64))


def network_of(dataset: Dataset) -> Network:
    if isinstance(dataset, data.Translation):
        return translator(len(dataset.source_words), dataset.n_classes)
    return decoder(dataset.n_classes)


def likelihood_of(dataset: Dataset) -> likelihoods.Likelihood:
    return TOKENS if isinstance(dataset, data.Translation) else likelihoods.Categorical()


def losses_of_torch(module: torch.nn.Module, x: np.ndarray, y: np.ndarray) -> torch.Tensor:
    """Negative log likelihood of every row by torch's own cross entropy."""
    logits, targets = module(torch.from_numpy(x)), torch.from_numpy(y)
    if y.ndim == 1:
        return functional.cross_entropy(logits, targets, reduction="none")
    return functional.cross_entropy(
        logits.transpose(1, 2), targets, ignore_index=0, reduction="none"
    ).sum(1)


def test_a_translator_is_the_encoder_decoder_of_packed_pairs() -> None:
    torch.manual_seed(0)
    packed = Translator(9, 8, 7, depth=2, n_heads=2, max_length=6, pad=3)
    plain = EncoderDecoder(9, 8, 7, depth=2, n_heads=2, max_length=6, pad=3)
    plain.load_state_dict(packed.network.state_dict())
    source, target = torch.randint(0, 9, (4, 6)), torch.randint(0, 7, (4, 6))
    found = packed(torch.stack([source, target], 1))
    torch.testing.assert_close(found, plain(source, target), rtol=0, atol=0)
    assert found.shape == (4, 6, 7)
    assert {n.removeprefix("network.") for n, _ in packed.named_parameters()} == {
        n for n, _ in plain.named_parameters()
    }


def test_both_engines_agree_on_a_translator(pairs: data.Translation) -> None:
    torch.manual_seed(0)
    module = Translator(
        len(pairs.source_words), 8, pairs.n_classes, depth=1, n_heads=2, max_length=5
    )
    assert_engines_agree(module, pairs.x_train[:4])


@pytest.mark.parametrize("name", ["characters", "pairs"])
def test_the_posterior_of_sequences_is_that_of_torchs_cross_entropy(
    name: str, request: pytest.FixtureRequest
) -> None:
    dataset: Dataset = request.getfixturevalue(name)
    network = network_of(dataset)
    posterior = Posterior.of(network, dataset, likelihood_of(dataset), PRIOR, temperature=0.5)
    with jax.enable_x64(True):
        params = PRIOR.sample(jax.random.key(0), network.shapes)
        double = {n: jnp.asarray(v, jnp.float64) for n, v in params.items()}

        def without_prior(params: dict) -> jax.Array:
            return posterior.log_density(params) - PRIOR.log_prob(params)

        found, gradient = jax.jit(jax.value_and_grad(without_prior))(double)
    module = network.to_torch(double)
    total = -losses_of_torch(module, dataset.x_train, dataset.y_train).sum() / 0.5
    total.backward()
    np.testing.assert_allclose(found, total.detach(), rtol=1e-10)
    for parameter, own in module.named_parameters():
        np.testing.assert_allclose(gradient[parameter], own.grad, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["characters", "pairs"])
@pytest.mark.parametrize("n_seeds", [1, 3])
def test_sequences_train_as_in_a_plain_torch_loop(
    name: str, n_seeds: int, request: pytest.FixtureRequest
) -> None:
    dataset: Dataset = request.getfixturevalue(name)
    network = network_of(dataset)
    starts = priors.sample_many(PRIOR, jax.random.key(0), network.shapes, n_seeds)
    initial = {n: np.asarray(v, np.float64) for n, v in starts.items()}
    trained = sgd.train(
        network, dataset, n_seeds=n_seeds, initial=initial, likelihood=likelihood_of(dataset),
        optimizer=sgd.SGD(0.02, momentum=0.9), max_epochs=3, progress=False,
    )  # fmt: skip
    own = network.to_torch({n: v[-1] for n, v in initial.items()})
    steps = torch.optim.SGD(own.parameters(), 0.02, 0.9)
    for _ in range(3):
        steps.zero_grad()
        losses_of_torch(own, dataset.x_train, dataset.y_train).mean().backward()
        steps.step()
    for parameter, value in own.named_parameters():
        moved = trained.params[parameter][-1, -1]
        np.testing.assert_allclose(moved, value.detach().numpy(), rtol=1e-9, atol=1e-9)
    with torch.no_grad():
        expected = losses_of_torch(own, dataset.x_test, dataset.y_test).mean()
        wrong = own(torch.from_numpy(dataset.x_test)).argmax(-1).numpy() != dataset.y_test
    assert trained.stats["test_loss"][-1, -1] == pytest.approx(float(expected), rel=1e-9)
    counted = dataset.y_test > 0 if dataset.y_test.ndim > 1 else np.ones_like(wrong)
    shares = [w[c].mean() for w, c in zip(wrong, counted, strict=True)]
    assert trained.stats["test_error"][-1, -1] == pytest.approx(np.mean(shares), rel=1e-9)


def test_translations_are_predicted_averaged_and_judged(pairs: data.Translation) -> None:
    network = network_of(pairs)
    trained = sgd.train(
        network, pairs, n_seeds=2, initial=PRIOR, likelihood=TOKENS, optimizer=sgd.SGD(0.02),
        max_epochs=4, checkpoints=[0, 2], progress=False,
    )  # fmt: skip
    log_probs = averaging.predict(network, trained, pairs.x_test, TOKENS)
    assert log_probs.shape == (2, 3, 10, 5, pairs.n_classes)
    length = (pairs.y_test > 0).sum(1)
    losses = averaging.pointwise(log_probs, pairs.y_test)
    np.testing.assert_allclose(
        (losses["nll"] * length).mean(-1)[:, 1:], trained.stats["test_loss"][:, 1:], rtol=1e-4
    )
    np.testing.assert_allclose(
        losses["error"].mean(-1), trained.stats["test_error"], rtol=1e-5, atol=1e-6
    )
    average = averaging.bma(log_probs)
    found = averaging.metrics(average, pairs.y_test)
    assert set(found) == {"error", "nll", "brier", "ece"}
    # Jensen's inequality, row by row.
    assert (averaging.pointwise(average, pairs.y_test)["nll"] <= losses["nll"].mean((0, 1))).all()


def test_networks_learn_to_translate_by_copying(tmp_path: Path) -> None:
    words = [f"w{i}" for i in range(6)]
    lines = [" ".join(RNG.choice(words, 3)) for _ in range(150)]
    path = tmp_path / "same"
    path.write_text("\n".join(lines))
    copied = data.translation(path, path, n_train=120, n_test=30, max_length=3)
    module = Translator(10, 16, 10, depth=1, n_heads=2, max_length=4)
    network = Network(module, copied.x_train[:2])
    trained = sgd.train(
        network, copied, n_seeds=1, initial={n: v[None] for n, v in network.from_torch(module).items()},
        likelihood=TOKENS, optimizer=sgd.Adam(0.01), batch_size=30, max_epochs=40, progress=False,
    )  # fmt: skip
    assert trained.stats["test_error"][0, -1] < 0.2
