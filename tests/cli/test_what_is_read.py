"""What a model reads of events: a command says which columns nobody reads, and what a given history lacks."""

from __future__ import annotations

import json

import pytest

from .logs import done

SMALL = "--no-baselines --set embedding_dim=4 epochs=1"
TIMES = "times of events, and those of a given history are unknown to it: all count as of the time of the request"
READERS = {
    "hgn --request-time known": ("time=request", TIMES),
    "hstu": ("time=events", TIMES),
    "sasrec": ("event_types=true", "types of events, and those of a given history are unknown to it"),
    "esasrec": ("sessions=starts session_gap=60", "sessions of events, and those of a given history are unknown to it"),
    "bert4rec": ("event_features=true", "features of events, and those of a given history are unknown to it"),
}


@pytest.fixture
def visits(here, monkeypatch):
    """Events with a type, a device and a price, and commands that may speak."""
    rows = (
        f"u{u},{(3 * u + t) % 8},{1_600_000_000 + 100 * t + u},{('view', 'buy')[t % 2]},{('a', 'b')[u % 2]}\n"
        for u in range(12)
        for t in range(6)
    )
    (here / "shop.csv").write_text("".join(["user,item,time,kind,device\n", *rows]))
    rows = (f"u{u},{t % 5},{1_600_000_000 + 100 * t},v{t // 2}\n" for u in range(9) for t in range(6))
    (here / "visits.csv").write_text("".join(["user,item,time,visit\n", *rows]))
    monkeypatch.delenv("SEGUE_QUIET")


def said(segue, command):
    code, _, err = segue(command)
    assert code == 0, err
    return " ".join(err.split())


@pytest.mark.parametrize("model", READERS)
def test_what_a_given_history_lacks_is_said(model, segue, visits):
    setting, unknown = READERS[model]
    unknown = f"{model.split()[0]} reads the {unknown}"
    done(segue(f"run {model} shop.csv --event-col kind --event-features device {SMALL} {setting} --out models/m"))
    for command in ("recommend", "explain"):
        assert unknown not in said(segue, f"{command} models/m --user u3")
        assert unknown in said(segue, f"{command} models/m --history 3,5")


def test_times_of_a_given_history_are_read(segue, here, visits):
    done(segue(f"run sasrec shop.csv {SMALL} sessions=positions session_gap=60"))
    ask, times = "recommend models/sasrec --history 3,5,2 --json out.json", "--times 1600000000,1600000010,1600000200"
    done(segue(ask))
    plain = json.loads((here / "out.json").read_text())
    assert "sessions of events" not in said(segue, f"{ask} {times}")
    assert json.loads((here / "out.json").read_text()) != plain
    code, _, err = segue(f"{ask} --times 2020-09-13T12:26,2020-09-13,1600000200")
    assert code == 2
    assert "go back; give the oldest item first" in " ".join(err.split())
    for words, message in {
        "--history 3,5 --times 1600000000": "1 times for 2 items; give one for each item of the history",
        "--user u3 --times 1600000000": "no history; give one with --history or --item",
        "--history 3 --times soon": "--times soon",
        "--all --out x.csv --times 1600000000": "--all and --times: give only one of them",
    }.items():
        code, _, err = segue(f"recommend models/sasrec {words}")
        assert code == 2
        assert message in " ".join(err.split())
    code, _, err = segue("recommend models/pop --history 3 --times 1600000000")
    assert code == 2
    assert "pop does not read when events were; leave it out" in " ".join(err.split())


def test_columns_that_no_model_reads_are_named(segue, visits):
    read = "shop.csv --event-features device --event-col kind"
    able = "; --set {}=true of segue run and segue fit lets sasrec read them"
    for command, name in ((f"run ease {read} --no-baselines", "ease"), (f"fit pop {read}", "pop")):
        out = said(segue, command)
        assert f"--event-features device: not read by {name} " in f"{out} "
        assert f"--event-col kind: not read by {name} " in f"{out} "
    out = said(segue, f"run sasrec {read} {SMALL}")
    assert f"--event-features device: not read by sasrec{able.format('event_features')}" in out
    assert f"--event-col kind: not read by sasrec{able.format('event_types')}" in out
    assert "not read by" not in said(segue, f"run sasrec {read} {SMALL} event_features=true event_types=true")
    assert "not read by" not in said(segue, "run pop shop.csv --event-col kind --targets buy --no-baselines")
    assert "not read by" not in said(segue, "run pop shop.csv --event-col kind --set event_weights=buy=2")
    assert "not read by" not in said(segue, "run pop shop.csv --event-col kind --events buy --no-baselines")
    stages = said(segue, f"run sasrec {read} --rerank pop {SMALL} event_types=true")
    assert f"--event-features device: not read by pop, sasrec{able.format('event_features')}" in stages
    assert "--event-col kind: not read" not in stages


