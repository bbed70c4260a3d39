"""Logs that cannot be read: one message, exit code 2, and nothing is changed."""

from __future__ import annotations

import gzip

import pytest

from .bad_input import Bad, check, parquet, saved, written
from .logs import broken, events

RATED = "user,item,time,rating\n" + "".join(f"u{u},{i},{i},5\n" for u in range(4) for i in range(6))


def divided(*parts: str) -> str:
    """`events()` with a column `split` that repeats `parts`; the last of them is that of all later rows of a user."""
    header, *rows = events().splitlines()
    word = [parts[min(n % 6, len(parts) - 1)] for n in range(len(rows))]
    return "".join([f"{header},split\n", *(f"{row},{part}\n" for row, part in zip(rows, word, strict=True))])


FILES = {
    "no such file": Bad("data nosuch.csv", r"nosuch\.csv: neither a file nor a data set .*: ml-100k, ml-1m, ml-20m,"),
    "unknown data set": Bad("data ml-100", r"ml-100: .*did you mean 'ml-100k'"),
    "no name": Bad(["data", ""], r"the name is empty; give a named data set, a file or a folder"),
    "folder without a log": Bad(
        "data logs", r"logs: a folder must hold .*readme\.md", prepare=written("logs/readme.md")
    ),
    "folder of a model": Bad("data models/pop", r"models/pop: is a saved model, not a log; give the data"),
    "empty file": Bad("data bad.csv", r"bad\.csv: .*empty", ""),
    "blank lines": Bad("data bad.csv", r"bad\.csv: .*empty", "\n\n\n"),
    "header only": Bad("data bad.csv", r"bad\.csv: a header and no rows", "user,item,time\n"),
    "no user column": Bad(
        "data bad.csv",
        r"bad\.csv: no column looks like the user; the columns are who, item, time\..*--user-col",
        events(header="who,item,time"),
    ),
    "no item column": Bad(
        "data bad.csv", r"no column looks like the item; .*--item-col", events(header="user,what,time")
    ),
    "no header": Bad(
        "data bad.csv", r"first line looks like data: .*columns go by number", events().partition("\n")[2]
    ),
    "column not in the file": Bad(
        "data events.csv --time-col tme", r"no column 'tme' for the time, did you mean 'time'"
    ),
    "one column twice": Bad("data events.csv --item-col user", r"column 'user' cannot be both the user and the item"),
    "duplicate header": Bad("data bad.csv", r"bad\.csv: the header has 'item' twice", events(header="user,item,item")),
    "row too long": Bad(
        "data bad.csv",
        r"bad\.csv: row 5 \(line 6\) has 4 fields, the header has 3; put values that contain ',' in quotes",
        broken(5, "u0,4,1600000400,7"),
    ),
    "row too short": Bad(
        "data bad.csv", r"bad\.csv: row 5 \(line 6\) has 2 fields, the header has 3", broken(5, "u0,4")
    ),
    "no rating where ratings are needed": Bad(
        "data bad.csv --min-rating 3",
        r"bad\.csv, column 'rating', row 3: empty; fill it in, .* or read without ratings: .*--rating-col",
        RATED.replace("u0,2,2,5", "u0,2,2,"),
    ),
    "no times of a saved log": Bad(
        ["data", "saved", "--time-col", ""], "a saved log has its columns already; leave out time", prepare=saved
    ),
    "no ratings of a saved log": Bad(
        ["run", "pop", "saved", "--rating-col", ""],
        "saved log has its columns already; leave out rating",
        prepare=saved,
    ),
    "no empty rows of a saved log": Bad(
        "data saved --drop-empty", "a saved log has its columns already; leave out drop_empty", prepare=saved
    ),
    "items of another shop": Bad(
        "data events.csv --items bad.csv",
        r"bad\.csv, column 'item_id': none of its items \('a', \.\.\.\) is in the log .* call it item_id in the header",
        "item_id,product,title\na,x,A\nb,y,B\n",
    ),
    "items without names": Bad(
        "data events.csv --items bad.csv", r"bad\.csv, column 'item': every row is empty", "item,title\n,A\n,B\n"
    ),
    "text for a rating": Bad(
        "data bad.csv",
        r"bad\.csv, column 'rating', row 3: 'good' is not a number",
        RATED.replace("u0,2,2,5", "u0,2,2,good"),
    ),
    "NaN for a time": Bad(
        "data bad.csv", r"bad\.csv, column 'time', row 5: empty \(NaN\); fill it in", broken(5, "u0,4,NaN")
    ),
    "negative time": Bad("data bad.csv", r"bad\.csv, column 'time', row 5: -5 is negative", broken(5, "u0,4,-5")),
    "no time": Bad("data bad.csv", r"bad\.csv, column 'time', row 5: empty; fill it in", broken(5, "u0,4,")),
    "text for a time": Bad("data bad.csv", r"row 5: 'tomorrow' is not a time .*2024-01-31", broken(5, "u0,4,tomorrow")),
    "no user": Bad("data bad.csv", r"bad\.csv, column 'user', row 5: empty", broken(5, ",4,1600000400")),
    "no item": Bad("data bad.csv", r"bad\.csv, column 'item', row 5: empty", broken(5, "u0,,1600000400")),
    "one user": Bad(
        "data bad.csv", r"bad: one user only: too few to evaluate .*is the user column the right one", events(users=1)
    ),
    "one item": Bad("data bad.csv", r"bad: one item only: nothing to rank", events(items=1)),
    "cores leave nothing": Bad(
        "data events.csv --user-core 7", r"'at least 7 rows a user.*' leaves nothing of 72 rows"
    ),
    "ratings leave nothing": Bad("data bad.csv --min-rating 6", r"'rating >= 6' leaves nothing of 24 rows", RATED),
    "rule without ratings": Bad(
        "data events.csv --min-rating 4", r"needs ratings and this log has none; name their column"
    ),
    "negative core": Bad("data events.csv --user-core -1", r"user_core=-1"),
    "text for a core": Bad("data events.csv --user-core few", r"--user-core: .*\"few\".*int.*See segue data --help"),
    "unknown choice": Bad("data events.csv --duplicates lst", r"\"lst\" for --duplicates.*\"keep\".*\"last\""),
    "selection by no column": Bad(
        "data events.csv --where usr=u1", r"no column 'usr' to select by, did you mean 'user'"
    ),
    "selection of no value": Bad("data events.csv --where user=u-1", r"column 'user' never has the value 'u-1'.*'u0'"),
    "selection without a value": Bad("data events.csv --where user", r"--where user: must look like COLUMN=VALUE"),
    "empty selection": Bad("data events.csv --where", r"--where: needs COLUMN=VALUE"),
    "bad delimiter": Bad("data events.csv --delimiter ab", r"events\.csv: 'ab' cannot separate fields"),
    "truncated Parquet": Bad("data bad.parquet", r"bad\.parquet: not a whole Parquet file", prepare=parquet(200)),
    "not gzip": Bad("data bad.csv.gz", r"bad\.csv\.gz: not a gzip file", prepare=written("bad.csv.gz", events())),
    "truncated gzip": Bad(
        "data bad.csv.gz",
        r"bad\.csv\.gz: ",
        prepare=written("bad.csv.gz", gzip.compress(events(99).encode(), mtime=0)[:200]),
    ),
    "binary": Bad("data bad.csv", r"bad\.csv: binary, not text", bytes(range(256))),
    "not UTF-8": Bad("data bad.csv", r"bad\.csv: not UTF-8; convert it", events().replace("u3", "ü3").encode("latin1")),
    "UTF-16": Bad("data bad.csv", r"bad\.csv: UTF-16", events().encode("utf-16")),
    "unsupported suffix": Bad(
        "data bad.xlsx", r"bad\.xlsx: cannot read \.xlsx files; give CSV", prepare=written("bad.xlsx")
    ),
    "titles of other items": Bad(
        "data events.csv --items bad.csv",
        r"bad\.csv, column 'item': none of its items \('x', .*same names",
        "item,title\nx,X\ny,Y\n",
    ),
    "users of another log": Bad(
        "data events.csv --users bad.csv",
        r"bad\.csv, column 'user': none of its users \('x', .*same names",
        "user,age\nx,1\ny,2\n",
    ),
    "titles without items": Bad(
        "data events.csv --items bad.csv", r"bad\.csv: no column looks like the item", "a,b\n1,2\n"
    ),
    "split out of order": Bad(
        "data bad.csv",
        r"bad\.csv, column 'split', row 3: train after the test of row 2 in the times of user 'u0', as in 12 places; .*"
        r"--split-col",
        divided("train", "test", "train"),
    ),
    "split with an unknown part": Bad(
        "run pop bad.csv",
        r"bad\.csv, column 'split', row 2: 'tset' is not a part; write train,",
        divided("train", "tset"),
    ),
    "split with an empty value": Bad(
        "data bad.csv", r"column 'split', row 2: empty; write train,", divided("train", "")
    ),
    "split without a test": Bad(
        "run pop bad.csv", r"bad: no row has test in the column split; .*--split-col", divided("train", "valid")
    ),
    "named column that is no split": Bad(
        "data events.csv --split-col item", r"column 'item' cannot be both the item and the split"
    ),
    "split column of a named data set that has none": Bad(
        "data events.csv --split-col fold", r"events\.csv: no column 'fold' for the split"
    ),
    "two splits that differ": Bad(
        "run pop bad.csv --users parts.csv",
        r"bad: the rows and the table of users bring two splits, which differ in the train rows of user 'u0'; ",
        divided("train", "train", "test"),
        prepare=written("parts.csv", "user,split\n" + "".join(f"u{u},train\n" for u in range(11)) + "u11,test\n"),
    ),
    "log over something else": Bad(
        "data events.csv -o full", r"full: is there and is not a saved log", prepare=written("full/x")
    ),
    "log over a file": Bad("data events.csv -o events.csv", r"events\.csv: is there and is not a saved log"),
}


@pytest.mark.parametrize("bad", FILES.values(), ids=FILES)
def test_a_log_that_cannot_be_read(bad, here, segue, monkeypatch):
    check(bad, here, segue, monkeypatch)
