"""Every preset of the double-descent study: what it holds, and that it runs."""

import dataclasses
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from bayes_vs_sgd import runs
from bayes_vs_sgd.sgd import Constant, InverseSqrt
from studies.double_descent import PRESETS, Config, main
from studies.double_descent.config import check
from studies.double_descent.methods.descent import optimizer_of, schedule_of, train
from studies.double_descent.problem import Problem, build, load
from studies.double_descent.settings import read
from studies.double_descent.stand_in import shapes

FOLDER = Path(__file__).parents[2] / "studies" / "double_descent" / "presets"
IMAGES = ["paper", "paper-noise", "paper-resnet18", "paper-cnn"]
TINY = {
    "out": None, "device": "cpu", "n_splits": 1, "n_train": 24, "n_test": 12, "batch_size": 12,
    "max_epochs": 2, "n_seeds": 4, "ensemble_size": 2, "average_epochs": 2, "swag_rank": 2,
    "n_gaussian_draws": 2, "n_checkpoints": 2, "n_chains": 2, "n_warmup": 20, "n_draws": 20,
    "minibatch_warmup": 2, "minibatch_thin": 1, "mclmc_thin": 2, "n_runs": 2, "tempered": (0.1,),
    "prior_factors": (2.0,), "tuned_factors": (1.0, 2.0), "capacity_rows": (),
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A study of images would take all threads, which the tests share."""
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)


def tiny(preset: str, out: Path, **settings: object) -> Config:
    """A preset with its networks, data and runs made small, and nothing else changed."""
    config = dataclasses.replace(PRESETS[preset], **(TINY | {"widths": (1, 2, 4)} | settings))
    return dataclasses.replace(
        config,
        out=out,
        hmc=dataclasses.replace(config.hmc, n_leapfrog=2),
        nuts=dataclasses.replace(config.nuts, max_tree_depth=2),
        map=dataclasses.replace(config.map, n_steps=5),
        smc=dataclasses.replace(config.smc, n_particles=20),
        cycles=dataclasses.replace(config.cycles, cycle_length=8),
        # The milestones and the warm-up of a long run lie beyond this one's end.
        steps=dataclasses.replace(config.steps, at=(1, 3) if config.steps.at else ()),
        inverse_sqrt=dataclasses.replace(
            config.inverse_sqrt, n_warmup=min(1, config.inverse_sqrt.n_warmup)
        ),
    )


def random_images(folder: Path, n_classes: int) -> str:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (2 * n_classes, 3, 8, 8)).astype(np.float32)
    np.savez(folder / "images.npz", x=x, y=np.arange(2 * n_classes) % n_classes)
    return str(folder / "images.npz")


def sentences(folder: Path) -> tuple[str, str]:
    """Sentences of four to seven words, and the same with every word in another language."""
    rng = np.random.default_rng(0)
    numbers = [rng.integers(0, 9, rng.integers(4, 8)) for _ in range(50)]
    for language, stem in (("de", "wort"), ("en", "word")):
        text = "\n".join(" ".join(f"{stem}{i}" for i in sentence) for sentence in numbers)
        (folder / f"train.{language}").write_text(text, encoding="utf-8")
    return str(folder / "train.de"), str(folder / "train.en")


def finished(folder: Path) -> dict:
    assert (folder / "report.html").exists()
    return json.loads((folder / "verdict.json").read_text())


def test_every_file_is_a_preset_under_its_name() -> None:
    names = {path.stem for path in FOLDER.glob("*.toml")}
    assert names | {"quick"} == set(PRESETS)
    assert names >= {"full", *IMAGES, "paper-transformer"}
    for name in names:
        assert PRESETS[name].preset == name


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_the_settings_of_every_preset_are_possible(preset: str) -> None:
    config = PRESETS[preset]
    check(config)
    dry = dataclasses.replace(config, dry_run=True)
    dataset = shapes(dry, 0, config.n_train)
    for value in config.values[:2]:
        build(config.at(value), dataset)


@pytest.mark.parametrize("preset", [*IMAGES, "paper-transformer"])
def test_a_preset_of_a_paper_names_its_source_and_the_place_of_every_number(preset: str) -> None:
    text = (FOLDER / f"{preset}.toml").read_text(encoding="utf-8")
    header, body = text.split("\naxis = ")
    assert "arXiv" in header
    assert "figure" in header
    assert "Where this differs from the paper" in header
    for before, line in pairwise(body.splitlines()):
        if "=" in line and not line.startswith("#"):
            assert "#" in line or before.startswith("#"), line


def test_a_setting_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[sgd]\nlearning_rate = 0.1\n")
    with pytest.raises(ValueError, match=r"mine\.toml sets learning_rate, which are no settings"):
        read(path)


@pytest.mark.parametrize(
    ("preset", "n_parameters"),
    [("paper-resnet18", 11_171_146), ("paper-cnn", 1_558_026), ("paper", 11_171_146 + 90 * 513)],
)
def test_the_widest_network_is_that_of_the_paper(preset: str, n_parameters: int) -> None:
    config = dataclasses.replace(PRESETS[preset], dry_run=True)
    assert config.widths[-1] == 64
    module = build(config.at(64), shapes(config, 0, config.n_train))
    assert sum(p.numel() for p in module.parameters()) == n_parameters


@pytest.mark.parametrize(
    ("preset", "n_steps"),
    [("paper-cnn", 500_000), ("paper-transformer", 80_000), ("paper-resnet18", 4000 * 390)],
)
def test_the_epochs_are_the_steps_of_the_paper(preset: str, n_steps: int) -> None:
    config = PRESETS[preset]
    ours = config.max_epochs * (config.n_train // config.batch_size)
    assert 0 <= n_steps - ours < config.n_train // config.batch_size


@pytest.mark.parametrize(("preset", "fraction"), [("paper-resnet18", 0.15), ("paper-cnn", 0.2)])
def test_as_many_labels_are_wrong_as_in_the_paper(preset: str, fraction: float) -> None:
    """Redrawn from all ten classes, a tenth of them stay."""
    assert PRESETS[preset].label_noise * 0.9 == pytest.approx(fraction, rel=1e-12)


def test_the_cnn_falls_by_the_inverse_square_root_of_the_paper() -> None:
    config = PRESETS["paper-cnn"]
    schedule = schedule_of(config)
    for step in (0, 511, 512, 1024, 499_000):
        found = config.sgd.lr * schedule(step, 500_000)
        assert found == pytest.approx(0.1 / np.sqrt(1 + step // 512))
    assert config.sgd.momentum == 0


def test_the_transformer_warms_up_to_its_learning_rate() -> None:
    schedule = schedule_of(PRESETS["paper-transformer"])
    assert isinstance(schedule, InverseSqrt)
    assert schedule(3999, 80_000) == 1
    # Then lr·√(4000/t), t being the step.
    assert schedule(16_000, 80_000) == pytest.approx(np.sqrt(4000 / 16_000))


@pytest.mark.parametrize("preset", ["paper", "paper-noise"])
def test_swag_goes_on_with_the_learning_rate_of_its_code(preset: str) -> None:
    config = PRESETS[preset]
    n_steps = config.max_epochs * (config.n_train // config.batch_size)
    lr = optimizer_of(config).lr
    end = schedule_of(config)(n_steps - 1, n_steps)
    assert lr * end == pytest.approx(0.001)
    assert config.average_lr * lr * end == pytest.approx(0.01)


def test_both_figures_of_swag_differ_in_their_labels_alone() -> None:
    clean, noisy = PRESETS["paper"], PRESETS["paper-noise"]
    assert (clean.label_noise, noisy.label_noise) == (0.0, 0.2)
    assert dataclasses.replace(noisy, preset="paper", label_noise=0.0) == clean


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_fast")
@pytest.mark.parametrize("preset", ["paper-noise", "paper-resnet18", "paper-cnn"])
def test_the_images_of_a_paper_run_from_end_to_end(preset: str, tmp_path: Path) -> None:
    """Without ``paper``, which is ``paper-noise`` but for the labels."""
    config = tiny(preset, tmp_path / "run", depth=1)
    n_classes = 100 if config.data == "cifar100" else 10
    n_train = 24 if n_classes == 100 else 14
    file = random_images(tmp_path, n_classes)
    main(dataclasses.replace(config, data=file, n_train=n_train, n_test=6))
    assert set(finished(tmp_path / "run")["arms"]) == set(config.arm_names)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["paper", "paper-cnn"])
def test_the_networks_of_a_paper_learn_from_where_they_start(preset: str, tmp_path: Path) -> None:
    """As they do not where the gains of normalizations begin at 0."""
    config = tiny(preset, tmp_path, depth=1, width=2, label_noise=0.0)
    config = dataclasses.replace(config, data=random_images(tmp_path, 10), n_train=12, n_test=6)
    problem = Problem(config, load(config, 0, 12), 0, 0, "cpu")
    trained = train(problem, checkpoints=(0,), max_epochs=40, schedule=Constant())
    assert (trained.stats["train_loss"][:, -1] < 0.8 * trained.stats["train_loss"][:, 0]).all()


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_fast")
def test_the_sentences_of_a_paper_run_from_end_to_end(tmp_path: Path) -> None:
    source, target = sentences(tmp_path)
    config = tiny("paper-transformer", tmp_path / "run", widths=(4, 8, 16), depth=1)
    main(dataclasses.replace(config, data=source, target=target))
    assert set(finished(tmp_path / "run")["arms"]) == {"sgd", "deep_ensemble"}


def test_sentences_that_are_not_there_are_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(runs.UserError, match=r"there is no file iwslt14\.train\.de\.gz"):
        main(dataclasses.replace(PRESETS["paper-transformer"], out=tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_fast")
def test_the_full_preset_runs_from_end_to_end(tmp_path: Path) -> None:
    """With five of its arms; what the others need is no matter of the preset."""
    config = tiny(
        "full", tmp_path / "run", n_test=40, arms=("five",), tempered=(), prior_factors=()
    )
    main(config)
    assert set(finished(tmp_path / "run")["arms"]) == {"sgd", "deep_ensemble", "map", "draw", "bma"}
