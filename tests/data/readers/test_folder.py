"""The parts of a folder make one log, in the order of their numbers; names of folders become columns."""

import gzip
import os

import polars as pl
import pytest

from segue.data.readers import folder_files
from segue.data.readers.ingest import read_log
from segue.errors import DataError

HEAD = "user,item\n"


@pytest.fixture
def folder(tmp_path):
    """Write files to a folder; the folder."""

    def put(files):
        for name, content in files.items():
            path = tmp_path / "log" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, pl.DataFrame):
                content.write_parquet(path)
            else:
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / "log"

    return put


def pairs(log):
    user, item = log.events()
    return list(zip(log.users.names(user), log.items.names(item), strict=True))


def frame(user, item):
    return pl.DataFrame({"user": [user], "item": [item]})


@pytest.mark.parametrize("suffix", [".csv", ".txt", ".jsonl", ".parquet", ".csv.gz"])
def test_parts_are_read_in_the_order_of_their_numbers(folder, suffix):
    def part(user, item):
        if suffix == ".parquet":
            return frame(user, item)
        text = f'{{"user": {user}, "item": {item}}}\n' if suffix == ".jsonl" else f"{HEAD}{user},{item}\n"
        return gzip.compress(text.encode()) if suffix.endswith("gz") else text

    parts = {f"part-{n}{suffix}": part(n % 2, n) for n in (10, 9, 2, 1)}
    path = folder({**parts, "_SUCCESS": "", ".part-1.crc": "x", "notes.md": "notes"})
    assert pairs(read_log(path)) == [(0, 2), (0, 10), (1, 1), (1, 9)]


def test_names_are_text_in_all_parts_or_in_none(folder):
    log = read_log(folder({"1.csv": f"{HEAD}7,1\n007,2\n", "2.csv": f"{HEAD}7,3\n"}))
    assert log.users.tokens.to_list() == ["007", "7"]
    assert log.items.tokens.to_list() == [1, 2, 3]


def test_columns_may_stand_in_another_order(folder):
    assert pairs(read_log(folder({"1.csv": f"{HEAD}1,5\n", "2.csv": "item,user\n6,2\n"}))) == [(1, 5), (2, 6)]


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_names_of_folders_become_columns(folder, suffix):
    def part(item):
        return pl.DataFrame({"item": [item]}) if suffix == ".parquet" else f"item\n{item}\n"

    days = {("2024-01-02", "007"): 1, ("2024-01-01", "007"): 2, ("2024-01-01", "7"): 3}
    path = folder({f"date={day}/user={user}/part-0{suffix}": part(item) for (day, user), item in days.items()})
    log = read_log(path)
    assert pairs(log) == [("007", 2), ("007", 1), ("7", 3)]
    assert log.time.tolist() == [1704067200, 1704153600, 1704067200]


def test_numbers_in_names_of_folders_are_numbers(folder):
    log = read_log(folder({f"user={user}/part.parquet": pl.DataFrame({"item": [user]}) for user in (1, 2, 10)}))
    assert log.users.tokens.to_list() == [1, 2, 10]


def test_empty_parts_are_left_out(folder):
    assert len(read_log(folder({"1.csv": f"{HEAD}1,5\n", "2.csv": "", "3.csv": f"{HEAD}2,6\n"}))) == 2


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"1.csv": f"{HEAD}1,5\n", "2.csv": "who,item\n1,2\n"},
            r"2\.csv: its columns \(who, item\) are not those of 1",
        ),
        ({"1.csv": f"{HEAD}1,5\n", "2.jsonl": "{}"}, r"must hold .* of the same columns.*it holds 1\.csv, 2\.jsonl"),
        ({"1.csv": f"{HEAD}1,5\n", "2.csv": "2,6\n"}, r"2\.csv: its columns \(1, 2\)|a header and no rows"),
        ({"1.csv": ""}, "all of its files are empty"),
        ({"day=1/1.csv": f"{HEAD}1,5\n", "hour=1/1.csv": f"{HEAD}1,5\n"}, r"its folders \(hour\) are not those of"),
        ({"1.csv": f"{HEAD}1,5\n", "2.csv": f"{HEAD}1,2,3\n"}, r"2\.csv: row 1 \(line 2\) has 3 fields"),
    ],
)
def test_other_folders_are_refused(folder, files, message):
    with pytest.raises(DataError, match=message):
        read_log(folder(files))


