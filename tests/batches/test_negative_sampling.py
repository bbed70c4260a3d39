"""Negatives: the user's own never, every other item alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from segue.batches.negative_sampling import PopularityNegatives, ShownNegatives, UniformNegatives
from segue.data import synthetic
from segue.data.splits import leave_last_out

ITEMS = 7


@settings(max_examples=150)
@given(
    histories=st.lists(st.lists(st.integers(1, ITEMS), max_size=12), min_size=1, max_size=5),
    shape=st.sampled_from([(), (3,), (2, 1, 4)]),
    seed=st.integers(0, 99),
)
def test_untouched_or_nothing(histories: list[list[int]], shape: tuple[int, ...], seed: int) -> None:
    log = synthetic.from_sequences(histories, num_items=ITEMS)
    rng = np.random.default_rng(seed)
    user = rng.integers(1, len(histories) + 1, 20)
    drawn = UniformNegatives(log).draw(user, shape, rng)
    assert drawn.shape == (20, *shape)
    assert drawn.dtype == np.int64
    for who, items in zip(user, drawn, strict=True):
        untouched = set(range(1, ITEMS + 1)) - set(histories[who - 1])
        assert set(np.ravel(items).tolist()) <= (untouched or {0})


def test_every_untouched_item_is_as_likely() -> None:
    """Chi-square of 60,000 draws: p would be below 0.001 once in a thousand seeds; this one is fixed."""
    histories = [[2, 3, 7], [1], [], [1, 2, 3, 4, 5, 6], [5, 5, 5, 4]]
    log = synthetic.from_sequences(histories, num_items=ITEMS)
    rng = np.random.default_rng(11)
    for user, history in enumerate(histories, 1):
        drawn = UniformNegatives(log).draw(np.full(12_000, user), (1,), rng)
        items, counts = np.unique(drawn, return_counts=True)
        untouched = sorted(set(range(1, ITEMS + 1)) - set(history))
        assert items.tolist() == untouched
        if len(untouched) > 1:
            assert chisquare(counts).pvalue > 0.001


def test_users_do_not_depend_on_their_neighbours() -> None:
    """The search runs over all users' items at once: draws of the first and the last user stay inside their own."""
    log = synthetic.from_sequences([[ITEMS], [*range(1, ITEMS + 1)], [1]], num_items=ITEMS)
    rng = np.random.default_rng(0)
    user = np.repeat([1, 2, 3], 500)
    drawn = UniformNegatives(log).draw(user, (), rng)
    assert set(drawn[user == 1].tolist()) == set(range(1, ITEMS))
    assert set(drawn[user == 2].tolist()) == {0}
    assert set(drawn[user == 3].tolist()) == set(range(2, ITEMS + 1))


def test_a_draw_of_almost_one_stays_inside() -> None:
    class Highest(np.random.Generator):
        def random(self, shape):  # type: ignore[override]
            return np.full(shape, np.nextafter(1.0, 0.0))

    log = synthetic.from_sequences([[1], []], num_items=ITEMS)
    drawn = UniformNegatives(log).draw(np.array([1, 2]), (2,), Highest(np.random.PCG64()))
    assert drawn.tolist() == [[ITEMS, ITEMS]] * 2


