"""The schema of version 1, as it was released: it never changes. Later versions are steps in `migrations`."""

from __future__ import annotations

from sqlalchemy import Connection

NUMBERED = {"sqlite": "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT", "postgresql": "BIGSERIAL PRIMARY KEY"}
SQL = """
CREATE TABLE events (
    seq {numbered}, id VARCHAR NOT NULL UNIQUE, "user" VARCHAR NOT NULL, item VARCHAR NOT NULL, time BIGINT NOT NULL,
    type VARCHAR NOT NULL, value FLOAT
);
CREATE INDEX events_of_user ON events ("user", time, seq);
CREATE INDEX events_of_time ON events (time);
CREATE TABLE histories ("user" VARCHAR NOT NULL PRIMARY KEY, version BIGINT NOT NULL);
CREATE TABLE aliases (session VARCHAR NOT NULL PRIMARY KEY, "user" VARCHAR NOT NULL);
CREATE INDEX ix_aliases_user ON aliases ("user");
CREATE TABLE items (
    item VARCHAR NOT NULL PRIMARY KEY, title VARCHAR, columns JSON NOT NULL, available BOOLEAN NOT NULL,
    expires BIGINT, created BIGINT NOT NULL, updated BIGINT NOT NULL
);
CREATE INDEX ix_items_updated ON items (updated);
CREATE TABLE imports (
    fingerprint VARCHAR NOT NULL PRIMARY KEY, name VARCHAR NOT NULL, events BIGINT NOT NULL, time BIGINT NOT NULL
);
CREATE TABLE documents (
    kind VARCHAR NOT NULL, name VARCHAR NOT NULL, content JSON NOT NULL, PRIMARY KEY (kind, name)
);
CREATE TABLE change_counts (kind VARCHAR NOT NULL PRIMARY KEY, count BIGINT NOT NULL);
CREATE TABLE api_keys (
    hash VARCHAR NOT NULL PRIMARY KEY, role VARCHAR NOT NULL, label VARCHAR NOT NULL, created BIGINT NOT NULL
);
CREATE TABLE lists (
    seq {numbered}, "user" VARCHAR NOT NULL, model VARCHAR NOT NULL, fingerprint VARCHAR NOT NULL, arm VARCHAR NOT NULL,
    time BIGINT NOT NULL, after_time BIGINT NOT NULL, after_seq BIGINT NOT NULL, allows_seen BOOLEAN NOT NULL,
    items JSON NOT NULL, UNIQUE ("user", model, fingerprint, arm)
);
CREATE INDEX ix_lists_time ON lists (time);
CREATE TABLE outcomes (
    seq {numbered}, "user" VARCHAR NOT NULL, model VARCHAR NOT NULL, fingerprint VARCHAR NOT NULL, arm VARCHAR NOT NULL,
    time BIGINT NOT NULL, rank INTEGER, size INTEGER NOT NULL
);
CREATE INDEX ix_outcomes_user ON outcomes ("user");
CREATE INDEX ix_outcomes_time ON outcomes (time);
CREATE TABLE erased (hash VARCHAR NOT NULL PRIMARY KEY, time BIGINT NOT NULL);
CREATE TABLE identity (number INTEGER NOT NULL PRIMARY KEY, id VARCHAR NOT NULL, salt VARCHAR NOT NULL);
"""


def create_first_schema(connection: Connection) -> None:
    """Create the tables of version 1 in an empty database."""
    for statement in SQL.format(numbered=NUMBERED[connection.dialect.name]).split(";"):
        if statement.strip():
            connection.exec_driver_sql(statement)
