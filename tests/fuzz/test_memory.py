"""Opening a forged folder, or one that holds nothing but repetitions, takes a stated multiple of its size at most."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from forged_logs import rehash_log

from segue.data.store import save_log
from segue.data.synthetic import from_sequences
from segue.stored_files import DECODED

MANY = 20_000_000
SPARE = 1 << 26  # bytes: of the interpreter and of polars
PEAK = """
import resource, sys
from segue.data.store import open_log
from segue.errors import ArtefactError
import polars as pl
pl.DataFrame({"x": [1]}).write_parquet(sys.argv[2]); pl.read_parquet(sys.argv[2])  # what is loaded once
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    open_log(sys.argv[1])
except ArtefactError as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, error)
"""


def names(folder: Path, values: object, **options: object) -> None:
    pq.write_table(pa.table({"name": values}), folder / "items.parquet", compression="zstd", **options)


def one_column(folder: Path) -> None:
    names(folder, pa.array(np.arange(MANY)), use_dictionary=False, column_encoding={"name": "DELTA_BINARY_PACKED"})


def long_names(folder: Path) -> None:
    names(folder, pa.array(["a" * 65536 + str(n) for n in range(8000)]), use_dictionary=False)


def repeated_metadata(folder: Path) -> None:
    table = pa.table({f"x{n}": np.zeros(3, np.int64) for n in range(3)} | {"y": [[0] * MANY, None, None]})
    pq.write_table(table, folder / "item_table.parquet", compression="zstd")


FORGED = {
    "many users": (None, {"users": MANY}),
    "many rows": (None, {"rows": MANY}),
    "many items": (None, {"items": MANY}),
    "many items that are there": (one_column, {"items": MANY}),
    "long names": (long_names, {"items": 8000}),
    "long lists": (repeated_metadata, {"tables": ["item_table"]}),
}


@pytest.mark.slow
@pytest.mark.parametrize(("write", "change"), FORGED.values(), ids=FORGED)
def test_a_forged_folder_takes_little_memory(tmp_path, write, change):
    folder = save_log(from_sequences([[1, 2, 3]] * 9), tmp_path / "log")
    pl.DataFrame({"x": [1, 2, 3]}).write_parquet(folder / "item_table.parquet")
    if write is not None:
        write(folder)
    files = ["users.parquet", "items.parquet", "stop.npy", "item.npy"]
    files += [f"{name}.parquet" for name in change.get("tables", [])]
    rehash_log(folder, lambda facts: facts | change | {"files": dict.fromkeys(files, "")})
    rehash_log(folder)  # the hashes of these files
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(folder), str(tmp_path / "x")], capture_output=True, text=True, check=True
    )
    peak, _, message = done.stdout.partition(" ")
    assert "copy the whole folder again" in message
    assert int(peak) * 1024 < DECODED.limit(folder) + SPARE, message
