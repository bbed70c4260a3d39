"""`ColumnValue`, the value of a column of an item in a request: one plain value, a list of them, or null; and
`FeatureValue`, that of a feature of an event: one plain value or null.

The type of a value decides what it must be, so that an error is said of one kind of value, and not of each in turn.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from segue.service.http.names import Text

KINDS = {str: "(text)", bool: "(boolean)", int: "(whole)", float: "(fraction)", list: "(list)", type(None): "(null)"}


def kind_of(value: Any) -> str | None:
    """The kind of a value by its type; None for one that no column can have."""
    return KINDS.get(type(value))


def by_kind(what: str) -> Discriminator:
    """Tells values apart by their kinds.

    Args:
        what: what a value may be, for the message of an error.
    """
    return Discriminator(kind_of, custom_error_type="item_value", custom_error_message=f"must be {what}")


OneText = Annotated[Text, Field(max_length=1_000), Tag("(text)")]
Boolean = Annotated[bool, Tag("(boolean)")]
Whole = Annotated[int, Tag("(whole)")]
Fraction = Annotated[float, Field(allow_inf_nan=False), Tag("(fraction)")]
Plain = Annotated[OneText | Boolean | Whole | Fraction, by_kind("a text, a number, true or false")]
Nothing = Annotated[None, Tag("(null)")]
Several = Annotated[list[Plain], Field(max_length=1_000), Tag("(list)")]
ColumnValue = Annotated[
    OneText | Boolean | Whole | Fraction | Several | Nothing,
    by_kind("a text, a number, true, false, a list of such values, or null"),
]
Bounded = Annotated[int, Field(ge=-(2**63), lt=2**63), Tag("(whole)")]
FeatureValue = Annotated[
    OneText | Boolean | Bounded | Fraction | Nothing, by_kind("a text, a number, true or false, or null")
]
