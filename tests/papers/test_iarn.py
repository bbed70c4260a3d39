"""IARN's table and figures on a small log: every method has a row, errors are measured by history length."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from types import ModuleType

import numpy as np
import polars as pl
import pytest

from segue.data import synthetic
from segue.data.datasets import catalog
from segue.evaluation.rating_predictions import RatingPredictions
from segue.evaluation.rating_protocol import RatingProtocol
from segue.evaluation.significance import holm
from segue.evaluation.task import measure
from segue.models.registry import find
from segue.papers.iarn import common as iarn_paper
from segue.papers.iarn import figure3 as iarn_figure3
from segue.papers.iarn import figure3_paper as iarn_figure3_paper
from segue.papers.iarn import figure4 as iarn_figure4
from segue.papers.iarn import figure4_paper as iarn_figure4_paper
from segue.papers.iarn import figure5 as iarn_figure5
from segue.papers.iarn import table2 as iarn_table2
from segue.papers.iarn.common import LogSetup, PrintedLog
from segue.papers.iarn.printed import BACKBONES, FULL, PLAIN
from segue.papers.printed import AS_PRINTED, OneOf
from segue.papers.reproduction import Reproduction
from segue.papers.run_cache import RunCache

WORDS = pl.DataFrame({"word": [["odd"] if item % 2 else ["even", "few"] for item in range(1, 13)]})
WALKS = synthetic.with_ratings(synthetic.markov(60, 12, 12, seed=3, shortest=6))
STEP = np.concatenate(
    [np.arange(size) for size in WALKS.lengths]
)  # all users start together, so the last tenth has events of most users
LOG = replace(WALKS, time=STEP, item_metadata=WORDS)
SETUP = LogSetup(
    log="small",
    title="Small",
    protocol=RatingProtocol(name="ratings", by="global-time"),
    features={"feature_column": "word", "max_features_per_item": 2},
    iarn_settings={"embedding_dim": 3, "hidden_dim": 4, "context_dim": 2},
    printed=PrintedLog(
        sizes={"users": 60, "items": 12, "ratings": len(LOG), "features": 4}, dim=3, encoder="flat", longest_history=12
    ),
    seeds=(0, 1),
)
PAPERS_LOG = replace(SETUP, title="The paper's", is_papers_log=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[ModuleType, Reproduction]:
    runs = RunCache(tmp_path_factory.mktemp("runs"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "load_log", lambda name: {"small": LOG}[name])
        for module, name in (
            (iarn_table2, "LOG_SETUPS"),
            (iarn_figure3, "MOVIELENS_SETUPS"),
            (iarn_figure4, "LOG_SETUPS"),
        ):
            patch.setattr(module, name, (PAPERS_LOG, SETUP))
        patch.setattr(iarn_figure3, "MIN_RATINGS", 5)
        patch.setattr(iarn_figure5, "ML_1M", SETUP)
        patch.setattr(iarn_figure5, "USER", LOG.users.names([3])[0])
        patch.setattr(iarn_figure5, "ITEM", LOG.items.names([int(LOG.history(3)[-1])])[0])
        return {
            module: module.reproduce(runs=runs, quick=True)
            for module in (iarn_table2, iarn_figure3, iarn_figure4, iarn_figure5)
        }


def test_every_method_has_a_row(made: dict[ModuleType, Reproduction]) -> None:
    table = made[iarn_table2]
    for method in iarn_table2.METHODS:
        published = iarn_table2.CLOTHING_FIGURES.get(method.name, (None, None))
        row = table.row(method.name, "auc", "The paper's")
        assert 0 <= row.mean <= 1
        assert (row.published, row.other_logs) == (published[1], {})
        assert set(table.row(method.name, "auc", "Small").other_logs.values()) == {
            figure for figure in iarn_table2.MOVIELENS_FIGURES.get(method.name, ()) if figure
        }
    rated = [row.method for row in table.rows if row.metric == "rmse" and row.part == "Small"]
    raters = ("Global mean", "User mean", "Item mean", "Biases", "MF", "TimeSVD++", "HieVH", "IARN", "IARN-Plain")
    assert tuple(rated) == raters
    assert table.notes[0].startswith("QUICK: ")


def test_paired_differences_are_differences_of_errors(made: dict[ModuleType, Reproduction]) -> None:
    table = made[iarn_table2]
    for test in table.details["tests"]:
        iarn, other = (table.row(test[name], test["metric"], test["part"]).mean for name in ("of", "against"))
        power = 2 if test["metric"] == "rmse" else 1
        assert test["difference"] == pytest.approx(iarn**power - other**power)
        assert test["low"] <= test["difference"] <= test["high"]


def test_p_values_are_corrected_for_all_tests_of_a_table(made: dict[ModuleType, Reproduction]) -> None:
    for module in (iarn_table2, iarn_figure3, iarn_figure4):
        tests = made[module].details["tests"]
        assert [test["p_holm"] for test in tests] == holm([test["p"] for test in tests])
        sentences = [note for note in made[module].notes if "of the difference" in note]
        for test, sentence in zip(tests, sentences, strict=True):
            assert sentence.startswith(f"{test['part']}: the ")
            assert f"p = {test['p_holm']:.2g} after correction" in sentence
            assert ("no difference is shown" in sentence) == (test["p_holm"] >= 0.05)


def test_the_notes_name_the_size_of_the_log_and_the_number_of_ranked_users(
    made: dict[ModuleType, Reproduction],
) -> None:
    notes = made[iarn_table2].notes
    assert f"Small: 60 users, 12 items, {len(LOG):,} ratings, 3 features (paper 4): not the paper's numbers." in notes
    split = SETUP.protocol.split(LOG)
    past, instances = split.train_valid, SETUP.protocol.instances(split, "test")
    count = 0
    for user in set(instances.user.tolist()):
        unseen = set(np.flatnonzero(past.counts() >= 3)) - set(past.history(user))
        wanted = set(LOG.history(user)[past.lengths[user] :]) & unseen
        count += bool(wanted) and bool(unseen - wanted)
    assert any(note.startswith("Small: ") and note.endswith(f"The AUC here is of {count} users.") for note in notes)


def test_figure_3_as_the_paper_says_is_of_the_backbones_by_length(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "load_log", lambda name: {"small": LOG}[name])
    monkeypatch.setattr(iarn_figure3, "MIN_RATINGS", 5)
    table = replace(
        iarn_figure3_paper.TABLE,
        log="small",
        protocol=SETUP.protocol,
        methods=iarn_figure3_paper.methods_as_printed(SETUP),
        more_rows=partial(iarn_figure3.length_rows, setup=SETUP),
        draw=partial(iarn_figure3.pictures, setup=SETUP),
    )
    found = table.reproduce(runs=RunCache(tmp_path_factory.mktemp("runs")), quick=True)
    (picture,) = found.pictures
    assert (picture.name, picture.encoding["title"]) == ("iarn-figure3-small-paper", f"Backbones, Small, {AS_PRINTED}")
    lengths = {point["minimal history length"] for point in picture.rows}
    assert {(point["backbone"], point["minimal history length"]) for point in picture.rows} == {
        (name, length) for name in BACKBONES for length in lengths
    }
    assert 3 in lengths
    for point in picture.rows:
        metric = f"rmse, {point['minimal history length']} or more"
        assert point["RMSE"] == found.row(f"{point['backbone']}, {AS_PRINTED}", metric).mean
    backbones = [run["settings"]["backbone"] for run in found.details["runs"].values()]
    assert backbones == [*BACKBONES.values()]


def test_figure_4_as_the_paper_says_is_of_iarn_with_and_without_features(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "load_log", lambda name: {"small": LOG}[name])
    table = replace(
        iarn_figure4_paper.TABLE,
        log="small",
        protocol=SETUP.protocol,
        methods=iarn_figure4_paper.methods_as_printed(SETUP),
        draw=partial(iarn_figure4.pictures, log="Small"),
    )
    found = table.reproduce(runs=RunCache(tmp_path_factory.mktemp("runs")), quick=True)
    (bars,) = found.pictures
    errors = {name: found.row(f"{name}, {AS_PRINTED}", "rmse").mean for name in (PLAIN, FULL)}
    assert errors[PLAIN] != errors[FULL]
    assert {bar["encoder"]: bar["RMSE"] for bar in bars.rows} == errors
    assert {bar["log"] for bar in bars.rows} == {"Small"}
    runs = found.details["runs"]
    assert [run["settings"].get("feature_column") for run in runs.values()] == [None, "word"]
    assert not any(row.published for row in found.rows), "a drawn figure has no numbers"


def test_every_setting_of_every_method_is_printed_or_open() -> None:
    """Whatever is changed in a run, its result says so."""
    for setup in iarn_paper.LOG_SETUPS:
        for method in (*iarn_table2.methods_on(setup), *iarn_figure3.methods_on(setup)):
            if method.printed is None:
                continue
            comparison = method.comparison
            assert comparison is not None
            settings = {name: value for name, value in method.experiment.all_settings.items() if name != "seed"}
            agreeing = {name for name, value in settings.items() if method.printed.get(name, OneOf(())) == value}
            assert {*comparison.departs, *comparison.open, *agreeing} == set(settings)
            assert not agreeing & {*comparison.departs, *comparison.open}


def test_the_papers_form_of_iarn_is_its_preset() -> None:
    """Only what depends on the log differs from the defaults, which are the preset `paper`."""
    printed = iarn_paper.CLOTHING_SETUP.printed.settings()[FULL]
    config = find("iarn").configure({}, "paper").as_dict()
    fixed = {name: value for name, value in printed.items() if not isinstance(value, OneOf) and name != "refit"}
    assert {name for name, value in fixed.items() if config[name] != value} == {
        "embedding_dim",
        "window",
        "feature_encoder",
    }
    for name in ("lr", "dropout"):
        assert config[name] in printed[name].values


def test_the_shorter_history_decides_the_length(
    made: dict[ModuleType, Reproduction], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "load_log", lambda name: LOG)
    shortest = iarn_paper.shorter_history_lengths(SETUP)
    split = SETUP.protocol.split(LOG)
    pairs, past = SETUP.protocol.rated_events(split, "test"), split.train_valid
    user, item = past.events()
    expected = [min((user == u).sum(), (item == i).sum()) for u, i in zip(pairs.user, pairs.item, strict=True)]
    assert shortest.tolist() == expected
    figure = made[iarn_figure3]
    assert figure.row("IARN-Plain", "rmse, 3 or more", "Small").mean == pytest.approx(
        made[iarn_figure4].row("IARN-Plain", "rmse", "Small").mean
    )
    assert {row.method for row in figure.rows} == set(BACKBONES)
    assert not [row for row in figure.rows if row.metric == "rmse, 100 or more"], "no user has so many ratings"


def test_predicted_ratings_are_stored(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("runs")
    experiment = SETUP.iarn_experiment(epochs=1)
    first, second = (RunCache(folder).run_refit(experiment, LOG, 1) for _ in range(2))
    assert isinstance(second.predictions, RatingPredictions)
    assert first.predictions.same_instances(second.predictions)
    for metric in ("rmse", "auc"):
        assert np.array_equal(measure(first.predictions, metric), measure(second.predictions, metric))
    assert second.mean("rmse") == pytest.approx(np.sqrt(measure(second.predictions, "rmse").mean()))


def test_the_gates_of_one_rating_are_shown(made: dict[ModuleType, Reproduction]) -> None:
    figure = made[iarn_figure5]
    assert [picture.name for picture in figure.pictures] == ["iarn-figure5-user-history", "iarn-figure5-item-history"]
    for picture in figure.pictures:
        assert picture.rows
        assert all(0 < row["gate"] < 1 for row in picture.rows)
