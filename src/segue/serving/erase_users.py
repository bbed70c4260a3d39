"""`erase_users`: takes the name and the history of users out of the folder of a saved model.

The weights stay as they are, and so may traces of the events in them, until the model is trained anew. The number of
users stays, too, because a model may have a vector for each: an erased user keeps an id and loses the name, the
metadata and all events. `model.json` keeps the fingerprints of the model and of the log that it was trained on.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from segue.data.filters import keep_rows
from segue.data.log import Ids, Log, Vocab
from segue.data.time_units import in_microseconds
from segue.errors import ArtefactError
from segue.folders import atomic_folder
from segue.io import file_hash, reason, write_json
from segue.models.base.model import Sizes
from segue.serving.erased_names import erased_name
from segue.serving.model_facts import PAYLOAD, REPAIR, facts_hash, fingerprint_of
from segue.serving.saved_model import read_facts
from segue.serving.stored_log import read_stored_log, write_stored_log
from segue.stored_files import check_hashes
from segue.temporary import exclusive_folder

REPLACED = "the folder was replaced while users were erased from it; erase them again"


@dataclass(frozen=True)
class ErasedFromModel:
    """What was taken out of a folder.

    Attributes:
        users: number of names.
        events: number of events.
    """

    users: int
    events: int


def erase_users(folder: Path, erased: Mapping[str, int | None]) -> ErasedFromModel:
    """Rewrite the folder of a saved model without some users, atomically; it stays as it is if it has none of them.

    Whoever else rewrites or saves the model at the same time, in any process, does so before or afterwards.

    Args:
        folder: the folder.
        erased: names of users, and a time in microseconds since 1970 up to which their events are erased; None for all.
            Somebody who came back keeps the name and the later events.

    Raises:
        ArtefactError: the folder is damaged or cannot be written.
    """
    with exclusive_folder(folder):
        return _rewrite(folder, erased)


def _rewrite(folder: Path, erased: Mapping[str, int | None]) -> ErasedFromModel:
    facts = read_facts(folder)
    hashes = dict(facts["files"])
    facts["identity"] = fingerprint_of(facts)
    check_hashes(folder, {name: hashes[name] for name in PAYLOAD}, repair=REPAIR)
    sizes, about_log = Sizes.from_dict(facts["sizes"]), facts["log"]
    log = read_stored_log(folder, about_log["name"], sizes, about_log.get("events"), repair=REPAIR)
    without, counts = log_without(log, erased)
    if not counts.users and not counts.events:
        return counts
    try:
        with atomic_folder(folder) as temporary:
            shutil.copytree(folder, temporary, dirs_exist_ok=True)
            write_stored_log(without, temporary)
            facts["log"] = {**about_log, "events": len(without)}
            facts["files"] = {**hashes, **{name: file_hash(temporary / name) for name in PAYLOAD}}
            facts["hash"] = facts_hash(facts)
            write_json(temporary / "model.json", facts)
            if read_facts(folder)["files"] != hashes:
                raise ArtefactError(f"{folder}: {REPLACED}")
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ArtefactError(f"{folder}: cannot be written ({reason(error)}); nothing was changed") from error
    return counts


def log_without(log: Log, erased: Mapping[str, int | None]) -> tuple[Log, ErasedFromModel]:
    """A log without the names and events of some users; the arguments are those of `erase_users`."""
    tokens = [str(token) for token in log.users.tokens]
    present = {index: erased[name] for index, name in enumerate(tokens, 1) if name in erased}
    if not present:
        return log, ErasedFromModel(0, 0)
    user, _ = log.events()
    kept = np.ones(len(user), np.bool_)
    for index, until in present.items():
        rows = user == index
        kept &= ~(rows if until is None or log.time is None else rows & (_microseconds(log) <= until))
    lengths = np.bincount(user[kept], minlength=log.num_users + 1)
    nameless = [index for index in present if lengths[index] == 0]
    without = replace(
        keep_rows(log, kept),
        users=Vocab(_renamed(log.users.tokens, nameless)),
        user_metadata=_blanked(log.user_metadata, nameless),
    )
    return without, ErasedFromModel(len(nameless), int((~kept).sum()))


def _microseconds(log: Log) -> Ids:
    """The time of each event; times that are no dates count as older than all dates."""
    assert log.time is not None
    if log.time_unit is None:
        return np.full(len(log), np.iinfo(np.int64).min)
    return in_microseconds(log.column(log.time), log.time_unit)


def _renamed(tokens: pl.Series, ids: list[int]) -> pl.Series:
    """The names of users, with names that say nothing for the erased ones."""
    values, whole = tokens.to_list(), tokens.dtype.is_integer()
    for index in ids:
        values[index - 1] = erased_name(is_number=whole)
    return pl.Series(tokens.name, values, dtype=pl.Int64 if whole else tokens.dtype)


def _blanked(table: pl.DataFrame | None, ids: list[int]) -> pl.DataFrame | None:
    """The metadata of users, empty for the erased ones. The part of a split stays: it says nothing about a user."""
    if table is None or not ids:
        return table
    rows = pl.Series([row in set(ids) for row in range(1, table.height + 1)])
    return table.with_columns(
        pl.when(rows).then(None).otherwise(pl.col(name)).alias(name) for name in table.columns if name != "split"
    )
