"""Files that are not what a log is stored in, or hold far more than their size: one message, and nothing is changed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile

import polars as pl
import pytest

from segue.data.readers import head, packed_text, table
from segue.expansion import Expansion

from .bad_input import Bad, Prepare, check, written
from .logs import events

TEXT = events().encode()


def zipped(name: str = "events.csv") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, TEXT)
    return buffer.getvalue()


def parquet(**columns: object) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer)
    return buffer.getvalue()


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


def odd(name: str, content: bytes, message: str) -> Bad:
    """A file that cannot be read as a log."""
    return Bad(f"data {name}", message, prepare=written(name, content))


def limited(module: object, **limits: int) -> Prepare:
    """Limits that a small file reaches, too."""
    return lambda patch: [patch.setattr(module, name, value) for name, value in limits.items()]


def repeated(name: str, content: bytes, module: object, **limits: int) -> Prepare:
    return lambda patch: [prepare(patch) for prepare in (written(name, content), limited(module, **limits))]


PACKED = gzip.compress(TEXT, mtime=0)
ODD = {
    "a zip file": odd("bad.zip", zipped(), r"bad\.zip: cannot read \.zip files; unpack it first \(unzip bad\.zip\)"),
    "a zip file of RecBole": odd("bad.inter.zip", zipped("a.inter"), r"cannot read \.zip files; unpack it first"),
    "a zip file with another suffix": odd(
        "bad.csv", zipped(), r"bad\.csv: compressed in a way that is not read; unpack"
    ),
    "an empty zip file": odd("bad.csv", b"PK\x05\x06" + bytes(18), r"compressed in a way that is not read; unpack"),
    "zstandard": odd("bad.csv.zst", b"\x28\xb5\x2f\xfd", r"cannot read \.zst files; unpack it first \(zstd -d"),
    "lz4": odd("bad.csv", b"\x04\x22\x4d\x18 abc", r"compressed in a way that is not read; unpack .*lz4 -d"),
    "bzip2": odd("bad.csv", bz2.compress(TEXT), r"compressed in a way that is not read; unpack .*bunzip2"),
    "xz": odd("bad.csv", lzma.compress(TEXT), r"compressed in a way that is not read; unpack .*unxz"),
    "compress": odd("bad.csv", b"\x1f\x9d\x90abc", r"compressed in a way that is not read; unpack .*uncompress"),
    "rar": odd("bad.csv", b"Rar!\x1a\x07\x01\x00", r"compressed in a way that is not read; unpack .*unrar x"),
    "a tar file": odd("bad.tgz", PACKED, r"cannot read \.tgz files; unpack it first \(tar xf bad\.tgz\)"),
    "gzip, cut short": odd("bad.csv.gz", PACKED[:-20], r"bad\.csv\.gz: cannot be read .*Compressed file ended"),
    "gzip, of another text": odd(
        "bad.csv.gz", PACKED[:-8] + bytes(8), r"bad\.csv\.gz: cannot be read \(CRC check failed"
    ),
    "gzip, of another method": odd("bad.csv.gz", PACKED[:2] + b"\x07" + PACKED[3:], r"Unknown compression method"),
    "gzip in gzip": odd("bad.csv.gz", gzip.compress(PACKED), r"bad\.csv\.gz: binary, not text"),
    "gzip of repetitions": Bad(
        "data bad.csv.gz",
        r"bad\.csv\.gz: cut short or damaged \(it unpacks to more than 100 times its size\)",
        prepare=repeated(
            "bad.csv.gz", gzip.compress(TEXT + b"u1,1,1\n" * 50_000), packed_text, UNPACKED=Expansion(100, 100_000)
        ),
    ),
    "gzip of lines of one user": Bad(
        "data bad.txt.gz",
        r"bad\.txt\.gz: cannot be read \(it unpacks to more than 100 times its size\)",
        prepare=repeated(
            "bad.txt.gz",
            gzip.compress(b"1 2 3\n2 3 4 5\n3 4 5 6 7\n" * 20_000),
            packed_text,
            UNPACKED=Expansion(100, 100_000),
        ),
    ),
    "gzip of JSON": Bad(
        "data bad.jsonl.gz",
        r"bad\.jsonl\.gz: cut short or damaged \(it unpacks to more than 100 times its size\)",
        prepare=repeated(
            "bad.jsonl.gz", gzip.compress(b'{"user":1}\n' * 50_000), packed_text, UNPACKED=Expansion(100, 100_000)
        ),
    ),
    "a line without an end": Bad(
        "data bad.csv",
        r"bad\.csv: has a line that is longer than 1 MB; is this a table\?",
        prepare=repeated("bad.csv", b"user,item\n" + b"a" * (1 << 21), head, LONGEST=1 << 20),
    ),
    "Parquet of repetitions": Bad(
        "data bad.parquet",
        r"bad\.parquet: would take 0 GB of memory, [\d,]+ times its size; is it damaged\?",
        prepare=repeated(
            "bad.parquet", parquet(user=[1] * 10**6, item=[2] * 10**6), table, DECODED=Expansion(1000, 1000)
        ),
    ),
    "Parquet that is no Parquet": odd("bad.parquet", TEXT, r"bad\.parquet: not a whole Parquet file \(no Parquet file"),
    "Parquet of lists in lists": odd(
        "bad.parquet",
        parquet(user=[nested(40)], item=[1]),
        r"not a whole Parquet file \(its columns are nested too deep",
    ),
    "Parquet whose first page is damaged": odd(
        "bad.parquet",
        bytes(4).join(parquet(user=[1, 2], item=[1, 2]).split(b"\x15", 1)),
        r"bad\.parquet: not a whole Parquet file \(",
    ),
    "Parquet with objects for users": odd(
        "bad.parquet", parquet(user=[{"a": 1}, {"a": 2}], item=[1, 2]), r"column 'user': Struct.* cannot be a name"
    ),
    "Parquet with lists for items": odd(
        "bad.parquet", parquet(user=[1, 2], item=[[1], [2]]), r"column 'item': List\(Int64\) cannot be a name"
    ),
    "Parquet with lists for times": odd(
        "bad.parquet", parquet(user=[1, 2], item=[1, 2], time=[[1], [2]]), r"column 'time': List\(Int64\) is not a time"
    ),
    "Parquet with lists for ratings": odd(
        "bad.parquet", parquet(user=[1, 2], item=[1, 2], rating=[[1], [2]]), r"column 'rating': List.* is not a rating"
    ),
    "Parquet with lists for parts": Bad(
        "data bad.parquet --split-col fold",
        r"column 'fold': List\(Int64\) is no part; write train, valid or test",
        prepare=written("bad.parquet", parquet(user=[1, 2], item=[1, 2], fold=[[1], [2]])),
    ),
    "Parquet with a rating that does not fit": odd(
        "bad.parquet", parquet(user=[1, 2], item=[1, 2], rating=[1e39, 1.0]), r"column 'rating', row 1: 1e\+39 is not a"
    ),
    "titles that are lists": Bad(
        "data events.csv --items items.parquet",
        r"items\.parquet, column 'title': List\(String\) cannot be shown as a title; turn it into text",
        prepare=written("items.parquet", parquet(item=[0, 1], title=[["a"], ["b"]])),
    ),
    "titles that are bytes": Bad(
        "data events.csv --items items.parquet",
        r"items\.parquet, column 'title': Binary cannot be shown as a title",
        prepare=written("items.parquet", parquet(item=[0, 1], title=[b"\xff", b"b"])),
    ),
    "years that are lists": Bad(
        "data events.csv --items items.parquet",
        r"items\.parquet, column 'year': List\(Int64\) cannot be shown as a title",
        prepare=written("items.parquet", parquet(item=[0, 1], title=["a", "b"], year=[[1], [2]])),
    ),
    "metadata of lists of items": Bad(
        "data events.csv --items items.parquet",
        r"items\.parquet, column 'item': none of its items|column 'item': List\(Int64\) cannot be a name",
        prepare=written("items.parquet", parquet(item=[[0], [1]], title=["a", "b"])),
    ),
    "parts of users that are bytes": Bad(
        "run pop events.csv --users users.parquet --protocol given",
        r"events: the column split holds Binary; it may say train, valid, test",
        prepare=written("users.parquet", parquet(user=[f"u{n}" for n in range(12)], split=[b"\xff"] * 12)),
    ),
    "parts of users that are lists": Bad(
        "run pop events.csv --users users.parquet --protocol given",
        r"events: the column split holds List\(String\); it may say train, valid, test",
        prepare=written("users.parquet", parquet(user=[f"u{n}" for n in range(12)], split=[["train"]] * 12)),
    ),
    "JSON, too deep": odd(
        "bad.jsonl",
        b'{"user": 1, "x": ' + b"[" * 9999,
        r"bad\.jsonl: lists or objects in more than 64 others are not read",
    ),
    "JSON, too deep and well formed": odd(
        "bad.json", b'[{"user": 1, "x": ' + b'{"a":' * 500 + b"1" + b"}" * 501 + b"]", r"in more than 64 others are not"
    ),
    "a return inside of a field": odd(
        "bad.csv",
        b'user,item\n0,""\n0,a\rb\n',
        r"bad\.csv: its first lines cannot be cut into fields \(new-line character",
    ),
    "only a delimiter": odd("bad.csv", b",", r"bad\.csv: has no values; one event per row is needed"),
    "only quotation marks": odd("bad.csv", b'""', r"bad\.csv: has no values; one event per row is needed"),
    "very many columns": odd(
        "bad.csv",
        b",".join(b"column%d" % n for n in range(9999)) + b"\n" + b"1," * 9998 + b"1\n",
        r"bad\.csv: no column looks like the user; .{4000,6000} \.\.\.$",
    ),
    "a header that clears the screen": odd(
        "bad.csv", b"\x1b[2Juser,item\n1,2\n2,3\n", "no column .* are \ufffd\\[2Juser, item"
    ),
}


@pytest.mark.parametrize("bad", ODD.values(), ids=ODD)
def test_a_file_that_is_no_log(bad, here, segue, monkeypatch):
    check(bad, here, segue, monkeypatch)


@pytest.mark.parametrize("depth", [2, 30, 64])
def test_json_that_is_not_too_deep(here, segue, depth):
    """Brackets in text do not count."""
    lists, text = "[" * (depth - 1) + "]" * (depth - 1), "[" * 99
    rows = [f'{{"user": {n % 4}, "item": {n % 5}, "x": {lists}, "title": "{text}"}}\n' for n in range(20)]
    (here / "good.jsonl").write_text("".join(rows))
    code, _, err = segue("data good.jsonl")
    assert (code, err) == (0, "")
