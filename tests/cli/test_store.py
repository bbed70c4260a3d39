"""The store of a service on the command line: it is copied as a whole, or the message says why not."""

from __future__ import annotations

from contextlib import closing

import pytest

from segue.event_store.event import Event
from segue.event_store.store import open_store

SOURCE = "sqlite:///source.db"


@pytest.fixture
def source(here):
    with closing(open_store(SOURCE)) as opened:
        opened.events.append([Event(f"u{n % 3}", "a", n) for n in range(9)])
        yield opened


def test_a_store_is_copied_while_it_is_open(segue, source, monkeypatch):
    monkeypatch.delenv("SEGUE_QUIET")
    code, out, err = segue(f"store copy {SOURCE} sqlite:///backup.db")
    assert (code, out) == (0, "")
    assert f"{SOURCE} was copied to sqlite:///backup.db: 9 events, 3 histories" in " ".join(err.split())
    with closing(open_store("sqlite:///backup.db", create=False)) as backup:
        assert [event.item for event in backup.events.history("u1")] == ["a"] * 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (f"{SOURCE} {SOURCE}", "source.db: is not empty (events, histories); copy into a new store"),
        ("sqlite:///none.db sqlite:///new.db", "none.db: there is no such file"),
        (f"{SOURCE} backup.db", "backup.db: not the address of a store; give sqlite:///FILE or postgresql://"),
        (f"{SOURCE} sqlite:///nowhere/new.db", "nowhere must be a folder"),
        (f"{SOURCE} sqlite:///models/hgn/new.db", "lies in the saved model"),
        (f"{SOURCE} postgresql://u:secret@127.0.0.1:1/x", "postgresql://u:***@127.0.0.1:1/x: "),
        ("sqlite:///events.csv sqlite:///new.db", "events.csv: file is not a database"),
    ],
)
def test_what_cannot_be_copied_is_said_and_changes_nothing(segue, source, here, words, message):
    before = sorted(path.name for path in here.rglob("*"))
    code, out, err = segue(f"store copy {words}")
    assert (code, out) == (2, "")
    assert message in " ".join(err.split())
    assert sorted(path.name for path in here.rglob("*")) == before
    assert len(source.events) == 9
