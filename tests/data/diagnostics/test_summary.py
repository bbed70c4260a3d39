"""The statistics of a log agree with counts by hand, and are drawn for a terminal."""

import json
import time

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from segue.data.diagnostics import summary as module
from segue.data.diagnostics.summary import summarise
from segue.data.readers.ingest import read_log
from segue.data.synthetic import YEAR_2020, cycle, from_sequences, random
from segue.errors import DataError
from segue.reporting.console import stdout

DAY = 86_400
#   a repeat of item 1, one event only, no event
LOG = from_sequences(
    [[1, 2, 1, 3], [1, 2], [1], []],
    num_items=9,
    times=[[0, 0, DAY, 9 * DAY], [5, 5], [3 * DAY], []],
    name="tiny",
)


def drawn(summary, **options):
    console = Console(width=100, **options)
    with console.capture() as capture:
        console.print(summary)
    return capture.get()


def test_the_statistics_of_a_small_log():
    summary = summarise(LOG)
    assert (summary.num_rows, summary.num_users, summary.num_items) == (7, 3, 3)
    assert summary.fingerprint == LOG.fingerprint
    assert summary.density == pytest.approx(6 / 9)
    assert summary.per_user == (1, 1, 2, 4, 4)
    assert summary.per_item == (1, 1, 2, 4, 4)
    assert summary.user_lengths == (1, 1, 1), "one user each of 1, 2 to 3, 4 to 7 events"
    assert summary.top_1 == summary.top_10 == pytest.approx(4 / 7), "at least one item"
    assert summary.gini == pytest.approx((3 + 1 + 2) * 2 / (2 * 9 * 7 / 3))  # sum |x - y| / (2 n^2 mean)
    assert summary.repeats == pytest.approx(1 / 7)
    assert (summary.below_3, summary.below_10) == (2, 3)
    assert summary.span.ties == pytest.approx(2 / 4)
    assert (summary.span.first, summary.span.last, summary.span.unit) == (0, 9 * DAY, None)
    assert sum(summary.span.activity) == 7


def test_the_bars_of_users_begin_with_the_shortest_and_leave_out_none_between():
    summary = summarise(from_sequences([[1, 2], [1, 3], [1, 2, 3, 4, 5, 1, 2, 3, 4]]))
    assert summary.user_lengths == (0, 2, 0, 1)
    bars = [line.split() for line in drawn(summary).splitlines() if line.strip().endswith("users") and "-" in line]
    assert [(bar[0], bar[-2]) for bar in bars] == [("2-3", "2"), ("4-7", "0"), ("8-15", "1")]
    assert "1 event " not in drawn(summary)


def test_gini_coefficient_of_equal_and_of_concentrated_popularity():
    even = summarise(from_sequences([[1, 2, 3, 4], [4, 3, 2, 1]]))
    assert even.gini == pytest.approx(0)
    counts = np.array([1, 1, 1, 97])
    assert module._gini(counts) == pytest.approx(abs(counts[:, None] - counts).sum() / (2 * 16 * counts.mean()))


@pytest.mark.parametrize(
    ("scale", "unit"), [(1, "seconds"), (10**3, "milliseconds"), (10**6, "microseconds"), (10**9, "nanoseconds")]
)
def test_dates_and_units(scale, unit):
    span = summarise(
        from_sequences([[1, 2], [2, 1]], times=[[YEAR_2020 * scale] * 2, [(YEAR_2020 + DAY) * scale] * 2])
    ).span
    assert span.unit == unit
    assert span.dates() == ("2020-01-01", "2020-01-02")


@pytest.mark.parametrize("first", [0, 1_700_000_000 * 10**9, 2**62, 2**63 - 60])
def test_activity_does_not_depend_on_when_a_log_starts(first):
    """As floats, neighbouring nanoseconds since 1970 are one number."""
    rows = {"user": [n % 8 for n in range(60)], "item": [n % 7 for n in range(60)]}
    activity = [
        summarise(read_log(pl.DataFrame({**rows, "time": [start + n for n in range(60)]}))).span.activity
        for start in (0, first)
    ]
    assert activity[0] == activity[1]
    assert sum(activity[0]) == 60


def test_activity_of_a_span_of_all_times():
    times = [0, *range(2**63 - 59, 2**63)]
    rows = {"user": [n % 8 for n in range(60)], "item": [n % 7 for n in range(60)], "time": times}
    assert summarise(read_log(pl.DataFrame(rows))).span.activity == (1, *[0] * 38, 59)


def test_warnings():
    warnings = " | ".join(summarise(LOG).warnings)
    assert "50% of neighbouring events of a user have the same time: their order is that of the file" in warnings
    assert "times from 0 to 777,600 do not look like dates" in warnings
    assert "2 users have fewer than 3 events" in warnings
    assert "14% of events repeat an item" in warnings
    assert "may have nothing to learn" in warnings
    assert summarise(cycle(length=12, num_items=20)).warnings == ()
    assert "no significant signal" in summarise(random()).order.verdict


def test_a_log_without_events():
    with pytest.raises(DataError, match="empty: there are no events to summarise"):
        summarise(from_sequences([[], []], num_items=3, name="empty"))


def test_a_view_is_summarised_without_the_rows_behind_its_cut():
    log = cycle(50, 20, 12)
    cut = log.until(np.maximum(log.stop - 5, log.start))
    summary = summarise(cut)
    assert summary.num_rows == 50 * 7
    assert summary.span.last < summarise(log).span.last


def test_plain_values_are_json():
    for log in (LOG, cycle(), from_sequences([[1, 2]])):
        summary = summarise(log)
        values = json.loads(json.dumps(summary.as_dict(), allow_nan=False))
        assert values["num_rows"] == len(log)
        assert values["order"]["verdict"] == summary.order.verdict
        assert values["order"]["shared"] == summary.order.shared


def test_the_drawn_summary(capsys):
    text = drawn(summarise(cycle()))
    assert "cycle: 1,200 events of 100 users with 20 items" in text
    assert "8-15 events" in text
    assert "█" * 30 + " 100 users" in text
    assert "2020-01" in text
    assert "order carries signal" in text
    assert "! 2 users have fewer than 3 events" in drawn(summarise(LOG))
    stdout().print(summarise(LOG))
    assert "tiny: 7 events" in capsys.readouterr().out


def test_a_terminal_without_unicode_gets_ascii_bars(monkeypatch):
    monkeypatch.setattr(Console, "encoding", "ascii")
    text = drawn(summarise(cycle()))
    assert text.isascii()
    assert "%" * 30 + " 100 users" in text


def test_a_million_rows_take_under_two_seconds():
    log = random(10_000, 5_000, 100, skew=0.8)
    before = time.process_time()
    summary = summarise(log)
    assert summary.num_rows == 10**6
    assert time.process_time() - before < 2
