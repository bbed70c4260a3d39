"""What each command prints, writes and leaves behind, and how it ends."""

from __future__ import annotations

import json
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from segue import papers as recipes
from segue.cli import app, status
from segue.data.datasets import catalog
from segue.data.readers.ingest import read_log
from segue.data.synthetic import cycle
from segue.errors import DataError
from segue.evaluation.metrics import measure
from segue.evaluation.protocol import Protocol
from segue.experiments.experiment import Experiment
from segue.models.base.rating import PairScorer
from segue.models.registry import MODELS
from segue.papers.reproduction import Reproduction, Row
from segue.serving import saved_model
from segue.training import loop as train

from .logs import events

COMMANDS = ("run", "search", "compare", "blend", "evaluate", "recommend", "explain", "data", "demo", "reproduce")
HGN = "run hgn events.csv --set embedding_dim=4 epochs=5 --seed 3"
PYTHON = [sys.executable, "-m", "segue"]


def done(answer):
    """The output of a command that must have worked."""
    code, out, err = answer
    assert code == 0, err
    return out


def test_run_prints_a_table_saves_the_model_and_writes_all_digits(segue, here):
    out = done(segue(f"{HGN} --out models/mine --json run.json"))
    assert re.search(r"^ hgn .*\n.*\n item-knn|^ pop ", out, re.MULTILINE)
    found = json.loads((here / "run.json").read_text())
    log = read_log("events.csv")
    protocol = Protocol.named("leave-one-out")
    assert found["protocol"]["fingerprint"] == protocol.fingerprint
    assert found["protocol"]["sentence"] == protocol.describe()
    assert protocol.fingerprint in out
    assert found["log"] == log.fingerprint
    assert [row["model"] for row in found["models"]] == ["pop", "item-knn", "seq-knn", "hgn"]
    assert found["baselines"] == ["pop", "item-knn", "seq-knn"]
    assert found["recipe"]["settings"] == {"embedding_dim": "4", "epochs": "5"}
    assert found["recipe"]["seed"] == 3
    assert found["training"]["epochs"] == 5
    again = Experiment(model="hgn", protocol=protocol, settings={"embedding_dim": 4, "epochs": 5}, seed=3).run(log)
    for metric, cell in found["models"][-1]["metrics"].items():
        assert cell["mean"] == measure(again.result.ranks, metric).mean()
    assert (here / "models/mine/training.jsonl").read_text().count("\n") == 5
    assert not (here / "models/mine.training").exists()


def test_run_says_how_the_file_was_read_and_what_to_do_next(segue, here, monkeypatch):
    monkeypatch.delenv("SEGUE_QUIET")
    (here / "shop.csv").write_text(events(header="uid,sku,ts"))
    code, _, err = segue("run pop shop.csv --user-col uid --item-col sku --time-col ts --item-core 2")
    assert code == 0
    assert "read shop.csv: user 'uid', item 'sku', time 'ts' in seconds: 72 rows, 12 users, 8 items" in err
    assert "at least 0 rows a user and 2 an item: 72 rows" in err
    assert err.endswith("saved to models/pop; next: segue recommend models/pop --user u0\n")
    following = err.rpartition("next: segue ")[2]
    assert "Recommended to user u0" in done(segue(following))


def test_a_log_without_times_is_said_to_be_in_the_order_of_its_file(segue, here, monkeypatch):
    monkeypatch.delenv("SEGUE_QUIET")
    (here / "shop.csv").write_text(events(header="user,item,other"))
    assert "in the order of the source" in segue("data shop.csv")[2]


def test_quiet_leaves_only_the_answer(segue):
    code, out, err = segue("run pop events.csv")
    assert (code, err) == (0, "")
    assert "recall@10" in out


def test_run_takes_the_options_of_measuring(segue, here):
    out = done(
        segue(
            "run bprmf events.csv --no-baselines --refit --protocol hgn --eval-every 2 --set epochs=4 embedding_dim=4"
        )
    )
    assert not re.search(r"^ *(pop|item-knn) ", out, re.MULTILINE)
    about = saved_model.load("models/bprmf").about
    assert about["recipe"]["refit"] is True
    assert about["recipe"]["eval_every"] == 2
    assert about["recipe"]["protocol"]["fingerprint"] == Protocol.named("hgn").fingerprint
    assert about["training"]["best"] in (2, 4)


