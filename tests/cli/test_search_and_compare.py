"""`segue search` and `segue compare`: what they print, write and save."""

from __future__ import annotations

import html
import json
import re
import sys

import numpy as np
import pytest

from segue.errors import DataError
from segue.models.base.rating import PairScorer
from segue.models.registry import MODELS

from .logs import TRAINED, done, leaky, weights

SEARCH = "search hgn events.csv --space hyper.test --set epochs=2 window=3 --trials 3 -o models/found"


def test_search_reads_recbole_spaces_and_saves_the_best_model(segue, here):
    (here / "hyper.test").write_text(
        "learning_rate choice [0.01,0.001]\nembedding_size choice [4]\n"
        "pooling_type choice ['average','max']\nreg_weight choice ['[0.00,0.00]']\n"
    )
    out = done(segue(f"{SEARCH} --json found.json"))
    assert re.search(r"^Trial \d is the best of 3.*, with ndcg@10 .* on validation: lr=.*trial +ndcg@10 ", out, re.S)
    assert re.search(r"^ pop .*\n.*\n item-knn .*\n.*\n seq-knn .*(\n.*)+\n hgn ", out, re.MULTILINE)
    found = json.loads((here / "found.json").read_text())
    trials = found["search"]["trials"]
    assert len(trials) == 3
    assert {(t["settings"]["embedding_dim"], tuple(t["settings"]["reg_weight"])) for t in trials} == {(4, (0.0, 0.0))}
    assert {t["settings"]["pooling"] for t in trials} <= {"gate_avg", "gate_max"}
    best = max((t for t in trials if t["state"] == "complete"), key=lambda t: t["metric"])
    assert found["experiment"]["settings"]["lr"] == best["settings"]["lr"]
    assert found["training"]["validation"] == {"ndcg@10": best["metric"]}
    assert (here / "models/found.search/search.html").exists()
    assert "Recommended to user u0" in done(segue("recommend models/found --user u0"))
    before = (here / "models/found/model.json").read_bytes()
    done(segue(f"{SEARCH} --json again.json"))
    again = json.loads((here / "again.json").read_text())
    assert (again["search"], again["models"][-1]) == (found["search"], found["models"][-1])
    assert (here / "models/found/model.json").read_bytes() == before
    settings = {**best["settings"], "reg_weight": "0,0", "epochs": best["best_epoch"], "window": 3}
    words = " ".join(f"{name}={value}" for name, value in settings.items())
    done(segue(f"run hgn events.csv --set {words} --no-baselines -o models/again"))
    again, saved = weights("models/again"), weights("models/found")
    assert all(np.array_equal(saved[key], again[key]) for key in again)


@pytest.mark.parametrize(("network", "expected"), [("gru", "num_layers"), ("sasrec", "num_blocks")])
def test_search_reads_recboles_names_of_the_network_of_a_hybrid(network, expected, segue, here):
    (here / "hyper.test").write_text("learning_rate choice [0.01]\nn_layers choice [1]\n")
    settings = f"--set network={network} epochs=1 hidden_size=4"
    done(segue(f"search hybrid events.csv --space hyper.test {settings} --trials 1 --no-baselines --json found.json"))
    found = json.loads((here / "found.json").read_text())
    assert found["search"]["trials"][0]["settings"] == {"lr": 0.01, expected: 1}


def test_search_uses_the_space_that_the_model_declares(segue, here, monkeypatch):
    monkeypatch.delenv("SEGUE_QUIET")
    code, out, err = segue("search bprmf events.csv --trials 4 --set embedding_dim=4 epochs=2 --no-baselines")
    assert code == 0
    assert "seq-knn" not in out
    assert "Importance of the settings" in out
    assert re.search(r"trial 0 \(1 of 4\), \d+ s: \.\d+ in epoch [12] of 2; .*: lr=0.005 l2=0.001\n", err)
    assert err.endswith(f"saved to models/bprmf ({TRAINED}); next: segue recommend models/bprmf --user u0\n")
    assert json.loads((here / "models/bprmf/model.json").read_text())["config"]["embedding_dim"] == 4


