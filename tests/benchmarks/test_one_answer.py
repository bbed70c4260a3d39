"""The benchmark of one answer runs with the models that it names."""

from __future__ import annotations

from benchmarks.one_answer import MODELS, answer_and_floor

from segue.data import synthetic
from segue.models.base.model import DotProductModel, Sizes
from segue.models.registry import find


def test_an_answer_and_its_floor_are_measured() -> None:
    log = synthetic.random(num_users=20, num_items=30, length=8, seed=0)
    for name in MODELS:
        kind = find(name)
        model = kind(kind.configure(MODELS[name]), Sizes(log.num_users, log.num_items))
        assert isinstance(model, DotProductModel)
        answer, floor = answer_and_floor(model, log, users=3)
        assert answer > 0
        assert floor > 0
