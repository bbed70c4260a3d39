"""The publishers' files of HGN's logs: each format is read, and the authors' filters are applied."""

import dataclasses

import numpy as np
import pytest
from raw_logs import (
    BOOKS,
    CDS,
    CDS_WITHOUT_REVIEW,
    CHILDREN,
    COMICS,
    DAY,
    RULES,
    filtered,
    rating_line,
    review_line,
    shelf_line,
    sizes,
    write_dataset,
)

from segue.data.datasets.catalog import DATASETS, load_dataset
from segue.data.store import open_log, save_log
from segue.errors import DataError
from segue.io import json_hash

RAW = ["ml-20m", "amazon-cds", "amazon-books", "goodreads-children", "goodreads-comics"]


@pytest.fixture(autouse=True)
def shelf(tmp_path, monkeypatch):
    """The folder SEGUE_DATA, empty; an empty cache."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("SEGUE_DATA", str(folder))
    monkeypatch.setenv("SEGUE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SEGUE_QUIET", raising=False)
    return folder


FILES = [
    ("amazon-cds", f"ratings_{CDS}.csv", rating_line),
    ("amazon-cds", f"ratings_{CDS}.csv.gz", rating_line),
    ("amazon-cds", f"reviews_{CDS}.json", review_line),
    ("amazon-cds", f"reviews_{CDS}.json.gz", review_line),
    ("amazon-books", f"ratings_{BOOKS}.csv", rating_line),
    ("amazon-books", f"ratings_{BOOKS}.csv.gz", rating_line),
    ("amazon-books", f"reviews_{BOOKS}.json", review_line),
    ("amazon-books", f"reviews_{BOOKS}.json.gz", review_line),
    ("goodreads-children", f"{CHILDREN}.json", shelf_line),
    ("goodreads-children", f"{CHILDREN}.json.gz", shelf_line),
    ("goodreads-comics", f"{COMICS}.json", shelf_line),
    ("goodreads-comics", f"{COMICS}.json.gz", shelf_line),
    ("ml-20m", "ratings.csv", None),
]


@pytest.mark.parametrize(("name", "file", "form"), FILES, ids=[file for _, file, _ in FILES])
def test_the_filters_of_a_publishers_file(name, file, form, shelf, capsys):
    rows, entry = write_dataset(shelf, name, file, form)
    log = load_dataset(entry)
    assert capsys.readouterr().err == ""
    assert log.steps[0].rule.startswith(f"read {file}: ")
    assert log.steps[0].rule.endswith("in seconds; ties in random order")
    assert (log.steps[0].users, log.steps[0].items, log.steps[0].rows) == sizes(rows)
    assert log.steps[1].rule == "rating >= 4"
    left = filtered(rows, *RULES[name])
    assert 0 < len(left) < len([row for row in rows if row[2] >= 4]), "the filters have something to do"
    users, items = sorted({row[0] for row in left}), sorted({row[1] for row in left})
    assert log.items.tokens.to_list() == items
    user, item = log.events()
    rows_of_log = [
        (users[u - 1], items[i - 1], r, t) for u, i, r, t in zip(user, item, log.rating, log.time, strict=True)
    ]
    assert sorted(rows_of_log) == sorted(left)
    for u in range(1, log.num_users + 1):
        assert (np.diff(log.time[log.start[u] : log.stop[u]]) >= 0).all()


def test_ties_are_in_a_reproducible_random_order(shelf):
    _, entry = write_dataset(shelf, "amazon-cds", f"ratings_{CDS}.csv", rating_line)
    log = load_dataset(entry)
    user, item = log.events()
    tied = (np.diff(user) == 0) & (np.diff(log.time) == 0)
    rising = np.diff(item)[tied] > 0
    assert tied.sum() > 100
    assert 0.4 < rising.mean() < 0.6
    assert load_dataset(entry).fingerprint == log.fingerprint


def test_films_of_movielens_20m_have_titles(shelf):
    _, entry = write_dataset(shelf, "ml-20m", "ratings.csv", None)
    log = load_dataset(entry)
    assert log.titles([1, 3]) == ["American President, The (1995)", "103"]
    assert log.item_metadata["genres"].to_list()[:3] == [["Comedy", "Drama"], None, None]


def test_a_file_in_the_folder_of_the_data_set_is_preferred(shelf):
    (shelf / "ml-20m").mkdir()
    _, entry = write_dataset(shelf / "ml-20m", "ml-20m", "ratings.csv", None)
    (shelf / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,4,5\n2,2,4,5\n")
    assert len(load_dataset(entry)) == entry.num_rows


def test_options_replace_the_filters_of_the_data_set(shelf):
    rows, entry = write_dataset(shelf, "amazon-books", f"ratings_{BOOKS}.csv", rating_line)
    assert len(load_dataset(entry, min_rating=0)) == len(rows)
    some = load_dataset(entry, min_rating=5, user_core=3)
    assert [step.rule for step in some.steps[1:]] == ["rating >= 5", "at least 3 rows a user and 0 an item"]
    assert len(load_dataset(entry, name="mine")) == entry.num_rows


def test_other_numbers_than_the_published_are_reported_and_saved(shelf, tmp_path, capsys):
    _, entry = write_dataset(shelf, "goodreads-comics", f"{COMICS}.json.gz", shelf_line)
    other = dataclasses.replace(entry, num_users=entry.num_users + 1, num_rows=1234)
    log = load_dataset(other)
    actual, published = (
        f"{entry.num_users} users, {entry.num_items} items",
        f"{other.num_users} users, {entry.num_items} items, 1,234 rows",
    )
    message = capsys.readouterr().err
    assert f"goodreads-comics: {actual}" in message
    assert f"{published} are published: the file is another edition" in message
    assert "--min-rating" in message
    assert log.steps[-1].rule == f"not the published {published}"
    assert len(log) == log.steps[-1].rows == entry.num_rows
    assert open_log(save_log(log, tmp_path / "kept")).steps == log.steps


def test_another_edition_of_a_known_file_is_refused(shelf):
    _, entry = write_dataset(shelf, "amazon-books", f"ratings_{BOOKS}.csv", rating_line)
    with pytest.raises(
        DataError, match=r"Books\.csv: has 110 users, 90 items, .* but Amazon Books, raw, .* 22,507,155 rows"
    ):
        load_dataset(dataclasses.replace(entry, raw_size=DATASETS["amazon-books"].raw_size))


@pytest.mark.parametrize(
    ("name", "file", "text"),
    [
        ("amazon-books", f"ratings_{BOOKS}.csv", "A1,B1,five,1300000000\nA2,B2,4,1300000000\n"),
        ("amazon-cds", f"reviews_{CDS}.json", '{"reviewerID": "A1", "asin": \n'),
        ("goodreads-comics", f"{COMICS}.json", '{"user_id": "a", "book_id": "x", "rating": 4, "date_added": ""}\n'),
        (
            "goodreads-comics",
            f"{COMICS}.json",
            '{"user_id": "a", "book_id": "1", "rating": 4, "date_added": "today"}\n',
        ),
        ("ml-20m", "ratings.csv", "user,movie\n1,2\n"),
    ],
)
def test_files_of_another_layout_are_refused(name, file, text, shelf):
    (shelf / file).write_text(text)
    with pytest.raises(DataError, match=rf"{file}: cannot be read as .*; replace or delete it"):
        load_dataset(DATASETS[name])


def test_a_file_that_is_cut_short_is_refused(shelf):
    for name, file, form in (FILES[5], FILES[7], FILES[9]):
        _, entry = write_dataset(shelf, name, file, form)
        path = shelf / file
        path.write_bytes(path.read_bytes()[:-300])
        with pytest.raises(DataError, match=rf"{file}: cannot be read as"):
            load_dataset(entry)
        path.unlink()


def test_a_line_without_a_name_is_refused(shelf):
    lines = [review_line(1, "B1", 5, DAY), '{"asin": "B1", "overall": 5.0, "unixReviewTime": 86400}']
    (shelf / f"reviews_{CDS}.json").write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"CDs_and_Vinyl\.json, column 'user', row \d: empty"):
        load_dataset(DATASETS["amazon-cds"])


@pytest.mark.parametrize("name", [*RAW, "yoochoose-64", "yoochoose", "hcrnn-lastfm", "citeulike", "amazon-beauty"])
def test_instructions_for_a_missing_data_set(name):
    entry = dataclasses.replace(DATASETS[name], sources=())
    with pytest.raises(DataError) as caught:
        load_dataset(entry)
    tried, instructions = str(caught.value).splitlines()[1:]
    assert all(file in tried for file in entry.files)
    assert "https://" in instructions or "http://" in instructions
    assert instructions.endswith("then set SEGUE_DATA to the folder that holds it.")


def test_the_counts_of_table_2():
    """HGN (Ma et al., KDD 2019), Table 2."""
    printed = {
        "ml-20m": (129_797, 13_649, 9_921_393),
        "amazon-books": (52_406, 41_264, 1_856_747),
        "amazon-cds": (17_052, 35_118, 472_265),
        "goodreads-children": (48_296, 32_871, 2_784_423),
        "goodreads-comics": (34_445, 33_121, 2_411_314),
    }
    assert {name: d.size for name, d in DATASETS.items() if name in RAW} == printed


def test_the_list_of_cds_without_a_review_is_that_of_the_notebook():
    assert len(CDS_WITHOUT_REVIEW) == 97
    assert json_hash(CDS_WITHOUT_REVIEW) == "ad39695803311884", "the list as it was first written down"
