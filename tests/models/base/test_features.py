"""Models with item features: the same models without them, cold items, and refusals."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
import torch

from segue import testing
from segue.batches.batch import Batch
from segue.data.log import Log
from segue.errors import ConfigError, DataError
from segue.models.base.ranking import RankingModel
from segue.models.registry import MODELS, find
from segue.nn.compiled import loops
from segue.serving.saved_model import load, save
from segue.testing.subject import small_log

RANKING = [name for name, kind in MODELS.items() if issubclass(kind, RankingModel)]
OTHER_LOSSES = [
    ("sasrec", "bce", "per_target"),
    ("sasrec", "sampled-ce", "shared"),
    ("gru4rec", "top1", "shared"),
    ("hgn", "bpr", "per_target"),
]
WAYS = [*((name, "ce", "per_target") for name in RANKING), *OTHER_LOSSES]


def with_features(log: Log) -> Log:
    """The small log with a category, a number, and an item 18 without an event that has the features of item 3."""
    kinds = [f"k{item % 4}" for item in range(1, 18)]
    prices = [float(item % 5) for item in range(1, 18)]
    items = replace(log.items, tokens=pl.Series(list(range(1, 19))))
    table = pl.DataFrame({"kind": [*kinds, kinds[2]], "price": [*prices, prices[2]]})
    return replace(log, items=items, item_metadata=table)


def trained(name: str, log: Log, loss: str, sampling: str, **settings: Any) -> Any:
    losses = {"loss": loss, "negative_sampling": sampling, "num_negatives": 8, "sample_alpha": 0.0}
    subject = testing.subject(find(name), **{**losses, "weight_decay": 0.0, "epochs": 1, **settings})
    return replace(subject, log=log).train()


@pytest.mark.parametrize(("name", "loss", "sampling"), WAYS)
def test_a_cold_item_is_scored_by_its_features_alone(name, loss, sampling):
    log = with_features(small_log())
    model = trained(name, log, loss, sampling, features=("kind", "price"))
    assert model.features.trained.tolist() == [False, *[True] * 17, False]
    with torch.no_grad():
        vectors = model.item_vectors().clone()
        assert not torch.allclose(vectors[3], vectors[18])
        model.get_parameter(model.output_table)[3] = 0  # item 18 has the features of item 3
        torch.testing.assert_close(model.item_vectors()[3], vectors[18])


@pytest.mark.parametrize(("name", "loss", "sampling"), WAYS)
def test_training_learns_nothing_about_a_cold_item(name, loss, sampling):
    """Other features of the cold item change no weight: it is neither a target nor a negative."""
    log = with_features(small_log())
    kinds = log.item_metadata["kind"].to_list()
    other = replace(log, item_metadata=log.item_metadata.with_columns(kind=pl.Series([*kinds[:17], kinds[0]])))
    one, two = (trained(name, each, loss, sampling, features=("kind",)) for each in (log, other))
    for (key, weight), same in zip(one.named_parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(weight, same, atol=1e-4, rtol=0, msg=key)  # a step is 1e-2
    table = one.output_table
    start = replace(testing.subject(find(name), features=("kind",)), log=log).build().get_parameter(table)
    assert torch.equal(one.get_parameter(table)[18], start[18])


@pytest.mark.parametrize("fusion", ["sum", "concat"])
@pytest.mark.parametrize("name", ["sasrec", "gru", "hstu"])
def test_models_with_features_obey_the_laws(name, fusion):
    testing.check(find(name), features=("kind",), feature_fusion=fusion)


def test_settings_are_read_and_checked():
    config = find("sasrec").configure({"features": "kind, price"})
    assert config.features == ("kind", "price")
    assert find("sasrec").configure({"features": "none"}).features is None
    with pytest.raises(ConfigError, match="features=kind,kind: names a column twice"):
        find("sasrec").configure({"features": "kind,kind"})
    with pytest.raises(ConfigError, match=r"id_dropout=0\.5: needs features"):
        find("sasrec").configure({"id_dropout": 0.5})
    with pytest.raises(ConfigError, match=r"features=3: must be names, separated by commas, or none"):
        find("sasrec").configure({"features": 3})
    with pytest.raises(DataError, match="its items have no column 'kid', did you mean 'kind'"):
        testing.subject(find("sasrec"), features=("kid",)).build()


def test_a_model_that_uses_no_features_refuses_them():
    class Plain(find("sasrec")):
        def encode(self, name):
            """Not made of features."""

    with pytest.raises(ConfigError, match="features: sasrec does not use features of items; leave them out"):
        testing.subject(Plain, features=("kind",)).train()
    with pytest.raises(ConfigError, match="unknown setting 'features'"):
        find("item-knn").configure({"features": "kind"})


def test_ranking_and_loading_a_model_with_features(tmp_path):
    log = with_features(small_log())
    model = trained("gru", log, "ce", "per_target", features=("kind", "price"), tied=False, feature_fusion="concat")
    loaded = load(save(model, log, tmp_path / "model")).model
    batch = Batch(torch.tensor([1]), torch.tensor([[3, 18, 5]]))  # a history may hold the cold item
    with torch.inference_mode():
        assert torch.equal(loaded.score(batch), model.score(batch))


@pytest.mark.parametrize(("name", "loss", "sampling"), OTHER_LOSSES)
def test_compiled_loops_do_not_pass_features_by(name, loss, sampling):
    log, names = with_features(small_log()), ("target_loss", "gated_queries", "session_step")
    weights = []
    for way in ("always", "never"):
        with ExitStack() as stack:
            for each in names:
                stack.enter_context(getattr(getattr(loops, each), way)())
            weights.append(trained(name, log, loss, sampling, features=("kind",)).state_dict())
    for key, weight in weights[0].items():
        torch.testing.assert_close(weight, weights[1][key], msg=key)