def test_search_uses_the_space_for_the_settings_that_are_fixed(segue, here):
    command = "search bprmf events.csv --preset learnbpr --trials 4 --set embedding_dim=4 epochs=1 l2=0.001"
    done(segue(f"{command} --no-baselines --json found.json"))
    found = json.loads((here / "found.json").read_text())["search"]["trials"]
    tried = [trial["settings"] for trial in found]
    assert [set(settings) for settings in tried] == [{"lr"}] * 4
    assert all(0.01 <= settings["lr"] <= 0.2 for settings in tried)


def test_search_reports_that_charts_need_an_extra(segue, here, monkeypatch):
    monkeypatch.delenv("SEGUE_QUIET")
    monkeypatch.setitem(sys.modules, "altair", None)
    code, _, err = segue("search bprmf events.csv --trials 4 --set embedding_dim=4 epochs=2 --no-baselines")
    assert code == 0
    assert 'pip install "segue[viz]"' in err
    assert "Importance of the settings" in (here / "models/bprmf.search/search.html").read_text()


def test_compare_ranks_and_saves_models_and_names_the_best_on_validation(segue, here, sequential_workers, monkeypatch):
    monkeypatch.delenv("SEGUE_QUIET")
    command = "compare events.csv --models pop,item-knn,bprmf --exclude bprmf --trials 2 -o field --json field.json"
    code, out, err = segue(command)
    assert code == 0
    found = json.loads((here / "field.json").read_text())
    assert {row["model"] for row in found["models"]} == {"pop", "item-knn"}
    means = [row["metrics"]["ndcg@10"]["mean"] for row in found["models"]]
    assert means == sorted(means, reverse=True)
    assert found == json.loads((here / "field/result.json").read_text())
    assert "Cost (training and test of the best in CPU seconds" in out
    assert re.search(r"peak.*\n.* MB ", out)
    best = max(found["best_models"], key=lambda name: found["best_models"][name]["search"]["trial"]["metric"])
    assert found["serve"] == best
    assert err.endswith(f"newest at 2020-09-13 12:31:51); next: segue recommend field/{best} --user u0\n")
    assert f"best on validation: field/{best} (trained on 48 of 72 events" in err
    assert "Recommended to user u0" in done(segue(f"recommend field/{best} --user u0"))
    assert f"Take {best} first: of 2 models it has the best ndcg@10 on validation" in " ".join(out.split())
    assert "Trials: 2 each: item-knn; all points of a smaller search space: pop 1." in " ".join(out.split())
    assert found["trials"]["pop"]["run"] == 1
    page = (here / "field/report.html").read_text()
    assert page.count("<img") == 1
    assert f"<h2>Model to take first</h2>\n<p>Take {best} first" in page
    assert "all points of a smaller search space: pop 1" in page
    assert "an equal share of" in page
    assert (here / "field/quality.svg").exists()
    sequential_workers.started.clear()
    assert segue(command)[:2] == (0, out)
    assert sequential_workers.started == []


def test_the_test_data_does_not_choose_the_model_to_serve(segue, here, sequential_workers, monkeypatch):
    """Of many users the validation target is the most popular item, and the test target follows from the history."""
    monkeypatch.delenv("SEGUE_QUIET")
    users = [[f"popular{i}", f"x{i}{k}", "", ""] for i in range(12) for k in range(5)]
    users += [["favourite", f"y{k}", "", ""] for k in range(8)] + [["a", "b", "", ""] for _ in range(3)]
    users += [["a", "favourite", "b"] for _ in range(12)]
    rows = [
        f"u{user},{item or f'new{user}-{place}'},{10**9 + 1000 * user + place}\n"
        for user, items in enumerate(users)
        for place, item in enumerate(items)
    ]
    (here / "shop.csv").write_text("".join(["user,item,time\n", *rows]))
    code, out, err = segue(
        "compare shop.csv --models pop,item-knn --trials 1 -o field --json field.json --exclude-seen"
    )
    assert code == 0
    found = json.loads((here / "field.json").read_text())
    assert [row["model"] for row in found["models"]] == ["item-knn", "pop"], "in the order of the test"
    assert found["serve"] == "pop"
    text = " ".join(out.split())
    assert "Take pop first: of 2 models it has the best ndcg@10 on validation" in text
    assert re.search(r"item-knn has \.\d+ there, but the test data must not choose", text)
    assert re.search(r"next: segue recommend field/pop --user", err)


