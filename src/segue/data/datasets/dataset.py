"""`Dataset`: the description of a named data set: its terms, files, size, filters and download sources.

file ── files[name] ── events, users, items ── columns ── Log ── count ── preprocess ── Log ── count
        a reader       data frames             read_log   raw_size  filters               users, items, rows
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from segue.data.datasets.download import Site, Wheel
from segue.data.log import Log
from segue.data.readers.table import Tables

Reader = Callable[[Path], Tables]


@dataclass(frozen=True)
class Dataset:
    """The description of a named data set.

    Attributes:
        name: its name in the catalogue.
        title: its full name.
        licence: the terms of use, in one line.
        homepage: where the terms are published.
        num_users: number of users, after preprocessing.
        num_items: number of items with at least one event, after preprocessing.
        num_rows: number of events, after preprocessing.
        files: file name -> reader that gives events, users and items. Any one of the files is enough.
        columns: the column of each role, as for `read_log`.
        sources: where the files can be downloaded, in order of preference.
        instructions: how to get the files by hand.
        preprocess: the filters, applied unless options of `read_log` replace them; None for no filters.
        raw_size: numbers of users, items and rows before preprocessing; None if unknown or without preprocessing.
        shuffled_ties: whether the reader puts events of one user with equal times in random order.
    """

    name: str
    title: str
    licence: str
    homepage: str
    num_users: int
    num_items: int
    num_rows: int
    files: Mapping[str, Reader]
    columns: Mapping[str, str]
    sources: tuple[Wheel | Site, ...] = ()
    instructions: str = ""
    preprocess: Callable[[Log], Log] | None = None
    raw_size: tuple[int, int, int] | None = None
    shuffled_ties: bool = False

    @property
    def size(self) -> tuple[int, int, int]:
        """Numbers of users, items and rows after preprocessing."""
        return self.num_users, self.num_items, self.num_rows


def role_columns(*, time: str = "timestamp", rating: str = "rating") -> dict[str, str]:
    """The columns of a file that calls its users "user" and its items "item"; an empty name for none."""
    return {"user": "user", "item": "item", "time": time, "rating": rating}


def package_file(name: str) -> str:
    """The text of a file in `files/`, which is installed together with segue."""
    return resources.files("segue.data.datasets").joinpath("files", name).read_text(encoding="utf-8")
