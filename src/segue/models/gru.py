"""Criteo's study of recurrent networks: a gated recurrent unit, tied embeddings, layer normalisation; and LSTM4REC.

Villatel, Smirnova, Mary and Preux, arXiv:1804.08416, 2018. e_t is the vector of the item at step t:

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

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from segue.layers.gru import InnerGRU, NormGRU
from segue.layers.lstm import LSTM
from segue.layers.recurrent import Stack
from segue.model import Sizes, require, zero_padding
from segue.ranker import Loss
from segue.recurrent import Recurrent, RecurrentConfig
from segue.space import Choice, LogUniform, Space, Uniform

@dataclass(frozen=True, kw_only=True)
class GRUConfig(RecurrentConfig):
    """Settings of Criteo's GRU.

    Attributes:
        tied: whether an item has one vector, read and recommended (RE).
        norm: layer normalisation of the unit (LN), the statistics of r and z taken "joint", as published, or of each
            "gate" by itself; or none.
        layers: units on top of each other.
    """

    tied: bool = True
    norm: Literal["none", "joint", "gate"] = "joint"
    layers: int = 1
    loss: Loss = "ce"
    epochs: int = 10
    lr: float = 0.01
    decay_steps: int = 50_000
    last_lr: float = 0.001
    decay_power: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.layers >= 1, f"layers={self.layers}: must be at least 1")


class GRU(Recurrent):
    """Gated recurrent units, the upper ones reading what the lower tell."""

    name = "gru"
    Config = GRUConfig
    config: GRUConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {},
        "plain": {"tied": False, "norm": "none"},
        "re": {"norm": "none"},
        "ln": {"tied": False},
        "stacked": {"layers": 2},
    }
    space: ClassVar[Space] = {
        "layers": Choice(1, 2),
        "norm": Choice("none", "joint"),
        "dim": Choice(64, 100, 128),
        "dropout": Uniform(0.0, 0.5),
        "hidden_dropout": Uniform(0.0, 0.5),
        "lr": LogUniform(1e-3, 1e-2),
        "batch_size": Choice(64, 128, 256),
    }

    def __init__(self, config: GRUConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.window = config.window
        self.item_out = nn.Parameter(torch.randn(sizes.items + 1, config.dim) * config.dim**-0.5)
        zero_padding(self.item_out)
        if not config.tied:
            self.item_in = nn.Parameter(torch.randn(sizes.items + 1, config.dim) * config.dim**-0.5)
            zero_padding(self.item_in)
        self.cells = nn.ModuleList(self.make_cell() for _ in range(config.layers))

    def make_cell(self) -> nn.Module:
        """One layer."""
        dim, norm = self.config.dim, self.config.norm
        return InnerGRU(dim, dim) if norm == "none" else NormGRU(dim, dim, norm)

    @property
    def cell(self) -> Stack:
        return Stack([*self.cells], self.config.hidden_dropout if self.training else 0.0)  # type: ignore[misc]

    @property
    def item_table(self) -> Float[Tensor, "I d"]:
        return self.item_out

    @property
    def read_table(self) -> Float[Tensor, "I d"]:
        return self.item_out if self.config.tied else self.item_in


@dataclass(frozen=True, kw_only=True)
class LSTM4RecConfig(GRUConfig):
    """Settings of LSTM4REC: those of the GRU, with others as their defaults."""

    tied: bool = False
    norm: Literal["none"] = "none"
    dropout: float = 0.25
    hidden_dropout: float = 0.5
    batch_size: int = 512
    lr: float = 0.001
    decay_steps: int = 0
    last_lr: float = 0.0
    decay_power: float = 1.0


class LSTM4Rec(GRU):
    """Long short-term memory in the place of the unit."""

    name = "lstm4rec"
    Config = LSTM4RecConfig
    presets: ClassVar = {"paper": {}}
    space: ClassVar[Space] = {"tied": Choice(False, True), **{k: v for k, v in GRU.space.items() if k != "norm"}}

    def make_cell(self) -> nn.Module:
        return LSTM(self.config.dim, self.config.dim)
