"""The forms of the benchmark look at one cost."""

from benchmarks import local_volume, measure


def test_every_form_of_the_benchmark_has_the_same_cost() -> None:
    work = local_volume.problem(n_rows=30)
    measure.require_matched(local_volume.costs(work), local_volume.points(work))


def test_a_search_says_how_often_it_evaluated() -> None:
    work = local_volume.problem(n_rows=30)
    for search in (local_volume.our_search(work, 4), local_volume.torch_search(work, 4)):
        assert 4 * 5 < search() < 4 * 60