def test_ratings_are_predicted_and_measured(segue, here):
    """RMSE, MAE and AUC, with the means beside them; evaluating the saved model gives the same figures."""
    rows = (f"u{t % 7},i{t % 31},{1 + t * 3 % 5},{1_600_000_000 + 100 * t}\n" for t in range(200))
    (here / "rated.csv").write_text("".join(["user,item,rating,time\n", *rows]))
    out = done(segue("run mf rated.csv --protocol ratings --set embedding_dim=2 --json run.json"))
    assert re.search(r"^ model +rmse +mae +auc +s ", out, re.MULTILINE)
    assert re.search(r"^ pop +– +– +[.\d]+ ", out, re.MULTILINE)
    assert " ratings, 31 items" in out
    found = json.loads((here / "run.json").read_text())
    assert [row["model"] for row in found["models"]] == [
        "global-mean", "user-mean", "item-mean", "biases", "pop", "mf",
    ]  # fmt: skip
    assert found["recipe"]["monitor"] == "rmse"
    done(segue("evaluate models/mf --data rated.csv --json again.json"))
    again = json.loads((here / "again.json").read_text())
    for metric, cell in again["models"][0]["metrics"].items():
        assert cell["mean"] == pytest.approx(found["models"][-1]["metrics"][metric]["mean"])
    out = done(
        segue(
            "search mf rated.csv --protocol ratings --trials 1 --no-baselines --set embedding_dim=2 --out models/found"
        )
    )
    assert re.search(r"validation rmse", out)
    code, _, err = segue("run mf rated.csv --protocol ratings --monitor ndcg@10")
    assert code == 2
    assert "ndcg@10: ratings predicts ratings; it measures rmse, mae, auc" in err
    code, _, err = segue("run mf events.csv --protocol ratings")
    assert code == 2
    assert "has no ratings to learn or to predict; name their column (--rating-col)" in err


def test_run_shows_the_cut_offs_that_are_asked_for(segue, here):
    out = done(segue("run pop events.csv -k 3 50 --monitor ndcg@50 --json run.json"))
    assert re.search(r"recall@3 .*ndcg@3 .*mrr@3 .*recall@50", out)
    found = json.loads((here / "run.json").read_text())
    assert found["protocol"]["fingerprint"] == Protocol.named("leave-one-out").fingerprint
    assert found["protocol"]["ks"] == [3, 5, 10, 20, 50]
    assert list(found["models"][0]["metrics"])[::3] == ["recall@3", "recall@50"]


def test_sessions_are_measured_by_the_split_they_bring(segue, here):
    (here / "sessions.csv").write_text(
        "user,split\n" + "".join(f"u{u},{'test' if u > 8 else 'train'}\n" for u in range(12))
    )
    done(segue("run item-knn events.csv --users sessions.csv --refit --json run.json"))
    found = json.loads((here / "run.json").read_text())
    assert found["protocol"]["name"] == "session"
    assert found["questions"] == 3 * 5
    log = read_log("events.csv", users="sessions.csv")
    again = Experiment(model="pop", protocol=Protocol.named("session"), refit=True).run(log).result
    assert found["models"][0]["metrics"]["mrr@10"]["mean"] == measure(again.ranks, "mrr@10").mean(), "rivals refit too"
    done(segue("evaluate models/item-knn --data events.csv --users sessions.csv -k 20"))


def leaky(here, users=12):
    """Sessions beside `events.csv`; the last three are tests, and one of them does what a training session did."""
    text = (here / "events.csv").read_text().splitlines()
    copied = [line.replace("u0,", "u9,") for line in text if line.startswith("u0,")]
    kept = [line for line in text if not line.startswith("u9,")]
    (here / "events.csv").write_text("\n".join([*kept, *copied]) + "\n")
    parts = [f"u{u},{'test' if u > 8 else 'valid' if u == 8 else 'train'}\n" for u in range(users)]
    (here / "sessions.csv").write_text("user,split\n" + "".join(parts))
    return "events.csv --users sessions.csv"


