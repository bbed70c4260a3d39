"""Data frames of pandas: their index holds columns, and columns may be called by numbers."""

import pandas as pd
import polars as pl
import pytest

from segue.data.readers.ingest import read_log
from segue.errors import ConfigError, DataError

DAYS = pd.to_datetime(["2024-01-03", "2024-01-01", "2024-01-02"])
FRAME = pd.DataFrame({"user": ["a", "a", "b"], "item": [1, 2, 1]})


def ordered(frame, **options):
    log = read_log(frame, **options)
    user, item = log.events()
    return list(zip(log.users.names(user), log.items.names(item), strict=True)), log.time


@pytest.mark.parametrize("name", [None, "timestamp", "created_at"])
def test_an_index_of_times_is_the_column_of_times(name):
    events, time = ordered(FRAME.set_index(DAYS.rename(name)))
    assert events == [("a", 2), ("a", 1), ("b", 1)]
    assert time is not None


def test_an_index_with_names_is_columns():
    events, _ = ordered(FRAME.assign(ts=[3, 1, 2]).set_index(["user", "ts"]))
    assert events == [("a", 2), ("a", 1), ("b", 1)]


def test_an_index_without_a_name_or_with_that_of_a_column_is_none():
    assert ordered(FRAME.set_index(pd.Index([7, 8, 9])))[1] is None
    assert ordered(FRAME.set_index("user", drop=False))[0] == [("a", 1), ("a", 2), ("b", 1)]
    assert ordered(FRAME.assign(timestamp=[1, 2, 3]).set_index(DAYS))[0][0] == ("a", 1)


def test_columns_that_are_numbers_are_called_by_them():
    frame = pd.DataFrame({0: ["a", "b", "a"], 1: [5, 6, 6], 2: [1, 1, 0]})
    assert ordered(frame, user=0, item=1)[0] == [("a", 5), ("a", 6), ("b", 6)]
    assert len(read_log(frame, user=0, item=1, where={2: 1})) == 2
    with pytest.raises(DataError, match=r"no column '7' for the user\. The columns are 0, 1, 2"):
        read_log(frame, user=7, item=1)


def test_a_column_of_several_types_is_named():
    with pytest.raises(DataError, match=r"column 'item': its values .* make them text: frame\['item'\].astype\(str\)"):
        read_log(pd.DataFrame({"user": [1, 2], "item": [1, "a"]}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_rating": "4"}, "min_rating='4' must be a number"),
        ({"user_core": 2.5}, "user_core=2.5 must be a whole number"),
        ({"item_core": "2"}, "item_core='2' must be a whole number"),
        ({"where": "event=a"}, "where='event=a': give a mapping of columns to values"),
    ],
)
def test_options_of_other_types_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        read_log(FRAME.assign(rating=1.0), **options)


@pytest.mark.parametrize("wanted", [101, [101], "101", 101.0])
def test_values_of_conditions_have_any_type(wanted):
    frame = pd.DataFrame({"user": [1, 2, 3], "item": [1, 2, 3], "shop": ["101", "101", "7"]})
    assert len(read_log(frame, where={"shop": wanted} if wanted != 101.0 else {"shop": "101"})) == 2


def test_options_of_text_are_refused():
    with pytest.raises(DataError, match="the pandas frame: header is an option of delimited text"):
        read_log(FRAME, header=True)


def test_a_series_is_no_log():
    with pytest.raises(DataError, match="cannot read a log from a Series"):
        read_log(FRAME["user"])


def test_pandas_without_pyarrow_names_the_extra(monkeypatch):
    monkeypatch.setattr(pl, "from_pandas", lambda _: (_ for _ in ()).throw(ModuleNotFoundError("pyarrow")))
    with pytest.raises(DataError, match=r"pip install 'segue\[pandas\]'"):
        read_log(FRAME)


def test_pandas_columns_with_missing_values_and_mixed_types():
    frame = pd.DataFrame({"user": [1.0, None], "item": [1, 2]})
    with pytest.raises(DataError, match="the pandas frame, column 'user', row 2: empty"):
        read_log(frame)
    with pytest.raises(DataError, match="the pandas frame, column 'user': its values cannot be converted to one type"):
        read_log(pd.DataFrame({"user": ["a", 3], "item": [1, 2]}, dtype=object))


def test_columns_that_are_never_guessed_may_be_called_0_too():
    frame = pd.DataFrame({0: ["a", "b", "a"], 1: ["u", "u", "v"], 2: ["i", "j", "j"], 3: [1, 2, 3]})
    columns = {"user": 1, "item": 2, "time": 3}
    assert read_log(frame, **columns, session=0).session.tolist() == [1, 2, 1]
    assert read_log(frame, **columns, event=0).event_types == ("a", "b")
    for names in (0, [0], ("0",), {0}, frame.columns[:1], iter([0])):
        features = read_log(frame, **columns, event_features=names).event_feature_columns
        assert [feature.name for feature in features] == ["0"]
    with pytest.raises(DataError, match=r"column '0'.*'a'"):
        read_log(frame, **columns, impressions=0)
