"""`recommend`: the items that most likely come next for one user or one history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from segue.batches.batch import Batch
from segue.data.log import Log
from segue.errors import DataError, did_you_mean
from segue.models.base.model import Model
from segue.nn.topk import topk


@dataclass(frozen=True)
class Recommendation:
    """One recommended item.

    Attributes:
        item: its name in the log.
        title: its title, or its name where the log has no titles.
        score: the model's score; scores are comparable within one model only.
    """

    item: Any
    title: str
    score: float


def recommend(
    model: Model,
    log: Log,
    *,
    user: Any = None,
    history: Sequence[Any] | None = None,
    k: int = 10,
    exclude_seen: bool = True,
) -> list[Recommendation]:
    """The k items with the highest scores, best first; of equal scores the item with the lower id comes first.

    Evaluation uses the same order, so that what is recommended is what was measured. (The only difference: among equal
    scores, evaluation places the target last, or first with optimistic ties.)

    Args:
        model: a model trained on the vocabularies of `log`.
        log: the names of users and items, and the histories of known users.
        user: the name of a known user, or None for an anonymous user.
        history: names of items, oldest first; by default the user's history in the log.
        k: the number of items.
        exclude_seen: leave out the items of the history.

    Raises:
        DataError: an unknown user or item, or neither a user nor a history.
    """
    batch = history_batch(log, user, history)
    scores = score_all_items(model, batch)[0]
    if exclude_seen:
        scores[batch.history[0]] = -torch.inf
    return top_recommendations(log, scores, k)


def history_batch(log: Log, user: Any = None, history: Sequence[Any] | None = None) -> Batch:
    """A batch of one row: a user of the log, or an anonymous user, with the user's history or another one.

    Raises:
        DataError: as `recommend`.
    """
    user_id = 0 if user is None else lookup_ids(log, "user", [user])[0]
    if history is None:
        if user is None:
            raise DataError(
                "no user and no history given: pass --user USER or --history ITEMS (user= or history= in Python)"
            )
        items = log.history(user_id).astype(np.int64)
    else:
        items = np.array(lookup_ids(log, "item", list(history)), np.int64)
    if len(items) == 0:
        raise DataError("the history is empty: give at least one item")
    return Batch(torch.tensor([user_id]), torch.from_numpy(items)[None])


def score_all_items(model: Model, batch: Batch) -> Float[Tensor, "B I"]:
    """The scores of items 0..I for each row, as a new tensor on the CPU."""
    device = next((t.device for t in model.state_dict().values()), torch.device("cpu"))
    with torch.inference_mode():
        scores = model.eval().score(batch.to(device))
    return scores.cpu().clone()


def top_recommendations(log: Log, scores: Float[Tensor, "I"], k: int) -> list[Recommendation]:
    """The k items with the highest scores, best first; items that score -inf are left out.

    Args:
        log: the names and titles of the items.
        scores: one score for each item 0..I.
        k: the number of items.

    Raises:
        DataError: k is below 1.
    """
    if k < 1:
        raise DataError(f"k={k}: must be at least 1")
    values, ids = (row[0].tolist() for row in topk(scores[None], min(k, log.num_items)))
    candidates = [(item, score) for item, score in zip(ids, values, strict=True) if score > -np.inf]
    items = [item for item, _ in candidates]
    rows = zip(log.items.names(items), log.titles(items), candidates, strict=True)
    return [Recommendation(name, title, score) for name, title, (_, score) in rows]


def lookup_ids(log: Log, kind: str, names: Sequence[Any]) -> list[int]:
    """The ids of names of users or of items.

    Args:
        log: holds the vocabularies.
        kind: "user" or "item".
        names: the names.

    Raises:
        DataError: a name is unknown.
    """
    vocab = log.users if kind == "user" else log.items
    ids = vocab.ids(names)
    for name, index in zip(names, ids, strict=True):
        if index == 0:
            hint = did_you_mean(str(name), (str(n) for n in vocab.tokens.head(100_000)))
            examples = ", ".join(str(n) for n in vocab.tokens.head(3))
            message = f"unknown {kind} {name!r}{hint}; {log.name} knows {len(vocab):,} {kind}s, such as {examples}"
            raise DataError(message)
    return [int(index) for index in ids]
