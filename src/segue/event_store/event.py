"""`Event`: what a user did with an item, and when. What a service receives, and what its store keeps."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

Feature = str | float | bool | None
IMPORTED = "imported"  # the type of events that were copied from the log of a model


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        user: name of the user, or of an anonymous session.
        item: name of the item.
        time: microseconds since 1970, UTC.
        type: kind of the event, such as "view"; empty if there is only one kind.
        value: a number, such as a rating; None without one.
        id: identifies the event: a second event with the same id is the same event, sent again. By default
            `content_id`, so that the same event without an id is stored once.
        features: further facts, such as {"device": "mobile", "price": 9.99}; None for none.
    """

    user: str
    item: str
    time: int
    type: str = ""
    value: float | None = None
    id: str = ""
    features: Mapping[str, Feature] | None = None

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", content_id(self.user, self.item, self.time, self.type))


def content_id(user: str, item: str, time: int, type: str = "", occurrence: int = 0) -> str:
    """An id that is the same for the same content.

    Args:
        user: as in `Event`, like `item`, `time` and `type`.
        item: name of the item.
        time: microseconds since 1970.
        type: kind of the event.
        occurrence: number of equal events before this one, for sources in which they are different events.
    """
    content = "\x1f".join((user, item, str(time), type, str(occurrence)))
    return hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
