"""A store that a command reads is never replaced by what the command writes."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from segue.event_store.event import Event
from segue.event_store.store import open_store

from .logs import done


@pytest.fixture
def store(here):
    (here / "shop").mkdir()
    path = here / "shop" / "events.db"
    with closing(open_store(f"sqlite:///{path}")) as opened:
        opened.events.append([Event(f"u{n % 9}", f"i{n * n % 7}", 10**15 + n) for n in range(90)])
    return path


@pytest.mark.parametrize(
    "url", ["sqlite:///shop/events.db", "sqlite:////{here}/shop/events.db", "sqlite:///./shop/../shop/events.db"]
)
@pytest.mark.parametrize(
    "command",
    [
        "data {url} --json shop/events.db",
        "data {url} --json shop/events.db-wal",
        "run pop {url} --no-baselines --json shop/events.db -o models/p",
        "fit pop {url} --json shop/events.db -o models/p",
        "fit pop {url} -o shop",
        "data {url} -o shop",
    ],
)
def test_a_store_that_is_read_is_not_replaced(command, url, store, here, segue):
    (here / "shop/events.db-wal").touch()
    status, _, message = segue(command.format(url=url.format(here=here)))
    assert status == 2
    assert "what is read" in message or "is not a saved" in message
    with closing(sqlite3.connect(store)) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (90,)


def test_a_store_is_read(store, segue):
    assert "90 events" in done(segue("data sqlite:///shop/events.db"))


@pytest.fixture
def rated(store):
    """The store with a rating of each second event, and clicks beside them."""
    with closing(open_store(f"sqlite:///{store}")) as opened:
        ratings = [Event(f"u{n % 9}", f"i{n % 7}", 10**15 - n - 1, value=float(n % 4 + 1)) for n in range(60)]
        opened.events.append(ratings)


@pytest.mark.parametrize(
    ("options", "events", "said"),
    [
        ("", 150, ""),
        ("--min-rating 3", 30, "90 of 150 events have no value and are left out"),
        ("--rating-col rating", 60, "90 of 150 events have no value and are left out"),
        ("--where rating=4", 15, ""),
        ("--where rating=4 --min-rating 3", 15, ""),
    ],
)
def test_a_column_that_an_option_names_is_read_although_some_events_have_nothing_there(
    options, events, said, rated, segue, monkeypatch
):
    monkeypatch.delenv("SEGUE_QUIET")
    status, text, message = segue(f"data sqlite:///shop/events.db {options}")
    assert status == 0, message
    assert f"{events} events" in text
    message = " ".join(message.split())
    assert said in message
    assert ("have no value" in message) == bool(said)


def test_a_type_of_which_there_is_no_event_yet_is_said(store, segue):
    status, _, message = segue("data sqlite:///shop/events.db --where event=purchase")
    assert status == 2
    assert "column 'event' never has the value 'purchase'; it has ''" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--port 99999999", "--port 99999999: must be from 0 to 65535"),
        ("--port -1", "--port -1: must be from 0 to 65535"),
        ('--host ""', "--host: is empty"),
        ("--host nosuch.invalid", "--host nosuch.invalid: is not an address"),
    ],
)
def test_the_address_is_taken_before_the_store_is_made(options, message, here, segue):
    status, _, found = segue(f"serve models/pop --store sqlite:///new.db {options}")
    assert status == 2
    assert message in found
    assert not (here / "new.db").exists()
