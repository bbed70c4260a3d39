"""The parameters of requests that say which items may be in the answer."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import Field

WHERE = (
    "Conditions on the columns of the items, as column:value. Those on one column are alternatives, and all columns "
    "must fit. Names and values may have colons."
)
AVAILABLE = "Leave out items that cannot be had now or have expired."
RULES = "Whether the rules of the shop are applied."
EXAMPLE = ["category:kitchen"]

Condition = Annotated[str, Field(min_length=1, max_length=1_000)]
WhereQuery = Annotated[list[Condition] | None, Query(max_length=100, description=f"{WHERE} Repeat the parameter.")]
