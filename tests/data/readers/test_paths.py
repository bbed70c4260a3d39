"""A path is the name of one file: `[`, `]`, `*` and `?` in it stand for themselves."""

import ast
import gzip
from pathlib import Path

import polars as pl
import pytest

import segue
from segue.data.datasets.goodreads import read_interactions
from segue.data.readers.ingest import read_log
from segue.data.store import save_log

ROWS = {"user": ["a", "b", "c"], "item": ["x", "y", "x"]}
OTHER = {"user": ["wrong", "worse"], "item": ["no", "not"]}
WRITERS = {
    "csv": lambda frame, path: frame.write_csv(path),
    "csv.gz": lambda frame, path: path.write_bytes(gzip.compress(frame.write_csv().encode())),
    "parquet": lambda frame, path: frame.write_parquet(path),
    "jsonl": lambda frame, path: frame.write_ndjson(path),
    "jsonl.gz": lambda frame, path: path.write_bytes(gzip.compress(frame.write_ndjson().encode())),
}


def both(folder, name, write):
    """Two files: `name` with a bracket, and the one that it stands for as a pattern; the first."""
    path, other = folder / name, folder / name.replace("[1]", "1").replace("*", "0").replace("?", "0")
    for file, rows in ((path, ROWS), (other, OTHER)):
        file.parent.mkdir(parents=True, exist_ok=True)
        write(pl.DataFrame(rows), file)
    return path


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("name", ["log[1]", "log*", "log?", "logs[1]/log"])
def test_another_file_is_not_read(tmp_path, suffix, name):
    path = both(tmp_path, f"{name}.{suffix}", WRITERS[suffix])
    assert read_log(path).users.tokens.to_list() == ["a", "b", "c"]


@pytest.mark.parametrize("suffix", WRITERS)
def test_parts_are_those_of_the_folder(tmp_path, suffix):
    path = both(tmp_path, f"logs[1]/log.{suffix}", WRITERS[suffix])
    assert read_log(path.parent).users.tokens.to_list() == ["a", "b", "c"]


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_metadata_are_those_of_the_file(tmp_path, suffix):
    log = read_log(pl.DataFrame(ROWS), items=both(tmp_path, f"items[1].{suffix}", WRITERS[suffix]))
    assert log.items.tokens.to_list() == ["x", "y"]


def test_a_saved_log_is_that_of_its_folder(tmp_path):
    for name, rows in (("log[1]", ROWS), ("log1", OTHER)):
        save_log(read_log(pl.DataFrame(rows)), tmp_path / name)
    assert read_log(tmp_path / "log[1]").users.tokens.to_list() == ["a", "b", "c"]


def test_a_data_set_is_that_of_its_folder(tmp_path):
    line = '{"user_id": "%s", "book_id": "1", "rating": 4, "date_added": "Tue Oct 25 15:52:04 -0700 2016"}\n'
    for name, user in (("books[1].json", "a"), ("books1.json", "wrong")):
        (tmp_path / name).write_text(line % user)
    assert read_interactions(tmp_path / "books[1].json")[0]["user"].to_list() == ["a"]


def test_all_files_are_opened_by_their_names():
    """Every function of polars that takes patterns gets `glob=False`, or a path that is no pattern."""
    takes_patterns = {"scan_csv", "read_csv", "scan_parquet", "read_parquet", "read_parquet_schema", "read_ndjson"}
    for path in Path(segue.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in takes_patterns:
                assert any(word.arg == "glob" for word in call.keywords) or call.func.value.id != "pl", (
                    f"{path.name}, line {call.lineno}: {call.func.attr} takes patterns"
                )
