"""Training that is killed at any moment goes on and ends bit-identical."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import zarr
from torch import nn

from bayes_vs_sgd import Dataset, Draws, Network, priors, sgd, storage
from bayes_vs_sgd.sgd import chunk, run, wave
from bayes_vs_sgd.types import StoppedChainWarning
from tests.killed import MOMENTS, Killed, killed, whole_and_resumed

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 4)).astype(np.float32)
Y = RNG.integers(0, 4, 32)
DATASET = Dataset(X, Y, X + 0.1, Y, n_classes=4)
N_SEEDS = 18


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 4)), X[:1])


@pytest.fixture(scope="module", autouse=True)
def saved_at_every_step() -> Iterator[None]:
    """Pieces are single steps, and 18 networks are a wave of 16 and one of 2."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "_SECONDS_OF_A_PIECE", 0)
        patch.setattr(run, "_SECONDS_BETWEEN_SAVES", 0)
        patch.setattr(run, "_WAVE", 1)
        patch.setattr(wave, "_room", lambda device: 1)
        yield


def train(network: Network, folder: Path | None, **changes: Any) -> Draws:
    settings: dict[str, Any] = {
        "dataset": DATASET, "n_seeds": N_SEEDS, "initial": priors.FanIn(),
        "optimizer": sgd.Adam(0.05), "batch_size": 8, "max_epochs": 3, "checkpoints": [0, 2],
        "look_every": 1, "checkpoint": folder, "progress": False,
    } | changes  # fmt: skip
    return sgd.train(network, **settings)


def assert_same(found: Draws, expected: Draws) -> None:
    for name in ("params", "stats", "last"):
        a, b = (jax.tree.map(lambda v: v[:], getattr(d, name)) for d in (found, expected))
        assert jax.tree.structure(a) == jax.tree.structure(b)
        jax.tree.map(np.testing.assert_array_equal, a, b)
    assert {**found.info, "seconds": 0} == {**expected.info, "seconds": 0}


@pytest.fixture(scope="module")
def whole(network: Network) -> Draws:
    return train(network, None)


@pytest.mark.parametrize("n_before", [0, 5])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_at_any_point_of_writing_loses_nothing(
    network: Network, whole: Draws, tmp_path: Path, moment: str, n_before: int
) -> None:
    """A wave has three draws and its last iterates to write: 5 are the first draw of the second."""
    with killed(moment, n_before), pytest.raises(Killed):
        train(network, tmp_path / "run")
    assert_same(train(network, tmp_path / "run"), whole)


def with_one_failure(n: int) -> dict[str, np.ndarray]:
    """Network 3, of the first wave, has no finite loss."""
    rng = np.random.default_rng(1)
    shapes = {"0.weight": (6, 4), "0.bias": (6,), "2.weight": (4, 6), "2.bias": (4,)}
    start = {name: rng.normal(size=(n, *s)).astype(np.float32) for name, s in shapes.items()}
    start["2.bias"][3] = np.inf
    return start


