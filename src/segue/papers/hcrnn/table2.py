"""HCRNN's Table 2: the sizes of the logs, counted by prefixes as in the paper, and by whole sequences.

The paper counts prefixes: a sequence of n items counts as n - 1 sequences, with 2 to n clicks. Train includes
validation.
"""

from __future__ import annotations

from segue.data.datasets import catalog
from segue.data.datasets.citeulike import count_prefixes
from segue.data.log import Log
from segue.errors import DataError
from segue.evaluation.protocol import Protocol
from segue.papers.reproduction import Reproduction, Row
from segue.papers.run_cache import RunCache
from segue.reporting.console import say

_PROTOCOL = Protocol.named("session")
_LOGS = {"CiteULike": "citeulike", "LastFM": "hcrnn-lastfm", "MovieLens": "hcrnn-movielens"}
NO_DOWNLOAD = "LastFM"  # its log cannot be downloaded
# published figures, in the order of the logs
METHODS: dict[str, tuple[float, ...]] = {
    "sequences (train)": (38_724, 73_420, 136_233),
    "sequences (test)": (9_140, 17_829, 34_682),
    "clicks": (1_163_813, 4_575_159, 5_041_882),
    "items": (1_980, 5_778, 930),
    "avg. len": (24.31, 50.14, 29.50),
}
_NOTES = (
    "Sequences and clicks are counted by prefixes: a sequence of n items counts as n - 1 sequences, with 2 to n "
    "clicks. Train is training and validation together.",
    "Whole sequences and events are the actual sizes of the logs; the paper does not report them.",
)


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """Count the events of the logs; nothing is trained."""
    logs = {title: log for title, name in _LOGS.items() if (log := _load(title, name)) is not None}
    notes = list(_NOTES)
    if NO_DOWNLOAD not in logs:
        notes.append(f"{NO_DOWNLOAD}'s log is not available: its column has the published figures.")
    for log in logs.values():
        notes += [f"{log.name}: {step.rule}." for step in log.steps if step.rule.startswith("not the published")]
    if quick:
        notes.insert(0, "QUICK: the same figures, since nothing is trained.")
    rows = [row for title, log in logs.items() for row in _rows(title, log, missing=set(_LOGS) - set(logs))]
    details = {"quick": quick, "log": list(_LOGS.values())}
    return Reproduction(title="HCRNN (AAAI 2019), Table 2", rows=tuple(rows), notes=tuple(notes), details=details)


def _load(title: str, name: str) -> Log | None:
    try:
        return catalog.load_log(name)
    except DataError as error:
        if title != NO_DOWNLOAD:
            raise
        say(str(error))
        return None


def _rows(title: str, log: Log, *, missing: set[str]) -> list[Row]:
    """One row per figure; the published figures of missing logs are shown in columns of their own."""
    split = _PROTOCOL.split(log)
    test = split.log.stop > split.test
    (num_train, train_clicks), (num_test, test_clicks) = (
        count_prefixes(log.lengths[(log.lengths > 0) & part]) for part in (~test, test)
    )
    clicks, sequences = train_clicks + test_clicks, num_train + num_test
    measured = (num_train, num_test, clicks, log.num_items, clicks / sequences)
    rows = []
    for (figure, published), number in zip(METHODS.items(), measured, strict=True):
        by_log = dict(zip(_LOGS, published, strict=True))
        other_logs = {f"{other} published": by_log[other] for other in missing}
        rows.append(Row.counted(figure, title, number, published=by_log[title], other_logs=other_logs))
    whole = {"whole sequences": log.num_users, "events": len(log)}
    return [*rows, *(Row.counted(name, title, number) for name, number in whole.items())]
