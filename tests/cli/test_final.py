"""`segue run --final` and `segue fit`: the saved model has seen the whole log, and the figures say whose they are."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from segue.data.readers.ingest import read_log
from segue.serving.saved_model import load
from segue.training import loop as train

from .bad_input import Bad, check, written
from .logs import done, weights
from .test_external import EXAMPLE, FMC

SMALL = "--set embedding_dim=4 epochs=3"
WHOLE = "trained on all 72 events, the newest at 2020-09-13 12:35:11"


def about(folder):
    return json.loads((folder / "model.json").read_text())


def same_weights(one, two):
    first, second = weights(one), weights(two)
    return first.keys() == second.keys() and all(np.array_equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("model", ["pop", f"hgn {SMALL}", f"bprmf {SMALL} --rerank seq-knn"])
def test_the_final_model_has_seen_everything_and_the_figures_are_those_without_it(segue, here, model):
    name, _, options = model.partition(" ")
    measured = done(segue(f"run {name} events.csv {options} --out models/measured --json measured.json"))
    out = done(segue(f"run {name} events.csv {options} --final --out models/whole --json whole.json"))
    assert out.splitlines()[3] == measured.splitlines()[3]
    one, two = (json.loads((here / f"{which}.json").read_text())["models"] for which in ("measured", "whole"))
    assert [row["metrics"] for row in one] == [row["metrics"] for row in two]
    facts, before = about(here / "models/whole"), about(here / "models/measured")
    assert facts["trained_on"]["events"] == facts["log"]["events"] == 72
    assert facts["trained_on"]["newest"] == int(read_log("events.csv").time.max())
    assert facts["tested_model_trained_on"] == before["tested_model_trained_on"] == before["trained_on"]
    assert facts["tested_model_trained_on"]["events"] == 48
    assert facts["results"]["models"][0]["metrics"] == before["results"]["models"][0]["metrics"]
    assert not same_weights("models/whole", "models/measured")
    assert not (here / "models/whole.training").exists()


def test_counts_of_a_final_model_are_those_of_the_log(segue, here):
    done(segue("run pop events.csv --final --out models/whole"))
    log = read_log("events.csv")
    counts = next(iter(load("models/whole").model.state_dict().values()))
    assert counts[1:].tolist() == log.counts()[1:].tolist()


def test_the_last_line_says_what_was_seen(segue, here, monkeypatch):
    monkeypatch.delenv("SEGUE_QUIET")
    _, _, err = segue(f"run hgn events.csv {SMALL} --final --no-baselines")
    assert f"saved to models/hgn ({WHOLE}; the figures are of the model trained without the test part); next:" in err
    _, _, err = segue("fit pop events.csv")
    assert f"saved to models/pop-final ({WHOLE}; it was not measured); next:" in err


@pytest.mark.parametrize("options", ["", "--rerank seq-knn"])
def test_fit_like_a_measured_model_gives_its_final_model(segue, here, options):
    done(segue(f"run bprmf events.csv {SMALL} {options} --seed 5 --final --out models/whole"))
    best = about(here / "models/whole")["training"]["best"]
    done(segue(f"run bprmf events.csv {SMALL} --seed 5 --out models/alone"))
    choice = f"--set embedding_dim=4 epochs={best} --seed 5" if options else "--like models/alone"
    done(segue(f"fit bprmf events.csv {choice} {options} --out models/fitted --json fitted.json"))
    assert same_weights("models/fitted", "models/whole")
    stored = about(here / "models/fitted")
    assert "results" not in stored
    assert json.loads((here / "fitted.json").read_text())["trained_on"] == stored["trained_on"]
    assert "Recommended to user u0" in done(segue("recommend models/fitted --user u0"))


@pytest.mark.parametrize("name", ["num_layers", "n_layers"])
def test_fit_like_a_hybrid_changes_the_settings_of_its_network(name, segue, here):
    done(segue("run hybrid events.csv --no-baselines --set network=gru embedding_dim=4 epochs=1 --out models/gru"))
    done(segue(f"fit hybrid events.csv --like models/gru --set {name}=2 --out models/fitted"))
    network = about(here / "models/fitted")["config"]["network_settings"]
    assert network == {"embedding_dim": 4, "num_layers": 2}


def test_an_interrupted_final_fit_is_resumed(segue, here, monkeypatch):
    done(segue(f"run hgn events.csv {SMALL} lr=0.05 --refit --final --out models/whole"))
    epoch = train.train_epoch

    def stop_in_the_final_fit(model, optimizer, log, seed, number):
        if len(log) == 72 and number == 2:
            raise KeyboardInterrupt
        return epoch(model, optimizer, log, seed, number)

    best = about(here / "models/whole")["training"]["best"]
    assert best > 1
    with monkeypatch.context() as patch:
        patch.setattr(train, "train_epoch", stop_in_the_final_fit)
        assert segue(f"run hgn events.csv {SMALL} lr=0.05 --refit --final --out models/parts")[0] == 130
    assert (here / "models/parts.training/final/state.safetensors").exists()
    epochs = []
    with monkeypatch.context() as patch:
        patch.setattr(train, "train_epoch", lambda *args: (epochs.append(len(args[2])), epoch(*args))[1])
        done(segue(f"run hgn events.csv {SMALL} lr=0.05 --refit --final --out models/parts"))
    assert epochs[-1:] == [72]
    assert epochs.count(72) == best - 1, "the first epoch is not repeated"
    assert same_weights("models/parts", "models/whole")
    assert not (here / "models/parts.training").exists()


def test_an_outside_class_is_fitted_too(segue, here):
    shutil.copy(EXAMPLE, here / "fmc.py")
    done(segue(f"run {FMC} events.csv --set epochs=2 --final --no-baselines"))
    done(segue(f"fit {FMC} events.csv --like models/fmc"))
    assert about(here / "models/fmc-final")["trained_on"]["events"] == 72


def test_search_and_compare_fit_the_winner(segue, here, monkeypatch):
    pytest.importorskip("optuna")
    done(segue("search item-knn events.csv --trials 2 --final --no-baselines --out models/found"))
    assert about(here / "models/found")["trained_on"]["events"] == 72
    monkeypatch.delenv("SEGUE_QUIET")
    _, _, err = segue("compare events.csv --models pop,recent-pop --trials 1 --jobs 1 --minutes 1 --final --out field")
    assert "on the whole log, which is not part of the 1 minutes\n" in err
    best = json.loads((here / "field/result.json").read_text())["serve"]
    assert about(here / f"field/{best}")["trained_on"]["events"] == 48
    whole = about(here / f"field/{best}-final")
    assert (whole["trained_on"]["events"], whole["tested_model_trained_on"]["events"]) == (72, 48)


def test_models_shows_what_a_saved_model_was_trained_on(segue, here):
    done(segue("run pop events.csv --final --out models/whole"))
    out = " ".join(done(segue("models models/whole --json facts.json")).split())
    assert "whole log: all 72 events, the newest at 2020-09-13 12:35:11" in out
    assert "training part: 48 of 72 events, the newest at 2020-09-13 12:31:51" in out
    assert "ndcg@10 ." in out
    assert json.loads((here / "facts.json").read_text())["trained_on"]["events"] == 72
    done(segue("fit pop events.csv"))
    assert "measured never" in " ".join(done(segue("models models/pop-final")).split())


def final(patch):
    from segue.cli import status

    assert status(["run", "pop", "events.csv", "--final", "--out", "models/whole"]) == 0


SEEN = r"models/whole: was fitted on the whole log"
REFUSED = {
    "evaluate": Bad(
        "evaluate models/whole --data events.csv",
        rf"{SEEN}, and has seen the test data; trained without it, the model has recall@10 1?\.\d+",
        prepare=final,
    ),
    "evaluate beside another": Bad("evaluate models/pop models/whole --data events.csv", SEEN, prepare=final),
    "blend": Bad("blend models/hgn models/whole --data events.csv", f"{SEEN}.*choose a weight", prepare=final),
    "rerank": Bad(f"run hgn events.csv {SMALL} --rerank models/whole", f"{SEEN}.*choose an epoch", prepare=final),
    "final after a saved stage": Bad(
        f"run hgn events.csv {SMALL} --rerank models/pop --final", r"--rerank models/pop: is trained already, and both"
    ),
    "fit after a saved stage": Bad("fit bprmf events.csv --rerank models/pop", r"--rerank models/pop: is trained alre"),
    "like another model": Bad(
        "fit pop events.csv --like models/hgn", r"--like models/hgn: is a saved hgn; give a saved"
    ),
    "like no model": Bad("fit pop events.csv --like models/nope", r"models/nope: no such model folder"),
    "like two stages": Bad(
        "fit bprmf events.csv --like models/two",
        r"--like models/two: is a saved rerank; give a saved bprmf",
        prepare=lambda patch: _two_stages(),
    ),
    "like and preset": Bad(
        "fit hgn events.csv --like models/hgn --preset author", r"--preset author: the settings are"
    ),
    "candidates of nothing": Bad("fit pop events.csv --candidates 3", r"--candidates: needs a first stage"),
    "setting as an option": Bad("fit hgn events.csv --epochs 3", r"Settings of the model go after --set"),
    "monitor of fit": Bad("fit hgn events.csv --monitor mrr@10", r"--monitor"),
    "unknown model": Bad("fit hgm events.csv", r"no model 'hgm', did you mean 'hgn'"),
    "data missing": Bad("fit hgn", r"DATA is missing\. Usage: segue fit MODEL DATA"),
    "ratings missing": Bad("fit mf events.csv", r"has no ratings to learn"),
    "place taken": Bad("fit pop events.csv -o models", r"models: is there and is not a saved model"),
    "negative seed": Bad("fit hgn events.csv --seed -1", r"seed=-1: must lie between"),
    "damaged facts": Bad(
        "models models/pop",
        r"models/pop/model\.json: damaged",
        prepare=written("models/pop/model.json", "{"),
    ),
}


def _two_stages():
    from segue.cli import status

    command = f"run bprmf events.csv {SMALL} --rerank pop --out models/two"
    assert status(command.split()) == 0


@pytest.mark.parametrize("bad", REFUSED.values(), ids=REFUSED)
def test_what_needs_unseen_data_or_another_model_is_refused(bad, here, segue, monkeypatch):
    check(bad, here, segue, monkeypatch)