def test_what_test_and_training_share_is_told_shown_apart_and_left_out(segue, here):
    data = leaky(here)
    assert "! 33.3% of the test's events also occur in training" in " ".join(done(segue(f"data {data}")).split())
    out = done(segue(f"run item-knn {data} --by leak --json run.json"))
    assert "Warning: 33.3% of the test's events also occur in training" in " ".join(out.split())
    assert re.search(r"clean +10 +pop", out)
    found = json.loads((here / "run.json").read_text())
    assert [row["questions"] for row in found["by leak"] if row["metric"] == "mrr@10"] == [10, 10, 10, 5, 5, 5]
    assert found["warnings"][0].endswith("see --by leak, and --leak drop")
    again = done(segue(f"evaluate models/item-knn --data {data} --by leak --json again.json"))
    assert "clean" in again
    same = json.loads((here / "again.json").read_text())
    mine = [row for row in found["by leak"] if row["model"] == "item-knn"]
    assert [row["mean"] for row in same["by leak"]] == [row["mean"] for row in mine]

    out = done(segue(f"run item-knn {data} --leak drop --json run.json"))
    assert "Warning" not in out
    found = json.loads((here / "run.json").read_text())
    assert found["questions"] == 15
    assert found["protocol"]["leak"] == "drop"
    assert "Warning" not in done(segue(f"evaluate models/item-knn --data {data}"))


def test_the_next_several_items_can_be_asked_for(segue, here):
    pytest.importorskip("altair")
    data = leaky(here)
    out = done(segue(f"run pop {data} --horizon 3 -k 5 --by step --picture curve.svg --json run.json"))
    assert re.search(r"recall@5,1 .*recall@5,3 .*mrr@5,1", out)
    found = json.loads((here / "run.json").read_text())
    assert [row["questions"] for row in found["by step"]][::3] == [15, 12, 9]
    cell = found["models"][0]["metrics"]["recall@5,1"]
    assert found["by step"][0]["mean"] == cell["mean"]
    assert "recall@5" in (here / "curve.svg").read_text()
    assert segue(f"run pop {data} --by step")[0] == 2
    done(segue(f"run pop {data} --by length --picture length.html"))
    assert (here / "length.html").is_file()


SEARCH = "search hgn events.csv --space hyper.test --set epochs=2 window=3 --trials 3 -o models/found"


def test_search_reads_recboles_lines_and_saves_the_winner(segue, here):
    (here / "hyper.test").write_text(
        "learning_rate choice [0.01,0.001]\nembedding_size choice [4]\n"
        "pooling_type choice ['average','max']\nreg_weight choice ['[0.00,0.00]']\n"
    )
    out = done(segue(f"{SEARCH} --json found.json"))
    assert re.search(r"3 trials.*\n.*\n.*trial +validation ndcg@10 ", out)
    assert re.search(r"^ pop .*\n.*\n item-knn .*\n.*\n seq-knn .*\n.*\n hgn ", out, re.MULTILINE)
    found = json.loads((here / "found.json").read_text())
    trials = found["search"]["trials"]
    assert len(trials) == 3
    assert {(t["settings"]["embedding_dim"], tuple(t["settings"]["reg_weight"])) for t in trials} == {(4, (0.0, 0.0))}
    assert {t["settings"]["pooling"] for t in trials} <= {"avg", "max"}
    best = max((t for t in trials if t["state"] == "complete"), key=lambda t: t["metric"])
    assert found["recipe"]["settings"]["lr"] == best["settings"]["lr"]
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


def test_search_takes_the_space_that_the_model_declares(segue, here, monkeypatch):
    monkeypatch.delenv("SEGUE_QUIET")
    code, out, err = segue("search bprmf events.csv --trials 4 --set embedding_dim=4 epochs=2 --no-baselines")
    assert code == 0
    assert "seq-knn" not in out
    assert "Importance of the settings" in out
    assert re.search(r"trial 0 \(1 of 4\), \d+ s: \.\d+ in epoch [12] of 2; .*: lr=0.005 l2=0.001\n", err)
    assert err.endswith("saved to models/bprmf; next: segue recommend models/bprmf --user u0\n")
    assert json.loads((here / "models/bprmf/model.json").read_text())["config"]["embedding_dim"] == 4


