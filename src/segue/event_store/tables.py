"""The tables of a store as they are now, for SQLite and PostgreSQL. `segue.event_store.migrations` creates them.

    events              what happened; rows are only added, or erased with their user
    histories           a version for each user, which is another one after each change of the user's events
    aliases             anonymous sessions that belong to a user now
    items               titles, columns, availability
    imports             the logs whose events were copied into the store
    documents           rules, deployments: named JSON documents
    change_counts       how often rules, deployments and items were changed, and users were erased
    api_keys            hashes of keys and what they may do
    lists, outcomes     recommended lists that wait for the next event, and the ranks that were found
    erased              users who were erased: a salted hash of the name, and when
    identity            a random id of the store, and the random salt of these hashes, in one row

All times are microseconds since 1970 (UTC).
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)

metadata = MetaData()
Number = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows only in a column of type INTEGER

events = Table(
    "events",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=True),  # the order of arrival
    Column("id", String, nullable=False, unique=True),
    Column("user", String, nullable=False),
    Column("item", String, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("type", String, nullable=False),
    Column("value", Float),
    Column("features", JSON(none_as_null=True)),
    Index("events_of_user", "user", "time", "seq"),
    Index("events_of_time", "time"),
    sqlite_autoincrement=True,
)
histories = Table(
    "histories",
    metadata,
    Column("user", String, primary_key=True),
    Column("version", BigInteger, nullable=False),
)
aliases = Table(
    "aliases",
    metadata,
    Column("session", String, primary_key=True),
    Column("user", String, nullable=False, index=True),
)
items = Table(
    "items",
    metadata,
    Column("item", String, primary_key=True),
    Column("title", String),
    Column("columns", JSON, nullable=False),
    Column("available", Boolean, nullable=False),
    Column("expires", BigInteger),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False, index=True),
    Column("complete", Boolean, nullable=False, server_default=text("FALSE")),
)
imports = Table(
    "imports",
    metadata,
    Column("fingerprint", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("time", BigInteger, nullable=False),
)
documents = Table(
    "documents",
    metadata,
    Column("kind", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("content", JSON, nullable=False),
)
change_counts = Table(
    "change_counts",
    metadata,
    Column("kind", String, primary_key=True),
    Column("count", BigInteger, nullable=False),
)
api_keys = Table(
    "api_keys",
    metadata,
    Column("hash", String, primary_key=True),
    Column("role", String, nullable=False),
    Column("label", String, nullable=False),
    Column("created", BigInteger, nullable=False),
)
lists = Table(
    "lists",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=True),
    Column("user", String, nullable=False),
    Column("model", String, nullable=False),
    Column("fingerprint", String, nullable=False),
    Column("arm", String, nullable=False),
    Column("time", BigInteger, nullable=False, index=True),
    Column("after_time", BigInteger, nullable=False),  # the newest event of the history that it was made from
    Column("after_seq", BigInteger, nullable=False),
    Column("allows_seen", Boolean, nullable=False),
    Column("items", JSON, nullable=False),
    UniqueConstraint("user", "model", "fingerprint", "arm"),
    sqlite_autoincrement=True,
)
outcomes = Table(
    "outcomes",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=True),
    Column("user", String, nullable=False, index=True),
    Column("model", String, nullable=False),
    Column("fingerprint", String, nullable=False),
    Column("arm", String, nullable=False),
    Column("time", BigInteger, nullable=False, index=True),  # of the list
    Column("rank", Integer),  # from 1; null if the item was not in the list
    Column("size", Integer, nullable=False),  # of the list
    sqlite_autoincrement=True,
)
erased = Table(
    "erased",
    metadata,
    Column("hash", String, primary_key=True),
    Column("time", BigInteger, nullable=False),
)
identity = Table(
    "identity",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("id", String, nullable=False),
    Column("salt", String, nullable=False),
)
