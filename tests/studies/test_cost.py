"""What a dry run says of parameters, arithmetic and memory, against counts by hand and by torch."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bayes_vs_sgd.data.downloads import SOURCES
from models import CNN, MLP, ResNet18, Translator
from studies.double_descent import PRESETS, Config, main
from studies.double_descent.cost import (
    Network,
    estimate,
    measured_flops,
    memory,
    row_gradients,
)
from studies.double_descent.main import prepare
from studies.double_descent.stand_in import IMAGES, StandIn, n_test_rows, shapes
from studies.double_descent.study import Study

IMAGE = np.random.default_rng(0).standard_normal((4, 3, 32, 32)).astype(np.float32)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A study of images would take all threads, which the tests share."""
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)


def changed(preset: str = "quick", **settings: object) -> Config:
    return dataclasses.replace(PRESETS[preset], dry_run=True, device="cpu", **settings)


def study_of(config: Config) -> Study:
    return Study(config, *prepare(config))


def test_an_mlp_costs_two_flops_a_weight_and_keeps_its_inputs_and_hidden_units() -> None:
    x = np.zeros((4, 20), np.float32)
    network = Network.of(MLP(20, 7, 3, 2), x)
    n_weights = 20 * 7 + 7 * 7 + 7 * 3
    assert network.n_parameters == n_weights + 7 + 7 + 3
    assert network.flops == 2 * n_weights
    assert network.activations == 4 * (20 + 7 + 7)
    assert network.widest == 4 * 20


def test_a_network_costs_a_row_the_same_however_many_rows_there_are() -> None:
    x = np.zeros((1, 20), np.float32)
    assert Network.of(MLP(20, 7, 3), x) == Network.of(MLP(20, 7, 3), np.repeat(x, 9, axis=0))


@pytest.mark.parametrize("width", [1, 5])
def test_the_flops_of_the_cnn_are_those_of_its_five_layers(width: int) -> None:
    channels = [3, width, 2 * width, 4 * width, 8 * width]
    sides = [32, 32, 16, 8]
    products = sum(
        9 * i * o * side**2 for i, o, side in zip(channels, channels[1:], sides, strict=False)
    )
    network = Network.of(CNN(3, width, 10), IMAGE)
    assert network.flops == 2 * (products + 80 * width)


def test_the_flops_of_a_translator_are_those_of_its_products_and_its_attention() -> None:
    length, width, words = 11, 16, 104
    tokens = np.tile(np.arange(length) + 4, (4, 2, 1))
    network = Network.of(Translator(words, width, words, depth=1, max_length=length), tokens)
    attention = 4 * width**2 * length + 2 * length**2 * width
    forward = 8 * width**2 * length
    assert network.flops == 2 * (3 * attention + 2 * forward + words * width * length)


def test_the_standard_networks_have_the_parameters_of_the_paper() -> None:
    assert Network.of(CNN(3, 64, 10), IMAGE).n_parameters == 1_558_026
    network = Network.of(ResNet18(3, 64, 10), IMAGE)
    assert network.n_parameters == 11_171_146
    # The 0.56 billion products that are known of this network.
    assert network.flops / 2 == pytest.approx(0.556e9, rel=0.01)


