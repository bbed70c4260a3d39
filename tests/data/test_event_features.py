"""Event features: how they are read, checked, filtered, stored, merged and given by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.data.event_features import EventFeature, check_features, encode_features, own_categories
from segue.data.newer import merge_newer
from segue.data.readers.ingest import read_log
from segue.data.splits import leave_last_out
from segue.data.store import open_log, save_log
from segue.data.synthetic import from_sequences
from segue.errors import ArtefactError, DataError
from segue.experiments.tie_range import reordered

FRAME = pl.DataFrame(
    {
        "user": ["b", "a", "a", "b", "a", "b"],
        "item": ["i", "i", "j", "k", "k", "j"],
        "time": [1, 1, 2, 2, 3, 3],
        "device": ["phone", "desk", None, "desk", " phone ", "tv"],
        "price": [9.5, None, 2, 1, 0, 7],
        "city": [7, 12, 7, None, 7, 12],
        "member": [True, False, None, True, True, False],
        "tags": [["x"]] * 6,
        "empty": pl.Series([None] * 6, dtype=pl.String),
    }
)
NAMES = ["device", "price", "city:category", "member"]
COLUMNS = (
    EventFeature("device", ("desk", "phone", "tv")),
    EventFeature("price"),
    EventFeature("city", ("12", "7")),
    EventFeature("member", ("false", "true")),
)
NONE = float("nan")
ROWS = [  # of a, then of b, by time
    [1, NONE, 1, 1],
    [NONE, 2, 2, NONE],
    [2, 0, 2, 2],
    [2, 9.5, 2, 2],
    [1, 1, NONE, 2],
    [3, 7, 1, 1],
]


def test_text_is_categories_and_numbers_are_numbers(tmp_path: Path) -> None:
    log = read_log(FRAME, event_features=NAMES)
    assert log.event_feature_columns == COLUMNS
    np.testing.assert_array_equal(log.known_event_features, np.array(ROWS, np.float32))
    assert "item 'item', event features 'device, price, city:category, member', time" in log.steps[0].rule
    FRAME.drop("empty", "tags").write_csv(tmp_path / "events.csv")
    from_text = read_log(tmp_path / "events.csv", name="log", event_features=NAMES)
    assert from_text.fingerprint == log.fingerprint
    assert read_log(FRAME).fingerprint != log.fingerprint
    assert read_log(FRAME).event_features is None
    assert read_log(FRAME, event_features="price").event_feature_columns == (EventFeature("price"),)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["devise"], "no column 'devise' for the event features, did you mean 'device'.* The columns are user, item"),
        (["device", "device:category"], "event features: column 'device' is named twice; leave it out"),
        (["item"], "event features: column 'item' is the item already; leave it out"),
        (
            ["tags"],
            r"column 'tags': List\(String\) is no event feature; event features are text, numbers, or true and false",
        ),
        (["empty"], "column 'empty': all empty; leave it out of the event features"),
    ],
)
def test_wrong_columns_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_log(FRAME, event_features=names)


def test_too_many_categories_and_infinite_numbers_are_refused() -> None:
    number = range(10_001)
    many = pl.DataFrame({"user": [n % 9 for n in number], "item": [n % 7 for n in number], "page": number})
    with pytest.raises(DataError, match="10,001 different values, such as 0, 1, 10, are too many categories"):
        read_log(many, event_features=["page:category"], duplicates="keep")
    assert read_log(many, event_features=["page"]).event_feature_columns == (EventFeature("page"),)
    with pytest.raises(DataError, match="column 'price': has an infinite number"):
        read_log(FRAME.with_columns(price=pl.lit(float("inf"))), event_features=["price"])


def test_texts_among_numbers_are_refused_unless_they_are_to_be_categories() -> None:
    """One text would make categories of all prices."""
    rows = {"user": [1, 1, 2, 2], "item": [1, 2, 1, 2], "price": ["1.5", "n/a", "2", ""]}
    message = (
        "column 'price': 1 of 3 values are no numbers, such as 'n/a'; leave them empty, or name it price:category to"
    )
    with pytest.raises(DataError, match=message):
        read_log(pl.DataFrame(rows), event_features=["price"])
    [column] = read_log(pl.DataFrame(rows), event_features=["price:category"]).event_feature_columns
    assert column.categories == ("1.5", "2", "n/a")
    few_numbers = pl.DataFrame({**rows, "price": ["small", "n/a", "2", ""]})
    [column] = read_log(few_numbers, event_features=["price"]).event_feature_columns
    assert column.categories == ("2", "n/a", "small")


def test_numbers_keep_the_digits_that_they_had() -> None:
    values = [0.01, 19.99, 3.0, None, 123456.0]
    price = EventFeature("price")
    assert price.decode(price.encode(values)) == values


def test_a_log_without_features_says_how_to_read_them() -> None:
    with pytest.raises(DataError, match=r"has no event features; read it with their columns, .*--event-features"):
        _ = read_log(FRAME).known_event_features


def test_features_move_with_their_events() -> None:
    log = read_log(FRAME, event_features=NAMES)
    other, source = reordered(log, 3)
    np.testing.assert_array_equal(other.known_event_features, log.known_event_features[source])
    some = read_log(
        FRAME.with_columns(item=pl.Series(["i", "i", "j", "i", "k", "j"])), event_features=NAMES, item_core=2
    )
    np.testing.assert_array_equal(some.known_event_features, np.array(ROWS, np.float32)[[0, 1, 3, 4, 5]])
    instances = leave_last_out(log).instances("test")
    found = instances.event_features(3)  # (2, 3, 4)
    np.testing.assert_array_equal(found[0], np.array([[NONE] * 4, *ROWS[:2]], np.float32))
    np.testing.assert_array_equal(found[1], np.array([[NONE] * 4, *ROWS[3:5]], np.float32))


def test_a_saved_log_keeps_its_features(tmp_path: Path) -> None:
    log = read_log(FRAME, event_features=NAMES)
    again = open_log(save_log(log, tmp_path / "log"), verify=True)
    assert again.event_feature_columns == COLUMNS
    np.testing.assert_array_equal(again.known_event_features, log.known_event_features)
    with pytest.raises(DataError, match="a saved log has its columns already; leave out event_features"):
        read_log(tmp_path / "log", event_features=["price"])
    np.save(tmp_path / "log" / "event_features.npy", np.zeros(24, np.float32))
    with pytest.raises(ArtefactError, match=r"event_features\.npy"):
        open_log(tmp_path / "log")


def test_features_that_cannot_be_are_found(tmp_path: Path) -> None:
    log = read_log(FRAME, event_features=NAMES)
    assert not check_features(log)
    wrong = log.known_event_features.copy()
    wrong[0, 0] = 4
    with pytest.raises(DataError, match="event_features has in device a category outside 1 to 3"):
        save_log(replace(log, event_features=wrong), tmp_path / "log")
    wrong[0] = [1, np.inf, 1, 1]
    assert check_features(replace(log, event_features=wrong)) == "has in price an infinite number"
    assert "whose names must be distinct" in check_features(replace(log, event_feature_columns=COLUMNS[:1] * 4))
    assert "columns without values" in check_features(replace(log, event_features=None))


def test_newer_events_have_the_categories_of_the_saved_log_and_new_ones() -> None:
    saved = read_log(FRAME, event_features=["device", "price"])
    later = pl.DataFrame(
        {"user": ["a", "b"], "item": ["j", "i"], "time": [8, 9], "device": ["watch", "desk"], "price": [4, 3]}
    )
    columns = ["user", "item", "time", "device", "price"]
    newer = read_log(
        pl.concat([FRAME[columns].with_columns(time=pl.col("time")), later.cast(FRAME[columns].schema)]),
        event_features=["device", "price"],
    )
    merged = merge_newer([saved], [3], newer).log
    assert merged.event_feature_columns == (
        EventFeature("device", ("desk", "phone", "tv", "watch")),
        EventFeature("price"),
    )
    expected = [*[row[:2] for row in ROWS[:3]], [4, 4], *[row[:2] for row in ROWS[3:]], [1, 3]]
    np.testing.assert_array_equal(merged.known_event_features, np.array(expected, np.float32))
    with pytest.raises(
        DataError,
        match=r"have the features none, and those of the model device \(categories\), price \(numbers\); .*features\)",
    ):
        merge_newer([saved], [3], read_log(pl.concat([FRAME[columns], later.cast(FRAME[columns].schema)])))


@given(
    st.lists(st.sampled_from(["desk", "phone", "tv", "watch", None]), min_size=1), st.permutations(["tv", "desk", "x"])
)
def test_categories_are_matched_by_name(given_values: list[str | None], names: list[str]) -> None:
    there = EventFeature("device", tuple(names))
    [ids] = own_categories(COLUMNS[:1], [there])
    assert ids is not None
    own = ids[np.nan_to_num(there.encode(given_values)).astype(int)]
    known = [value if value in names and value != "x" else None for value in given_values]
    assert COLUMNS[0].decode(own) == known
    assert COLUMNS[0].decode(COLUMNS[0].encode(given_values)) == [None if v == "watch" else v for v in given_values]


def test_features_that_are_given_by_name() -> None:
    found = encode_features(
        COLUMNS, [{"device": "tv", "member": True}, {"price": "3.5", "city": 7.0}, {"device": "new"}]
    )
    np.testing.assert_array_equal(found, [[3, NONE, NONE, 2], [NONE, 3.5, 2, NONE], [NONE] * 4])
    with pytest.raises(
        DataError, match=r"no event feature 'devise', did you mean 'device'.*; there are: device, price"
    ):
        encode_features(COLUMNS, [{"devise": "tv"}])
    for wrong in ("cheap", True, float("inf")):
        with pytest.raises(DataError, match=f"event feature 'price': {wrong!r} is no number, and price is one"):
            encode_features(COLUMNS, [{"price": wrong}])


def test_copies_are_found_without_their_features() -> None:
    twice = pl.concat([FRAME, FRAME.with_columns(device=pl.lit("desk"))])
    assert len(read_log(twice, event_features=["device"])) == 6


def test_a_view_keeps_its_rows() -> None:
    log = from_sequences([[1, 2, 3], [2, 3]], num_items=3)
    log = replace(
        log, event_features=np.arange(5, dtype=np.float32)[:, None], event_feature_columns=(EventFeature("n"),)
    )
    view = log.until(np.maximum(log.stop - 1, log.start))
    assert view.column(view.known_event_features).tolist() == [[0], [1], [3]]
    assert view.fingerprint != log.fingerprint
