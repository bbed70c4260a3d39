"""HieVH: each term of its objective, the relations of features, and ratings of items known by features alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from segue.batches.rated_events import RatedEvents
from segue.data import synthetic
from segue.data.item_features import feature_ids
from segue.data.log import Log
from segue.errors import ConfigError, DataError
from segue.models.base.model import Sizes
from segue.models.ratings.hievh import HieVH, relations
from segue.training.loop import fit

KINDS = pl.DataFrame({"title": list("abcd"), "kind": [["Home", "Bed"], ["Home", "Lamp"], ["Toys"], None]})
LOG = replace(
    synthetic.with_ratings(synthetic.from_sequences([[1, 2, 3], [1, 2], [3], [4, 1]], num_items=4)), item_metadata=KINDS
)


def build(log: Log = LOG, **settings: object) -> HieVH:
    torch.manual_seed(0)
    config = HieVH.configure({"embedding_dim": 3, "max_features_per_item": 3, **settings})
    return HieVH(config, Sizes.of(log, config)).double()


def test_relations_of_features_equal_counts_by_hand() -> None:
    """Features 1 to 4 are Bed, Home, Lamp and Toys; Home and Toys are on level 1, Bed and Lamp on level 2."""
    item_features, names = feature_ids(LOG, "kind")
    assert names == ["Bed", "Home", "Lamp", "Toys"]
    strength = relations(RatedEvents.from_log(LOG), item_features, 4)
    # of four users, three rated Bed, two Lamp, and two both: IC = (2 + 1) / (3 * 2 / 4 + 1)
    second = (3 / 2.5 - 1) / (3 / 2.5 + 1)
    # three rated Home, two Toys, and one both: IC = (1 + 1) / (3 * 2 / 4 + 1)
    first = (2 / 2.5 - 1) / (2 / 2.5 + 1)
    expected = np.zeros((4, 4))
    expected[0, 2] = expected[2, 0] = second
    expected[1, 3] = expected[3, 1] = first
    np.testing.assert_allclose(strength, expected, atol=1e-12)


def test_loss_of_an_epoch_equals_the_objective() -> None:
    settings = {"l2": 2.0, "l2_feature": 3.0, "relation_weight": 5.0, "l2_user": 7.0, "l2_item": 11.0}
    model = build(batch_size=3, **settings).requires_grad_(False)
    for weight in model.parameters():
        weight[1:] = torch.randn_like(weight[1:])
    model.level[0] = 0.3
    loss = sum(float(model(batch)) for batch in model.batches(LOG, np.random.default_rng(0)))
    weights = model.level.exp()
    first, second = float(weights[0] / weights[:2].sum()), float(weights[1] / weights[:2].sum())
    x = model.feature_embedding
    vectors = [
        model.item_embedding[1] + first * x[2] + second * x[1],
        model.item_embedding[2] + first * x[2] + second * x[3],
        model.item_embedding[3] + x[4],
        model.item_embedding[4],
    ]
    error = 0.0
    for user in range(1, 5):
        for item in LOG.history(user):
            rating = model.mean + model.user_bias[user] + model.user_embedding[user, -1] + model.item_bias[item]
            rating = rating + vectors[item - 1][-1] + model.user_embedding[user, :-1] @ vectors[item - 1][:-1]
            error += float(rating - (2 if (user + item) % 2 else 5)) ** 2
    squared_norm = lambda table: float(table.square().sum())  # noqa: E731
    penalty = 2 * (
        squared_norm(model.user_embedding[:, :-1]) + squared_norm(model.item_embedding[:, :-1])
    ) + 3 * squared_norm(x)
    penalty += 7 * squared_norm(model.user_bias + model.user_embedding[:, -1]) + 11 * squared_norm(
        model.item_bias + model.item_embedding[:, -1]
    )
    relation, v = model.relation, x[1:, :-1]
    penalty += 5 * float(relation[0, 2]) * squared_norm(v[0] - v[2])
    penalty += 5 * -float(relation[1, 3]) * float((v[1] @ v[3]).clamp(min=0)) ** 2
    assert loss == pytest.approx(error + penalty)


def test_features_order_items_without_ratings() -> None:
    """Twelve items have no rating. The feature of half of them has high ratings, that of the others low ratings."""
    rng = np.random.default_rng(0)
    items = rng.integers(1, 13, (40, 10))
    kinds = [["good" if item % 2 else "bad"] for item in range(1, 25)]
    log = synthetic.from_sequences(items.tolist(), num_items=24)
    rating = np.where(items.ravel() % 2, 5, 1).astype(np.float32)
    log = replace(log, rating=rating, item_metadata=pl.DataFrame({"kind": kinds}))
    config = HieVH.configure({"epochs": 60, "batch_size": 50, "lr": 0.02, "l2_item": 50.0})
    model = HieVH(config, Sizes.of(log, config))
    fit(model, log)
    with torch.no_grad():
        bias = model.item_vectors()[13:, -2]
    assert float(bias[::2].min()) > float(bias[1::2].max()) + 0.5


def test_features_from_a_column_of_paths() -> None:
    log = replace(LOG, item_metadata=pl.DataFrame({"path": ["Home > Bed", "Home > Lamp", "Toys", None]}))
    model = build(log, feature_column="path")
    model.rated_events(log)
    assert model.features.feature.tolist() == [[0, 0, 0], [2, 1, 0], [2, 3, 0], [4, 0, 0], [0, 0, 0]]
    with pytest.raises(DataError, match=r"no column of lists to take features from; .*they have: path"):
        build(log).rated_events(log)
    with pytest.raises(DataError, match="they have: none"):
        build().rated_events(replace(log, item_metadata=None))


def test_settings_out_of_range_are_refused() -> None:
    for settings, message in (
        ({"embedding_dim": 0}, "embedding_dim=0: must be at least 1"),
        ({"max_features_per_item": 0}, "max_features_per_item=0: must be at least 1"),
        ({"relation_weight": -1}, "relation_weight=-1: must be at least 0"),
        ({"l2_feature": -1}, "l2_feature=-1: must be at least 0"),
    ):
        with pytest.raises(ConfigError, match=message):
            HieVH.configure(settings)
    with pytest.raises(ConfigError, match="built for 3 item features, but the log has 4"):
        HieVH(HieVH.configure(), Sizes(LOG.num_users, LOG.num_items, 3)).rated_events(LOG)
