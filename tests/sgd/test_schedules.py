"""Schedules against torch's schedulers, step by step."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from bayes_vs_sgd.sgd import schedules

LR = 0.3
N_STEPS = 40
Build = Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]


def torchs_factors(build: Build) -> np.ndarray:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    scheduler = build(optimizer)
    factors = []
    for _ in range(N_STEPS):
        factors.append(optimizer.param_groups[0]["lr"] / LR)
        optimizer.step()
        scheduler.step()
    return np.array(factors)


def after_warmup(n_warmup: int, build: Build) -> Build:
    def chained(optimizer: torch.optim.Optimizer) -> lr_scheduler.LRScheduler:
        ramp = lr_scheduler.LinearLR(optimizer, start_factor=1 / n_warmup, total_iters=n_warmup - 1)
        return lr_scheduler.SequentialLR(optimizer, [ramp, build(optimizer)], [n_warmup])

    return chained


CASES: dict[str, tuple[schedules.Schedule, Build]] = {
    "constant": (schedules.Constant(), lambda o: lr_scheduler.LambdaLR(o, lambda step: 1.0)),
    "warm_constant": (
        schedules.Constant(n_warmup=7),
        lambda o: lr_scheduler.LinearLR(o, start_factor=1 / 7, total_iters=6),
    ),
    "cosine": (schedules.Cosine(), lambda o: lr_scheduler.CosineAnnealingLR(o, N_STEPS)),
    "cosine_to_a_tenth": (
        schedules.Cosine(0.1),
        lambda o: lr_scheduler.CosineAnnealingLR(o, N_STEPS, eta_min=0.1 * LR),
    ),
    "warm_cosine": (
        schedules.Cosine(end=0.1, n_warmup=5),
        after_warmup(5, lambda o: lr_scheduler.CosineAnnealingLR(o, N_STEPS - 5, eta_min=0.1 * LR)),
    ),
    "steps": (
        schedules.Steps((10, 11, 30), 0.2),
        lambda o: lr_scheduler.MultiStepLR(o, [10, 11, 30], gamma=0.2),
    ),
    "linear": (
        schedules.Linear(start=0.25, stop=0.75, end=0.1),
        lambda o: lr_scheduler.LambdaLR(
            o, lambda step: float(np.interp(step, [10, 30], [1.0, 0.1]))
        ),
    ),
    "inverse_sqrt": (
        schedules.InverseSqrt(every=6),
        lambda o: lr_scheduler.LambdaLR(o, lambda step: 1 / (1 + step // 6) ** 0.5),
    ),
    "attention_is_all_you_need": (
        schedules.InverseSqrt(every=8, in_steps=False, n_warmup=8),
        # min(s^(−½), s·8^(−3/2)) of steps counted from 1, in units of its largest; after the warm-up
        # the count begins one step later here.
        lambda o: lr_scheduler.LambdaLR(
            o, lambda step: min((step + 1) / 8, (8 / max(step, 1)) ** 0.5)
        ),
    ),
    "warm_steps": (
        schedules.Steps(at=(10, 30), n_warmup=5),
        after_warmup(5, lambda o: lr_scheduler.MultiStepLR(o, [10 - 5, 30 - 5])),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_factors_are_those_of_torchs_schedulers(name: str) -> None:
    schedule, build = CASES[name]
    factors = [schedule(step, N_STEPS) for step in range(N_STEPS)]
    np.testing.assert_allclose(factors, torchs_factors(build), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_a_schedule_is_a_setting(name: str) -> None:
    schedule, _ = CASES[name]
    assert hash(schedule) == hash(eval(repr(schedule), vars(schedules)))


@pytest.mark.parametrize("schedule", [schedules.Constant(n_warmup=4), schedules.Cosine(n_warmup=4)])
def test_the_warm_up_begins_with_its_first_part_and_ends_with_all(
    schedule: schedules.Schedule,
) -> None:
    assert [schedule(step, 4) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]


def test_a_run_of_one_step_has_the_whole_learning_rate() -> None:
    assert schedules.Cosine()(0, 1) == schedules.Constant(n_warmup=1)(0, 1) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schedules.Constant(n_warmup=-1), "n_warmup=-1"),
        (lambda: schedules.InverseSqrt(every=0), "every=0"),
        (lambda: schedules.Linear(start=0.9, stop=0.5), "start=0.9 is not before stop=0.5"),
        (lambda: schedules.Linear(end=2.0), "end=2.0 is not possible"),
        (lambda: schedules.Cosine(n_warmup=2.5), "n_warmup=2.5"),
        (lambda: schedules.Cosine(end=1.5), "end=1.5 is not possible; pass a fraction"),
        (lambda: schedules.Steps((5,), factor=0.0), "factor=0.0"),
        (lambda: schedules.Steps((0, 5)), "at=0 is not possible"),
        (lambda: schedules.Steps((5, 5)), r"at=\(5, 5\) is not in order"),
        (lambda: schedules.Steps((9, 5)), r"at=\(9, 5\) is not in order"),
        (lambda: schedules.Steps((5,), n_warmup=6), "begins within the warm-up"),
        (lambda: schedules.Constant(n_warmup=9)(0, 8), "n_warmup=9 exceeds the 8 steps"),
        (lambda: schedules.Cosine()(8, 8), "step=8 lies outside 0…7"),
        (lambda: schedules.Cosine()(-1, 8), "step=-1 lies outside"),
    ],
)
def test_schedules_that_are_not_possible_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
