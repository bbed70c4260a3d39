"""Amazon's reviews: McAuley's files of 2014, and two logs that authors have made of them.

    ratings_Books.csv      A2IIIDRK3PRRZY,0000000116,1.0,1395619200            no header; listed by item
    reviews_Books.json.gz  {"reviewerID": "A2...", "asin": "00...", "overall": 1.0, "unixReviewTime": 1395619200, ...}
    meta_Books.json.gz     {'asin': '00...', 'title': 'Heavenly Highway Hymns', 'categories': [['Books', 'Arts']], ...}

Times are whole days. Only the four columns are read, streaming, so that the reviews' texts need not fit into memory.
Products are told as Python would print them, one a line.
"""

from __future__ import annotations

import ast
import gzip
from collections.abc import Callable
from pathlib import Path

import polars as pl

from segue.data.datasets import hgn_preprocessing as hgn
from segue.data.datasets.dataset import Dataset
from segue.data.readers.table import Frame, Tables

RATINGS = pl.Schema({"user": pl.String, "item": pl.String, "rating": pl.Float32, "timestamp": pl.Int64})
REVIEWS = {"reviewerID": "user", "asin": "item", "overall": "rating", "unixReviewTime": "timestamp"}


def ratings(path: Path) -> Tables:
    """`ratings_Books.csv` (.gz too): user, item, rating, time, without a header."""
    events = pl.scan_csv(path, has_header=False, schema=RATINGS).collect(engine="streaming")
    return hgn.without_order_in_ties(events), None, None


def reviews(path: Path) -> Tables:
    """`reviews_Books.json` (.gz too): one JSON object a line."""
    types = dict(zip(REVIEWS, RATINGS.dtypes(), strict=True))
    events = pl.scan_ndjson(path, schema=types).collect(engine="streaming")
    return hgn.without_order_in_ties(events.rename(REVIEWS)), None, None


def categorised(read: Callable[[Path], Tables]) -> Callable[[Path], Tables]:
    """A reader of ratings or reviews that takes titles and categories of the products from the file beside it, such as
    `meta_Books.json.gz` beside `ratings_Books.csv`; if there is none, nothing is known of them."""

    def reader(path: Path) -> Tables:
        events, users, _ = read(path)
        name = path.name.partition("_")[2].partition(".")[0]
        beside = (path.with_name(f"meta_{name}.json{packed}") for packed in (".gz", ""))
        return events, users, next((products(place) for place in beside if place.is_file()), None)

    return reader


def products(path: Path) -> Frame:
    """`meta_Books.json` (.gz too): item, title, and category, the first of its paths, the root first.

    Raises:
        ValueError: a line is no product, or the file is cut short.
    """
    rows, number = [], 0
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
            for number, line in enumerate(lines, 1):  # noqa: B007
                told = ast.literal_eval(line)
                rows.append((told["asin"], told.get("title"), (told.get("categories") or [None])[0]))
    except (SyntaxError, KeyError, AttributeError, TypeError, EOFError) as error:
        raise ValueError(f"{path.name}, line {number}: is no product") from error
    schema = pl.Schema({"item": pl.String(), "title": pl.String(), "category": pl.List(pl.String)})
    return pl.DataFrame(rows, schema=schema, orient="row")


def sequences(path: Path) -> Tables:
    """`hgn_cds.parquet` (user, item, order); `hgn_cds.items.parquet` beside it (item, asin, ...) names the items."""
    events = pl.read_parquet(path).sort("user", "order").select("user", "item")
    beside = path.with_suffix(".items.parquet")
    if not beside.is_file():
        return events, None, None
    items = pl.read_parquet(beside)
    events = events.join(items.select("item", "asin"), on="item", how="left", maintain_order="left")
    known = items.drop("item").rename({"asin": "item"})
    return events.select("user", item="asin"), None, known if known.width > 1 else None


COLUMNS = {"user": "user", "item": "item", "time": "timestamp", "rating": "rating"}
ORDER = {"user": "user", "item": "item", "time": "", "rating": ""}
TERMS = "Amazon review data: for research; cite McAuley et al. 2015 and He and McAuley 2016"
FOLDER = "http://snap.stanford.edu/data/amazon/productGraph/categoryFiles/"

DATASETS = (
    Dataset(
        name="amazon-cds",
        title="Amazon CDs and Vinyl, raw, as filtered for HGN",
        licence=TERMS,
        homepage="https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html",
        users=17_052,
        items=35_118,
        rows=472_265,
        files={
            "ratings_CDs_and_Vinyl.csv": ratings,
            "ratings_CDs_and_Vinyl.csv.gz": ratings,
            "reviews_CDs_and_Vinyl.json.gz": reviews,
            "reviews_CDs_and_Vinyl.json": reviews,
        },
        columns=COLUMNS,
        by_hand=f"download {FOLDER}ratings_CDs_and_Vinyl.csv (the edition of 2014)",
        rules=hgn.cds,
        shuffled=True,
        raw=(1_578_597, 486_360, 3_749_004),
    ),
    Dataset(
        name="amazon-books",
        title="Amazon Books, raw, as filtered for HGN",
        licence=TERMS,
        homepage="https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html",
        users=52_406,
        items=41_264,
        rows=1_856_747,
        files={
            "ratings_Books.csv": ratings,
            "ratings_Books.csv.gz": ratings,
            "reviews_Books.json.gz": reviews,
            "reviews_Books.json": reviews,
        },
        columns=COLUMNS,
        by_hand=f"download {FOLDER}ratings_Books.csv (the edition of 2014, 900 MB)",
        rules=hgn.books,
        shuffled=True,
        raw=(8_026_324, 2_330_066, 22_507_155),
    ),
    Dataset(
        name="hgn-cds",
        title="Amazon CDs and Vinyl as prepared for HGN (Ma et al., KDD 2019)",
        licence=TERMS,
        homepage="https://github.com/allenjack/HGN",
        users=17_052,
        items=35_118,
        rows=472_265,
        files={"hgn_cds.parquet": sequences},
        columns=ORDER,
        by_hand=(
            "run the data preparation of https://github.com/allenjack/HGN on CDs and write hgn_cds.parquet with "
            "columns user, item, order (and hgn_cds.items.parquet with item, asin)"
        ),
    ),
    Dataset(
        name="amazon-beauty",
        title="Amazon Beauty, 5-core, as prepared for S3-Rec (Zhou et al., CIKM 2020)",
        licence=TERMS,
        homepage="https://github.com/RUCAIBox/CIKM2020-S3Rec",
        users=22_363,
        items=12_101,
        rows=198_502,
        files={"s3rec_beauty.parquet": sequences},
        columns=ORDER,
        by_hand=(
            "take data/Beauty.txt of https://github.com/RUCAIBox/CIKM2020-S3Rec and write s3rec_beauty.parquet with "
            "columns user, item, order"
        ),
    ),
)
