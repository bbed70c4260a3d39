"""The publishers' files of HGN's logs, generated, with the entries of the catalogue that have their numbers.

rows, entry = write_dataset(folder, "amazon-books", "ratings_Books.csv", rating_line)
"""

import dataclasses
import gzip
import json
import random
from collections import Counter
from datetime import UTC, datetime

from segue.data.datasets import hgn_preprocessing
from segue.data.datasets.catalog import DATASETS
from segue.data.datasets.dataset import package_file

DAY = 86_400
CDS_WITHOUT_REVIEW = package_file(hgn_preprocessing.CDS_WITHOUT_REVIEW).split()
USERS, ITEMS = 110, 90
CDS, BOOKS = "CDs_and_Vinyl", "Books"
CHILDREN, COMICS = "goodreads_interactions_children", "goodreads_interactions_comics_graphic"
RULES = {  # users, items, then different items of a user
    "ml-20m": (10, 5, 0),
    "amazon-cds": (5, 8, 10),
    "amazon-books": (20, 20, 10),
    "goodreads-children": (10, 5, 0),
    "goodreads-comics": (10, 5, 0),
}


def events(items):
    """(user, item, rating, time) listed by item: busy and idle users, known and unknown items, few days."""
    draw = random.Random(5)
    busy = [draw.uniform(0.1, 1) for _ in range(USERS)]
    popularity = [draw.uniform(0.1, 1) for _ in items]
    return [
        (user, item, draw.choice([1, 3.5, 4, 4, 4.5, 5, 5]), DAY * (15_000 + draw.randrange(12)))
        for item, popular in zip(items, popularity, strict=True)
        for user in range(USERS)
        if draw.random() < busy[user] * popular
    ]


def numbers(count):
    return list(range(101, 101 + count))


def asins(count):
    return [*(f"B{n:09d}" for n in range(count - 2)), *CDS_WITHOUT_REVIEW[3:5]]


def write_movielens(folder, rows):
    lines = [f"{user + 1},{item},{rating},{time}\n" for user, item, rating, time in sorted(rows)]
    (folder / "ratings.csv").write_text("".join(["userId,movieId,rating,timestamp\n", *lines]))
    films = ['101,"American President, The (1995)",Comedy|Drama\n', "102,Nothing (1999),(no genres listed)\n"]
    (folder / "movies.csv").write_text("".join(["movieId,title,genres\n", *films]))


def writer(name, rows, *, compressed, form):
    """A writer of `name` with one line for each row."""

    def write(folder):
        text = "".join(form(*row) + "\n" for row in rows)
        (folder / name).write_bytes(gzip.compress(text.encode()) if compressed else text.encode())

    return write


def rating_line(user, item, rating, time):
    return f"A{user:013d},{item},{float(rating)},{time}"


def review_line(user, item, rating, time):
    line = {
        "reviewerID": f"A{user:013d}",
        "asin": item,
        "helpful": [2, 3],
        "reviewText": 'so "good"\nthat',
        "overall": rating,
    }
    return json.dumps({**line, "summary": "ok", "unixReviewTime": time, "reviewTime": "01 1, 2011"})


def shelf_line(user, item, rating, time):
    added = datetime.fromtimestamp(time, UTC).strftime("%a %b %d %H:%M:%S +0000 %Y")
    line = {"user_id": f"{user:032x}", "book_id": str(item), "review_id": "x", "is_read": True, "rating": rating}
    return json.dumps({**line, "date_added": added, "date_updated": "", "read_at": "", "started_at": ""})


def write_dataset(folder, name, file, form):
    """Write a file of data set `name`; its rows, and the entry of the catalogue with the counts of this file."""
    rows = events(asins(ITEMS) if name.startswith("amazon") else numbers(ITEMS))
    if form is None:
        write_movielens(folder, rows)
    else:
        writer(file, rows, compressed=file.endswith(".gz"), form=form)(folder)
    left = filtered(rows, *RULES[name])
    entry = DATASETS[name]
    return rows, dataclasses.replace(
        entry,
        sources=(),
        **dict(zip(("num_users", "num_items", "num_rows"), sizes(left), strict=True)),
        raw_size=entry.raw_size and sizes(rows),
    )


def filtered(rows, users, items, varied):
    """The rows after the authors' filters, each counted once."""
    rows = [row for row in rows if row[2] >= 4]
    count = Counter(row[0] for row in rows)
    rows = [row for row in rows if count[row[0]] >= users]
    count = Counter(row[1] for row in rows)
    rows = [row for row in rows if count[row[1]] >= items]
    rows = [row for row in rows if users != 5 or row[1] not in CDS_WITHOUT_REVIEW]
    count = Counter(user for user, _ in {row[:2] for row in rows})
    return [row for row in rows if count[row[0]] >= varied]


def sizes(rows):
    return len({row[0] for row in rows}), len({row[1] for row in rows}), len(rows)
