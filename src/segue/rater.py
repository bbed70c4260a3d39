"""`Pairwise`: a model that is asked about (user, item, time), and says which rating comes of it.

                 a retriever                        a pairwise model
    fed          histories, what came next          rated events, with what both sides had met before: `Pairs`
    taught       any loss of ranking                (r~ - r)^2, summed
    asked        `query` . `item_vectors`           `predict`: one rating a row of the batch

`score` asks it about every item, so a pairwise model ranks, recommends, is saved and obeys the laws like any other.
`Rater` is one that gradients teach, `Factored` one whose rating is a dot product, and which therefore is a retriever.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.batch import Batch
from segue.data.log import Log
from segue.data.pairs import Pairs
from segue.model import Model, Retriever, Trained

PAIRS = 1 << 16  # predicted at a time where all items are asked about


class Pairwise(Model):
    """A model of ratings.

    Attributes:
        audience: how many of the last users of an item it reads; None for all of them.
    """

    audience: int | None = 0

    @abstractmethod
    def predict(self, batch: Batch) -> Float[Tensor, "B"]:
        """How the user of each row would rate its one target. Where the batch brings no audience or no time, the
        model takes those of the end of what it has learnt from."""

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        if items is None:
            items = torch.arange(self.sizes.items + 1, device=batch.user.device)
        # whoever is asked about all at once is asked about item 0 too, and what is said of it is dropped
        ratings = [self._of_all(part, items) for part in batch.slices(max(1, PAIRS // max(len(items), 1)))]
        scores = torch.cat(ratings)
        scores[:, items == 0] = -torch.inf
        return scores

    def _of_all(self, batch: Batch, items: Int[Tensor, "K"]) -> Float[Tensor, "B K"]:
        every = torch.arange(len(batch), device=items.device).repeat_interleave(len(items))
        asked = Batch(batch.user[every], batch.history[every], items.repeat(len(batch)).unsqueeze(1))
        if batch.time is not None:
            asked = replace(asked, time=batch.time[every])
        return self.predict(asked).view(len(batch), len(items))


class Rater(Trained, Pairwise):
    """A pairwise model that gradients teach to predict ratings, by the squared error: equation (13) of IARN."""

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[Batch]:
        pairs = Pairs.of(log)
        return pairs.batches(self.config.batch_size, rng, history=self.window, audience=self.audience)

    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        assert batch.rating is not None
        predicted = self.predict(batch)
        return (predicted - batch.rating.to(predicted)).square().sum()


class Factored(Retriever, Pairwise):
    """A pairwise model whose rating is a dot product of a query and an item vector."""

    def predict(self, batch: Batch) -> Float[Tensor, "B"]:
        assert batch.target is not None
        return (self.query(batch) * self.item_vectors()[batch.target[:, 0]]).sum(-1)
