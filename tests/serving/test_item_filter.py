"""`filter_items`: lists of allowed and denied items, and conditions on every type of column."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import polars as pl
import pytest

from segue.data import synthetic
from segue.data.log import Log, Vocab
from segue.errors import DataError
from segue.models.popularity.pop import Pop
from segue.serving.item_filter import filter_items
from segue.serving.recommend import recommend
from segue.testing import subject


def shop_log() -> Log:
    log = synthetic.from_sequences([[1, 2, 3], [2, 3, 4, 5]], num_items=5, name="shop")
    table = pl.DataFrame(
        {
            "brand": ["Acme", "acme", None, "Bolt, Inc", "Acme"],
            "year": [1999, 2000, 2000, None, 2001],
            "price": [1.5, 2.0, 2.0, 3.25, None],
            "new": [True, False, None, True, False],
            "since": [date(2020, 1, 1), date(2020, 1, 2), None, None, date(2020, 1, 1)],
            "tags": [["a", "b"], ["b"], [], None, ["a b"]],
            "codes": [[1, 2], [2], [], None, [12]],
        }
    )
    return replace(log, items=Vocab(pl.Series(["p", "q", "r", "s", "t"])), item_metadata=table)


SHOP = shop_log()


def names(**arguments: Any) -> str:
    found = filter_items(SHOP, **arguments)
    assert not found.mask[0]
    return "".join(SHOP.items.names(found.mask.nonzero()[0]))


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ({}, "pqrst"),
        ({"allow": ["q", "t"]}, "qt"),
        ({"deny": ["q", "t"]}, "prs"),
        ({"allow": ["q", "t"], "deny": ["t"]}, "q"),
        ({"where": {"brand": "Acme"}}, "pt"),
        ({"where": {"brand": "Bolt, Inc"}}, "s"),
        ({"where": {"year": "2000"}}, "qr"),
        ({"where": {"year": 2000}}, "qr"),
        ({"where": {"price": "2"}}, "qr"),
        ({"where": {"new": "true"}}, "ps"),
        ({"where": {"new": "False"}}, "qt"),
        ({"where": {"new": True}}, "ps"),
        ({"where": {"since": "2020-01-01"}}, "pt"),
        ({"where": {"tags": "b"}}, "pq"),
        ({"where": {"codes": "2"}}, "pq"),
        ({"where": {"tags": ["a", "a b"]}}, "pt"),
        ({"where": {"year": ["1999", 2001], "brand": "Acme"}}, "pt"),
        ({"where": {"price": ["1.5", "3.25"]}}, "ps"),
        ({"where": {"since": date(2020, 1, 2)}}, "q"),
        ({"where": {"brand": "Acme", "year": "2001"}}, "t"),
        ({"where": {"brand": "Acme"}, "deny": ["p"]}, "t"),
    ],
)
def test_the_items_that_may_be_recommended(arguments: dict[str, Any], wanted: str) -> None:
    assert names(**arguments) == wanted


def test_unknown_names_are_reported_once() -> None:
    found = filter_items(SHOP, allow=["p", "x", "x"], deny=["y", "q"])
    assert (found.unknown, len(found)) == (("x", "y"), 1)


def test_only_allowed_items_are_recommended() -> None:
    model = subject(Pop).train(SHOP)
    found = recommend(model, SHOP, history=["q"], items=filter_items(SHOP, deny=["r"]))
    assert [one.item for one in found] == ["p", "s", "t"]
    none_left = recommend(model, SHOP, history=["p", "q"], items=filter_items(SHOP, allow=["p", "q"]))
    assert (list(none_left), none_left.why_empty()) == ([], "every item that is allowed was seen")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"where": {"brnd": "x"}}, r"the items of shop: no column 'brnd' to select by, did you mean 'brand'\?"),
        ({"where": {"brand": "ACME"}}, r"column 'brand' never has the value 'ACME', did you mean '.cme'"),
        ({"where": {"year": "two"}}, "column 'year' never has the value 'two'; it has '1999', '2000', '2001'"),
        ({"where": {"new": "yes"}}, "column 'new' never has the value 'yes'"),
        ({"where": {"tags": "z"}}, "column 'tags' never has the value 'z'"),
        ({"where": {"brand": "Acme", "year": "2000"}}, "shop: no item is left to recommend: none of its 5 items"),
        ({"allow": ["x"]}, "no item is left to recommend"),
        ({"deny": list("pqrst")}, "no item is left to recommend"),
        ({"deny": ["x"], "strict": True}, "unknown item 'x'"),
        ({"allow": ["p", "x"], "strict": True}, "unknown item 'x'"),
    ],
)
def test_invalid_filters(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        filter_items(SHOP, **arguments)


def test_a_log_without_metadata() -> None:
    with pytest.raises(DataError, match=r"the items of shop: no column 'brand' to select by"):
        filter_items(replace(SHOP, item_metadata=None), where={"brand": "x"})
