"""A store in SQLite and one in PostgreSQL: every test of the events runs on both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from postgres import new_database, postgres_server

from segue.event_store.store import Store, open_store


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> Iterator[str]:
    """The address of an empty store."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'events.db'}"
        return
    with new_database(request.getfixturevalue("postgres")) as address:
        yield address


@pytest.fixture
def store(url) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.close()