def test_compare_all_are_the_models_that_rank(segue, here, sequential_workers):
    ranking = ",".join(name for name, kind in MODELS.items() if not issubclass(kind, PairScorer))
    code, _, err = segue(["compare", "events.csv", "--models", "all", "--exclude", ranking])
    assert code == 2
    assert "no model is left to compare" in err
    done(segue("compare events.csv --models mf,pop --trials 1 --json field.json"))
    assert "has no ratings" in json.loads((here / "field.json").read_text())["left_out_models"]["mf"]


def test_compare_continues_without_models_that_cannot_be_trained(segue, here, sequential_workers, monkeypatch):
    def fail(self, log):
        raise DataError("needs times")

    monkeypatch.setattr(MODELS["item-knn"], "fit", fail)
    out = done(segue("compare events.csv --models pop,item-knn --trials 1 --json field.json"))
    assert "item-knn is left out: needs times" in out
    assert "of the 1 model that was tested (1 of 2 is left out, see below)" in " ".join(out.split())
    assert (
        "Each model might have 1 trial over" in next((here / "compare").iterdir()).joinpath("report.html").read_text()
    )
    assert json.loads((here / "field.json").read_text())["left_out_models"] == {"item-knn": "needs times"}
    assert (here / "compare/events/report.html").exists()


def test_search_and_compare_warn_of_leaks_as_run_does_also_of_results_that_they_read(segue, here, sequential_workers):
    data = leaky(here)
    done(segue(f"run item-knn {data} --json run.json"))
    warnings = json.loads((here / "run.json").read_text())["warnings"]
    assert any("share an event" in warning or "also occur" in warning for warning in warnings)
    for command in (
        f"search item-knn {data} --trials 1 -o models/x",
        f"compare {data} --models pop,item-knn --trials 1",
    ):
        for _ in range(2):
            shown = " ".join(done(segue(f"{command} --json found.json")).split())
            assert all(f"Warning: {warning}." in shown for warning in warnings)
            assert json.loads((here / "found.json").read_text())["warnings"] == warnings
    page = html.unescape((next((here / "compare").iterdir()) / "report.html").read_text())
    assert all(f"Warning: {warning}." in page for warning in warnings)


def test_search_and_compare_warn_of_targets_with_one_time_as_run_does(segue, here, sequential_workers):
    rows = [
        f"u{user},i{(user * 7 + k * 5) % 13},{10**9 + user * 10**6 + k // 3 * 7200}\n"
        for user in range(20)
        for k in range(9)
    ]
    (here / "tied.csv").write_text("".join(["user,item,time\n", *rows]))
    facts = []
    for command in ("run item-knn", "search item-knn --trials 1", "compare --models pop,item-knn --trials 1"):
        for _ in range(2):
            done(segue(f"{command} tied.csv --json found.json"))
            found = json.loads((here / "found.json").read_text())
            facts.append((found["warnings"], found["tied"]))
    assert facts == [facts[0]] * 6
    assert facts[0][1] == 1.0
    assert "100% of the test targets have the same time" in " ".join(facts[0][0])


def test_search_and_compare_take_a_horizon(segue, here, sequential_workers):
    parts = [f"u{user},{'test' if user > 8 else 'valid' if user == 8 else 'train'}\n" for user in range(12)]
    (here / "sessions.csv").write_text("user,split\n" + "".join(parts))
    data = "events.csv --users sessions.csv --horizon 2"
    for command in (f"search pop {data} --no-baselines", f"compare {data} --models pop,item-knn"):
        done(segue(f"{command} --json found.json"))
        found = json.loads((here / "found.json").read_text())
        assert found["protocol"]["name"] == "session"
        assert list(found["models"][0]["metrics"]) == ["recall@10,1", "recall@10,2", "mrr@10,1"]


def test_search_does_not_take_a_model_of_another_log_for_its_own(segue, here):
    for command in ("search pop events.csv", "run pop other.csv", "search pop events.csv"):
        done(segue(f"{command} --no-baselines -o models/x"))
    stored, events = (json.loads((here / f"models/{name}/model.json").read_text())["log"] for name in ("x", "pop"))
    assert stored == events
