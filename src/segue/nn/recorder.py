"""Recording gates and attention weights while a model scores, without a second pass.

    with recording() as recorded:
        model.score(batch)
    recorded["attention"]           a list of the values given to `record("attention", ...)`

A model calls `record` with values that explain its scores. Their first axis is the rows of the batch, the last the
positions of the history, the newest item in the last column. Values of the item's side, whose last axis is the
positions of the item history, have names that begin with "item history".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

ITEM_HISTORY = "item history "  # prefix of the names of values of the item's side
Recording = dict[str, list[Tensor]]

_active: ContextVar[Recording | None] = ContextVar("active", default=None)


@contextmanager
def recording() -> Iterator[Recording]:
    """Collect the values that are recorded inside the block, by name, in order; an outer block does not get them."""
    recorded: Recording = {}
    token = _active.set(recorded)
    try:
        yield recorded
    finally:
        _active.reset(token)


def record(name: str, value: Tensor | Callable[[], Tensor]) -> None:
    """Store `value` (detached) under `name` if a `recording()` block is active; otherwise do nothing.

    Pass a function to avoid computing a value that is not recorded.
    """
    recorded = _active.get()
    if recorded is not None:
        tensor = value() if callable(value) else value
        recorded.setdefault(name, []).append(tensor.detach())
