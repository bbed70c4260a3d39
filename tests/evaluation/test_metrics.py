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

from segue.batches.batch import Batch
from segue.data.splits import Split
from segue.errors import ConfigError
from segue.evaluation import metrics
from segue.evaluation.metrics import HORIZON_METRICS, METRICS, at_step, coverage, novelty, parse, popularity
from segue.evaluation.ranking import rank
from segue.evaluation.ranks import Ranks
from segue.evaluation.task import measure

from .worlds import FixedScores, full_rank, make_instances, make_log

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
    instances = make_instances(past, targets, golden["topn_scores"].shape[1])
    ks = [int(k) for k in golden["topn_ks"]]
    ranks = rank(
        FixedScores(with_item_zero(golden["topn_scores"])), instances, exclude_seen=True, depth=max(ks), block=block
    )
    evaluated = [bool(t) for t in targets]
    for column, k in enumerate(ks):
        values = measure(ranks, f"{metric}@{k}")
        np.testing.assert_allclose(values, golden[f"topn_{metric}"][evaluated, column], rtol=0, atol=1e-10)
        np.testing.assert_allclose(values.mean(), golden[f"topn_{metric}_mean"][column], rtol=0, atol=1e-10)
    listed = [row[row > 0].tolist() for row in ranks.top]
    expected = [
        row[: max(ks)] for row, ask in zip(items_from_one(golden["topn_ranked"]), evaluated, strict=True) if ask
    ]
    assert listed == expected


def test_golden_next_item(golden: dict[str, np.ndarray[Any, Any]]) -> None:
    scores, target = torch.from_numpy(golden["next_scores"]), torch.from_numpy(golden["next_target"])
    for mode, tie_rule in (("standard", "optimistic"), ("conservative", "conservative"), ("median", "median")):
        full = full_rank(scores, target, tie_rule).numpy()  # type: ignore[arg-type]
        np.testing.assert_allclose(full, golden[f"next_rank_{mode}"], rtol=0, atol=1e-10)
    instances = make_instances([[]] * len(target), [[int(t) + 1] for t in target], scores.shape[1])
    model = FixedScores(with_item_zero(golden["next_scores"]))
    for mode, tie_rule in (("standard", "optimistic"), ("conservative", "conservative")):
        ranks = rank(model, instances, exclude_seen=False, ties=tie_rule, depth=int(golden["next_ks"].max()))  # type: ignore[arg-type]
        for metric in ("recall", "mrr", "ndcg"):
            means = [measure(ranks, f"{metric}@{k}").mean() for k in golden["next_ks"]]
            np.testing.assert_allclose(means, golden[f"next_{metric}_{mode}"], rtol=0, atol=1e-10)


def steps_of(golden: dict[str, np.ndarray[Any, Any]], steps: int, depth: int, block: int | None) -> Ranks:
    """Every step of the golden sequences is an instance; the scores are those of the instances in order."""
    histories = items_from_one(golden["rkn_seqs"])
    log = make_log(histories, golden["rkn_scores"].shape[1])
    split = Split(log, log.start, log.start, "each", horizon=steps)
    scores, start = golden["rkn_scores"], {int(u): int(n) for u, t, n in golden["rkn_steps"] if t == 0}

    class InTurn(FixedScores):
        def score(self, batch: Batch, items: torch.Tensor | None = None) -> torch.Tensor:
            place = [
                start[int(u) - 1] + int((row > 0).sum()) - 1 for u, row in zip(batch.user, batch.history, strict=True)
            ]
            return torch.from_numpy(np.pad(scores[place], ((0, 0), (1, 0)), constant_values=99.0))

    model = InTurn(np.zeros((len(histories) + 1, scores.shape[1] + 1)), window=None)
    return rank(model, split.instances("test"), exclude_seen=False, depth=depth, horizon=steps, block=block)


