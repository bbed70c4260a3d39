"""HM-LSTM: a hierarchical multiscale LSTM that finds segment boundaries in a sequence.

Several layers of LSTMs read the sequence. Each layer detects where a segment ends, and the layer above changes its
state only there, so higher layers work on longer time scales. With z^l_t = 1 where layer l ends a segment at step t,
z^0 = 1, and h^0 the input embedding (equation numbers are the paper's):

    s^l_t = U^l h^l_{t-1} + z^l_{t-1} V^l h^{l+1}_{t-1} + z^{l-1}_t W^l h^{l-1}_t + b^l                   (4)-(7)
    f, i, o = sigma of blocks of s      g = tanh of a block                                              (1)
    c^l_t = z^l_{t-1} (i * g)                                                     FLUSH: start a segment (2)
            + (1 - z^l_{t-1}) z^{l-1}_t (f * c^l_{t-1} + i * g)                   UPDATE
            + (1 - z^l_{t-1}) (1 - z^{l-1}_t) c^l_{t-1}                           COPY, also of h
    h^l_t = o * tanh(c^l_t)                                                                              (3)
    z^l_t = 1 where hardsigm(s_z) > 1/2,   hardsigm(s) = max(0, min(1, (a s + 1) / 2))                   (8), (9)
    query = ReLU(sum over l of  sigma(w^l [h^1 .. h^L]) E^l h^l)                                         (11), (12)

The last layer has no boundaries and nothing above it. The gradient of a boundary is that of hardsigm (a
straight-through estimator), whose slope a grows by 0.04 per epoch from 1 to 5. The slope changes no boundary, only
the gradient.

Sources: Chung, Ahn and Bengio, "Hierarchical multiscale recurrent neural networks", ICLR 2017. Criteo's study (Villatel
et al., 2018) uses it for recommendation, with tied embeddings and layer normalisation.

Criteo's paper does not give the number of layers: its number of parameters fits two. Nor does it say what is
normalised: here it is each of the three summands of f, i, o and g (with a gain; b is their bias), and c before tanh.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from segue.batches.batch import SequenceBatch
from segue.config import Field
from segue.data.log import Log
from segue.models.base.model import Sizes
from segue.models.base.ranking import Loss
from segue.models.base.recurrent import RecurrentConfig, RecurrentModel
from segue.models.base.search_space import Choice, LogUniform, Space, Uniform
from segue.models.sequential.hm_lstm.cell import GatedOutput, HMLSTMCell
from segue.nn.embedding import zero_padding


class HMLSTMConfig(RecurrentConfig):
    """Settings of HM-LSTM."""

    renamed: ClassVar[dict[str, str]] = {"layers": "num_layers", "norm": "layer_norm"}
    num_layers: int = Field(2, ge=2, le=100, description="Number of recurrent layers.")
    layer_norm: bool = Field(True, description="Whether layer normalisation (LN) is used.")
    loss: Loss = "ce"
    epochs: int = 10
    lr: float = 0.01
    lr_decay_steps: int = 50_000
    final_lr: float = 0.001
    lr_decay_power: float = 0.5


class HMLSTM(RecurrentModel):
    """LSTM layers that update at the segment boundaries of the layer below."""

    name = "hm-lstm"
    training_cost = "high"
    Config = HMLSTMConfig
    config: HMLSTMConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {"paper": {}}
    space: ClassVar[Space] = {
        "num_layers": Choice(2, 3),
        "embedding_dim": Choice(64, 100),
        "dropout": Uniform(0.0, 0.5),
        "hidden_dropout": Uniform(0.0, 0.5),
        "lr": LogUniform(1e-3, 1e-2),
    }

    def __init__(self, config: HMLSTMConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        dim, self.window = config.embedding_dim, config.window
        self.item_embedding = nn.Parameter(torch.randn(sizes.num_items + 1, dim).mul_(dim**-0.5))
        zero_padding(self.item_embedding)
        self.encode("item_embedding")
        self.lstm = HMLSTMCell(dim, dim, num_layers=config.num_layers, norm=config.layer_norm)
        self.output = GatedOutput(dim, dim, config.num_layers)

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        yield from super().batches(log, rng)
        self.lstm.epochs += 1

    @property
    def cell(self) -> HMLSTMCell:
        return self.lstm

    def project(self, hidden: Float[Tensor, "*n h"]) -> Float[Tensor, "*n d"]:
        """The query (12) from the hidden states of all layers."""
        return self.output(hidden)
