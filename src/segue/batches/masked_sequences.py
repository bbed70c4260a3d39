"""`MaskedSequences`: subsequences in which some items are masked, and are the targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from segue.batches.batch import SequenceBatch
from segue.batches.sequences import CausalSequences
from segue.data.log import Log, Mask
from segue.data.sessions import SessionRule


@dataclass(frozen=True, kw_only=True)
class MaskedSequences:
    """Subsequences of each user's rows for models that fill in masked items (the cloze task).

    In its batches the target of a position is the item that stands there. Where `target_mask` is True, the item is
    masked: a model predicts it, and must not read it.

        rows of a user     a  b  c  d  e  f         window L = 4
        history  c d e f   target  c d e f   target_mask 0 1 0 0    and older ones, until every row was in one

    Attributes:
        window: L, items of a subsequence. The newest is in the last column. Users with one item have none.
        mask_prob: the share of the items of a subsequence that are masked; it is rounded, and at least one is. Only
            events that may be targets are counted and masked.
        newest_prob: the probability that the newest item of a subsequence alone is masked.
        num_negatives: G, negatives drawn for each position; 0 for none.
        shown: whether they are drawn from the items that were shown with the target; see `ShownNegatives`.
        types: whether batches hold the types of events.
        features: whether batches hold the features of events.
        sessions: how the sessions that batches hold are told apart; None for none.
    """

    window: int
    mask_prob: float
    newest_prob: float = 0.0
    num_negatives: int = 0
    shown: bool = False
    types: bool = False
    features: bool = False
    sessions: SessionRule | None = None

    def batches(self, log: Log, batch_size: int, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        """One epoch in random order, `batch_size` subsequences per batch."""
        sequences = CausalSequences(
            window=self.window,
            num_negatives=self.num_negatives,
            shown=self.shown,
            types=self.types,
            features=self.features,
            sessions=self.sessions,
            shift=0,
        )
        for batch in sequences.batches(log, batch_size, rng):
            masked = self._masked(batch.target.numpy() > 0, rng)
            yield replace(batch, target_mask=torch.from_numpy(masked))

    def _masked(self, valid: Mask, rng: np.random.Generator) -> Mask:
        """(B, L) which items of the subsequences are masked, of those that may be."""
        count = np.maximum(np.rint(valid.sum(1) * self.mask_prob), 1)
        rank = np.where(valid, rng.random(valid.shape), 2.0).argsort(1).argsort(1)
        newest = valid & (valid[:, ::-1].cumsum(1)[:, ::-1] == 1)
        newest_alone = rng.random(len(valid)) < self.newest_prob
        return np.where(newest_alone[:, None], newest, valid & (rank < count[:, None]))
