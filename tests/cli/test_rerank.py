"""`segue run MODEL DATA --rerank FIRST`: what it prints and saves, and its error messages."""

from __future__ import annotations

import json

import pytest

from segue.serving.saved_model import load

from .logs import BASELINES

SMALL = "--set embedding_dim=2 epochs=2"


def test_both_stages_are_shown_and_saved(segue, here):
    first = "--rerank seq-knn --rerank-preset rules --rerank-set max_distance=4 position_decay=0.7"
    code, _, err = segue(f"run bprmf events.csv {SMALL} {first} --candidates 3 --json run.json")
    assert (code, err) == (0, "")
    found = json.loads((here / "run.json").read_text())
    shown = [row["model"] for row in found["models"]]
    assert shown[-2:] == ["seq-knn", "bprmf after seq-knn"]
    assert sorted(shown[:-1]) == sorted(found["baselines"]) == sorted(BASELINES)
    assert [part["settings"] for part in found["experiment"]["parts"]] == [
        {"max_distance": "4", "position_decay": "0.7"},
        {"embedding_dim": "2", "epochs": "2"},
    ]
    model = load(here / "models/bprmf-after-seq-knn").model
    config = model.first.config
    assert (config.max_distance, config.backward_weight, config.position_decay) == (4, 0.3, 0.7)
    assert (model.second.name, model.config.candidates) == ("bprmf", 3)


def test_every_command_accepts_two_stages(segue, here):
    code, out, err = segue(
        f"run bprmf events.csv {SMALL} --rerank models/hgn --candidates 2 --no-baselines --json run.json"
    )
    assert (code, err) == (0, "")
    figures = json.loads((here / "run.json").read_text())["models"]
    assert [row["model"] for row in figures] == ["models/hgn", "bprmf after models/hgn"]
    assert segue("evaluate models/bprmf-after-hgn models/hgn --data events.csv --json again.json")[0] == 0
    again = json.loads((here / "again.json").read_text())["models"]
    assert again[0]["metrics"]["ndcg@10"]["mean"] == figures[1]["metrics"]["ndcg@10"]["mean"]
    for command in ("recommend models/bprmf-after-hgn --user u3 -k 2", "explain models/bprmf-after-hgn --user u3 -k 2"):
        code, out, err = segue(command)
        assert (code, err) == (0, "")
        assert "Recommended to user u3" in out
    assert segue("blend models/bprmf-after-hgn models/pop --data events.csv")[0] == 0
    assert segue("run pop events.csv --rerank models/bprmf-after-hgn --no-baselines --out models/three")[0] == 0
    assert load(here / "models/three").model.first.name == "rerank"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--candidates 5", "--candidates: needs a first stage; name it with --rerank, such as --rerank seq-knn"),
        ("--rerank-preset rules", "--rerank-preset: needs a first stage"),
        ("--rerank-set max_distance=3", "--rerank-set: needs a first stage"),
        ("--rerank seq-knm", "no model 'seq-knm', did you mean 'seq-knn'"),
        ("--rerank seq-knn --rerank-set far=3", "unknown setting 'far'"),
        ("--rerank seq-knn --rerank-preset rule", "seq-knn has no preset 'rule', did you mean 'rules'"),
        ("--rerank seq-knn --candidates 0", "candidates=0: must be at least 1"),
        (
            "--rerank models/hgn --rerank-set embedding_dim=3",
            "--rerank-set: models/hgn is trained already; give the name of a mod",
        ),
        ("--rerank models/hgn --refit", "--refit: models/hgn is trained already; give the name of a model to train it"),
        (
            "--rerank models/ratio",
            "models/ratio: was trained under hgn (6b48d641b6e0493b), but this run uses leave-one-out (0ac98e118",
        ),
        ("--rerank models/other", "models/other: was trained on another log"),
        ("--rerank seq-knn --protocol ratings", "ratings: a protocol of ratings, and two stages order items"),
    ],
)
def test_wrong_options(segue, here, options, message):
    code, out, err = segue(f"run pop events.csv {options}")
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in (here / "models").iterdir()) == ["hgn", "other", "pop", "ratio"]


def test_a_refitted_first_stage_cannot_be_used(segue):
    assert segue("run pop events.csv --refit --out models/refitted --no-baselines")[0] == 0
    code, _, err = segue(f"run bprmf events.csv {SMALL} --rerank models/refitted")
    assert code == 2
    assert "models/refitted: was refitted on training and validation data" in err
