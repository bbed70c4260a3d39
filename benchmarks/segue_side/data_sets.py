"""The logs that are measured with: MovieLens from the cache, and Amazon CDs from the folder SEGUE_DATA."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segue.data.log import Log

AMAZON_CDS = "hgn-cds"
MOVIELENS = ("ml-100k", "ml-1m")


def load(name: str) -> Log:
    """A log; MovieLens is downloaded if it is not in the cache, where it is memory-mapped, as in any second run."""
    from segue.data.datasets import catalog

    if name in MOVIELENS:
        os.environ.pop("SEGUE_DATA", None)
    return catalog.load_log(name)


def fetch(_args: argparse.Namespace) -> dict[str, Any]:
    """Download what can be downloaded; returns the logs that are not available, with the reason."""
    from segue.errors import DataError

    missing = {}
    for name in (AMAZON_CDS, *MOVIELENS):
        try:
            load(name)
        except DataError as error:
            missing[name] = str(error)
    return {"missing": missing}


def export(args: argparse.Namespace) -> dict[str, Any]:
    """Write ml-1m as the peers' scripts read it: see `peers/events.py`."""
    import numpy as np

    log = load("ml-1m")
    user, item = log.events()
    offsets = np.searchsorted(user, np.arange(1, log.num_users + 2))
    args.events.parent.mkdir(parents=True, exist_ok=True)
    assert log.time is not None
    times = log.time[log.rows()]
    np.savez(args.events, items=item.astype(np.int64), offsets=offsets.astype(np.int64), times=times)
    return {"events": str(args.events), "rows": len(log)}
