"""Ranks agree with a sort of all items, whatever the ties, the blocks and the kind of model."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.batches.batch import Batch
from segue.data.splits import leave_last_out, whole_users
from segue.errors import ConfigError, DataError, SegueError, TrainingError
from segue.evaluation.ranking import rank
from segue.evaluation.ranks import Ranks
from segue.models.base import score_buffer
from segue.models.base.score_buffer import ScoreBuffer

from .worlds import Dots, FixedScores, full_rank, make_instances, make_log, naive


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, Any]:
    """Some users with a past and targets, scores with many ties, and settings."""
    items, users = draw(st.integers(1, 12)), draw(st.integers(1, 5))
    some = st.lists(st.integers(1, items), max_size=5)
    score = st.sampled_from([-np.inf, -1.5, 0.0, 0.0, 1.0, 2.0])
    return {
        "items": items,
        "past": [draw(some) for _ in range(users)],
        "targets": [draw(some) for _ in range(users)],
        "scores": np.array(
            draw(st.lists(score, min_size=(users + 1) * (items + 1), max_size=(users + 1) * (items + 1)))
        ),
        "exclude_seen": draw(st.booleans()),
        "ties": draw(st.sampled_from(["conservative", "optimistic"])),
        "depth": draw(st.integers(1, items + 3)),
        "block": draw(st.sampled_from([None, 1, 2, 3])),
    }


def expect(world: dict[str, Any]) -> dict[int, tuple[list[int], list[int]]]:
    scores = world["scores"].reshape(-1, world["items"] + 1)
    settings = {key: world[key] for key in ("exclude_seen", "ties", "depth")}
    answers = {
        u + 1: naive(scores[u + 1], past, targets, **settings)
        for u, (past, targets) in enumerate(zip(world["past"], world["targets"], strict=True))
    }
    return {user: answer for user, answer in answers.items() if answer[0]}


def check(ranks: Ranks, expected: dict[int, tuple[list[int], list[int]]]) -> None:
    assert ranks.user.tolist() == list(expected)
    for case, (place, top) in enumerate(expected.values()):
        assert ranks.rank[ranks.offsets[case] : ranks.offsets[case + 1]].tolist() == place
        assert ranks.top[case].tolist() == top


@settings(max_examples=400)
@given(worlds())
def test_a_naive_sort_agrees(world: dict[str, Any]) -> None:
    instances = make_instances(world["past"], world["targets"], world["items"])
    model = FixedScores(world["scores"].reshape(-1, world["items"] + 1))
    keys = ("exclude_seen", "ties", "depth", "block")
    expected = expect(world)
    if not expected:
        with pytest.raises(DataError, match="no evaluation instance is left"):
            rank(model, instances, **{key: world[key] for key in keys})
        return
    ranks = rank(model, instances, **{key: world[key] for key in keys})
    check(ranks, expected)
    repeated = sum(len(t) - len(set(t)) for t in world["targets"])
    seen = sum(len(set(t) & set(p)) for p, t in zip(world["past"], world["targets"], strict=True))
    seen *= world["exclude_seen"]
    assert ranks.dropped.get("repeated targets", 0) == repeated
    assert ranks.dropped.get("targets seen before", 0) == seen
    assert ranks.dropped.get("instances left without a target", 0) == sum(map(bool, world["targets"])) - len(expected)
    assert len(ranks.rank) + repeated + seen == sum(map(len, world["targets"]))


@pytest.mark.parametrize("ties", ["conservative", "optimistic"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64])
def test_a_wide_catalogue_with_ties_agrees_with_a_naive_sort(ties: str, dtype: torch.dtype) -> None:
    rng = np.random.default_rng(3)
    items, users, depth = 3000, 40, 5
    past = [rng.integers(1, items + 1, rng.integers(0, 60)).tolist() for _ in range(users)]
    targets = [rng.integers(1, items + 1, rng.integers(1, 40)).tolist() for _ in range(users)]
    scores = torch.from_numpy(rng.integers(0, 60, (users + 1, items + 1))).to(dtype)
    scores[1:4] = 7  # saturated: every score equal
    for user, wanted in enumerate(targets[10:20], 11):
        scores[user, wanted] = 60
    model = FixedScores(scores)
    ranks = rank(model, make_instances(past, targets, items), exclude_seen=True, ties=ties, depth=depth, block=7)
    plain = scores.double().numpy()
    check(
        ranks,
        {
            u + 1: naive(plain[u + 1], past[u], targets[u], exclude_seen=True, ties=ties, depth=depth)
            for u in range(users)
        },
    )
    assert (ranks.rank <= depth).sum() > 20


def test_targets_among_themselves_take_consecutive_ranks_behind_equals() -> None:
    instances = make_instances([[3]], [[5, 6]], 7)
    model = FixedScores([[0.0] * 8, [9, 0.9, 0.4, 1.0, 0.7, 0.7, 0.1, 0.2]])
    ranks = rank(model, instances, exclude_seen=True)
    assert ranks.rank.tolist() == [3, 6]
    assert ranks.top[0].tolist() == [1, 4, 5, 2, 7, 6, 0]
    assert rank(model, instances, exclude_seen=True, ties="optimistic").rank.tolist() == [2, 6]
    assert rank(model, instances, exclude_seen=True, depth=2).rank.tolist() == [3, 3]
    assert rank(
        FixedScores([[0.0] * 8] * 2), make_instances([[1]], [[2, 3, 4, 5, 6, 7]], 7), exclude_seen=True
    ).rank.tolist() == [*range(1, 7)]


def test_a_depth_beyond_the_catalogue() -> None:
    ranks = rank(
        FixedScores(torch.arange(6.0).repeat(2, 1)), make_instances([[5]], [[1, 4]], 5), exclude_seen=True, depth=100
    )
    assert ranks.rank.tolist() == [1, 4]
    assert ranks.top.tolist() == [[4, 3, 2, 1, 0]]  # as many columns as items


def test_a_listed_target_without_ties_stands_at_its_rank() -> None:
    rng = np.random.default_rng(0)
    targets = [rng.choice(np.arange(1, 31), 6, replace=False).tolist() for _ in range(20)]
    instances = make_instances([[]] * 20, targets, 30)
    ranks = rank(FixedScores(rng.integers(0, 60, (21, 31)).astype(float)), instances, exclude_seen=False, depth=10)
    case = np.repeat(np.arange(20), ranks.num_targets)
    inside = (ranks.rank <= 10) & (ranks.rank == ranks.rank_other_ties)  # those that tie with no other item
    listed = ranks.top[case[inside], ranks.rank[inside] - 1]
    assert inside.sum() > 20
    assert all(item in targets[c] for c, item in zip(case[inside], listed, strict=True))
    assert all(len(set(row)) == 10 for row in ranks.top.tolist())


def test_what_was_seen_beyond_the_window_is_left_out_too() -> None:
    log = make_log([[1, 2, 3, 4, 5]], 6)
    instances = leave_last_out(log).instances("test")
    model = Dots(torch.ones(2, 3), torch.arange(7.0).flip(0)[:, None].expand(7, 3).contiguous())
    assert rank(model, instances, exclude_seen=True, depth=3).top.tolist() == [[5, 6, 0]]
    assert rank(model, instances, exclude_seen=False, depth=3).top.tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("exclude_seen", [False, True])
def test_every_step_of_a_session_with_repeats(exclude_seen: bool) -> None:
    sessions = [[1, 2, 1, 1, 3], [3, 3, 2], [2]]
    instances = whole_users(make_log(sessions, 3), valid=0, test=0.99).instances("test")
    scores = np.tile([0, 0.3, 0.2, 0.1], (4, 1))
    expected = [
        (user, *naive(scores[user], session[:n], [session[n]], exclude_seen=exclude_seen, ties="conservative", depth=3))
        for user, session in enumerate(sessions, 1)
        for n in range(1, len(session))
        if not (exclude_seen and session[n] in session[:n])
    ]
    ranks = rank(FixedScores(scores), instances, exclude_seen=exclude_seen, depth=3)
    assert len(expected) == (3 if exclude_seen else 6)
    got = zip(ranks.user.tolist(), ranks.rank[:, None].tolist(), ranks.top.tolist(), strict=True)
    assert list(got) == expected


def test_item_vectors_of_a_dot_product_model_are_computed_once() -> None:
    g = torch.Generator().manual_seed(1)
    users, items = torch.randn(31, 4, generator=g), torch.randn(501, 4, generator=g)
    instances = make_instances([[1, 2]] * 30, [[5, 9, 400]] * 30, 500)
    model = Dots(users, items)
    ranks = rank(model, instances, exclude_seen=True, block=4)
    assert model.evaluated == 1
    fixed = rank(FixedScores(users @ items.T), instances, exclude_seen=True)
    assert np.array_equal(ranks.rank, fixed.rank)
    assert np.array_equal(ranks.top, fixed.top)


def test_queries_of_small_blocks_are_computed_at_once() -> None:
    class Counted(Dots):
        rows: ClassVar[list[int]] = []

        def query(self, batch: Batch) -> torch.Tensor:
            self.rows.append(len(batch))
            return super().query(batch)

    g = torch.Generator().manual_seed(1)
    model = Counted(torch.randn(1101, 4, generator=g), torch.randn(501, 4, generator=g))
    instances, done = make_instances([[1, 2]] * 1100, [[5, 9, 400]] * 1100, 500), []
    ranks = rank(model, instances, exclude_seen=True, block=100, after=lambda part: done.append(len(part)))
    assert model.rows == [1000, 100]
    assert done == [100] * 11
    assert np.array_equal(ranks.rank, rank(model, instances, exclude_seen=True, block=1100).rank)
    assert model.rows == [1000, 100, 1100]


def test_an_overridden_score_of_a_dot_product_model_is_used() -> None:
    class Upside(Dots):
        def score(self, batch: Batch, items: torch.Tensor | None = None) -> torch.Tensor:
            return -super().score(batch, items)

    users, items = torch.ones(2, 1), torch.arange(6.0)[:, None]
    instances = make_instances([[1]], [[2]], 5)
    assert rank(Dots(users, items), instances, exclude_seen=True).rank.tolist() == [4]
    assert rank(Upside(users, items), instances, exclude_seen=True).rank.tolist() == [1]


def test_the_scores_that_a_model_keeps_are_not_touched_and_its_mode_is_restored() -> None:
    class Shared(FixedScores):
        def score(self, batch: Batch, items: torch.Tensor | None = None) -> torch.Tensor:
            return self.table[1:2].expand(len(batch), -1)

    table = torch.arange(8.0).repeat(3, 1)
    model = Shared(table)
    model.inner = torch.nn.Dropout()
    model.train()
    model.inner.eval()
    rank(model, make_instances([[1], [2]], [[2], [3]], 7), exclude_seen=True)
    assert torch.equal(model.table, torch.arange(8.0).repeat(3, 1))
    assert model.training
    assert not model.inner.training


def test_the_mode_is_restored_after_an_error_too() -> None:
    model = FixedScores([[0.0, 0.0], [0.0, float("nan")]]).train()
    with pytest.raises(TrainingError, match="FixedScores scores NaN"):
        rank(model, make_instances([[]], [[1]], 1), exclude_seen=True)
    assert model.training


@pytest.mark.parametrize("item", [1, 70, 3000])
def test_nan_is_found_wherever_it_is(item: int) -> None:
    scores = torch.randn(2, 3001, generator=torch.Generator().manual_seed(0))
    scores[1, item] = torch.nan
    with pytest.raises(TrainingError, match="FixedScores scores NaN: its training went wrong"):
        rank(FixedScores(scores), make_instances([[5]], [[6]], 3000), exclude_seen=True)


def test_scores_of_the_wrong_width_are_refused() -> None:
    with pytest.raises(SegueError, match=r"FixedScores returned scores of shape \(1, 5\).*a log of 9 items.*\(1, 10\)"):
        rank(FixedScores(torch.zeros(2, 5)), make_instances([[1]], [[2]], 9), exclude_seen=True)
    with pytest.raises(SegueError, match=r"Dots returned scores of shape \(1, 5\)"):
        rank(Dots(torch.zeros(2, 3), torch.zeros(5, 3)), make_instances([[1]], [[2]], 9), exclude_seen=True)


def test_no_instances_gives_an_error_with_the_reasons() -> None:
    instances = make_instances([[1, 2]], [[2, 1]], 3)
    with pytest.raises(
        DataError, match=r"no evaluation instance is left .*2 targets seen before; 1 instances left without"
    ):
        rank(FixedScores(torch.zeros(2, 4)), instances, exclude_seen=True)


def test_settings_out_of_range_are_refused() -> None:
    instances, model = make_instances([[1]], [[2]], 3), FixedScores(torch.zeros(2, 4))
    with pytest.raises(ConfigError, match="depth=0: must be at least 1"):
        rank(model, instances, exclude_seen=True, depth=0)
    with pytest.raises(ConfigError, match="block=0"):
        rank(model, instances, exclude_seen=True, block=0)


def test_every_block_is_reported_and_histories_have_the_models_width() -> None:
    widths, done = [], []

    class Wide(FixedScores):
        def score(self, batch: Batch, items: torch.Tensor | None = None) -> torch.Tensor:
            widths.append(batch.history.shape)
            return super().score(batch, items)

    instances = make_instances([[1, 2], [1], [1, 2, 3]], [[4], [4], [4]], 5)
    for window in (0, 2, None):
        rank(
            Wide(torch.zeros(4, 6), window),
            instances,
            exclude_seen=True,
            block=2,
            after=lambda part: done.append(len(part)),
        )
    assert done == [2, 1] * 3
    assert widths == [(2, 0), (1, 0), (2, 2), (1, 2), (2, 2), (1, 3)]


@pytest.mark.parametrize("ties", ["conservative", "optimistic"])
def test_full_ranks_of_one_target_agree_with_those_of_rank(ties: str) -> None:
    rng = np.random.default_rng(5)
    scores = torch.from_numpy(rng.integers(0, 4, (31, 21)).astype(float))
    target = rng.integers(1, 21, 30)
    instances = make_instances([[]] * 30, [[int(t)] for t in target], 20)
    full = full_rank(scores[1:, 1:], torch.from_numpy(target) - 1, ties)  # type: ignore[arg-type]
    assert np.array_equal(rank(FixedScores(scores), instances, exclude_seen=False, ties=ties).rank, full.numpy())  # type: ignore[arg-type]


@pytest.mark.parametrize(("many", "is_copied"), [(4, False), (3, True)])
def test_item_vectors_are_copied_for_many_instances_only(
    many: int, is_copied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_buffer, "MANY_ROWS", many)
    model = Dots(torch.randn(4, 5), torch.randn(7, 5))
    instances = make_instances([[1], [2], [3]], [[4], [5], [6]], items=6)
    with torch.inference_mode():
        buffer = ScoreBuffer(model, 7)
        scores = torch.cat([block[:, 1:7].clone() for _, block in buffer.blocks(instances, 2)])
        assert (buffer.transposed is not None) == is_copied
        torch.testing.assert_close(scores, (model.users[1:] @ model.items.T)[:, 1:])
