"""Reads 20 million events from CSV, filters (5-core), sorts and saves them: CPU seconds and peak memory.

    python -m benchmarks.ingest [--rows 20000000] [--text] [--shuffled]

The file has 200,000 users and 50,000 items, sampled with weights rank^-0.5 and rank^-1.3, times in seconds and ratings.
`--text` writes names such as u170248 instead of numbers, `--shuffled` keeps the rows in random order instead of time
order. Each figure is of the whole process that reads and writes, including its start. The target for 20 million rows is
15 CPU seconds and 2 GB.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl

from benchmarks.process import Cost, elsewhere, run

ROWS, USERS, ITEMS = 20_000_000, 200_000, 50_000
CHUNK = 5_000_000
READ = """
import sys
from segue.data.readers.ingest import read_log
from segue.data.store import open_log, save_log
save_log(read_log(sys.argv[1], user_core=5, item_core=5), sys.argv[2])
log = open_log(sys.argv[2])
print(log, *log.steps, sep="\\n  ")
"""


def skewed(n: int, exponent: float, rng: np.random.Generator, size: int) -> np.ndarray:
    """`size` samples of 1..n; the r-th most frequent number has the weight r ** -exponent."""
    weight = np.cumsum(np.arange(1, n + 1) ** -exponent)
    return rng.permutation(n)[np.searchsorted(weight, rng.random(size) * weight[-1])] + 1


def generate(path: Path, rows: int, *, text: bool, shuffled: bool) -> None:
    """Write the CSV, a few million rows at a time."""
    rng = np.random.default_rng(0)
    user, item = skewed(USERS, 0.5, rng, rows), skewed(ITEMS, 1.3, rng, rows)
    time = rng.integers(1_600_000_000, 1_700_000_000, rows)
    if not shuffled:
        time.sort()
    with path.open("wb") as file:
        for first in range(0, rows, CHUNK):
            part = slice(first, first + CHUNK)
            frame = pl.DataFrame({"user_id": user[part], "item_id": item[part], "timestamp": time[part]})
            if text:
                frame = frame.with_columns(pl.format("u{}", "user_id"), pl.format("item-{}", "item_id"))
            stars = rng.integers(1, 11, frame.height) / 2
            frame.with_columns(pl.Series("rating", stars)).write_csv(file, include_header=first == 0)


def measure_readings(rows: int, runs: int, *, text: bool = False, shuffled: bool = False) -> list[Cost]:
    """The costs of processes that each read the same file and save the log."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = str(Path(folder, "events.csv")), str(Path(folder, "log"))
        elsewhere(generate, Path(source), rows, text=text, shuffled=shuffled)
        return [run([sys.executable, "-c", READ, source, target]) for _ in range(runs)]


def main() -> None:
    """Measure, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--text", action="store_true", help="names instead of numbers")
    parser.add_argument("--shuffled", action="store_true", help="rows in random order")
    args = parser.parse_args()
    costs = measure_readings(args.rows, args.runs, text=args.text, shuffled=args.shuffled)
    seconds, peak = (median(values) for values in zip(*((cost.cpu_s, cost.peak_mb) for cost in costs), strict=True))
    print(f"{args.rows:,} rows: {seconds:.1f} CPU s, {peak:,.0f} MB peak (median of {args.runs})")


if __name__ == "__main__":
    main()
