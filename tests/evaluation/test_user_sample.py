"""Figures of randomly drawn users are those of these users alone, the same users for every model."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segue.data import synthetic
from segue.data.splits import EvalInstances
from segue.errors import ConfigError
from segue.evaluation.breakdown import breakdown
from segue.evaluation.protocol import Protocol
from segue.evaluation.protocols import PROTOCOLS
from segue.evaluation.result import Result
from segue.evaluation.summary import summary
from segue.evaluation.task import measure
from segue.evaluation.user_sample import NOT_DRAWN, draw_users

from .worlds import FixedScores

LOG = synthetic.with_ratings(synthetic.markov(num_users=80, num_items=30, length=9))
LOG = dataclasses.replace(LOG, time=np.tile(np.arange(9) * 1000, 80) + LOG.events()[0])  # users come side by side
RATED = {"min_history": 1, "min_item_history": 1}
SCORES = [torch.rand(81, 31, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]


def sampled(protocol: str, **settings: Any) -> tuple[Protocol, Protocol]:
    """A protocol without a sample and with one."""
    whole = PROTOCOLS[protocol].with_settings(RATED if protocol == "ratings" else {})
    return whole, whole.with_settings(settings)


@pytest.mark.parametrize("name", ["leave-one-out", "hgn", "global-time", "whole-users", "ratings"])
@pytest.mark.parametrize("part", ["valid", "test"])
def test_the_instances_are_all_those_of_the_drawn_users(name: str, part: Any) -> None:
    whole, few = sampled(name, sample_users=7, sample_test_users=7)
    every, drawn = (protocol.instances(protocol.split(LOG), part) for protocol in (whole, few))
    users = np.unique(drawn.user)
    assert len(users) == 7 < len(np.unique(every.user))
    kept = np.isin(every.user, users)
    assert np.array_equal(drawn.row, every.row[kept])
    assert np.array_equal(drawn.stop, every.stop[kept])
    assert drawn.dropped == {**every.dropped, NOT_DRAWN: int((~kept).sum())}


@pytest.mark.parametrize("metric", ["recall@10", "ndcg@10", "mrr@5"])
def test_the_figure_is_the_mean_over_the_drawn_users(metric: str) -> None:
    whole, few = sampled("global-time", sample_users=5, sample_test_users=5)
    model, split = FixedScores(SCORES[0]), whole.split(LOG)
    every = whole.evaluate(model, split, "valid")
    users = few.instances(split, "valid").user
    wanted = measure(every, metric)[np.isin(every.user, users)].mean()
    assert few.validation_metric(model, split, metric) == pytest.approx(wanted, rel=1e-12)
    assert len(few.evaluate(model, split, "test").user) < len(whole.evaluate(model, split, "test").user)


def test_the_test_part_has_all_users_unless_said() -> None:
    whole, few = sampled("leave-one-out", sample_users=5)
    split = whole.split(LOG)
    assert len(few.instances(split, "valid")) == 5
    assert np.array_equal(few.instances(split, "test").user, whole.instances(split, "test").user)
    _, tested = sampled("leave-one-out", sample_test_users=5)
    assert len(tested.instances(split, "valid")) == len(whole.instances(split, "valid"))
    assert len(tested.instances(split, "test")) == 5


@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 2**40), st.randoms(use_true_random=False))
def test_the_draw_depends_on_seed_and_user_alone(number: int, other: int, seed: int, order: Any) -> None:
    whole = PROTOCOLS["global-time"]
    every = whole.instances(whole.split(LOG), "test")
    drawn = draw_users(every, number, seed)
    places = list(range(len(every)))
    order.shuffle(places)
    shuffled = draw_users(every.take(np.array(places)), number, seed)
    assert set(shuffled.user) == set(drawn.user)
    assert len(set(drawn.user)) == min(number, len(set(every.user)))
    smaller, larger = (set(draw_users(every, n, seed).user) for n in sorted((number, other)))
    assert smaller <= larger


def test_every_user_is_drawn_equally_often() -> None:
    user = np.arange(1, 81)
    every = EvalInstances(LOG, user, LOG.start[user] + 1, LOG.stop[user], {})
    times = np.bincount(np.concatenate([draw_users(every, 20, seed).user for seed in range(400)]), minlength=81)[1:]
    assert times.sum() == 20 * 400
    assert 60 < times.min() <= times.max() < 140  # 100 each, with a standard deviation of 8.7


@pytest.mark.parametrize("number", [80, 81, 10**9])
def test_a_sample_of_all_users_changes_no_figure(number: int) -> None:
    whole, few = sampled("leave-one-out", sample_users=number, sample_test_users=number)
    split, model = whole.split(LOG), FixedScores(SCORES[0])
    for part in ("valid", "test"):
        one, two = (protocol.evaluate(model, split, part) for protocol in (whole, few))  # type: ignore[arg-type]
        assert one.dropped == two.dropped
        assert all(np.array_equal(two.arrays()[name], values) for name, values in one.arrays().items())


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_sample_is_in_the_fingerprint_and_in_the_sentence(name: str) -> None:
    whole = PROTOCOLS[name]
    settings = [
        {"sample_users": 10_000},
        {"sample_users": 10_001},
        {"sample_users": 10_000, "sample_seed": 1},
        {"sample_test_users": 10_000},
        {"sample_users": 10_000, "sample_test_users": 10_000},
    ]
    kinds = [whole, *(whole.with_settings(one) for one in settings)]
    assert len({kind.fingerprint for kind in kinds}) == len({kind.describe() for kind in kinds}) == len(kinds)
    assert "validation is of at most 10,000 randomly drawn users (seed 1)" in kinds[3].describe()
    assert "the figures are of at most 10,000 randomly drawn users (seed 0)" in kinds[4].describe()
    for kind in kinds:
        assert Protocol.from_dict(json.loads(json.dumps(kind.as_dict()))) == kind
    assert whole.with_settings({"sample_seed": 5}).fingerprint == whole.fingerprint  # nothing is drawn
    assert not any("sample" in setting for setting in whole.as_dict())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sample_users": 0}, "sample_users=0: must be a whole number of at least 1"),
        ({"sample_test_users": -3}, "sample_test_users=-3: must be a whole number of at least 1"),
        ({"sample_users": 2.5}, "sample_users=2.5: must be a whole number"),
        ({"sample_users": "10"}, "sample_users='10': must be a whole number"),
        ({"sample_users": True}, "sample_users=True: must be a whole number"),
        ({"sample_users": 3, "sample_seed": -1}, "sample_seed=-1: must be a whole number from 0 on"),
    ],
)
def test_wrong_samples_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PROTOCOLS["leave-one-out"].with_settings(settings)


def result(model: str, protocol: Protocol, scores: torch.Tensor) -> Result:
    split = protocol.split(LOG)
    predictions = protocol.evaluate(FixedScores(scores), split, "test")
    return Result(model=model, predictions=predictions, protocol=protocol, log=LOG.fingerprint, items=30)


def test_models_are_compared_on_the_same_users_only() -> None:
    whole, few = sampled("recbole", sample_test_users=20)
    one, two = (result(name, few, scores) for name, scores in zip("ab", SCORES, strict=True))
    facts = summary([one, two], ["recall@10"])
    assert (facts["users"], facts["comparisons"]) == (20, 1)
    assert "at most 20 randomly drawn users" in facts["protocol"]["sentence"]
    groups = breakdown([one, two], ["recall@10"], few.split(LOG), by="length")
    assert sum(row["users"] for row in groups if row["model"] == "a") == 20
    with pytest.raises(ConfigError, match="they differ in sample_test_users=20, sample_seed=0 on one side, sample_"):
        summary([one, result("b", whole, SCORES[1])])
    other = dataclasses.replace(few, sample_seed=1)
    with pytest.raises(ConfigError, match="they differ in sample_seed=0 on one side, sample_seed=1 on the other"):
        summary([one, result("b", other, SCORES[1])])
