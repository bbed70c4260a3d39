"""Predicting held-out ratings, and the AUC of users: the parts of rating evaluation that run a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from segue.batches.rated_events import RatedEvents
from segue.data.log import Floats, Ids, distinct
from segue.data.splits import EvalInstances
from segue.errors import TrainingError
from segue.models.base.model import Model
from segue.models.base.rating import PairScorer
from segue.models.base.remedy import remedy
from segue.models.base.score_buffer import ScoreBuffer, check_no_nan, device_of, evaluation_mode

BATCH_SIZE = 4096  # ratings predicted at a time
HISTORY_BATCH_SIZE = 512  # by a model that reads histories, which may have hundreds of steps


def predict_ratings(model: Model, events: RatedEvents) -> Floats | None:
    """(N,) the predicted rating of each event; None if the model predicts no ratings.

    Raises:
        TrainingError: a prediction is NaN.
    """
    if not isinstance(model, PairScorer):
        return None
    reads_nothing = model.window == 0 and model.item_window == 0
    # events with histories of similar length share a batch, which then holds little padding
    batch_size, order = BATCH_SIZE, np.arange(len(events))
    if not reads_nothing:
        lengths = events.history_lengths(model.window, model.item_window).sum(0)
        batch_size, order = HISTORY_BATCH_SIZE, np.argsort(lengths, kind="stable")
    predicted = np.empty(len(events))
    with evaluation_mode(model), torch.inference_mode():
        for begin in range(0, len(events), batch_size):
            index = order[begin : begin + batch_size]
            batch = events.batch(index, window=model.window, item_window=model.item_window)
            predicted[index] = model.predict(batch.to(device_of(model))).double().cpu().numpy()
    if np.isnan(predicted).any():
        name = type(model).__name__
        raise TrainingError(f"{name} predicts NaN: its training went wrong; train it again, and {remedy(model)}")
    return predicted


def user_aucs(
    model: Model, instances: EvalInstances, candidate: np.ndarray[Any, np.dtype[np.bool_]]
) -> tuple[Ids, Floats]:
    """(users, their AUC) for the users of `instances`, one instance per user.

    The candidates are the items of the mask `candidate` (I + 1) that are not in the user's rows before the instance.
    Those that are targets of the instance are positives, the others negatives. A user without a positive or without a
    negative is left out.
    """
    users, values = [], []
    with evaluation_mode(model), torch.inference_mode():
        buffer = ScoreBuffer(model, instances.log.num_items + 1)
        allowed = torch.from_numpy(candidate).to(device_of(model))
        for block, all_scores in buffer.blocks(instances, buffer.block_rows):
            scores = all_scores[:, : len(candidate)]  # (B, I)
            check_no_nan(model, scores)
            for line in range(len(block)):
                begin, row, stop = block.log.start[block.user[line]], block.row[line], block.stop[line]
                mask = allowed.clone()
                mask[torch.from_numpy(block.log.item[begin:row].astype(np.int64))] = False
                positive = torch.from_numpy(distinct(block.log.item[row:stop].astype(np.int64))).to(mask.device)
                positive = positive[mask[positive]]
                if 0 < len(positive) < int(mask.sum()):
                    users.append(int(block.user[line]))
                    values.append(auc_of_scores(scores[line], positive, mask))
    return np.array(users, np.int64), np.array(values)


def auc_of_scores(scores: Float[Tensor, "I"], positive: Int[Tensor, "K"], candidate: Bool[Tensor, "I"]) -> float:
    """The share of (positive, negative) pairs of candidates in which the positive scores higher; ties count half."""
    is_negative = candidate.clone()
    is_negative[positive] = False
    negative_scores, positive_scores = scores[is_negative], scores[positive].unsqueeze(1)
    won = (positive_scores > negative_scores).sum() + 0.5 * (positive_scores == negative_scores).sum()
    return float(won) / (len(positive) * len(negative_scores))
