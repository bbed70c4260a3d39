"""IARN: its sizes, its derivatives, what it may not see, and what it shares between pairs."""

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
from segue.models.ratings.iarn.gated_rnn import BETA, run_gated
from segue.models.ratings.iarn.model import IARN
from segue.nn.optim import RMSprop

LOG = synthetic.with_ratings(synthetic.markov(20, 9, 8, seed=4, shortest=2))
SMALL = {"embedding_dim": 4, "hidden_dim": 5, "context_dim": 3}


def build(**settings: Any) -> IARN:
    torch.manual_seed(0)  # the weights need no gradient here
    model = IARN(IARN.configure({**SMALL, **settings}), Sizes(LOG.num_users, LOG.num_items)).double()
    for _ in model.batches(LOG, np.random.default_rng(0)):
        pass
    return model.eval().requires_grad_(False)


@pytest.mark.parametrize(("dim", "count"), [(25, 175_364), (50, 184_964)])
def test_parameter_counts_are_those_of_the_authors(dim: int, count: int) -> None:
    model = IARN(IARN.configure({"embedding_dim": dim}, "paper"), Sizes(3, 3))
    assert sum(p.numel() for network in (model.user_network, model.item_network) for p in network.parameters()) == count
    own = IARN(IARN.configure({"embedding_dim": dim, "backbone": "tagm"}), Sizes(3, 3))
    expected = {25: 76_548, 50: 86_148}[dim]
    assert sum(p.numel() for network in (own.user_network, own.item_network) for p in network.parameters()) == expected


@pytest.mark.parametrize("activation", ["relu", "softplus"])
def test_gated_rnn_equals_a_plain_loop(activation: Any) -> None:
    torch.manual_seed(1)
    read, gate, weight = torch.randn(5, 3, 4).double(), torch.rand(5, 3).double(), torch.randn(4, 4).double()
    gate[:2, 0] = 0  # padding
    grad_output = torch.randn(5, 3, 4).double()

    def plain(read: Any, gate: Any, weight: Any) -> Any:
        state, states = torch.zeros(3, 4).double(), []
        for x, a in zip(read, gate, strict=True):
            new = x + state @ weight.T
            new = new.relu() if activation == "relu" else torch.nn.functional.softplus(new, BETA)
            state = (1 - a[:, None]) * state + a[:, None] * new
            states.append(state)
        return torch.stack(states)

    found = []
    for way in (plain, lambda *inputs: run_gated(*inputs, activation)):
        inputs = [t.clone().requires_grad_() for t in (read, gate, weight)]
        states = way(*inputs)
        (states * grad_output).sum().backward()
        found.append([states.detach(), *(t.grad for t in inputs)])
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("backbone", "use_ratings"), [("iarn", 0), ("iarn", 1), ("tagm", 0), ("rnn", 0), ("lstm", 0)])
def test_no_leakage_of_events_at_or_after_the_time_of_a_rating(backbone: str, use_ratings: int) -> None:
    """Events at or after the time change nothing; earlier events do."""
    model, pairs = build(backbone=backbone, use_ratings=use_ratings), RatedEvents.from_log(LOG)
    reads = {"window": model.window, "item_window": model.item_window}
    rng = np.random.default_rng(0)
    assert LOG.time is not None
    moved = 0
    for at in rng.permutation(len(pairs))[:12]:
        moment = pairs.time[at]  # type: ignore[index]
        item = np.where(LOG.time >= moment, LOG.num_items + 1 - LOG.item, LOG.item).astype(np.int32)
        rating = np.where(LOG.time >= moment, 1, LOG.rating).astype(np.float32)
        later = replace(pairs, log=replace(LOG, item=item, rating=rating))
        earlier = replace(pairs, log=replace(LOG, item=np.where(LOG.time >= moment, LOG.item, item[::-1])))
        index = np.array([at])
        one, two, three = (float(model.predict(p.batch(index, **reads))) for p in (pairs, later, earlier))
        assert one == two
        moved += one != three
    assert moved >= 6


@pytest.mark.parametrize("backbone", ["iarn", "lstm"])
def test_scores_of_all_items_equal_predictions_of_single_pairs(backbone: str) -> None:
    model = build(backbone=backbone, bias=True)
    history = torch.tensor([[0, 0, 3, 1], [5, 2, 2, 7], [0, 0, 0, 0]])
    user, items = torch.tensor([1, 4, 0]), torch.tensor([2, 9, 1])
    scores = model.score(Batch(user, history), items)
    for line in range(3):
        for column, item in enumerate(items):
            pair = PairBatch(user[[line]], history[[line]], item.view(1))
            assert float(scores[line, column]) == pytest.approx(float(model.predict(pair)), abs=1e-10)


