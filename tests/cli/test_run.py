"""`segue run` and `segue evaluate`: what they print, write and save."""

from __future__ import annotations

import json
import re

import pytest

from segue.data.readers.ingest import read_log
from segue.evaluation.protocol import Protocol
from segue.evaluation.task import measure
from segue.experiments.experiment import Experiment
from segue.serving import saved_model

from .logs import BASELINES, TRAINED, done, events, leaky

HGN = "run hgn events.csv --set embedding_dim=4 epochs=5 --seed 3"


def test_run_prints_a_table_saves_the_model_and_writes_json(segue, here):
    out = done(segue(f"{HGN} --out models/mine --json run.json"))
    assert re.search(r"^ hgn .*\n.*\n item-knn|^ pop ", out, re.MULTILINE)
    found = json.loads((here / "run.json").read_text())
    log = read_log("events.csv")
    protocol = Protocol.named("leave-one-out")
    assert found["protocol"]["fingerprint"] == protocol.fingerprint
    assert found["protocol"]["sentence"] == protocol.describe()
    assert protocol.fingerprint in out
    assert found["log"] == log.fingerprint
    assert [row["model"] for row in found["models"]] == [*BASELINES, "hgn"]
    assert found["baselines"] == BASELINES
    assert found["experiment"]["settings"] == {"embedding_dim": "4", "epochs": "5"}
    assert found["experiment"]["seed"] == 3
    assert found["training"]["epochs"] == 5
    again = Experiment(model="hgn", protocol=protocol, settings={"embedding_dim": 4, "epochs": 5}, seed=3).run(log)
    for metric, cell in found["models"][-1]["metrics"].items():
        assert cell["mean"] == measure(again.result.predictions, metric).mean()
    assert (here / "models/mine/training.jsonl").read_text().count("\n") == 5
    assert not (here / "models/mine.training").exists()


@pytest.mark.parametrize("refit", ["", "--refit"])
def test_baselines_are_trained_on_the_rows_that_the_model_is_trained_on(segue, here, refit):
    done(segue(f"{HGN} {refit} --json run.json"))
    rows = {row["model"]: row for row in json.loads((here / "run.json").read_text())["models"]}
    log, protocol = read_log("events.csv"), Protocol.named("leave-one-out")
    for model in BASELINES:
        expected = Experiment(model=model, protocol=protocol, refit=bool(refit)).run(log).result
        for metric, cell in rows[model]["metrics"].items():
            assert cell["mean"] == measure(expected.predictions, metric).mean()


@pytest.mark.parametrize(
    ("model", "own", "theirs"),
    [
        ("hgn", "embedding_dim=4 pooling=gate_avg loss=bpr", "embedding_size=4 pooling=average loss=BPR"),
        (
            "hybrid",
            "network=gru embedding_dim=4 num_layers=2 loss=bpr",
            "network=gru hidden_size=4 n_layers=2 loss=BPR",
        ),
        ("hybrid", "num_blocks=1 window=3", "n_layers=1 MAX_ITEM_LIST_LENGTH=3"),
    ],
)
def test_recboles_names_and_values_are_those_of_the_model(model, own, theirs, segue, here):
    """And those of the network in it."""
    done(segue(f"run {model} events.csv --no-baselines --set epochs=1 {own} -o models/own"))
    done(segue(f"run {model} events.csv --no-baselines --set epochs=1 {theirs} -o models/theirs"))
    own, theirs = (saved_model.read_facts(here / "models" / name) for name in ("own", "theirs"))
    assert theirs["experiment"] == own["experiment"]
    assert theirs["config"] == own["config"]


def test_run_reports_how_the_file_was_read_and_the_next_command(segue, here, monkeypatch):
    monkeypatch.delenv("SEGUE_QUIET")
    (here / "shop.csv").write_text(events(header="uid,sku,ts"))
    code, _, err = segue("run pop shop.csv --user-col uid --item-col sku --time-col ts --item-core 2 --no-baselines")
    assert code == 0
    assert "read shop.csv: user 'uid', item 'sku', time 'ts' in seconds: 72 rows, 12 users, 8 items" in err
    assert "at least 0 rows a user and 2 an item: 72 rows" in err
    assert err.endswith(f"saved to models/pop ({TRAINED}); next: segue recommend models/pop --user u0\n")
    following = err.rpartition("next: segue ")[2]
    assert "Recommended to user u0" in done(segue(following))


def test_a_log_without_times_keeps_the_order_of_its_file(segue, here, monkeypatch):
    monkeypatch.delenv("SEGUE_QUIET")
    (here / "shop.csv").write_text(events(header="user,item,other"))
    assert "in the order of the source" in segue("data shop.csv --time-col=")[2]


