"""Reading the gates and attentions of a model while it answers, with no second pass.

    with readouts() as seen:
        model.score(batch)
    seen["attention"]           a list: what each `record("attention", ...)` on the way was given

A model calls `record` where it has something to tell. The first axis of what it tells is the rows of the batch, the last
the positions of the history, the newest item in the last column; what is called "audience ..." has the positions of the
audience. Nobody listening, a tap costs a look at a variable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

ITEM_HISTORY = "item history "  # what a tap's name begins with where it tells of that side
Recording = dict[str, list[Tensor]]

_listener: ContextVar[Recording | None] = ContextVar("listener", default=None)


@contextmanager
def recording() -> Iterator[Recording]:
    """What is tapped within, by name, in the order in which it was met; an outer listener does not hear it."""
    heard: Recording = {}
    token = _listener.set(heard)
    try:
        yield heard
    finally:
        _listener.reset(token)


def record(name: str, value: Tensor | Callable[[], Tensor]) -> None:
    """Tell `value`, without its gradient, to who listens; a function is only called if somebody does."""
    heard = _listener.get()
    if heard is not None:
        told = value() if callable(value) else value
        heard.setdefault(name, []).append(told.detach())
