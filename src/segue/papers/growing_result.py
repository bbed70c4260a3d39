"""A result file that grows method by method: new methods join those that it has, or take the place of older runs.

stored   HGN, SASRec           the file of an earlier `segue reproduce TABLE --methods HGN SASRec --json FILE`
new      SASRec, Caser         of the same table
merged   HGN, Caser, SASRec    in the order of the table, SASRec from the new run
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from segue.errors import ConfigError
from segue.json_files import OpenStored, parse_json, read_text, strict_json
from segue.papers.printed import name_in_paper
from segue.papers.reproduction import COSTS, Draw, Row
from segue.papers.verdict import verdicts

BY_METHOD = ("runs", *COSTS)  # parts of a result file that have an entry for each method
OTHER_FILE = "give --json another file"
Content = Mapping[str, Any]


class _StoredRow(OpenStored):
    method: str
    metric: str
    published: float | None
    seeds: tuple[float, ...]
    interval: tuple[float, float] | None


class _StoredResult(OpenStored):
    """What is read of a result file; one of a table that does not grow has no `methods`."""

    command: str
    rows: tuple[_StoredRow, ...]
    quick: bool
    methods: tuple[str, ...] = ()
    runs: dict[str, dict[str, Any]] = Field(default_factory=dict)
    departures: tuple[dict[str, str], ...] = ()


def read_growing(path: Path, table: str, *, quick: bool) -> dict[str, Any] | None:
    """The content of a result file that further methods of `table` can join; None if there is no file.

    Raises:
        ConfigError: the file is of another table, of a table that does not grow, or a quick version beside a full one.
        ArtefactError: it is no result file.
    """
    if not path.exists():
        return None
    text = read_text(path, repair=OTHER_FILE)
    content = parse_json(text, _StoredResult, where=f"--json {path}", repair=OTHER_FILE)
    if content.command.split()[:3] != ["segue", "reproduce", table]:
        raise ConfigError(f"--json {path}: holds {content.command!r}, which {table} cannot be added to; {OTHER_FILE}")
    if {row.method for row in content.rows} - content.runs.keys() or not content.methods:
        raise ConfigError(f"--json {path}: a file of an older version, whose methods cannot be kept; {OTHER_FILE}")
    if content.quick != quick:
        kinds = ("a full version", "a quick one") if quick else ("a quick version", "a full one")
        raise ConfigError(f"--json {path}: holds {kinds[0]}, which {kinds[1]} cannot be added to; {OTHER_FILE}")
    plain: dict[str, Any] = strict_json(text)
    return plain


def merge(stored: Content | None, new: Content, table: str, draw: Draw | None = None) -> dict[str, Any]:
    """All methods of both, those of `new` first where both have one, in the order of the table.

    Args:
        stored: the content of a result file, from `read_growing`.
        new: the content of the new one, of the methods that were run.
        table: its name on the command line.
        draw: makes the pictures, which are of all methods.

    Raises:
        ConfigError: the stored file has a method that the table no longer has.
    """
    stored = stored or {"rows": (), "runs": {}}
    if gone := [name for name in stored["runs"] if name not in new["methods"]]:
        raise ConfigError(f"--json: the file has {gone[0]!r}, which is no method of {table} any more; {OTHER_FILE}")
    names = [name for name in new["methods"] if name in stored["runs"] or name in new["runs"]]
    rows = [row for name in names for row in (new if name in new["runs"] else stored)["rows"] if row["method"] == name]
    merged = {
        key: {name: values[name] for name in names if name in values}
        for key in BY_METHOD
        if (values := {**stored.get(key, {}), **new.get(key, {})})
    }
    return {
        **new,
        "command": _command(table, names, new),
        "rows": [{**row, "verdict": word} for row, word in zip(rows, verdicts(rows), strict=True)],
        **({} if draw is None else {"pictures": [picture.as_dict() for picture in draw([*map(_plain_row, rows)])]}),
        "departures": _merge_departures(stored.get("departures", ()), new.get("departures", ()), names),
        **merged,
    }


def _plain_row(row: Content) -> Row:
    """What a picture shows of a row."""
    return Row(method=row["method"], metric=row["metric"], measured=tuple(row["seeds"]))


def _command(table: str, names: Iterable[str], new: Content) -> str:
    """The command that computes all methods of the file."""
    listed = [name_in_paper(name) for name in names]
    methods = [] if len(listed) == len(new["methods"]) else ["--methods", *listed]
    return shlex.join(["segue", "reproduce", table, *["--quick"] * new["quick"], *methods])


def _merge_departures(stored: Iterable[Content], new: Iterable[Content], names: Iterable[str]) -> list[dict[str, str]]:
    """One entry for all methods that depart in the same way, as in `segue.papers.departures`."""
    by_method = {**dict(_split(stored)), **dict(_split(new))}
    merged: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for name in names:
        if name in by_method:
            merged.setdefault(by_method[name], []).append(name)
    return [{"methods": "; ".join(of_entry), **dict(entry)} for entry, of_entry in merged.items()]


def _split(entries: Iterable[Content]) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    for entry in entries:
        rest = tuple((key, value) for key, value in entry.items() if key != "methods")
        yield from ((name, rest) for name in entry["methods"].split("; "))