def test_the_same_seed_draws_the_same() -> None:
    log = synthetic.random(10, ITEMS, 3, seed=1)
    user = np.arange(1, 11)
    one, two = (UniformNegatives(log).draw(user, (4,), np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(one, two)


# ---------------------------------------------------------------------------------------- shared by all

TRAINING_LOG = synthetic.from_sequences([[1, 1, 2, 1], [3, 1, 2, 5], [1]], num_items=ITEMS)  # 5 2 1 0 1 0 0 events


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_popular_items_are_drawn_by_their_events(alpha: float) -> None:
    """Chi-square of 50,000 draws with a fixed seed; an item without an event is drawn as one with a single one."""
    weight = np.array([5, 2, 1, 1, 1, 1, 1]) ** alpha
    drawn = PopularityNegatives(TRAINING_LOG.counts(), alpha).draw(50_000, np.random.default_rng(5))
    assert drawn.shape == (50_000,)
    assert drawn.min() == 1
    counts = np.bincount(drawn, minlength=ITEMS + 1)[1:]
    assert chisquare(counts, 50_000 * weight / weight.sum()).pvalue > 0.001
    if alpha:
        assert chisquare(counts).pvalue < 1e-9, "the test could not tell these from uniform draws"


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_expected_draws(alpha: float) -> None:
    weight = np.array([5, 2, 1, 1, 1, 1, 1]) ** alpha
    expected = PopularityNegatives(TRAINING_LOG.counts(), alpha).log_expected_count(12)
    assert expected[0] == 0, "padding is never drawn: no correction for it"
    np.testing.assert_allclose(np.exp(expected[1:]), 12 * weight / weight.sum(), rtol=1e-12)


def test_only_the_rows_of_the_view_count() -> None:
    """Held-out events have no say in what is drawn in training."""
    view = leave_last_out(TRAINING_LOG).train
    np.testing.assert_allclose(
        np.exp(PopularityNegatives(view.counts(), 1.0).log_expected_count(10)[1:]), [4, 1, 1, 1, 1, 1, 1]
    )


@pytest.mark.parametrize(("draw", "item"), [(0.0, 1), (np.nextafter(1.0, 0.0), ITEMS)])
def test_the_first_and_the_last_item_can_be_drawn(draw: float, item: int) -> None:
    class Fixed(np.random.Generator):
        def random(self, count):  # type: ignore[override]
            return np.full(count, draw)

    for alpha in (0.0, 0.7, 1.0):
        assert (
            PopularityNegatives(TRAINING_LOG.counts(), alpha).draw(2, Fixed(np.random.PCG64())).tolist() == [item] * 2
        )


def test_draws_of_a_stream_are_like_any_other() -> None:
    """Chi-square, with a fixed seed; a share too small for the first guess is drawn as well."""
    log = synthetic.from_sequences([[1] * 4000 + [2] * 30 + [3, 4, 5, 6, 7]])
    stream = PopularityNegatives(log.counts(), 1.0).stream(500, np.random.default_rng(2))
    drawn = np.concatenate([next(stream) for _ in range(2000)])
    expected = np.exp(PopularityNegatives(log.counts(), 1.0).log_expected_count(len(drawn))[1:])
    assert chisquare(np.bincount(drawn, minlength=ITEMS + 1)[1:], expected).pvalue > 0.001


def test_every_shown_item_without_an_event_of_the_user_is_as_likely() -> None:
    """Where only the user's own were shown, or none, it is so of all items. The chi-square is that of a fixed seed."""
    shown = np.array([[2, 5, 6, 0], [0, 0, 0, 0], [4, 5, 6, 0], [3, 1, 7, 2]], np.int32)
    log = synthetic.from_sequences([[2, 4], [5, 3]], num_items=ITEMS)
    log = replace(log, impressions=shown)
    user, row = np.array([1, 1, 2, 2]), np.arange(4)[:, None, None]
    drawn = ShownNegatives(log).draw(user, row, 8000, np.random.default_rng(3))
    assert drawn.shape == (4, 1, 1, 8000)
    for line, expected in zip(drawn, ([5, 6], [1, 3, 5, 6, 7], [4, 6], [1, 7, 2]), strict=True):
        items, counts = np.unique(line, return_counts=True)
        assert items.tolist() == sorted(expected)
        assert chisquare(counts).pvalue > 1e-3
    past = log.until(np.maximum(log.stop - 1, log.start))  # the second item of a user is new to the past
    assert set(ShownNegatives(past).draw(user[:1], row[:1], 500, np.random.default_rng(0)).ravel()) == {5, 6}
