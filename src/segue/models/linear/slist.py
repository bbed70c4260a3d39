"""SLIST: regressions of each item on the items of its session and on those before it, in one closed form.

    B = argmin  alpha |W_full (X - X' B)|^2 + (1 - alpha) |W_par (T - S B)|^2 + l2 |B|^2    with  B_jj <= max_diagonal

    X   (sessions, I)          1 where a session has an item: the similarity model, SLIS; X' = X
    S   (partial sessions, I)  the first l items of a session s, l = 1 .. |s| - 1: the transition model, SLIT
    T   (partial sessions, I)  the items after these

The r-th newest item counts transition_decay^r in S, and the r-th oldest in T. A squared entry of W_full and W_par is
exp(-age / session_days), with the age of the session's last event. The solution, with P and K in place of the sums, is

    P = (alpha X'^T W_full^2 X' + (1 - alpha) S^T W_par^2 S + l2)^-1
    K =  alpha X'^T W_full^2 X  + (1 - alpha) S^T W_par^2 T
    B = P (K - diag(m)),    m_j = max(0, (P K)_jj - max_diagonal) / P_jj

Where only some events are targets, or have weights, X has the largest weight of a session's events with an item, and
the items in T count their weights; X' and S have all events.

`LinearModel` scores. Each decay is exp(-1 / delta) in the symbols of the paper.

Differences. The paper bounds the diagonal of SLIS (alpha = 1) alone, and not that of the joint model; here the bound
holds for every alpha, by the same Lagrangian. With `normalize`, as in the authors' program, the rows of X' and S are
scaled to sum to 1. The program's settings for all data sets take only the newest item of S (`transition_from=last`).
The defaults were chosen on the validation parts of MovieLens 100K, MovieLens 1M, Amazon Beauty and a week of YooChoose.
Source: Choi, Kim, Lee, Shim and Lee, "Session-aware linear item-item models for session-based recommendation",
WWW 2021; the authors' program, github.com/jin530/SLIST.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import scipy.sparse as sp

from segue.config import Field
from segue.data.log import Floats, Ids, Log
from segue.models.base.event_pairs import EventPairsConfig, add_pairs, by_length, event_days
from segue.models.base.linear import LinearModel, regression_weights, user_item_matrix
from segue.models.base.search_space import Choice, LogUniform, Space, Uniform

# the program's settings for YooChoose 1/64, with delta_pos = delta_inf = 1
YOOCHOOSE: dict[str, Any] = {
    "l2": 10.0,
    "alpha": 0.4,
    "max_diagonal": None,
    "transition_from": "last",
    "transition_decay": 0.36788,
    "session_days": 4.0,
    "normalize": True,
    "position_decay": 0.36788,
    "window": None,
}


class SLISTConfig(EventPairsConfig):
    """Settings of SLIST."""

    l2: float = 3.0
    alpha: float = Field(
        0.8, ge=0, le=1, description="Weight of the similarity model (SLIS); the transition model (SLIT) has the rest."
    )
    max_diagonal: float | None = Field(
        0.5, ge=0, description="Largest weight of an item in its own score; none sets no bound."
    )
    transition_from: Literal["all", "last"] = Field(
        "all", description="Which items of a partial session predict those after it: all, or the newest alone."
    )
    transition_decay: float = Field(
        0.7, gt=0, le=1, description="Weight of an item relative to the one that is next nearer to the transition."
    )
    session_days: float | None = Field(
        None,
        gt=0,
        description=(
            "Age in days at which a session counts 1/e of a new one; none counts all alike, as in a log without times."
        ),
    )
    normalize: bool = Field(
        True, description="Whether the items that predict others have weights that sum to 1 in each (partial) session."
    )


class SLIST(LinearModel):
    """Recommends what regressions on whole and on partial sessions predict from the items of the history."""

    name = "slist"
    Config = SLISTConfig
    config: SLISTConfig
    presets: ClassVar = {
        "paper": {**YOOCHOOSE, "transition_from": "all", "normalize": False},
        "author": YOOCHOOSE,
        "author-diginetica": {**YOOCHOOSE, "alpha": 0.8, "position_decay": 0.60653, "session_days": 256.0},
    }
    space: ClassVar[Space] = {
        "l2": LogUniform(1.0, 3000.0),
        "alpha": Uniform(0.0, 1.0),
        "max_diagonal": Choice(None, 0.0, 0.3, 0.5),
        "transition_decay": Uniform(0.3, 1.0),
        "normalize": Choice(False, True),
        "position_decay": Uniform(0.4, 1.0),
    }

    def item_weights(self, log: Log, place: Ids) -> Floats:
        size = int(place.max(initial=0))
        gram, cross = np.zeros((size, size)), np.zeros((size, size))
        weight = self._session_weights(log)
        if self.config.alpha > 0:
            self._add_sessions(gram, cross, log, place, self.config.alpha * weight)
        if self.config.alpha < 1:
            self._add_transitions(gram, cross, log, place, (1 - self.config.alpha) * weight)
        return regression_weights(gram, cross, l2=self.config.l2, max_diagonal=self.config.max_diagonal)

    def _session_weights(self, log: Log) -> Floats:
        """(U + 1,) the squared entries of W_full and W_par for the sessions."""
        weight = np.ones(log.num_users + 1)
        days = event_days(log)
        if self.config.session_days is not None and days is not None:
            some = log.lengths > 0
            last = days[log.stop[some] - 1]
            weight[some] = np.exp((last - last.max()) / self.config.session_days)
        return weight

    def _add_sessions(self, gram: Floats, cross: Floats, log: Log, place: Ids, weight: Floats) -> None:
        """Add the sums of the similarity model, with the weight of each session."""
        items = user_item_matrix(log, place)
        scale = 1 / np.maximum(items.sum(1), 1) if self.config.normalize else np.ones(log.num_users)
        sources = sp.diags_array(scale) @ items
        weighted = sources.T @ sp.diags_array(weight[1:])
        gram += (weighted @ sources).toarray()
        cross += (weighted @ user_item_matrix(log, place, self.config.target_weights(log))).toarray()

    def _add_transitions(self, gram: Floats, cross: Floats, log: Log, place: Ids, weight: Floats) -> None:
        """Add the sums of the transition model, with the weight of each session."""
        target = self.config.target_weights(log)
        for users, rows in by_length(log, place, self.config.max_events):
            item = place[log.item[rows]] - 1  # (b, L)
            past, future = self._partial_sessions(rows.shape[1])
            first, second = np.nonzero(past.T @ past)
            add_pairs(gram, item[:, first], item[:, second], weight[users, None] * (past.T @ past)[first, second])
            first, second = np.nonzero(past.T @ future)
            counts = weight[users, None] * (past.T @ future)[first, second] * target[rows][:, second]
            add_pairs(cross, item[:, first], item[:, second], counts)

    def _partial_sessions(self, length: int) -> tuple[Floats, Floats]:
        """The weights in S and T of the items of a session of `length` L at each of its positions, both (L - 1, L)."""
        decay = self.config.transition_decay
        distance = np.arange(length) - np.arange(length - 1)[:, None]  # (L - 1, L)
        future = np.where(distance > 0, decay ** np.maximum(distance - 1.0, 0), 0)
        if self.config.transition_from == "last":
            return np.eye(length - 1, length), future
        past = np.where(distance <= 0, decay ** np.maximum(-distance, 0.0), 0)
        return past / past.sum(1, keepdims=True) if self.config.normalize else past, future
