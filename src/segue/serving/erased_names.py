"""Names that stand in the places of erased users: a saved model keeps an id for each user of its training.

texts       erased 0f6c...  (32 hex digits)
numbers     from -2^62 down
"""

from __future__ import annotations

from secrets import randbelow, token_hex

import numpy as np
import polars as pl

from segue.data.log import Ids, Mask

LAST = -(2**62)
TEXT = r"^erased [0-9a-f]{32}$"


def erased_name(*, is_number: bool) -> int | str:
    """A new name that says nothing."""
    return LAST - randbelow(2**61) if is_number else f"erased {token_hex(16)}"


def is_erased(tokens: pl.Series) -> Mask:
    """(U,) whether each name of a user stands in the place of an erased one."""
    erased = tokens <= LAST if tokens.dtype.is_integer() else tokens.str.contains(TEXT)
    return erased.to_numpy()


def named_users(tokens: pl.Series) -> Ids:
    """The ids, from 1, of the users who were not erased."""
    return np.flatnonzero(~is_erased(tokens)) + 1
