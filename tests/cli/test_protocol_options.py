"""Options of evaluation: they change the protocol, and are errors for a protocol without such a setting."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from segue.evaluation.protocol import Protocol
from segue.serving import saved_model

from .logs import BASELINES, events

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


SHOP = "user,item,time\n" + "".join(
    f"u{u},i{(u + 2 * order + line) % 9},{1_600_000_000 + 86_400 * order + 40 * line}\n"
    for u in range(12)
    for order in range(4)
    for line in range(3)
)


def protocol_of(segue, here, options, data="events.csv"):
    """The protocol of a run, as its JSON has it."""
    code, _, err = segue(f"run pop {data} --no-baselines --json run.json {options}")
    assert (code, err) == (0, "")
    return json.loads((here / "run.json").read_text())["protocol"]


@pytest.mark.parametrize(
    ("options", "by", "arguments"),
    [
        ("--test 2", "leave-last-out", {"valid": 1, "test": 2}),
        ("--valid 0", "leave-last-out", {"valid": 0, "test": 1}),
        ("--protocol recbole --valid 2 --test 2.0", "leave-last-out", {"valid": 2, "test": 2}),
        ("--protocol hgn --test 0.4", "ratio", {"valid": 0.1, "test": 0.4, "rounding": "author"}),
        ("--protocol global-time --valid 0.2 --test 0.3", "global-time", {"valid": 0.2, "test": 0.3}),
        ("--protocol global-time --date 1600000400", "date", {"date": 1_600_000_400, "valid": 0.1}),
        ("--protocol global-time --date 2020-09-13T12:33:20Z", "date", {"date": 1_600_000_400, "valid": 0.1}),
        ("--protocol global-time --date 2020-09-13T14:33:20+02:00", "date", {"date": 1_600_000_400, "valid": 0.1}),
        ("--protocol global-time --date 1600000300 --valid 0.2", "date", {"date": 1_600_000_300, "valid": 0.2}),
        ("--protocol whole-users --test 0.5", "whole-users", {"valid": 0.1, "test": 0.5, "seed": 0}),
        ("--protocol next-basket --gap 0", "next-basket", {"gap": 0}),
    ],
)
def test_options_are_arguments_of_the_split(segue, here, options, by, arguments):
    stored = protocol_of(segue, here, options)
    assert (stored["by"], stored["arguments"]) == (by, arguments)
    plain = {k: v for k, v in stored.items() if k not in ("fingerprint", "sentence")}
    assert Protocol.from_dict(plain).fingerprint == stored["fingerprint"]


def test_a_date_is_in_the_unit_of_the_log(segue, here):
    (here / "fine.csv").write_text(events().replace(",16", ",16").replace("\n", "000\n").replace("time000", "time"))
    stored = protocol_of(segue, here, "--protocol global-time --date 2020-09-13T12:33:20", data="fine.csv")
    assert stored["arguments"]["date"] == 1_600_000_400_000
    assert segue("run mf fine.csv --protocol ratings --date 2020-09-13T12:33:20 --no-baselines")[0] == 2  # no ratings


@pytest.mark.parametrize(
    ("options", "name", "exclude_seen"),
    [
        ("", "leave-one-out", True),
        ("--include-seen", "leave-one-out, repeats allowed", False),
        ("--exclude-seen", "leave-one-out", True),
        ("--protocol recbole --exclude-seen", "recbole, seen items left out", True),
        ("--protocol recbole --include-seen", "recbole", False),
        ("--protocol next-basket", "next-basket, seen items left out", True),
        ("--protocol next-basket --include-seen", "next-basket", False),
    ],
)
def test_seen_items_are_left_out_or_not(segue, here, options, name, exclude_seen):
    stored = protocol_of(segue, here, options)
    assert (stored["name"], stored["exclude_seen"]) == (name, exclude_seen)


def test_the_split_in_the_rows_of_a_file_is_used_or_left_out_by_name(segue, here):
    header, *rows = events().splitlines()
    parts = ["train", "train", "train", "valid", "test", "test"]
    lines = [f"{row},{parts[n % 6]}\n" for n, row in enumerate(rows)]
    (here / "split.csv").write_text("".join([f"{header},split\n", *lines]))
    stored = protocol_of(segue, here, "", data="split.csv")
    assert (stored["name"], stored["by"]) == ("given, seen items left out", "given")
    assert json.loads((here / "run.json").read_text())["instances"] == 24
    assert protocol_of(segue, here, "--include-seen", data="split.csv")["name"] == "given"
    assert protocol_of(segue, here, "--split-col ''", data="split.csv")["name"] == "leave-one-out"
    assert segue("data split.csv --out saved")[0] == 0
    assert protocol_of(segue, here, "", data="saved")["fingerprint"] == stored["fingerprint"]
    assert segue("run pop split.csv --no-baselines --out models/split")[0] == 0
    moved = "".join([f"{header},split\n", *(line.replace("valid", "train") for line in lines)])
    (here / "split.csv").write_text(moved)
    code, _, err = segue("evaluate models/split --data split.csv")
    assert code == 2
    assert "was trained on another log" in err


def tied_log(here):
    """Of each user the last three of six events have one time."""
    header, *rows = events().splitlines()
    (here / "tied.csv").write_text(
        "".join(
            [
                f"{header}\n",
                *(f"{row.rpartition(',')[0]},{1_600_000_000 + min(n % 6, 3)}\n" for n, row in enumerate(rows)),
            ]
        )
    )


def test_the_table_says_how_many_targets_tie_and_the_range_over_orders_of_ties(segue, here):
    tied_log(here)
    code, out, _ = segue("run hgn tied.csv --set embedding_dim=4 epochs=1 --tie-range 4 --json run.json")
    text = " ".join(out.split())
    assert code == 0
    assert "In 100% of the instances the (first) target has the time of the row before it" in text
    assert "Over 4 random orders of the events of a user that have the same time" in text
    assert f"Trained again for each order: {', '.join(BASELINES)}. Not trained again: hgn;" in text
    facts = json.loads((here / "run.json").read_text())
    assert facts["tied"] == 1.0
    ranges = facts["tie_range"]
    assert ranges["orders"] == 4
    assert [row["model"] for row in ranges["models"]] == [m for m in (*BASELINES, "hgn") for _ in range(3)]
    assert all(0 <= row["lowest"] <= row["highest"] <= 1 for row in ranges["models"])
    assert ranges["trained_on_targets"]["pop"] is None
    assert 0 < ranges["trained_on_targets"]["hgn"] < 1
    code, out, _ = segue("evaluate models/hgn --data tied.csv --tie-range 4 --json evaluate.json")
    assert code == 0
    again = json.loads((here / "evaluate.json").read_text())["tie_range"]["models"]
    assert [row["highest"] for row in again] == [row["highest"] for row in ranges["models"] if row["model"] == "hgn"]


def test_the_range_is_named_only_where_it_can_be_given(segue, here):
    tied_log(here)
    named = "--tie-range 10 shows how much the figures change"
    assert named in segue("run pop tied.csv --no-baselines --out models/tied")[1]
    assert named in segue("evaluate models/tied --data tied.csv")[1]
    assert named not in segue("evaluate models/tied --data tied.csv --tie-range 2")[1]
    for options in ("--final", "--seeds 2", "--tie-range 2", "--protocol prequential --retrain nightly"):
        assert named not in segue(f"run pop tied.csv --no-baselines {options}")[1]
    code, out, _ = segue("search item-knn tied.csv --trials 1")
    assert code == 0
    assert "the (first) target has the time of the row before it" in " ".join(out.split())
    assert "tie-range" not in out
    rows = [f"u{user},{item},1700000000" for user in (0, 1) for item in (1, 2, 3)]
    (here / "newer.csv").write_text("\n".join(["user,item,time", *rows, ""]))
    code, out, _ = segue("evaluate models/tied --data newer.csv")
    assert code == 0
    assert "the (first) target has the time of the row before it" in " ".join(out.split())
    assert "tie-range" not in out


def test_a_log_without_ties_says_so(segue):
    code, out, _ = segue("run pop events.csv --no-baselines --tie-range 3")
    text = " ".join(out.split())
    assert code == 0
    assert "No two events of a user have the same time" in text
    assert "of the instances the (first) target" not in text


def test_the_range_of_two_stages(segue, here):
    tied_log(here)
    code, out, _ = segue("run pop tied.csv --rerank item-knn --no-baselines --tie-range 2")
    assert code == 0
    assert "Trained again for each order: item-knn. Not trained again: pop after item-knn;" in " ".join(out.split())


def test_the_next_order_of_a_shop(segue, here):
    """Every order has 3 lines, 40 s apart: the last line is asked for, or the whole order."""
    (here / "shop.csv").write_text(SHOP)
    code, out, _ = segue("run pop shop.csv --no-baselines")
    text = " ".join(out.split())
    assert code == 0
    assert "Warning: 100% of the test targets follow within a minute of the row before them" in text
    assert "--protocol next-basket --gap 60" in text
    code, out, _ = segue("run pop shop.csv --no-baselines --protocol next-basket --gap 60")
    text = " ".join(out.split())
    assert code == 0
    assert "12 evaluation instances, 36 targets" in text
    assert "Warning" not in text
    assert "--protocol next-basket --gap 60" in " ".join(segue("data shop.csv")[1].split())


def test_where_users_return_their_own_popularity_is_a_baseline(segue, here):
    rows = (f"u{u},i{(u + t % 3) % 8},{1_600_000_000 + 1000 * t + u}\n" for u in range(12) for t in range(9))
    (here / "again.csv").write_text("".join(["user,item,time\n", *rows]))
    out = segue("run hgn again.csv --set embedding_dim=4 epochs=1 --json run.json")[1]
    assert "s-pop" in out
    assert json.loads((here / "run.json").read_text())["baselines"] == [*BASELINES, "s-pop"]
    assert protocol_of(segue, here, "--protocol leave-one-out", "again.csv") == protocol_of(
        segue, here, "", "again.csv"
    )
    assert "s-pop" not in segue("run pop events.csv")[1]
    assert "s-pop" not in segue("run pop again.csv --exclude-seen")[1]
    assert segue("run s-pop again.csv --json run.json")[0] == 0
    assert json.loads((here / "run.json").read_text())["baselines"] == BASELINES


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
