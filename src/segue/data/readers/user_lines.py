"""Files of one user a line: the user and then their items, oldest first, as many as there are.

1 5 8 8 3         one delimiter, as in the files of SASRec's followers
2 7 5
3\t8 9 1          a delimiter after the user and others between the items
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from segue.data.readers.values import WHOLE

SEPARATORS = r'\s,;|"\[\]'  # between items of one field


def user_line_fields(rows: Sequence[Sequence[str]], delimiter: str, *, numbers: bool) -> str | None:
    """The pattern of the fields of a file of one user a line; None if these first rows do not look like one.

    In such a file without a header all fields are whole numbers, and the rows have different numbers of fields. A table
    with a broken row or two is not one: at least three different numbers of fields are needed, or half of the rows
    must differ from the most frequent one.

    Args:
        rows: the fields of the first rows.
        delimiter: the field separator.
        numbers: whether all fields must be whole numbers. Otherwise they may be any text.
    """
    pattern = r"\S+" if delimiter == " " else f"[^{re.escape(delimiter)}]+"
    filled = [[value for value in row if value] for row in rows]
    if numbers and all(len(row) == 2 for row in filled):
        pattern = f"[^{SEPARATORS}]+"
        filled = [re.findall(pattern, " ".join(row)) for row in filled]
        if max(map(len, filled)) < 4:  # "4,5" is a number with a comma
            return None
    if numbers and not all(re.match(WHOLE, value) for row in filled for value in row):
        return None
    lengths = [len(row) for row in filled]
    most, different = max(map(lengths.count, set(lengths))), len(set(lengths))
    vary = different > 2 or (different == 2 and 2 * most <= len(lengths))
    return pattern if vary and max(lengths) > 2 else None


def user_events(lines: pl.Series, pattern: str) -> tuple[pl.DataFrame, int]:
    """The events of lines of one user, with the columns user and item, and the number of lines without an item.

    Args:
        lines: the lines; those that are null are blank.
        pattern: the regular expression of the fields, blanks around a field do not count.
    """
    fields = lines.str.extract_all(pattern).list.eval(pl.element().str.strip_chars())
    fields = fields.list.eval(pl.element().filter(pl.element() != ""))
    fields = fields.filter(fields.list.len() > 0)
    alone = fields.list.len() == 1
    events = pl.DataFrame({"user": fields.list.first(), "item": fields.list.slice(1)}).filter(~alone)
    return events.explode("item"), int(alone.sum())
