"""`explain`: contributions are differences of scores without an item, gates are recorded, for every model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor

from segue.batches.batch import Batch, PairBatch
from segue.batches.gaps import close_gaps
from segue.config import Config
from segue.data import synthetic
from segue.data.log import Log
from segue.errors import ConfigError, DataError
from segue.explain.occlusion import check_order, explain, recorded_values
from segue.models.base.model import DirectModel, Model, Sizes
from segue.models.base.rating import PairScorer
from segue.models.ensembles.blend import Blend, mix, standardised_scores
from segue.models.ensembles.rerank import Rerank
from segue.models.registry import MODELS
from segue.nn.recorder import record
from segue.serving.recommend import recommend
from segue.testing import subject


def film_log() -> Log:
    """Five items with titles, of which ann saw 1 2 3."""
    small = synthetic.from_sequences([[1, 2, 3], [4, 5]], num_items=6, name="films")
    return replace(small, item_metadata=pl.DataFrame({"title": [f"Film {letter}" for letter in "ABCDEF"]}))


class SumModel(Model):
    """Item j scores j times the sum of the history, item 6 the length of it; the last three items have a gate."""

    name, Config, window, skips_padding, additive = "sum", Config, None, "anywhere", "sum"

    def __init__(self) -> None:
        super().__init__(Config(), Sizes(2, 6))
        self.rows: list[int] = []

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        self.rows.append(len(batch))
        total = batch.history.sum(1).double()
        record("gate", batch.history[:, None, -3:].double() / 10)
        scores = total[:, None] * torch.arange(7)
        scores[:, 6] = (batch.history > 0).sum(1)
        scores[:, 0] = -torch.inf
        return scores


def test_contribution_is_the_score_lost_without_the_item() -> None:
    model = SumModel()
    explanation = explain(model, film_log(), user=1, k=2, order="time")
    assert [(one.item, one.title, one.score) for one in explanation.recommended] == [
        (5, "Film E", 30.0),
        (4, "Film D", 24.0),
    ]
    assert [one.item for one in explanation.past] == [1, 2, 3]
    assert [one.contributions for one in explanation.past] == [[5.0, 4.0], [10.0, 8.0], [15.0, 12.0]]
    assert [one.gates for one in explanation.past] == [{"gate": 0.1}, {"gate": 0.2}, {"gate": 0.3}]
    assert model.rows == [1, 5], "one call for the history, and one for all histories without an item, or without any"
    assert (explanation.rest, explanation.older, explanation.num_older) == ([0.0, 0.0], [0.0, 0.0], 0)
    assert (explanation.num_unread, explanation.additive, explanation.removal) == (0, True, "kept")


def test_the_largest_contribution_comes_first() -> None:
    explanation = explain(SumModel(), film_log(), history=[2, 1, 4, 1], k=2, exclude_seen=False)
    assert [(one.item, one.age) for one in explanation.past] == [(4, 2), (2, 4), (1, 1), (1, 3)]
    with pytest.raises(ConfigError, match="order='size': must be one of contribution, time"):
        check_order("size")


def test_rank_changes_are_among_the_candidates() -> None:
    """Without item 3, items 4 and 5 score 12 and 15: still second and first, as seen items are not candidates."""
    assert [one.rank_changes for one in explain(SumModel(), film_log(), user=1, k=2).past] == [[0, 0], [0, 0], [0, 0]]
    explanation = explain(SumModel(), film_log(), history=[1], k=3)
    assert [one.item for one in explanation.recommended] == [5, 4, 3]
    (only,) = explanation.past
    assert only.rank_changes == [None, None, None], "all score 0 without it: none has a place"
    assert only.contributions == [5.0, 4.0, 3.0]


def test_seen_items_can_be_recommended() -> None:
    explanation = explain(SumModel(), film_log(), user=1, k=6, exclude_seen=False)
    assert {one.item for one in explanation.recommended} == {1, 2, 3, 4, 5, 6}
    six = [one.item for one in explanation.recommended].index(6)
    assert [one.contributions[six] for one in explanation.past] == [1.0, 1.0, 1.0]


def test_newest_items_are_explained_and_the_model_reads_all() -> None:
    explanation = explain(SumModel(), film_log(), history=[1, 2, 3, 4, 1], k=1, last=4, order="time")
    assert (explanation.num_older, explanation.older) == (1, [5.0])
    assert [(one.item, one.gates["gate"]) for one in explanation.past] == [(2, None), (3, 0.3), (4, 0.4), (1, 0.1)]
    assert explanation.recommended[0].score == 55.0
    assert [one.contributions for one in explanation.past] == [[10.0], [15.0], [20.0], [5.0]]


def test_repeated_recordings_are_numbered() -> None:
    recorded = {"attention": [torch.tensor([[[0.0, 1.0], [1.0, 2.0]]]), torch.tensor([[3.0, 4.0]])]}
    assert recorded_values(recorded, 3, range(0, 3)) == [
        {"attention 1": None, "attention 2": None},
        {"attention 1": 0.5, "attention 2": 3.0},
        {"attention 1": 1.5, "attention 2": 4.0},
    ]


class ItemIdRating(PairScorer):
    """Rates item j by j, and records a gate for each pair."""

    name, Config, window = "rated", Config, None

    def predict(self, batch: PairBatch) -> Tensor:
        record("gate", batch.history.double())
        return batch.item.double()


def test_gates_of_a_pair_are_not_part_of_recommendations() -> None:
    explanation = explain(ItemIdRating(Config(), Sizes(2, 6)), film_log(), user=1, k=2)
    assert [(one.item, one.score) for one in explanation.recommended] == [(6, 6.0), (5, 5.0)]
    assert [one.gates for one in explanation.past] == [{}, {}, {}]


MARKOV = synthetic.with_features(synthetic.with_ratings(synthetic.markov(30, 12, 9, seed=3, shortest=4)))


def trained(name: str, log: Log = MARKOV, **settings: Any) -> Any:
    kind = subject(MODELS[name], **settings)
    return kind.train(log) if issubclass(MODELS[name], DirectModel) else kind.build(log).eval()


ITEMS = [3, 7, 1, 4, 9, 3]


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_explained(name: str) -> None:
    """Additive models: everything adds up to the score. Gaps are closed: the score of the history without the item."""
    model = trained(name)
    explanation = explain(model, MARKOV, user=2, history=ITEMS, k=3, order="time")
    best = recommend(model, MARKOV, user=2, history=ITEMS, k=3)
    assert [one.item for one in explanation.recommended] == [one.item for one in best]
    assert explanation.recommended.fallback == best.fallback
    if best.fallback is not None:
        assert (explanation.past, explanation.rest) == ([], [one.score for one in best])
        return
    read = len(ITEMS) if model.window is None else min(model.window, len(ITEMS))
    assert (len(explanation.past), explanation.num_unread) == (read, len(ITEMS) - read)
    total = np.sum([explanation.rest, explanation.older, *(one.contributions for one in explanation.past)], 0)
    if explanation.additive:
        np.testing.assert_allclose(total, [one.score for one in best], rtol=1e-5, atol=1e-6)
    for past in explanation.past:
        assert all(value is None or np.isfinite(value) for value in past.gates.values())
        if explanation.removal == "closed":
            rest = ITEMS[: len(ITEMS) - past.age] + ITEMS[len(ITEMS) - past.age + 1 :]
            again = recommend(model, MARKOV, user=2, history=rest, k=12, exclude_seen=False)
            scores = {one.item: one.score for one in again}
            expected = [one.score - scores[one.item] for one in best]
            np.testing.assert_allclose(past.contributions, expected, rtol=0, atol=1e-5)
    gates = {"narm": 2, "stamp": 1, "sasrec": 2, "hgn": 2}
    if name in gates:
        assert len(explanation.past[-1].gates) == gates[name]
    alone = explain(model, MARKOV, history=[5], k=2)
    assert np.isfinite([alone.rest, *(one.contributions for one in alone.past)]).all()


def without_positions(name: str) -> Any:
    """A model of that kind to which the positions of the items make no difference."""
    settings = {
        "item-knn": {"position_decay": 1.0},
        "seq-knn": {"position_decay": 1.0},
        "vs-knn": {"position_decay": 1.0, "distance_decay": 0.0, "backward_weight": 1.0},
        "hgn": {"instance_gate": False, "pooling": "avg", "window": 8},
    }
    model = trained(name, **settings.get(name, {}))
    if name == "sasrec":
        torch.nn.init.zeros_(model.position_embedding)
    return model


@pytest.mark.parametrize(
    "name", ["s-pop", "item-knn", "seq-knn", "vs-knn", "item2vec", "mp2vec", "hgn", "sasrec", "stamp"]
)
def test_padding_between_items_is_no_item(name: str) -> None:
    """Where positions make no difference, a gap in a history changes nothing: its padding is not read as an item."""
    model = without_positions(name)
    with_gaps = Batch(torch.tensor([2, 5]), torch.tensor([[0, 3, 0, 0, 1, 0, 0, 4], [5, 0, 2, 0, 7, 0, 0, 6]]))
    closed = Batch(with_gaps.user, close_gaps(with_gaps.history))
    with torch.inference_mode():
        torch.testing.assert_close(model.score(with_gaps), model.score(closed), rtol=0, atol=1e-6)
    if model.skips_padding == "anywhere":
        newest = Batch(with_gaps.user, torch.nn.functional.pad(with_gaps.history[:, 1:], (0, 1)))
        if name != "hgn":  # its window would lose the oldest item
            with torch.inference_mode():
                torch.testing.assert_close(model.score(newest), model.score(model.readable(newest)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", [name for name, kind in MODELS.items() if kind.skips_padding != "left"])
def test_an_item_keeps_its_position_where_another_is_left_out(name: str) -> None:
    """The vector of padding stays zero in the layers that read positions, so that a gap is no item to them either."""
    model = trained(name)
    history = torch.tensor([[3, 7, 0, 4, 9]])
    batch = model.readable(Batch(torch.tensor([2]), history))
    assert batch.history[0, -5:].tolist() == history[0, -batch.history.shape[1] :].tolist()
    if name == "nextitnet":
        inputs = []
        for block in model.blocks:
            block.register_forward_hook(lambda module, arguments, output: inputs.append(output))
        with torch.inference_mode():
            model.score(batch)
        assert all(not output[0, -3].any() for output in inputs)


def test_items_of_a_neighbour_model_never_seem_harmful() -> None:
    """With the gap closed, older items would be newer, and the eight newest would have negative contributions."""
    log = synthetic.markov(60, 20, 30, seed=5, shortest=20)
    model = trained("seq-knn", log)
    for user in range(1, 20):
        explanation = explain(model, log, user=user, k=3, last=8, exclude_seen=False)
        values = np.array([one.contributions for one in explanation.past])
        assert (values >= 0).all()
        total = values.sum(0) + explanation.older + explanation.rest
        np.testing.assert_allclose(total, [one.score for one in explanation.recommended], rtol=1e-5)


def test_rounding_errors_are_no_contributions() -> None:
    """A model that ignores all but its newest item, and whose scores are noisy in the seventh digit."""

    class Noisy(SumModel):
        def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
            scores = (100 * batch.history[:, -1:] * torch.arange(7)).float()
            scores[:, 0] = -torch.inf
            return scores * (1 + 2e-7 * batch.history[:, :1])

    explanation = explain(Noisy(), film_log(), history=[1, 2, 3], k=2, order="time")
    assert [one.contributions[0] == 0 for one in explanation.past] == [True, True, False]
    assert explanation.rest == [0.0, 0.0]


def test_models_read_only_their_window() -> None:
    log = synthetic.markov(40, 15, 12, seed=2, shortest=9)
    explanation = explain(trained("hgn", log), log, user=3, k=2)
    assert (len(explanation.past), explanation.num_unread) == (5, len(log.history(3)) - 5)
    blend = Blend(trained("hgn", log), trained("gru", log, window=7), weight=0.5)
    assert (blend.window, explain(blend, log, user=3, k=2).num_unread) == (7, len(log.history(3)) - 7)
    rerank = Rerank(trained("hgn", log), trained("gru", log, window=7), candidates=4)
    assert explain(rerank, log, user=3, k=2).num_unread == len(log.history(3)) - 7


def test_each_part_of_a_blend_leaves_items_out_in_its_own_way() -> None:
    """The neighbour model keeps the positions, the recurrent one closes the gap."""
    first, second = trained("seq-knn"), trained("gru")
    history = torch.tensor([[3, 7, 0, 4, 9]])
    user = torch.tensor([2])
    blend = Blend(first, second, weight=0.3)
    with torch.inference_mode():
        found = blend.score(Batch(user, history))
        parts = (
            standardised_scores(first, Batch(user, history)),
            standardised_scores(second, Batch(user, close_gaps(history))),
        )
        torch.testing.assert_close(found, mix(*parts, 0.3))
        rerank = Rerank(first, second, candidates=4).score(Batch(user, history))
    assert rerank.isfinite()[:, 1:].all()
    explanation = explain(blend, MARKOV, history=ITEMS, k=2)
    assert (explanation.removal, explanation.additive) == ("closed", False)
    assert explain(Blend(first, trained("pop"), weight=0.5), MARKOV, history=ITEMS, k=2).removal == "kept"


def test_the_mean_of_a_model_is_not_taken_over_fewer_items() -> None:
    """The score of item2vec is a mean of cosines: each item carries its share, whatever the others are."""
    model = trained("item2vec")
    explanation = explain(model, MARKOV, history=ITEMS, k=3, order="time", exclude_seen=False)
    vectors = model.item_vectors()
    ids = MARKOV.items.ids([one.item for one in explanation.recommended])
    expected = (vectors[torch.tensor(MARKOV.items.ids(ITEMS))] @ vectors[torch.tensor(ids)].T / len(ITEMS)).tolist()
    np.testing.assert_allclose([one.contributions for one in explanation.past], expected, atol=1e-6)


def test_hgn_without_gates_is_additive() -> None:
    log = synthetic.markov(40, 15, 12, seed=2, shortest=9)
    model = trained("hgn", log, window_encoder="none")
    explanation = explain(model, log, user=3, k=2)
    total = np.sum([explanation.rest, *(one.contributions for one in explanation.past)], 0)
    assert explanation.additive
    np.testing.assert_allclose(total, [one.score for one in explanation.recommended], atol=1e-5)
    best = int(log.items.ids([explanation.recommended[0].item])[0])
    user_part = (model.user_embedding[3] @ model.output_embedding[best]).item()
    assert explanation.rest[0] == pytest.approx(user_part, abs=1e-6)


@pytest.mark.parametrize("arguments", [{"user": 9}, {"history": []}, {"history": [77]}])
def test_no_item_of_a_history_contributes_to_popularity(arguments: dict[str, Any]) -> None:
    explanation = explain(SumModel(), film_log(), k=2, **arguments)
    assert explanation.recommended == recommend(SumModel(), film_log(), k=2, **arguments)
    assert explanation.recommended.fallback is not None
    assert (explanation.past, explanation.rest) == ([], [1.0, 1.0])


def test_unknown_items_are_left_out_of_an_explanation() -> None:
    explanation = explain(SumModel(), film_log(), history=[1, 77, 2], k=1, order="time")
    assert explanation.recommended.ignored == (77,)
    assert [(one.item, one.age) for one in explanation.past] == [(1, 2), (2, 1)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "no user and no history given"),
        ({"history": "i1"}, r"history='i1': must be a list of items, such as \['i1'\]"),
        ({"user": 1, "k": 0}, "k=0: must be at least 1"),
        ({"user": 1, "last": 0}, "last=0: must be at least 1"),
    ],
)
def test_invalid_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        explain(SumModel(), film_log(), **arguments)


class FollowerModel(Model):
    """Each past item gives 1 to the item after it: a first stage whose candidates depend on single items."""

    name, Config, window, skips_padding = "follower", Config, None, "anywhere"

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        scores = torch.zeros(len(batch), 8, dtype=torch.float64)
        follows = torch.where(batch.history > 0, batch.history + 1, 0)
        scores.scatter_add_(1, follows, torch.ones_like(follows, dtype=torch.float64))
        scores[:, 0] = -torch.inf
        return scores


def test_what_is_no_candidate_without_an_item_has_no_contribution() -> None:
    """Items 4 and 6 are the candidates, the first because of item 3, the second because of item 5."""
    log = synthetic.from_sequences([[3, 5], [1, 2]], num_items=7)
    rerank = Rerank(FollowerModel(Config(), Sizes(2, 7)), SumModel7(), candidates=2)
    explanation = explain(rerank, log, user=1, k=2, order="time")
    assert [one.item for one in explanation.recommended] == [6, 4]
    three, five = explanation.past
    assert (three.item, three.contributions) == (3, [6.0 * 3, None])
    assert (five.item, five.contributions) == (5, [None, 4.0 * 5])
    assert [three.rank_changes[1], five.rank_changes[0]] == [None, None]
    assert explanation.rest == [None, None]


class SumModel7(SumModel):
    """As `SumModel`, of seven items."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes = Sizes(2, 7)

    def score(self, batch: Batch, items: Tensor | None = None) -> Tensor:
        scores = batch.history.sum(1).double()[:, None] * torch.arange(8)
        scores[:, 0] = -torch.inf
        return scores
