"""Saved logs that are damaged or forged: one message, exit code 2, and nothing is changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from forged_logs import rehash_log

from .bad_input import Bad, Prepare, check, edited, flipped, saved


def damaged(name: str, edit: Callable[[bytes], bytes | None]) -> Prepare:
    """A saved log one file of which goes through `edit`; None deletes it."""

    def prepare(patch: pytest.MonkeyPatch) -> None:
        saved(patch)
        edited(f"saved/{name}", edit)(patch)

    return prepare


def forged(name: str = "", values: object = None, **facts: object) -> Prepare:
    """A saved log with other values in a column, or with other facts, whose hashes were made right again."""

    def prepare(patch: pytest.MonkeyPatch) -> None:
        saved(patch)
        if name:
            column = np.load(f"saved/{name}.npy")
            column[0] = values
            np.save(f"saved/{name}.npy", column)
        rehash_log(Path("saved"), lambda about: {**about, **facts})

    return prepare


def replaced(path: str, make: Callable[[Path], object]) -> Prepare:
    """A saved log; and something else in the place of a file."""

    def prepare(patch: pytest.MonkeyPatch) -> None:
        saved(patch)
        Path(path).unlink()
        make(Path(path))

    return prepare


IN_PLACE = {
    "is gone": lambda path: None,
    "is a folder": Path.mkdir,
    "is a pipe": os.mkfifo,
    "is a device": lambda path: path.symlink_to("/dev/null"),
}
WITHOUT = r"a saved log without its file log\.json; copy the whole folder again"
AGAIN = "copy the whole folder again, or save the log again"
SAVED = {
    "an item that is another": Bad(
        "data saved", rf"saved/item\.npy: damaged \(its hash .*; {AGAIN}", prepare=damaged("item.npy", flipped)
    ),
    "a name that is another": Bad(
        "run pop saved", r"saved/users\.parquet: damaged \(its hash", prepare=damaged("users.parquet", flipped)
    ),
    "a column that is cut short": Bad(
        "data saved", r"saved/time\.npy: damaged", prepare=damaged("time.npy", lambda content: content[:-8])
    ),
    "a column that is gone": Bad(
        "data saved", r"saved/time\.npy: missing; copy", prepare=damaged("time.npy", lambda content: None)
    ),
    "a description that is cut short": Bad(
        "data saved", r"saved/log\.json: damaged, not JSON", prepare=damaged("log.json", lambda content: content[:99])
    ),
    "a description of other rules": Bad(
        "data saved",
        r"saved/log\.json: damaged \(its hash is not",
        prepare=damaged("log.json", lambda content: content.replace(b"read events", b"read others")),
    ),
    "a description that is too deep": Bad(
        "data saved", r"log\.json: damaged \(lists in lists", prepare=damaged("log.json", lambda content: b"[" * 99999)
    ),
    "a log of version 1": Bad(
        "data saved",
        r"saved/log\.json: version 1, but this segue reads version 2; save the log again, from its source",
        prepare=forged(version=1),
    ),
    "forged: item -1": Bad(
        "data saved", r"saved: its column item has an id outside 1 to \d+, the items", prepare=forged("item", -1)
    ),
    "forged: a late time": Bad(
        "run pop saved", r"saved: its column time has a time before that of the same", prepare=forged("time", 2**40)
    ),
    "forged: many users": Bad(
        "data saved", r"saved/stop\.npy: \d+ values .* expected 20,000,001 of <i8", prepare=forged(users=20_000_000)
    ),
    "forged: rows in text": Bad(
        "data saved", r"saved/log\.json: rows: must be a valid integer, not '72'", prepare=forged(rows="72")
    ),
    "forged: no columns": Bad("data saved", r"saved/log\.json: files: must be those of", prepare=forged(columns=[])),
    "forged: a fingerprint": Bad(
        "data saved --verify",
        rf"saved: the content is not that of its fingerprint; {AGAIN}",
        prepare=forged(fingerprint="0" * 16),
    ),
    **{
        f"its description {what}": Bad("data saved", f"saved: {WITHOUT}", prepare=replaced("saved/log.json", make))
        for what, make in IN_PLACE.items()
    },
    **{
        f"the description of a model {what}": Bad(
            "data models/pop",
            r"models/pop: a saved model without its file model\.json; copy the whole folder again",
            prepare=replaced("models/pop/model.json", make),
        )
        for what, make in IN_PLACE.items()
    },
    "nothing to verify": Bad("data events.csv --verify", r"events\.csv: no saved log, so it has no hashes to verify"),
}


@pytest.mark.parametrize("bad", SAVED.values(), ids=SAVED)
def test_a_saved_log_that_is_damaged_or_forged(bad, here, segue, monkeypatch):
    check(bad, here, segue, monkeypatch)
