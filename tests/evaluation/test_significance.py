"""Tests and intervals agree with scipy, with all sign flips written out, and keep their promises on made-up data."""

from __future__ import annotations

import itertools
import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.errors import ConfigError
from segue.evaluation import significance
from segue.evaluation.significance import (
    best,
    compare_with_baseline,
    holm,
    interval,
    permutation,
    stars,
    t_test,
    uplift,
    wilcoxon,
)

stats = pytest.importorskip("scipy.stats")
RNG = np.random.default_rng


pairs = st.integers(2, 60).flatmap(
    lambda n: st.tuples(*[st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=n, max_size=n)] * 2)
)


@given(pairs)
def test_the_t_test_is_scipys(pair: tuple[list[float], list[float]]) -> None:
    a, b = map(np.array, pair)
    p = t_test(a, b)
    assert 0 <= p <= 1
    if np.ptp(a - b) > 0:
        assert p == pytest.approx(stats.ttest_rel(a, b).pvalue, rel=1e-9, abs=1e-12)
    else:
        assert p == (1.0 if a[0] == b[0] else 0.0)


@given(pairs)
def test_wilcoxon_is_scipys(pair: tuple[list[float], list[float]]) -> None:
    a, b = map(np.array, pair)
    if (a == b).all():
        assert wilcoxon(a, b) == 1.0
        return
    expected = stats.wilcoxon(a, b, zero_method="wilcox", correction=False, method="asymptotic").pvalue
    assert wilcoxon(a, b) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("make", [lambda rng: rng.integers(0, 3, 9) / 2, lambda rng: rng.random(9)])
def test_permutation_comes_near_all_the_exchanges_written_out(make: Any) -> None:
    rng = RNG(4)
    for _ in range(4):
        a, b = make(rng), make(rng) * 0.7
        flips = np.array(list(itertools.product([-1, 1], repeat=len(a))))
        means = flips @ (a - b)
        exact = (np.abs(means) >= abs((a - b).sum()) - 1e-12).mean()
        assert permutation(a, b) == pytest.approx(exact, abs=0.02)


def test_permutation_is_seeded_and_never_zero() -> None:
    a, b = np.ones(200), np.zeros(200)
    assert permutation(a, b, resamples=999) == 1 / 1000
    assert permutation(a, a) == 1.0
    x, y = RNG(0).random((2, 50))
    assert permutation(x, y, seed=3) == permutation(x, y, seed=3)
    assert permutation(x, y, seed=3) != permutation(x, y, seed=4)
    assert permutation(x, y, seed=3) == permutation(y, x, seed=3)


@pytest.mark.parametrize("test", significance.TESTS)
def test_false_alarms_are_as_rare_as_promised_and_differences_are_found(test: str) -> None:
    rng = RNG(1)
    check = significance.TESTS[test]
    more = {"resamples": 499} if test == "permutation" else {}
    nothing = [check(rng.random(80), rng.random(80), **more) < 0.05 for _ in range(400)]
    assert 0.02 < np.mean(nothing) < 0.09
    assert all(check(rng.random(80) + 0.4, rng.random(80), **more) < 0.01 for _ in range(10))


def test_an_interval_is_where_theory_puts_it() -> None:
    values = (RNG(2).random(4000) < 0.3).astype(float)
    low, high = interval(values)
    half = 1.96 * values.std() / math.sqrt(len(values))
    assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.1 * half)
    wide = interval(values, confidence=0.99)
    assert wide[0] < low < values.mean() < high < wide[1]


def test_bootstrap_is_the_same_for_few_and_many_distinct_values() -> None:
    few = RNG(7).integers(0, 9, 3000) / 8
    many = few + np.linspace(0, 1e-9, 3000)  # all different, and yet the same
    assert interval(few, resamples=8000) == pytest.approx(interval(many, resamples=8000), abs=0.1 * few.std() / 50)


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = RNG(3)
    covered = [low <= 0.5 <= high for low, high in (interval(rng.random(50), resamples=500) for _ in range(300))]
    assert 0.90 < np.mean(covered) < 0.99


