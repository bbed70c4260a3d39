"""`RecurrentModel`: a ranker that reads a history item by item and remembers what it has read.

A model of this kind says which cell reads (`cell`) and, where it is more than a table's rows, what the cell is given of
an item (`read`) and what is made of that which it tells (`tell`). Training reads stretches of `window` items, all of
which ask for the next one; errors travel back to the first. `step` answers after one more event at a cost that does not
grow with the history.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.batches.batch import Batch
from segue.errors import require
from segue.models.base.causal import CausalModel
from segue.models.base.ranking import RankingConfig
from segue.nn.dropout import dropout
from segue.nn.embedding import rows
from segue.nn.recurrent.packing import RecurrentCell, advance, last, walk


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig(RankingConfig):
    """Settings of models that read item by item.

    Attributes:
        window: how many of the last items are read, in training too; none reads all.
        dropout: share of the entries that training leaves out of what is read.
        hidden_dropout: the same of what the cell tells.
    """

    dim: int = 100
    window: int | None = 50
    dropout: float = 0.0
    hidden_dropout: float = 0.0
    batch_size: int = 128

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.window is None or self.window >= 1, f"window={self.window}: must be at least 1, or none")
        for name in ("dropout", "hidden_dropout"):
            value = getattr(self, name)
            require(0 <= value < 1, f"{name}={value}: must be at least 0 and below 1")


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
        return dropout(rows(self.read_table, item), self.config.dropout, self.training)

    def tell(self, told: Float[Tensor, "*n h"]) -> Float[Tensor, "*n d"]:
        """Queries, of what the cell tells."""
        return told

    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        """After every item."""
        told = walk(batch.history, self.read, self.cell)
        return self.tell(dropout(told, self.config.hidden_dropout, self.training))

    def query(self, batch: Batch) -> Float[Tensor, "B d"]:
        history = batch.history if self.window is None else batch.last(self.window)
        return self._asked(last(history, self.read, self.cell))

    def step(
        self, state: Float[Tensor, "B w"] | None, item: Int[Tensor, "B"]
    ) -> tuple[Float[Tensor, "B w"], Float[Tensor, "B I"]]:
        """What is remembered after one more item of each row, and the scores of all; 0 as an item changes nothing."""
        if state is None:
            state = self.item_table.new_zeros(len(item), self.cell.width)
        state = torch.where(item.unsqueeze(1) > 0, advance(self.read(item), state, self.cell), state)
        scores = self._asked(state) @ self.item_vectors().T
        scores[:, 0] = -torch.inf
        return state, scores

    def _asked(self, state: Float[Tensor, "B w"]) -> Float[Tensor, "B d"]:
        return self._scaled(self.tell(state[:, -self.cell.dim :]))