def test_columns_that_the_network_of_a_hybrid_reads_are_read(segue, visits):
    read = f"run hybrid shop.csv --event-col kind {SMALL} network=sasrec"
    able = "; --set event_types=true of segue run and segue fit lets hybrid read them"
    assert f"--event-col kind: not read by hybrid{able}" in said(segue, read)
    assert "not read by" not in said(segue, f"{read} event_types=true")


def test_a_column_of_sessions_that_no_model_reads_is_named(segue, visits):
    read = "visits.csv --session-col visit"
    able = "; --set sessions=starts of segue run and segue fit lets sasrec read them"
    assert "--session-col visit: not read by pop " in f"{said(segue, f'run pop {read} --no-baselines')} "
    assert f"--session-col visit: not read by sasrec{able}" in said(segue, f"run sasrec {read} {SMALL}")
    assert "not read" not in said(segue, f"run sasrec {read} {SMALL} sessions=starts")
    by_pause = said(segue, f"run sasrec {read} {SMALL} sessions=starts session_gap=60")
    assert "--session-col visit: not read, as session_gap tells the sessions apart" in by_pause
    assert "not read" not in said(segue, f"run pop {read} --protocol last-session --no-baselines")


def test_a_column_of_impressions_that_no_model_reads_is_named(segue, here, visits):
    rows = (f"u{u},{t},{1_600_000_000 + t},{t}|{(t + 1) % 6}\n" for u in range(9) for t in range(6))
    (here / "shown.csv").write_text("".join(["user,item,time,shown\n", *rows]))
    read = "shown.csv --impressions-col shown"
    able = "; --set negative_sampling=impressions of segue run and segue fit lets sasrec read them"
    assert "--impressions-col shown: not read by pop " in f"{said(segue, f'run pop {read} --no-baselines')} "
    unable = said(segue, f"run gru4rec {read} --no-baselines --set epochs=1 embedding_dim=4")
    assert "--impressions-col shown: not read by gru4rec" in unable
    assert "lets gru4rec" not in unable
    assert f"--impressions-col shown: not read by sasrec{able}" in said(segue, f"run sasrec {read} {SMALL}")
    assert "not read" not in said(segue, f"run sasrec {read} {SMALL} loss=bpr negative_sampling=impressions")
    code, _, err = segue(f"run sasrec {read} {SMALL} negative_sampling=impressions")
    assert code == 2
    assert "loss=ce compares a target with all items; choose bpr" in " ".join(err.split())
    code, _, err = segue(f"run sasrec visits.csv {SMALL} loss=bpr negative_sampling=impressions")
    assert code == 2
    assert "has no impressions; read it with their column" in " ".join(err.split())


def test_fit_gives_the_time_of_the_request(segue, visits):
    done(segue("fit hgn shop.csv --set epochs=1 embedding_dim=4 time=request"))
    done(segue("recommend models/hgn-final --user u3 --at 1600001000"))
    done(segue("fit hybrid shop.csv --set network=hgn epochs=1 embedding_dim=4 time=request"))
    done(segue("recommend models/hybrid-final --user u3 --at 1600001000"))
    done(segue("fit sasrec shop.csv --rerank hgn --rerank-set epochs=1 time=request --set epochs=1 embedding_dim=4"))


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ("learnt-counts --set lr=5", "try a smaller lr (now 5)"),
        ("learnt-counts --set shrinkage=1e300", "try a smaller shrinkage (now 1e+300)"),
        ("sasrec --set temperature=1e-40 epochs=1", "try a larger temperature (now 1e-40)"),
        ("sasrec --set lr=1e30 epochs=2 embedding_dim=4", "try a smaller lr (now 1e+30)"),
    ],
)
def test_a_training_that_went_wrong_names_the_setting(settings, advice, segue, visits):
    model, _, words = settings.partition(" ")
    code, _, err = segue(f"run {model} shop.csv --no-baselines {words}")
    assert code == 2
    assert " ".join(err.split()).endswith(advice)
