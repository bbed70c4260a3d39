"""How soon targets follow the row before them, and the warning where they are part of the same basket."""

from dataclasses import replace

import pytest

from segue.data.diagnostics.target_times import basket_warning, target_times
from segue.data.splits import leave_last_out
from segue.data.synthetic import YEAR_2020, from_sequences


def visits(*gaps):
    """One user for each gap: three visits an hour apart, and `gap` seconds after the last one a further event."""
    times = [[YEAR_2020 + t for t in (0, 3600, 7200, 7200 + gap)] for gap in gaps]
    return from_sequences([[1, 2, 3, 4]] * len(gaps), times=times)


def rows(log):
    return leave_last_out(log).instances("test").row


def warning(log):
    return basket_warning(log, target_times(log, rows(log)), "item")


def test_shares_by_hand():
    log = visits(0, 60, 61, 3600)
    times = target_times(log, rows(log))
    assert (times.tied, times.close) == (0.25, 0.5)
    numbers = replace(log, time=log.time - YEAR_2020)
    assert (target_times(numbers, rows(log)).tied, target_times(numbers, rows(log)).close) == (0.25, None)
    assert target_times(replace(log, time=None), rows(log)) is None
    assert target_times(log, rows(log)[:0]) is None


def test_the_warning_says_what_is_asked_and_what_to_do():
    assert warning(visits(0, 0, 99, 99)) == (
        "50% of the test targets have the same time as the row before them: models predict one of "
        "several items that came together, given the others; with --protocol next-basket "
        "they predict all items of the next time"
    )
    near = warning(visits(5, 20, 60, 99))
    assert near is not None
    assert near.startswith("75% of the test targets follow within a minute of the row before them: where such rows are")
    assert "--protocol next-basket --gap 60" in near


@pytest.mark.parametrize(
    "log",
    [
        visits(*[0, *[99] * 9]),
        visits(5, 99),
        from_sequences([[1, 2, 3]] * 2, times=[[YEAR_2020 + t for t in (0, 9, 18)]] * 2),
    ],
    ids=["one in ten tied", "half within a minute", "sessions of one basket"],
)
def test_few_ties_and_clicks_of_a_session_are_no_reason_to_warn(log):
    assert warning(log) is None
