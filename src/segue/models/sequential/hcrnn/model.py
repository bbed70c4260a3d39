"""HCRNN: a hierarchical context enabled recurrent neural network.

A recurrent cell carries a temporary context h (short-term interest) and a local context c (a mixture of global
contexts, chosen by a topic posterior theta of the whole history). Two attention layers, over h and over c, summarise
the sequence for the query. Equation numbers are the paper's:

theta ~ softmax(N(mu, diag(sigma^2))), mu = f W_mu + b_mu, log sigma = f W_sigma + b_sigma    (11, 12, 31-33)
c_t, h_t: the cell, (13)-(24), in `segue.models.sequential.hcrnn.cell`. HCRNN-1, -2 and -3 differ in the reset gate:

    1   r = sigma(x W_xr + h W_hr + c' W_cr + b_r)                          h~ reads r * h
    2   r = sigma(x W_xr + h W_hr + (x * c') W_d + b_r)      W_d >= 0       h~ reads r * h
    3   G_d = sigma((x * c') W_d + b_d), r = sigma(x W_xr + h W_hr + b_r)   h~ reads r * G_d * h

    a_j = softmax_j (c_t W_1)(c_j W_2)^T / sqrt(H)            h^c = sum_j a_j h_j           (25, 27)
    b_j = softmax_j v . sigma(h_t W_3 + h_j W_4)              h^h = sum_j b_j h_j           (26, 27)
    score of item i = e_i . W_B [h_t, h^c, h^h]               "bi"; "single": [h^h, h_t]    (28)

The loss is cross-entropy plus KL(q || N(0, I)), once for each query (30). Evaluation takes theta = softmax(mu). f is
ELU(bag W_e + b_e) of the bag of distinct items so far: the paper leaves f open, and its program has this one.

Source: Song, Cha and Moon, "Hierarchical context enabled recurrent neural network for recommendation", AAAI 2019.

theta is that of the whole history x_1..x_t and is used from the first step on. Each query of `hcrnn` therefore runs the
cell from its first item. `hcrnn-running` is another model: theta_t is computed from x_1..x_t at each step, and one run
over the sequence gives all queries.

Differs from the authors' program (github.com/gtshs2/HCRNN), whose variants the preset `author` has, in:
  * the program trains f, mu and sigma in a step of their own, by a second forward pass with other dropout masks; here
    one step trains all weights;
  * the initial W_d of the program may be negative; here it is projected from the start.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

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
from segue.models.sequential.hcrnn.topic_posterior import SigmaParametrization, TopicPosterior, bags
from segue.nn.dropout import dropout
from segue.nn.embedding import zero_padding
from segue.nn.optim import Adam, Optimizer
from segue.nn.recurrent.packing import pack


class HCRNNConfig(RankingConfig):
    """Settings of HCRNN."""

    renamed: ClassVar[dict[str, str]] = {
        "hidden": "hidden_dim",
        "contexts": "num_contexts",
        "reset": "reset_context",
        "deviation": "sigma_parametrization",
        "scale": "attention_scale",
        "kl": "kl_weight",
        "noise": "posterior_noise",
        "fresh": "new_targets",
        "feature_dropout": "hidden_dropout",
    }
    renamed_values: ClassVar[dict[str, dict[str, str]]] = {
        "reset_context": {"now": "current", "before": "previous"},
        "attention_scale": {"hidden": "hidden_dim", "dim": "embedding_dim"},
    }
    embedding_dim: int = Field(100, description="Size D of the item embeddings and of the local context.")
    hidden_dim: int = Field(100, ge=1, description="Size H of the temporary context.")
    num_contexts: int = Field(50, ge=1, description="Number K of global contexts.")
    variant: Literal[1, 2, 3] = Field(3, description="Variant of the cell: HCRNN-1, HCRNN-2 or HCRNN-3.")
    attention: Literal["bi", "single"] = Field(
        "bi",
        description="Attention over the local and the temporary contexts (bi), or over the temporary ones (single).",
    )
    reset_context: Literal["current", "previous"] = Field(
        "current",
        description="Local context that the reset gate of HCRNN-1 reads: of the current or the previous step.",
    )
    sigma_parametrization: SigmaParametrization = Field(
        "log", description="Output of W_sigma: log sigma (log), or the inverse softplus of sigma - 1e-6 (softplus)."
    )
    attention_scale: Literal["hidden_dim", "embedding_dim"] = Field(
        "hidden_dim", description="Size whose square root divides the attention scores of (25): H or D."
    )
    kl_weight: float = Field(1.0, ge=0, description="Weight of the KL divergence in the loss.")
    posterior_noise: float = Field(
        1.0, ge=0, description="Factor of sigma when theta is sampled in training; 0 takes the mean of the posterior."
    )
    window: int = Field(100, ge=1, description="Number of most recent items that are read.")
    new_targets: int | None = Field(
        1,
        ge=1,
        description=(
            "Number of targets of a batch row: the last new_targets items of a subsequence. They share its embeddings "
            "and dropout mask. With 1 every target is drawn independently; none makes every item a target."
        ),
    )
    batch_size: int = Field(512, description="Number of subsequences in one optimisation step.")
    dropout: float = Field(
        0.25, ge=0, lt=1, description="Dropout rate of the item embeddings and of the bags of items."
    )
    hidden_dropout: float = Field(0.5, ge=0, lt=1, description="Dropout rate of the representation that W_B decodes.")


class HCRNN(CausalModel):
    """HCRNN with one topic posterior theta for each query; every query runs the cell over its whole history.

    Class attributes:
        running_theta: whether theta is computed at each step instead of once for each query.
    """

    name = "hcrnn"
    training_cost = "high"
    Config = HCRNNConfig
    config: HCRNNConfig
    presets: ClassVar = {
        "paper": {},
        "author": {
            "reset_context": "previous",
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
    running_theta: ClassVar[bool] = False
    fixed_shapes = False
    window: int

    def __init__(self, config: HCRNNConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.window, self.micro_batch_size = config.window, 128
        dim, hidden, count = config.embedding_dim, config.hidden_dim, config.num_contexts
        self.item_embedding = nn.Parameter(torch.randn(sizes.num_items + 1, dim).mul_(0.1))
        zero_padding(self.item_embedding)
        self.encode("item_embedding")
        self.topic_posterior = TopicPosterior(
            dim, count, deviation=config.sigma_parametrization, noise=config.posterior_noise, dropout=config.dropout
        )
        self.global_contexts, self.theta_weight = _glorot(count, dim), _glorot(dim, hidden)  # M, W_theta
        self.context_attention = nn.Parameter(_glorot(hidden, 1).detach().squeeze(1))  # v of (13)
        self.input_weight = _glorot(dim, dim, hidden, hidden, hidden)  # W_xl, W_xz, W_xr, W_xh
        self.input_bias = _zeros(dim + 3 * hidden)
        self.state_weight = _glorot(hidden, hidden, dim, hidden, hidden)  # W_h, W_hl, W_hz, W_hr
        self.local_weight, self.update_weight = _glorot(dim, dim), _glorot(dim, hidden)  # W_cl, W_cz
        self.reset_weight, self.new_weight = _glorot(dim, hidden), _glorot(hidden, hidden)  # W_cr or W_d, W_hh
        self.drift_bias = _zeros(hidden) if config.variant == 3 else None  # b_d
        self.attention_query, self.attention_key = _glorot(hidden, hidden), _glorot(hidden, hidden)  # W_3, W_4
        self.attention_vector = nn.Parameter(_glorot(hidden, 1).detach().squeeze(1))  # v of (26)
        bi = config.attention == "bi"
        if bi:
            self.local_query, self.local_key = _glorot(dim, hidden), _glorot(dim, hidden)  # W_1, W_2
        self.decoder = _glorot((3 if bi else 2) * hidden, dim)  # W_B
        if config.variant > 1:
            with torch.no_grad():
                self.reset_weight.clamp_(min=0)

    def optimizer(self) -> Optimizer:
        config = self.config
        nonnegative = [self.reset_weight] if config.variant > 1 else []
        return Adam(self.parameters(), lr=config.schedule, weight_decay=config.weight_decay, nonnegative=nonnegative)

    def training_sequences(self, log: Log) -> CausalSequences:
        return replace(super().training_sequences(log), new_targets=self.config.new_targets)

    def forward(self, batch: SequenceBatch) -> Float[Tensor, ""]:
        batch = batch.trimmed()
        queries, divergence = self._queries_and_divergence(batch)
        return self.ranking_loss(queries, batch) + self.config.kl_weight * divergence

    def queries(self, batch: Batch) -> Float[Tensor, "B C d"]:
        """Queries at the positions with targets, or at the last one in a batch that is only scored; zeros elsewhere."""
        return self._queries_and_divergence(batch.trimmed())[0]

    def recordings(self, history: Int[Tensor, "P"]) -> dict[str, Tensor]:
        """The gates, contexts and attention weights at each of the T items of one history, for the query after it.

        Returns:
            `theta` (K,) or, with a running theta, (T, K); `alpha` (T, K); `local_gate` (T, D); `update`, `reset` and
            `drift` (T, H), the last 1 without a drift gate; `temporary` (T, H), the contexts h; `local` (T, D), the
            contexts c; `attention` (T,), and with bi-channel attention `local_attention` (T,).
        """
        history = history[history > 0][-self.window :]
        needs_theta = torch.ones(1, len(history), dtype=torch.bool, device=history.device)
        needs_theta[:, :-1] = self.running_theta
        with torch.no_grad():
            item = self.encoded("item_embedding", history)  # (T, D)
            posterior = self.topic_posterior.posterior(bags(history[None], item[None])[needs_theta])
            theta = torch.softmax(posterior.mean, 1)  # (1, K) or (T, K)
            cell = cell_activations(
                [1] * len(history),
                item,
                self._project_inputs(item),
                theta=theta if self.running_theta else theta[:1],
                weights=self._weights,
                reset_input=self._reset_input,
            )
            position = torch.arange(len(history), device=history.device)
            pairs = AttentionPairs(torch.zeros_like(position), position, position)
            newest = Contexts(cell.state[-1:], cell.local[-1:])
            _, attention = self._attend(newest, Contexts(cell.state, cell.local), pairs)
        dim, hidden = self.config.embedding_dim, self.config.hidden_dim
        local_gate, update, reset = cell.gates.split([dim, hidden, hidden], 1)
        return {
            "local_gate": local_gate,
            "update": update,
            "reset": reset,
            "theta": theta if self.running_theta else theta[0],
            "alpha": cell.alpha,
            "drift": cell.drift,
            "temporary": cell.state,
            "local": cell.local,
            **{name: weights[0] for name, weights in attention.items()},
        }

    def _queries_and_divergence(self, batch: Batch) -> tuple[Float[Tensor, "B P d"], Float[Tensor, ""]]:
        """The queries of a batch, and the KL divergence summed over them. Q is the number of queries."""
        history, config = batch.history, self.config
        valid = history > 0  # (B, P)
        mask = _query_mask(batch) & valid  # (B, P): where there is a query
        vectors = self.encoded("item_embedding", history)  # (B, P, D)
        item = dropout(vectors[valid], config.dropout, self.training)  # (n, D), row by row
        inputs = self._project_inputs(item)
        # with a running theta the cell runs once for each row, otherwise once for each query
        ends, needs_theta = (_last_position(valid), valid) if self.running_theta else (mask, mask)
        posterior = self.topic_posterior.posterior(bags(history, vectors)[needs_theta])
        theta = self.topic_posterior.sample(posterior)  # (Q, K) or (n, K)
        index = valid.flatten().cumsum(0).view(valid.shape) - 1  # (B, P): of each item among the n
        length = valid.cumsum(1)  # (B, P): of the history up to each position
        steps = pack((index - length)[ends] + 1, length[ends])
        item, inputs = item.index_select(0, steps.indices), inputs.index_select(0, steps.indices)
        theta = theta.index_select(0, steps.indices if self.running_theta else steps.sorted_indices)
        states = Contexts(
            *run_cell(
                steps.batch_sizes,
                item,
                inputs,
                theta=theta,
                weights=self._weights,
                reset_input=self._reset_input,
            )
        )
        # the run of the cell that each query belongs to
        runs = (ends.any(1).cumsum(0) - 1)[mask.nonzero()[:, 0]] if self.running_theta else torch.arange(len(theta))
        newest, pairs = attention_pairs(steps, runs.to(history.device), length[mask])
        last = Contexts(*(context.index_select(0, newest) for context in states))
        query = self._decode(self._attend(last, states, pairs)[0])  # (Q, d)
        queries = query.new_zeros(history.numel(), config.embedding_dim)
        queries = queries.index_copy(0, mask.flatten().nonzero()[:, 0], query)
        return queries.view(*history.shape, -1), posterior.divergence[mask[needs_theta]].sum()

    def _project_inputs(self, item: Float[Tensor, "n D"]) -> Float[Tensor, "n g"]:
        """The products of the inputs with the weights of all gates, in one matrix product."""
        return torch.addmm(self.input_bias, item, self.input_weight)

    @property
    def _weights(self) -> Weights:
        return Weights(
            memory=self.global_contexts,
            projected=self.global_contexts @ self.theta_weight,
            attention=self.context_attention,
            state=self.state_weight,
            local=self.local_weight,
            update=self.update_weight,
            reset=self.reset_weight,
            new=self.new_weight,
            drift=self.drift_bias,
        )

    @property
    def _reset_input(self) -> ResetInput:
        if self.config.variant > 1:
            return "product"
        return "now" if self.config.reset_context == "current" else "before"

    def _attend(
        self, last: Contexts, states: Contexts, pairs: AttentionPairs
    ) -> tuple[Float[Tensor, "Q f"], dict[str, Float[Tensor, "Q P"]]]:
        """The representation of each query that W_B decodes, and its attention weights over its steps."""
        state = states.state.index_select(0, pairs.step)  # (p, H), p pairs of a query and a step
        query = (last.state @ self.attention_query).index_select(0, pairs.query)  # (p, H)
        key = (states.state @ self.attention_key).index_select(0, pairs.step)  # (p, H)
        scores = torch.sigmoid(query + key) @ self.attention_vector  # (26): (p,)
        by_state, weights = ragged_attention(scores, state, pairs, len(last.state))  # (Q, H), (Q, P)
        if self.config.attention == "single":
            return torch.cat([by_state, last.state], 1), {"attention": weights}
        scale = self.config.hidden_dim if self.config.attention_scale == "hidden_dim" else self.config.embedding_dim
        query = last.local @ self.local_query @ self.local_key.T  # (Q, D): once for each query, not for each pair
        local = states.local.index_select(0, pairs.step)  # (p, D)
        scores = (query.index_select(0, pairs.query) * local).sum(1) / scale**0.5  # (25): (p,)
        by_local, local_weights = ragged_attention(scores, state, pairs, len(last.state))
        features = torch.cat([last.state, by_local, by_state], 1)  # (Q, 3 H)
        return features, {"attention": weights, "local_attention": local_weights}

    def _decode(self, features: Float[Tensor, "Q f"]) -> Float[Tensor, "Q d"]:
        return dropout(features, self.config.hidden_dropout, self.training) @ self.decoder


def _query_mask(batch: Batch) -> Bool[Tensor, "B P"]:
    """Where a batch has queries: at its targets, or at the last position if it is only scored."""
    mask = batch.query_mask  # (B, P) in training, (B, 1) in scoring
    return nn.functional.pad(mask, (batch.history.shape[1] - mask.shape[1], 0))


def _last_position(valid: Bool[Tensor, "B P"]) -> Bool[Tensor, "B P"]:
    """True at the last position of every row that has an item."""
    last = torch.zeros_like(valid)
    last[:, -1:] = valid[:, -1:]
    return last


def _glorot(rows: int, *columns: int) -> nn.Parameter:
    """Matrices side by side, each initialised by Glorot's rule for its own size."""
    matrix = torch.empty(rows, sum(columns))
    for part in matrix.split(columns, 1):
        nn.init.xavier_uniform_(part)
    return nn.Parameter(matrix)


def _zeros(size: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(size))