VARIANTS: dict[str, dict[str, Any]] = {
    "stopping early": {"stop_at_loss": 1.3, "max_epochs": 8, "checkpoints": [1]},
    "draws of swag, and an optimiser without a state": {
        "optimizer": sgd.SGD(0.1, 0.0), "checkpoints": (),
        "average": sgd.SWAG(n_draws=3, rank=3, start=3, every=2),
    },
    "averages on the disk, and a schedule": {
        "optimizer": sgd.SGD(0.1, 0.9, nesterov=True), "schedule": sgd.Cosine(n_warmup=3),
        "lr_factors": {"0.weight": np.float32(2.0)}, "average": sgd.SWA(start=4),
        "in_memory": False,
    },
    "curves of noisy inputs": {
        "collect": lambda params: {}, "augment": sgd.Jitter(0.1),
        "optimizer": sgd.Elementwise("NAdam", {"lr": 0.01}),
    },
    "a network without finite loss": {"initial": with_one_failure(N_SEEDS)},
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_whatever_is_trained_goes_on_where_it_was_killed(
    network: Network, tmp_path: Path, name: str
) -> None:
    variant = VARIANTS[name]
    in_memory = {n: v for n, v in variant.items() if n != "in_memory"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoppedChainWarning)
        expected = train(network, None, **in_memory)
        for moment, n_before in (("in the state", 9), ("in the draws", 1)):
            with killed(moment, n_before), pytest.raises(Killed):
                train(network, tmp_path / "run", **variant)
        found = train(network, tmp_path / "run", **variant)
    assert_same(found, expected)
    on_disk = [isinstance(value, zarr.Array) for value in jax.tree.leaves(found.params)]
    assert all(on_disk) if "in_memory" in variant else not any(on_disk)
    if name == "stopping early":
        assert len(set(found.stats["step"][:, -1])) > 2


def test_sums_go_on_in_the_order_of_memory_they_began_in(network: Network, tmp_path: Path) -> None:
    """A matrix product of another order may round otherwise, on some processors."""
    variant = VARIANTS["draws of swag, and an optimiser without a state"]
    begun, went_on = [], []
    of_state = chunk.Chunk.of_state.__func__

    def noted(cls: type, *args: Any) -> chunk.Chunk:
        found = of_state(cls, *args)
        begun.append(strides(chunk.Chunk(args[0], args[1], dict(found.params), args[2])))
        went_on.append(strides(found))
        return found

    def strides(one: chunk.Chunk) -> dict[str, tuple[int, ...]]:
        return {
            f"{name} {part}": value.stride()
            for name, sums in one._sums.items()
            for part, value in sums.items()
        }

    with killed("in the state", 9), pytest.raises(Killed):
        train(network, tmp_path / "run", **variant)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunk.Chunk, "of_state", classmethod(noted))
        train(network, tmp_path / "run", **variant)
    assert went_on == begun != []
    orders = {name: value for name, value in went_on[0].items() if "mean" in name}
    assert orders["0.weight mean"] != (24, 4, 1)


def test_a_failed_network_is_named_again_by_whoever_goes_on(
    network: Network, tmp_path: Path
) -> None:
    """Its wave is finished when the run is killed, and once more when all is read back."""
    start = {"initial": with_one_failure(N_SEEDS)}
    with killed("in the draws", 5), pytest.raises(Killed):
        train(network, tmp_path / "run", **start)
    state, _ = storage.Checkpoint(tmp_path / "run", {}).load()
    assert (state["at"]["first"], state["at"]["failed"]) == (16, [3])
    for _ in range(2):
        with pytest.warns(StoppedChainWarning, match=r"1 of 18 networks .*\(chains 3\)"):
            trained = train(network, tmp_path / "run", **start)
        assert (trained.info["nonfinite"], trained.info["stopped_chains"]) == (1, "3")
        assert trained.running().n_chains == N_SEEDS - 1


