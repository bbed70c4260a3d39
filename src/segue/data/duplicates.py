"""`Duplicates`: which of several rows with the same user and item a log keeps.

exact drops copies with the same time (and rating), keep drops nothing, first and last leave one row of each pair.
"""

from typing import Literal

Duplicates = Literal["exact", "keep", "first", "last"]
