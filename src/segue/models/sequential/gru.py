"""Criteo's study of recurrent networks: a gated recurrent unit, tied embeddings, layer normalisation; and LSTM4REC.

Villatel, Smirnova, Mary and Preux, arXiv:1807.09142, 2018. e_t is the vector of the item at step t:

    r_t = sigma(W_r e_t + U_r h_{t-1})
    z_t = sigma(W_z e_t + U_z h_{t-1})                                                       (4)
    n_t = tanh(W_n e_t + U_n (r_t * h_{t-1}))        h_t = (1 - z_t) * h_{t-1} + z_t * n_t
    score of item j = h_t . o_j                                                              (5)
    loss = sum over all steps of  -ln softmax(scores)[the item that came next]               (6), (7)

There are no biases. Tied ("RE"), o_j is the vector that is read of j. Normalised ("LN"), the unit is that of Ba, Kiros
and Hinton (2016), with a layer normalisation of whatever is added up (see `layers.gru`). With several layers each reads
the h of the one below. One pass answers at all steps, and errors travel back through all of them.

LSTM4REC is the same with long short-term memory (see `layers.lstm`), as the paper on HCRNN (AAAI 2019) compares it.

There is no program of the study's authors. Where the paper says nothing: the loss is averaged over the steps of a batch
(`reduction=mean`), matrices are drawn by Glorot's rule, item vectors from N(0, 1 / d).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from segue.config import Field
from segue.models.base.model import Sizes
from segue.models.base.ranking import Loss
from segue.models.base.recurrent import RecurrentConfig, RecurrentModel
from segue.models.base.search_space import Choice, LogUniform, Space, Uniform
from segue.nn.embedding import zero_padding
from segue.nn.recurrent.gru import LayerNormGRUCell, ResetBeforeGRUCell
from segue.nn.recurrent.lstm import LSTMCell
from segue.nn.recurrent.packing import RecurrentCell, StackedCells

SPACE: Space = {
    "num_layers": Choice(1, 2),
    "embedding_dim": Choice(64, 100, 128),
    "dropout": Uniform(0.0, 0.5),
    "hidden_dropout": Uniform(0.0, 0.5),
    "lr": LogUniform(1e-3, 1e-2),
    "batch_size": Choice(64, 128, 256),
}


class LayersConfig(RecurrentConfig):
    """Settings of cells on top of each other."""

    tied: bool = Field(False, description="Whether an item has one vector, read and recommended (RE).")
    num_layers: int = Field(1, ge=1, description="How many.")
    loss: Loss = "ce"


class Layers(RecurrentModel):
    """Cells on top of each other, the upper ones reading what the lower tell."""

    config: LayersConfig

    def __init__(self, config: LayersConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        dim, self.window = config.embedding_dim, config.window
        self.item_out = nn.Parameter(torch.randn(sizes.num_items + 1, dim) * dim**-0.5)
        zero_padding(self.item_out)
        if not config.tied:
            self.item_in = nn.Parameter(torch.randn(sizes.num_items + 1, dim) * dim**-0.5)
            zero_padding(self.item_in)
        self.cells = nn.ModuleList(self.one() for _ in range(config.num_layers))

    @abstractmethod
    def one(self) -> nn.Module:
        """A layer."""

    @property
    def cell(self) -> StackedCells:
        return StackedCells(
            [cast(RecurrentCell, cell) for cell in self.cells], self.config.hidden_dropout if self.training else 0.0
        )

    @property
    def item_table(self) -> Float[Tensor, "I d"]:
        return self.item_out

    @property
    def read_table(self) -> Float[Tensor, "I d"]:
        return self.item_out if self.config.tied else self.item_in


class GRUConfig(LayersConfig):
    """Settings of Criteo's GRU."""

    tied: bool = True
    layer_norm: Literal["none", "joint", "gate"] = Field(
        "joint",
        description=(
            'Layer normalisation (LN), the statistics of r and z taken "joint", as published, or of each "gate" '
            "by itself; or none."
        ),
    )
    epochs: int = 10
    lr: float = 0.01
    lr_decay_steps: int = 50_000
    final_lr: float = 0.001
    lr_decay_power: float = 0.5


class GRU(Layers):
    """Gated recurrent units."""

    name = "gru"
    Config = GRUConfig
    config: GRUConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {},
        "plain": {"tied": False, "layer_norm": "none"},
        "re": {"layer_norm": "none"},
        "ln": {"tied": False},
        "stacked": {"num_layers": 2},
        "hcrnn": {
            "tied": False,
            "layer_norm": "none",
            "dropout": 0.25,
            "hidden_dropout": 0.5,
            "batch_size": 16,
            "lr": 0.001,
            "lr_decay_steps": 0,
        },
    }
    space: ClassVar[Space] = {"layer_norm": Choice("none", "joint"), **SPACE}

    def one(self) -> nn.Module:
        dim, norm = self.config.embedding_dim, self.config.layer_norm
        return ResetBeforeGRUCell(dim, dim) if norm == "none" else LayerNormGRUCell(dim, dim, norm)


class LSTM4RecConfig(LayersConfig):
    """Settings of LSTM4REC: those of the paper on HCRNN."""

    dropout: float = 0.25
    hidden_dropout: float = 0.5
    batch_size: int = 16


class LSTM4Rec(Layers):
    """Long short-term memory in the place of the unit."""

    name = "lstm4rec"
    Config = LSTM4RecConfig
    config: LSTM4RecConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {"paper": {}}
    space: ClassVar[Space] = {"tied": Choice(False, True), **SPACE}

    def one(self) -> nn.Module:
        return LSTMCell(self.config.embedding_dim, self.config.embedding_dim)
