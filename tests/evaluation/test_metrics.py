"""Metrics agree with numbers computed elsewhere, with a loop over each user's list, and with each other."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segue.errors import ConfigError
from segue.evaluation import metrics
from segue.evaluation.metrics import METRICS, coverage, measure, novelty, parse, popularity
from segue.evaluation.ranking import next_rank, rank
from segue.evaluation.ranks import Ranks

from .worlds import Told, make_cases

GOLDEN = Path(os.environ.get("SEGUE_GOLDEN", Path(__file__).parents[1] / "golden"))


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray[Any, Any]]:
    with np.load(GOLDEN / "metrics.npz") as stored:
        return dict(stored)


def items_from_one(padded: np.ndarray[Any, Any]) -> list[list[int]]:
    """Rows of a ragged table of items 0.. (-1 is padding) as lists of items 1.."""
    return [[int(i) + 1 for i in row if i >= 0] for row in padded]


def with_item_zero(scores: np.ndarray[Any, Any]) -> torch.Tensor:
    """Scores of users 1.. and items 1.., with a row for nobody and a column for nothing that would win everything."""
    return torch.from_numpy(np.pad(scores, ((1, 0), (1, 0)), constant_values=scores.max() + 1))


@pytest.mark.parametrize("metric", ["recall", "precision", "ndcg", "map", "hit", "mrr"])
@pytest.mark.parametrize("block", [1, 4, None])
def test_golden_top_n(golden: dict[str, np.ndarray[Any, Any]], metric: str, block: int | None) -> None:
    past, targets = items_from_one(golden["topn_train"]), items_from_one(golden["topn_rel"])
    cases = make_cases(past, targets, golden["topn_scores"].shape[1])
    ks = [int(k) for k in golden["topn_ks"]]
    ranks = rank(Told(with_item_zero(golden["topn_scores"])), cases, exclude_seen=True, depth=max(ks), block=block)
    asked = [bool(t) for t in targets]
    for column, k in enumerate(ks):
        values = measure(ranks, f"{metric}@{k}")
        np.testing.assert_allclose(values, golden[f"topn_{metric}"][asked, column], rtol=0, atol=1e-10)
        np.testing.assert_allclose(values.mean(), golden[f"topn_{metric}_mean"][column], rtol=0, atol=1e-10)
    listed = [row[row > 0].tolist() for row in ranks.top]
    expected = [row[: max(ks)] for row, ask in zip(items_from_one(golden["topn_ranked"]), asked, strict=True) if ask]
    assert listed == expected


def test_golden_next_item(golden: dict[str, np.ndarray[Any, Any]]) -> None:
    scores, target = torch.from_numpy(golden["next_scores"]), torch.from_numpy(golden["next_target"])
    for mode, ours in (("standard", "optimistic"), ("conservative", "conservative"), ("median", "median")):
        full = next_rank(scores, target, ours).numpy()  # type: ignore[arg-type]
        np.testing.assert_allclose(full, golden[f"next_rank_{mode}"], rtol=0, atol=1e-10)
    cases = make_cases([[]] * len(target), [[int(t) + 1] for t in target], scores.shape[1])
    model = Told(with_item_zero(golden["next_scores"]))
    for mode, ours in (("standard", "optimistic"), ("conservative", "conservative")):
        ranks = rank(model, cases, exclude_seen=False, ties=ours, depth=int(golden["next_ks"].max()))  # type: ignore[arg-type]
        for metric in ("recall", "mrr", "ndcg"):
            means = [measure(ranks, f"{metric}@{k}").mean() for k in golden["next_ks"]]
            np.testing.assert_allclose(means, golden[f"next_{metric}_{mode}"], rtol=0, atol=1e-10)


def by_hand(metric: str, ranks: list[int], k: int) -> float:
    hits = [r for r in sorted(ranks) if r <= k]
    fit = min(k, len(ranks))
    return {
        "recall": len(hits) / len(ranks),
        "precision": len(hits) / k,
        "hit": float(bool(hits)),
        "mrr": 1 / hits[0] if hits else 0.0,
        "ndcg": sum(1 / math.log2(r + 1) for r in hits) / sum(1 / math.log2(p + 1) for p in range(1, fit + 1)),
        "map": sum((n + 1) / r for n, r in enumerate(hits)) / fit,
    }[metric]


def make_ranks(cases: list[list[int]], depth: int, top: Any = None) -> Ranks:
    place = [min(r, depth + 1) for case in cases for r in sorted(case)]
    top = np.zeros((len(cases), depth)) if top is None else top
    offsets = np.cumsum([0, *map(len, cases)])
    user = np.arange(1, len(cases) + 1)
    return Ranks(user, np.array(place, np.int64), offsets, np.asarray(top, np.int32), depth, {})


@given(st.lists(st.sets(st.integers(1, 40), min_size=1, max_size=12), min_size=1, max_size=6), st.integers(1, 20))
def test_metrics_agree_with_a_loop_and_stay_in_range(cases: list[set[int]], k: int) -> None:
    ranks = make_ranks([sorted(c) for c in cases], 20)
    for metric in METRICS:
        values = measure(ranks, f"{metric}@{k}")
        assert values.dtype == np.float64
        assert values.shape == (len(cases),)
        np.testing.assert_allclose(values, [by_hand(metric, sorted(c), k) for c in cases], atol=1e-12)
        assert ((values >= 0) & (values <= 1 + 1e-12)).all()


@given(st.lists(st.integers(1, 30), min_size=1, max_size=9), st.integers(1, 20))
def test_with_one_target_recall_is_hit_and_map_is_mrr(places: list[int], k: int) -> None:
    ranks = make_ranks([[r] for r in places], 20)
    assert np.array_equal(measure(ranks, f"recall@{k}"), measure(ranks, f"hit@{k}"))
    assert np.array_equal(measure(ranks, f"map@{k}"), measure(ranks, f"mrr@{k}"))


def test_the_picture_in_the_docstring() -> None:
    ranks = make_ranks([[2, 5, 30]], 20)
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    expected = {
        "recall": 2 / 3,
        "precision": 2 / 5,
        "hit": 1,
        "mrr": 1 / 2,
        "map": (1 / 2 + 2 / 5) / 3,
        "ndcg": (1 / math.log2(3) + 1 / math.log2(6)) / ideal,
    }
    for metric, value in expected.items():
        assert measure(ranks, f"{metric}@5") == pytest.approx([value], abs=1e-12)


def test_the_names_of_metrics_are_read() -> None:
    assert parse("ndcg@10") == ("ndcg", 10)
    with pytest.raises(ConfigError, match=r"unknown metric 'recal@10', did you mean 'recall'\?; known: recall, prec"):
        parse("recal@10")
    for bad in ("recall", "recall@", "recall@0", "recall@-1", "recall@ten", "recall@1.5"):
        with pytest.raises(ConfigError, match="needs a cut-off of at least 1, such as recall@10"):
            parse(bad)


def test_a_cut_off_below_the_depth_of_the_ranks_is_refused() -> None:
    ranks = make_ranks([[1]], 20)
    with pytest.raises(ConfigError, match="ndcg@21: k=21, but these ranks were taken to depth 20"):
        measure(ranks, "ndcg@21")
    with pytest.raises(ConfigError, match="depth 20"):
        coverage(ranks, 21, 5)
    with pytest.raises(ConfigError, match="depth 20"):
        popularity(ranks, np.array([0, 1]), 21)


def test_beyond_accuracy() -> None:
    ranks = make_ranks([[1], [1], [1]], 3, [[1, 2, 3], [2, 1, 0], [0, 0, 0]])
    counts = np.array([0, 6, 1, 1, 0])
    assert coverage(ranks, 1, 4) == 2 / 4
    assert coverage(ranks, 3, 4) == 3 / 4
    percentile = {1: 7 / 8, 2: 4 / 8, 3: 4 / 8}
    expected = [(percentile[1] + percentile[2] + percentile[3]) / 3, (percentile[1] + percentile[2]) / 2, np.nan]
    np.testing.assert_allclose(popularity(ranks, counts, 3), expected)
    bits = {1: -math.log2(7 / 12), 2: -math.log2(2 / 12)}
    np.testing.assert_allclose(novelty(ranks, counts, 1), [bits[1], bits[2], np.nan])


def test_recommending_popular_things_is_popular_and_not_novel() -> None:
    counts = np.array([0, *range(1, 101)])
    safe, bold = make_ranks([[1]], 5, [[100, 99, 98, 97, 96]]), make_ranks([[1]], 5, [[1, 2, 3, 4, 5]])
    assert popularity(safe, counts, 5) > 0.9
    assert popularity(bold, counts, 5) < 0.1
    assert novelty(safe, counts, 5) < novelty(bold, counts, 5)


def test_every_metric_has_its_documentation() -> None:
    assert all(function.__doc__ for function in METRICS.values())
    assert metrics.METRICS is METRICS
