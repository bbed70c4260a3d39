"""Folders that cannot be written, and saved models that cannot be read: one message, and nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors import SafetensorError

from segue import folders
from segue.data import store
from segue.serving import saved_model

from .bad_input import (
    NO_SPACE,
    Bad,
    check,
    described,
    edited,
    flipped,
    full,
    interrupted,
    not_writable,
    stuck,
    written,
)

PLACES = {
    "file for a folder": Bad("run pop events.csv -o events.csv", r"events\.csv: is there and is not a saved model"),
    "folder of other things": Bad("run pop events.csv -o models", r"models: is there and is not a saved model; choose"),
    "the folder itself": Bad("run pop events.csv -o .", r"give the saved model a folder of its own"),
    "folder below a file": Bad(
        "run pop events.csv -o events.csv/m", r"events\.csv/m: cannot be written: .*events\.csv is not"
    ),
    "folder not writable": Bad(
        "run pop events.csv -o new/m", r"new/m: cannot be written: .*may write to", prepare=not_writable
    ),
    "file in place of the training state": Bad(
        "run pop events.csv", r"models/pop\.training: is a file", prepare=written("models/pop.training")
    ),
    "training state of another run": Bad(
        "run hgn events.csv --set embedding_dim=8 epochs=9",
        r"models/hgn\.training/state\.safetensors: belongs to an interrupted run with another config, or of",
        prepare=interrupted,
    ),
    "training state damaged": Bad(
        "run hgn events.csv",
        r"state\.safetensors: cannot be read .*delete it",
        prepare=written("models/hgn.training/state.safetensors"),
    ),
    "disk full, weights": Bad(
        "run pop events.csv",
        r"models/pop: cannot be written \(Error while.*No space left.*\); nothing was changed",
        prepare=full(saved_model, "save_file", SafetensorError("Error while serializing: No space left on device")),
    ),
    "disk full, description": Bad(
        "run pop events.csv",
        r"models/pop: cannot be written \(No space left",
        prepare=full(Path, "write_text", NO_SPACE),
    ),
    "disk full, last step": Bad(
        "run pop events.csv",
        r"models/pop: cannot be written \(No space left",
        prepare=full(folders, "_move_folder", NO_SPACE),
    ),
    "disk full, exchange": Bad(
        "run pop events.csv", r"models/pop: cannot be written \(No space left.*nothing was changed", prepare=stuck
    ),
    "disk full, log": Bad(
        "data events.csv -o log", r"log: cannot be written \(No space left", prepare=full(store.np, "save", NO_SPACE)
    ),
    "JSON without a folder": Bad(
        "run hgn events.csv --json no/x.json", r"--json no/x\.json: .*no folder .*/no; make it"
    ),
    "JSON for a folder": Bad(
        "run hgn events.csv --json models", r"--json models: is a folder; give the name of a file"
    ),
    "JSON over the data": Bad("run hgn events.csv --json events.csv", r"--json events\.csv: is also what is read"),
    "JSON not writable": Bad("data events.csv --json x.json", r"--json x\.json: .*may write to", prepare=not_writable),
    "JSON on a full disk": Bad(
        "evaluate models/pop --data events.csv --json x.json",
        r"--json x\.json: cannot be written: No space left",
        prepare=full(Path, "write_text", NO_SPACE),
    ),
}


@pytest.mark.parametrize("bad", PLACES.values(), ids=PLACES)
def test_a_folder_that_cannot_be_written(bad, here, segue, monkeypatch):
    check(bad, here, segue, monkeypatch)


PAYLOAD = ("weights.safetensors", "users.parquet", "items.parquet", "history.parquet")

SAVED = {
    "no model": Bad("evaluate --data events.csv", r"no model given: name the folders of saved models, such as"),
    "no such model": Bad(
        "evaluate models/x --data events.csv", r"models/x: no such model folder; `segue run MODEL DATA"
    ),
    "not a model": Bad("evaluate models --data events.csv", r"models: not the folder of a saved model .*model\.json"),
    "model of another log": Bad(
        "evaluate models/other --data events.csv",
        r"models/other: was trained on another log \(other, .*events \(.*no newer events.*give the data and",
    ),
    "newer log of other items": Bad(
        "evaluate models/pop --data bad.csv",
        r"models/pop: was trained on another log.*none of its 2 items is known.*; it knows 0, 1, 2 .*has x, y",
        "user,item,time\nu1,x,1700000000\nu2,y,1700000001\n",
    ),
    "newer log without times": Bad(
        "evaluate models/pop --data bad.csv",
        r"bad: has no times, so it is unknown which events are newer; give the log that the model was trained with",
        "user,item\nu1,3\nu2,4\n",
    ),
    "newer log in another unit": Bad(
        "evaluate models/pop --data bad.csv",
        r"bad: its times are in milliseconds, and those of the model in seconds; read it with times of the same unit",
        "user,item,time\nu1,3,1700000000000\nu2,4,1700000000001\n",
    ),
    "newer events of unknown items": Bad(
        "evaluate models/pop --data bad.csv",
        r"bad: the model knows none of the items of its 1 newer events",
        "user,item,time\nu1,3,1600000000\nu2,x,1700000000\n",
    ),
    "two protocols": Bad(
        "evaluate models/pop models/ratio --data events.csv",
        r"'models/pop \(pop\)' and 'models/ratio \(pop\)' cannot be compared: protocol leave-one-out .*hgn",
    ),
    "one model twice": Bad("evaluate models/pop models/pop --data events.csv", r"models/pop is given twice"),
    "k 0": Bad("evaluate models/pop --data events.csv -k 5 0", r"-k 5 0: cut-offs are whole numbers from 1"),
    "negative k": Bad("evaluate models/pop --data events.csv -k -1", r"-k -1: cut-offs are whole numbers from 1"),
    "text for k": Bad("evaluate models/pop --data events.csv -k ten", r"-k: .*\"ten\""),
    "neither user nor history": Bad(
        "recommend models/pop", r"no user and no history given: pass --user USER or --history ITEMS"
    ),
    "unknown user": Bad(
        "recommend models/pop --user U3 --strict", r"unknown user 'U3', did you mean 'u3'.*12 users, such as u0, u1"
    ),
    "unknown item": Bad("recommend models/pop --history 1,99 --strict", r"unknown item '99'.*8 items, such as 0, 1, 2"),
    "empty history": Bad(["recommend", "models/pop", "--history", " , "], r"there is no name between two commas"),
    "no recommendations": Bad("recommend models/pop --user u3 -k 0", r"k=0: must be at least 1"),
    "text for the number of recommendations": Bad("recommend models/pop --user u3 -k x", r"-k: .*\"x\""),
    "no item to compare": Bad("similar models/hgn", r"no item given: name one with --item ITEM"),
    "unknown item to compare": Bad("similar models/hgn --item 99", r"unknown item '99'.*8 items, such as 0, 1, 2"),
    "model that compares no items": Bad(
        "similar models/pop --item 3", r"pop: has neither item vectors nor a table.*Models that compare items: item-knn"
    ),
    "no similar items": Bad("similar models/hgn --item 3 -k 0", r"k=0: must be at least 1"),
    "no similar item allowed": Bad(
        "similar models/hgn --item 3 --where genre=x", r"the items of .*: no column 'genre' to select by"
    ),
    "similar items of no model": Bad("similar models/x --item 3", r"models/x: no such model folder"),
    "order of an explanation": Bad("explain models/hgn --user u3 --order size", r"\"size\" for --order.*contribution"),
    "another format": Bad(
        "recommend models/pop --user u3",
        r"models/pop/model\.json: format 3, but this segue reads format 2; install the segue",
        prepare=edited("models/pop/model.json", described(format=3)),
    ),
    "description is no JSON": Bad(
        "recommend models/pop --user u3",
        r"model\.json: damaged",
        prepare=edited("models/pop/model.json", lambda _: b"hello"),
    ),
    "description of something else": Bad(
        "recommend models/pop --user u3",
        r"model\.json: damaged, its format is not a whole number",
        prepare=edited("models/pop/model.json", lambda _: b"[1]"),
    ),
    "description edited": Bad(
        "recommend models/pop --user u3",
        r"model\.json: damaged \(its hash",
        prepare=edited("models/pop/model.json", lambda content: content.replace(b'"seed": 0', b'"seed": 1')),
    ),
    "no description": Bad(
        "recommend models/pop --user u3",
        r"no model\.json in it",
        prepare=edited("models/pop/model.json", lambda _: None),
    ),
    "description damaged": Bad(
        "recommend models/pop --user u3", r"models/pop/model\.json: ", prepare=edited("models/pop/model.json", flipped)
    ),
    "model of a later segue": Bad(
        "recommend models/pop --user u3",
        r"models/pop: holds a model 'oracle' that this segue does not have",
        prepare=edited("models/pop/model.json", described(model="oracle")),
    ),
    "setting of a later segue": Bad(
        "recommend models/pop --user u3",
        r"models/pop: saved by another version of segue \(unknown setting 'depth'",
        prepare=edited("models/pop/model.json", described(config={"depth": 3})),
    ),
    "weights of other sizes": Bad(
        "recommend models/pop --user u3",
        r"models/pop/items\.parquet: 8 rows, expected 9; copy the whole folder again, or save the model anew",
        prepare=edited("models/pop/model.json", described(sizes={"num_users": 12, "num_items": 9})),
    ),
}
HASHES_RIGHT: dict[str, tuple[dict[str, object], str]] = {
    "no log": ({"log": {}}, r"log\.name is missing"),
    "hashes of nothing": ({"files": {}}, r"files has no hash of weights\.safetensors"),
    "settings in a list": ({"config": []}, "config: must be an object"),
    "experiment of nothing": ({"experiment": {}}, r"experiment\.protocol is missing"),
    "training in words": ({"training": "long"}, "training: must be an object"),
    "results of nothing": ({"results": {"models": []}}, r"results\.models: .*at least 1"),
    "extent of nothing": ({"trained_on": {}}, r"trained_on\.part is missing"),
    "versions of numbers": ({"versions": {"segue": 1}}, r"versions\.segue: must be a valid string"),
    "sizes of nothing": ({"sizes": None}, "sizes: must be an object"),
    "wide vectors": ({"config": {"embedding_dim": 10**9}}, "too small for a model of the settings and sizes"),
    "text for a setting": ({"config": {"embedding_dim": "x"}}, "embedding_dim='x': must be a whole number"),
}
for name, (facts, message) in HASHES_RIGHT.items():
    SAVED[f"forged, {name}"] = Bad(
        "recommend models/hgn --user u3",
        rf"models/hgn.*: .*{message}",
        prepare=edited("models/hgn/model.json", described(**facts)),
    )


def described_protocol(**changes: object) -> Callable[[bytes], bytes]:
    """A `model.json` with other settings of its protocol, and the hash that goes with them."""

    def edit(content: bytes) -> bytes:
        experiment = json.loads(content)["experiment"]
        experiment["protocol"] |= changes
        return described(experiment=experiment)(content)

    return edit


PROTOCOLS: dict[str, tuple[dict[str, object], str]] = {
    "split": ({"by": "dice"}, r"unknown split 'dice'"),
    "argument": ({"arguments": {"colour": 1}}, r"unknown argument of split leave-last-out 'colour'"),
    "argument in words": ({"arguments": {"valid": "one"}}, r"split leave-last-out: valid='one': must be of type int"),
    "setting": ({"colour": "red"}, r"unknown protocol setting 'colour'"),
    "history in words": ({"min_history": "1"}, r"min_history='1': must be a valid integer"),
    "huge history": ({"min_history": 2**70}, r"min_history=.*does not fit in 64 bits"),
    "cut-offs in words": ({"ks": "5"}, r"ks='5': must be a valid array"),
    "task": ({"task": "weather"}, r"unknown task 'weather'"),
}
for name, (changes, message) in PROTOCOLS.items():
    SAVED[f"forged protocol, {name}"] = Bad(
        "evaluate models/hgn --data events.csv",
        rf"models/hgn: its protocol cannot be used \({message}.*\); copy the whole folder again",
        prepare=edited("models/hgn/model.json", described_protocol(**changes)),
    )
SAVED["forged split and newer events"] = Bad(
    "evaluate models/hgn --data other.csv",
    r"models/hgn: its protocol cannot be used \(unknown split 'dice'",
    prepare=edited("models/hgn/model.json", described_protocol(by="dice")),
)


def linked(patch: pytest.MonkeyPatch) -> None:
    """A file of a model is a link to one outside its folder."""
    Path("models/hgn/users.parquet").rename("users.parquet")
    Path("models/hgn/users.parquet").symlink_to("../../users.parquet")


def folder_for_file(patch: pytest.MonkeyPatch) -> None:
    """A file of a model is a folder."""
    Path("models/hgn/weights.safetensors").unlink()
    Path("models/hgn/weights.safetensors").mkdir()


SAVED |= {
    "link out of the folder": Bad(
        "recommend models/hgn --user u3",
        r"users\.parquet: is a link to a file outside the folder; copy",
        prepare=linked,
    ),
    "folder for a file": Bad(
        "recommend models/hgn --user u3",
        r"weights\.safetensors: cannot be read \(Is a directory\); copy",
        prepare=folder_for_file,
    ),
}
for name in PAYLOAD:
    path = f"models/hgn/{name}"
    SAVED |= {
        f"{name} damaged": Bad("recommend models/hgn --user u3", f"{path}: damaged", prepare=edited(path, flipped)),
        f"{name} missing": Bad(
            "recommend models/hgn --user u3", f"{name} is missing", prepare=edited(path, lambda _: None)
        ),
        f"{name} cut short": Bad(
            "recommend models/hgn --user u3", f"{path}: damaged", prepare=edited(path, lambda c: c[:99])
        ),
    }


@pytest.mark.parametrize("bad", SAVED.values(), ids=SAVED)
def test_a_saved_model_that_cannot_be_used(bad, here, segue, monkeypatch):
    check(bad, here, segue, monkeypatch)


@pytest.mark.parametrize(
    "command", ["fit pop events.csv -o loop", "data events.csv -o loop", "data events.csv --json loop"]
)
def test_a_link_that_leads_to_itself_is_an_error(command, here, segue):
    (here / "loop").symlink_to("loop")
    code, _, message = segue(command)
    assert code == 2
    assert "loop" in message
    assert "Traceback" not in message
    assert (here / "loop").is_symlink()