class TestFinished:
    @pytest.fixture(scope="class")
    @classmethod
    def folder(cls, network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("finished") / "run"
        train(network, folder)
        return folder

    def test_a_finished_run_is_read_back_without_training(
        self, network: Network, whole: Draws, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def trained(*_: object) -> None:
            raise AssertionError("it trained")

        monkeypatch.setattr(wave.Wave, "__init__", trained)
        assert_same(train(network, folder), whole)
        on_disk = train(network, folder, in_memory=False)
        assert all(isinstance(v, zarr.Array) for v in on_disk.params.values())
        assert_same(on_disk, whole)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"optimizer": sgd.Adam(0.06)}, r"optimizer 'Adam\(lr=0.05.*there.*lr=0.06.*here"),
            ({"schedule": sgd.Cosine()}, "schedule"),
            ({"lr_factors": {"0.weight": 2.0}}, "lr_factors {} there"),
            ({"weight_decay": {"0.weight": 2.0}}, "weight_decay {} there"),
            ({"batch_size": 4}, "batch_size 8 there and 4 here"),
            ({"max_epochs": 4}, "n_steps=12.*n_steps=16"),
            ({"checkpoints": [0, 1]}, r"keeps=\(0, 8, 12\).*keeps=\(0, 4, 12\)"),
            ({"n_seeds": 17}, "n_seeds 18 there and 17 here"),
            ({"seed": 1}, "key"),
            ({"stop_at_loss": 1.0}, "at_loss=1.0"),
            ({"augment": sgd.Jitter(0.1)}, "Jitter"),
            ({"average": sgd.SWA()}, "average 'None' there and 'SWA"),
            ({"initial": priors.FanIn(std=2.0)}, "starting points"),
            ({"collect": lambda p: {}}, "kept"),
            ({"dataset": Dataset(X, Y[::-1], X + 0.1, Y, n_classes=4)}, "data "),
        ],
    )
    def test_a_folder_of_other_settings_is_refused(
        self, network: Network, folder: Path, changes: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ValueError, match=f"holds a run of other settings.*{message}.*; pass"):
            train(network, folder, **changes)

    def test_a_folder_of_another_architecture_is_refused(self, folder: Path) -> None:
        other = Network(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 4)), X[:1])
        with pytest.raises(ValueError, match="loss at the start"):
            train(other, folder)

    def test_given_starts_of_every_network_count(self, network: Network, tmp_path: Path) -> None:
        start = {n: np.zeros((2, *s), np.float32) for n, s in network.shapes.items()}
        settings = {"n_seeds": 2, "checkpoint": tmp_path / "run", "max_epochs": 1}
        settings |= {"checkpoints": ()}
        train(network, None, initial=start, **settings)
        start["2.bias"][1, 0] = 1e-6
        with pytest.raises(ValueError, match="starting points"):
            train(network, None, initial=start, **settings)

    def test_nothing_in_the_folder_is_a_pickle(self, folder: Path) -> None:
        assert json.loads((folder / "settings.json").read_text())["n_seeds"] == N_SEEDS
        with np.load(folder / "state.npz", allow_pickle=False) as state:
            assert all(state[name].dtype != object for name in state.files)
        files = {path.name for path in folder.iterdir()}
        assert files == {"settings.json", "state.npz", "draws.zarr", "last.zarr"}


def test_a_folder_of_something_else_is_refused_and_left_alone(
    network: Network, tmp_path: Path
) -> None:
    (tmp_path / "thesis.tex").write_text("…")
    with pytest.raises(ValueError, match="holds no run"):
        train(network, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_draws_that_fit_nowhere_are_refused_before_anything_is_trained(
    network: Network, tmp_path: Path
) -> None:
    settings = {"max_epochs": None, "max_steps": 100, "checkpoints": range(101), "n_seeds": 10**9}
    for folder, mend in ((tmp_path / "run", "TB"), (None, "in_memory=False")):
        with pytest.raises(ValueError, match=mend):
            train(network, folder, **settings)


SCRIPT = """
import sys
import numpy as np
from torch import nn
from bayes_vs_sgd import Dataset, Network, priors, sgd
from bayes_vs_sgd.sgd import run
run._SECONDS_BETWEEN_SAVES = 0.2
rng = np.random.default_rng(0)
x, y = rng.normal(size=(64, 4)).astype(np.float32), rng.integers(0, 3, 64)
trained = sgd.train(
    Network(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)), x[:1]),
    Dataset(x, y, x, y, n_classes=3),
    n_seeds=40,
    initial=priors.FanIn(),
    optimizer=sgd.Adam(0.01),
    batch_size=8,
    max_steps=6_000,
    checkpoints=range(0, 6_000, 500),
    look_every=200,
    stop_at_loss=0.45,
    average=sgd.SWA(start=500),
    checkpoint=sys.argv[1],
    progress=False,
)
np.savez(sys.argv[2], **trained.params, **trained.stats)
"""


@pytest.mark.slow
def test_a_process_that_is_killed_again_and_again_ends_bit_identical(tmp_path: Path) -> None:
    whole, resumed = whole_and_resumed(SCRIPT, tmp_path)
    assert len(set(whole["step"][:, -1])) > 1
    assert whole.keys() == resumed.keys()
    for name, value in whole.items():
        np.testing.assert_array_equal(resumed[name], value)
