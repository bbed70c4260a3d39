"""Bodies of requests that are one thing, or several in a list: {"item": ...} or {"items": [{"item": ...}, ...]}.

Body = Annotated[Annotated[NewItem, ONE] | Annotated[NewItems, SEVERAL], one_or_several("items")]
"""

from __future__ import annotations

from typing import Any

from pydantic import Discriminator, Tag

ONE, SEVERAL = Tag("(one)"), Tag("(several)")


def one_or_several(field: str) -> Discriminator:
    """Tells the two bodies apart by the field that has the list, so that errors are those of one of them."""

    def which(body: Any) -> str:
        has_list = field in body if isinstance(body, dict) else hasattr(body, field)
        return (SEVERAL if has_list else ONE).tag

    return Discriminator(which)