def test_metadata_beside_the_parts_is_no_part(folder):
    path = folder({"1.parquet": frame(1, 5), "2.parquet": frame(2, 6), "x.items.parquet": frame(1, 5)})
    assert len(read_log(path)) == 2


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_names_of_folders_are_decoded(folder, suffix):
    def part(item):
        return pl.DataFrame({"item": [item]}) if suffix == ".parquet" else f"item\n{item}\n"

    users = {"u01%20a%2Fb": 1, "__HIVE_DEFAULT_PARTITION__": 2, "50%": 3}
    path = folder({f"user={user}/p{suffix}": part(item) for user, item in users.items()})
    assert read_log(path, drop_empty=True).users.tokens.to_list() == ["50%", "u01 a/b"]
    with pytest.raises(DataError, match="column 'user', row 2: empty"):
        read_log(path)


def test_folders_above_the_source_are_no_columns(folder):
    path = folder({f"day=7/hour={n}/p.parquet": frame(n, n) for n in (1, 2)})
    assert pairs(read_log(path / "day=7")) == [(1, 1), (2, 2)]


def test_tables_below_are_read_or_said(folder):
    path = folder({"2024/01/e.csv": f"{HEAD}1,5\n", "2024/02/e.csv": f"{HEAD}2,6\n"})
    log = read_log(path)
    assert pairs(log) == [(1, 5), (2, 6)]
    assert "all tables in 2024 are read as the parts of one log" in log.warnings[0]
    log = read_log(folder({"a.csv": f"{HEAD}1,7\n2,8\n"}))
    assert len(log) == 2
    assert "it has tables of its own, and those in 2024 are not read" in log.warnings[0]


def test_tables_below_a_partition_are_said(folder):
    log = read_log(folder({"shop=1/a.csv": f"{HEAD}1,7\n2,8\n", "shop=1/more/b.csv": f"{HEAD}1,7\n"}))
    assert "those in shop=1/more are not read" in log.warnings[0]


def test_files_of_a_delta_table_may_be_old(folder):
    log = read_log(folder({"a.parquet": frame(1, 5), "b.parquet": frame(2, 6), "_delta_log/0.json": "{}"}))
    assert "a Delta table is read as all of its Parquet files" in log.warnings[0]


@pytest.mark.parametrize("empty", [HEAD, "item,user\n", "", " \n"])
def test_parts_without_rows_are_left_out(folder, empty):
    parts = {"0.csv": empty, "1.csv": f"{HEAD}1,5\n2,6\n", "2.csv.gz": gzip.compress(empty.encode())}
    assert pairs(read_log(folder(parts))) == [(1, 5), (2, 6)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"user": [1], "item": [5]}, {"item": pl.Series([6], dtype=pl.Int32), "user": [2]}),
        ({"user": [1], "item": [5]}, {"user": [2.0], "item": [6.0], "price": [3.5]}),
        ({"user": [1], "item": [5], "shop": ["x"]}, {"user": ["2"], "item": pl.Series(["6"], dtype=pl.Categorical)}),
    ],
)
def test_parquet_parts_may_differ_in_what_does_not_matter(folder, one, other):
    log = read_log(folder({"a.parquet": pl.DataFrame(one), "b.parquet": pl.DataFrame(other)}))
    assert [tuple(map(int, pair)) for pair in pairs(log)] == [(1, 5), (2, 6)]


