"""`RatingPredictions`: what a protocol of ratings produces; and the two ways in which it asks.

errors   every held-out rating, told from both histories        5  3  4   against   4.6  3.4  4.9
AUC      of a user: the chance that an item she went on to rate has a higher score than one she did not

         score   .9   .7   .7   .4   .1      rated later: b and d
         item     a    b    c    d    e      pairs (b a) (b c) (b e) (d a) (d c) (d e):  0 + 1/2 + 1 + 0 + 0 + 1 of 6
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from segue.batches.rated_events import RatedEvents
from segue.data.log import Ids, distinct
from segue.data.splits import EvalInstances
from segue.errors import TrainingError
from segue.evaluation.ranking import BLOCK_BYTES, Scores, asked, device_of
from segue.models.base.model import Model
from segue.models.base.rating import PairScorer

Values = np.ndarray[Any, np.dtype[np.float64]]
AT_ONCE = 4096  # pairs predicted at a time


@dataclass(frozen=True, eq=False)
class RatingPredictions:
    """The answers of one model to N questions of a rating, and how it orders the items for M users.

    Attributes:
        user: (N,) who rated.
        rating: (N,) what they said.
        predicted: (N,) what the model said, within the scale of the log; None where it does not predict ratings.
        ranked: (M,) the users whose items were ordered; None where that was not asked for.
        auc: (M,) how well, from 0 to 1.
        dropped: how many users or ratings were left out, by reason.
    """

    user: Ids
    rating: Values
    predicted: Values | None
    ranked: Ids | None
    auc: Values | None
    dropped: dict[str, int]

    def __len__(self) -> int:
        return len(self.user)

    def alike(self, other: object) -> bool:
        """Whether `other` answers the same questions."""
        return isinstance(other, RatingPredictions) and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in ("user", "rating")
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """All but `dropped`, to be kept."""
        return {name: column for name, column in vars(self).items() if isinstance(column, np.ndarray)}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], *, dropped: Mapping[str, int]) -> RatingPredictions:
        """The inverse of `arrays`."""
        return cls(
            user=arrays["user"],
            rating=arrays["rating"],
            predicted=arrays.get("predicted"),
            ranked=arrays.get("ranked"),
            auc=arrays.get("auc"),
            dropped=dict(dropped),
        )


def predictions(model: PairScorer, pairs: RatedEvents) -> Values:
    """(N,) the rating that `model` expects of each pair.

    Raises:
        TrainingError: one is not a number.
    """
    reads = {"window": model.window, "item_window": model.item_window}
    plain = model.window == 0 and model.item_window == 0
    order = np.arange(len(pairs)) if plain else np.argsort(pairs.history_lengths(), kind="stable")
    found = np.empty(len(pairs))
    with asked(model), torch.inference_mode():
        for begin in range(0, len(pairs), AT_ONCE):
            some = order[begin : begin + AT_ONCE]
            found[some] = model.predict(pairs.batch(some, **reads).to(device_of(model))).double().cpu().numpy()
    if np.isnan(found).any():
        raise TrainingError(f"{type(model).__name__} predicts NaN: its training went wrong; train it again")
    return found


def areas(model: Model, instances: EvalInstances, candidate: np.ndarray[Any, np.dtype[np.bool_]]) -> tuple[Ids, Values]:
    """(users, their AUC) of the users of `instances`, one case a user.

    An item of the user's rows before the case is neither right nor wrong; every other one of `candidate` (I + 1) is
    right if it is a target of the case. A user without a right or without a wrong one is left out.
    """
    users, values = [], []
    with asked(model), torch.inference_mode():
        scores = Scores(model, instances.log.num_items + 1)
        rows = min(max(BLOCK_BYTES // (4 * scores.stride), 32), 1024)
        allowed = torch.from_numpy(candidate).to(device_of(model))
        for first in range(0, len(instances), rows):
            some = instances.take(slice(first, first + rows))
            grid = scores.of(some)[:, : len(candidate)]
            for line in range(len(some)):
                begin, row, stop = some.log.start[some.user[line]], some.row[line], some.stop[line]
                left = allowed.clone()
                left[torch.from_numpy(some.log.item[begin:row].astype(np.int64))] = False
                wanted = torch.from_numpy(distinct(some.log.item[row:stop].astype(np.int64))).to(left.device)
                wanted = wanted[left[wanted]]
                if 0 < len(wanted) < int(left.sum()):
                    users.append(int(some.user[line]))
                    values.append(area(grid[line], wanted, left))
    return np.array(users, np.int64), np.array(values)


def area(score: Float[Tensor, "I"], right: Int[Tensor, "K"], candidate: Bool[Tensor, "I"]) -> float:
    """The share of pairs (right, wrong) of candidates in which the right one scores higher; equals count half."""
    wrong = candidate.clone()
    wrong[right] = False
    against, own = score[wrong], score[right].unsqueeze(1)
    if bool(against.isnan().any() | own.isnan().any()):
        raise TrainingError("a score is NaN: the training went wrong; train again, with a smaller lr")
    won = (own > against).sum() + 0.5 * (own == against).sum()
    return float(won) / (len(right) * len(against))
