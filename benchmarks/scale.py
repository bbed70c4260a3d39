"""Every step of segue on a log of 20 million rows, 4.9 million users and 1.0 million items: time and peak memory.

    python -m benchmarks.scale [--folder .bench/scale] [--only read,run-pop,run-seq-knn]
    python -m benchmarks.scale --folder .bench/long --rows 4000000 --users 15000 --only read,fit-seq-knn

The second command is for a log of long histories. Every user has at least one event and every item too. The other
events have users with the weights rank^-0.5, so that some have thousands, and items with the weights rank^-0.9. A step
is a command of segue in a process of its own; its figures are stored in the folder, and a stored step is not repeated.
Steps after the first need its log, and the last ones need models.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.ingest import skewed
from benchmarks.only import add_only
from benchmarks.process import elsewhere, run

SAMPLE = "--no-baselines --sample-users 10000 --sample-test-users 10000"
STEPS = {
    "read": "data events.parquet --out log",
    "data": "data log",
    "run-pop": f"run pop log {SAMPLE} --out models/pop",
    "run-recent-pop": f"run recent-pop log {SAMPLE} --out models/recent-pop",
    "run-item-knn": f"run item-knn log {SAMPLE} --out models/item-knn",
    "run-seq-knn": f"run seq-knn log {SAMPLE} --out models/seq-knn",
    "run-vs-knn": f"run vs-knn log {SAMPLE} --out models/vs-knn",
    "fit-seq-knn": "fit seq-knn log --out models/seq-knn-fitted",
    "fit-item-knn": "fit item-knn log --out models/item-knn-fitted",
    "evaluate": "evaluate models/pop models/recent-pop models/seq-knn --data log",
    "recommend": "recommend models/seq-knn --user 1",
    "recommend-all": "recommend models/pop --all -k 10 --out all.parquet",
}


def generate(path: Path, rows: int, users: int, items: int) -> None:
    """Write the log as Parquet; times are in seconds, in random order of the rows."""
    rng = np.random.default_rng(0)
    user = np.concatenate([np.arange(1, users + 1), skewed(users, 0.5, rng, rows - users)])
    item = np.concatenate([np.arange(1, items + 1), skewed(items, 0.9, rng, rows - items)])
    rng.shuffle(item)
    when = rng.integers(1_600_000_000, 1_700_000_000, rows)
    pl.DataFrame({"user_id": user, "item_id": item, "timestamp": when}).write_parquet(path)


def main() -> None:
    """Measure what is not stored, and print every step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(".bench/scale"))
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--users", type=int, default=4_900_000)
    parser.add_argument("--items", type=int, default=1_000_000)
    add_only(parser, STEPS, "step")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    events, stored = args.folder / "events.parquet", args.folder / "figures.json"
    if not events.exists():
        elsewhere(generate, events, args.rows, args.users, args.items)
    figures = json.loads(stored.read_text()) if stored.exists() else {}
    for name in args.only:
        if name not in figures:
            figures[name] = asdict(run([sys.executable, "-m", "segue", *STEPS[name].split()], args.folder))
            stored.write_text(json.dumps(figures, indent=1))
        used = figures[name]
        print(f"{name:15} {used['wall_s']:8.1f} s {used['cpu_s']:8.1f} CPU s {used['peak_mb']:8,.0f} MB", flush=True)


if __name__ == "__main__":
    main()
