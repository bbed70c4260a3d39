"""HGN's Table 2: the sizes of its five logs after the filters of its authors."""

from __future__ import annotations

from segue.data.log import Log
from segue.papers.log_sizes import QUICK_NOTE, available_logs, size_notes, size_rows
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

LOGS = {
    "ML20M": "ml-20m",
    "Books": "amazon-books",
    "CDs": "hgn-cds",
    "Children": "goodreads-children",
    "Comics": "goodreads-comics",
}
# published figures, in the order of the logs
METHODS: dict[str, tuple[float, ...]] = {
    "users": (129_797, 52_406, 17_052, 48_296, 34_445),
    "items": (13_649, 41_264, 35_118, 32_871, 33_121),
    "interactions": (9_921_393, 1_856_747, 472_265, 2_784_423, 2_411_314),
    "density, %": (0.560, 0.086, 0.079, 0.175, 0.211),
}


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """Count the events of the logs that are available; nothing is trained."""
    logs = available_logs(LOGS)
    return Reproduction(
        title="HGN (KDD 2019), Table 2",
        rows=tuple(size_rows({title: _sizes(log) for title, log in logs.items()}, METHODS, LOGS)),
        notes=(*[QUICK_NOTE] * quick, *size_notes(logs, LOGS)),
        details={"quick": quick, "log": [LOGS[title] for title in logs]},
    )


def _sizes(log: Log) -> dict[str, float]:
    figures = (log.num_users, log.num_items, len(log), 100 * len(log) / (log.num_users * log.num_items))
    return dict(zip(METHODS, figures, strict=True))
