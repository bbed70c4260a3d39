"""Whatever is in a file, reading it gives a log that is what `Log` says, or one `SegueError`; never anything else."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
from fuzzing import fuzz
from hypothesis import given
from hypothesis import strategies as st
from mutations import mutated

from segue.data.datasets.download import unpack
from segue.data.log_checks import log_problem
from segue.data.readers.ingest import read_log
from segue.errors import SegueError

FRAME = pl.DataFrame(
    {
        "user": [f"u{n % 5}" for n in range(30)],
        "item": [n * 7 % 11 for n in range(30)],
        "time": [1_600_000_000 + 60 * n for n in range(30)],
        "rating": [n % 5 + 0.5 for n in range(30)],
    }
)
CSV = FRAME.write_csv().encode()
JSON = FRAME.write_ndjson().encode()


def parquet() -> bytes:
    buffer = io.BytesIO()
    FRAME.with_columns(tags=pl.lit(["a", "b"])).write_parquet(buffer)
    return buffer.getvalue()


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ml/u.data", CSV)
    return buffer.getvalue()


FILES = {
    "a.csv": CSV,
    "a.tsv": CSV.replace(b",", b"\t"),
    "a.dat": CSV.partition(b"\n")[2].replace(b",", b"::"),
    "a.inter": CSV.replace(b",", b"\t").replace(
        b"user\titem\ttime\trating", b"user_id:token\titem_id:token\ttime:float\tr:float"
    ),
    "lines.txt": b"".join(b"%d %s\n" % (n, b" ".join(b"%d" % m for m in range(n % 7 + 2))) for n in range(30)),
    "a.jsonl": JSON,
    "a.json": b"[" + JSON.strip().replace(b"\n", b",") + b"]",
    "a.parquet": parquet(),
    "a.csv.gz": gzip.compress(CSV, mtime=0),
    "a.jsonl.gz": gzip.compress(JSON, mtime=0),
}


def check_reader(path: Path, content: bytes) -> None:
    """Read a file of this content."""
    path.write_bytes(content)
    with suppress(SegueError):
        log = read_log(path)
        assert not log_problem(log)
        assert log.num_users > 1 < log.num_items


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file(name, tmp_path):
    @fuzz(15)
    @given(mutated(FILES[name]))
    def check(content: bytes) -> None:
        check_reader(tmp_path / name, content)

    check()


NUMBERS = [
    "0",
    "-1",
    "007",
    "+7",
    "1e5",
    "1e999",
    "nan",
    "inf",
    "-0",
    "1_000",
    "1,5",
    "0x10",
    "9" * 25,
    "1.0",
    "٣",
    "½",
]
TIMES = [
    "2024-01-31",
    "2024-02-30",
    "31/12/2024",
    "12:30",
    "1600000000",
    "1600000000000",
    "1.6E+12",
    "9999-12-31T23:59:60Z",
]
TEXTS = [
    "",
    " ",
    "a",
    '"',
    '""',
    '"a',
    'a"b',
    '"a,b"',
    "a\tb",
    "a\nb",
    "a\rb",
    "\0",
    "\ufeff",
    "é",
    "e\u0301",
    "\u202e",
    "NULL",
    "#",
]
CELLS = st.sampled_from([*NUMBERS, *TIMES, *TEXTS, *"abcd"]) | st.text(max_size=5)
HEADERS = [
    "user,item,time,rating",
    "user_id:token,item_id:token,timestamp:float",
    "a,b",
    "user,item,user",
    "item,user,split",
    "",
]


@st.composite
def odd_table(draw: st.DrawFn) -> bytes:
    """A text file of rare values: numbers, times and texts in any of the forms that programs write."""
    header = draw(st.sampled_from(HEADERS))
    width = header.count(",") + 1
    rows = draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=8))
    delimiter = draw(st.sampled_from([",", "\t", ";", "|", "::", " "]))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    lines = [header.replace(",", delimiter)] * bool(header) + [delimiter.join(row) for row in rows]
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin1", "cp500"]))
    return end.join(lines).encode(encoding, "replace")


def test_odd_values(tmp_path):
    @fuzz(60)
    @given(odd_table(), st.sampled_from(["a.csv", "a.inter", "a.txt"]))
    def check(content: bytes, name: str) -> None:
        check_reader(tmp_path / name, content)

    check()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from([*NUMBERS, *TIMES, *TEXTS]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["user", "item", "x", ""]), inner, max_size=3)
    ),
    max_leaves=6,
)
ROWS = st.lists(
    st.dictionaries(st.sampled_from(["user", "item", "time", "rating", "split"]), VALUES), min_size=1, max_size=6
)


def test_odd_json(tmp_path):
    @fuzz(40)
    @given(ROWS, st.booleans())
    def check(rows: list[dict[str, object]], lines: bool) -> None:
        text = "\n".join(map(json.dumps, rows)) if lines else json.dumps(rows)
        check_reader(tmp_path / "a.json", text.encode())

    check()


def test_damaged_archives(tmp_path):
    (tmp_path / "place").mkdir()

    @fuzz(30)
    @given(mutated(zipped()))
    def check(content: bytes) -> None:
        (tmp_path / "a.zip").write_bytes(content)
        before = set(tmp_path.rglob("*"))
        try:
            unpack(tmp_path / "a.zip", {"ml/u.data": None}, tmp_path / "place" / "new")
        except SegueError:
            assert set(tmp_path.rglob("*")) == before
        else:
            (tmp_path / "place/new/u.data").unlink()
            (tmp_path / "place/new").rmdir()

    check()
