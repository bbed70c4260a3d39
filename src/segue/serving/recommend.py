"""What comes next for one user: the question that everything else prepares."""

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


@dataclass(frozen=True)
class Recommendation:
    """One recommended item: its name, what to show people, and the model's score."""

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
    """The k items that most likely come next, best first.

    Args:
        model: trained on the vocabularies of `log`.
        log: names, and the histories of known users.
        user: the name of a known user, or None for somebody never seen.
        history: names of items, oldest first; by default what the log has of the user.
        k: how many.
        exclude_seen: leave out what the history holds.

    Raises:
        DataError: an unknown user or item, or neither a user nor a history.
    """
    asked = question(log, user, history)
    scores = answer(model, asked)[0]
    if exclude_seen:
        scores[asked.history[0]] = -torch.inf
    return best(log, scores, k)


def question(log: Log, user: Any = None, history: Sequence[Any] | None = None) -> Batch:
    """One row: a user of the log, or nobody, with their history or another; the errors are those of `recommend`."""
    who = 0 if user is None else known(log, "user", [user])[0]
    if history is None:
        if user is None:
            raise DataError("whom to recommend to? Give a user of the log, or a history of items")
        items = log.history(who).astype(np.int64)
    else:
        items = np.array(known(log, "item", list(history)), np.int64)
    if len(items) == 0:
        raise DataError("the history is empty: give at least one item")
    return Batch(torch.tensor([who]), torch.from_numpy(items)[None])


def answer(model: Model, asked: Batch) -> Float[Tensor, "B I"]:
    """The scores of all items for each row, to be written to."""
    device = next((t.device for t in model.state_dict().values()), torch.device("cpu"))
    with torch.inference_mode():
        scores = model.eval().score(asked.to(device))
    return scores.cpu().clone()


def best(log: Log, scores: Float[Tensor, "I"], k: int) -> list[Recommendation]:
    """The k items with the highest scores, best first; those of -inf are left out."""
    if k < 1:
        raise DataError(f"k={k}: must be at least 1")
    top = scores.topk(min(k, log.num_items))
    found = [(int(i), float(s)) for s, i in zip(*top, strict=True) if s > -torch.inf]
    ids = [i for i, _ in found]
    rows = zip(log.items.names(ids), log.titles(ids), found, strict=True)
    return [Recommendation(name, title, score) for name, title, (_, score) in rows]


def known(log: Log, kind: str, names: Sequence[Any]) -> list[int]:
    """The ids of `names`, users or items ("user", "item"); an unknown one is an error."""
    vocab = log.users if kind == "user" else log.items
    ids = vocab.ids(names)
    for name, found in zip(names, ids, strict=True):
        if found == 0:
            hint = did_you_mean(str(name), (str(n) for n in vocab.tokens.head(100_000)))
            some = ", ".join(str(n) for n in vocab.tokens.head(3))
            raise DataError(f"unknown {kind} {name!r}{hint}; {log.name} knows {len(vocab):,} {kind}s, such as {some}")
    return [int(i) for i in ids]
