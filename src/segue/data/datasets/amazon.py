"""Amazon reviews: McAuley's files of 2014, and two logs that other authors have prepared from them.

    ratings_Books.csv      A2IIIDRK3PRRZY,0000000116,1.0,1395619200            no header; sorted by item
    reviews_Books.json.gz  {"reviewerID": "A2...", "asin": "00...", "overall": 1.0, "unixReviewTime": 1395619200, ...}
    meta_Books.json.gz     {'asin': '00...', 'title': 'Heavenly Highway Hymns', 'categories': [['Books', 'Arts']], ...}

Times are whole days. Only the four columns are read, as a stream, so that the texts of the reviews need not fit into
memory. The product file has one Python literal per line.
"""

from __future__ import annotations

import ast
import gzip
from collections.abc import Callable
from pathlib import Path

import polars as pl

from segue.data.datasets import hgn_preprocessing as hgn
from segue.data.datasets.dataset import Dataset, Reader, role_columns
from segue.data.log import Log
from segue.data.readers.json_lines import not_a_pattern
from segue.data.readers.table import Frame, Tables

RATINGS = pl.Schema({"user": pl.String, "item": pl.String, "rating": pl.Float32, "timestamp": pl.Int64})
REVIEWS = {"reviewerID": "user", "asin": "item", "overall": "rating", "unixReviewTime": "timestamp"}


def read_ratings(path: Path) -> Tables:
    """Read `ratings_Books.csv` (also .gz): user, item, rating, time, without a header."""
    events = pl.scan_csv(path, glob=False, has_header=False, schema=RATINGS).collect(engine="streaming")
    return hgn.shuffle_rows(events), None, None


def read_reviews(path: Path) -> Tables:
    """Read `reviews_Books.json` (also .gz): one JSON object per line."""
    types = dict(zip(REVIEWS, RATINGS.dtypes(), strict=True))
    events = pl.scan_ndjson(not_a_pattern(path), schema=types).collect(engine="streaming")
    return hgn.shuffle_rows(events.rename(REVIEWS)), None, None


def with_products(read: Reader) -> Reader:
    """A reader of ratings or reviews that adds titles and categories from the product file beside them.

    That is `meta_Books.json.gz` beside `ratings_Books.csv`; without it there is no item metadata.
    """

    def reader(path: Path) -> Tables:
        events, users, _ = read(path)
        category = path.name.partition("_")[2].partition(".")[0]
        files = (path.with_name(f"meta_{category}.json{suffix}") for suffix in (".gz", ""))
        return events, users, next((read_products(file) for file in files if file.is_file()), None)

    return reader


def read_products(path: Path) -> Frame:
    """Read `meta_Books.json` (also .gz): item, title, and category, which is the first of its paths, root first.

    Raises:
        ValueError: a line is not a product, or the file is cut short.
    """
    rows, number = [], 0
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
            for number, line in enumerate(lines, 1):  # noqa: B007
                product = ast.literal_eval(line)
                rows.append((product["asin"], product.get("title"), (product.get("categories") or [None])[0]))
    except (SyntaxError, KeyError, AttributeError, TypeError, EOFError) as error:
        raise ValueError(f"{path.name}, line {number}: is not a product") from error
    schema = pl.Schema({"item": pl.String(), "title": pl.String(), "category": pl.List(pl.String)})
    return pl.DataFrame(rows, schema=schema, orient="row")


def read_sequences(path: Path) -> Tables:
    """Read `hgn_cds.parquet` (user, item, order), and item names from `hgn_cds.items.parquet` (item, asin, ...)."""
    events = pl.read_parquet(path, glob=False).sort("user", "order").select("user", "item")
    item_file = path.with_suffix(".items.parquet")
    if not item_file.is_file():
        return events, None, None
    items = pl.read_parquet(item_file, glob=False)
    events = events.join(items.select("item", "asin"), on="item", how="left", maintain_order="left")
    metadata = items.drop("item").rename({"asin": "item"})
    return events.select("user", item="asin"), None, metadata if metadata.width > 1 else None


TERMS = "Amazon review data: for research; cite McAuley et al. 2015 and He and McAuley 2016"
HOMEPAGE = "https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html"
BASE_URL = "http://snap.stanford.edu/data/amazon/productGraph/categoryFiles/"


def hgn_dataset(
    name: str,
    category: str,
    *,
    size: tuple[int, int, int],
    raw_size: tuple[int, int, int],
    preprocess: Callable[[Log], Log],
    edition: str = "the edition of 2014",
) -> Dataset:
    """The raw ratings of one product category, filtered as for HGN; `size` is after the filters."""
    num_users, num_items, num_rows = size
    return Dataset(
        name=name,
        title=f"Amazon {category.replace('_', ' ')}, raw, as filtered for HGN",
        licence=TERMS,
        homepage=HOMEPAGE,
        num_users=num_users,
        num_items=num_items,
        num_rows=num_rows,
        files={
            f"ratings_{category}.csv": read_ratings,
            f"ratings_{category}.csv.gz": read_ratings,
            f"reviews_{category}.json.gz": read_reviews,
            f"reviews_{category}.json": read_reviews,
        },
        columns=role_columns(),
        instructions=f"download {BASE_URL}ratings_{category}.csv ({edition})",
        preprocess=preprocess,
        raw_size=raw_size,
        shuffled_ties=True,
    )


DATASETS = (
    hgn_dataset(
        "amazon-cds",
        "CDs_and_Vinyl",
        size=(17_052, 35_118, 472_265),
        raw_size=(1_578_597, 486_360, 3_749_004),
        preprocess=hgn.filter_cds,
    ),
    hgn_dataset(
        "amazon-books",
        "Books",
        size=(52_406, 41_264, 1_856_747),
        raw_size=(8_026_324, 2_330_066, 22_507_155),
        preprocess=hgn.filter_books,
        edition="the edition of 2014, 900 MB",
    ),
    Dataset(
        name="hgn-cds",
        title="Amazon CDs and Vinyl as prepared for HGN (Ma et al., KDD 2019)",
        licence=TERMS,
        homepage="https://github.com/allenjack/HGN",
        num_users=17_052,
        num_items=35_118,
        num_rows=472_265,
        files={"hgn_cds.parquet": read_sequences},
        columns=role_columns(time="", rating=""),
        instructions=(
            "run the data preparation of https://github.com/allenjack/HGN on CDs and write hgn_cds.parquet with "
            "columns user, item, order (and hgn_cds.items.parquet with item, asin)"
        ),
    ),
    Dataset(
        name="amazon-beauty",
        title="Amazon Beauty, 5-core, as prepared for S3-Rec (Zhou et al., CIKM 2020)",
        licence=TERMS,
        homepage="https://github.com/RUCAIBox/CIKM2020-S3Rec",
        num_users=22_363,
        num_items=12_101,
        num_rows=198_502,
        files={"s3rec_beauty.parquet": read_sequences},
        columns=role_columns(time="", rating=""),
        instructions=(
            "take data/Beauty.txt of https://github.com/RUCAIBox/CIKM2020-S3Rec and write s3rec_beauty.parquet with "
            "columns user, item, order"
        ),
    ),
)
