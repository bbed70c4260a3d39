"""IARN: two recurrent networks, one reading what the user had met, one who had met the item, each attending with an eye
on the other.

    r~ = <u~, v~>                                                                                       (1)
    u~ = PReLU(W~ u_T + b~)                                                                             (2)
    u_t = (1 - a_t) u_{t-1} + a_t ReLU(W u_{t-1} + H E(x_t) + b)                                        (3)-(5)
    a_t = sigma(M . tanh(L (f_t ; b_t ; f'_T' ; b'_1) + b'))                                            (6), (8)
    f_t = ReLU(W_f E(x_t) + H_f f_{t-1} + b_f),     b_t likewise from the newest step to the oldest     (7), (9)
    loss = sum of (r~ - r)^2                                                                            (13)

Primed are the states of the other side: forward after its newest step, backward after its oldest. x_t is a vector of
the item that the user met in step t (of the user that the item met). Backbones: `tagm` attends to its own side alone,
`rnn` has a_t = 1, `lstm` has gates of its own. E is that of `feature_encoder` for items, nothing for users.

The preset `biased` is ours: what (1) gives is added to a mean and biases in closed form, and x_t holds the rating of
the step too (`_with_ratings`).

Bi-directional states belong to one history and are computed once, however many pairs it is part of; the gates and the
gated recurrence are those of a pair. An empty history leaves u_T = 0.

Source: Pei, Yang, Sun, Zhang, Bozzon and Tax, "Interacting attention-gated recurrent networks for recommendation", CIKM
2017. The authors' program (preset `author`) has softplus in (7), twice the logit in (6), a quarter of the other side's
states, and histories that hold the very rating to be learnt; here they hold what happened strictly before it. Where all
items are asked about, theirs are those at the end of training.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segue.batches.batch import Batch
from segue.batches.rated_events import RatedEvents
from segue.config import Field
from segue.data.item_features import features
from segue.data.log import Ids, Log
from segue.errors import require
from segue.models.base.model import FeaturedConfig, Sizes
from segue.models.base.rating import BiasedRatingConfig, BiasedRatingModel
from segue.models.base.search_space import Choice, LogUniform, Space
from segue.models.ratings.iarn.feature_encoder import Encoder, Kind
from segue.models.ratings.iarn.gated_rnn import Activation, RecurrentModel, walk
from segue.nn.dropout import dropout
from segue.nn.embedding import embedding, zero_padding
from segue.nn.optim import RMSprop
from segue.nn.recorder import record
from segue.nn.sparse import Floats, SparseRows

START = 0.1  # of the outputs where they are added to biases, so that training begins near those
ITEMS = 1024  # whose states are held at a time where all are asked about
Backbone = Literal["iarn", "tagm", "rnn", "lstm"]


class IARNConfig(FeaturedConfig, BiasedRatingConfig):
    """Settings of IARN."""

    dim: int = Field(25, ge=1, description="Size of the vectors of users and items that are read.")
    context: int = Field(64, ge=1, description="Size a of each of the bi-directional states that gates see.")
    hidden: int = Field(64, ge=1, description="Size of the gated state, and of what is made of its last.")
    longest: int = Field(50, ge=1, description="How many of the last steps of a history are read.")
    backbone: Backbone = Field(
        "iarn", description="What reads: the paper's network, or one of those that it is compared with."
    )
    dropout: float = Field(
        0.25,
        ge=0,
        lt=1,
        description="Share of the states left out in training, of those that gates see and of the last.",
    )
    activation: Activation = Field(
        "relu", description="Of the bi-directional states; softplus is that of the authors' program."
    )
    sharpness: float = Field(1.0, description="What the logits of the gates are multiplied by.")
    heed: float = Field(1.0, description="What the states of the other side are multiplied by before a gate sees them.")
    bias: bool = Field(
        False,
        description=(
            "Whether (1) is what is added to a mean and biases of users and items, which are solved for beforehand."
        ),
    )
    rated: bool = Field(False, description="Whether a step is read with its rating; the paper's is not.")
    encoder: Kind = Field(
        "none",
        description=("How the features of an item change what is read of its history; none is the paper's IARN-Plain."),
    )
    squash: bool = Field(
        False, description="Whether a tanh follows each matrix of a hierarchy, as in the authors' program."
    )
    clip: float = Field(10.0, gt=0, description="Entries of the gradient are cut off beyond this.")
    share: float = Field(1.0, gt=0, le=1, description="Of the ratings, drawn anew, that an epoch goes through.")
    batch_size: int = 50

    def check(self) -> None:
        super().check()
        encodes = self.encoder != "none"
        require(bool(self.column) == encodes, f"column={self.column!r}: name one exactly where there is an encoder")


class Read(NamedTuple):
    """What one side makes of B histories before it knows who is asked about.

    Attributes:
        real: (P, B) 1 where there is a step, 0 at padding.
        input: (P, B, n) H E(x_t) + b of the gated recurrence.
        seen: (P, B, m) what the gates make of the states of their own side.
        summary: (B, 2 a) what the other side sees: the forward state of the newest step, the backward of the oldest.
    """

    real: Tensor
    input: Tensor
    seen: Tensor
    summary: Tensor

    def alone(self, line: int, count: int) -> Read:
        """One history, `count` times; it stays in one place."""
        real, *others = self
        same = (part[..., line : line + 1, :].expand(*part.shape[:-2], count, -1) for part in others)
        return Read(real[:, line : line + 1].expand(-1, count), *same)


class Side(nn.Module):
    """One of the two networks."""

    def __init__(self, config: IARNConfig) -> None:
        super().__init__()
        self.config = config
        hidden, context, backbone = config.hidden, config.context, config.backbone
        read = 2 * config.dim + 1 if config.rated else config.dim
        self.main = RecurrentModel(read, hidden, 4 if backbone == "lstm" else 1)
        if backbone in ("iarn", "tagm"):
            self.ahead, self.back = RecurrentModel(read, context), RecurrentModel(read, context)
            wide = 4 * context if backbone == "iarn" else 2 * context
            self.fusion, self.gate = nn.Linear(wide, wide), nn.Linear(wide, 1)
        self.head = nn.Sequential(nn.Linear(hidden, hidden), nn.PReLU())

    @torch.no_grad()
    def start_small(self) -> None:
        """Make what comes out small."""
        for weight in self.head[0].parameters():
            weight.mul_(START)

    def read(self, x: Float[Tensor, "P B e"], real: Float[Tensor, "P B"]) -> Read:
        """Once a history: the bi-directional states (7), and what (3) and (6) make of a step whoever is asked about."""
        none = x.new_zeros(len(x), x.shape[1], 0)
        if self.config.backbone in ("rnn", "lstm"):
            return Read(real, self.main.read(x), none, none.new_zeros(x.shape[1], 0))
        kind = self.config.activation
        ahead = walk(self.ahead.read(x), real, self.ahead.state.weight, kind)
        back = walk(self.back.read(x).flip(0), real.flip(0), self.back.state.weight, kind).flip(0)
        states = self._dropped(torch.cat([ahead, back], 2))
        own = self.fusion.weight[:, : states.shape[2]]
        half = self.config.context
        ends = states.new_zeros(x.shape[1], 2 * half)
        if len(x):
            ends = torch.cat([states[-1, :, :half], states[0, :, half:]], 1)
        return Read(real, self.main.read(x), states @ own.T + self.fusion.bias, ends)

    def gates(self, read: Read, other: Float[Tensor, "B s"]) -> Float[Tensor, "P B"]:
        """a_t of (6), 0 at padding: how much of each step is let in."""
        if self.config.backbone in ("rnn", "lstm"):
            return read.real
        seen = read.seen
        if self.config.backbone == "iarn":
            theirs = self.fusion.weight[:, other.shape[1] :]
            seen = seen + self.config.heed * other @ theirs.T
        return torch.sigmoid(self.config.sharpness * self.gate(seen.tanh()).squeeze(2)) * read.real

    def meet(self, read: Read, other: Float[Tensor, "B s"]) -> Float[Tensor, "B h"]:
        """Once a pair: u~ of (2), of a user who is asked about an item."""
        if self.config.backbone == "lstm":
            state = self._lstm(read)
        else:
            states = walk(read.input, self.gates(read, other), self.main.state.weight, "relu")
            state = states[-1] if len(states) else read.input.new_zeros(read.input.shape[1:])
        found: Tensor = self.head(self._dropped(state))
        return found

    def _lstm(self, read: Read) -> Float[Tensor, "B h"]:
        """The last state of an LSTM with the blocks input, forget, output, candidate."""
        hidden = self.config.hidden
        state = cell = read.input.new_zeros(read.input.shape[1], hidden)
        for x, real in zip(read.input, read.real.unsqueeze(2), strict=True):
            blocks = x + state @ self.main.state.weight.T
            enter, keep, leave = blocks[:, : 3 * hidden].sigmoid().chunk(3, 1)
            cell = torch.lerp(cell, keep * cell + enter * blocks[:, 3 * hidden :].tanh(), real)
            state = torch.lerp(state, leave * cell.tanh(), real)
        return state

    def _dropped(self, states: Tensor) -> Tensor:
        return dropout(states, self.config.dropout, self.training)


class IARN(BiasedRatingModel):
    """A network for each side, and the vectors that they read."""

    name = "iarn"
    Config = IARNConfig
    config: IARNConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {},
        "biased": {
            "bias": True,
            "rated": True,
            "dim": 16,
            "context": 16,
            "hidden": 32,
            "longest": 20,
            "batch_size": 256,
        },
        "author": {
            "squash": True,
            "activation": "softplus",
            "sharpness": 2.0,
            "heed": 0.25,
            "dropout": 0.1,
            "batch_size": 64,
        },
    }
    space: ClassVar[Space] = {
        "lr": LogUniform(1e-4, 1e-2),
        "dropout": Choice(0.0, 0.25, 0.5),
        "hidden": Choice(32, 64, 128),
    }
    known: Tensor

    def __init__(self, config: IARNConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.window = self.audience = config.longest
        self.items = nn.Parameter(torch.randn(sizes.num_items + 1, config.dim) * 0.1)  # as users meet them
        self.users = nn.Parameter(torch.randn(sizes.num_users + 1, config.dim) * 0.1)  # as items meet them
        zero_padding(self.items)
        zero_padding(self.users)
        self.of_user, self.of_item = Side(config), Side(config)
        if config.rated:
            self.said = SparseRows(sizes.num_users + 1)
        if config.bias:
            for side in (self.of_user, self.of_item):
                side.start_small()
        self.register_buffer("known", torch.zeros(sizes.num_items + 1, config.longest, dtype=torch.int32))
        if config.encoder != "none":
            room = (sizes.num_items, config.features, config.levels)
            self.encoder = Encoder(room, config.dim, config.encoder, squash=config.squash)

    def optimizer(self) -> RMSprop:
        config = self.config
        return RMSprop(self.parameters(), lr=config.schedule, weight_decay=config.weight_decay, clip=config.clip)

    def batches(self, log: Log, rng: np.random.Generator) -> Iterator[Batch]:
        if self.config.encoder != "none":
            self.encoder.set_features(*features(log, self.config.column))
        reads = {"history": self.window, "audience": self.audience}
        yield from self.pairs(log).batches(self.config.batch_size, rng, **reads, share=self.config.share)

    def look_at(self, pairs: RatedEvents) -> None:
        super().look_at(pairs)
        found = torch.from_numpy(pairs.audiences(self.config.longest))
        self.known.zero_()[:, self.config.longest - found.shape[1] :] = found.to(self.known)
        if self.config.rated:
            self.said.fill(*_first(pairs, self.sizes))

    def predict(self, batch: Batch) -> Float[Tensor, "B"]:
        assert batch.target is not None
        item = batch.target[:, 0]
        user_side = self._read_user(batch)
        item_side = self._read_item(item, self.known[item].long() if batch.audience is None else batch.audience)
        if self.config.backbone in ("iarn", "tagm"):
            record("gate", lambda: self.of_user.gates(user_side, item_side.summary).T)
            record("item history gate", lambda: self.of_item.gates(item_side, user_side.summary).T)
        return self._rating(user_side, item_side, batch.user, item)

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        """Every history is read once, and each user meets all items in one call."""
        if items is None:
            items = torch.arange(self.sizes.num_items + 1, device=batch.user.device)
        user_side = self._read_user(Batch(batch.user, batch.last(self.config.longest)))
        scores = self.items.new_empty(len(batch), len(items))
        by_length = (self.known[items] > 0).sum(1).argsort()  # items of alike audience: little padding
        for place in by_length.split(ITEMS):
            part = items[place]
            item_side = self._read_item(part, self.known[part].long())
            for line in range(len(batch)):
                one, who = user_side.alone(line, len(part)), batch.user[line].expand(len(part))
                scores[line, place] = self._rating(one, item_side, who, part)
        scores[:, items == 0] = -torch.inf
        return scores

    def _read_user(self, batch: Batch) -> Read:
        history = _trimmed(batch.last(min(self.config.longest, batch.history.shape[1])))
        steps = embedding(self.items, history)
        if self.config.rated:
            steps = self._with_ratings(steps, batch.user.expand_as(history), history, self.item_bias[history])
        return self.of_user.read(steps, (history > 0).to(steps))

    def _read_item(self, item: Int[Tensor, "B"], audience: Int[Tensor, "B Q"]) -> Read:
        audience = _trimmed(audience)
        steps = embedding(self.users, audience)
        if self.config.encoder != "none":
            steps = self.encoder(steps, item)
        if self.config.rated:
            steps = self._with_ratings(steps, audience, item.expand_as(audience), self.user_bias[audience])
        return self.of_item.read(steps, (audience > 0).to(steps))

    def _with_ratings(
        self, x: Float[Tensor, "P B e"], user: Int[Tensor, "P B"], item: Int[Tensor, "P B"], bias: Float[Tensor, "P B"]
    ) -> Float[Tensor, "P B n"]:
        """(x ; y x ; y), where y is how far the rating of the step lies above the bias of what was met, less the mean
        of that over the history: its level says what the bias of whoever is asked about says too."""
        rating, known = self.said.at(user, item)
        above = (rating - bias) * known
        above = (above - above.sum(0) / known.sum(0).clamp(min=1)) * known
        return torch.cat([x, above.unsqueeze(2) * x, above.unsqueeze(2)], 2)

    def _rating(
        self, user_side: Read, item_side: Read, user: Int[Tensor, "B"], item: Int[Tensor, "B"]
    ) -> Float[Tensor, "B"]:
        """(1), of each user and the item beside it; above their biases, where there are such."""
        mine = self.of_user.meet(user_side, item_side.summary)
        theirs = self.of_item.meet(item_side, user_side.summary)
        taste = (mine * theirs).sum(1)
        return taste + self.mean + self.user_bias[user] + self.item_bias[item] if self.config.bias else taste


def _trimmed(history: Int[Tensor, "B P"]) -> Int[Tensor, "Q B"]:
    """What is read, step by step; without the steps that are padding to all."""
    some = (history > 0).any(0)
    return history[:, int(some.to(torch.uint8).argmax()) if some.any() else history.shape[1] :].T


def _first(pairs: RatedEvents, sizes: Sizes) -> tuple[Ids, Ids, Floats]:
    """How many items each user rated, which, and the first rating of each: no later one may be known before it."""
    pair, place = np.unique(pairs.user * (sizes.num_items + 1) + pairs.item, return_index=True)
    user, item = np.divmod(pair, sizes.num_items + 1)
    return np.bincount(user, minlength=sizes.num_users + 1), item, pairs.rating[place].astype(np.float64)
