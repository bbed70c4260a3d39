"""`segue explain`: the table, the heat map and the JSON, and the error messages."""

from __future__ import annotations

import json
import re

import pytest

from segue.explain.occlusion import explain
from segue.explain.rating import explain_rating
from segue.serving import saved_model


def test_explain_prints_gates_and_contributions(segue, here):
    code, out, err = segue("explain models/hgn --user u1 -k 2 --last 3 --json found.json --html found.html")
    assert (code, err) == (0, "")
    assert "Recommended to user u1:" in out
    assert re.search(r"past item +age +feature gate +instance gate +1 +2", out)
    assert "means over heads and features" in " ".join(out.split())
    saved = saved_model.load("models/hgn")
    wanted = explain(saved.model, saved.log, user="u1", k=2, last=3)
    found = json.loads((here / "found.json").read_text())
    assert [one["contributions"] for one in found["past"]] == [one.contributions for one in wanted.past]
    assert [one["item"] for one in found["recommended"]] == [one.item for one in wanted.recommended]
    assert list(found["past"][0]["gates"]) == ["feature gate", "instance gate"]
    page = (here / "found.html").read_text()
    assert page.count("rgba(") >= 3
    assert "<h1>hgn for user u1</h1>" in page
    assert not re.search(r"https?://", page), "it can be read with no network"


def test_a_model_without_gates(segue):
    code, out, _ = segue("explain models/pop --history 2,3 -k 1")
    assert code == 0
    assert "this history" in out
    assert "gate" not in out.replace("gates and attention", "")
    assert "pop reads no item of the history: its scores do not depend on it." in " ".join(out.split())
    assert re.search(r"no item \(user, popularity, bias\) +\+7 *\n +score +7 *\n", out)


def test_everything_adds_up_to_the_score(segue, here):
    """What an additive model prints: the newest items, the older ones, no item, and the score that they add up to."""
    assert segue("run seq-knn events.csv --no-baselines --set window=4")[0] == 0
    code, out, _ = segue("explain models/seq-knn --history 0,1,2,3,4,1 -k 1 --last 2 --order time --json found.json")
    assert code == 0
    text = " ".join(out.split())
    assert "The contributions and the part that no item carries add up to the score." in text
    assert "seq-knn reads the newest 4 items; 2 older are not shown, because no score depends on them." in text
    assert "2 older together" in text
    found = json.loads((here / "found.json").read_text())
    assert [one["age"] for one in found["past"]] == [2, 1]
    total = sum(one["contributions"][0] for one in found["past"]) + found["older"][0] + found["rest"][0]
    assert total == pytest.approx(found["recommended"][0]["score"], rel=1e-5)
    assert (found["num_older"], found["num_unread"], found["additive"], found["removal"]) == (2, 2, True, "kept")


def test_what_takes_the_place_of_an_item_is_said(segue):
    settings = "--no-baselines --set embedding_dim=4 epochs=1"
    for model, gap in {
        "gru": "without an item, the older ones move up by one place",
        "sasrec": "Without the newest item, the older ones move up by one place; otherwise they stay.",
    }.items():
        assert segue(f"run {model} events.csv {settings}")[0] == 0
        text = " ".join(segue(f"explain models/{model} --user u1 -k 1")[1].split())
        assert gap in text
        assert "they do not add up to the score" in text
    assert "move up" not in segue("explain models/hgn --user u1 -k 1")[1]


def test_a_rating_is_explained_by_both_histories(segue, here):
    events = (here / "events.csv").read_text().splitlines()
    rated = [f"{line},{1 + row % 5}" for row, line in enumerate(events[1:])]
    (here / "rated.csv").write_text("\n".join([f"{events[0]},rating", *rated]) + "\n")
    settings = "embedding_dim=2 hidden_dim=3 context_dim=2 epochs=1 batch_size=32"
    assert segue(f"run iarn rated.csv --protocol ratings --no-baselines --set {settings}")[0] == 0
    code, out, err = segue("explain models/iarn --user u5 --item 2 --last 3 --json found.json --html found.html")
    assert (code, err) == (0, "")
    text = " ".join(out.split())
    assert re.search(r"user u5 is expected to rate 2 -?\d\.\d\d; the rating was \d, on 2020-09-13\.", text)
    assert "when user history rating gate contribution" in text
    assert "when item history rating gate contribution" in text
    assert re.search(r"Without both histories the model predicts -?\d\.\d+\.", text)
    assert re.search(r"2020-09-13 user u\d+(, after \d)? \d 0\.\d{3} [-+]", text)
    saved = saved_model.load("models/iarn")
    wanted = explain_rating(saved.model, saved.log, user="u5", item="2", last=3)
    found = json.loads((here / "found.json").read_text())
    assert found["predicted"] == wanted.predicted
    events = found["item_history"]["events"]
    assert [one["gates"] for one in events] == [one.gates for one in wanted.item_history.events]
    page = (here / "found.html").read_text()
    assert "<h1>iarn: user u5 and 2</h1>" in page
    assert page.count("rgba(") >= 6
    assert not re.search(r"https?://", page), "it can be read with no network"


def test_every_item_was_seen(segue, here):
    code, out, _ = segue("explain models/pop --history 0,1,2,3,4,5,6,7 --html page.html --json found.json")
    assert code == 0
    assert "Nothing is left to recommend to this history: every item was seen." in out
    assert "every item was seen" in (here / "page.html").read_text()
    assert json.loads((here / "found.json").read_text())["recommended"] == []


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("explain models/pop", r"no user and no history given: pass --user"),
        ("explain models/pop --user U3 --strict", r"unknown user 'U3', did you mean 'u3'"),
        ("explain models/pop --history 1,99 --strict", r"unknown item '99'"),
        (["explain", "models/pop", "--history", " , "], r"there is no name between two commas"),
        ("explain models/pop --user u3 -k 0", r"k=0: must be at least 1"),
        ("explain models/pop --user u3 --last 0", r"last=0: must be at least 1"),
        ("explain models/none --user u3", r"models/none: no such model folder"),
        (
            "explain models/pop --user u3 --item 1",
            r"pop: ranks items and predicts no rating; explain it without an item",
        ),
        (
            "explain models/pop --item 1",
            r"--item: needs --user, the user whose rating is explained, and no --history",
        ),
        ("explain models/pop --user u3 --html no/page.html", r"no/page\.html: cannot be written"),
        ("explain models/pop --user u3 --json no/found.json", r"--json no/found\.json: cannot be written"),
    ],
)
def test_wrong_arguments(segue, command, message):
    code, _, err = segue(command)
    assert code == 2
    assert re.match(rf"segue: .*{message}", err)
    assert "Traceback" not in err
    assert err.count("\n") == 1