def test_the_finest_unit_of_times_is_kept(folder):
    def part(user, unit, ticks):
        return frame(user, user).with_columns(time=pl.Series([ticks]).cast(pl.Datetime(unit)))

    path = folder({"a.parquet": part(1, "us", 10**15), "b.parquet": part(2, "ns", 10**18 + 1)})
    assert read_log(path).time.tolist() == [10**18, 10**18 + 1]


def test_text_and_json_parts_may_have_columns_that_are_not_used(folder):
    assert len(read_log(folder({"a.csv": f"{HEAD}1,5\n", "b.csv": "user,shop,item\n2,x,6\n"}))) == 2


def test_a_needed_column_is_not_missing_in_a_part(folder):
    path = folder({"a.csv": "user,item,time\n1,5,9\n", "b.csv": f"{HEAD}2,6\n"})
    with pytest.raises(DataError, match=r"b\.csv: its columns \(user, item\) are not .*: it has no column 'time'"):
        read_log(path)
    assert len(read_log(path, time="")) == 2


def test_texts_about_the_data_are_no_parts(folder):
    assert len(read_log(folder({"README.txt": "Read me, please\n", "events.csv": f"{HEAD}1,5\n2,6\n"}))) == 2


def test_copies_of_a_part_are_said_or_refused(folder):
    path = folder({"events.csv": f"{HEAD}1,5\n2,6\n", "events (1).csv": f"{HEAD}1,5\n2,6\n"})
    assert "events.csv has the same content as events (1).csv; if it is a copy" in read_log(path).warnings[0]
    folder({"events.csv.gz": gzip.compress(HEAD.encode())})
    with pytest.raises(DataError, match=r"events\.csv and events\.csv\.gz are two forms of one table"):
        read_log(path)


@pytest.mark.parametrize("name", ["log.tab", "log.psv", "log.log"])
def test_further_suffixes_of_text(folder, name):
    assert len(read_log(folder({name: "user|item\n1|5\n2|6\n"}) / name)) == 2


LINES = '{"user": "ann", "item": 12, "ts": 30}\n{"user": "bob", "item": 7, "ts": 20, "extra": [1]}\n'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("log.jsonl", LINES),
        ("log.ndjson", "\ufeff" + LINES),
        ("log.json", LINES.replace("\n", "\r\n") + "\n"),
        ("log.json", "[" + LINES.replace("\n", ",", 1) + "]"),
        ("log.jsonl.gz", gzip.compress(LINES[:38].encode()) + gzip.compress(LINES[38:].encode())),
    ],
)
def test_json_is_read(folder, name, content):
    log = read_log(folder({name: content}) / name)
    assert pairs(log) == [("ann", 12), ("bob", 7)]
    assert log.time.tolist() == [30, 20]


def as_lines(rows):
    return "".join(f"{row}\n" for row in rows)


def as_array(rows):
    return "\ufeff[" + ",\n".join(rows) + "]"


@pytest.mark.parametrize("form", [as_lines, as_array])
def test_json_keys_that_are_not_used_may_have_any_values(folder, form):
    rows = [
        '{"user": "ann", "item": 12, "ts": 30, "tags": 1, "price": 2.5}',
        '{"user": "bob", "item": 7, "ts": 20, "tags": [1], "price": NaN}',
        '{"user": "bob", "item": "x", "tags": {"a": 1}, "ts": 21}',
    ]
    path = folder({"log.json": form(rows)}) / "log.json"
    log = read_log(path)
    assert pairs(log) == [("ann", "12"), ("bob", "7"), ("bob", "x")]
    assert log.time.tolist() == [30, 20, 21]
    with pytest.raises(DataError, match=r"column 'tags': has both 1 and \[1\]; write one form in all rows"):
        read_log(path, item="tags")


def test_a_byte_order_mark_before_an_array(folder):
    path = folder({"log.json": as_array(['{"user": 1, "item": 2}', '{"user": 2, "item": 3}'])})
    assert pairs(read_log(path / "log.json")) == [(1, 2), (2, 3)]


