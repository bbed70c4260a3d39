"""`segue run --seeds`, and two saved models of one kind in one table."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from segue.training import loop as train

from .bad_input import Bad, check
from .logs import done, weights

SMALL = "--set embedding_dim=4 epochs=3 lr=0.05"


def same_weights(one, two):
    first, second = weights(one), weights(two)
    return all(np.array_equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("options", ["", "--rerank seq-knn", "--final"])
def test_several_seeds_are_one_row_and_the_best_on_validation_is_saved(segue, here, monkeypatch, options):
    monkeypatch.delenv("SEGUE_QUIET")
    command = f"run bprmf events.csv {SMALL} {options} --seed 4 --seeds 3 --out models/all --json all.json"
    code, out, err = segue(command)
    assert code == 0
    found = json.loads((here / "all.json").read_text())
    alone = []
    for seed in (4, 5, 6):
        done(segue(f"run bprmf events.csv {SMALL} {options} --seed {seed} --out models/{seed} --json {seed}.json"))
        alone.append(json.loads((here / f"{seed}.json").read_text()))
    row = found["models"][-1]
    assert row["trainings"] == 3
    for metric, cell in row["metrics"].items():
        each = [one["models"][-1]["metrics"][metric]["mean"] for one in alone]
        assert cell["mean"] == pytest.approx(np.mean(each))
        assert cell["sd"] == pytest.approx(np.std(each, ddof=1))
        assert cell["runs"] == each == [one["metrics"][metric] for one in found["seeds"]]
        assert f"±{cell['sd']:.4f}".replace("±0", "±") in out
    validation = [next(iter(one["training"]["validation"].values())) for one in found["seeds"]]
    best = 4 + int(np.argmax(validation))
    assert [one["seed"] for one in found["seeds"] if one["saved"]] == [best]
    assert same_weights("models/all", f"models/{best}")
    assert f"; it is the model of seed {best}, the best on validation of 3; " in err
    stored = json.loads((here / "models/all/model.json").read_text())
    assert (
        stored["results"]["models"][0]["metrics"]["ndcg@10"]["mean"]
        == alone[best - 4]["models"][-1]["metrics"]["ndcg@10"]["mean"]
    )
    assert not (here / "models/all.training").exists()


@pytest.mark.parametrize("options", ["", "--rerank seq-knn"])
def test_only_the_kept_model_of_several_seeds_is_fitted_on_the_whole_log(segue, here, monkeypatch, options):
    rows = []
    epoch = train.train_epoch
    monkeypatch.setattr(train, "train_epoch", lambda *args: (rows.append((args[3], len(args[2]))), epoch(*args))[1])
    done(segue(f"run bprmf events.csv {SMALL} {options} --seeds 3 --final --no-baselines --out models/all"))
    stored = json.loads((here / "models/all/model.json").read_text())
    assert {seed for seed, events in rows if events == 72} == {stored["training"]["seed"]}
    assert stored["trained_on"]["events"] == 72


def test_minutes_do_not_stop_a_model_that_is_fitted_in_one_step_and_it_is_said(segue, here, monkeypatch):
    monkeypatch.delenv("SEGUE_QUIET")
    said = "--minutes: item-knn is fitted in one step, which is not stopped"
    assert said in segue("run item-knn events.csv --minutes 1 --no-baselines")[2]
    err = segue(f"run bprmf events.csv {SMALL} --rerank item-knn --minutes 1 --no-baselines")[2]
    assert said in err
    assert "--minutes: bprmf" not in err
    assert "--minutes" not in segue(f"run bprmf events.csv {SMALL} --minutes 1 --no-baselines")[2]


def test_an_interrupted_run_of_several_seeds_is_resumed(segue, here, monkeypatch):
    done(segue(f"run hgn events.csv {SMALL} --seeds 2 --out models/whole"))
    epoch, seeds = train.train_epoch, []

    def stop_in_the_second(model, optimizer, log, seed, number):
        if seed == 1 and number == 2:
            raise KeyboardInterrupt
        return epoch(model, optimizer, log, seed, number)

    with monkeypatch.context() as patch:
        patch.setattr(train, "train_epoch", stop_in_the_second)
        assert segue(f"run hgn events.csv {SMALL} --seeds 2 --out models/parts")[0] == 130
    with monkeypatch.context() as patch:
        patch.setattr(train, "train_epoch", lambda *args: (seeds.append(args[3]), epoch(*args))[1])
        done(segue(f"run hgn events.csv {SMALL} --seeds 2 --out models/parts"))
    assert seeds.count(1) == 2, "the first epoch of the second seed is not repeated"
    assert same_weights("models/whole", "models/parts")
    assert not (here / "models/parts.training").exists()


def test_two_models_of_one_kind_are_told_apart(segue, here):
    done(segue(f"run hgn events.csv {SMALL} --out models/a"))
    done(segue("run hgn events.csv --set embedding_dim=4 epochs=3 lr=0.01 --out models/b"))
    done(segue("evaluate models/a models/pop models/b --data events.csv --json table.json"))
    names = [row["model"] for row in json.loads((here / "table.json").read_text())["models"]]
    assert names[1] == "models/pop"
    assert re.fullmatch(r"models/a \(hgn, .*lr=0.05.*\)", names[0])
    assert re.fullmatch(r"models/b \(hgn, .*lr=0.01.*\)", names[2])
    done(segue("run pop events.csv --out models/again"))
    done(segue("evaluate models/again models/pop --data events.csv --json table.json"))
    names = [row["model"] for row in json.loads((here / "table.json").read_text())["models"]]
    assert names == ["models/again (pop)", "models/pop (pop)"]


REFUSED = {
    "very many seeds": Bad(
        "run hgn events.csv --seeds 99999999999", r"--seeds 99999999999: must be at least 1 and at most 1,000"
    ),
    "layers without end": Bad(
        "run gru events.csv --set num_layers=99999999999", r"num_layers='99999999999': must be between 1 and 100"
    ),
    "no seeds": Bad("run hgn events.csv --seeds 0", r"--seeds 0: must be at least 1"),
    "seeds out of range": Bad(
        "run hgn events.csv --seed 9223372036854775807 --seeds 2", r"--seeds 2: the last seed would be above"
    ),
    "no minutes": Bad("run hgn events.csv --minutes 0", r"--minutes 0: must be above 0"),
    "negative minutes": Bad("run hgn events.csv --minutes -3", r"--minutes -3: must be above 0"),
    "minutes without end": Bad("run hgn events.csv --minutes inf", r"--minutes inf: must be above 0"),
    "minutes that are no number": Bad("run hgn events.csv --minutes nan", r"--minutes nan: must be above 0"),
    "seeds and orders of ties": Bad(
        "run hgn events.csv --seeds 2 --tie-range 3", r"--tie-range: is of one trained model, and --seeds 2 trains"
    ),
    "seeds in words": Bad("run hgn events.csv --seeds many", r"--seeds"),
    "seeds of a search": Bad("search hgn events.csv --seeds 3", r"--seeds"),
    "one model by two paths": Bad(
        "evaluate models/pop models/../models/pop --data events.csv", r"models/pop is given twice"
    ),
    "one model by two paths in a blend": Bad(
        "blend models/pop ./models/../models/pop --data events.csv", r"models/pop is given twice"
    ),
}


@pytest.mark.parametrize("bad", REFUSED.values(), ids=REFUSED)
def test_wrong_numbers_and_repeated_models_are_refused(bad, here, segue, monkeypatch):
    check(bad, here, segue, monkeypatch)