def test_quiet_prints_only_the_results(segue):
    code, out, err = segue("run pop events.csv")
    assert (code, err) == (0, "")
    assert "recall@10" in out


def test_run_applies_the_training_and_protocol_options(segue, here):
    out = done(
        segue(
            "run bprmf events.csv --no-baselines --refit --protocol hgn --eval-every 2 --set epochs=4 embedding_dim=4"
        )
    )
    assert not re.search(r"^ *(pop|item-knn) ", out, re.MULTILINE)
    about = saved_model.load("models/bprmf").about
    assert about["experiment"]["refit"] is True
    assert about["experiment"]["eval_every"] == 2
    assert about["experiment"]["protocol"]["fingerprint"] == Protocol.named("hgn").fingerprint
    assert about["training"]["best"] in (2, 4)


def test_ratings_are_predicted_and_evaluated(segue, here):
    """RMSE, MAE and AUC, with the means beside them; evaluating the saved model gives the same figures."""
    rows = (f"u{t % 7},i{t % 31},{1 + t * 3 % 5},{1_600_000_000 + 100 * t}\n" for t in range(200))
    (here / "rated.csv").write_text("".join(["user,item,rating,time\n", *rows]))
    out = done(segue("run mf rated.csv --protocol ratings --set embedding_dim=2 --json run.json"))
    assert re.search(r"^ model +rmse +mae +auc +test +MB *$", out, re.MULTILINE)
    assert re.search(r"^ pop +– +– +[.\d]+ ", out, re.MULTILINE)
    assert " ratings, 31 items" in out
    found = json.loads((here / "run.json").read_text())
    assert [row["model"] for row in found["models"]] == [
        "global-mean", "user-mean", "item-mean", "biases", "pop", "mf",
    ]  # fmt: skip
    assert found["experiment"]["monitor"] == "rmse"
    done(segue("evaluate models/mf --data rated.csv --json again.json"))
    again = json.loads((here / "again.json").read_text())
    for metric, cell in again["models"][0]["metrics"].items():
        assert cell["mean"] == pytest.approx(found["models"][-1]["metrics"][metric]["mean"])
    out = done(
        segue(
            "search mf rated.csv --protocol ratings --trials 1 --no-baselines --set embedding_dim=2 --out models/found"
        )
    )
    assert re.search(r"with rmse \d?\.\d{4} on validation", out)
    code, _, err = segue("run mf rated.csv --protocol ratings --monitor ndcg@10")
    assert code == 2
    assert "ndcg@10: ratings predicts ratings; its metrics are rmse, mae, auc" in err
    code, _, err = segue("run mf events.csv --protocol ratings")
    assert code == 2
    assert "has no ratings to learn or to predict; name their column (--rating-col)" in err


def test_run_shows_the_given_cut_offs(segue, here):
    out = done(segue("run pop events.csv -k 3 50 --monitor ndcg@50 --json run.json"))
    assert re.search(r"recall@3 .*ndcg@3 .*mrr@3.*recall@50 .*ndcg@50 .*mrr@50", out, re.DOTALL)
    found = json.loads((here / "run.json").read_text())
    assert found["protocol"]["fingerprint"] == Protocol.named("leave-one-out").fingerprint
    assert found["protocol"]["ks"] == [3, 5, 10, 20, 50]
    assert list(found["models"][0]["metrics"])[::3] == ["recall@3", "recall@50"]


def test_sessions_are_evaluated_on_the_split_of_their_log(segue, here):
    (here / "sessions.csv").write_text(
        "user,split\n" + "".join(f"u{u},{'test' if u > 8 else 'train'}\n" for u in range(12))
    )
    done(segue("run item-knn events.csv --users sessions.csv --refit --json run.json"))
    found = json.loads((here / "run.json").read_text())
    assert found["protocol"]["name"] == "session"
    assert found["instances"] == 3 * 5
    log = read_log("events.csv", users="sessions.csv")
    again = Experiment(model="pop", protocol=Protocol.named("session"), refit=True).run(log).result
    assert found["models"][0]["metrics"]["mrr@10"]["mean"] == measure(again.predictions, "mrr@10").mean(), (
        "baselines are refitted too"
    )
    done(segue("evaluate models/item-knn --data events.csv --users sessions.csv -k 20"))