@pytest.mark.parametrize("content", ["[]", "{}\n", "[{}]", "{}\n{}\n"])
def test_json_without_values_is_empty(folder, content):
    with pytest.raises(DataError, match=r"log\.json: has no values; one event per row is needed"):
        read_log(folder({"log.json": content}) / "log.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty; one event per row"),
        (LINES + '{"user": 1, "it', r"line 3 is no JSON .*; give one JSON object per line"),
        (LINES + "[1, 2]\n", "line 3 is no JSON object; give one JSON object per line"),
        (LINES + '{"user": "eve", "ts": 4}\n', "column 'item', row 3: empty"),
        (LINES + '{"user": "eve", "item": 1.5, "ts": 4}\n', "row 3: 1.5 is not a whole number"),
        (LINES.replace("12", "[1]").replace("7", "[2]"), "cannot be a name"),
    ],
)
def test_bad_json_is_refused(folder, content, message):
    with pytest.raises(DataError, match=message):
        read_log(folder({"log.jsonl": content}) / "log.jsonl")


@pytest.mark.parametrize(
    ("name", "start", "program"),
    [
        ("log.csv.zst", b"", "zstd -d"),
        ("log.zip", b"", "unzip"),
        ("log.csv.bz2", b"", "bunzip2"),
        ("log.csv", b"\x28\xb5\x2f\xfd", "zstd -d"),
        ("log.csv", b"PK\x03\x04", "unzip"),
        ("log.csv", b"BZh91AY", "bunzip2"),
        ("log.csv", b"\xfd7zXZ\0", "unxz"),
    ],
)
def test_other_compressions_are_named(folder, name, start, program):
    with pytest.raises(DataError, match=rf"unpack it first \({program} {name}\)"):
        read_log(folder({name: start + b"x" * 20}) / name)


def test_a_folder_of_too_many_files_is_refused(folder, monkeypatch):
    path = folder({f"{name}/{n}.csv": f"{HEAD}{n},{n}\n" for name in "ab" for n in range(3)})
    monkeypatch.setattr(folder_files, "MAX_FILES", 8)  # 2 folders and 6 files
    assert len(read_log(path)) == 6
    folder({"a/c/notes.txt": ""})
    with pytest.raises(DataError, match=r"log: holds more than 8 files and folders; give a folder of"):
        read_log(path)


def test_a_file_that_is_found_twice_by_a_link_is_refused(folder):
    path = folder({"a/1.csv": f"{HEAD}1,5\n2,6\n"})
    (path / "a" / "again").symlink_to(".")
    with pytest.raises(DataError, match=r"again/1\.csv: is .*log/a/1\.csv again, by a symbolic link"):
        read_log(path)


@pytest.mark.parametrize(("place", "source"), [("log", "."), ("log/a", ".."), (".log", "."), (".log", "../.log")])
def test_the_current_folder_has_its_name(tmp_path, monkeypatch, place, source):
    (tmp_path / place).mkdir(parents=True)
    ((tmp_path / place) / source / "1.csv").write_text(f"{HEAD}1,5\n2,6\n")
    monkeypatch.chdir(tmp_path / place)
    log = read_log(source)
    assert log.name == "log"
    assert log.steps[0].rule.startswith(f"read {place.partition('/')[0]}: user")


def test_pipes_are_refused(tmp_path):
    os.mkfifo(tmp_path / "log.csv")
    with pytest.raises(DataError, match="can be read only once; write it to a file first"):
        read_log(tmp_path / "log.csv")


@pytest.mark.parametrize("option", [{"header": True}, {"header": False}, {"delimiter": ","}])
def test_options_of_text_are_refused_for_other_sources(folder, option):
    path = folder({"1.parquet": frame(1, 5), "2.jsonl": LINES})
    parts = folder({"parts/1.parquet": frame(1, 5), "parts/2.parquet": frame(2, 6)}) / "parts"
    for source in (path / "1.parquet", path / "2.jsonl", frame(1, 5), parts):
        with pytest.raises(DataError, match=f"{next(iter(option))} is an option of delimited text, and this is none"):
            read_log(source, **option)
