"""The recurrent models of Criteo's study: `gru`, with tied embeddings and layer normalisation; and LSTM4REC.

A recurrent unit reads the sequence item by item, and its state after each step is the query for the next item. The
study shows that tied embeddings ("RE") and layer normalisation ("LN") improve it. With e_t the input embedding of the
item at step t and o_j the output embedding of item j:

    r_t = sigma(W_r e_t + U_r h_{t-1})
    z_t = sigma(W_z e_t + U_z h_{t-1})                                                       (4)
    n_t = tanh(W_n e_t + U_n (r_t * h_{t-1}))        h_t = (1 - z_t) * h_{t-1} + z_t * n_t
    score of item j = h_t . o_j                                                              (5)
    loss = sum over all steps of  -ln softmax(scores)[next item]                             (6), (7)

There are no biases. Tied, o_j is also the input embedding of j. Normalised, the unit is that of Ba, Kiros and Hinton
(2016): each sum inside it is normalised (see `segue.nn.recurrent.gru`). With several layers, each takes the states of
the one below as its inputs. One pass over a subsequence trains all steps, with back-propagation through all of them.

LSTM4REC is the same with long short-term memory (see `segue.nn.recurrent.lstm`), as the paper on HCRNN compares it.

Sources: Villatel, Smirnova, Mary and Preux, "Recurrent neural networks for long and short-term sequential
recommendation", arXiv:1807.09142, 2018. Song, Cha and Moon, "Hierarchical context enabled recurrent neural network for
recommendation", AAAI 2019.

The authors of the study published no program. Where the paper says nothing: the loss is averaged over the steps of a
batch (`reduction=mean`), matrices are initialised by Glorot's rule, and item embeddings by N(0, 1 / d).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Literal, cast

import torch
from torch import nn

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


class StackedRecurrentConfig(RecurrentConfig):
    """Settings of recurrent models with one or more layers."""

    renamed: ClassVar[dict[str, str]] = {"layers": "num_layers", "norm": "layer_norm"}
    tied: bool = Field(False, description="Whether input and output share the item embeddings (RE).")
    num_layers: int = Field(1, ge=1, le=100, description="Number of recurrent layers.")
    loss: Loss = "ce"


class StackedRecurrentModel(RecurrentModel):
    """Base class of recurrent models with one or more layers of the same cell."""

    config: StackedRecurrentConfig
    output_table = "output_embedding"

    def __init__(self, config: StackedRecurrentConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        dim, self.window = config.embedding_dim, config.window
        self.output_embedding = nn.Parameter(torch.randn(sizes.num_items + 1, dim).mul_(dim**-0.5))
        zero_padding(self.output_embedding)
        self.encode("output_embedding")
        if not config.tied:
            self.input_embedding = nn.Parameter(torch.randn(sizes.num_items + 1, dim).mul_(dim**-0.5))
            zero_padding(self.input_embedding)
            self.encode("input_embedding")
        self.cells = nn.ModuleList(self.make_cell() for _ in range(config.num_layers))

    @abstractmethod
    def make_cell(self) -> nn.Module:
        """A new cell for one layer."""

    @property
    def cell(self) -> StackedCells:
        cells = [cast(RecurrentCell, cell) for cell in self.cells]
        return StackedCells(cells, self.config.hidden_dropout if self.training else 0.0)

    @property
    def input_table(self) -> str:
        return "output_embedding" if self.config.tied else "input_embedding"


class GRUConfig(StackedRecurrentConfig):
    """Settings of the GRU of Criteo's study."""

    tied: bool = True
    layer_norm: Literal["none", "joint", "gate"] = Field(
        "joint",
        description=(
            "Layer normalisation (LN): with joint statistics of the reset and the update gate, as published, with "
            "statistics of each gate, or none."
        ),
    )
    epochs: int = 10
    lr: float = 0.01
    lr_decay_steps: int = 50_000
    final_lr: float = 0.001
    lr_decay_power: float = 0.5


class GRU(StackedRecurrentModel):
    """Gated recurrent units over the item sequence."""

    name = "gru"
    training_cost = "high"
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

    def make_cell(self) -> nn.Module:
        dim, layer_norm = self.config.embedding_dim, self.config.layer_norm
        return ResetBeforeGRUCell(dim, dim) if layer_norm == "none" else LayerNormGRUCell(dim, dim, layer_norm)


class LSTM4RecConfig(StackedRecurrentConfig):
    """Settings of LSTM4REC; the defaults are those of the paper on HCRNN."""

    dropout: float = 0.25
    hidden_dropout: float = 0.5
    batch_size: int = 16


class LSTM4Rec(StackedRecurrentModel):
    """Long short-term memory over the item sequence."""

    name = "lstm4rec"
    training_cost = "high"
    Config = LSTM4RecConfig
    config: LSTM4RecConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {"paper": {}}
    space: ClassVar[Space] = {"tied": Choice(False, True), **SPACE}

    def make_cell(self) -> nn.Module:
        return LSTMCell(self.config.embedding_dim, self.config.embedding_dim)
