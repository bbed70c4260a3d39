"""Rows are selected by the values of further columns; a log of several types of events says so."""

import doctest

import polars as pl
import pytest

from segue.data.readers import event_types, source
from segue.data.readers.ingest import read_log
from segue.data.store import save_log
from segue.errors import DataError

FRAME = pl.DataFrame(
    {
        "user": ["u", "u", "u", "v", "v", "w"],
        "item": ["a", "b", "a", "b", "c", "d"],
        "time": [1, 2, 3, 1, 2, 1],
        "event": ["view", "view", "purchase", "view", "cart", None],
        "shop": [1, 2, 1, 1, 1, 1],
    }
)


def items_by_user(log):
    user, item = log.events()
    return list(zip(log.users.names(user), log.items.names(item), strict=True))


def write(tmp_path, suffix):
    path = tmp_path / f"events.{suffix}"
    getattr(FRAME, f"write_{suffix}")(path)
    return path


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_rows_are_selected_by_the_values_of_columns(tmp_path, suffix):
    log = read_log(write(tmp_path, suffix), where={"event": ["view", "cart"], "shop": "1"})
    assert items_by_user(log) == [("u", "a"), ("v", "b"), ("v", "c")]
    assert ", rows with event = 'view' or 'cart', shop = '1': user 'user'" in log.steps[0].rule
    assert log.warnings == ()


def test_values_that_look_like_numbers_are_compared_as_they_are_written(tmp_path):
    path = tmp_path / "events.csv"
    releases = ("1.1", "1.10", "2", "2.0")
    path.write_text("user,item,release\n" + "".join(f"u,a of {one},{one}\nv,b of {one},{one}\n" for one in releases))
    for one in releases:
        assert items_by_user(read_log(path, where={"release": one})) == [("u", f"a of {one}"), ("v", f"b of {one}")]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_log_of_several_types_of_events_says_so(tmp_path, suffix):
    (warning,) = read_log(write(tmp_path, suffix)).warnings
    assert warning.startswith("the column 'event' has 3 types of events ('view' 50%, ")
    assert "--where event=VALUE" in warning


@pytest.mark.parametrize("values", [[["a"], ["b"]] * 3, [b"\xff", b"a"] * 3])
def test_lists_and_bytes_are_no_types_of_events(values):
    assert read_log(FRAME.with_columns(pl.Series("event", values))).warnings == ()


@pytest.mark.parametrize("values", [["view"] * 6, [f"e{n}" for n in range(60)]])
def test_a_column_of_one_value_or_of_very_many_is_no_type_of_event(values):
    column = pl.Series("event", values)
    assert event_types.mixed_types(column) is None


def test_a_column_that_has_another_role_is_no_type_of_event():
    frame = FRAME.rename({"item": "type"}).drop("event")
    assert read_log(frame, item="type").warnings == ()


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"evnt": "view"}, "no column 'evnt' to select by, did you mean 'event'"),
        ({"event": "vew"}, "'event' never has the value 'vew', did you mean 'view'.*'cart', 'purchase', 'view'"),
        ({"event": "purchase", "shop": "2"}, "no row has event = 'purchase', shop = '2'"),
    ],
)
def test_a_selection_of_nothing_is_an_error(where, message):
    with pytest.raises(DataError, match=message):
        read_log(FRAME, where=where)


def test_a_saved_log_has_no_further_columns(tmp_path):
    folder = save_log(read_log(FRAME), tmp_path / "log")
    with pytest.raises(DataError, match="a saved log has its columns already; leave out where"):
        read_log(folder, where={"event": "view"})


def test_the_examples():
    assert doctest.testmod(event_types).failed == 0


def test_a_table_that_is_loaded_twice_warns_once_each_time(tmp_path):
    (tmp_path / "a.dat").write_text("1 5 8\n2 5\n3 8 9 1\n")  # one user a line
    (tmp_path / "b.tsv").write_text('user\titem\ttype\n1\t"x\tview\n2\ty\tbuy\n1\ty\tview\n')  # a quote, two types
    for name, number in (("a.dat", 1), ("b.tsv", 2)):
        table = event_types.select_events(source.open_table(tmp_path / name), {})
        first, second = (table.load({"user": "name", "item": "name"})[1] for _ in range(2))
        assert first == second
        assert len(first) == number