def test_gates_depend_on_the_other_side() -> None:
    """The gates of IARN do; those of TAGM do not."""
    for backbone, alike in (("iarn", False), ("tagm", True)):
        model = build(backbone=backbone)
        batch = RatedEvents.from_log(LOG).batch(np.array([5, 6]), window=8, item_window=8)
        user = model._encode_users(batch)
        items = model._encode_items(torch.tensor([1, 2]), torch.tensor([[1, 2, 3], [7, 8, 9]]))
        one = model.user_network.gates(user, items.summary)
        two = model.user_network.gates(user, items.summary.flip(0))
        assert torch.equal(one, two) == alike
        assert bool(((one >= 0) & (one <= 1)).all())


def test_biased_iarn_starts_near_biases() -> None:
    biases = Biases(Biases.configure(), Sizes(LOG.num_users, LOG.num_items)).double()
    biases.fit(LOG)
    pairs = RatedEvents.from_log(LOG)
    batch = pairs.batch(np.arange(len(pairs)), window=8, item_window=8)
    expected = biases.predict(batch)
    torch.testing.assert_close(build(bias=True).predict(batch), expected, rtol=0, atol=0.01)
    assert float((build().predict(batch) - expected).abs().min()) > 0.5


def test_steps_include_the_first_rating_of_the_pair() -> None:
    """History 2 3 2 of user 1, rated 5 1 4; the second rating of item 2 came later, and item 4 has no rating."""
    log = synthetic.from_sequences([[2, 3, 2], [2, 1]], num_items=4)
    log = replace(log, rating=np.array([5, 1, 4, 2, 3], np.float32), time=np.arange(5))
    model = IARN(IARN.configure({**SMALL, "use_ratings": True}), Sizes(2, 4)).double()
    next(model.batches(log, np.random.default_rng(0)))
    history = torch.tensor([[0, 2, 3, 4]]).T
    x = torch.ones(4, 1, 2).double()
    bias = torch.tensor([0, 0.5, -0.5, 0.25])[:, None].double()
    read = model._append_ratings(x, torch.ones_like(history), history, bias)
    above = torch.tensor([0, 4.5 - 3, 1.5 - 3, 0]).double()
    torch.testing.assert_close(read[:, 0, 2:], above[:, None].expand(-1, 3))
    assert torch.equal(read[:, :, :2], x)


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
    scored = Batch(torch.tensor([1]), torch.tensor([[4, 5]]))
    with torch.no_grad():
        before = model.score(scored)
        model.feature_encoder.matrix[3] *= 2
        changed = (model.score(scored) != before)[0].tolist()
    assert changed == [False, True, True, *[False] * (log.num_items - 2)]


def test_features_that_do_not_fit_are_refused() -> None:
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
    found, names = feature_ids(replace(LOG, item_metadata=paths), "path")
    assert names == ["A", "B"]
    assert found[:5].tolist() == [[0, 0], [2, 1], [0, 0], [0, 0], [2, 0]]


def test_rmsprop_cuts_off_and_resumes() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    made = RMSprop([weight], lr=0.1, alpha=0.9, clip=10.0)
    weight.grad = torch.tensor([50.0, -1.0])
    made.step()
    moved = [0.1 * 10 / (np.sqrt(0.1 * 100) + 1e-8), -0.1 / (np.sqrt(0.1) + 1e-8)]
    assert weight.tolist() == pytest.approx([1 - moved[0], 2 - moved[1]])
    again = RMSprop([weight], lr=0.1)
    again.load_state_dict(made.state_dict())
    assert again.square_avg[0].tolist() == pytest.approx([10.0, 0.1])
    made.zero_grad()
    assert not weight.grad.any()


def test_rmsprop_follows_a_schedule_and_takes_it_up() -> None:
    weight = torch.nn.Parameter(torch.tensor([0.0]))
    made = RMSprop([weight], lr=lambda step: 1.0 if step == 0 else 0.0)
    for moves in (True, False):
        before = weight.item()
        weight.grad = torch.tensor([1.0])
        made.step()
        assert (weight.item() != before) == moves
    again = RMSprop([weight], lr=float)
    again.load_state_dict(made.state_dict())
    assert int(again.num_steps) == 2


def test_presets_and_ranges() -> None:
    author = IARN.configure(preset="author")
    assert (author.activation, author.gate_scale, author.interaction_scale) == ("softplus", 2.0, 0.25)
    for settings, said in (
        ({"dropout": 1}, r"dropout=1: must be at least 0 and below 1"),
        ({"hidden_dim": 0}, r"hidden_dim=0: must be at least 1"),
        ({"feature_encoder": "flat"}, r"feature_column='': name a column if and only if there is a feature_encoder"),
        ({"feature_column": "genres"}, r"feature_column='genres': name a column if and only if there is"),
        ({"features": 2}, r"unknown setting 'features'"),
        ({"epoch_fraction": 0}, r"epoch_fraction=0: must be above 0 and at most 1"),
        ({"l2_user": -1}, r"l2_user=-1: must be at least 0"),
        ({"grad_clip_value": 0}, r"grad_clip_value=0: must be above 0"),
        ({"backbone": "gru"}, r"backbone='gru': must be one of iarn, tagm, rnn, lstm"),
    ):
        with pytest.raises(ConfigError, match=said):
            IARN.configure(settings)
