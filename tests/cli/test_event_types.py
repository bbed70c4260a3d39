"""Types of events on the command line: which are read, which are asked for, and what each command keeps of it."""

from __future__ import annotations

import json

import pytest

from .logs import done

READ = "shop.csv --event-col kind --events view buy"


@pytest.fixture
def typed(here):
    """Every third event is a purchase, others are views and shares."""
    kinds = ("view", "share", "buy")
    rows = (
        f"u{u},{(3 * u + t) % 8},{1_600_000_000 + 100 * t + u},{kinds[t % 3]}\n" for u in range(12) for t in range(9)
    )
    (here / "shop.csv").write_text("".join(["user,item,time,kind\n", *rows]))


def test_purchases_are_asked_for_and_all_events_are_read(segue, here, typed):
    out = done(segue(f"run sasrec {READ} --targets buy --set embedding_dim=4 epochs=2 event_types=true --json r.json"))
    assert "only events of type buy are targets" in " ".join(out.split())
    result = json.loads((here / "r.json").read_text())
    assert result["protocol"]["targets"] == ["buy"]
    assert "12 evaluation instances" in done(segue(f"evaluate models/sasrec --data {READ}"))
    code, _, message = segue("evaluate models/sasrec --data shop.csv")
    assert code == 2
    assert "types" in message


def test_a_model_without_targets_learns_and_is_asked_for_all(segue, here, typed):
    done(segue(f"run pop {READ} --json all.json --no-baselines"))
    done(segue(f"run pop {READ} --targets buy --json some.json --out models/buy --no-baselines"))
    both = [json.loads((here / name).read_text())["protocol"] for name in ("all.json", "some.json")]
    assert both[0]["fingerprint"] != both[1]["fingerprint"]
    assert "targets" not in both[0]


def test_saved_logs_keep_types(segue, here, typed):
    done(segue(f"data {READ} -o kept"))
    assert "buy" in done(segue("run pop kept --targets buy --no-baselines --out models/kept"))
    code, _, message = segue("run pop kept --targets gift --no-baselines")
    assert code == 2
    assert "no events of type 'gift'; it has: view, buy" in " ".join(message.split())


def test_weights_are_settings_that_change_no_protocol(segue, here, typed):
    for name, words in {"all": "", "some": "--set event_weights=view=0.3"}.items():
        done(segue(f"run seq-knn {READ} --targets buy --no-baselines --out models/{name} --json {name}.json {words}"))
    results = [json.loads((here / name).read_text()) for name in ("all.json", "some.json")]
    assert len({result["protocol"]["fingerprint"] for result in results}) == 1
    assert results[1]["experiment"]["settings"] == {"event_weights": "view=0.3"}
    assert "12 evaluation instances" in done(segue(f"evaluate models/some --data {READ}"))
    lists = [done(segue(f"recommend models/{name} --user u3")) for name in ("all", "some")]
    assert lists[0] != lists[1]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (f"run ease {READ} --set event_weights=gift=2", "no events of type 'gift'; it has: view, buy"),
        (f"run ease {READ} --set event_weights=view", "must be names of types, each with a weight of at least 0"),
        (f"run ease {READ} --set event_weights=view=0,buy=0", "no event counts in training"),
        ("run sasrec events.csv --set event_weights=buy=2", "has no types of events; read it with their column"),
        (f"run item2vec {READ} --set event_weights=buy=2", "unknown setting 'event_weights'"),
        ("run pop events.csv --targets buy", "has no types of events, so that there are no targets buy"),
        ("run pop events.csv --events buy", "no column looks as if it held types of events"),
        ("run pop shop.csv --event-col kin", "no column 'kin' for the event, did you mean 'kind'"),
        (
            f"run pop {READ} --targets buy --protocol hgn",
            "types of events can be chosen only where an instance has one",
        ),
        (f"run mf {READ} --targets buy --protocol ratings", "which has no such setting"),
        ("run sasrec events.csv --set event_types=true", "has no types of events; read it with their column"),
    ],
)
def test_wrong_options_give_one_message(command, message, segue, here, typed):
    code, out, err = segue(command)
    assert (code, out) == (2, "")
    assert message in " ".join(err.split())
    assert "Traceback" not in err