def test_search_without_pictures_says_so(segue, here, monkeypatch):
    monkeypatch.delenv("SEGUE_QUIET")
    monkeypatch.setitem(sys.modules, "altair", None)
    code, _, err = segue("search bprmf events.csv --trials 4 --set embedding_dim=4 epochs=2 --no-baselines")
    assert code == 0
    assert 'pip install "segue[viz]"' in err
    assert "Importance of the settings" in (here / "models/bprmf.search/search.html").read_text()


def test_compare_ranks_saves_and_names_the_model_to_take(segue, here, sequential_workers, monkeypatch):
    monkeypatch.delenv("SEGUE_QUIET")
    command = "compare events.csv --models pop,item-knn,bprmf --exclude bprmf --trials 2 -o field --json field.json"
    code, out, err = segue(command)
    assert code == 0
    found = json.loads((here / "field.json").read_text())
    assert {row["model"] for row in found["models"]} == {"pop", "item-knn"}
    means = [row["metrics"]["ndcg@10"]["mean"] for row in found["models"]]
    assert means == sorted(means, reverse=True)
    assert found == json.loads((here / "field/result.json").read_text())
    assert "What it took" in out
    assert "peak MB" in out
    best = max(found["winners"], key=lambda name: found["winners"][name]["search"]["trial"]["metric"])
    assert found["serve"] == best
    assert err.endswith(f"best on validation: field/{best}; next: segue recommend field/{best} --user u0\n")
    assert "Recommended to user u0" in done(segue(f"recommend field/{best} --user u0"))
    page = (here / "field/report.html").read_text()
    assert page.count("<img") == 1
    assert "the same cap on seconds" in page
    assert (here / "field/quality.svg").exists()
    sequential_workers.started.clear()
    assert segue(command)[:2] == (0, out)
    assert sequential_workers.started == []


def test_compare_means_by_all_those_that_rank(segue, here, sequential_workers):
    ranking = ",".join(name for name, kind in MODELS.items() if not issubclass(kind, PairScorer))
    code, _, err = segue(["compare", "events.csv", "--models", "all", "--exclude", ranking])
    assert code == 2
    assert "no model is left to compare" in err
    done(segue("compare events.csv --models mf,pop --trials 1 --json field.json"))
    assert "has no ratings" in json.loads((here / "field.json").read_text())["left_out_models"]["mf"]


def test_compare_goes_on_without_those_that_cannot_learn(segue, here, sequential_workers, monkeypatch):
    def fail(self, log):
        raise DataError("needs times")

    monkeypatch.setattr(MODELS["item-knn"], "fit", fail)
    out = done(segue("compare events.csv --models pop,item-knn --trials 1 --json field.json"))
    assert "item-knn is left out: needs times" in out
    assert json.loads((here / "field.json").read_text())["left_out_models"] == {"item-knn": "needs times"}
    assert (here / "compare/events/report.html").exists()


def test_users_who_return_to_items_are_measured_with_repeats(segue, here):
    (here / "again.csv").write_text(events(items=3))
    done(segue("run pop again.csv --json run.json"))
    assert json.loads((here / "run.json").read_text())["protocol"]["exclude_seen"] is False


def test_evaluate_repeats_what_run_has_measured(segue, here):
    done(segue("run item-knn events.csv --no-baselines --json run.json"))
    out = done(segue("evaluate models/hgn models/item-knn --data events.csv -k 10 2 10 --json evaluate.json"))
    assert re.search(r"recall@2 .*ndcg@2 .*mrr@2 .*recall@10", out)
    ran, evaluated = (json.loads((here / f"{name}.json").read_text()) for name in ("run", "evaluate"))
    assert [row["model"] for row in evaluated["models"]] == ["models/hgn", "models/item-knn"]
    assert evaluated["protocol"]["ks"] == [2, 10]
    assert evaluated["protocol"]["fingerprint"] == ran["protocol"]["fingerprint"]
    assert evaluated["models"][1]["popularity@2"] > 0
    for metric, cell in ran["models"][0]["metrics"].items():
        assert evaluated["models"][1]["metrics"][metric]["mean"] == cell["mean"]


