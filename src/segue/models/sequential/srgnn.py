"""SR-GNN: a gated graph network on the graph of each session.

The items of a session are nodes, and an edge leads from each item to the next. Every node reads its neighbours along
the edges, in `num_steps` steps, and a gated unit makes its next state. V holds the states v of the nodes, at first the
embeddings of their items. A_out and A_in hold the weights of the edges that leave and that enter each node; those
of a node add up to 1 (equation numbers are the paper's):

    a = [A_in (V H_in + b_in) ; A_out (V H_out + b_out)] + b                                                  (1)
    z = sigma(W_z a + U_z v)      r = sigma(W_r a + U_r v)                                                    (2), (3)
    v' = tanh(W_o a + U_o (r * v))      v <- (1 - z) * v + z * v'                                             (4), (5)

A soft attention, directed by the last item n, summarises the nodes v_1 .. v_n at the places of the session:

    alpha_i = q . sigma(W_1 v_n + W_2 v_i + c)      s_g = sum over i of alpha_i v_i                           (6)
    s_h = W_3 [v_n ; s_g]      score of item i = s_h . e_i                                                    (7), (8)
    loss = -ln softmax(scores)[next item]                                                                     (9), (10)

Source: Wu, Tang, Zhu, Wang, Xie and Tan, "Session-based recommendation with graph neural networks", AAAI 2019.

Like the authors' program (github.com/CRIPAC-DIG/SR-GNN), an edge that a session has several times counts once, where
the paper counts it each time, and the linear layers have biases. The unit is torch's GRU cell, as in the program: its
reset gate weighs U_o v and a bias, not v, and its z is the share of the old state.

Differs from the authors' program in:
  * the program divides the learning rate by ten after every third epoch, here it is constant;
  * only the last `window` items of a history are a session, where the program takes the whole session;
  * a dropout of the embeddings of a session is an addition; the preset `author` has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from segue.batches.batch import Batch, SequenceBatch
from segue.batches.sequences import SlidingWindows
from segue.config import Field
from segue.data.log import Log
from segue.models.base.model import Sizes
from segue.models.base.ranking import RankingConfig, RankingModel
from segue.models.base.search_space import Choice, LogUniform, Space, Uniform
from segue.nn.dropout import dropout
from segue.nn.embedding import zero_padding
from segue.nn.matmul import linear_2d
from segue.nn.recorder import record


class SRGNNConfig(RankingConfig):
    """Settings of SR-GNN."""

    window: int = Field(10, ge=1, description="Number of most recent items that are the session.")
    num_steps: int = Field(1, ge=1, le=100, description="Number of steps in which the nodes read their neighbours.")
    dropout: float = Field(0.25, ge=0, lt=1, description="Dropout rate of the embeddings of the items of sessions.")
    batch_size: int = Field(256, description="Number of prefixes of sessions in one optimisation step.")
    lr: float = 3e-3
    epochs: int = 20


class SRGNN(RankingModel):
    """A gated graph network and soft attention on the graph of each session."""

    name = "sr-gnn"
    training_cost = "high"
    Config = SRGNNConfig
    config: SRGNNConfig
    presets: ClassVar = {
        "author": {
            "embedding_dim": 100,
            "window": 50,
            "dropout": 0.0,
            "batch_size": 100,
            "lr": 1e-3,
            "weight_decay": 1e-5,
            "epochs": 30,
        },
    }
    space: ClassVar[Space] = {
        "embedding_dim": Choice(64, 100, 128),
        "num_steps": Choice(1, 2, 3),
        "dropout": Uniform(0.0, 0.5),
        "lr": LogUniform(5e-4, 5e-3),
        "weight_decay": Choice(0.0, 1e-6, 1e-5),
    }

    def __init__(self, config: SRGNNConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        dim, self.window = config.embedding_dim, config.window
        self.micro_batch_size = max(8, 2**19 // (config.window * (config.window + 8 * dim)))
        self.item_embedding = nn.Parameter(torch.empty(sizes.num_items + 1, dim))
        self.edges_in, self.edges_out = nn.Linear(dim, dim), nn.Linear(dim, dim)  # H_in, b_in; H_out, b_out
        self.edge_bias = nn.Parameter(torch.empty(2 * dim))  # b
        self.unit = nn.GRUCell(2 * dim, dim)  # W, U
        self.attention_last, self.attention_item = nn.Linear(dim, dim), nn.Linear(dim, dim, bias=False)  # W_1, c; W_2
        self.attention_vector = nn.Parameter(torch.empty(dim))  # q
        self.output = nn.Linear(2 * dim, dim)  # W_3
        for weight in self.parameters():
            nn.init.uniform_(weight, -(dim**-0.5), dim**-0.5)
        zero_padding(self.item_embedding)
        self.encode("item_embedding")

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        config = self.config
        prefixes = SlidingWindows(
            window=config.window,
            num_negatives=config.negatives_per_target,
            shown=config.draws_from_shown,
            positions="every",
        )
        return self.with_shared_negatives(prefixes.batches(log, config.batch_size, rng), log, rng)

    def queries(self, batch: Batch) -> Float[Tensor, "B 1 d"]:
        """s_h of each session."""
        history = Batch(batch.user, batch.history).trimmed().history  # (B, P)
        valid = history > 0
        node = first_places(history)  # (B, P)
        v = dropout(self.encoded("item_embedding", history), self.config.dropout, self.training)  # (B, P, d)
        v = _at(v, node)  # the same dropout wherever an item stands
        edges = session_edges(node, valid).to(v.dtype)  # (B, P, P)
        leaving = edges / edges.sum(2, keepdim=True).clamp(min=1)  # A_out
        entering = edges.transpose(1, 2) / edges.sum(1).unsqueeze(2).clamp(min=1)  # A_in
        for _ in range(self.config.num_steps):
            read = entering @ linear_2d(self.edges_in, v), leaving @ linear_2d(self.edges_out, v)  # (B, P, d) each
            a = torch.cat(read, 2) + self.edge_bias  # (B, P, 2 d)
            v = self.unit(a.flatten(0, 1), v.flatten(0, 1)).unflatten(0, history.shape)
        v = _at(v, node) * valid.unsqueeze(2)  # (B, P, d), at the places of the session
        last = v[:, -1:]  # (B, 1, d)
        hidden = torch.sigmoid(linear_2d(self.attention_last, last) + linear_2d(self.attention_item, v))
        alpha = (hidden @ self.attention_vector) * valid  # (B, P)
        record("attention", alpha.unsqueeze(1))
        summary = alpha.unsqueeze(1) @ v  # (B, 1, d)
        return linear_2d(self.output, torch.cat([last, summary], 2))


def first_places(history: Int[Tensor, "B P"]) -> Int[Tensor, "B P"]:
    """For each place of a session the first one that has the same item: the node of the item.

    >>> first_places(torch.tensor([[4, 7, 4, 9, 7]]))
    tensor([[0, 1, 0, 3, 1]])
    """
    return (history.unsqueeze(2) == history.unsqueeze(1)).to(torch.uint8).argmax(2)


def session_edges(node: Int[Tensor, "B P"], valid: Bool[Tensor, "B P"]) -> Bool[Tensor, "B P P"]:
    """Which node is followed by which one in a session; `node` is that of each place, of which some are padding.

    >>> session_edges(torch.tensor([[0, 1, 0]]), torch.ones(1, 3, dtype=torch.bool)).int()
    tensor([[[0, 1, 0],
             [1, 0, 0],
             [0, 0, 0]]], dtype=torch.int32)
    """
    is_node = (node.unsqueeze(2) == torch.arange(node.shape[1], device=node.device)) & valid.unsqueeze(2)
    is_node = is_node.float()  # (B, P, P): place, node
    return is_node[:, :-1].transpose(1, 2) @ is_node[:, 1:] > 0


def _at(v: Float[Tensor, "B P d"], node: Int[Tensor, "B P"]) -> Float[Tensor, "B P d"]:
    """The states of the nodes at each place."""
    return v.gather(1, node.unsqueeze(2).expand(-1, -1, v.shape[2]))
