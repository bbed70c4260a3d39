"""HM-LSTM: long short-term memory that finds boundaries, and lets the layers above move only there.

Chung, Ahn and Bengio, ICLR 2017, numbered as there; in Criteo's study of recurrent networks (2018) with tied embeddings
and layer normalisation. z^l_t is 1 where layer l ends a segment at step t; z^0 = 1, and h^0 is what is read:

    s^l_t = U^l h^l_{t-1} + z^l_{t-1} V^l h^{l+1}_{t-1} + z^{l-1}_t W^l h^{l-1}_t + b^l                   (4)-(7)
    f, i, o = sigma of blocks of s      g = tanh of a block                                              (1)
    c^l_t = z^l_{t-1} (i * g)                                                     FLUSH: begin anew      (2)
            + (1 - z^l_{t-1}) z^{l-1}_t (f * c^l_{t-1} + i * g)                   UPDATE
            + (1 - z^l_{t-1}) (1 - z^{l-1}_t) c^l_{t-1}                           COPY, h as well
    h^l_t = o * tanh(c^l_t)                                                                              (3)
    z^l_t = 1 where hardsigm(s_z) > 1/2,   hardsigm(s) = max(0, min(1, (a s + 1) / 2))                   (8), (9)
    query = ReLU(sum over l of  sigma(w^l [h^1 .. h^L]) E^l h^l)                                         (11), (12)

The last layer has no boundaries and nothing above. Errors go through a boundary as through hardsigm, whose slope a
grows by 0.04 an epoch, from 1 to 5: it changes no boundary, only what is learnt of them.

Criteo's paper does not say how many layers there are: its number of parameters fits two. Nor does it say what is
normalised: here, each of the three summands of f, i, o and g (with a gain, as b is their bias), and c before tanh.
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

    num_layers: int = Field(2, ge=2, description="At least two.")
    layer_norm: bool = Field(True, description="Layer normalisation (LN).")
    loss: Loss = "ce"
    epochs: int = 10
    lr: float = 0.01
    lr_decay_steps: int = 50_000
    final_lr: float = 0.001
    lr_decay_power: float = 0.5


class HMLSTM(RecurrentModel):
    """Layers of memory that move at different speeds."""

    name = "hm-lstm"
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
        self.item = nn.Parameter(torch.randn(sizes.num_items + 1, dim) * dim**-0.5)
        zero_padding(self.item)
        self.hierarchy = HMLSTMCell(dim, dim, num_layers=config.num_layers, norm=config.layer_norm)
        self.output = GatedOutput(dim, dim, config.num_layers)

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        yield from super().batches(log, rng)
        self.hierarchy.epochs += 1

    @property
    def cell(self) -> HMLSTMCell:
        return self.hierarchy

    @property
    def item_table(self) -> Float[Tensor, "I d"]:
        return self.item

    def tell(self, told: Float[Tensor, "*n h"]) -> Float[Tensor, "*n d"]:
        return self.output(told)
