"""`similar_items`: the items that a model holds to be most similar to one item, or to several.

    item vectors       cosine of the vectors, without biases      models that score with a dot product
    neighbour tables   the similarity that the model counted      item-knn, seq-knn

With several items, the similarities to them are averaged; in a table, an item that is no neighbour counts as 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from segue.errors import ConfigError, DataError
from segue.models.base.model import Model
from segue.models.base.score_buffer import device_of, evaluation_mode
from segue.models.registry import MODELS
from segue.nn.topk import topk
from segue.serving.item_filter import ItemFilter
from segue.serving.query import lookup_ids
from segue.serving.saved_model import SavedModel


@dataclass(frozen=True)
class SimilarItem:
    """A similar item.

    Attributes:
        item: its name.
        title: its title, or its name where the log has no titles.
        similarity: comparable within one model only.
    """

    item: Any
    title: str
    similarity: float


def similar_items(
    saved: SavedModel, items: Any, k: int = 10, *, candidates: ItemFilter | None = None
) -> list[SimilarItem]:
    """The k items that are most similar to an item, the most similar first; of equal ones the lower id comes first.

    Args:
        saved: a saved model. Items that it was trained without are left out, because their vectors say nothing.
        items: the name of an item, or a list of names.
        k: the number of items. There may be fewer: a table of neighbours holds few items for a rare one.
        candidates: which items may be returned; None for all. The given items never are.

    Raises:
        ConfigError: the model compares no items.
        DataError: an unknown item, or one that the model was not trained on; no item; or k is below 1.
    """
    return SimilarItemFinder(saved).find(items, k, candidates=candidates)


class SimilarItemFinder:
    """Finds similar items for one question after the other; which items were trained is computed once."""

    def __init__(self, saved: SavedModel) -> None:
        """Prepare for a saved model.

        Raises:
            ConfigError: the model compares no items.
        """
        check_compares_items(saved.model)
        self.saved = saved
        trained = saved.trained_rows()
        self._seen = None if trained is None else trained.counts() > 0

    def find(self, items: Any, k: int = 10, *, candidates: ItemFilter | None = None) -> list[SimilarItem]:
        """The k items that are most similar; the arguments are those of `similar_items`.

        Raises:
            DataError: as `similar_items`.
        """
        model, log, seen = self.saved.model, self.saved.log, self._seen
        if k < 1:
            raise DataError(f"k={k}: must be at least 1")
        names = list(items) if isinstance(items, list | tuple) else [items]
        ids = lookup_ids(log, "item", names)
        if not ids:
            raise DataError("no item given: name at least one")
        for name, index in zip(names, ids, strict=True):
            if seen is not None and not seen[index]:
                raise DataError(
                    f"item {name!r}: the model was trained without an event of it, so it knows of no similar items"
                )
        similarities = _mean_similarities(model, ids)
        for mask in (None if candidates is None else candidates.mask, seen):
            if mask is not None:
                similarities[torch.from_numpy(~mask)] = -torch.inf
        similarities[[0, *ids]] = -torch.inf
        values, found = (row[0] for row in topk(similarities[None], min(k, log.num_items)))
        found, values = found[values > -torch.inf], values[values > -torch.inf]
        rows = zip(log.items.names(found.tolist()), log.titles(found.tolist()), values.tolist(), strict=True)
        return [SimilarItem(*row) for row in rows]


def check_compares_items(model: Model) -> None:
    """Raise `ConfigError` if the model compares no items; the message names models that do."""
    if model.item_similarity:
        return
    able = ", ".join(name for name, kind in MODELS.items() if kind.item_similarity)
    why = (
        f"combines {' and '.join(part.name for part in model.parts)}, and has no similarity of its own; ask a saved "
        "model of one of them"
        if model.parts
        else "has neither item vectors nor a table of similar items"
    )
    raise ConfigError(f"{model.name}: {why}. Models that compare items: {able}")


def _mean_similarities(model: Model, ids: Sequence[int]) -> Float[Tensor, "I"]:
    """The mean similarity of the items 0..I to some items; -inf for items that are similar to none of them."""
    with evaluation_mode(model), torch.inference_mode():
        similarities = model.item_similarities(torch.tensor(ids, device=device_of(model))).cpu().clone()  # (K, I)
    unknown = similarities == -torch.inf
    return similarities.masked_fill(unknown, 0).mean(0).masked_fill(unknown.all(0), -torch.inf)
