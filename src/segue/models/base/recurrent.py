"""`RecurrentModel`: base class of recurrent sequence models, such as GRU4Rec.

A cell maps the vectors of the items to hidden states, and hidden states are projected to queries.
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
from segue.nn.recurrent.packing import RecurrentCell, final_state, run_recurrence, step


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
    """Base class of recurrent sequence models.

    Subclasses implement `cell`. They may override `embed_input` (the input of the cell for an item) and `project`
    (hidden states to queries). All positions of a sequence are trained in one pass, by back-propagation through the
    whole window. `advance` reads one more item of a session at a cost that does not grow with its history.
    """

    config: RecurrentConfig
    keeps_state = True

    @property
    @abstractmethod
    def cell(self) -> RecurrentCell:
        """The recurrent cell."""

    @property
    def input_table(self) -> str:
        """The name of the embedding table whose vectors are the inputs; by default `output_table`."""
        return self.output_table

    def embed_input(self, item: Int[Tensor, "*n"]) -> Float[Tensor, "*n x"]:
        """The input vectors of items, with dropout during training."""
        return dropout(self.encoded(self.input_table, item), self.config.dropout, self.training)

    def project(self, hidden: Float[Tensor, "*n h"]) -> Float[Tensor, "*n d"]:
        """Query vectors from hidden states; the identity by default."""
        return hidden

    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        """The query vectors after every item of the histories (C = P)."""
        hidden = run_recurrence(batch.history, self.embed_input, self.cell)  # (B, P, h)
        return self.project(dropout(hidden, self.config.hidden_dropout, self.training))

    def query(self, batch: Batch) -> Float[Tensor, "B d"]:
        history = batch.history if self.window is None else batch.last_items(self.window)
        return self.state_query(final_state(history, self.embed_input, self.cell))

    def step(
        self, state: Float[Tensor, "B w"] | None, item: Int[Tensor, "B"]
    ) -> tuple[Float[Tensor, "B w"], Float[Tensor, "B I"]]:
        """The state after one more item of each session, and the scores of all items.

        Args:
            state: the state before; None for new sessions.
            item: the next item of each session; 0 leaves the state as it is.
        """
        state = self.advance(state, item)
        scores = self.state_query(state) @ self.item_vectors().T
        scores[:, 0] = -torch.inf
        return state, scores

    def advance(self, state: Float[Tensor, "B w"] | None, item: Int[Tensor, "B"]) -> Float[Tensor, "B w"]:
        """The state after one more item of each session: `step` without the scores."""
        if state is None:
            state = self.item_embeddings.new_zeros(len(item), self.cell.state_dim)
        return torch.where(item.unsqueeze(1) > 0, step(self.embed_input(item), state, self.cell), state)

    def state_query(self, state: Float[Tensor, "B w"]) -> Float[Tensor, "B d"]:
        """The query vectors of sessions in these states."""
        return self._scaled(self.project(state[:, -self.cell.output_dim :]))
