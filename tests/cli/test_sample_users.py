"""`--sample-users` and `--sample-test-users`: validation and test on randomly drawn users."""

from __future__ import annotations

import json
import re

import pytest

from segue.cli.options import protocol as protocol_options
from segue.evaluation.protocol import Protocol

from .logs import done

SAMPLED = "--sample-users 5 --sample-test-users 4 --sample-seed 2"
WANTED = Protocol.named("leave-one-out").with_settings({"sample_users": 5, "sample_test_users": 4, "sample_seed": 2})


def words(text):
    return " ".join(text.split())


def test_a_sample_is_kept_with_the_model_and_used_again(segue, here):
    shown = words(done(segue(f"run pop events.csv {SAMPLED} --out models/few --json run.json")))
    assert "validation is of at most 5 randomly drawn users (seed 2); the figures are of at most 4" in shown
    assert "Left out: 8 instances of users that were not drawn." in shown
    facts = json.loads((here / "run.json").read_text())
    assert (facts["instances"], facts["protocol"]["fingerprint"]) == (4, WANTED.fingerprint)
    stored = json.loads((here / "models/few/model.json").read_text())["experiment"]["protocol"]
    assert (stored["sample_users"], stored["sample_test_users"], stored["sample_seed"]) == (5, 4, 2)
    again = done(segue("evaluate models/few --data events.csv --json again.json"))
    assert WANTED.fingerprint in again
    means = [
        {row["model"]: row["metrics"]["recall@10"]["mean"] for row in json.loads(file.read_text())["models"]}
        for file in (here / "run.json", here / "again.json")
    ]
    assert means[0]["pop"] == next(iter(means[1].values()))


@pytest.mark.parametrize(
    "command",
    [
        "compare events.csv --models pop,item-knn --trials 1 --out models/best",
        "search item-knn events.csv --trials 2 --out models/found",
        "run pop events.csv --final --out models/final",
        "run item-knn events.csv --rerank pop --candidates 5 --out models/two --tie-range 2",
        "run pop events.csv --by length --out models/groups",
    ],
)
def test_every_command_that_measures_draws_the_same_users(segue, here, command):
    assert WANTED.fingerprint in done(segue(f"{command} {SAMPLED}"))


def test_a_blend_and_a_first_stage_are_of_the_same_sample(segue, here):
    done(segue(f"run pop events.csv --no-baselines {SAMPLED} --out models/few"))
    done(segue(f"run item-knn events.csv --no-baselines {SAMPLED} --out models/knn"))
    assert WANTED.fingerprint in done(segue("blend models/few models/knn --data events.csv --out models/mix"))
    assert WANTED.fingerprint in done(
        segue(f"run item-knn events.csv --rerank models/few {SAMPLED} --candidates 5 --out models/two")
    )
    for command in (
        "blend models/few models/pop --data events.csv --out models/no",
        "run item-knn events.csv --rerank models/few --candidates 5 --out models/no",
    ):
        code, _, err = segue(command)
        assert code == 2
        assert "they differ in sample_users=5, sample_test_users=4, sample_seed=2 on one side, sample_users=None" in err
    assert not (here / "models/no").exists()


def test_evaluate_draws_users_of_the_test_and_compares_models_of_other_validations(segue, here):
    done(segue("run pop events.csv --no-baselines --sample-users 5 --out models/few"))
    out = words(done(segue("evaluate models/few --data events.csv")))
    assert "validation is of at most 5 randomly drawn users" in out
    both = words(done(segue("evaluate models/few models/pop --data events.csv")))
    assert Protocol.named("leave-one-out").fingerprint in both
    assert "drawn" not in both
    drawn = words(done(segue("evaluate models/few models/pop --data events.csv --sample-test-users 3 --sample-seed 1")))
    assert "the figures are of at most 3 randomly drawn users (seed 1)" in drawn
    done(segue("run pop events.csv --no-baselines --sample-test-users 5 --out models/tested"))
    code, _, err = segue("evaluate models/tested models/pop --data events.csv")
    assert code == 2
    assert re.search("differ in sample_test_users=5, sample_seed=0 on one side, .*; evaluate both", err)


def test_newer_events_are_measured_on_a_sample(segue, here):
    done(segue("run pop events.csv --no-baselines --sample-users 5 --out models/few"))
    lines = (here / "events.csv").read_text()
    newer = "".join(f"u{u},{(u + 5) % 8},{1_600_001_000 + u}\n" for u in range(12))
    (here / "newer.csv").write_text(lines + newer)
    out = words(done(segue("evaluate models/few models/pop --data newer.csv --sample-test-users 3")))
    assert "the figures are of at most 3 randomly drawn users (seed 0)" in out
    assert "validation is of" not in out


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ("", "validation and test may rank 8 items for each of 12 users, which takes long; --sample-users 10000 and"),
        ("--sample-users 5", "test may rank 8 items"),
        (SAMPLED, None),
    ],
)
def test_a_remark_names_the_options_where_users_are_many(segue, here, monkeypatch, options, parts):
    monkeypatch.delenv("SEGUE_QUIET")
    command = f"run pop events.csv --no-baselines --out models/few {options}"
    assert "may rank" not in words(segue(command)[2])
    monkeypatch.setattr(protocol_options, "MANY_SCORES", 96)
    err = words(segue(command)[2])
    assert (parts or "saved to") in err
    assert ("may rank" in err) == (parts is not None)
    assert ("validation and" in err) == (options == "")
