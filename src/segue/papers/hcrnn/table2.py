"""HCRNN's Table 2: how large the logs are, counted as the paper counts and as they are.

The paper counts prefixes: a sequence of n items is n - 1 sequences, of 2 to n clicks. Train is training and validation.
"""

from __future__ import annotations

from segue.data.datasets import catalog
from segue.data.datasets.citeulike import counts
from segue.data.log import Log
from segue.errors import DataError
from segue.evaluation.protocol import Protocol
from segue.papers.reproduction import Reproduction, Row
from segue.papers.run_cache import RunCache
from segue.reporting.console import say

PROTOCOL = Protocol.named("session")
LOGS = {"CiteULike": "citeulike", "LastFM": "hcrnn-lastfm", "MovieLens": "hcrnn-movielens"}
BY_HAND = "LastFM"  # nothing fetches it
# what the paper prints, in the order of the logs
METHODS: dict[str, tuple[float, ...]] = {
    "sequences (train)": (38_724, 73_420, 136_233),
    "sequences (test)": (9_140, 17_829, 34_682),
    "clicks": (1_163_813, 4_575_159, 5_041_882),
    "items": (1_980, 5_778, 930),
    "avg. len": (24.31, 50.14, 29.50),
}
NOTES = (
    "Sequences and clicks are counted as prefixes: a sequence of n items makes n - 1 sequences, of 2 to n clicks. "
    "Train is training and validation together.",
    "Whole sequences and events are what the logs hold; the paper does not print them.",
)


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """Count the logs; nothing is trained."""
    found = {title: log for title, name in LOGS.items() if (log := _load(title, name)) is not None}
    notes = list(NOTES)
    if BY_HAND not in found:
        notes.append(f"{BY_HAND}'s log is not at hand: its column is the paper's.")
    for log in found.values():
        notes += [f"{log.name}: {step.rule}." for step in log.steps if step.rule.startswith("not the published")]
    if quick:
        notes.insert(0, "QUICK: the same, as there is nothing to train.")
    rows = [row for title, log in found.items() for row in _rows(title, log, absent=set(LOGS) - set(found))]
    details = {"quick": quick, "log": list(LOGS.values())}
    return Reproduction(title="HCRNN (AAAI 2019), Table 2", rows=tuple(rows), notes=tuple(notes), details=details)


def _load(title: str, name: str) -> Log | None:
    try:
        return catalog.load(name)
    except DataError as error:
        if title != BY_HAND:
            raise
        say(str(error))
        return None


def _rows(title: str, log: Log, *, absent: set[str]) -> list[Row]:
    """One row a figure; what the paper prints for logs that are absent stands beside it."""
    split = PROTOCOL.split(log)
    test = split.log.stop > split.test
    (learnt, read), (asked, shown) = (counts(log.lengths[(log.lengths > 0) & part]) for part in (~test, test))
    ours = (learnt, asked, read + shown, log.num_items, (read + shown) / (learnt + asked))
    rows = []
    for (figure, printed), own in zip(METHODS.items(), ours, strict=True):
        paper = dict(zip(LOGS, printed, strict=True))
        elsewhere = {f"{other} paper": paper[other] for other in absent}
        rows.append(Row(method=figure, metric=title, ours=(float(own),), paper=paper[title], elsewhere=elsewhere))
    whole = {"whole sequences": log.num_users, "events": len(log)}
    return [*rows, *(Row(method=name, metric=title, ours=(float(own),)) for name, own in whole.items())]