def test_an_interval_is_seeded_and_that_of_one_value_is_a_point() -> None:
    values = RNG(0).random(100)
    assert interval(values, seed=1) == interval(values, seed=1)
    assert interval(values, seed=1) != interval(values, seed=2)
    assert interval(np.array([0.25])) == (0.25, 0.25)
    low, high = interval(values, resamples=1)  # the fewest there can be
    assert 0 < low == high < 1
    with pytest.raises(ConfigError, match="resamples=0: must be at least 1"):
        interval(values, resamples=0)


def test_resampling_needs_little_memory() -> None:
    values, other = RNG(0).random((2, 20_000))
    tracemalloc.start()
    interval(values, resamples=300)
    permutation(values, other, resamples=300)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6


def test_blocks_cover_every_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    values, other = RNG(0).random((2, 64))
    whole = interval(values, resamples=100), permutation(values, other, resamples=100)
    monkeypatch.setattr(significance, "MAX_DRAWS", 64 * 7)
    parts = interval(values, resamples=100), permutation(values, other, resamples=100)
    assert parts[0] == pytest.approx(whole[0], abs=0.05)
    assert parts[1] == pytest.approx(whole[1], abs=0.2)
    assert list(significance._blocks(100, 64)) == [7] * 14 + [2]


def sessions(seed: int, users: int = 150) -> tuple[Any, Any, Any]:
    """Hits of two models, one better, and whose questions they are: users differ, and have 1 to 20 questions."""
    rng = RNG(seed)
    user = np.repeat(np.arange(users), rng.integers(1, 21, users))
    ease = rng.beta(1, 3, users)[user]
    return (rng.random(len(user)) < ease * 0.8).astype(float), (rng.random(len(user)) < ease).astype(float), user


def test_one_question_a_user_changes_nothing() -> None:
    a, b, _ = sessions(0)
    alone = RNG(1).permutation(len(a))
    assert interval(a, np.arange(len(a))) == interval(a)
    assert interval(a * RNG(2).random(len(a)), np.arange(len(a))) == interval(a * RNG(2).random(len(a)))
    for test in (t_test, wilcoxon, permutation):
        assert test(a, b, alone) == pytest.approx(test(a, b), rel=1e-9)
    assert uplift(a, b) == uplift(a, b, np.arange(len(a)))


def test_repeating_every_question_is_no_evidence() -> None:
    a, b, user = sessions(3)
    twice: list[Any] = [np.repeat(x, 2) for x in (a, b, user)]
    assert interval(twice[0], twice[2]) == pytest.approx(interval(a, user))
    for test in (t_test, wilcoxon, permutation):
        assert test(*twice) == pytest.approx(test(a, b, user), rel=1e-9)
    assert uplift(*twice) == uplift(a, b, user)
    wide, narrow = np.diff(interval(a, user))[0], np.diff(interval(a))[0]
    assert wide > 1.3 * narrow, "users differ, so their questions are alike"


def test_the_order_of_questions_does_not_matter() -> None:
    a, b, user = sessions(4)
    mixed = RNG(0).permutation(len(a))
    assert interval(a[mixed], user[mixed]) == pytest.approx(interval(a, user))
    assert t_test(a[mixed], b[mixed], user[mixed]) == pytest.approx(t_test(a, b, user))


def test_the_clustered_t_test_is_that_of_a_regression() -> None:
    """The sandwich of Liang and Zeger for a regression on a constant, written out with matrices."""
    a, b, user = sessions(5)
    d, x = a - b, np.ones((len(a), 1))
    rest = d - d.mean()
    members = (user[:, None] == np.unique(user)).astype(float)
    meat = (members.T @ (x * rest[:, None])).ravel()
    groups = members.shape[1]
    error = math.sqrt(groups / (groups - 1) * (meat @ meat)) / len(d)
    assert t_test(a, b, user) == pytest.approx(2 * stats.t.sf(abs(d.mean() / error), groups - 1), rel=1e-9)


