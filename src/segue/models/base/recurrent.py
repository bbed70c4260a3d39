"""`RecurrentModel`: a ranker that reads a history item by item and remembers what it has read.

A model of this kind says which cell reads (`cell`) and, where it is more than a table's rows, what the cell is given of
an item (`read`) and what is made of that which it tells (`tell`). Training reads stretches of `window` items, all of
which ask for the next one; errors travel back to the first. `step` answers after one more event at a cost that does not
grow with the history.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.batches.batch import Batch
from segue.config import Field
from segue.models.base.causal import CausalModel
from segue.models.base.ranking import RankingConfig
from segue.nn.dropout import dropout
from segue.nn.embedding import embedding
from segue.nn.recurrent.packing import RecurrentCell, final_state, run, step


class RecurrentConfig(RankingConfig):
    """Settings of recurrent sequence models."""

    embedding_dim: int = 100
    window: int | None = Field(
        50,
        ge=1,
        description="Number of most recent items that are read, also in training; none reads the whole history.",
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout rate of the input vectors of items.")
    hidden_dropout: float = Field(0.0, ge=0, lt=1, description="Dropout rate of the hidden states.")
    batch_size: int = 128


class RecurrentModel(CausalModel):
    """What a cell makes of a history is held against the items."""

    config: RecurrentConfig

    @property
    @abstractmethod
    def cell(self) -> RecurrentCell:
        """What reads."""

    @property
    def read_table(self) -> Float[Tensor, "I x"]:
        """What is read of items 0..I."""
        return self.item_table

    def read(self, item: Int[Tensor, "*n"]) -> Float[Tensor, "*n x"]:
        """What the cell is given of each item."""
        return dropout(embedding(self.read_table, item), self.config.dropout, self.training)

    def tell(self, told: Float[Tensor, "*n h"]) -> Float[Tensor, "*n d"]:
        """Queries, of what the cell tells."""
        return told

    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        """After every item."""
        told = run(batch.history, self.read, self.cell)
        return self.tell(dropout(told, self.config.hidden_dropout, self.training))

    def query(self, batch: Batch) -> Float[Tensor, "B d"]:
        history = batch.history if self.window is None else batch.last_items(self.window)
        return self._asked(final_state(history, self.read, self.cell))

    def step(
        self, state: Float[Tensor, "B w"] | None, item: Int[Tensor, "B"]
    ) -> tuple[Float[Tensor, "B w"], Float[Tensor, "B I"]]:
        """What is remembered after one more item of each row, and the scores of all; 0 as an item changes nothing."""
        if state is None:
            state = self.item_table.new_zeros(len(item), self.cell.state_dim)
        state = torch.where(item.unsqueeze(1) > 0, step(self.read(item), state, self.cell), state)
        scores = self._asked(state) @ self.item_vectors().T
        scores[:, 0] = -torch.inf
        return state, scores

    def _asked(self, state: Float[Tensor, "B w"]) -> Float[Tensor, "B d"]:
        return self._scaled(self.tell(state[:, -self.cell.output_dim :]))
