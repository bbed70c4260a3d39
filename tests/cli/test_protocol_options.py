"""Options of evaluation: they change the protocol, and are errors for a protocol without such a setting."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from segue.evaluation.protocol import Protocol
from segue.serving import saved_model

ALL = "--min-history 20 --min-item-history 4 --histories rolling --auc-users 3 --auc-seed 1"


@pytest.fixture
def rated(here):
    rows = (f"u{t % 7},i{t % 31},{1 + t * 3 % 5},{1_600_000_000 + 100 * t}\n" for t in range(200))
    (here / "rated.csv").write_text("".join(["user,item,rating,time\n", *rows]))


def test_options_are_settings_of_the_protocol(segue, here, rated):
    assert (
        segue(f"run mf rated.csv --protocol ratings --no-baselines --set embedding_dim=2 {ALL} --json run.json")[0] == 0
    )
    wanted = replace(
        Protocol.named("ratings"), min_history=20, min_item_history=4, histories="rolling", users=3, seed=1
    )  # type: ignore[call-arg]
    assert json.loads((here / "run.json").read_text())["protocol"]["fingerprint"] == wanted.fingerprint
    kept = saved_model.load("models/mf").about["experiment"]["protocol"]
    assert Protocol.from_dict({k: v for k, v in kept.items() if k != "fingerprint"}) == wanted.with_cut_offs((10,))
    code, out, err = segue(f"search mf rated.csv --protocol ratings --trials 1 --no-baselines --out models/found {ALL}")
    assert (code, err) == (0, "")
    assert wanted.fingerprint in out


def test_a_saved_model_is_evaluated_on_other_instances(segue, here, rated):
    assert segue("run mf rated.csv --protocol ratings --no-baselines --set embedding_dim=2")[0] == 0
    left = []
    for least in (3, 25, 26):
        code, out, err = segue(f"evaluate models/mf --data rated.csv --min-history {least} --min-item-history 1")
        assert (code, err) == (0, "")
        assert f"users with fewer than {least} and items with fewer than 1 ratings" in " ".join(out.split())
        left.append(int(re.findall(r"(\d+) ratings, 31 items", out)[0]))
    assert left[0] == left[1] > left[2]


def test_min_history_applies_to_protocols_that_rank(segue, here):
    for command in ("run pop events.csv --no-baselines", "evaluate models/pop --data events.csv"):
        code, out, err = segue(f"{command} --min-history 5")
        assert (code, err) == (0, "")
        assert "only instances with 5 or more earlier rows" in " ".join(out.split())


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            "run mf rated.csv --auc-users 3",
            "--auc-users: leave-one-out ranks items; this option is of protocols of rat",
        ),
        (
            "run mf rated.csv --protocol hgn --histories date",
            "--histories: hgn ranks items; this option is of protocols",
        ),
        (
            "search mf rated.csv --min-item-history 3",
            "--min-item-history: leave-one-out ranks items; this option is of prot",
        ),
        (
            "compare rated.csv --auc-seed 1",
            "--auc-seed: leave-one-out ranks items; this option is of protocols of rati",
        ),
        ("evaluate models/pop --data events.csv --histories rolling", "--histories: leave-one-out ranks items; this"),
        (
            "run mf rated.csv --protocol ratings --auc-seed 3",
            "--auc-seed 3: no users are drawn; give their num",
        ),
        ("run mf rated.csv --protocol ratings --auc-users 0", "users=0: must be at least 1"),
        ("run mf rated.csv --protocol ratings --min-history 0", "min_history=0: must be at least 1"),
        ("run mf rated.csv --protocol ratings --histories later", 'Invalid value "later" for --histories'),
        ("run mf rated.csv --protocol ratings --min-history 99", "no test instance is left .* fewer than 99 before"),
    ],
)
def test_wrong_options(segue, rated, command, message):
    code, out, err = segue(command)
    assert (code, out) == (2, "")
    assert re.match(f"segue: .*{message}", err)
    assert err.count("\n") == 1
