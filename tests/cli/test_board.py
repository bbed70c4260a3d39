"""`segue board`: one page and one JSON file with every figure, its interval, its protocol and its cost."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path

import polars as pl
import pytest

from segue.data.readers.ingest import read_log
from segue.evaluation.protocols import PROTOCOLS, with_seen_rule
from segue.reporting.numbers import metric_text, number_text, percent_text, seconds_text
from segue.serving.saved_model import load

from .logs import done, events

BOARD = "board events.csv other.csv --models pop,item-knn,recent-pop --trials 2 -o made --tie-range 2"
METRICS = ["recall@10", "ndcg@10", "mrr@10"]


@pytest.fixture
def ties(here):
    """The log `other.csv`, in which two events of a user have one time."""
    lines = events(users=13).splitlines()
    lines[6] = lines[6].rpartition(",")[0] + "," + lines[5].rpartition(",")[2]
    (here / "other.csv").write_text("\n".join(lines) + "\n")


def board(here: Path, folder: str = "made") -> dict:
    return json.loads((here / folder / "board.json").read_text())


def test_every_figure_has_an_interval_a_protocol_and_a_cost(segue, here, ties, sequential_workers):
    out = done(segue(f"{BOARD} --json copy.json"))
    found = board(here)
    assert found == json.loads((here / "copy.json").read_text())
    assert [table["name"] for table in found["tables"]] == ["events, leave-one-out", "other, leave-one-out"]
    for table in found["tables"]:
        assert table["name"] in out
        assert re.fullmatch(r"[0-9a-f]{16}", table["protocol"]["fingerprint"])
        assert table["budget"] == {"trials": 2, "minutes_per_model": pytest.approx(4), "jobs": 1, "seed": 0}
        assert set(table["baselines"]) == {"pop", "item-knn"}
        assert {row["model"] for row in table["models"]} == {"pop", "item-knn", "recent-pop"}
        for row in table["models"]:
            assert list(row["metrics"]) == METRICS
            assert all(cell["low"] <= cell["mean"] <= cell["high"] for cell in row["metrics"].values())
            costs = [row[name] for name in ("tuning_cpu_seconds", "cpu_seconds", "test_cpu_seconds", "answer_cpu_ms")]
            assert all(cost > 0 for cost in costs)
            assert row["total_cpu_seconds"] == pytest.approx(row["tuning_cpu_seconds"] + row["cpu_seconds"])
            assert row["answer_cpu_ms"] == pytest.approx(1000 * row["test_cpu_seconds"] / table["instances"])
            assert row["trials"]["run"] == (1 if row["model"] == "pop" else 2)
            assert row["experiment"]["protocol"]["fingerprint"] == table["protocol"]["fingerprint"]
        (compared,) = [row for row in table["models"] if row["model"] == "recent-pop"]
        assert 0 <= compared["metrics"]["ndcg@10"]["against"]["p_holm"] <= 1
    without, tied = found["tables"]
    assert (without["orders"], tied["orders"]) == (0, 2)
    assert all(row["tie_range"] is None for row in without["models"])
    assert all(row["tie_range"]["low"][m] <= row["tie_range"]["high"][m] for row in tied["models"] for m in METRICS)


def test_the_page_shows_every_figure_and_needs_no_network(segue, here, ties, sequential_workers):
    done(segue(f"{BOARD} --cold-items 0.3"))
    page = (here / "made/board.html").read_text()
    assert page.count("<img") == 2
    assert not re.search(r"(?:src|href)=\"(?!data:)", page), "nothing is loaded"
    assert page.count("<script>") == 1
    tables = re.findall(r'<table class="sortable">.*?</table>', page, re.DOTALL)
    found = board(here)["tables"]
    assert len(tables) == len(found) == 2
    for text, table in zip(tables, found, strict=True):
        assert table["cold"]["instances"] > 0
        assert f"Protocol {table['protocol']['name']} ({table['protocol']['fingerprint']})" in page
        assert (here / "made" / f"{table['folder']}.svg").exists()
        rows = re.findall(r"<tr><td.*?</tr>", text, re.DOTALL)
        assert len(rows) == len(table["models"])
        for row, line in zip(table["models"], rows, strict=True):
            values = [(one, html.unescape(two)) for one, two in re.findall(r'data-value="([^"]*)">([^<]*)<', line)]
            assert [value for value, _ in values[1:4]] == [str(row["metrics"][m]["mean"]) for m in METRICS]
            shown = [cell[end] for cell in row["metrics"].values() for end in ("mean", "low", "high")]
            shown += [row["cold"]["ndcg@10"][end] for end in ("mean", "low", "high")]
            ends = row["tie_range"] and [row["tie_range"][end]["ndcg@10"] for end in ("low", "high")]
            texts = [*map(metric_text, [*shown, *(ends or [])]), percent_text(row["coverage@10"])]
            texts += [seconds_text(row[name]) for name in ("tuning_cpu_seconds", "cpu_seconds")]
            texts += [number_text(row[name]) for name in ("answer_cpu_ms", "peak_mb")]
            texts += [f"{name}=" for name in row["settings"]]
            against = row["metrics"]["ndcg@10"].get("against")
            texts += [f"{against[end]:+.4f}" for end in ("difference", "low", "high")] if against else []
            cells = "\n".join(text for _, text in values)
            assert [one for one in texts if one not in cells] == []


def test_the_same_command_resumes_a_board(segue, here, ties, sequential_workers):
    done(segue(BOARD))
    first = (here / "made/board.json").read_bytes()
    sequential_workers.started.clear()
    out = done(segue(BOARD))
    assert sequential_workers.started == []
    assert (here / "made/board.json").read_bytes() == first
    shutil.rmtree(here / "made/other-leave-one-out/pop")
    assert done(segue(BOARD)) != ""
    assert {name for name, *_ in sequential_workers.started} == {"pop"}
    figures = [[row["metrics"] for row in table["models"]] for table in board(here)["tables"]]
    assert figures == [[row["metrics"] for row in table["models"]] for table in json.loads(first)["tables"]]
    assert "other, leave-one-out" in out


def test_protocols_have_tables_of_their_own(segue, here, sequential_workers):
    done(segue("board events.csv --protocol leave-one-out,hgn --models pop --trials 1 -o made -k 2 5"))
    tables = board(here)["tables"]
    assert [table["protocol"]["name"] for table in tables] == ["leave-one-out", "hgn"]
    assert [table["refit"] for table in tables] == [False, True]
    assert list(tables[0]["models"][0]["metrics"]) == [f"{m}@{k}" for k in (2, 5) for m in ("recall", "ndcg", "mrr")]


def test_a_model_that_is_left_out_is_named_with_its_reason(segue, here, sequential_workers):
    out = done(segue("board events.csv --models pop,mf --trials 1 -o made"))
    assert "mf is left out: " in out
    assert "mf is left out: " in (here / "made/board.html").read_text()
    assert set(board(here)["tables"][0]["left_out_models"]) == {"mf"}


def their_lists(here: Path, *, length: int) -> Path:
    """The lists of a saved model, as somebody else would write them."""
    log = read_log("events.csv")
    protocol = with_seen_rule(PROTOCOLS["leave-one-out"], exclude_seen=True)
    model = load(here / "field/item-knn").model
    top = protocol.evaluate(model, protocol.split(log), "test").top[:, :length]
    rows = [(user, int(item), rank) for user, items in enumerate(top, 1) for rank, item in enumerate(items, 1) if item]
    frame = pl.DataFrame(
        {
            "user": log.users.names([user for user, _, _ in rows]),
            "item": log.items.names([item for _, item, _ in rows]),
            "rank": [rank for *_, rank in rows],
        }
    )
    frame.write_parquet(here / "theirs.parquet")
    return here / "theirs.parquet"


def test_lists_that_were_made_elsewhere_stand_beside_the_models(segue, here, sequential_workers):
    done(segue("compare events.csv --models item-knn --trials 1 -o field --exclude-seen"))
    their_lists(here, length=2)
    command = "board events.csv --models pop,item-knn --trials 1 -o made -k 1 2 --exclude-seen"
    out = done(segue(f"{command} --lists theirs.parquet"))
    assert "theirs was made elsewhere" in " ".join(out.split())
    assert "shortest list" not in out
    rows = {row["model"]: row for row in board(here)["tables"][0]["models"]}
    assert rows["theirs"]["made_by"] == "elsewhere"
    for metric, cell in rows["theirs"]["metrics"].items():  # lists put items of one score into an order
        low, high = sorted(rows["item-knn"]["metrics"][metric][rule] for rule in ("mean", "other_ties"))
        assert low <= cell["mean"] <= high
    assert all(rows["theirs"][name] is None for name in ("cpu_seconds", "peak_mb", "tuning_cpu_seconds", "tie_range"))
    assert "made elsewhere" in (here / "made/board.html").read_text()
    out = done(segue(f"{command.replace('-k 1 2', '-k 1 5')} --lists theirs.parquet"))
    assert "The shortest list of theirs has 2 items, and the deepest cut-off is 5" in " ".join(out.split())


def test_a_range_over_orders_of_ties_is_refused_before_models_that_are_trained_anew_are_trained(segue, here, ties):
    words = "--models pop --trials 1 --protocol prequential --retrain nightly -o made"
    code, _, err = segue(f"board other.csv {words}")
    assert code == 2
    assert "other, prequential: events of a user have the same time" in err
    assert "write --tie-range 0" in err
    assert not (here / "made").exists()
    done(segue(f"board other.csv {words} --tie-range 0"))
    done(segue(f"board events.csv {words}"))  # without such events there is no range


@pytest.mark.parametrize(
    ("words", "message"),
    {
        "": "no log given: name data sets, files or folders",
        "events.csv events.csv": "events.csv is given twice",
        "events.csv --protocol hgn,leave-one-out,hgn": "hgn is given twice; a board has each protocol once",
        "events.csv --final": "--final: a board measures models",
        "events.csv --minutes-per-model 0": "--minutes-per-model 0: must be above 0",
        "events.csv --jobs 0": "jobs=0: must be at least 1",
        f"events.csv --jobs {'9' * 400}": "must be at least 1 and at most",
        "events.csv --tie-range 1": "--tie-range 1: a range needs at least 2 orders",
        "events.csv --models nix": "nix",
        "events.csv --protocol ratings --models mf": "ratings",
        "events.csv --protocol session": "events: ",
        "events.csv --lists none.parquet": "none.parquet",
        "events.csv other.csv --lists events.csv": "--lists events.csv: fits several tables; write TABLE=FILE, where",
        "events.csv --lists shop=other.csv": "there is no such table; write TABLE=FILE, where TABLE is one of events-l",
        "events.csv --lists events=events.csv": "events.csv: has no column 'rank'",
        "events.csv -o models/pop": "models/pop",
        "copies/events.csv events.csv": "two tables are called events-leave-one-out",
    }.items(),
)
def test_what_cannot_be_measured_is_refused_before_anything_is_trained(segue, here, words, message):
    (here / "copies").mkdir()
    shutil.copy(here / "other.csv", here / "copies/events.csv")
    code, _, err = segue(f"board {words}")
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert not (here / "board").exists()