def test_intervals_and_tests_keep_their_promises_for_sessions() -> None:
    covered, alarms = 0, 0
    for seed in range(200):
        rng = RNG(1000 + seed)
        user = np.repeat(np.arange(60), rng.integers(1, 15, 60))
        ease = rng.beta(1, 3, 60)[user]
        a, b = ((rng.random(len(user)) < ease).astype(float) for _ in range(2))
        low, high = interval(a, user, resamples=300)
        covered += low <= 0.25 <= high
        alarms += t_test(a + 0.3 * rng.normal(0, 1, 60)[user], b, user) < 0.05
    assert covered >= 178, "95% intervals: about 190 of 200"
    assert alarms <= 20, "p < .05 where nothing differs: about 10 of 200"


def test_an_uplift_is_a_ratio_with_its_interval() -> None:
    a, b, user = sessions(6, users=400)
    found = uplift(b, a, user)
    assert found.percent == pytest.approx(100 * (b.mean() / a.mean() - 1))
    assert found.low < found.percent < found.high
    # the delta method: the ratio of two means is nearly normal
    ratio = b.mean() / a.mean()
    error = np.bincount(user, b - ratio * a).std() * math.sqrt(400) / a.sum()
    assert found.low == pytest.approx(100 * (ratio - 1 - 1.96 * error), abs=1.5)
    assert found.high == pytest.approx(100 * (ratio - 1 + 1.96 * error), abs=1.5)
    assert uplift(a, a, user) == significance.Uplift(0, 0, 0)
    with pytest.raises(ConfigError, match="needs a baseline above 0"):
        uplift(a, 0 * a)
    with pytest.raises(ConfigError, match="3 users of 4 instances"):
        interval(np.ones(4), np.arange(3))


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_no_correction_and_bonferroni_and_keeps_the_order(p: list[float]) -> None:
    corrected = holm(p)
    assert all(raw <= c <= min(1.0, raw * len(p)) + 1e-12 for raw, c in zip(p, corrected, strict=True))
    order = np.argsort(p, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= 0).all()


def test_stars() -> None:
    assert [stars(p) for p in (0.05, 0.049, 0.01, 0.0099, 0.001, 0.0009)] == ["", "*", "*", "**", "**", "***"]


def test_models_are_compared_with_the_best_or_with_whom_one_says() -> None:
    rng = RNG(5)
    base = rng.random(400)
    noise = rng.normal(0, 0.1, 400)
    noise -= noise.mean() + 0.001
    values = {"low": base - 0.2 + noise[::-1], "high": base, "near": base + noise}
    assert best(values) == "high"
    rows = compare_with_baseline(values)
    assert [(r.model, r.baseline) for r in rows] == [("low", "high"), ("near", "high")]
    low, near = rows
    assert low.difference == pytest.approx((values["low"] - base).mean())
    assert low.low < low.difference < low.high < 0
    assert (low.stars, near.stars) == ("***", "")
    assert [r.p_holm for r in rows] == holm([r.p for r in rows])
    assert low.p == t_test(values["low"], base)
    assert [r.model for r in compare_with_baseline(values, baseline="low", test="wilcoxon")] == ["high", "near"]


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"unknown test 'wilcox', did you mean 'wilcoxon'\?"):
        compare_with_baseline({"a": np.ones(3)}, test="wilcox")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="no model 'c' to compare with; have: aa, bb"):
        compare_with_baseline({"aa": np.ones(3), "bb": np.ones(3)}, baseline="c")
    with pytest.raises(ConfigError, match="same instances on both sides; found 3 and 4"):
        t_test(np.ones(3), np.ones(4))
    with pytest.raises(ConfigError, match="1 of 3 values are not numbers, the first at instance 1"):
        interval(np.array([1, np.nan, 2]))
    with pytest.raises(ConfigError, match="one value per instance is needed"):
        interval(np.array([]))
    with pytest.raises(ConfigError, match=r"confidence=1.5: must be between 0 and 1"):
        interval(np.ones(3), confidence=1.5)
    with pytest.raises(ConfigError, match="resamples=0"):
        permutation(np.ones(3), np.zeros(3), resamples=0)
    with pytest.raises(ConfigError, match="at least 2 instances"):
        t_test(np.ones(1), np.zeros(1))
