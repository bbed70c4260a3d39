"""IARN: parameter counts, gradients, leakage, scores of all items, the ratings of steps and the item features."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from segue.batches.batch import Batch, PairBatch
from segue.batches.rated_events import RatedEvents
from segue.data import synthetic
from segue.data.item_features import feature_ids
from segue.errors import ConfigError, DataError
from segue.models.base.model import Sizes
from segue.models.ratings.biases import Biases
from segue.models.ratings.iarn.gated_rnn import run_gated
from segue.models.ratings.iarn.model import IARN
from segue.nn.rmsprop import RMSprop

LOG = synthetic.with_ratings(synthetic.markov(20, 9, 8, seed=4, shortest=2))
SMALL = {"embedding_dim": 4, "hidden_dim": 5, "context_dim": 3}


def build(**settings: Any) -> IARN:
    torch.manual_seed(0)
    model = IARN(IARN.configure({**SMALL, **settings}), Sizes(LOG.num_users, LOG.num_items)).double()
    for _ in model.batches(LOG, np.random.default_rng(0)):
        pass
    return model.eval().requires_grad_(False)


@pytest.mark.parametrize(("dim", "count"), [(25, 175_364), (50, 184_964)])
def test_parameter_counts_equal_the_authors_program(dim: int, count: int) -> None:
    model = IARN(IARN.configure({"embedding_dim": dim}, "paper"), Sizes(3, 3))
    assert sum(p.numel() for network in (model.user_network, model.item_network) for p in network.parameters()) == count
    tagm = IARN(IARN.configure({"embedding_dim": dim, "backbone": "tagm"}), Sizes(3, 3))
    expected = {25: 76_548, 50: 86_148}[dim]
    assert (
        sum(p.numel() for network in (tagm.user_network, tagm.item_network) for p in network.parameters()) == expected
    )


def test_softplus_is_computed_in_full_where_that_of_torch_is_linear() -> None:
    total = torch.tensor([4.2, 30.0, -30.0]).double()  # times 5; torch is linear beyond 20
    state = run_gated(total[None, None], torch.ones(1, 1).double(), torch.zeros(3, 3).double(), "softplus")
    expected = [
        (5 * y + np.log1p(np.exp(-5 * y))) / 5 if y > 0 else np.log1p(np.exp(5 * y)) / 5 for y in total.tolist()
    ]
    assert state.flatten().tolist() == pytest.approx(expected, rel=1e-15, abs=0)


@pytest.mark.parametrize(("backbone", "use_ratings"), [("iarn", 0), ("iarn", 1), ("tagm", 0), ("rnn", 0), ("lstm", 0)])
def test_no_leakage_of_events_at_or_after_the_time_of_a_rating(backbone: str, use_ratings: int) -> None:
    """Events at or after the time do not change the prediction; earlier events do."""
    model, events = build(backbone=backbone, use_ratings=use_ratings), RatedEvents.from_log(LOG)
    windows = {"window": model.window, "item_window": model.item_window}
    rng = np.random.default_rng(0)
    assert LOG.time is not None
    changed = 0
    for row in rng.permutation(len(events))[:12]:
        time = events.time[row]  # type: ignore[index]
        item = np.where(LOG.time >= time, LOG.num_items + 1 - LOG.item, LOG.item).astype(np.int32)
        rating = np.where(LOG.time >= time, 1, LOG.rating).astype(np.float32)
        later = replace(events, log=replace(LOG, item=item, rating=rating))
        earlier = replace(events, log=replace(LOG, item=np.where(LOG.time >= time, LOG.item, item[::-1])))
        index = np.array([row])
        rating, with_later, with_earlier = (
            float(model.predict(e.batch(index, **windows))) for e in (events, later, earlier)
        )
        assert rating == with_later
        changed += rating != with_earlier
    assert changed >= 6


@pytest.mark.parametrize("backbone", ["iarn", "lstm"])
def test_scores_of_all_items_equal_predictions_of_single_pairs(backbone: str) -> None:
    model = build(backbone=backbone, bias=True)
    history = torch.tensor([[0, 0, 3, 1], [5, 2, 2, 7], [0, 0, 0, 0]])
    user, items = torch.tensor([1, 4, 0]), torch.tensor([2, 9, 1])
    scores = model.score(Batch(user, history), items)
    for row in range(3):
        for column, item in enumerate(items):
            pair = PairBatch(user[[row]], history[[row]], item.view(1))
            assert float(scores[row, column]) == pytest.approx(float(model.predict(pair)), abs=1e-10)


@pytest.mark.parametrize("window", [1, 2, 50])
def test_all_items_are_scored_with_the_newest_users_and_items_of_both_histories(window: int) -> None:
    """As many as the window has: those of an item at the end of the training, those of the user before the query."""
    model = build(window=window)
    users_of = {item: [] for item in range(LOG.num_items + 1)}
    events = RatedEvents.from_log(LOG)
    assert events.time is not None
    for row in np.argsort(events.time, kind="stable"):
        users_of[int(events.item[row])].append(int(events.user[row]))
    history = torch.from_numpy(LOG.history(3).astype(np.int64))[None]
    scores = model.score(Batch(torch.tensor([3]), history))
    assert max(map(len, users_of.values())) > 2
    for item in range(1, LOG.num_items + 1):
        item_history = torch.tensor([users_of[item][-window:]], dtype=torch.long)
        pair = PairBatch(torch.tensor([3]), history[:, -window:], torch.tensor([item]), item_history=item_history)
        assert float(scores[0, item]) == pytest.approx(float(model.predict(pair)), abs=1e-10)


def test_gates_of_iarn_depend_on_the_other_side() -> None:
    """The gates of TAGM do not."""
    for backbone, independent in (("iarn", False), ("tagm", True)):
        model = build(backbone=backbone)
        batch = RatedEvents.from_log(LOG).batch(np.array([5, 6]), window=8, item_window=8)
        user = model._encode_users(batch)
        items = model._encode_items(torch.tensor([1, 2]), torch.tensor([[1, 2, 3], [7, 8, 9]]))
        gates = model.user_network.gates(user, items.summary)
        flipped = model.user_network.gates(user, items.summary.flip(0))
        assert torch.equal(gates, flipped) == independent
        assert bool(((gates >= 0) & (gates <= 1)).all())


def test_biased_iarn_starts_near_the_predictions_of_biases() -> None:
    biases = Biases(Biases.configure(), Sizes(LOG.num_users, LOG.num_items)).double()
    biases.fit(LOG)
    events = RatedEvents.from_log(LOG)
    batch = events.batch(np.arange(len(events)), window=8, item_window=8)
    expected = biases.predict(batch)
    torch.testing.assert_close(build(bias=True).predict(batch), expected, rtol=0, atol=0.01)
    assert float((build().predict(batch) - expected).abs().min()) > 0.5


def test_steps_include_the_first_rating_of_the_pair() -> None:
    """User 1 rated items 2 3 2 with 5 1 4. The second rating of item 2 is later, and item 4 has no rating."""
    log = synthetic.from_sequences([[2, 3, 2], [2, 1]], num_items=4)
    log = replace(log, rating=np.array([5, 1, 4, 2, 3], np.float32), time=np.arange(5))
    model = IARN(IARN.configure({**SMALL, "use_ratings": True}), Sizes(2, 4)).double()
    next(model.batches(log, np.random.default_rng(0)))
    history = torch.tensor([[0, 2, 3, 4]]).T
    x = torch.ones(4, 1, 2).double()
    bias = torch.tensor([0, 0.5, -0.5, 0.25])[:, None].double()
    steps = model._append_ratings(x, torch.ones_like(history), history, bias)
    residual = torch.tensor([0, 4.5 - 3, 1.5 - 3, 0]).double()
    torch.testing.assert_close(steps[:, 0, 2:], residual[:, None].expand(-1, 3))
    assert torch.equal(steps[:, :, :2], x)


GENRES = pl.DataFrame({"genres": [["War"], ["Action", "War"], None, *[["Love"]] * (LOG.num_items - 3)]})


@pytest.mark.parametrize("feature_encoder", ["flat", "hierarchical"])
def test_features_change_the_scores_of_items_that_have_features(feature_encoder: str) -> None:
    log = replace(LOG, item_metadata=GENRES)
    settings = {**SMALL, "feature_encoder": feature_encoder, "feature_column": "genres", "max_features_per_item": 2}
    torch.manual_seed(0)
    config = IARN.configure(settings)
    model = IARN(config, Sizes.of(log, config)).double().eval()
    for batch in model.batches(log, np.random.default_rng(0)):
        model(batch).backward()
    assert model.feature_encoder.feature[:4].tolist() == [[0, 0], [3, 0], [1, 3], [0, 0]]
    gradient = model.feature_encoder.matrix.grad
    assert gradient is not None
    assert [bool(g.any()) for g in gradient] == [False, True, True, True]
    batch = Batch(torch.tensor([1]), torch.tensor([[4, 5]]))
    with torch.no_grad():
        before = model.score(batch)
        model.feature_encoder.matrix[3] *= 2
        changed = (model.score(batch) != before)[0].tolist()
    assert changed == [False, True, True, *[False] * (log.num_items - 2)]


def test_features_beyond_the_sizes_of_the_model_are_refused() -> None:
    log = replace(LOG, item_metadata=GENRES)
    settings = {"feature_encoder": "flat", "feature_column": "genres"}
    for limit, num_features, message in (
        (2, 2, "built for 2 item features, but the log has 3"),
        (1, 3, "max_features_per_item=1: an item of the log has 2 features; raise it to that number"),
    ):
        config = IARN.configure({**settings, "max_features_per_item": limit})
        model = IARN(config, Sizes(log.num_users, log.num_items, num_features))
        with pytest.raises(ConfigError, match=message):
            next(model.batches(log, np.random.default_rng(0)))
    with pytest.raises(
        DataError, match=r"its items have no column 'genre', did you mean 'genres'\?; they have: genres"
    ):
        feature_ids(log, "genre")
    paths = pl.DataFrame({"path": ["B > A", "", None, *["B"] * (LOG.num_items - 3)]})
    item_features, names = feature_ids(replace(LOG, item_metadata=paths), "path")
    assert names == ["A", "B"]
    assert item_features[:5].tolist() == [[0, 0], [2, 1], [0, 0], [0, 0], [2, 0]]


def test_rmsprop_clips_gradients_and_loads_its_state() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    optimizer = RMSprop([weight], lr=0.1, alpha=0.9, clip=10.0)
    weight.grad = torch.tensor([50.0, -1.0])
    optimizer.step()
    steps = [0.1 * 10 / (np.sqrt(0.1 * 100) + 1e-8), -0.1 / (np.sqrt(0.1) + 1e-8)]
    assert weight.tolist() == pytest.approx([1 - steps[0], 2 - steps[1]])
    loaded = RMSprop([weight], lr=0.1)
    loaded.load_state_dict(optimizer.state_dict())
    assert loaded.square_avg[0].tolist() == pytest.approx([10.0, 0.1])
    optimizer.zero_grad()
    assert not weight.grad.any()


def test_rmsprop_follows_a_schedule_and_loads_its_step() -> None:
    weight = torch.nn.Parameter(torch.tensor([0.0]))
    optimizer = RMSprop([weight], lr=lambda step: 1.0 if step == 0 else 0.0)
    for changes in (True, False):
        before = weight.item()
        weight.grad = torch.tensor([1.0])
        optimizer.step()
        assert (weight.item() != before) == changes
    loaded = RMSprop([weight], lr=float)
    loaded.load_state_dict(optimizer.state_dict())
    assert int(loaded.num_steps) == 2


def test_presets_and_settings_out_of_range() -> None:
    author = IARN.configure(preset="author")
    assert (author.activation, author.gate_scale, author.interaction_scale) == ("softplus", 2.0, 0.25)
    for settings, message in (
        ({"dropout": 1}, r"dropout=1: must be at least 0 and below 1"),
        ({"hidden_dim": 0}, r"hidden_dim=0: must be at least 1"),
        ({"feature_encoder": "flat"}, r"feature_column='': name a column if and only if feature_encoder is flat or"),
        ({"feature_column": "genres"}, r"feature_column='genres': name a column if and only if feature_encoder is"),
        ({"features": 2}, r"unknown setting 'features'"),
        ({"epoch_fraction": 0}, r"epoch_fraction=0: must be above 0 and at most 1"),
        ({"l2_user": -1}, r"l2_user=-1: must be at least 0"),
        ({"grad_clip_value": 0}, r"grad_clip_value=0: must be above 0"),
        ({"backbone": "gru"}, r"backbone='gru': must be one of iarn, tagm, rnn, lstm"),
    ):
        with pytest.raises(ConfigError, match=message):
            IARN.configure(settings)
