"""Every model, trained on one small log: those of `MODELS`, a blend and a two-stage ranker."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import polars as pl

from segue.data import synthetic
from segue.data.log import Log, Vocab
from segue.models.base.model import Model
from segue.models.ensembles.blend import Blend
from segue.models.ensembles.rerank import Rerank
from segue.models.registry import MODELS
from segue.testing import subject
from segue.testing.subject import with_metadata


def make_log() -> Log:
    """30 users and 12 items with names, titles, ratings and features; the last user has no events."""
    log = with_metadata(synthetic.markov(30, 12, 9, seed=3, shortest=4))
    assert log.item_metadata is not None
    stop = log.stop.copy()
    stop[-1] = log.start[-1]
    return replace(
        log,
        users=Vocab(pl.Series([f"u{n}" for n in range(30)])),
        items=Vocab(pl.Series([f"i{n}" for n in range(12)])),
        item_metadata=log.item_metadata.with_columns(
            title=pl.Series([f"Film {n}" for n in range(12)]), even=pl.Series([n % 2 == 0 for n in range(12)])
        ),
    ).until(stop)


LOG = make_log()


@cache
def train(name: str) -> Model:
    """A model of `MODELS`, or one of those that consist of two."""
    return COMBINED[name]() if name in COMBINED else subject(MODELS[name]).train(LOG)


COMBINED = {
    "blend": lambda: Blend(train("item-knn"), train("hgn"), weight=0.4),
    "rerank": lambda: Rerank(train("pop"), train("gru"), candidates=5),
}
NAMES = [*MODELS, *COMBINED]
