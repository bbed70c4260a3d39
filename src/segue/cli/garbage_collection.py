"""`paused_garbage_collection`: what a process loads at its start and keeps to its end is never searched for garbage.

While modules and models are loaded, hundreds of thousands of objects are made and hardly one is given up. Python would
look at all of them several times, which takes a sixth of the start, and again and again while the process runs.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_garbage_collection() -> Iterator[None]:
    """Collect no garbage inside, and none of what is there at the end, ever."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
