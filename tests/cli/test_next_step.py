"""The commands that segue prints as the next step: their words give the same options again."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path

import pytest

from segue.cli.app import app
from segue.cli.next_step import option_words
from segue.cli.options.protocol import ProtocolOptions
from segue.cli.options.reading import ReadingOptions
from segue.cli.options.rerank import RerankOptions
from segue.cli.options.training import ModelOptions, RunTrainingOptions
from segue.papers.growing_result import merge

OPTIONS = [
    ProtocolOptions(exclude_seen=False),
    ProtocolOptions(exclude_seen=True, k=[5, 10], protocol="next-basket", gap=30.0, min_history=2),
    ProtocolOptions(protocol="global-time", date="2024-01-31T10:00", leak="drop", valid=0.1, test=-1.0),
    ProtocolOptions(protocol="session", horizon=5),
    ProtocolOptions(request_time="known"),
    ProtocolOptions(cold_items=0.1, cold_seed=2),
    ProtocolOptions(protocol="prequential", update=False, retrain="nightly"),
    ProtocolOptions(protocol="global-time", update=True, retrain="hourly"),
    ProtocolOptions(targets=["buy", "put into cart"]),
    ProtocolOptions(sample_users=10_000, sample_test_users=5_000, sample_seed=3),
    ProtocolOptions(protocol="ratings", date="-5", min_item_history=1, histories="rolling", auc_users=10, auc_seed=3),
    ReadingOptions(user_col="User Id", item_col="-item", time_col="", split_col="", time_format="%d/%m/%Y"),
    ReadingOptions(header=False, delimiter="tab", drop_empty=True, where=["-type=view", "shop=a b"], duplicates="last"),
    ReadingOptions(
        header=True,
        rating_col="",
        min_rating=-1.5,
        user_core=5,
        item_core=3,
        users=Path("of a.csv"),
        items=Path("t.csv"),
    ),
    ReadingOptions(where=["type=view", "type=buy", "shop=a b"]),
    ReadingOptions(verify=True),
    ReadingOptions(items=Path("t.csv"), all_items=True),
    ReadingOptions(session_col="visit", event_features=["device", "city:category"]),
    ReadingOptions(impressions_col="shown"),
    ReadingOptions(event_col="type", events=["view", "put into cart"]),
    ModelOptions(preset="author", set=["lr=0.1", "epochs=3"]),
    RunTrainingOptions(refit=False, final=True, seed=7, monitor="mrr@5", eval_every=2, patience=3),
    RunTrainingOptions(refit=True, seeds=3, minutes=0.5),
    RerankOptions(rerank="seq-knn", rerank_set=["window=3"], candidates=50, model_class=("./a.py:A", "./b.py:B")),
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_words_of_options_give_the_same_options(options):
    words = ["run", "pop", "events.csv", *option_words(options)]
    _, bound, *_ = app.parse_args(words, print_error=False, exit_on_error=False)
    given = [value for value in bound.arguments.values() if type(value) is type(options)]
    assert given == [options]


def test_every_option_is_tried():
    for kind in (ProtocolOptions, ReadingOptions, ModelOptions, RunTrainingOptions):
        of_kind = [one for one in OPTIONS if type(one) is kind]
        never = [
            field.name
            for field in dataclasses.fields(kind)
            if all(getattr(one, field.name) == field.default for one in of_kind)
        ]
        assert not never, kind


def test_the_command_of_a_result_file_names_its_methods():
    """Names with spaces and commas, of a table that grows method by method."""
    names = ["BPR, slow", "GRU + RE", "HGN"]
    new = {"methods": [*names, "POP"], "runs": {key: {} for key in names}, "rows": [], "quick": True}
    words = shlex.split(merge(None, new, "hgn-table3-paper")["command"])
    _, bound, *_ = app.parse_args(words[1:], print_error=False, exit_on_error=False)
    given = {name: bound.arguments[name] for name in ("table", "methods", "quick")}
    assert given == {"table": "hgn-table3-paper", "methods": names, "quick": True}
