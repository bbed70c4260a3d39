"""The addresses of stores: sqlite:///FILE and postgresql://USER:PASSWORD@HOST/DATABASE."""

from __future__ import annotations

SCHEMES = ("sqlite", "postgresql")


def is_store_url(source: object) -> bool:
    """Whether something is the address of a store, and not a path, the name of a data set or a data frame.

    >>> is_store_url("sqlite:///segue-events.db"), is_store_url("events.csv")
    (True, False)
    """
    return isinstance(source, str) and source.partition("://")[0].partition("+")[0] in SCHEMES and "://" in source