def saved_bytes(output: torch.Tensor, module: nn.Module) -> int:
    """Bytes that the graph behind an output holds, found by walking over its nodes."""
    skip = {p.untyped_storage().data_ptr() for p in module.parameters()}
    found, seen, waiting = {}, set(), [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        for name in dir(node):
            if name.startswith("_saved_"):
                value = getattr(node, name)
                if isinstance(value, torch.Tensor):
                    storage = value.untyped_storage()
                    found[storage.data_ptr()] = storage.nbytes()
        waiting += [n for n, _ in node.next_functions]
    return sum(n for address, n in found.items() if address not in skip)


@pytest.mark.parametrize("module", [CNN(3, 4, 10), ResNet18(3, 2, 10), MLP(3072, 30, 10, 2)])
def test_the_bytes_of_activations_are_those_that_torch_holds(module: nn.Module) -> None:
    rows = torch.from_numpy(np.repeat(IMAGE, 4, axis=0))
    few, many = (saved_bytes(module(rows[:n].clone()), module) for n in (4, 16))
    assert Network.of(module, IMAGE).activations == (many - few) / 12


def test_sgd_takes_every_row_once_an_epoch_and_its_averages_go_on_from_there() -> None:
    config = Config(n_seeds=8, n_train=50, max_epochs=20, average_epochs=6)
    assert row_gradients(config, "sgd", ("sgd",)) == 8 * 50 * 20
    assert row_gradients(config, "sgd", ("swag", "multiswag")) == 8 * 50 * 26
    assert row_gradients(config, "sgd", ("swa", "swag")) == 8 * 50 * 32
    along = dataclasses.replace(config, axis="epochs")
    assert row_gradients(along, "sgd", ("sgd", "swa")) == 8 * 50 * 40


def test_chains_take_all_rows_at_every_leapfrog_step() -> None:
    config = Config(n_chains=3, n_warmup=10, n_draws=30, n_train=50)
    config = dataclasses.replace(config, hmc=dataclasses.replace(config.hmc, n_leapfrog=7))
    assert row_gradients(config, "hmc", ("bma",)) == 3 * 50 * 40 * 7
    more = dataclasses.replace(config, n_draws=70)
    assert row_gradients(more, "hmc", ("bma",)) == 2 * row_gradients(config, "hmc", ("bma",))


def test_a_step_of_mclmc_takes_two_gradients_and_its_chains_start_at_maxima() -> None:
    config = Config(n_chains=2, n_warmup=10, n_draws=30, n_train=50, mclmc_thin=4)
    expected = 2 * 50 * (2 * 40 * 4 + config.map.n_steps)
    assert row_gradients(config, "mclmc", ("mclmc",)) == expected


def test_a_cycle_that_explores_longer_costs_more_for_as_many_draws() -> None:
    config = Config(minibatch_warmup=100, minibatch_thin=5, n_draws=40, n_chains=2, n_train=50)
    cycles = dataclasses.replace(config.cycles, exploration=0.8)
    config = dataclasses.replace(config, cycles=cycles)
    assert row_gradients(config, "csgld", ()) == pytest.approx(2 * 50 * (100 + 5 * 40 * 5))
    assert row_gradients(config, "sghmc", ()) == 2 * 50 * (100 + 5 * 40)


def test_every_method_has_a_cost() -> None:
    linear = changed(model="linear", data="isotropic", widths=(2, 4, 6), n_splits=2, arms=("all",))
    table = estimate(study_of(linear))
    exact = table["method"] == "exact"
    assert (table["flop"][exact] == 0).all()
    assert (table["flop"][~exact] > 0).all()
    other = estimate(study_of(changed(arms=("all",), capacity_rows=(10, 20), widths=(2, 4, 6))))
    methods = {*table["method"], *other["method"]}
    assert methods == {
        "sgd", "map", "hmc", "early", "map_tuned", "nuts", "mclmc", "sghmc", "csgld", "smc", "exact",
        "capacity",
    }  # fmt: skip
    assert (other["bytes"] > 0).all()


def test_memory_holds_what_swag_keeps_of_every_network() -> None:
    """Draws with their predictions of all rows, and the statistics of one network."""
    config = changed(
        "paper", n_train=100, n_test=20, batch_size=10, n_checkpoints=0, n_seeds=6, swag_rank=20
    )
    dataset = shapes(config, 0, 100)
    network = Network(1000, 0.0, 0.0, 0.0)
    without, beside = (
        memory(config, network, "sgd", arms, dataset) for arms in (("sgd",), ("sgd", "multiswag"))
    )
    predictions = 4 * 100 * (100 + 20)
    assert beside - without == 22 * 4000 + 6 * 20 * (4000 + predictions)


def test_memory_grows_with_what_is_kept() -> None:
    def of(method: str = "sgd", **settings: object) -> float:
        config = changed(**settings)
        network = Network(1000, 0.0, 100.0, 10.0)
        return memory(config, network, method, ("sgd",), shapes(config, 0, config.n_train))

    assert of(n_checkpoints=20) - of(n_checkpoints=10) == 16 * 10 * 4000
    assert of(n_test=200) - of(n_test=100) == 100 * (16 * 4 * 10 + 4 * 64)
    assert of("hmc", n_draws=200) > 1.9 * of("hmc", n_draws=100)
    assert of("hmc", micro_batch=10) < of("hmc")


@pytest.mark.parametrize("name", sorted(IMAGES))
def test_stand_ins_know_the_images_without_reading_them(name: str, tmp_path: Path) -> None:
    config = changed(data=name, model="cnn", data_root=tmp_path, n_test=7000)
    dataset = shapes(config, 0, 50_000)
    assert dataset.n_classes == SOURCES[name].n_classes
    assert dataset.x_train.shape[1:] == ((3, 32, 32) if "cifar" in name else (1, 28, 28))
    assert n_test_rows(dataset) == 7000
    assert len(dataset.x_train) < 10
    assert not list(tmp_path.iterdir())


def test_more_rows_than_there_are_images_are_refused() -> None:
    with pytest.raises(
        ValueError, match="n_train=50001 exceeds the 50000 training rows of cifar10"
    ):
        shapes(changed(data="cifar10", model="cnn"), 0, 50_001)


def test_data_that_are_there_are_loaded() -> None:
    dataset = shapes(changed(), 0, 400)
    assert not isinstance(dataset, StandIn)
    assert n_test_rows(dataset) == len(dataset.x_test) == 1397


@pytest.mark.parametrize(
    "preset", ["paper", "paper-noise", "paper-resnet18", "paper-cnn", "paper-transformer"]
)
def test_a_dry_run_of_a_paper_needs_no_data_and_writes_nothing(
    preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    main(changed(preset, widths=(2, 4, 8)))
    said = capsys.readouterr().out
    assert "3 cells along width" in said
    for words in ("nothing was computed", "GPU hours", "hours here", "parameters", "of memory"):
        assert words in said
    assert not list(tmp_path.iterdir())


def test_the_gpu_hours_of_the_figure_of_swag_are_those_of_its_arithmetic() -> None:
    """Some 30 hours: 439 epochs of 50,000 rows for 6 networks, at 10 TFLOP/s."""
    config = changed("paper", widths=(4, 32, 64))
    table = estimate(study_of(config)).set_index("place")
    assert table["parameters"][64] == 11_171_146 + 90 * 513
    hours = table["flop"][64] / 1e13 / 3600
    assert hours == pytest.approx(3 * 2 * 0.556e9 * 50_000 * 439 * 6 / 3.6e16, rel=0.01)
    # An epoch has a quarter of the arithmetic at half the width, but for the stem.
    assert table["flop"][64] / table["flop"][32] == pytest.approx(4, rel=0.02)


def test_the_measured_speed_is_that_of_a_few_rows_of_a_large_network() -> None:
    assert 1e7 < measured_flops(study_of(changed("paper-cnn", widths=(4, 8, 16)))) < 1e13