@pytest.mark.parametrize("block", [1, 5, None])
def test_golden_recall_of_the_next_items(golden: dict[str, np.ndarray[Any, Any]], block: int | None) -> None:
    ranks = steps_of(golden, 20, 4, block)
    for k in (2, 4):
        for n in (1, 3, 5, 20):
            values = measure(ranks, f"recall@{k},{n}")
            np.testing.assert_allclose(values, golden[f"rkn_set_K{k}_N{n}"], rtol=0, atol=1e-10)
            assert values.mean() == pytest.approx(golden[f"rkn_set_K{k}_N{n}_mean"], abs=1e-10)
            listed = measure(ranks, f"recall-list@{k},{n}").mean()
            assert listed == pytest.approx(golden[f"rkn_list_K{k}_N{n}_mean"], abs=1e-10)
        curve = [np.nanmean(at_step(ranks, k, step)) for step in range(1, 5)]
        np.testing.assert_allclose(curve, golden[f"rkn_offset_K{k}"], rtol=0, atol=1e-10)


def test_fewer_steps_equal_a_protocol_with_a_shorter_horizon(golden: dict[str, np.ndarray[Any, Any]]) -> None:
    few, many = steps_of(golden, 3, 4, None), steps_of(golden, 20, 4, None)
    for metric in ("recall@4,3", "recall-list@4,2", "mrr@4,1", "mrr@4,3"):
        assert np.array_equal(measure(few, metric), measure(many, metric))
    one = steps_of(golden, 1, 4, None)
    assert np.array_equal(measure(one, "mrr@4"), measure(many, "mrr@4,1"))
    assert np.array_equal(measure(one, "recall@2"), measure(many, "recall@2,1"))
    with pytest.raises(
        ConfigError, match=r"4 steps ahead: these ranks have a horizon of 3; evaluate again .* horizon=4"
    ):
        measure(few, "recall@4,4")
    with pytest.raises(ConfigError, match="2 steps ahead: these ranks have a horizon of 1"):
        measure(one, "recall@4,2")


@given(st.data())
def test_each_step_is_ranked_like_a_single_target(data: st.DataObject) -> None:
    items, ties = 6, data.draw(st.sampled_from(["conservative", "optimistic"]))
    history = data.draw(st.lists(st.integers(1, items), min_size=2, max_size=9))
    table = data.draw(
        st.lists(st.sampled_from([-np.inf, 0.0, 1.0, 2.0]), min_size=2 * items + 2, max_size=2 * items + 2)
    )
    log, model = make_log([history], items), FixedScores(np.array(table).reshape(2, -1))
    many, one = (Split(log, log.start, log.start, "each", horizon=n).instances("test") for n in (3, 1))
    evaluated: Any = {"exclude_seen": False, "ties": ties, "depth": 4}
    ahead, alone = rank(model, many, **evaluated, horizon=3).next_steps, rank(model, one, **evaluated).rank
    assert ahead is not None
    steps = np.repeat(np.arange(len(alone)), np.diff(ahead.offsets)) + ahead.step_numbers() - 1
    assert np.array_equal(ahead.rank, alone[steps])


def test_the_other_tie_rule_comes_along() -> None:
    rng = np.random.default_rng(4)
    targets = [rng.integers(1, 31, rng.integers(1, 6)).tolist() for _ in range(50)]
    instances, model = make_instances([[]] * 50, targets, 30), FixedScores(rng.integers(0, 5, (51, 31)).astype(float))
    late, early = (
        rank(model, instances, exclude_seen=False, ties=ties, depth=10) for ties in ("conservative", "optimistic")
    )
    assert np.array_equal(late.rank_other_ties, early.rank)  # type: ignore[arg-type]
    assert np.array_equal(early.rank_other_ties, late.rank)  # type: ignore[arg-type]
    assert (early.rank < late.rank).any()


def test_ranks_survive_being_kept(golden: dict[str, np.ndarray[Any, Any]]) -> None:
    for ranks in (steps_of(golden, 3, 4, None), make_ranks([[2, 5], [1]], 7)):
        again = Ranks.from_arrays(ranks.arrays(), depth=ranks.depth, dropped=ranks.dropped)
        for name, array in ranks.arrays().items():
            assert np.array_equal(again.arrays()[name], array)
        assert (again.next_steps is None) == (ranks.next_steps is None)
        assert np.array_equal(again.offsets, ranks.offsets)


