"""`read_names`: names of users or items from text, CSV, Parquet and JSON files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from segue.data.log import Vocab
from segue.errors import DataError
from segue.serving.name_files import read_names

VOCAB = Vocab(pl.Series(["u1", "u2", "METAL SIGN,RED", "Zoë"]))


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        ("users.txt", "u1\nMETAL SIGN,RED\n\nu1\n  Zoë\r\n", ["u1", "METAL SIGN,RED", "  Zoë"]),
        ("users", "﻿u2\nx", ["u2", "x"]),
        ("users.csv", 'user\nu1\n"METAL SIGN,RED"\n', ["u1", "METAL SIGN,RED"]),
        ("users.csv", "time,user_id\n1,007\n2,u2\n", ["007", "u2"]),
        ("users.csv", "customer\nu1\nu2\n", ["u1", "u2"]),
        ("users.tsv", "user\tage\nu1\t3\n", ["u1"]),
        ("users.json", '["u1", 7, "Zoë"]', ["u1", 7, "Zoë"]),
    ],
)
def test_names_are_read(tmp_path: Path, name: str, content: str, wanted: list[Any]) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8", newline="")
    assert read_names(tmp_path / name, "user", VOCAB) == wanted


def test_parquet_names_keep_their_type(tmp_path: Path) -> None:
    pl.DataFrame({"user": [3, 1, 3], "x": [0.5, 1, 2]}).write_parquet(tmp_path / "users.parquet")
    assert read_names(tmp_path / "users.parquet", "user", Vocab(pl.Series([1, 2, 3]))) == [3, 1]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("users.csv", "a,b\n1,2\n", r"users\.csv: has no column of users; call one column 'user' \(it has: a, b\)"),
        ("users.csv", "user,user_id\n1,2\n", "has several columns of users"),
        ("users.csv", "u1\nu2\n", r"its first line, 'u1', is a user and not a header"),
        ("users.csv", "user,x\nu1,1\n,2\n", "row 2 of column 'user' is empty; a user needs a name"),
        ("users.csv", "", "cannot be read as a file of users"),
        ("users.csv", "user\n", "has no users in it"),
        ("users.txt", "", "has no users in it"),
        ("users.txt", "user\nu1\n", "its first line, 'user', looks like a header"),
        ("users.json", "{", "is not JSON"),
        ("users.json", '{"user": 1}', "must be a JSON list of users, each a text or an integer"),
        ("users.json", "[1.5]", "must be a JSON list"),
        ("users.json", "[true]", "must be a JSON list"),
        ("users.parquet", "no parquet", "cannot be read as a file of users"),
    ],
)
def test_files_that_hold_no_names(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        read_names(tmp_path / name, "user", VOCAB)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read as a file of users \(No such file"):
        read_names(tmp_path / "none.txt", "user", VOCAB)
    with pytest.raises(DataError, match=r"cannot be read as a file of users \(Is a directory"):
        read_names(tmp_path, "user", VOCAB)


def test_bytes_that_are_no_text_and_numbers_that_are_no_names(tmp_path: Path) -> None:
    (tmp_path / "users.txt").write_bytes(b"\xff\xfe\x00u")
    with pytest.raises(DataError, match="cannot be read as a file of users"):
        read_names(tmp_path / "users.txt", "user", VOCAB)
    pl.DataFrame({"user": [1.5]}).write_parquet(tmp_path / "users.parquet")
    with pytest.raises(DataError, match="column 'user' holds values of type Float64; names are texts or integers"):
        read_names(tmp_path / "users.parquet", "user", VOCAB)
