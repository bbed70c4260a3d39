"""`WhereOption`: the option --where COLUMN=VALUE, with several words or repeated, for rows of a log and for items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter

from segue.errors import ConfigError

WhereOption = Annotated[
    list[str] | None, Parameter(consume_multiple=True, negative=(), show_default=False, metavar="COLUMN=VALUE")
]


def parse_where(words: Sequence[str], example: str) -> dict[str, list[str]]:
    """The values of each column from the words after `--where`.

    >>> parse_where(["event=view", "event=purchase", "shop=uk"], "event=view")
    {'event': ['view', 'purchase'], 'shop': ['uk']}

    Args:
        words: each is COLUMN=VALUE. Several values of one column are alternatives.
        example: such a word, for messages.

    Raises:
        ConfigError: a word is not COLUMN=VALUE, or there is none.
    """
    if not words:
        raise ConfigError(f"--where: needs COLUMN=VALUE, such as --where {example}")
    where: dict[str, list[str]] = {}
    for word in words:
        column, equals, value = word.partition("=")
        if not equals or not column:
            raise ConfigError(f"--where {word}: must look like COLUMN=VALUE, such as --where {example}")
        where.setdefault(column, []).append(value)
    return where
