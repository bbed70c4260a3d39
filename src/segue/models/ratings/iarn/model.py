"""IARN: predicts ratings with two interacting recurrent networks, one for users and one for items.

The user's network reads the items that the user rated, and the item's network reads the users who rated the item. Each
network has attention gates that see the states of the other network. The prediction is the dot product of both outputs.

    r~ = <u~, v~>                                                                                       (1)
    u~ = PReLU(W~ u_T + b~)                                                                             (2)
    u_t = (1 - a_t) u_{t-1} + a_t ReLU(W u_{t-1} + H E(x_t) + b)                                        (3)-(5)
    a_t = sigma(M . tanh(L (f_t ; b_t ; f'_T' ; b'_1) + b'))                                            (6), (8)
    f_t = ReLU(W_f E(x_t) + H_f f_{t-1} + b_f),     b_t likewise from the newest step to the oldest     (7), (9)
    loss = sum of (r~ - r)^2                                                                            (13)

Primed states belong to the other side: the forward state after its newest step, the backward state after its oldest.
x_t is the vector of the item of step t (in the item's network: of the user). Backbones: `tagm` has gates that see their
own side only, `rnn` has a_t = 1, `lstm` has the gates of an LSTM. E is `FeatureEncoder` in the item's network and the
identity in the user's. An empty history has u_T = 0.

The preset `biased` is not in the paper: it adds (1) to a global mean and biases in closed form, and each step includes
its rating (`_append_ratings`).

Source: Pei, Yang, Sun, Zhang, Bozzon and Tax, "Interacting attention-gated recurrent networks for recommendation", CIKM
2017. Differs from the authors' program in three factors, which the preset `author` has: there (7) uses softplus, the
logit of (6) is doubled, and the other side's states are multiplied by 1/4. Their histories contain the rating that is
to be predicted; here a history contains only earlier events. When all items are scored, the histories of the items are
those at the end of training.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segue.batches.batch import Batch, PairBatch, RatingBatch
from segue.batches.rated_events import RatedEvents
from segue.data.log import Log
from segue.models.base.model import Sizes
from segue.models.base.rating import BiasedRatingModel
from segue.models.base.search_space import Choice, LogUniform, Space
from segue.models.ratings.iarn.config import IARNConfig
from segue.models.ratings.iarn.feature_encoder import FeatureEncoder
from segue.models.ratings.iarn.first_ratings import FirstRatings
from segue.models.ratings.iarn.history_network import ATTENTIVE, EncodedHistory, HistoryNetwork
from segue.nn.buffers import require_ids
from segue.nn.embedding import embedding, zero_padding
from segue.nn.recorder import record
from segue.nn.rmsprop import RMSprop

ITEMS_PER_BLOCK = 1024  # items whose states are in memory at the same time when all items are scored


class IARN(BiasedRatingModel):
    """Two history networks and the embeddings of items and users that they read."""

    name = "iarn"
    Config = IARNConfig
    config: IARNConfig
    fixed_shapes = False  # histories have many lengths, and the products of a step are small
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {},
        "biased": {
            "bias": True,
            "use_ratings": True,
            "embedding_dim": 16,
            "context_dim": 16,
            "hidden_dim": 32,
            "window": 20,
            "batch_size": 256,
        },
        "author": {
            "tanh_encoder": True,
            "activation": "softplus",
            "gate_scale": 2.0,
            "interaction_scale": 0.25,
            "dropout": 0.1,
            "batch_size": 64,
        },
    }
    space: ClassVar[Space] = {
        "lr": LogUniform(1e-4, 1e-2),
        "dropout": Choice(0.0, 0.25, 0.5),
        "hidden_dim": Choice(32, 64, 128),
    }
    item_histories: Tensor

    def __init__(self, config: IARNConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.window = self.item_window = config.window
        self.sparse = config.weight_decay == 0  # weight decay moves all rows of the tables
        self.item_embedding = nn.Parameter(torch.randn(sizes.num_items + 1, config.embedding_dim).mul_(0.1))
        self.user_embedding = nn.Parameter(torch.randn(sizes.num_users + 1, config.embedding_dim).mul_(0.1))
        zero_padding(self.item_embedding)
        zero_padding(self.user_embedding)
        self.user_network, self.item_network = HistoryNetwork(config), HistoryNetwork(config)
        if config.use_ratings:
            self.first_ratings = FirstRatings(sizes.num_items)
        if config.bias:
            for network in (self.user_network, self.item_network):
                network.scale_output()
        self.register_buffer("item_histories", torch.zeros(sizes.num_items + 1, config.window, dtype=torch.int32))
        if config.feature_encoder != "none":
            room = (sizes.num_items, sizes.num_features, config.max_features_per_item)
            self.feature_encoder = FeatureEncoder(
                *room, config.embedding_dim, config.feature_encoder, tanh=config.tanh_encoder, sparse=self.sparse
            )

    def optimizer(self) -> RMSprop:
        config = self.config
        tables = [self.item_embedding, self.user_embedding]
        if config.feature_encoder != "none":
            tables.append(self.feature_encoder.matrix)
        limits = {"weight_decay": config.weight_decay, "clip": config.grad_clip_value}
        return RMSprop(self.parameters(), lr=config.schedule, sparse=tables if self.sparse else (), **limits)

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[RatingBatch]:
        if self.config.feature_encoder != "none":
            self.feature_encoder.set_features(*self.config.item_features(log))
        windows = {"window": self.window, "item_window": self.item_window}
        yield from self.rated_events(log).batches(
            self.config.batch_size, rng, **windows, share=self.config.epoch_fraction
        )

    def fit_statistics(self, events: RatedEvents) -> None:
        super().fit_statistics(events)
        histories = torch.from_numpy(events.item_histories(self.config.window))  # (I + 1, Q)
        self.item_histories.zero_()[:, self.config.window - histories.shape[1] :] = histories.to(self.item_histories)
        if self.config.use_ratings:
            self.first_ratings.fit(events.user, events.item, events.rating)

    def check_buffers(self) -> None:
        """Raise `ConfigError` if the loaded histories of items hold others than users."""
        require_ids(self.item_histories, self.sizes.num_users, "histories of items")

    def predict(self, batch: PairBatch) -> Float[Tensor, "B"]:
        item = batch.item
        item_history = self.item_histories[item].long() if batch.item_history is None else batch.item_history
        user, other = self._encode_users(batch), self._encode_items(item, item_history)
        if self.config.backbone in ATTENTIVE:
            record("gate", lambda: self.user_network.gates(user, other.summary).T)
            record("item history gate", lambda: self.item_network.gates(other, user.summary).T)
        return self._ratings(user, other, batch.user, item)

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        """Scores of `items`. Each history is encoded once; a user is paired with a block of items in one call."""
        if items is None:
            items = torch.arange(self.sizes.num_items + 1, device=batch.user.device)
        users = self._encode_users(Batch(batch.user, batch.last_items(self.config.window)))
        scores = self.item_embedding.new_empty(len(batch), len(items))
        by_length = (self.item_histories[items] > 0).sum(1).argsort()  # similar lengths need little padding
        for columns in by_length.split(ITEMS_PER_BLOCK):
            block = items[columns]
            encoded = self._encode_items(block, self.item_histories[block].long())
            for row in range(len(batch)):
                user = batch.user[row].expand(len(block))
                scores[row, columns] = self._ratings(users.expand(row, len(block)), encoded, user, block)
        scores[:, items == 0] = -torch.inf
        return scores

    def _encode_users(self, batch: Batch) -> EncodedHistory:
        history = _steps_first(batch.last_items(min(self.config.window, batch.history.shape[1])))  # (P, B)
        x = embedding(self.item_embedding, history, sparse=self.sparse)  # (P, B, e)
        if self.config.use_ratings:
            x = self._append_ratings(x, batch.user.expand_as(history), history, self.item_bias[history])
        return self.user_network.encode(x, (history > 0).to(x))

    def _encode_items(self, item: Int[Tensor, "B"], item_history: Int[Tensor, "B Q"]) -> EncodedHistory:
        history = _steps_first(item_history)  # (Q, B)
        x = embedding(self.user_embedding, history, sparse=self.sparse)  # (Q, B, e)
        if self.config.feature_encoder != "none":
            x = self.feature_encoder(x, item)
        if self.config.use_ratings:
            x = self._append_ratings(x, history, item.expand_as(history), self.user_bias[history])
        return self.item_network.encode(x, (history > 0).to(x))

    def _append_ratings(
        self, x: Float[Tensor, "P B e"], user: Int[Tensor, "P B"], item: Int[Tensor, "P B"], bias: Float[Tensor, "P B"]
    ) -> Float[Tensor, "P B n"]:
        """(x ; y x ; y), where y is the rating of the step minus `bias`, centred over the history.

        The mean of y over the history is removed, because the bias of the history's owner already holds it.
        """
        rating, known = self.first_ratings.lookup(user, item)
        residual = (rating - bias) * known
        residual = (residual - residual.sum(0) / known.sum(0).clamp(min=1)) * known
        return torch.cat([x, residual.unsqueeze(2) * x, residual.unsqueeze(2)], 2)  # (P, B, 2 e + 1)

    def _ratings(
        self, user: EncodedHistory, item: EncodedHistory, user_id: Int[Tensor, "B"], item_id: Int[Tensor, "B"]
    ) -> Float[Tensor, "B"]:
        """(1) for each pair of a user and an item, plus the mean and the biases if the model has them."""
        user_state = self.user_network.pair_state(user, item.summary)  # (B, h)
        item_state = self.item_network.pair_state(item, user.summary)  # (B, h)
        product = (user_state * item_state).sum(1)
        if not self.config.bias:
            return product
        return product + self.mean + self.user_bias[user_id] + self.item_bias[item_id]


def _steps_first(history: Int[Tensor, "B P"]) -> Int[Tensor, "Q B"]:
    """Histories with the steps in the first axis, without the leading steps that are padding in every row."""
    used = (history > 0).any(0)
    return history[:, int(used.to(torch.uint8).argmax()) if used.any() else history.shape[1] :].T
