import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from bayes_vs_sgd import Network
from benchmarks import convolution, hmc, lowering, measure, sgld, table
from benchmarks.measure import Effort, Form, Missing, Row


@pytest.mark.parametrize("name", [name for name in lowering.cases() if "512" not in name])
def test_the_networks_by_hand_are_the_lowered_ones(name: str) -> None:
    module, x, by_hand = lowering.cases()[name]
    network = Network(module, x[:2])
    params = {n: jnp.asarray(v) for n, v in network.from_torch(module).items()}
    for forward in by_hand.values():
        np.testing.assert_allclose(
            forward(params, jnp.asarray(x[:3])), network.apply(params, x[:3]), atol=2e-4
        )


def test_every_form_is_timed_in_every_way(capsys: pytest.CaptureFixture[str]) -> None:
    module, x, by_hand = lowering.cases()["MLP 64-64-64-10, 400 rows"]
    network = Network(module, x[:2])
    params = {n: jnp.asarray(v) for n, v in network.from_torch(module).items()}
    forms = {"lowered": network.apply, **by_hand}
    lowering.report("MLP", forms, params, jnp.asarray(x), jnp.zeros(len(x), int), n_turns=1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[1] for line in lines] == ["one", "vmap 8", "scan", "scan of vmap 8"]


def form(name: str, log: list[str], **settings: float) -> Form:
    return Form(name, lambda: log.append(name), 2.0, **settings)


def test_forms_take_turns_and_ours_is_set_beside_each_peer() -> None:
    log: list[str] = []
    ours = [form("ours", log), form("ours, thinned", log)]
    peers = [form("one", log, goal=0.0), form("two", log), Missing("three", "no such module")]
    rows = list(
        measure.compare("toy", "work", "calls", ours, peers, Effort(n_turns=3, seconds=0.0))
    )
    assert log[-12:] == ["ours", "ours, thinned", "one", "two"] * 3
    assert [(row.ours, row.peer) for row in rows[:2]] == [("ours", "one"), ("ours", "two")]
    assert rows[2].ours == "ours, thinned"
    assert rows[0].goal == 0.0
    assert rows[3].note == "missing: no such module"
    assert rows[3].ratio is None
    assert all(row.ratio > 0 for row in rows[:3])


def test_units_a_second_count_every_call_of_a_turn() -> None:
    speed = measure.Speed([0.5, 0.25, 0.25], [0.5, 0.5, 0.5])
    other = measure.Speed([1.0, 1.0, 0.25], [1.0, 1.0, 1.0])
    row = measure.row("toy", "work", "calls", form("ours", []), form("one", []), speed, other)
    assert (row.our_speed, row.peer_speed) == (4.0, 1.0)
    assert (row.ratio, row.processor_ratio) == (2.0, 2.0)


def test_the_table_shows_ratios_goals_and_what_is_missing() -> None:
    rows = [
        Row("hmc", "1 chain", "gradients", "ours", "a|b", 12_345.6, 41.0, 0.8, None, goal=0.9),
        Row("hmc", "1 chain", "gradients", "", "c", note="missing: no registry carries it"),
    ]
    lines = table.table(rows)
    assert {line.count("|") for line in lines} == {12}
    assert lines[2] == (
        "| hmc | 1 chain | ours | a/b | gradients | 12,346 | 41 | 0.8 |  | ≥ 0.9 ! |  |"
    )
    assert lines[3].endswith("|  |  |  |  |  | missing: no registry carries it |")
    page = table.markdown(rows, Effort(), 60.0)
    assert "1 of 1 goals are missed" in page
    assert f"jax {jax.__version__}" in page


def test_densities_that_differ_by_more_than_a_constant_are_refused() -> None:
    points = [jnp.zeros(2), jnp.ones(2)]
    density = lambda x: -(x**2).sum()  # noqa: E731
    measure.require_matched({"ours": density, "peer": lambda x: density(x) + 3}, points)
    with pytest.raises(ValueError, match="peer samples another density than ours"):
        measure.require_matched({"ours": density, "peer": lambda x: 2 * density(x)}, points)


def test_a_peer_that_is_not_installed_is_missing() -> None:
    assert measure.load_peer("json").dumps({}) == "{}"
    assert "no_such_peer" in measure.load_peer("no_such_peer").reason


def test_every_peer_samples_the_density_of_ours() -> None:
    work = sgld.problem(2)
    measure.require_matched(sgld.log_densities(work), sgld.points(work))
    regression = hmc.problem(1)
    one = {name: np.array(value[0]) for name, value in regression.start.items()}
    in_torch = hmc.torch_log_density(regression, one)
    flat = torch.from_numpy(np.concatenate([value.ravel() for value in one.values()]))
    np.testing.assert_allclose(
        in_torch(flat).item(), regression.posterior.log_density(one), rtol=1e-5
    )


def test_the_convolution_by_hand_is_the_lowered_posterior() -> None:
    work = convolution.problem(1, n_rows=16)
    measure.require_matched(convolution.log_densities(work), convolution.points(work))
