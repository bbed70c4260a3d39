"""Item2Vec and Meta-Prod2Vec: training pairs, counts of tokens, negatives, loss and scores."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from segue import testing
from segue.batches.batch import Batch, SequenceBatch
from segue.data import synthetic
from segue.errors import ConfigError, DataError
from segue.models.base.model import Sizes
from segue.models.factorization.item2vec import Item2Vec
from segue.models.factorization.mp2vec import MP2Vec
from segue.training.loop import fit

LOG = synthetic.from_sequences([[1, 2, 3], [3, 2], [4, 1, 1]], num_items=5)
KINDS = pl.DataFrame({"kind": [["a", "b"], ["b"], None, ["c"], ["c", "a"]]})
WITH_METADATA = replace(LOG, item_metadata=KINDS)
FEATURED = {"embedding_dim": 3, "feature_column": "kind", "max_features_per_item": 2}


def build(kind: Any, **settings: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind(
            kind.configure({"embedding_dim": 3, **settings}), Sizes(3, 5, num_features=3 * (kind is MP2Vec))
        ).double()


def with_features(**settings: Any) -> MP2Vec:
    model: MP2Vec = build(MP2Vec, **FEATURED, **settings)
    next(iter(model.batches(WITH_METADATA, np.random.default_rng(0))))
    return model


def test_score_is_the_mean_cosine_to_the_history() -> None:
    model = build(Item2Vec).requires_grad_(False)
    batch = Batch(torch.tensor([1, 0]), torch.tensor([[0, 2, 4], [0, 0, 0]]))
    scores = model.score(batch)
    u = model.token_embedding
    expected = [
        (torch.cosine_similarity(u[2], u[j], dim=0) + torch.cosine_similarity(u[4], u[j], dim=0)) / 2
        for j in range(1, 6)
    ]
    torch.testing.assert_close(scores[0, 1:], torch.stack(expected), rtol=0, atol=1e-12)
    assert scores[1, 1:].tolist() == [0] * 5  # an empty history
    newest = build(Item2Vec, window=1).requires_grad_(False).score(batch)
    torch.testing.assert_close(newest[0, 1:], torch.cosine_similarity(u[4], u[1:]), rtol=0, atol=1e-12)


def test_negative_equal_to_the_context_is_ignored() -> None:
    model = build(Item2Vec)
    token, target_mask = torch.tensor([[1]]), torch.ones(1, 1, dtype=torch.bool)
    losses = [
        float(
            model(
                SequenceBatch(torch.tensor([0]), token, token + 1, target_mask, torch.tensor([[[negatives]]]))
            ).detach()
        )
        for negatives in ([2, 4], [4, 2], [4, 0])
    ]
    assert losses[0] == losses[1] == losses[2]


def test_pairs_of_items_and_features() -> None:
    """Features a, b, c are tokens 6, 7, 8. Item 1 has a and b, item 2 has b, item 3 none, item 4 c."""
    model = with_features()
    token, context = model.token_pairs(np.array([1, 3]), np.array([4, 2]))
    expected = [
        *[(1, 4), (1, 8), (6, 4), (7, 4), (6, 8), (7, 8), (6, 1), (7, 1)],
        *[(3, 2), (3, 7)],
    ]
    assert Counter(zip(token.tolist(), context.tolist(), strict=True)) == Counter(expected)


def test_events_of_a_feature_are_those_of_its_items() -> None:
    events = with_features().token_counts(WITH_METADATA)
    assert events[1:6].tolist() == LOG.counts()[1:].tolist() == [3, 2, 2, 1, 0]
    assert events[6:].tolist() == [3, 5, 1]


def test_pairs_with_a_feature_have_the_weight_lambda() -> None:
    light, heavy = with_features(feature_weight=0.1), with_features(feature_weight=0.4)
    batch = next(iter(light.batches(WITH_METADATA, np.random.default_rng(1))))
    mixed = (batch.history[:, 0] > 5) | (batch.target[:, 0] > 5)
    assert 0 < mixed.sum() < len(batch)
    pair_loss = light.pair_loss(batch).detach()
    for model, weight in ((light, 0.1), (heavy, 0.4)):
        expected = pair_loss[~mixed].sum() + weight * pair_loss[mixed].sum()
        assert float(model(batch).detach()) == pytest.approx(float(expected), abs=1e-12)


def test_negatives_are_sampled_in_proportion_to_events() -> None:
    model = with_features(num_negatives=2000)
    negatives = np.concatenate([b.negatives.flatten() for b in model.batches(WITH_METADATA, np.random.default_rng(2))])
    share = np.bincount(negatives, minlength=9)[1:] / len(negatives)
    weight = np.array([3, 2, 2, 1, 1, 3, 5, 1]) ** 0.75  # tokens without events count as one
    assert share == pytest.approx(weight / weight.sum(), abs=0.01)


def test_without_features_equals_item2vec() -> None:
    log = synthetic.markov(20, 5, 8, seed=1)
    tables = []
    for kind in (Item2Vec, MP2Vec):
        torch.manual_seed(0)
        model = kind(kind.configure({"embedding_dim": 4, "epochs": 2, "batch_size": 16}), Sizes(20, 5))
        fit(model, log, seed=1)
        tables.append(model.token_embedding.detach())
    assert torch.equal(*tables)


def test_features_relate_items_without_common_users() -> None:
    """Items 1..4 are of one kind and 5..8 of another, and users stay with one kind; items 4 and 8 have users alone."""
    rng = np.random.default_rng(0)
    histories = [[*rng.permutation([1, 2, 3])] for _ in range(40)] + [[*rng.permutation([5, 6, 7])] for _ in range(40)]
    log = synthetic.from_sequences([*histories, *[[4], [8]] * 10], num_items=8)
    log = replace(log, item_metadata=pl.DataFrame({"kind": ["x"] * 4 + ["y"] * 4}))
    settings = {
        "embedding_dim": 8,
        "feature_column": "kind",
        "max_features_per_item": 1,
        "feature_weight": 1,
        "epochs": 60,
        "batch_size": 64,
    }
    torch.manual_seed(0)
    model = MP2Vec(MP2Vec.configure({**settings, "lr": 0.01}), Sizes(100, 8, num_features=2))
    fit(model, log)
    of_features = torch.nn.functional.normalize(model.token_embedding.detach(), dim=1)
    assert float(of_features[1] @ of_features[9]) > float(of_features[1] @ of_features[10])
    assert float(of_features[6] @ of_features[10]) > float(of_features[6] @ of_features[9])


@pytest.mark.parametrize(
    "law",
    ["all_weights_get_gradients", "save_load_roundtrip", "exact_resume", "processes_agree", "padding_row_is_zero"],
)
def test_laws_with_features(law: str) -> None:
    subject = testing.subject(MP2Vec, feature_column="kind", max_features_per_item=2)
    table = pl.DataFrame({"kind": [[f"k{item % 3}", "all"] for item in range(subject.log.num_items)]})
    testing.LAWS[law](replace(subject, log=replace(subject.log, item_metadata=table)))


def test_invalid_settings_and_features_are_rejected() -> None:
    for kind, settings, message in (
        (Item2Vec, {"subsample_threshold": 0}, r"subsample_threshold=0: must be above 0"),
        (Item2Vec, {"passes_per_epoch": 0}, r"passes_per_epoch=0: must be at least 1"),
        (Item2Vec, {"sample_alpha": 2}, r"sample_alpha=2: must be between 0 and 1"),
        (Item2Vec, {"window": 0}, r"window=0: must be at least 1"),
        (Item2Vec, {"feature_column": "kind"}, r"unknown setting 'feature_column'"),
        (MP2Vec, {"feature_weight": -1}, r"feature_weight=-1: must be at least 0"),
        (MP2Vec, {"column": "kind"}, r"unknown setting 'column': it is now called 'feature_column'"),
        (MP2Vec, {"features": 2}, r"unknown setting 'features': the number of features is taken from the log"),
        (
            MP2Vec,
            {"feature_column": "kind", "max_features_per_item": 0},
            r"max_features_per_item=0: must be at least 1",
        ),
    ):
        with pytest.raises(ConfigError, match=message):
            kind.configure(settings)
    config = MP2Vec.configure(FEATURED)
    with pytest.raises(ConfigError, match="the model was built for 2 item features, but the log has 3"):
        fit(MP2Vec(config, Sizes(3, 5, num_features=2)), WITH_METADATA)
    with pytest.raises(ConfigError, match="max_features_per_item=1: an item of the log has 2 features"):
        fit(build(MP2Vec, **{**FEATURED, "max_features_per_item": 1}), WITH_METADATA)
    with pytest.raises(DataError, match=r"its items have no column 'kin', did you mean 'kind'\?"):
        Sizes.of(WITH_METADATA, MP2Vec.configure({**FEATURED, "feature_column": "kin"}))
    with pytest.raises(DataError, match=r"its items have no column 'kin', did you mean 'kind'\?"):
        fit(build(MP2Vec, **{**FEATURED, "feature_column": "kin"}), WITH_METADATA)


def test_sizes_count_the_features_of_the_log() -> None:
    assert Sizes.of(WITH_METADATA, MP2Vec.configure(FEATURED)) == Sizes(3, 5, num_features=3)
    assert Sizes.of(WITH_METADATA, MP2Vec.configure()) == Sizes.of(WITH_METADATA) == Sizes(3, 5)
