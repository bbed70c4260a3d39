"""`VocabularyAdapter`: a saved model that scores the users and items of another vocabulary, matched by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.batches.batch import Batch
from segue.data.event_features import EventFeature, own_categories
from segue.data.log import Log, Vocab
from segue.data.sessions import SessionRule
from segue.models.base.model import Model, Sizes


class VocabularyAdapter(Model):
    """A model behind the ids of another vocabulary. Users that it does not know are anonymous to it.

    Attributes:
        user_ids: (U + 1,) the model's id of each user; 0 for unknown ones.
        item_ids: (I + 1,) the model's id of each item; 0 for unknown ones, which are left out of histories and score
            -inf.
        type_ids: (n + 1,) the model's id of each of the n types of events; 0 for unknown ones.
    """

    user_ids: Tensor
    item_ids: Tensor
    type_ids: Tensor

    def __init__(
        self,
        model: Model,
        own: Log,
        users: Vocab,
        items: Vocab,
        *,
        event_types: Sequence[str] = (),
        event_features: Sequence[EventFeature] = (),
    ) -> None:
        """The model for other ids.

        Args:
            model: a model trained on the vocabularies of `own`.
            own: the names of the model's users and items.
            users: the names of the users in the other numbering.
            items: the names of the items there.
            event_types: the names of the types of events there.
            event_features: the columns of event features there.

        Raises:
            DataError: the model reads event features, and the columns there are others.
        """
        super().__init__(model.config, Sizes(len(users), len(items)))
        self.model, self.window, self.can_update = model, model.window, model.can_update
        for name, source, target in (("user_ids", users, own.users), ("item_ids", items, own.items)):
            ids = torch.from_numpy(target.ids(source.tokens.to_list()))
            self.register_buffer(name, torch.cat([ids.new_zeros(1), ids]))
        known = {name: number for number, name in enumerate(own.event_types, 1)}
        self.register_buffer("type_ids", torch.tensor([0, *(known.get(name, 0) for name in event_types)]))
        self.own_categories: list[int] = []
        if model.reads_event_features:
            for place, categories in enumerate(own_categories(own.event_feature_columns, event_features)):
                if categories is not None:
                    self.own_categories.append(place)
                    self.register_buffer(f"categories_{place}", torch.from_numpy(categories))
        if self._has_unknown:
            self.window = None  # the newest items that it knows may lie further back

    def score(self, batch: Batch, items: Int[Tensor, "K"] | None = None) -> Float[Tensor, "B K"]:
        own = self._own_batch(batch)
        wanted = self.item_ids if items is None else self.item_ids[items]
        return self.model.score(own, wanted) if self.model.scores_pairs else self.model.score(own)[:, wanted]

    def update(self, histories: Sequence[Sequence[int]], items: Sequence[int], *, count: int = 1) -> None:
        """Learn what it knows of the events: those of unknown items are left out, also of histories."""
        own = [self.item_ids[list(history)] for history in histories]
        known = [(ids[ids > 0].tolist(), int(self.item_ids[item])) for ids, item in zip(own, items, strict=True)]
        known = [(history, item) for history, item in known if item]
        self.model.update([history for history, _ in known], [item for _, item in known], count=count)

    @property
    def reads_times(self) -> bool:
        return self.model.reads_times

    @property
    def reads_event_types(self) -> bool:
        return self.model.reads_event_types

    @property
    def reads_event_features(self) -> bool:
        return self.model.reads_event_features

    @property
    def session_rule(self) -> SessionRule | None:
        return self.model.session_rule

    @property
    def reads_request_time(self) -> bool:
        return self.model.reads_request_time

    @property
    def _has_unknown(self) -> bool:
        return bool((self.item_ids[1:] == 0).any())

    def _own_batch(self, batch: Batch) -> Batch:
        own = replace(
            batch,
            user=self.user_ids[batch.user],
            history=self.item_ids[batch.history],
            types=None if batch.types is None else self.type_ids[batch.types],
            features=None if batch.features is None else self._own_features(batch.features),
        )
        if not self._has_unknown:
            return own
        own, window = own.without_gaps(), self.model.window
        return own if window is None or own.history.shape[1] <= window else own.last_events(window)

    def _own_features(self, features: Float[Tensor, "B P F"]) -> Float[Tensor, "B P F"]:
        own = features.clone()
        for place in self.own_categories:
            own[..., place] = self.get_buffer(f"categories_{place}")[features[..., place].nan_to_num().long()]
        return own
