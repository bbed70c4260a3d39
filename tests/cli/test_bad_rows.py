"""Text files whose rows, headers or formats are not what a log needs: one message, exit code 2, nothing is changed."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import polars as pl
import pytest

from .bad_input import Bad, Prepare, check, written
from .logs import broken, events

TITLED = events(header="user,item,time,title").replace("\n", ",a title\n").replace("title,a title", "title")
LONG = "u0,Me, Myself and Irene,1600000400"
PAIRS = events().partition("\n")[2].replace("u", "")
LINES = "".join(f"{user} {' '.join(map(str, range(1, user % 4 + 4)))}\n" for user in range(1, 13))
OBJECTS = "".join(f'{{"user": {n % 4}, "item": {n % 5}}}\n' for n in range(20))


def with_delimiter(delimiter: str, text: str = "") -> str:
    return (text or broken(5, LONG)).replace(",", delimiter)


def files(**contents: str | bytes) -> Prepare:
    """Files of a folder `parts`; `a_csv` is `parts/a.csv`."""
    puts: list[Callable[..., object]] = [
        written(f"parts/{name.replace('_', '.')}", content) for name, content in contents.items()
    ]
    return lambda patch: [put(patch) for put in puts]


def file(name: str, content: str | bytes) -> Prepare:
    return written(name, content)


ROWS = {
    "a comma in a title": Bad(
        "data bad.csv",
        r"row 2 \(line 3\) has 5 fields, the header has 4; put values that contain ',' in quotes",
        TITLED.replace("u0,1,1600000100,a title", "u0,1,1600000100,a title, long"),
    ),
    "semicolons": Bad("data bad.csv", r"row 5 \(line 6\) has 4 fields", with_delimiter(";")),
    "bars": Bad("data bad.csv", r"row 5 \(line 6\) has 4 fields", with_delimiter("|")),
    "tabs": Bad("data bad.csv", r"row 5 \(line 6\) has 4 fields", with_delimiter("\t")),
    "double colons": Bad("data bad.csv", r"row 5 \(line 6\) has 4 fields.*correct it", with_delimiter("::")),
    "spaces": Bad("data bad.csv", r"row 5 \(line 6\) has 2 fields", with_delimiter(" ", broken(5, "u0,4"))),
    "no title": Bad(
        "data bad.csv",
        r"row 2 \(line 3\) has 3 fields, the header has 4",
        TITLED.replace("u0,1,1600000100,a title", "u0,1,1600000100"),
    ),
    "a RecBole file": Bad(
        "data x.inter", r"x\.inter: row 5 \(line 6\) has 4", prepare=file("x.inter", with_delimiter("\t"))
    ),
    "a compressed file": Bad(
        "data x.csv.gz",
        r"x\.csv\.gz: row 5 \(line 6\)",
        prepare=file("x.csv.gz", gzip.compress(broken(5, LONG).encode())),
    ),
    "a part": Bad("data parts", r"b\.csv: row 5", prepare=files(a_csv=events(), b_csv=broken(5, LONG))),
    "titles": Bad("data events.csv --items bad.csv", r"bad\.csv: row 2 \(line 3\) has 3", "item,title\n1,A\n2,B, C\n"),
    "users": Bad("data events.csv --users bad.csv", r"bad\.csv: row 1 \(line 2\) has 1", "user,age\nu1\nu2,3\n"),
    "a line in a quoted field": Bad("data bad.csv", r"row 6 \(line 8\) has 2 fields", broken(5, '"u\n0",4,5\nu0,4')),
    "an open quote": Bad(
        "data bad.csv", r"row 5 \(line 6\) has a quotation mark that is never closed", broken(5, 'u0,"4,1')
    ),
    "a quote in a quoted field": Bad(
        "data bad.csv", r"row 5 \(line 6\) has a quotation mark inside a field; put", broken(5, 'u0,"4" x,1600000400')
    ),
    "an escaped quote": Bad(
        "data bad.csv", r"row 5 \(line 6\) has a quotation mark inside a field", broken(5, r'u0,"4 \"x\"",1600000400')
    ),
    "two kinds of line ends": Bad(
        "data bad.csv", r"row 5 .*a line end of another kind than the first line", broken(5, "u0,4,1\ru0,4,5")
    ),
    "a zero byte": Bad("data bad.csv", r"row 15001 .* has a zero byte", events(2500) + "u\0,1,1600000000\n"),
}

HEADERS = {
    "a range": Bad("data bad.csv", r"first line, 0,1,2, may be .*\(--no-header\) .*\(--header\)", f"0,1,2\n{PAIRS}"),
    "names without a header": Bad(
        "data bad.csv", r"columns are ann, tea\. .*say header=False \(--no-header\)", "ann,tea\nbob,jam\n"
    ),
    "a header in the middle": Bad("data bad.csv", r"row 5 is the header again", broken(5, "user,item,time")),
    "a header in the middle, without times": Bad("data bad.csv", r"row 3 is", "user,item\na,b\nc,d\nuser,item\n"),
    "a joined header with a mark": Bad("data bad.csv", r"row 73 is the header again", events() + "\ufeff" + events()),
    "a comment": Bad("data bad.csv", r"first line, # made by us, is neither", "# made by us\n1 2\n"),
    "the line of Excel": Bad("data bad.csv", r"first line, sep=.*, is neither", "sep=;\nuser;item\n1;2\n"),
    "a blank line below the header": Bad(
        "data bad.csv", r"the line below the header is blank; remove it", events().replace("\n", "\n\n", 1)
    ),
    "numbers with --header": Bad("data bad.csv --header", r"columns are 0, 0, |header has '0' twice", PAIRS),
    "a header with --no-header": Bad("data events.csv --no-header", r"no column looks like the user; .* 1, 2, 3"),
    "a header for Parquet": Bad(
        "data events.jsonl --header",
        r"events\.jsonl: header is an option of delimited text",
        prepare=file("events.jsonl", OBJECTS),
    ),
    "an event with the word order": Bad(
        "data bad.csv --user-col 1 --item-col 2",
        r"columns are u03, sku-9, order. .*\(--no-header\)",
        "u03,sku-9,order\nu4,sku-8,view\n",
    ),
    "row names without a header": Bad(
        "data bad.csv",
        r"row 1 .* has 4 fields, the header has 3; every row has a field more .* row names, to its start",
        '"user" "item" "ts"\n"1" "u1" "a" 5\n"2" "u2" "b" 6\n',
    ),
    "a delimiter at the end of rows": Bad(
        "data bad.csv", r"every row ends with ',' and the header does not", "user,item\nu1,a,\nu2,b,\n"
    ),
    "a delimiter that is none": Bad(["data", "events.csv", "--delimiter", "\\x00"], r"cannot separate fields"),
    "two delimiters": Bad("data bad.csv", r"',' and ';' fit equally well", "7;4,5\n8;3,5\n"),
    "lists of one length": Bad(
        "data bad.csv --no-header --user-col 1 --item-col 2",
        r"',' and '\|' both fit as delimiters; give one \(--delimiter\)",
        "u1,i1,7,3|10|17|5|9\nu2,i1,8,3|10|17|5|9\n",
    ),
    "a blank before a quotation mark": Bad(
        "data bad.csv",
        r"has a blank between the delimiter and a quotation mark; remove the blank",
        '"user", "item"\n"a", "b"\n',
    ),
    "an empty delimiter": Bad(["data", "events.csv", "--delimiter", ""], r"'' cannot separate fields.* tab"),
    "aligned columns": Bad(
        "data bad.csv", r"columns aligned by several spaces are not read", "user   item\n1      2\n"
    ),
}

FORMATS = {
    "options of text for a named data set": Bad(
        "data parts --no-header",
        r"a\.parquet: header is an option of delimited text",
        prepare=lambda patch: [
            written("parts/a.parquet")(patch),
            pl.read_csv("events.csv").write_parquet("parts/a.parquet"),
        ],
    ),
    "one user a line, columns named": Bad(
        "data bad.csv --user-col 1 --item-col 2", r"no column '1'.*each was read as a user and their items", LINES
    ),
    "one user a line, in words": Bad(
        "data bad.csv", r"no column looks like the user.*\(--no-header\)", "ann tea jam pie\nbob tea\neve jam pie\n"
    ),
    "lists of items": Bad("data bad.csv", r"'2,3,4' is a list; write one event per row", 'user,item\n1,"2,3,4"\n2,7\n'),
    "lists in brackets": Bad("data bad.csv", r"column 'item': .* is a list", 'user,item\n1,"[a, b]"\n2,[c]\n'),
    "single quotes": Bad(
        "data bad.csv", r"column 'user': every value is in single quotes", "user,item\n'a','x'\n'b','y'\n"
    ),
    "a device": Bad("data /dev/null", r"/dev/null: a pipe or a device, which can be read only once"),
    "cut JSON": Bad("data x.jsonl", r"x\.jsonl: line 20 is no JSON", prepare=file("x.jsonl", OBJECTS[:-5])),
    "no JSON objects": Bad("data x.jsonl", r"line 1 is no JSON object", prepare=file("x.jsonl", "[1]\n")),
    "empty JSON": Bad("data x.jsonl", r"x\.jsonl: empty", prepare=file("x.jsonl", "")),
    "a JSON row without an item": Bad(
        "data x.jsonl", r"column 'item', row 21: empty", prepare=file("x.jsonl", OBJECTS + '{"user": 1}\n')
    ),
    "Zstandard": Bad("data x.csv.zst", r"unpack it first \(zstd -d x\.csv\.zst\)", prepare=file("x.csv.zst", "x")),
    "ZIP": Bad("data bad.csv", r"unpack it first \(unzip bad\.csv\)", b"PK\x03\x04xxxxxxxx"),
    "parts of other columns": Bad(
        "data parts",
        r"b\.csv: its columns \(item, title\) are not those of a\.csv",
        prepare=files(a_csv=events(), b_csv="item,title\n1,A\n"),
    ),
    "parts of two formats": Bad(
        "data parts",
        r"parts: a folder must hold .* of the same columns",
        prepare=files(a_csv=events(), b_jsonl=OBJECTS),
    ),
    "an Iceberg table": Bad(
        "data lake",
        r"lake: a folder must hold .* it holds data, metadata; give one of its folders",
        prepare=lambda patch: [
            written("lake/data/a.csv", events())(patch),
            written("lake/metadata/v1.json", "{}")(patch),
        ],
    ),
    "a part and its compressed form": Bad(
        "data parts",
        r"parts: a\.csv and a\.csv\.gz are two forms of one table; delete one of them",
        prepare=files(a_csv=events(), a_csv_gz=gzip.compress(events().encode())),
    ),
    "a part without a needed column": Bad(
        "data parts",
        r"b\.csv: its columns \(user, item\) are not .*: it has no column 'time'",
        prepare=files(a_csv=events(), b_csv="user,item\nu1,2\n"),
    ),
    "a JSON column of several shapes": Bad(
        "data x.jsonl",
        r"x\.jsonl, column 'item': has both 0 and \[1\]; write one form",
        prepare=file("x.jsonl", OBJECTS + '{"user": 1, "item": [1]}\n'),
    ),
    "JSON without values": Bad("data x.json", r"x\.json: has no values", prepare=file("x.json", "[]")),
    "empty parts": Bad("data parts", r"parts: all of its files are empty", prepare=files(a_csv="", b_csv="")),
    "other folders": Bad(
        "data logs",
        r"its folders \(hour\) are not those of",
        prepare=lambda patch: [written(f"logs/{name}=1/a.csv", events())(patch) for name in ("day", "hour")],
    ),
    "ratings with a comma": Bad(
        "data bad.csv", r"'4,5' is not a number; write decimals with a point", "user;item;rating\n1;2;4,5\n2;3;5\n"
    ),
    "many rows without a user": Bad(
        "data bad.csv", r"row 7: empty, as in 6 of 72 rows; .*--drop-empty", events().replace("u1,", ",")
    ),
    "no row with a user": Bad("data bad.csv --drop-empty", r"every row has an empty user", "user,item\n,1\n,2\n"),
    "NULL for a time": Bad("data bad.csv", r"column 'time', row 5: empty \(NULL\)", broken(5, "u0,4,NULL")),
}


@pytest.mark.parametrize("bad", ROWS.values(), ids=ROWS)
def test_rows_that_cannot_be_read(bad, here, segue, monkeypatch):
    check(bad, here, segue, monkeypatch)


@pytest.mark.parametrize("bad", HEADERS.values(), ids=HEADERS)
def test_headers_that_cannot_be_read(bad, here, segue, monkeypatch):
    check(bad, here, segue, monkeypatch)


@pytest.mark.parametrize("bad", FORMATS.values(), ids=FORMATS)
def test_formats_that_cannot_be_read(bad, here, segue, monkeypatch):
    check(bad, here, segue, monkeypatch)