def test_leakage_is_reported_shown_by_groups_and_dropped(segue, here):
    data = leaky(here)
    assert "! 33.3% of the test's events also occur in training" in " ".join(done(segue(f"data {data}")).split())
    out = done(segue(f"run item-knn {data} --by leak --json run.json"))
    assert "Warning: 33.3% of the test's events also occur in training" in " ".join(out.split())
    assert re.search(r"clean +10 +pop", out)
    found = json.loads((here / "run.json").read_text())
    assert [row["instances"] for row in found["by leak"] if row["metric"] == "mrr@10"] == [10] * 5 + [5] * 5
    assert found["warnings"][0].endswith("--leak drop of segue run trains without the user who shares")
    again = done(segue(f"evaluate models/item-knn --data {data} --by leak --json again.json"))
    assert "clean" in again
    same = json.loads((here / "again.json").read_text())
    mine = [row for row in found["by leak"] if row["model"] == "item-knn"]
    assert [row["mean"] for row in same["by leak"]] == [row["mean"] for row in mine]

    out = done(segue(f"run item-knn {data} --leak drop --json run.json"))
    assert "also occur in training" not in " ".join(out.split())
    found = json.loads((here / "run.json").read_text())
    assert found["instances"] == 15
    assert found["protocol"]["leak"] == "drop"
    again = done(segue(f"evaluate models/item-knn --data {data}"))
    assert "also occur in training" not in " ".join(again.split())


def test_advice_about_leakage_can_be_followed(segue, here):
    """Every option that a warning names is accepted as it stands; none is named where it would be refused."""
    data, session = "events.csv --duplicates keep", leaky(here)
    text = (here / "events.csv").read_text().splitlines()
    twins = [line.replace("u0,", "twin,") for line in text if line.startswith("u0,")]
    (here / "events.csv").write_text("\n".join([*text, *twins, text[-1], text[-1]]) + "\n")
    (here / "sessions.csv").write_text((here / "sessions.csv").read_text() + "twin,train\n")
    followed = []
    for case in (
        session,
        data,
        f"{data} --protocol hgn",
        f"{data} --protocol whole-users",
        f"{data} --protocol recbole",
    ):
        done(segue(f"run pop {case} --no-baselines --json run.json"))
        warnings = " ".join(json.loads((here / "run.json").read_text())["warnings"])
        for advice in ("--by leak", "--leak drop", "--duplicates exact"):
            if advice in warnings:
                other = case.replace("--duplicates keep", "") if "duplicates" in advice else case
                done(segue(f"run pop {other} --no-baselines {advice}"))
                followed.append((case, advice))
    assert {advice for _, advice in followed} == {"--by leak", "--leak drop", "--duplicates exact"}
    assert (data, "--leak drop") not in followed


def test_a_horizon_of_several_next_items(segue, here):
    pytest.importorskip("altair")
    data = leaky(here)
    out = done(segue(f"run pop {data} --horizon 3 -k 5 --by step --picture curve.svg --json run.json"))
    assert re.search(r"recall@5,1 .*recall@5,3 .*mrr@5,1", out)
    found = json.loads((here / "run.json").read_text())
    assert [row["instances"] for row in found["by step"]][:: len(BASELINES)] == [15, 12, 9]
    cell = found["models"][0]["metrics"]["recall@5,1"]
    assert found["by step"][0]["mean"] == cell["mean"]
    assert "recall@5" in (here / "curve.svg").read_text()
    assert segue(f"run pop {data} --by step")[0] == 2
    done(segue(f"run pop {data} --by length --picture length.html"))
    assert (here / "length.html").is_file()


def test_a_log_with_repeats_is_evaluated_with_repeats(segue, here):
    (here / "again.csv").write_text(events(items=3))
    done(segue("run pop again.csv --json run.json"))
    assert json.loads((here / "run.json").read_text())["protocol"]["exclude_seen"] is False


def test_evaluate_gives_the_metrics_of_run(segue, here):
    done(segue("run item-knn events.csv --no-baselines --json run.json"))
    out = done(segue("evaluate models/hgn models/item-knn --data events.csv -k 10 2 10 --json evaluate.json"))
    assert re.search(r"recall@2 .*ndcg@2 .*mrr@2.*recall@10 .*ndcg@10 .*mrr@10", out, re.DOTALL)
    ran, evaluated = (json.loads((here / f"{name}.json").read_text()) for name in ("run", "evaluate"))
    assert [row["model"] for row in evaluated["models"]] == ["models/hgn", "models/item-knn"]
    assert evaluated["protocol"]["ks"] == [2, 10]
    assert evaluated["protocol"]["fingerprint"] == ran["protocol"]["fingerprint"]
    assert evaluated["models"][1]["popularity@2"] > 0
    for metric, cell in ran["models"][0]["metrics"].items():
        assert evaluated["models"][1]["metrics"][metric]["mean"] == cell["mean"]
