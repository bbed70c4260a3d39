"""A split in the rows of a file is read and used, or refused with the row that breaks it."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from segue.data.filters import without_duplicates
from segue.data.readers.ingest import read_log
from segue.data.source_split import cuts_users, has_split
from segue.data.splits import given_split
from segue.data.store import open_log, save_log
from segue.errors import DataError
from segue.evaluation.protocol import Protocol

ROWS = [
    ("u1", "a", 1, "train"),
    ("u1", "b", 2, "train"),
    ("u2", "b", 1, "train"),
    ("u2", "c", 2, "valid"),
    ("u1", "c", 3, "valid"),
    ("u1", "d", 4, "test"),
    ("u2", "a", 3, "test"),
    ("u2", "d", 4, "test"),
    ("u3", "a", 4, "train"),
]


def frame(rows=ROWS, **renamed):
    table = pl.DataFrame(rows, schema=["user", "item", "time", "split"], orient="row")
    return table.rename(renamed)


def test_the_rows_of_each_user_are_cut_where_the_file_says():
    log = read_log(frame())
    assert log.part.tolist() == [0, 0, 1, 2, 0, 1, 2, 2, 0]
    assert log.warnings == ()
    assert "split 'split'" in log.steps[0].rule
    split = given_split(log)
    assert (split.valid - log.start).tolist() == [0, 2, 1, 1]
    assert (split.test - log.start).tolist() == [0, 3, 2, 1]
    test = split.instances("test")
    assert log.items.names(test.targets()) == ["d", "a", "d"]
    assert test.histories(None).tolist() == [[1, 2, 3], [0, 2, 3], [2, 3, 1]]


def test_the_order_of_the_file_does_not_matter():
    log, turned = read_log(frame()), read_log(frame(ROWS[::-1]))
    assert turned.fingerprint == log.fingerprint


def test_rows_of_one_time_are_in_the_order_of_their_parts():
    log = read_log(
        frame([("u1", "a", 1, "train"), ("u1", "b", 2, "test"), ("u1", "c", 2, "train"), ("u2", "a", 1, "train")])
    )
    assert log.items.names(log.history(1)) == ["a", "c", "b"]


@pytest.mark.parametrize(
    "words",
    [
        ("train", "valid", "test"),
        ("Training", " VALIDATION", "Testing"),
        ("TRAIN", "val", "test"),
        ("train", "dev", "test"),
    ],
)
def test_usual_words_for_the_parts(words):
    names = dict(zip(("train", "valid", "test"), words, strict=True))
    log = read_log(frame([(*row[:3], names[row[3]]) for row in ROWS]))
    assert log.part.tolist() == [0, 0, 1, 2, 0, 1, 2, 2, 0]


def test_a_split_without_validation_takes_the_end_of_each_users_training_rows():
    rows = [(f"u{u}", f"i{t}", t, "test" if t >= 20 else "train") for u in range(2) for t in range(22)]
    split = given_split(read_log(frame(rows)))
    assert (split.test - split.valid).tolist() == [0, 2, 2]
    assert (split.log.stop - split.test).tolist() == [0, 2, 2]
    assert (given_split(split.log, 0).test == given_split(split.log, 0).valid).all()


def test_one_part_a_user_holds_users_out_whole_as_a_table_of_users_does():
    part = ["train", "test", "train", "valid"]
    rows = [(f"u{u}", f"i{(u + t) % 5}", t, part[u]) for u in range(4) for t in range(3)]
    in_rows = read_log(frame(rows))
    users = pl.DataFrame({"user": [f"u{u}" for u in range(4)], "split": part})
    of_users = read_log(frame(rows).drop("split"), users=users)
    one, other = given_split(in_rows), given_split(of_users)
    assert one.valid.tolist() == other.valid.tolist()
    assert one.test.tolist() == other.test.tolist()
    assert Protocol.guess(in_rows).name == Protocol.guess(of_users).name == "session"
    both = read_log(frame(rows), users=users)
    assert given_split(both).test.tolist() == one.test.tolist()
    with pytest.raises(DataError, match="bring two splits, which differ in the train rows of user 'u0'; leave one of"):
        given_split(
            read_log(frame(rows), users=users.with_columns(split=pl.Series(["test", "test", "train", "valid"])))
        )


def test_the_protocol_that_suits_a_split_inside_users():
    log = read_log(frame())
    assert has_split(log)
    assert cuts_users(log)
    guessed = Protocol.guess(log)
    assert (guessed.name, guessed.by) == ("given, seen items left out", "given")
    again = read_log(frame([*ROWS, ("u3", "a", 5, "test")]))
    assert Protocol.guess(again).name == "given"


def test_the_split_is_kept_by_saved_logs_filters_and_views(tmp_path):
    log = read_log(frame([*ROWS, ("u1", "a", 2, "train")]))
    saved = open_log(save_log(log, tmp_path / "log"), verify=True)
    assert saved.part.tolist() == log.part.tolist()
    assert saved.fingerprint == log.fingerprint
    once = without_duplicates(saved, "first")
    assert once.part.tolist() == [0, 0, 1, 2, 0, 1, 2, 2, 0]
    assert given_split(once).test.tolist() == given_split(read_log(frame())).test.tolist()
    past = log.until(np.maximum(log.stop - 1, log.start))
    assert (given_split(past).test <= past.stop).all()


def test_the_split_is_part_of_the_fingerprint_and_logs_without_keep_theirs():
    log = read_log(frame())
    moved = read_log(frame([*ROWS[:4], ("u1", "c", 3, "train"), *ROWS[5:]]))
    without = read_log(frame(), split="")
    assert len({log.fingerprint, moved.fingerprint, without.fingerprint}) == 3
    assert without.part is None
    assert without.fingerprint == read_log(frame().drop("split")).fingerprint == replace(log, part=None).fingerprint
    assert read_log(frame(split="fold"), split="fold").fingerprint == log.fingerprint


def test_a_saved_log_can_be_read_without_its_split(tmp_path):
    save_log(read_log(frame()), tmp_path / "log")
    assert read_log(tmp_path / "log", split="").part is None
    with pytest.raises(DataError, match="a saved log has its columns already"):
        read_log(tmp_path / "log", split="fold")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("train", "every row says 'train': the column is not used as a split"),
        ("A", "'A' in row 1 is none of train, valid, test: the column is not used as a split"),
    ],
)
def test_a_column_that_is_no_split_is_said_and_not_used(word, message):
    log = read_log(frame([(*row[:3], word) for row in ROWS]))
    assert log.part is None
    assert Protocol.guess(log).name == "leave-one-out"
    (warning,) = log.warnings
    assert warning.startswith("the polars frame, column 'split': ")
    assert warning.endswith(message)


@pytest.mark.parametrize(
    ("row", "changed", "message"),
    [
        (1, ("u1", "b", 2, "test"), r"row 5: valid after the test of row 2 in the times of user 'u1', as in 1 places"),
        (
            4,
            ("u1", "c", 3, "tset"),
            r"row 5: 'tset' is not a part; write train, valid or test, or read the log without",
        ),
        (4, ("u1", "c", 3, None), r"row 5: empty; write train, valid or test"),
        (4, ("u1", "c", 3, " "), r"row 5: empty; write train, valid or test"),
    ],
)
def test_a_split_that_cannot_be_used_is_refused(row, changed, message):
    rows = [*ROWS[:row], changed, *ROWS[row + 1 :]]
    with pytest.raises(DataError, match=rf"the polars frame, column 'split', {message}"):
        read_log(frame(rows))
    assert read_log(frame(rows), split="").part is None


def test_without_times_the_order_is_that_of_the_rows():
    table = frame().drop("time")
    assert given_split(read_log(table)).instances("test").targets().tolist() == [4, 1, 4]
    with pytest.raises(DataError, match=r"in the rows of user 'u1'"):
        read_log(table.reverse())


def test_a_named_column_must_be_a_split():
    table = frame(split="fold").with_columns(fold=pl.lit("A"))
    assert read_log(table).part is None
    with pytest.raises(DataError, match="column 'fold', row 1: 'A' is not a part; write train, valid or test"):
        read_log(table, split="fold")


def test_a_split_without_test_or_training_rows():
    held = [row for row in ROWS if row[3] != "test"]
    with pytest.raises(DataError, match="no row has test in the column split; at least one row needs it"):
        given_split(read_log(frame(held)))
