"""Neighbour models count pairs in blocks: beyond what they keep, their memory is that of a block and of the rows."""

from __future__ import annotations

import tracemalloc
from importlib.util import find_spec
from types import ModuleType

import numpy as np
import pytest

from segue.data import synthetic
from segue.data.log import Log
from segue.models.base import pair_counts as pair_counting
from segue.models.base.model import DirectModel, Sizes
from segue.models.neighbours import item_knn
from segue.models.neighbours.item_knn import ItemKNN
from segue.models.neighbours.seq_knn import SeqKNN
from segue.nn.compiled.loop import CompiledLoop
from segue.nn.compiled.loops import neighbours, pair_counts

PAIRS = 50_000  # of a block
USERS, LENGTH, ITEMS = 300, 100, 3000


def long_histories() -> Log:
    """Long histories with 2.7 million pairs; every third event is of item 1, which has 900,000 of them."""
    rng = np.random.default_rng(0)
    items = rng.integers(2, ITEMS + 1, (USERS, LENGTH))
    items[rng.random(items.shape) < 1 / 3] = 1
    return synthetic.from_sequences(items.tolist(), num_items=ITEMS)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("module", "kind", "loop"), [(pair_counting, SeqKNN, pair_counts), (item_knn, ItemKNN, neighbours)]
)
def test_memory_is_that_of_the_kept_neighbours(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, kind: type[DirectModel], loop: CompiledLoop, compiled: bool
) -> None:
    monkeypatch.setattr(module, "MAX_PAIRS", PAIRS)
    assert loop.function or not find_spec("numba")  # loaded, so that its memory does not count
    log = long_histories()
    model = kind(kind.configure({"num_neighbours": 500}), Sizes(log.num_users, log.num_items))
    tracemalloc.start()
    with loop.always() if compiled else loop.never():
        model.fit(log)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    kept = sum(value.nbytes for value in model.state_dict().values())
    assert peak < 1.5 * kept + 100 * PAIRS + 150 * len(log)
