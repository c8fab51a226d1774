import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from bayes_vs_sgd import runs

SETTINGS = {"study": "s", "settings": {"widths": (1, 2), "hmc": {"n_leapfrog": 3}}}


def tree(value: float) -> xr.DataTree:
    made = xr.DataTree.from_dict({"/a": xr.Dataset({"x": ("i", np.full(5, value))})})
    made.attrs["summary"] = "short"
    return made


def open_run(path: Path, *, resume: bool = False, settings: dict = SETTINGS) -> runs.RunFolder:
    return runs.RunFolder.create_or_resume(path, settings, resume=resume)


def test_cells_are_written_and_read_whole_or_by_group(tmp_path: Path) -> None:
    folder = open_run(tmp_path / "run")
    assert not folder.has("c")
    folder.write("c", tree(2.0))
    assert folder.has("c")
    assert folder.cells() == ["c"]
    assert folder.read("c")["a"]["x"].to_numpy().tolist() == [2.0] * 5
    assert folder.read_group("c", "a")["x"].sum() == 10
    assert folder.read_group("c").attrs["summary"] == "short"


def test_cells_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    folder = open_run(tmp_path / "run")
    for key in ("w10", "w4", "w10-s2", "a-w16"):
        folder.write(key, tree(0.0))
    assert folder.cells() == ["a-w16", "w4", "w10", "w10-s2"]


def test_a_half_written_cell_is_no_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = open_run(tmp_path / "run")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        folder.write("c", tree(1.0))
    assert not folder.has("c")
    assert folder.cells() == []


def test_finished_cells_are_never_computed_again(tmp_path: Path) -> None:
    folder = open_run(tmp_path / "run")
    cells = [runs.Cell(f"c{i}", {"i": i}) for i in range(4)]
    computed: list[str] = []

    def compute(cell: runs.Cell) -> xr.DataTree:
        if len(computed) == 2 and cell.key not in computed:
            computed.append("stop")
            raise KeyboardInterrupt
        computed.append(cell.key)
        return tree(float(cell.settings["i"]))

    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        runs.run_cells(cells, compute, folder, say=said.append)
    assert computed == ["c0", "c1", "stop"]
    runs.run_cells(cells, compute, open_run(tmp_path / "run", resume=True), say=said.append)
    assert computed == ["c0", "c1", "stop", "c2", "c3"]
    assert "2 of 4 cells are finished already." in said


def test_another_runs_folder_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    folder = open_run(tmp_path / "run")
    folder.write("c", tree(1.0))
    before = {p: p.stat().st_mtime_ns for p in folder.path.rglob("*")}
    other = {"study": "s", "settings": {"widths": (1, 2), "hmc": {"n_leapfrog": 4}}}
    with pytest.raises(ValueError, match=r"settings.hmc.n_leapfrog is 3 there and 4 now"):
        open_run(folder.path, resume=True, settings=other)
    with pytest.raises(ValueError, match="add --resume"):
        open_run(folder.path)
    assert {p: p.stat().st_mtime_ns for p in folder.path.rglob("*")} == before


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds no run"):
        open_run(tmp_path)
    with pytest.raises(ValueError, match="is a file"):
        open_run(tmp_path / "notes.txt")


def test_the_newest_run_of_the_same_settings_is_found(tmp_path: Path) -> None:
    open_run(tmp_path / "s-1")
    open_run(tmp_path / "s-2", settings={"study": "s", "settings": {}})
    assert runs.RunFolder.newest(tmp_path, "s-", SETTINGS) == tmp_path / "s-1"
    assert runs.RunFolder.newest(tmp_path, "t-", SETTINGS) is None


def test_json_has_no_nan(tmp_path: Path) -> None:
    folder = open_run(tmp_path / "run")
    folder.write_json("x.json", {"a": np.float32(np.nan), "b": (np.int64(3), float("inf"))})
    assert json.loads((folder.path / "x.json").read_text()) == {"a": None, "b": [3, None]}


def test_provenance_names_versions_and_machine() -> None:
    found = runs.provenance()
    assert {"python", "jax", "torch", "blackjax", "arviz"} <= set(found["versions"])
    assert found["machine"]["cores"] >= 1


def test_a_cells_seed_depends_on_its_name_and_the_root_alone() -> None:
    seeds = {runs.Cell(key, {}).seed(root) for key in ("a", "b", "ab") for root in (0, 1)}
    assert len(seeds) == 6
    assert runs.Cell("a", {"i": 1}).seed(0) == runs.Cell("a", {}).seed(0)


def test_what_is_refused_is_for_the_user_to_mend_and_faults_are_not() -> None:
    with pytest.raises(runs.UserError, match="too few"), runs.refusals():
        raise ValueError("too few")
    with pytest.raises(KeyError), runs.refusals():
        raise KeyError("fault")
