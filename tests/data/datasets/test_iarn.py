"""The logs of IARN from the publishers' files: each format is read, and the filter of the paper is applied."""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
import random
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from segue.data.datasets import amazon, iarn
from segue.data.datasets.catalog import DATASETS, load_dataset
from segue.data.item_features import feature_ids
from segue.errors import DataError
from segue.evaluation.protocols import PROTOCOLS

DAY = 86_400
REAL = Path(os.environ.get("SEGUE_DATA", "nowhere")) / "iarn_clothing.parquet"
SHOPS = {
    "iarn-electronics": "Electronics",
    "iarn-home": "Home_and_Kitchen",
    "iarn-sport": "Sports_and_Outdoors",
}


@pytest.fixture(autouse=True)
def shelf(tmp_path, monkeypatch):
    """The folder SEGUE_DATA, empty; an empty cache."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("SEGUE_DATA", str(folder))
    monkeypatch.setenv("SEGUE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SEGUE_QUIET", raising=False)
    return folder


def events():
    """(user, item, rating, day): busy and idle users, known and unknown items."""
    draw = random.Random(3)
    busy, known = ([draw.uniform(0.02, 0.5) for _ in range(n)] for n in (60, 40))
    return [
        (user, item, draw.randint(1, 5), 12_000 + draw.randrange(50))
        for item in range(40)
        for user in range(60)
        if draw.random() < busy[user] * known[item] * 2
    ]


def filtered(rows):
    """Only users and items with more than 3 ratings, until nothing changes."""
    while True:
        users, items = (Counter(row[column] for row in rows) for column in (0, 1))
        left = [row for row in rows if users[row[0]] > 3 and items[row[1]] > 3]
        if len(left) == len(rows):
            return left
        rows = left


def sizes(rows):
    return len({row[0] for row in rows}), len({row[1] for row in rows}), len(rows)


def entry(name, rows):
    """The entry of the catalogue with the counts of these rows."""
    users, items, left = sizes(filtered(rows))
    return dataclasses.replace(DATASETS[name], num_users=users, num_items=items, num_rows=left, raw_size=sizes(rows))


def write_ratings(path, rows):
    text = "".join(f"A{u:03d},B{i:03d},{r}.0,{DAY * d}\n" for u, i, r, d in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def write_reviews(path, rows):
    lines = [
        {"reviewerID": f"A{u:03d}", "asin": f"B{i:03d}", "overall": r, "unixReviewTime": DAY * d} for u, i, r, d in rows
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def write_products(path):
    known = [
        {"asin": "B000", "title": 'It\'s "new"', "categories": [["Goods", "Small"], ["Other"]], "price": 9.5},
        {"asin": "B001", "categories": [["Goods", "Large", "Red"]], "description": "'asin': 'B999'"},
        {"asin": "B002", "title": "Two"},
        {"asin": "B777", "title": "Without ratings", "categories": [["Goods"]]},
    ]
    text = "".join(f"{line}\n" for line in known)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def rows_of(log, number):
    """The log's rows by the numbers that they were written from."""
    user, item = log.events()
    users, items = log.users.names(user), log.items.names(item)
    rows = zip(users, items, log.rating, log.time, strict=True)
    return sorted((number(u), number(i), int(r), int(t) // DAY) for u, i, r, t in rows)


@pytest.mark.parametrize(("name", "category"), SHOPS.items())
@pytest.mark.parametrize(
    ("pattern", "suffix"), [("ratings_{}.csv", ".gz"), ("ratings_{}.csv", ""), ("reviews_{}.json", "")]
)
def test_amazon_with_categories(name, category, pattern, suffix, shelf, capsys):
    rows = events()
    (write_ratings if "csv" in pattern else write_reviews)(shelf / (pattern.format(category) + suffix), rows)
    write_products(shelf / f"meta_{category}.json{suffix}")
    log = load_dataset(entry(name, rows))
    assert capsys.readouterr().err == ""
    assert rows_of(log, lambda token: int(token[1:])) == sorted(filtered(rows))
    assert len(filtered(rows)) < len(rows), "the filter has something to do"
    assert [step.rule for step in log.steps[1:]] == ["at least 4 rows a user and 4 an item"]
    ids = log.items.ids(["B000", "B001", "B002"])
    assert log.titles(ids) == ['It\'s "new"', "B001", "Two"]
    table, names = feature_ids(log, "category")
    assert [[names[n - 1] for n in table[item] if n] for item in ids] == [
        ["Goods", "Small"],
        ["Goods", "Large", "Red"],
        [],
    ]


def test_amazon_without_a_product_file(shelf):
    rows = events()
    write_ratings(shelf / "ratings_Electronics.csv", rows)
    assert load_dataset(entry("iarn-electronics", rows)).item_metadata is None


@pytest.mark.parametrize("text", ["{'asin': 'B1', 'title': \n", "{'title': 'no number'}\n", "['B1']\n", "None\n"])
def test_an_invalid_product_file_is_refused(text, shelf):
    write_ratings(shelf / "ratings_Electronics.csv", events())
    (shelf / "meta_Electronics.json").write_text("{'asin': 'B000'}\n" + text)
    with pytest.raises(
        DataError, match=r"Electronics\.csv: cannot be read as .* \(meta_Electronics\.json, line 2: is not a product\)"
    ):
        load_dataset(DATASETS["iarn-electronics"])


def test_a_product_file_that_is_cut_short_is_refused(tmp_path):
    path = tmp_path / "meta_Books.json.gz"
    write_products(path)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(ValueError, match=r"meta_Books\.json\.gz, line \d: is not a product"):
        amazon.read_products(path)


def write_netflix(folder, rows):
    for part in range(4):
        with (folder / f"combined_data_{part + 1}.txt").open("w") as file:
            for item in range(part * 10, part * 10 + 10):
                days = [(u, r, d - 12_000) for u, i, r, d in rows if i == item]
                file.writelines(
                    [f"{item + 1}:\n", *(f"{u},{r},2003-0{1 + d // 25}-{1 + d % 25:02d}\n" for u, r, d in days)]
                )
    films = ["1,2003,Dinosaur Planet\n", "2,NULL,Isle of Man, The\n", "3,1997,Caf\xe9\n"]
    (folder / "movie_titles.csv").write_text("".join(films), encoding="latin-1")


def test_netflix(shelf, capsys):
    rows = events()
    write_netflix(shelf, rows)
    log = load_dataset(entry("iarn-netflix", rows))
    assert capsys.readouterr().err == ""
    user, item = log.events()
    rated = zip(log.users.names(user), log.items.names(item), log.rating, strict=True)
    assert sorted((u, i - 1, int(r)) for u, i, r in rated) == sorted(row[:3] for row in filtered(rows))
    assert 1_041_379_200 <= log.time.min() < log.time.max() < 1_046_476_800, "January and February of 2003"
    assert set(log.titles(log.items.ids([2, 3]))) <= {"Isle of Man, The", "Café (1997)", "2", "3"}
    assert log.titles(log.items.ids([1])) == ["Dinosaur Planet (2003)"]


def test_netflix_needs_all_of_its_files(shelf):
    rows = events()
    write_netflix(shelf, rows)
    (shelf / "combined_data_3.txt").unlink()
    with pytest.raises(DataError, match=r"combined_data_1\.txt: has .* but Netflix prize, raw, by the rule of IARN"):
        load_dataset(entry("iarn-netflix", rows))


@pytest.mark.parametrize(
    "line", ["7,five,2005-01-01\n", "7,5,yesterday\n", "seven,5,2005-01-01\n", "one:\n7,5,2005-01-01\n"]
)
def test_netflix_of_another_layout_is_refused(line, shelf):
    (shelf / "combined_data_1.txt").write_text(f"1:\n3,4,2005-01-01\n{line}")
    with pytest.raises(DataError, match=r"combined_data_1\.txt: cannot be read as Netflix prize"):
        load_dataset(DATASETS["iarn-netflix"])


def test_other_numbers_than_those_of_table_1_are_reported(shelf, capsys):
    rows = events()
    write_ratings(shelf / "ratings_Home_and_Kitchen.csv", rows)
    log = load_dataset(dataclasses.replace(DATASETS["iarn-home"], raw_size=sizes(rows)))
    assert "15,745 users, 19,383 items, 201,660 rows are published" in capsys.readouterr().err
    assert log.steps[-1].rule == "not the published 15,745 users, 19,383 items, 201,660 rows"


@pytest.mark.parametrize("name", [*SHOPS, "iarn-netflix", "iarn-clothing", "iarn-clothing-table1"])
def test_instructions_for_a_missing_data_set(name):
    with pytest.raises(DataError) as caught:
        load_dataset(DATASETS[name])
    tried, instructions = str(caught.value).splitlines()[1:]
    assert all(file in tried for file in DATASETS[name].files)
    assert "https://" in instructions or "http://" in instructions


def test_the_counts_of_table_1():
    """IARN (Pei et al., CIKM 2017), Table 1: users, items, ratings."""
    printed = {
        "iarn-netflix": (17_043, 9_598, 721_017),
        "iarn-electronics": (11_117, 15_985, 136_998),
        "iarn-home": (15_745, 19_383, 201_660),
        "iarn-sport": (11_723, 13_811, 127_178),
    }
    known = {name: one.size for name, one in DATASETS.items() if name in printed}
    assert known == printed


def test_clothing_keeps_users_and_items_with_three_training_ratings_each_counted_once(shelf, monkeypatch):
    draw = random.Random(7)
    pairs = sorted({(draw.randrange(40), draw.randrange(40)) for _ in range(150)})
    rows = [(user, item, draw.randint(1, 5)) for user, item in draw.sample(pairs, len(pairs))]
    train = rows[: len(rows) * 3 // 4]
    pl.DataFrame(
        {
            "user": [row[0] for row in rows],
            "item": [row[1] for row in rows],
            "rating": [float(row[2]) for row in rows],
            "order": [*range(len(train)), *range(len(rows) - len(train))],
            "split": ["train"] * len(train) + ["test"] * (len(rows) - len(train)),
        }
    ).write_parquet(shelf / "iarn_clothing.parquet")
    monkeypatch.setattr(iarn, "NUM_TRAIN", len(train))
    users, items = (Counter(row[column] for row in train) for column in (0, 1))
    kept = [row for row in rows if users[row[0]] >= 3 and items[row[1]] >= 3]
    assert len(kept) < len(rows)
    assert any(count < 3 for count in Counter(row[1] for row in kept if row in train).values()), "counted once"
    known = DATASETS["iarn-clothing-table1"]
    size = dict(zip(("num_users", "num_items", "num_rows"), sizes(kept), strict=True))
    log = load_dataset(dataclasses.replace(known, raw_size=sizes(rows), **size))
    user, item = log.events()
    named = zip(log.users.names(user), log.items.names(item), strict=True)
    assert sorted((int(u), int(i)) for u, i in named) == sorted(row[:2] for row in kept)


def test_all_numbers_of_table_1_come_out_for_clothing(monkeypatch):
    """Table 1: 19,939 users, 20,785 items, 135,128 ratings, 690 features, histories of 6.07 and 5.82 on average."""
    if not REAL.is_file():
        pytest.skip(f"SEGUE_DATA holds no {REAL.name}")
    monkeypatch.setenv("SEGUE_DATA", str(REAL.parent))
    log = load_dataset(DATASETS["iarn-clothing-table1"])
    train = PROTOCOLS["iarn-clothing"].split(log).train_valid
    num_users, num_items = int((train.lengths > 0).sum()), int((train.counts() > 0).sum())
    assert (num_users, num_items, len(log), len(feature_ids(log, "category")[1])) == (19_939, 20_785, 135_128, 690)
    assert [round(len(train) / count, 2) for count in (num_users, num_items)] == [6.07, 5.82]
