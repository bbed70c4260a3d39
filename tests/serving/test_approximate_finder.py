"""Approximate search: with all lists the answers are the exact ones; filters hold; the recall is what was promised."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segue.data.log import Log
from segue.data.synthetic import from_sequences
from segue.errors import ConfigError
from segue.models.base.model import Sizes
from segue.models.factorization.bprmf import BPRMF
from segue.serving import approximate_finder
from segue.serving.approximate_finder import ApproximateFinder, make_finder
from segue.serving.index_levels import DEPTHS, MIN_RECALL, Level, measure_levels
from segue.serving.item_index import MIN_ITEMS, Effort, ItemIndex
from segue.serving.query import Query
from segue.serving.score_rules import ScoreRules
from segue.serving.top_items import TopItemFinder, TopItems

USERS, ITEMS, DIM, CENTRES = 60, 2_000, 8, 20


def make(*, whole: bool) -> tuple[BPRMF, Log, np.ndarray]:
    """A model with clusters of items, a log, and the cluster of each item; whole numbers have many equal scores."""
    rng = np.random.default_rng(0)
    model = BPRMF(BPRMF.configure({"embedding_dim": DIM, "item_bias": False}), Sizes(USERS, ITEMS)).eval()
    centres = 3 * rng.standard_normal((CENTRES, DIM))
    cluster = rng.integers(CENTRES, size=ITEMS + 1)
    items = centres[cluster] + 0.5 * rng.standard_normal((ITEMS + 1, DIM))
    users = centres[rng.integers(CENTRES, size=USERS + 1)] + 0.5 * rng.standard_normal((USERS + 1, DIM))
    for table, vectors in ((model.item_embedding, items), (model.user_embedding, users)):
        table.data = torch.from_numpy(vectors.round() if whole else vectors).float()
        table.data[0] = 0
    histories = rng.integers(1, ITEMS + 1, (USERS, 12)).tolist()
    return model, from_sequences(histories, num_items=ITEMS), cluster


def asked(log: Log, user: int, **given) -> Query:
    return replace(Query(user, log.history(user).astype(np.int64)), **given)


def with_levels(finder: ApproximateFinder, *levels: Level) -> ApproximateFinder:
    finder.figures = replace(finder.figures, levels=levels)
    return finder


def no_exact(*args) -> TopItems:
    raise AssertionError("all items were scored")


@pytest.fixture(scope="module")
def whole_numbers() -> tuple[Log, TopItemFinder, ApproximateFinder]:
    """Finders of a model with exact scores; the index is searched as a whole."""
    model, log, _ = make(whole=True)
    indexed = ApproximateFinder(model, log, k=10)
    everything = Effort(indexed.index.num_lists, ITEMS)
    return (
        log,
        TopItemFinder(model, log, k=10),
        with_levels(indexed, *(Level(depth, everything, 1.0, 1.0, 0.0) for depth in DEPTHS)),
    )


@pytest.fixture(scope="module")
def clustered() -> tuple[Log, TopItemFinder, ApproximateFinder, np.ndarray]:
    """Finders of a model with real scores; as little of the index is searched as is good enough."""
    model, log, cluster = make(whole=False)
    exact, indexed = TopItemFinder(model, log, k=10), ApproximateFinder(model, log, k=10)
    vectors = exact.query_vectors([asked(log, user) for user in range(1, USERS + 1)]).numpy()
    ranking = np.argsort(-(vectors @ indexed.index.vectors[1:].T), axis=1)[:, : max(DEPTHS)] + 1
    return log, exact, with_levels(indexed, *measure_levels(indexed.index, vectors, ranking, np.inf)), cluster


@given(query=st.lists(st.integers(-9, 9), min_size=DIM, max_size=DIM).filter(any), k=st.integers(1, 100))
def test_all_lists_give_the_exact_ranking(whole_numbers, query, k):
    index = whole_numbers[2].index
    vector = np.array(query, np.float32)
    scores, ids = index.find(vector, Effort(index.num_lists, ITEMS), k)
    exact = index.vectors[1:] @ vector
    assert ids.tolist() == (np.argsort(-exact, kind="stable")[:k] + 1).tolist()
    assert scores.tolist() == exact[ids - 1].tolist()


@given(data=st.data(), k=st.integers(1, 40), share=st.sampled_from([0.0, 0.5, 0.9, 0.999]), seed=st.integers(0, 99))
def test_answers_of_all_lists_are_the_exact_ones_under_every_filter(whole_numbers, data, k, share, seed):
    log, exact, indexed = whole_numbers
    rng = np.random.default_rng(seed)
    hidden = ScoreRules(torch.from_numpy(rng.random(ITEMS + 1) < share))
    boosted = ScoreRules(None, torch.from_numpy(rng.integers(0, 2, ITEMS + 1).astype(float)))
    queries = [
        asked(
            log,
            data.draw(st.integers(0, USERS)),
            hidden=data.draw(st.sampled_from([None, rng.integers(1, ITEMS + 1, 300)])),
            exclude_seen=data.draw(st.sampled_from([None, False])),
            rules=data.draw(st.sampled_from([None, hidden, boosted])),
        )
        for _ in range(data.draw(st.integers(1, 4)))
    ]
    one, other = exact.find(queries, k), indexed.find(queries, k)
    assert torch.equal(one.items, other.items)
    assert torch.equal(one.scores, other.scores)
    assert one.fallback == other.fallback


@given(user=st.integers(1, USERS), k=st.integers(1, 60), share=st.floats(0, 1), seed=st.integers(0, 99))
def test_what_is_hidden_or_seen_is_never_recommended(clustered, user, k, share, seed):
    log, _, indexed, _ = clustered
    hidden = torch.from_numpy(np.random.default_rng(seed).random(ITEMS + 1) < share)
    query = asked(log, user, rules=ScoreRules(hidden))
    items = indexed.find([query], k).items[0]
    items = items[items > 0]
    assert len(items) == min(
        k, ITEMS - int((hidden[1:] | torch.isin(torch.arange(1, ITEMS + 1), torch.from_numpy(query.items))).sum())
    )
    assert not hidden[items].any()
    assert not set(items.tolist()) & set(query.items.tolist())


def recall(exact: TopItems, found: TopItems) -> float:
    pairs = zip(exact.items.tolist(), found.items.tolist(), strict=True)
    return sum(len(set(one) & set(other)) for one, other in pairs) / exact.items.numel()


def test_less_than_the_index_is_searched_and_the_recall_is_kept(clustered, monkeypatch):
    log, exact, indexed, _ = clustered
    levels = indexed.figures.levels
    assert [one.depth for one in levels] == list(DEPTHS)
    assert all(one.recall >= one.surely >= MIN_RECALL for one in levels)
    assert levels[0].effort.lists < indexed.index.num_lists
    half = ScoreRules(torch.arange(ITEMS + 1) % 2 == 0)
    queries = [asked(log, user, rules=half) for user in range(1, USERS + 1)]
    truth = exact.find(queries)
    monkeypatch.setattr(TopItemFinder, "find_nearest", no_exact)
    found = indexed.find(queries)
    assert recall(truth, found) >= MIN_RECALL
    torch.testing.assert_close(found.scores[:, 0], truth.scores[:, 0], rtol=1e-5, atol=1e-5)


def test_a_filter_far_from_the_user_gives_the_exact_answer(clustered):
    log, exact, indexed, cluster = clustered
    vectors = indexed.index.vectors
    for user in range(1, 9):
        vector = exact.query_vectors([asked(log, user)]).numpy()[0]
        means = [float((vectors[cluster == one] @ vector).mean()) for one in range(CENTRES)]
        far = ScoreRules(torch.from_numpy(cluster != np.argmin(means)))
        query = asked(log, user, rules=far)
        assert torch.equal(exact.find([query]).items, indexed.find([query]).items)


def test_an_index_that_is_no_faster_is_not_used(monkeypatch):
    model, log, _ = make(whole=False)
    monkeypatch.setattr(approximate_finder, "median_milliseconds", lambda ask, rows: 0.0)
    indexed = ApproximateFinder(model, log, k=10)
    assert indexed.figures.levels == ()
    assert "not used" in indexed.figures.sentence()
    queries = [asked(log, user) for user in range(1, USERS + 1)]
    assert torch.equal(TopItemFinder(model, log, k=10).find(queries).items, indexed.find(queries).items)


def test_a_log_without_events_has_nothing_to_measure_on():
    model, _, _ = make(whole=False)
    log = from_sequences([[] for _ in range(USERS)], num_items=ITEMS)
    assert ApproximateFinder(model, log, k=10).figures.levels == ()


def test_small_catalogues_have_no_index():
    log = from_sequences([[1, 2, 3]] * USERS, num_items=MIN_ITEMS - 1)
    model = BPRMF(BPRMF.configure({"embedding_dim": DIM}), Sizes.of(log)).eval()
    assert type(make_finder(model, log, approximate=True)) is TopItemFinder


def test_the_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ConfigError, match=r'pip install "segue\[ann\]"'):
        ItemIndex(np.ones((MIN_ITEMS + 1, DIM), np.float32))
