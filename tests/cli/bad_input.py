"""Commands with bad input: one message that says what, where and what to do; exit code 2; nothing is changed."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest

from segue import folders
from segue.cli import status
from segue.data.readers.ingest import read_log
from segue.data.store import save_log
from segue.serving import model_facts
from segue.training import loop as train

Prepare = Callable[[pytest.MonkeyPatch], object]
Run = Callable[[list[str]], tuple[int, str, str]]
NO_SPACE = OSError(errno.ENOSPC, "No space left on device")


@dataclass(frozen=True)
class Bad:
    """A command with bad input.

    Attributes:
        command: its words; a text is split at its spaces.
        message: a regular expression that the message must match.
        file: content of `bad.csv`, written before the command runs.
        prepare: a function that prepares the current folder.
    """

    command: str | list[str]
    message: str
    file: str | bytes | None = None
    prepare: Prepare = field(default=lambda patch: None)

    def words(self) -> list[str]:
        return self.command.split() if isinstance(self.command, str) else self.command


def parquet(keep: int | None) -> Prepare:
    """The log as `bad.parquet`, cut after `keep` bytes."""

    def prepare(patch: pytest.MonkeyPatch) -> None:
        pl.read_csv("events.csv").write_parquet("bad.parquet")
        Path("bad.parquet").write_bytes(Path("bad.parquet").read_bytes()[:keep])

    return prepare


def written(path: str, content: str | bytes = "something else") -> Prepare:
    """A file, and the folders above it."""

    def prepare(patch: pytest.MonkeyPatch) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(content if isinstance(content, bytes) else content.encode())

    return prepare


def steps(*prepares: Prepare) -> Prepare:
    """Several preparations, one after the other."""
    return lambda patch: [prepare(patch) for prepare in prepares]


def saved(patch: pytest.MonkeyPatch) -> None:
    """The log as the saved log `saved`."""
    save_log(read_log("events.csv"), "saved")


def edited(path: str, edit: Callable[[bytes], bytes | None]) -> Prepare:
    """What is in a file goes through `edit`; None deletes it."""

    def prepare(patch: pytest.MonkeyPatch) -> None:
        content = edit(Path(path).read_bytes())
        Path(path).unlink() if content is None else Path(path).write_bytes(content)

    return prepare


def flipped(content: bytes) -> bytes:
    """One byte in the middle is another."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def described(**changes: object) -> Callable[[bytes], bytes]:
    """A `model.json` with other values, and the hash that goes with them."""

    def edit(content: bytes) -> bytes:
        facts = {**json.loads(content), **changes}
        del facts["hash"]
        facts["hash"] = model_facts.facts_hash(facts)
        return json.dumps(facts).encode()

    return edit


def not_writable(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(os, "access", lambda path, mode: False)


def full(place: object, writer: str, error: Exception) -> Prepare:
    """A disk that is full once `writer` writes."""

    def write(*args: object, **options: object) -> None:
        raise error

    return lambda patch: patch.setattr(place, writer, write)


def stuck(patch: pytest.MonkeyPatch) -> None:
    """The new folder cannot be moved to its place, from which the old one has stepped aside."""
    replace = os.replace

    def move(source: Path, target: Path) -> None:
        if not target.exists() and not source.name.endswith(".old"):
            raise NO_SPACE
        replace(source, target)

    patch.setattr(folders, "_exchange", lambda one, other: False)
    patch.setattr(os, "replace", lambda a, b: move(a, b) if a.name.startswith(".") else replace(a, b))


def interrupted(patch: pytest.MonkeyPatch) -> None:
    """The state of an interrupted training of models/hgn."""
    epoch = train.train_epoch

    def once(*args: object) -> float:
        patch.setattr(train, "train_epoch", stop)
        return epoch(*args)

    def stop(*args: object) -> float:
        raise KeyboardInterrupt

    patch.setattr(train, "train_epoch", once)
    assert status(["run", "hgn", "events.csv", "--set", "embedding_dim=4", "epochs=9"]) == 130
    patch.setattr(train, "train_epoch", epoch)


def content(folder: Path) -> dict[str, bytes | None]:
    """All files, and None for all folders and all that is no file."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def check(
    bad: Bad, folder: Path, segue: Callable[[list[str]], tuple[int, str, str]], patch: pytest.MonkeyPatch
) -> None:
    """Run the command: the message is the expected one, the exit code 2, and no file of the folder is changed."""
    if bad.file is not None:
        written("bad.csv", bad.file)(patch)
    bad.prepare(patch)
    before = content(folder)
    code, _, err = segue(bad.words())
    patch.undo()
    assert code == 2
    assert err.startswith("segue: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert re.search(bad.message, err)
    assert content(folder) == before