def test_recommend_answers_by_title_for_a_user_and_for_a_history(segue, here):
    rows = "".join(f"{i},[{'abcdefgh'[i]}] film,{1990 + i}\n" for i in range(8))
    (here / "films.csv").write_text(f"item,title,year\n{rows}")
    done(segue("run hgn events.csv --items films.csv --set embedding_dim=4 epochs=30"))
    out = done(segue("recommend models/hgn --user u1 --json user.json"))
    found = json.loads((here / "user.json").read_text())
    assert found["user"] == "u1"
    assert found["last_seen"] == [f"[{'abcdefgh'[i]}] film ({1990 + i})" for i in (4, 5, 6, 7, 0)]
    assert {one["item"] for one in found["recommended"]} == {1, 2}
    scores = [one["score"] for one in found["recommended"]]
    assert scores == sorted(scores, reverse=True)
    assert all(f" {title} " in out for title in found["last_seen"])
    for one in found["recommended"]:
        assert f"{one['title']} " in out
        assert f"{one['score']:.3f}" in out
    done(segue("recommend models/hgn --history 2,3,4 -k 1 --json history.json"))
    (one,) = json.loads((here / "history.json").read_text())["recommended"]
    assert one["title"] == "[f] film (1995)"


def test_recommend_says_when_every_item_was_seen(segue):
    out = done(segue("recommend models/pop --history 0,1,2,3,4,5,6,7"))
    assert "Nothing is left to recommend to this history: every item was seen." in out


def test_data_shows_a_log_and_saves_it_for_the_other_commands(segue, here):
    out = done(segue("data events.csv --out log --json data.json"))
    assert "72 events of 12 users with 8 items" in out
    found = json.loads((here / "data.json").read_text())
    assert found["fingerprint"] == read_log("events.csv").fingerprint
    assert [step["rows"] for step in found["steps"]] == [72]
    done(segue("evaluate models/pop --data log"))


def test_json_goes_to_a_pipe_as_it_is(here):
    ran = subprocess.run([*PYTHON, "data", "events.csv", "--json", "/dev/stdout"], capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout[ran.stdout.index(b"{") :])["rows"] == 72


def test_demo_goes_the_whole_path(segue, here, monkeypatch):
    asked = []
    log = cycle(num_users=60, num_items=12, length=8)
    monkeypatch.setattr(catalog, "load", lambda name: asked.append(name) or log)
    preset = dict(saved_model.MODELS["hgn"].presets["recbole"])
    monkeypatch.setitem(saved_model.MODELS["hgn"].presets, "recbole", {**preset, "epochs": 2})
    out = done(segue("demo --out shown --json demo.json"))
    assert asked == ["ml-100k"]
    assert "Recommended to user 42:" in out
    assert [row["model"] for row in json.loads((here / "demo.json").read_text())["models"]] == [
        *("pop", "item-knn", "seq-knn", "bprmf", "hgn")
    ]
    assert {folder.name for folder in (here / "shown").iterdir()} == {"pop", "item-knn", "seq-knn", "bprmf", "hgn"}


def test_reproduce_prints_ours_beside_the_paper(segue, here, monkeypatch):
    row = Row(method="HGN", metric="recall@10", ours=(0.04, 1 / 3), paper=0.0426)
    monkeypatch.setitem(
        recipes.TABLES,
        "toy",
        lambda runs, quick: Reproduction(
            title="Table 0", rows=(row,), notes=(f"quick is {quick}, fresh is {runs.fresh}, kept in {runs.folder}",)
        ),
    )
    out = done(segue("reproduce toy --quick --fresh --runs kept --json table.json --out pages"))
    assert re.search(r"HGN .*\.1867 .*\.0426 .*4\.38 *\n .*\.0400–\.3333", out)
    assert "quick is True, fresh is True, kept in kept" in out
    assert json.loads((here / "table.json").read_text())["rows"][0]["seeds"] == [0.04, 1 / 3]
    assert "<td>.1867</td>" in (here / "pages" / "toy.html").read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_explains_every_option(segue, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "250")
    out = done(segue(f"{command} --help"))
    assert out.startswith(f"Usage: segue {command}")
    rows = [re.split(r"\s{2,}", line.strip("│* \n")) for line in out.splitlines() if line.startswith("│")]
    explained = {name: text for names, *text in rows for name in names.split()}
    options = [name for argument in app[command].assemble_argument_collection() for name in argument.names]
    assert "--json" in explained or "--json" not in options
    for name in {name for name in options if name != "*"}:
        assert len(" ".join(explained[name])) > 10, name


