"""Sessions inside users: how they are read, and the split that holds out the last one of each user."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.data.readers.ingest import read_log
from segue.data.sessions import SessionRule, number_sessions
from segue.data.splits import last_session
from segue.data.store import open_log, save_log
from segue.data.synthetic import from_sequences
from segue.errors import ConfigError, DataError
from segue.evaluation.protocol import Protocol

VISITS = st.lists(st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=3), max_size=5), min_size=1, max_size=5)
GAP = 100


def log_of(users: list[list[list[int]]], *, named: bool):
    """Users with sessions of items: an event every second, and a session begins 2 gaps after the last one."""
    items = [[item for session in sessions for item in session] for sessions in users]
    numbers = [[n for n, session in enumerate(sessions, 1) for _ in session] for sessions in users]
    times = [[1_600_000_000 + 2 * GAP * n + place for place, n in enumerate(of_user)] for of_user in numbers]
    log = from_sequences(items, num_items=5, times=times if not named else None)
    flat = np.array([n for of_user in numbers for n in of_user], np.int32)
    return replace(log, session=flat) if named else log


@pytest.mark.parametrize("named", [True, False], ids=["column", "gap"])
@given(VISITS)
def test_the_last_session_is_held_out_with_all_earlier_ones_known(named: bool, users: list[list[list[int]]]) -> None:
    split = last_session(log_of(users, named=named), GAP)
    for part, back in (("valid", 2), ("test", 1)):
        instances = split.instances(part)  # type: ignore[arg-type]
        expected = []
        for sessions in users:
            if len(sessions) >= 3:
                past = [item for session in sessions[:-back] for item in session]
                for place, item in enumerate(sessions[-back]):
                    expected.append(([*past, *sessions[-back][:place]], item))
        histories = [[item for item in row if item] for row in instances.histories(None).tolist()]
        assert list(zip(histories, instances.targets().tolist(), strict=True)) == expected
    short = [user for user, sessions in enumerate(users, 1) if len(sessions) < 3]
    assert (split.train.lengths[short] == split.log.lengths[short]).all()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=20))
def test_sessions_are_counted_for_each_user(rows: list[tuple[int, int]]) -> None:
    rows.sort(key=lambda row: row[0])
    user, session = (np.array([row[column] for row in rows], np.int32) for column in (0, 1))
    expected = []
    for _, of_user in groupby(rows, key=lambda row: row[0]):
        for number, (_, of_session) in enumerate(groupby(of_user), 1):
            expected += [number for _ in of_session]
    assert number_sessions(user, session).tolist() == expected


FRAME = pl.DataFrame(
    {
        "user": ["a", "b", "a", "a", "b"],
        "item": ["i", "j", "j", "k", "i"],
        "time": [1, 1, 2, 3, 4],
        "visit": ["s9", "s1", "s9", "s2", "s1"],
    }
)


def test_sessions_of_a_column(tmp_path: Path) -> None:
    log = read_log(FRAME, session="visit")
    assert log.session is not None
    assert log.session.tolist() == [1, 1, 2, 1, 1]
    assert log.fingerprint != read_log(FRAME).fingerprint
    again = open_log(save_log(log, tmp_path / "log"), verify=True)
    assert again.session is not None
    assert again.session.tolist() == log.session.tolist()
    filtered = read_log(FRAME, session="visit", item_core=2).session
    assert filtered is not None
    assert filtered.tolist() == [1, 1, 1, 1]


def test_what_is_wrong_with_sessions_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column 'visits' for the session, did you mean 'visit'"):
        read_log(FRAME, session="visits")
    with pytest.raises(DataError, match="session has a session below 1, or one before that of the same user's row"):
        save_log(replace(read_log(FRAME), session=np.array([1, 2, 1, 1, 1], np.int32)), tmp_path / "log")
    with pytest.raises(DataError, match=r"has no sessions and no times; name a column of sessions.*--session-col"):
        last_session(read_log(FRAME, time=""))
    with pytest.raises(ConfigError, match="last session: gap=0 must be a number of seconds, at least 1"):
        last_session(read_log(FRAME), 0)
    sentence = Protocol.named("last-session").describe()
    assert "end after 1,800 s without an event" in sentence


TIMES = st.lists(st.lists(st.integers(0, 500), max_size=6), min_size=1, max_size=5)


@given(TIMES, st.integers(1, 200), st.sampled_from([1, 1000]))
def test_a_pause_begins_another_session(users: list[list[int]], gap: int, ticks: int) -> None:
    times = [[ticks * (1_600_000_000 + one) for one in sorted(of_user)] for of_user in users]
    log = from_sequences([[1] * len(of_user) for of_user in times], num_items=1, times=times)
    expected = [
        [1 + sum(b - a > gap * ticks for a, b in pairwise(of_user[: place + 1])) for place in range(len(of_user))]
        for of_user in times
    ]
    assert SessionRule(gap).numbers(log).tolist() == [number for of_user in expected for number in of_user]
    for of_user, numbers in zip(times, expected, strict=True):
        assert SessionRule(gap).of_times(np.array(of_user, np.int64), ticks).tolist() == numbers


def test_a_view_of_the_past_has_the_same_sessions() -> None:
    log = log_of([[[1, 2], [3]], [], [[4], [5, 1], [2]]], named=False)
    for rule in (SessionRule(GAP), SessionRule(None)):
        named = replace(log, session=SessionRule(GAP).numbers(log))
        past = named.until(np.maximum(named.start, named.stop - 1))
        np.testing.assert_array_equal(rule.numbers(past), rule.numbers(named))
    assert rule.of_times(np.arange(3), 1).tolist() == [0, 0, 0], "without a gap they are unknown"


def test_what_a_rule_needs_is_named() -> None:
    log = log_of([[[1, 2], [3]]], named=False)
    with pytest.raises(DataError, match=r"has no sessions, which the model reads.*--session-col.*session_gap=1800"):
        SessionRule(None).numbers(log)
    with pytest.raises(DataError, match="has no times"):
        SessionRule(60).numbers(replace(log, time=None))
    with pytest.raises(DataError, match="are not dates"):
        SessionRule(60).numbers(replace(log, time=np.arange(len(log))))
