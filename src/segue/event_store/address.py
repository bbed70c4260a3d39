"""The addresses of stores: sqlite:///FILE and postgresql://USER:PASSWORD@HOST/DATABASE."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

SCHEMES = ("sqlite", "postgresql")


def is_store_url(source: object) -> bool:
    """Whether something is the address of a store, and not a path, the name of a data set or a data frame.

    >>> is_store_url("sqlite:///segue-events.db"), is_store_url("events.csv")
    (True, False)
    """
    return isinstance(source, str) and source.partition("://")[0].partition("+")[0] in SCHEMES and "://" in source


def store_files(url: str) -> list[Path]:
    """The files of a store in SQLite, which a command that reads the store must not replace; none for a server.

    >>> [path.name for path in store_files("sqlite:///shop/events.db?mode=ro")]
    ['events.db', 'events.db-wal', 'events.db-shm']
    """
    scheme, _, rest = url.partition("://")
    path = unquote(rest.partition("?")[0].removeprefix("/").removeprefix("file:"))
    if not scheme.startswith("sqlite") or not path:
        return []
    return [Path(f"{path}{ending}") for ending in ("", "-wal", "-shm")]