def test_examples_in_the_help_are_commands(segue):
    shown = [done(segue(f"{command} --help")) for command in ("", *COMMANDS)]
    examples = [line.split("  ")[0] for text in shown for line in re.findall(r"^  (segue .*)", text, re.MULTILINE)]
    assert len(examples) > 10
    for example in examples:
        if "COMMAND" not in example:
            command, *_ = app.parse_args(shlex.split(example)[1:], exit_on_error=False, print_error=False)
            assert command.__name__ == example.split()[1]


def test_no_arguments_give_the_help(segue):
    assert done(segue([])) == done(segue(["--help"])) == done(segue(["-h"]))


def test_help_starts_fast_and_without_torch():
    code = "import sys; from segue.cli import status; status(['--help']); sys.exit('torch' in sys.modules)"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert (ran.returncode, ran.stderr) == (0, b"")
        seconds.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert min(seconds) < 1.0


def test_the_package_runs_as_a_module():
    ran = subprocess.run([*PYTHON, "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"segue \d+\.\d+\.\d+\n", ran.stdout)


@pytest.mark.parametrize("command", ["--help", "run --help", "data events.csv", "recommend models/pop --user u1"])
def test_a_pipe_that_closes_early_ends_quietly(here, command):
    with subprocess.Popen([*PYTHON, *command.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def weights(folder):
    return {key: value.numpy() for key, value in saved_model.load(folder).model.state_dict().items()}


def test_an_interrupted_run_is_taken_up_by_the_same_command(segue, here, monkeypatch):
    done(segue(f"{HGN} --out whole"))
    epoch, passes = train.train_epoch, []

    def twice_only(*args):
        if len(passes) == 2:
            raise KeyboardInterrupt
        passes.append(args)
        return epoch(*args)

    with monkeypatch.context() as patch:
        patch.setattr(train, "train_epoch", twice_only)
        code, out, err = segue(f"{HGN} --out parts")
    assert (code, out) == (130, "")
    assert err == "segue: interrupted; the same command goes on from there\n"
    assert not (here / "parts").exists()
    done(segue(f"{HGN} --out parts"))
    whole, parts = weights("whole"), weights("parts")
    assert all(np.array_equal(whole[key], parts[key]) for key in whole)
    assert (here / "parts/training.jsonl").read_text().count("\n") == 5
    assert not (here / "parts.training").exists()


def test_control_c_ends_a_process_with_130_and_leaves_what_it_can_go_on_from(here):
    command = [
        *PYTHON,
        "run",
        "hgn",
        "events.csv",
        "--set",
        "embedding_dim=4",
        "epochs=1000000",
        "--patience",
        "1000000",
    ]
    state = here / "models/hgn.training/state.safetensors"
    before = (here / "models/hgn/model.json").read_bytes()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        limit = time.monotonic() + 60
        while not state.exists() and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err == "segue: interrupted; the same command goes on from there\n"
    assert state.exists()
    assert (here / "models/hgn/model.json").read_bytes() == before


def test_a_command_that_does_not_train_promises_nothing_when_interrupted(segue, monkeypatch):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(catalog, "load", interrupt)
    assert segue("data events.csv") == (130, "", "segue: interrupted\n")


def test_a_fault_of_the_program_is_not_dressed_up_as_bad_input(segue, monkeypatch):
    def fail(*args, **options):
        raise RuntimeError("a bug")

    monkeypatch.setattr(catalog, "load", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        status(["data", "events.csv"])


@pytest.mark.parametrize(
    ("command", "limit", "place"),
    [
        ("run pop events.csv", 100, "models/pop"),
        ("data events.csv -o log", 100, "log"),
        (HGN, 10, "models/hgn.training"),
        (HGN, 1000, "models/hgn.training"),
    ],
    ids=["model", "log", "course of the training", "state of the training"],
)
def test_a_disk_that_fills_up_leaves_what_was_there(here, segue, command, limit, place):
    done(segue("data events.csv -o log"))
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
    try:
        code, _, err = segue(command)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert code == 2
    assert re.fullmatch(rf"segue: \S*{place}: .*File too large.*\n", err)
    assert {path: path.read_bytes() for path in before} == before
    assert not [path for path in here.rglob("*") if path.name.startswith(".") or path.suffix == ".tmp"]
