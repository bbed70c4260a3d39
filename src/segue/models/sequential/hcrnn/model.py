"""HCRNN: a recurrent unit with global, local and temporary contexts, and attention to the latter two.

Song, Cha and Moon, "Hierarchical Context enabled Recurrent Neural Network for Recommendation", AAAI 2019.

theta ~ softmax(N(mu, diag(sigma^2))), mu = f W_mu + b_mu, log sigma = f W_sigma + b_sigma    (11, 12, 31-33)
c_t, h_t: the cell, (13)-(24), in `layers.contexts`. HCRNN-1, -2 and -3 differ in what resets h:

    1   r = sigma(x W_xr + h W_hr + c' W_cr + b_r)                          h~ reads r * h
    2   r = sigma(x W_xr + h W_hr + (x * c') W_d + b_r)      W_d >= 0       h~ reads r * h
    3   G_d = sigma((x * c') W_d + b_d), r = sigma(x W_xr + h W_hr + b_r)   h~ reads r * G_d * h

    a_j = softmax_j (c_t W_1)(c_j W_2)^T / sqrt(H)            h^c = sum_j a_j h_j           (25, 27)
    b_j = softmax_j v . sigma(h_t W_3 + h_j W_4)              h^h = sum_j b_j h_j           (26, 27)
    score of item i = e_i . W_B [h_t, h^c, h^h]               "bi"; "single": [h^h, h_t]    (28)

The loss is cross-entropy plus KL(q || N(0, I)) once a question (30). Evaluation takes theta = softmax(mu).
f = ELU(bag W_e + b_e), of the bag of distinct items so far: the paper leaves f open, its program has this one.

**theta sees what the question sees.** It belongs to a whole history x_1..x_t and works from its first step on, so each
question is a walk of its own from its first item (`hcrnn`). `hcrnn-running` takes theta_t from x_1..x_t anew at each
step of one walk: another model, whose one pass over a history answers all its questions.

Departures from the authors' program (github.com/gtshs2/HCRNN), whose forms the preset "author" has: it moves f, mu and
sigma in a step of their own, by a second forward pass with fresh dropout; here one step moves all. Its first W_d may
be negative; here it is projected from the start.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from segue.batches.batch import Batch, SequenceBatch
from segue.batches.sequences import CausalSequences
from segue.config import Field
from segue.data.log import Log
from segue.models.base.causal import CausalModel
from segue.models.base.model import Sizes
from segue.models.base.ranking import RankingConfig
from segue.models.base.search_space import Choice, LogUniform, Space, Uniform
from segue.models.sequential.hcrnn.cell import Contexts, ResetInput, Weights, cell_activations, run_cell
from segue.models.sequential.hcrnn.ragged_attention import AttentionPairs, attention_pairs, ragged_attention
from segue.models.sequential.hcrnn.topic_posterior import Deviation, TopicPosterior, bags
from segue.nn.dropout import dropout
from segue.nn.embedding import embedding, zero_padding
from segue.nn.optim import Adam, Optimizer
from segue.nn.recurrent.packing import pack


class HCRNNConfig(RankingConfig):
    """Settings of HCRNN."""

    embedding_dim: int = Field(100, description="D, size of the items' vectors, and of the local context.")
    hidden_dim: int = Field(100, ge=1, description="H, size of the temporary context.")
    num_contexts: int = Field(50, ge=1, description="K, how many global contexts there are.")
    variant: Literal[1, 2, 3] = Field(3, description="1, 2 or 3: HCRNN-1, -2 or -3.")
    attention: Literal["bi", "single"] = Field(
        "bi", description="To the local and the temporary contexts ('bi'), or to the temporary ones alone ('single')."
    )
    reset_context: Literal["now", "before"] = Field(
        "now",
        description=('The local context that the reset gate of HCRNN-1 reads: that of "now", or of the step "before".'),
    )
    sigma_parametrization: Deviation = Field(
        "log", description="What W_sigma makes: log sigma ('log'), or softplus^-1(sigma - 1e-6) ('softplus')."
    )
    attention_scale: Literal["hidden_dim", "embedding_dim"] = Field(
        "hidden_dim", description="What (25) is divided by: the root of H ('hidden_dim') or of D ('embedding_dim')."
    )
    kl_weight: float = Field(1.0, ge=0, description="Weight of the divergence.")
    posterior_noise: float = Field(1.0, ge=0, description="Share of sigma that theta is drawn with in training.")
    window: int = Field(100, ge=1, description="How many of the last items are read.")
    new_targets: int | None = Field(
        1,
        ge=1,
        description=(
            "A batch row is a stretch of a sequence whose last `new_targets` items ask: they share the vectors of its "
            "items, and what dropout leaves of them. With 1 each question is drawn by itself; none: all items "
            "ask."
        ),
    )
    batch_size: int = Field(512, description="Stretches of a batch.")
    dropout: float = Field(
        0.25, ge=0, lt=1, description="Share of the entries of items' vectors, and of bags, that training leaves out."
    )
    hidden_dropout: float = Field(0.5, ge=0, lt=1, description="The same of what W_B reads.")


class HCRNN(CausalModel):
    """Each question is a walk of its own, with the theta of its own history."""

    name = "hcrnn"
    Config = HCRNNConfig
    config: HCRNNConfig
    presets: ClassVar = {
        "paper": {},
        "author": {
            "reset_context": "before",
            "sigma_parametrization": "softplus",
            "attention_scale": "embedding_dim",
            "kl_weight": 0.001,
        },
    }
    space: ClassVar[Space] = {
        "variant": Choice(1, 2, 3),
        "attention": Choice("bi", "single"),
        "num_contexts": Choice(20, 50),
        "kl_weight": LogUniform(1e-3, 1.0),
        "lr": LogUniform(5e-4, 5e-3),
        "dropout": Uniform(0.0, 0.5),
        "hidden_dropout": Uniform(0.2, 0.6),
    }
    running: ClassVar[bool] = False
    few_shapes = False
    window: int

    def __init__(self, config: HCRNNConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.window, self.rows_at_once = config.window, 128
        dim, hidden, count = config.embedding_dim, config.hidden_dim, config.num_contexts
        self.item = nn.Parameter(torch.randn(sizes.num_items + 1, dim) * 0.1)
        zero_padding(self.item)
        self.shares = TopicPosterior(
            dim, count, deviation=config.sigma_parametrization, noise=config.posterior_noise, dropout=config.dropout
        )
        self.memory, self.memory_weight = _glorot(count, dim), _glorot(dim, hidden)
        self.memory_attention = nn.Parameter(_glorot(hidden, 1).detach().squeeze(1))
        self.read_weight, self.read_bias = _glorot(dim, dim, hidden, hidden, hidden), _zeros(dim + 3 * hidden)
        self.state_weight = _glorot(hidden, hidden, dim, hidden, hidden)
        self.local_weight, self.update_weight = _glorot(dim, dim), _glorot(dim, hidden)
        self.reset_weight, self.new_weight = _glorot(dim, hidden), _glorot(hidden, hidden)
        self.drift_bias = _zeros(hidden) if config.variant == 3 else None
        self.last_weight, self.each_weight = _glorot(hidden, hidden), _glorot(hidden, hidden)
        self.attention = nn.Parameter(_glorot(hidden, 1).detach().squeeze(1))
        bi = config.attention == "bi"
        if bi:
            self.local_last_weight, self.local_each_weight = _glorot(dim, hidden), _glorot(dim, hidden)
        self.decoder = _glorot((3 if bi else 2) * hidden, dim)
        if config.variant > 1:
            with torch.no_grad():
                self.reset_weight.clamp_(min=0)

    def optimizer(self) -> Optimizer:
        drift = [self.reset_weight] if self.config.variant > 1 else []
        config = self.config
        return Adam(self.parameters(), lr=config.schedule, weight_decay=config.weight_decay, nonnegative=drift)

    def stretches(self, log: Log) -> CausalSequences:
        return replace(super().stretches(log), new_targets=self.config.new_targets)

    def forward(self, batch: SequenceBatch) -> Float[Tensor, ""]:
        batch = batch.trimmed()
        queries, divergence = self._answer(batch)
        return self.ranked(queries, batch) + self.config.kl_weight * divergence

    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        """Where a batch asks, or with nothing said, at its last column; zeros elsewhere."""
        return self._answer(batch.trimmed())[0]

    @property
    def item_table(self) -> Float[Tensor, "I d"]:
        return self.item

    def readouts(self, history: Int[Tensor, "P"]) -> dict[str, Tensor]:
        """What gates and attentions gave each of the T items of one history, for the question behind its last.

        `theta` (K; T K where it is taken anew at each step), `alpha` (T K), `local_gate` (T D), `update`, `reset`,
        `drift` (1 where there is no such gate), `temporary` (T H: h), `local` (T D: c), `attention` (T), and with
        two channels `local_attention` (T).
        """
        history = history[history > 0][-self.window :]
        walked = torch.ones(1, len(history), dtype=torch.bool, device=history.device)
        walked[:, :-1] = self.running
        with torch.no_grad():
            item = self.item[history]
            theta = torch.softmax(self.shares.posterior(bags(history[None], item[None])[walked]).mean, 1)
            alive = [1] * len(history)
            kept = theta if self.running else theta[:1]
            done = cell_activations(
                alive, item, self._gates(item), theta=kept, weights=self._weights, reset_input=self._reads
            )
            place = torch.arange(len(history), device=history.device)
            pairs = AttentionPairs(torch.zeros_like(place), place, place)
            _, shares = self._features(
                Contexts(done.state[-1:], done.local[-1:]), Contexts(done.state, done.local), pairs
            )
        dim, hidden = self.config.embedding_dim, self.config.hidden_dim
        names = ("local_gate", "update", "reset")
        found = dict(zip(names, done.gates.split([dim, hidden, hidden], 1), strict=True))
        found |= {"theta": theta if self.running else theta[0], "alpha": done.alpha, "drift": done.drift}
        return {**found, "temporary": done.state, "local": done.local, **{name: one[0] for name, one in shares.items()}}

    def _answer(self, batch: Batch) -> tuple[Float[Tensor, "B P d"], Float[Tensor, ""]]:
        """The queries of a batch, and the divergence summed over its questions."""
        history, config = batch.history, self.config
        real = history > 0
        asked = _asked(batch) & real
        vectors = embedding(self.item, history)
        item = dropout(vectors[real], config.dropout, self.training)
        read = self._gates(item)
        ends, inferred = (_ends(real), real) if self.running else (asked, asked)
        posterior = self.shares.posterior(bags(history, vectors)[inferred])
        theta = self.shares.draw(posterior)
        number, count = real.flatten().cumsum(0).view(real.shape) - 1, real.cumsum(1)  # of items, and in their row
        steps = pack((number - count)[ends] + 1, count[ends])
        some = [entry.index_select(0, steps.indices) for entry in (item, read)]
        kept = theta.index_select(0, steps.indices if self.running else steps.sorted_indices)
        states = Contexts(
            *run_cell(steps.batch_sizes, *some, theta=kept, weights=self._weights, reset_input=self._reads)
        )
        walks = (ends.any(1).cumsum(0) - 1)[asked.nonzero()[:, 0]] if self.running else torch.arange(len(kept))
        newest, pairs = attention_pairs(steps, walks.to(history.device), count[asked])
        last = Contexts(*(entry.index_select(0, newest) for entry in states))
        found = self._decoded(self._features(last, states, pairs)[0])
        queries = found.new_zeros(history.numel(), config.embedding_dim).index_copy(
            0, asked.flatten().nonzero()[:, 0], found
        )
        return queries.view(*history.shape, config.embedding_dim), posterior.divergence[asked[inferred]].sum()

    def _gates(self, item: Float[Tensor, "n D"]) -> Float[Tensor, "n g"]:
        """What the gates read of items."""
        return torch.addmm(self.read_bias, item, self.read_weight)

    @property
    def _weights(self) -> Weights:
        return Weights(
            memory=self.memory,
            projected=self.memory @ self.memory_weight,
            attention=self.memory_attention,
            state=self.state_weight,
            local=self.local_weight,
            update=self.update_weight,
            reset=self.reset_weight,
            new=self.new_weight,
            drift=self.drift_bias,
        )

    @property
    def _reads(self) -> ResetInput:
        return "likeness" if self.config.variant > 1 else self.config.reset_context

    def _features(
        self, last: Contexts, states: Contexts, pairs: AttentionPairs
    ) -> tuple[Float[Tensor, "Q f"], dict[str, Float[Tensor, "Q P"]]]:
        """What W_B reads, and the attention of each question to its steps, from their first on."""
        state = states.state.index_select(0, pairs.step)
        ours = (last.state @ self.last_weight).index_select(0, pairs.query)
        each = (states.state @ self.each_weight).index_select(0, pairs.step)
        scores = torch.sigmoid(ours + each) @ self.attention
        seen, shares = ragged_attention(scores, state, pairs, len(last.state))
        if self.config.attention == "single":
            return torch.cat([seen, last.state], 1), {"attention": shares}
        wide = self.config.hidden_dim if self.config.attention_scale == "hidden_dim" else self.config.embedding_dim
        wanted = last.local @ self.local_last_weight @ self.local_each_weight.T  # once a question, not once a step
        local = states.local.index_select(0, pairs.step)
        scores = (wanted.index_select(0, pairs.query) * local).sum(1) / wide**0.5
        seen_alike, shares_alike = ragged_attention(scores, state, pairs, len(last.state))
        features = torch.cat([last.state, seen_alike, seen], 1)
        return features, {"attention": shares, "local_attention": shares_alike}

    def _decoded(self, features: Float[Tensor, "Q f"]) -> Float[Tensor, "Q d"]:
        return dropout(features, self.config.hidden_dropout, self.training) @ self.decoder


class RunningHCRNNConfig(HCRNNConfig):
    """Settings of HCRNN with a running theta: those of HCRNN, with others as their defaults."""

    new_targets: int | None = None
    batch_size: int = 16


class Live(NamedTuple):
    """What is remembered of B histories: h and c, the bag and which items it holds, the last P of h and c."""

    contexts: Contexts
    bag: Float[Tensor, "B D"]
    seen: Bool[Tensor, "B I"]
    past: tuple[Float[Tensor, "B P H"], Float[Tensor, "B P D"]]
    real: Bool[Tensor, "B P"]


class RunningHCRNN(HCRNN):
    """theta is taken anew at each step: one walk through a history answers behind each of its items."""

    name = "hcrnn-running"
    Config = RunningHCRNNConfig
    running = True

    @torch.no_grad()
    def step(self, state: Live | None, item: Int[Tensor, "B"]) -> tuple[Live, Float[Tensor, "B I"]]:
        """What is remembered after one more item of each row, and the scores of all; 0 as an item changes nothing.

        Attention looks back at the last `window` events, so that the cost does not grow; h, c and the bag remember all.
        """
        count = len(item)
        if state is None:
            state = self._nothing(count)
        vector, known = self.item[item], (item > 0).unsqueeze(1)
        fresh = known & ~state.seen.gather(1, item.unsqueeze(1))
        bag = state.bag + vector * fresh
        theta = torch.softmax(self.shares.posterior(bag).mean, 1)
        read, initial = self._gates(vector), state.contexts
        done = cell_activations(
            [count], vector, read, theta=theta, weights=self._weights, reset_input=self._reads, initial=initial
        )
        now = Contexts(
            *(torch.where(known, new, old) for new, old in zip((done.state, done.local), initial, strict=True))
        )
        last = slice(-self.window, None)
        past = [torch.cat([old, new.unsqueeze(1)], 1)[:, last] for old, new in zip(state.past, now, strict=True)]
        real = torch.cat([state.real, known], 1)[:, last]
        question, place = real.nonzero().T
        pairs = AttentionPairs(question, place, question * real.shape[1] + place)
        features, _ = self._features(now, Contexts(*(entry.flatten(0, 1) for entry in past)), pairs)
        query = self._scaled(self._decoded(features) * real.any(1, keepdim=True))
        scores = query @ self.item_vectors().T
        scores[:, 0] = -torch.inf
        seen = state.seen.scatter(1, item.unsqueeze(1), True)
        return Live(now, bag, seen, (past[0], past[1]), real), scores

    def _nothing(self, count: int) -> Live:
        zeros, hidden, dim = self.item.new_zeros, self.config.hidden_dim, self.config.embedding_dim
        no = torch.zeros(count, self.sizes.num_items + 1, dtype=torch.bool, device=self.item.device)
        past = (zeros(count, 0, hidden), zeros(count, 0, dim))
        return Live(Contexts(zeros(count, hidden), zeros(count, dim)), zeros(count, dim), no, past, no[:, :0])


def _asked(batch: Batch) -> Bool[Tensor, "B P"]:
    mask = batch.query_mask  # (B, P) in training, (B, 1) in use
    return nn.functional.pad(mask, (batch.history.shape[1] - mask.shape[1], 0))


def _ends(real: Bool[Tensor, "B P"]) -> Bool[Tensor, "B P"]:
    """The last column, of the rows that hold anything."""
    last = torch.zeros_like(real)
    last[:, -1:] = real[:, -1:]
    return last


def _glorot(rows: int, *columns: int) -> nn.Parameter:
    """Blocks of weights side by side, each drawn for its own size."""
    return nn.Parameter(torch.cat([nn.init.xavier_uniform_(torch.empty(rows, wide)) for wide in columns], 1))


def _zeros(size: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(size))
