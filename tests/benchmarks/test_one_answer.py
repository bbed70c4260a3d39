"""The benchmark of one answer: what it measures runs, and the first users do not count."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from benchmarks.one_answer import MODELS, WARM_UP, answer_and_floor

from benchmarks import one_answer
from segue.data import synthetic
from segue.models.base.model import DotProductModel, Sizes
from segue.models.registry import find


@pytest.mark.parametrize("name", MODELS)
def test_an_answer_and_its_floor_are_medians_after_a_warm_up(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log = synthetic.random(num_users=20, num_items=30, length=8, seed=0)
    kind = find(name)
    model = kind(kind.configure(MODELS[name]), Sizes(log.num_users, log.num_items))
    assert isinstance(model, DotProductModel)
    seconds = iter([9.0, 9.0] * WARM_UP + [0.003, 0.001, 0.004, 0.002, 0.005, 0.009])

    def cpu_seconds(work: Callable[[], object]) -> float:
        work()
        return next(seconds)

    monkeypatch.setattr(one_answer, "cpu_seconds", cpu_seconds)
    assert answer_and_floor(model, log, users=3) == (4.0, 2.0)
