"""`Dataset`: what is known of a data set that has a name: its terms, its files, its size, and what is left out of it.

file ── files[name] ── events, users, items ── columns ── Log ── counted ── rules ── Log ── counted
        a reader       tables                  read_log          `raw`      HGN's           users, items, rows
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from segue.data.datasets.download import Site, Wheel
from segue.data.log import Log
from segue.data.readers.table import Tables


@dataclass(frozen=True)
class Dataset:
    """What is known of a data set.

    Attributes:
        name: what `load` calls it.
        title: what people call it.
        licence: the terms, in a line.
        homepage: where they can be read.
        users: how many there are, after the rules.
        items: how many there are after the rules, counting those with an event.
        rows: how many events there are, after the rules.
        files: file name -> how to read it, and what lies beside it, as events, users and items; any one will do.
        columns: how `read_log` is to read the events.
        sources: where the files can be fetched, in this order.
        by_hand: what to do when they cannot.
        rules: what is left out where no option says otherwise; None for nothing.
        raw: users, items and rows before the rules; None where they are not known, or there are no rules.
        shuffled: whether the reader puts events of one user and one time in a random order.
    """

    name: str
    title: str
    licence: str
    homepage: str
    users: int
    items: int
    rows: int
    files: Mapping[str, Callable[[Path], Tables]]
    columns: Mapping[str, str]
    sources: tuple[Wheel | Site, ...] = ()
    by_hand: str = ""
    rules: Callable[[Log], Log] | None = None
    raw: tuple[int, int, int] | None = None
    shuffled: bool = False


def package_file(name: str) -> str:
    """The text of a file in `files/`, which is installed together with segue."""
    return resources.files("segue.data.datasets").joinpath("files", name).read_text(encoding="utf-8")
