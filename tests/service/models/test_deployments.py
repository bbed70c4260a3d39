"""Users stay in their arm, and the arms get their shares."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from pydantic import ValidationError

from segue.errors import DataError
from segue.service.models.deployments import Arm, Split, StoredDeployment

SPLIT = Split(arms=(Arm(name="a", model="hgn", weight=3.0), Arm(name="b", model="pop")))


def test_arms_get_their_shares_of_users():
    counts = Counter(SPLIT.arm_of(f"user {number}").name for number in range(20_000))
    assert abs(counts["a"] / 20_000 - 0.75) < 0.02


def test_a_user_stays_in_an_arm_until_the_salt_changes():
    users = [f"user {number}" for number in range(1_000)]
    stored = StoredDeployment.read(
        json.loads(json.dumps(StoredDeployment(split=SPLIT, fingerprints={"hgn": "f"}).content()))
    ).split
    assert stored == SPLIT
    assert [SPLIT.arm_of(user) for user in users] == [stored.arm_of(user) for user in users]
    other = Split(arms=SPLIT.arms, salt="again")
    moved = sum(SPLIT.arm_of(user) != other.arm_of(user) for user in users)
    assert 250 < moved < 500  # 2 x .75 x .25 of them


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        ([], "at least 1 item"),
        ([{"name": "a", "model": "x"}, {"name": "a", "model": "y"}], "a name of its own"),
        ([{"model": "a"}, {"name": "a", "model": "b"}], "a name of its own"),
        ([{"model": "x", "weight": 0.0}], "greater than 0"),
        ([{"model": "x", "weight": float("nan")}], "finite"),
        ([{"name": "shadow", "model": "x"}], "for shadow models"),
        ([{"name": "named", "model": "x"}], "for requests that name a model"),
    ],
)
def test_impossible_splits_are_refused(arms, message):
    with pytest.raises(ValidationError, match=message):
        Split.model_validate({"arms": arms})


@pytest.mark.parametrize(
    "content",
    [
        {"arms": {}},
        {"split": {"arms": {}}, "fingerprints": {}},
        {"split": {"arms": []}, "fingerprints": {}},
        {"split": {"arms": [{"name": "a", "model": "x", "weight": "1"}]}, "fingerprints": {}},
        {"split": {"arms": [{"name": "a", "model": "x"}]}, "fingerprints": {"x": 1}},
        [],
    ],
)
def test_what_a_store_says_in_another_shape_is_refused(content):
    with pytest.raises(DataError, match="does not say which models answer"):
        StoredDeployment.read(content)
