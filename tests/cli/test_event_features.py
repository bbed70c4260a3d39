"""Event features on the command line: how they are read, and what commands keep of them."""

from __future__ import annotations

import json

import pytest

from .logs import done

READ = "shop.csv --event-features device price"
SETTINGS = "--set embedding_dim=4 epochs=2 event_features=true"


@pytest.fixture
def visits(here):
    devices = ("phone", "", "desk")
    rows = (
        f"u{u},{(3 * u + t) % 8},{1_600_000_000 + 100 * t + u},{devices[t % 3]},{t * 1.5},x\n"
        for u in range(12)
        for t in range(9)
    )
    (here / "shop.csv").write_text("".join(["user,item,time,device,price,page\n", *rows]))


def test_a_model_reads_features_and_keeps_them(segue, here, visits):
    done(segue(f"run sasrec {READ} {SETTINGS}"))
    about = json.loads((here / "models/sasrec/model.json").read_text())
    assert about["sizes"]["event_features"] == [2, 0]
    assert "12 evaluation instances" in done(segue(f"evaluate models/sasrec --data {READ}"))
    code, _, message = segue("evaluate models/sasrec --data shop.csv")
    assert code == 2
    assert "--event-features" in message


def test_saved_logs_keep_features(segue, here, visits):
    done(segue(f"data {READ} -o kept"))
    done(segue(f"run sasrec kept {SETTINGS} --no-baselines"))
    code, _, message = segue("run pop kept --event-features price")
    assert code == 2
    assert "a saved log has its columns already; leave out event_features" in " ".join(message.split())


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            "run pop shop.csv --event-features devise",
            "no column 'devise' for the event features, did you mean 'device'",
        ),
        ("run pop shop.csv --event-features item", "column 'item' is the item already"),
        ("run sasrec events.csv --set event_features=true", "has no event features; read it with their columns"),
        (f"run hgn {READ} --set event_features=true", "unknown setting 'event_features'"),
    ],
)
def test_wrong_options_give_one_message(command, message, segue, here, visits):
    code, out, err = segue(command)
    assert (code, out) == (2, "")
    assert message in " ".join(err.split())
    assert "Traceback" not in err
