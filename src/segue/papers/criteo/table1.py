"""Criteo's Table 1: the sizes of its logs, beside that of the log that stands for YooChoose here, and of its parts."""

from __future__ import annotations

from itertools import pairwise

from segue.data.log import Log
from segue.papers.criteo.common import LOG, PROTOCOL, PROTOCOL_NOTE, TITLE
from segue.papers.log_sizes import QUICK_NOTE, available_logs, size_notes, size_rows
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

LOGS = {"YooChoose": "yoochoose", TITLE: LOG}
TITLES = ("YooChoose", "Internal")  # of the paper's logs
# published figures, in the order of the titles; the paper gives the last one in its text, rounded to thousands
METHODS: dict[str, tuple[float, ...]] = {
    "sequences": (7_438_177, 1_910_177),
    "events": (31_708_408, 36_547_161),
    "distinct items": (37_483, 208_418),
    "training sequences": (),
    "validation sequences": (),
    "test sequences": (173_000,),
}


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """Count the events of the logs that are available; nothing is trained."""
    logs = available_logs(LOGS)
    return Reproduction(
        title="Criteo's study (2018), Table 1",
        rows=tuple(size_rows({title: _sizes(log) for title, log in logs.items()}, METHODS, TITLES)),
        notes=(*[QUICK_NOTE] * quick, PROTOCOL_NOTE, *size_notes(logs, LOGS)),
        details={"quick": quick, "log": [LOGS[title] for title in logs]},
    )


def _sizes(log: Log) -> dict[str, float]:
    """The figures of Table 1, and how many sequences are in each part of the split."""
    split = PROTOCOL.split(log)
    parts = [log.start, split.valid, split.test, log.stop]  # where each part of a sequence begins, and the end
    training, validation, test = (int((stop > start).sum()) for start, stop in pairwise(parts))
    figures = (log.num_users, len(log), log.num_items, training, validation, test)
    return dict(zip(METHODS, figures, strict=True))
