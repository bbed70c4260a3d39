"""The last line of `segue run`: a baseline that is better is named with its figures, and with the command to run it."""

from __future__ import annotations

import json
import re

import pytest

from segue.evaluation import ranking_protocol

from .logs import done, events

BAD_HGN = "--set embedding_dim=2 epochs=1 lr=1e-6"


def last_line(answer):
    code, _, err = answer
    assert code == 0, err
    return err.splitlines()[-1]


@pytest.fixture
def large(here, monkeypatch):
    """A log of 60 users who take every item once in a fixed order, under other names of the columns."""
    monkeypatch.delenv("SEGUE_QUIET")
    (here / "shop.csv").write_text(events(users=60, items=12, length=7, header="uid,sku,ts"))
    return "shop.csv --user-col uid --item-col sku --time-col ts"


def test_a_better_baseline_is_named_with_a_command_that_runs(segue, here, large):
    line = last_line(segue(f"run hgn {large} {BAD_HGN} --json run.json"))
    rows = {row["model"]: row["metrics"]["ndcg@10"] for row in json.loads((here / "run.json").read_text())["models"]}
    best = rows["hgn"]["against"]["model"]
    figures = [f"{rows[name]['mean']:.4f}".removeprefix("0") for name in (best, "hgn")]
    assert f"; {best} has a higher ndcg@10 in this table ({figures[0]}, hgn {figures[1]}, p < .0" in line
    command = line.rpartition("next: segue ")[2]
    assert command == f"run {best} shop.csv --user-col uid --item-col sku --time-col ts"
    assert "next: segue recommend" in last_line(segue(command))


def test_the_command_has_the_protocol_and_the_refit(segue, here, large):
    line = last_line(segue(f"run hgn {large} {BAD_HGN} --protocol hgn -k 3 5 --min-history 2 --refit --monitor mrr@5"))
    assert "has a higher mrr@5 in this table" in line
    assert re.search(r"next: segue run \S+ shop.csv --refit -k 3 5 --min-history 2 --protocol hgn --user-col", line)
    done(segue(line.rpartition("next: segue ")[2]))


def test_a_monitored_metric_outside_the_table_counts(segue, here, large):
    assert "has a higher recall@2 in this table" not in last_line(segue(f"run pop {large} --no-baselines"))
    assert "has a higher mrr@5" in last_line(segue(f"run hgn {large} {BAD_HGN} --monitor mrr@5"))


def test_a_difference_that_is_not_significant_is_called_so(segue, here, monkeypatch):
    monkeypatch.delenv("SEGUE_QUIET")
    line = last_line(segue("run vs-knn events.csv"))
    assert re.search(r"; vs-knn is (no|not significantly) better than seq-knn in this table \(ndcg@10 ", line)
    assert "next: segue recommend models/vs-knn" in line


def test_a_model_that_wins_and_a_table_without_baselines_are_left_alone(segue, here, large, monkeypatch):
    monkeypatch.setattr(ranking_protocol, "VS_KNN_EVENTS", 0)  # it wins, too
    assert "in this table" not in last_line(segue(f"run seq-knn {large}"))
    assert "in this table" not in last_line(segue(f"run hgn {large} {BAD_HGN} --no-baselines"))


def test_lower_errors_are_better(segue, here, monkeypatch):
    monkeypatch.delenv("SEGUE_QUIET")
    rows = (f"u{t % 30},i{t % 31},{1 + (t % 31) % 5},{1_600_000_000 + 100 * t}\n" for t in range(2000))
    (here / "rated.csv").write_text("".join(["user,item,rating,time\n", *rows]))
    line = last_line(segue("run mf rated.csv --protocol ratings --set embedding_dim=2 iterations=1 l2_bias=1e6"))
    assert re.search(r"has a lower rmse in this table \(\.\d+, mf 1\.\d+, p < \.001\); next: segue run ", line)


def test_minutes_are_kept_and_said(segue, here, monkeypatch):
    monkeypatch.delenv("SEGUE_QUIET")
    code, _, err = segue("run bprmf events.csv --set epochs=1000000 --patience 1000000 --minutes 0.02 --no-baselines")
    assert code == 0
    assert re.search(r"bprmf: stopped after \d+ of at most 1000000 epochs, to keep the limit of 0.02 minutes", err)
    facts = json.loads((here / "models/bprmf/model.json").read_text())
    assert facts["training"]["stopped_after_minutes"] == pytest.approx(0.02)
