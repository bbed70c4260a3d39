"""`ItemEncoder` against its equations, item by item."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from segue.data.item_features import FeatureArrays
from segue.errors import ConfigError
from segue.nn.item_encoder import FeatureTable, ItemEncoder

ITEMS, DIM = 4, 3
CATEGORY = np.array([[0, 0, 0], [1, 2, 3], [2, 0, 4], [0, 0, 0], [1, 0, 3]])
WEIGHT = np.array([[0, 0, 0], [0.5, 0.5, 1], [1, 0, 1], [0, 0, 0], [1, 0, 1]], np.float32)
VALUE = np.array([[0, 0], [0.5, 0], [-2, 0], [0, 1], [1, 0]], np.float32)
COUNTS = np.array([0, 3, 1, 2, 0])  # item 4 is cold


def filled() -> FeatureTable:
    table = FeatureTable(ITEMS, 4, 3, 2)
    table.fill(FeatureArrays(CATEGORY, WEIGHT, VALUE, 4), COUNTS)
    return table.double()


def built(**options) -> tuple[torch.Tensor, ItemEncoder]:
    torch.manual_seed(0)
    ids = torch.randn(ITEMS + 1, DIM)
    ids[0] = 0
    return ids.double().requires_grad_(), ItemEncoder(ids, num_categories=4, num_values=2, **options).double()


@pytest.mark.parametrize("fusion", ["sum", "concat"])
def test_vectors_are_those_of_the_equations(fusion):
    ids, encoder = built(fusion=fusion)
    categories, weight = encoder.category_embedding.detach().numpy(), encoder.value_weight.detach().numpy()
    found = encoder(ids, filled().rows()).detach().numpy()
    for item in range(ITEMS + 1):
        embedding = ids[item].detach().numpy() * (COUNTS[item] > 0)
        of_features = sum(w * categories[c] for c, w in zip(CATEGORY[item], WEIGHT[item], strict=True) if c)
        of_features = of_features + VALUE[item] @ weight
        expected = embedding + of_features
        if fusion == "concat":
            expected = encoder.fusion.weight.detach().numpy() @ np.concatenate([embedding, of_features])
        np.testing.assert_allclose(found[item], expected, rtol=1e-10, atol=1e-12)
    assert not found[0].any()


def test_some_items_have_the_vectors_that_they_have_among_all():
    ids, encoder = built(fusion="concat")
    features, some = filled(), torch.tensor([[4, 0], [2, 2]])
    torch.testing.assert_close(encoder(ids[some], features.rows(some)), encoder(ids, features.rows())[some])


def test_the_embedding_of_a_cold_item_gets_no_gradient_and_its_features_do():
    ids, encoder = built()
    encoder(ids, filled().rows())[4].sum().backward()
    assert not ids.grad.any()
    assert encoder.category_embedding.grad[[1, 3]].all()
    assert not encoder.category_embedding.grad[0].any()


def test_id_dropout_leaves_out_embeddings_in_training_alone():
    ids, encoder = built(id_dropout=1.0)
    features = filled().rows()
    torch.testing.assert_close(encoder(ids, features), encoder.feature_vectors(features))
    encoder.eval()
    torch.testing.assert_close(encoder(ids, features)[1:4], ids[1:4] + encoder.feature_vectors(features)[1:4])


def test_what_is_exported_is_the_same_sum(monkeypatch):
    ids, encoder = built(fusion="concat")
    expected = encoder(ids, filled().rows())
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    torch.testing.assert_close(encoder(ids, filled().rows()), expected)


def test_features_of_another_log_are_refused():
    with pytest.raises(ConfigError, match="built for other item features"):
        FeatureTable(ITEMS, 3, 3, 2).fill(FeatureArrays(CATEGORY, WEIGHT, VALUE, 4), COUNTS)
    table = filled()
    table.category[1, 0] = 5
    with pytest.raises(ConfigError, match="item features: values from 0 to 5, expected 0 to 4"):
        table.check_buffers()
