"""`hcrnn-running`: HCRNN whose topic posterior theta is computed anew at each step.

One run of the cell over a sequence gives the queries after all of its items, and a live session can be continued step
by step. See `segue.models.sequential.hcrnn.model` for the equations.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from segue.models.sequential.hcrnn.cell import Contexts, cell_activations
from segue.models.sequential.hcrnn.model import HCRNN, HCRNNConfig
from segue.models.sequential.hcrnn.ragged_attention import AttentionPairs


class RunningHCRNNConfig(HCRNNConfig):
    """Settings of HCRNN with a running theta: those of HCRNN with other defaults."""

    new_targets: int | None = None
    batch_size: int = 16


class SessionState(NamedTuple):
    """What `RunningHCRNN.step` keeps of B live sessions.

    Attributes:
        contexts: the contexts h and c after the newest item.
        bag: the sum of the embeddings of the distinct items.
        seen: which items the bag holds.
        past: the contexts h and c after each of the last P items, for attention.
        valid: which of these positions hold an item.
    """

    contexts: Contexts
    bag: Float[Tensor, "B D"]
    seen: Bool[Tensor, "B I"]
    past: tuple[Float[Tensor, "B P H"], Float[Tensor, "B P D"]]
    valid: Bool[Tensor, "B P"]


class RunningHCRNN(HCRNN):
    """HCRNN with theta computed from the items so far at each step."""

    name = "hcrnn-running"
    Config = RunningHCRNNConfig
    running_theta = True
    keeps_state = True

    @torch.no_grad()
    def step(self, state: SessionState | None, item: Int[Tensor, "B"]) -> tuple[SessionState, Float[Tensor, "B I"]]:
        """The state after one more item of each session, and the scores of all items; item 0 changes nothing.

        Attention is over the last `window` items, so that the cost stays constant; h, c and the bag keep all items.
        """
        state = self.advance(state, item)
        scores = self.state_query(state) @ self.item_vectors().T  # (B, I + 1)
        scores[:, 0] = -torch.inf
        return state, scores

    @torch.no_grad()
    def advance(self, state: SessionState | None, item: Int[Tensor, "B"]) -> SessionState:
        """The state after one more item of each session: `step` without the scores."""
        if state is None:
            state = self._initial_state(len(item))
        vector, is_item = self.encoded("item_embedding", item), (item > 0).unsqueeze(1)  # (B, D), (B, 1)
        first_time = is_item & ~state.seen.gather(1, item.unsqueeze(1))
        bag = state.bag + vector * first_time
        theta = torch.softmax(self.topic_posterior.posterior(bag).mean, 1)  # (B, K)
        cell = cell_activations(
            [len(item)],
            vector,
            self._project_inputs(vector),
            theta=theta,
            weights=self._weights,
            reset_input=self._reset_input,
            initial=state.contexts,
        )
        pairs_of_states = zip((cell.state, cell.local), state.contexts, strict=True)
        contexts = Contexts(*(torch.where(is_item, new, old) for new, old in pairs_of_states))
        newest = slice(-self.window, None)
        past = [torch.cat([old, new.unsqueeze(1)], 1)[:, newest] for old, new in zip(state.past, contexts, strict=True)]
        valid = torch.cat([state.valid, is_item], 1)[:, newest]  # (B, P)
        seen = state.seen.scatter(1, item.unsqueeze(1), True)
        return SessionState(contexts, bag, seen, (past[0], past[1]), valid)

    @torch.no_grad()
    def state_query(self, state: SessionState) -> Float[Tensor, "B d"]:
        """The query vectors of sessions in these states."""
        valid = state.valid
        session, position = valid.nonzero().T
        pairs = AttentionPairs(session, position, session * valid.shape[1] + position)
        past = Contexts(*(context.flatten(0, 1) for context in state.past))
        features, _ = self._attend(state.contexts, past, pairs)
        return self._scaled(self._decode(features) * valid.any(1, keepdim=True))

    def _initial_state(self, count: int) -> SessionState:
        """The state of `count` sessions without an item."""
        zeros, hidden, dim = self.item_embedding.new_zeros, self.config.hidden_dim, self.config.embedding_dim
        seen = torch.zeros(count, self.sizes.num_items + 1, dtype=torch.bool, device=self.item_embedding.device)
        past = (zeros(count, 0, hidden), zeros(count, 0, dim))
        contexts = Contexts(zeros(count, hidden), zeros(count, dim))
        return SessionState(contexts, zeros(count, dim), seen, past, seen[:, :0])
