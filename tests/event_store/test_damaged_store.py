"""A store that is damaged, forged or in a wrong place is one clear error, before anything is served or changed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from segue.data.readers.ingest import read_log
from segue.errors import DataError
from segue.event_store.event import Event
from segue.event_store.store import open_store
from segue.folders import MARKERS


@pytest.fixture
def path(tmp_path) -> Path:
    path = tmp_path / "events.db"
    with closing(open_store(f"sqlite:///{path}")) as store:
        store.events.append([Event(f"u{n % 3}", f"i{n % 4}", 10**15 + n) for n in range(12)])
    return path


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE segue_schema SET version = 'abc'", "says version 'abc'; restore"),
        ("UPDATE segue_schema SET version = -5", "says version -5; restore"),
        ("DELETE FROM segue_schema", "says version None; restore"),
        ("UPDATE segue_schema SET version = 99", "version 99 of the store"),
        ("DROP TABLE items", "items has no item; restore"),
        ("ALTER TABLE events DROP COLUMN value", "events has no value; restore"),
    ],
)
def test_a_store_of_another_form_is_not_opened(path, statement, message):
    change(path, statement)
    before = path.read_bytes()
    with pytest.raises(DataError, match=message):
        open_store(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_a_value_of_another_type_is_an_error(path):
    change(path, "UPDATE events SET time = 'xx' WHERE seq = 5")
    with pytest.raises(DataError, match="a value of another type"):
        read_log(f"sqlite:///{path}")


@pytest.mark.parametrize("ending", ["?mode=ro", "?cache=shared"])
def test_only_the_name_of_the_file_is_taken(path, ending):
    with pytest.raises(DataError, match=r"give the name of the file alone: sqlite:///events\.db"):
        open_store(f"sqlite:///{path}{ending}")


@pytest.mark.parametrize("kind", ["saved model", "saved log", "search"])
def test_no_store_is_made_where_it_would_be_replaced(tmp_path, kind):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / MARKERS[kind]).write_text("{}")
    for create in (True, False):
        (tmp_path / "folder" / "old.db").touch()
        name = "events.db" if create else "old.db"
        with pytest.raises(DataError, match=f"lies in the {kind} .*; move it elsewhere"):
            open_store(f"sqlite:///{tmp_path}/folder/{name}", create=create)
    assert not (tmp_path / "folder" / "events.db").exists()
