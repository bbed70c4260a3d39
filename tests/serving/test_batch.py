"""`recommend_blocks`: the same lists as one by one, for every model, and for block sizes and filters."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from every_model import LOG, NAMES, train

from segue.data import synthetic
from segue.errors import DataError
from segue.models.base.model import Model
from segue.models.registry import MODELS
from segue.serving.batch import recommend_blocks
from segue.serving.item_filter import filter_items
from segue.serving.recommend import recommend
from segue.serving.top_items import TopItemFinder
from segue.testing import subject

SHORT_AND_LONG, OTHERS = [(4, None), (1000, False)], [(1, None), (1, False), (4, False), (1000, None)]
CASES = [  # (model, k, exclude_seen)
    *((name, k, exclude_seen) for name in NAMES for k, exclude_seen in SHORT_AND_LONG),
    *((name, k, exclude_seen) for name in ("item-knn", "gru", "blend") for k, exclude_seen in OTHERS),
]


def rows_one_by_one(model: Model, users: list[Any], **options: Any) -> list[tuple[Any, ...]]:
    return [
        (user, rank, one.item, one.title, one.score, found.fallback is not None)
        for user in users
        for found in [recommend(model, LOG, user=user, **options)]
        for rank, one in enumerate(found, 1)
    ]


@pytest.mark.parametrize(("name", "k", "exclude_seen"), CASES)
def test_lists_are_those_of_one_by_one(
    name: str, k: int, exclude_seen: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TopItemFinder, "block_rows", 7)
    model = train(name)
    users = ["u3", "u29", "nobody", "u0", "u17", *(f"u{n}" for n in range(4, 12))]
    items = filter_items(LOG, deny=["i2"], where={"even": "true"}) if k == 4 else None
    options: dict[str, Any] = {"k": k, "exclude_seen": exclude_seen, "items": items}
    blocks = list(recommend_blocks(model, LOG, users, **options))
    assert [block.num_users for block in blocks] == [7, 6]
    found = pl.concat([block.rows for block in blocks])
    expected = rows_one_by_one(model, users, **options)
    assert found.columns == ["user", "rank", "item", "title", "score", "fallback"]
    for row, wanted in zip(found.iter_rows(), expected, strict=True):
        assert row[:4] == wanted[:4]
        assert row[4] == pytest.approx(wanted[4], abs=1e-5, rel=3e-6)
        assert (row[5] is not None) == wanted[5]
    assert sum(block.num_unknown for block in blocks) == 1
    assert sum(block.num_fallback for block in blocks) == len({row[0] for row in expected if row[5]})


@pytest.mark.parametrize("settings", [{"time": "events"}, {"event_types": True}, {"event_features": True}])
def test_lists_depend_on_what_the_log_knows_of_events(settings: dict[str, Any]) -> None:
    tested = subject(MODELS["sasrec"], **settings)
    model, log = tested.train(), tested.log
    users = log.users.tokens.to_list()
    (block,) = recommend_blocks(model, log, k=3)
    expected = [one.score for user in users for one in recommend(model, log, user=user, k=3)]
    assert block.rows["score"].to_list() == pytest.approx(expected, abs=1e-5, rel=3e-6)
    histories = [log.items.names(log.history(user)) for user in range(1, log.num_users + 1)]
    unknown = [one.score for history in histories for one in recommend(model, log, history=history, k=3)]
    assert unknown != pytest.approx(expected, abs=1e-5)


def test_all_users_in_the_order_of_the_log() -> None:
    (block,) = recommend_blocks(train("item-knn"), LOG, k=2)
    assert block.rows["user"].unique(maintain_order=True).to_list() == LOG.users.tokens.to_list()
    last = block.rows.filter(pl.col("user") == "u29")
    assert last["fallback"].to_list() == ["user u29 has no events"] * 2
    assert block.num_unknown == 0


def test_users_with_nothing_left_are_counted_and_have_no_row() -> None:
    log = synthetic.from_sequences([[1, 2, 3], [1]], num_items=3)
    model = subject(MODELS["pop"]).train(log)
    (block,) = recommend_blocks(model, log)
    assert (block.num_users, block.num_empty) == (2, 1)
    assert block.rows["user"].to_list() == [2, 2]
    assert "title" not in block.rows.columns


@pytest.mark.parametrize(("users", "dtype"), [(["2", 1, "77"], pl.Int64), (["2", "x"], pl.String)])
def test_names_keep_the_type_of_the_log_where_they_can(users: list[Any], dtype: Any) -> None:
    log = synthetic.from_sequences([[1, 2], [1]], num_items=3)
    (block,) = recommend_blocks(subject(MODELS["pop"]).train(log), log, users, k=1)
    assert block.rows["user"].dtype == dtype
    assert [str(user) for user in block.rows["user"]] == [str(user) for user in users]


@pytest.mark.parametrize(
    ("users", "options", "message"),
    [
        (["u1", "nobody"], {"strict": True}, "unknown user 'nobody'"),
        (["u1"], {"k": 0}, "k=0: must be at least 1"),
        ([], {}, "no users are given"),
    ],
)
def test_errors_come_before_the_first_block(users: list[Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        recommend_blocks(train("pop"), LOG, users, **options)


def test_lists_are_short_in_memory_for_a_large_k() -> None:
    log = synthetic.random(50, 30_000, 5, seed=1)
    finder = TopItemFinder(subject(MODELS["pop"]).train(log), log, k=10**12)
    assert finder.k == 30_000
    assert finder.block_rows * finder.k <= 2_000_000
