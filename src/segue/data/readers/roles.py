"""Roles of columns: which column of a table holds the users, items, times and ratings.

user_id  movieId  ts                    rating          guess_column: role -> column name
user     item     time                  rating
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from segue.errors import DataError, did_you_mean

Role = Literal["user", "item", "time", "rating", "split", "event", "session", "impressions"]

# Usual column names in order of preference, compared without case and punctuation: "User ID" is "userid".
COLUMN_NAMES = {
    "user": "userid uid user username reviewerid reviewer customerid customer visitorid visitor memberid accountid "
    "clientid sessionid session sid",
    "item": "itemid iid item asin parentasin sku productid product movieid movie bookid trackid track songid artistid "
    "videoid articleid newsid contentid businessid venueid",
    "time": "timestamp time ts datetime eventtime eventtimestamp unixreviewtime unixtime date createdat order",
    "rating": "rating ratings stars overall score value",
    "split": "split",
    "title": "title movietitle producttitle booktitle name itemname productname",
    "year": "year releaseyear",
}
DOUBTFUL_RATINGS = ("overall", "score", "value")  # names of ratings that are often something else
REQUIRED = ("user", "item")


def simplify(name: str) -> str:
    """A column name in lower case without punctuation: "User ID" and user_id both become "userid"."""
    return re.sub(r"[\W_]", "", name.casefold())


def guess_column(role: str, columns: Sequence[str]) -> str | None:
    """The column for `role`: the first name in `COLUMN_NAMES[role]` that is among the columns, or None.

    >>> guess_column("user", ["Session ID", "userId", "sku"])
    'userId'
    """
    return next(iter(guess_columns(role, columns)), None)


def guess_columns(role: str, columns: Sequence[str]) -> list[str]:
    """All columns that may be the one for `role`, the likeliest first."""
    known = {simplify(column): column for column in reversed(columns)}
    return [known[name] for name in COLUMN_NAMES[role].split() if name in known]


def assign_roles(columns: Sequence[str], named: Mapping[str, str | None], where: str) -> dict[str, str]:
    """The column of each role. A name in `named` is preferred to a guess; an empty name means "no such column".

    A column of times is not guessed here, but by `time_column`, which looks at the values too.

    Raises:
        DataError: a named column is missing, no column fits user or item, or one column was named twice.
    """
    assigned: dict[str, str] = {}
    listed = ", ".join(columns)
    for role, name in named.items():
        if name is not None and name != "" and name not in columns:
            hint = did_you_mean(name, columns) or "."
            raise DataError(f"{where}: no column {name!r} for the {role}{hint} The columns are {listed}")
        column = name if name is not None else None if role == "time" else guess_column(role, columns)
        if column:
            assigned[role] = column
        elif role in REQUIRED:
            raise DataError(
                f"{where}: no column looks like the {role}; the columns are {listed}. "
                f'Name it: {role}="..." (--{role}-col on the command line)'
            )
    for role, column in assigned.items():
        first = next(other for other, same in assigned.items() if same == column)
        if first != role:
            raise DataError(f"{where}: column {column!r} cannot be both the {first} and the {role}")
    return assigned