def by_hand(metric: str, ranks: list[int], k: int) -> float:
    hits = [r for r in sorted(ranks) if r <= k]
    fit = min(k, len(ranks))
    gain = sum(1 / math.log2(r + 1) for r in hits)
    return {
        "recall": len(hits) / len(ranks),
        "precision": len(hits) / k,
        "hit": float(bool(hits)),
        "mrr": 1 / hits[0] if hits else 0.0,
        "ndcg": gain / sum(1 / math.log2(p + 1) for p in range(1, fit + 1)),
        "ndcg-full": gain / sum(1 / math.log2(p + 1) for p in range(1, k + 1)),
        "map": sum((n + 1) / r for n, r in enumerate(hits)) / fit,
    }[metric]


def make_ranks(instances: list[list[int]], depth: int, top: Any = None) -> Ranks:
    place = [min(r, depth + 1) for case in instances for r in sorted(case)]
    top = np.zeros((len(instances), depth)) if top is None else top
    offsets = np.cumsum([0, *map(len, instances)])
    user = np.arange(1, len(instances) + 1)
    return Ranks(user, np.array(place, np.int64), offsets, np.asarray(top, np.int32), depth, {})


@given(st.lists(st.sets(st.integers(1, 40), min_size=1, max_size=12), min_size=1, max_size=6), st.integers(1, 20))
def test_metrics_agree_with_a_loop_and_stay_in_range(instances: list[set[int]], k: int) -> None:
    ranks = make_ranks([sorted(c) for c in instances], 20)
    for metric in METRICS:
        values = measure(ranks, f"{metric}@{k}")
        assert values.dtype == np.float64
        assert values.shape == (len(instances),)
        np.testing.assert_allclose(values, [by_hand(metric, sorted(c), k) for c in instances], atol=1e-12)
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
        "ndcg-full": (1 / math.log2(3) + 1 / math.log2(6)) / (ideal + 1 / math.log2(5) + 1 / math.log2(6)),
    }
    for metric, value in expected.items():
        assert measure(ranks, f"{metric}@5") == pytest.approx([value], abs=1e-12)


def test_the_names_of_metrics_are_read() -> None:
    assert parse("ndcg@10") == ("ndcg", 10)
    with pytest.raises(ConfigError, match=r"unknown metric 'recal@10', did you mean 'recall'\?; known: recall, prec"):
        parse("recal@10")
    assert parse("recall-list@20,5") == ("recall-list", 20)
    with pytest.raises(
        ConfigError, match=r"unknown metric 'ndcg@20,5'; known: recall, recall-list, mrr, each with @k,n"
    ):
        parse("ndcg@20,5")
    for bad in ("recall@20,", "recall@20,0", "mrr@20,1.5"):
        with pytest.raises(ConfigError, match=r"needs a number of steps of at least 1, such as .*@20,5"):
            parse(bad)
    for bad in (
        "recall",
        "recall@",
        "recall@0",
        "recall@-1",
        "recall@ten",
        "recall@1.5",
        "recall@²",
        "recall@" + "9" * 5000,
    ):
        with pytest.raises(ConfigError, match="needs a cut-off of at least 1, such as recall@10"):
            parse(bad)


def test_a_cut_off_below_the_depth_of_the_ranks_is_refused() -> None:
    ranks = make_ranks([[1]], 20)
    with pytest.raises(ConfigError, match="ndcg@21: k=21, but these ranks have a depth of 20"):
        measure(ranks, "ndcg@21")
    with pytest.raises(ConfigError, match="depth of 20"):
        coverage(ranks, 21, 5)
    with pytest.raises(ConfigError, match="depth of 20"):
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
    assert all(function.__doc__ for function in (*METRICS.values(), *HORIZON_METRICS.values()))
    assert metrics.METRICS is METRICS
