"""Whatever is wrong with the input: one message that says what, where and what to do; code 2; nothing is touched."""

from __future__ import annotations

import errno
import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest
from safetensors import SafetensorError

from segue import io
from segue.cli import status
from segue.data import store
from segue.serving import saved_model
from segue.training import loop as train

from .logs import broken, events

Prepare = Callable[[pytest.MonkeyPatch], object]
PAYLOAD = ("weights.safetensors", "users.parquet", "items.parquet", "history.parquet")


@dataclass(frozen=True)
class Bad:
    """A command that cannot be carried out.

    Attributes:
        command: in words; a text is cut at its spaces.
        says: what the message must match.
        file: what is written to `bad.csv` before.
        prepare: what is done before, in the folder.
    """

    command: str | list[str]
    says: str
    file: str | bytes | None = None
    prepare: Prepare = field(default=lambda patch: None)

    def words(self) -> list[str]:
        return self.command.split() if isinstance(self.command, str) else self.command


def parquet(keep: int | None) -> Prepare:
    """The log as `bad.parquet`, cut after `keep` bytes."""

    def prepare(patch: pytest.MonkeyPatch) -> None:
        pl.read_csv("events.csv").write_parquet("bad.parquet")
        Path("bad.parquet").write_bytes(Path("bad.parquet").read_bytes()[:keep])

    return prepare


def written(path: str, content: str | bytes = "something else") -> Prepare:
    """A file, and the folders above it."""

    def prepare(patch: pytest.MonkeyPatch) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(content if isinstance(content, bytes) else content.encode())

    return prepare


def edited(path: str, edit: Callable[[bytes], bytes | None]) -> Prepare:
    """What is in a file goes through `edit`; None deletes it."""

    def prepare(patch: pytest.MonkeyPatch) -> None:
        content = edit(Path(path).read_bytes())
        Path(path).unlink() if content is None else Path(path).write_bytes(content)

    return prepare


def flipped(content: bytes) -> bytes:
    """One byte in the middle is another."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def described(**changes: object) -> Callable[[bytes], bytes]:
    """A `model.json` with other values, and the hash that goes with them."""

    def edit(content: bytes) -> bytes:
        facts = {**json.loads(content), **changes}
        del facts["hash"]
        facts["hash"] = saved_model._facts_hash(facts)
        return json.dumps(facts).encode()

    return edit


def not_writable(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(os, "access", lambda path, mode: False)


def full(place: object, writer: str, error: Exception) -> Prepare:
    """A disk that is full once `writer` writes."""

    def write(*args: object, **options: object) -> None:
        raise error

    return lambda patch: patch.setattr(place, writer, write)


def stuck(patch: pytest.MonkeyPatch) -> None:
    """The new folder cannot be moved to its place, from which the old one has stepped aside."""
    replace = os.replace

    def move(source: Path, target: Path) -> None:
        if not target.exists() and not source.name.endswith(".old"):
            raise NO_SPACE
        replace(source, target)

    patch.setattr(os, "replace", lambda a, b: move(a, b) if a.name.startswith(".") else replace(a, b))


def interrupted(patch: pytest.MonkeyPatch) -> None:
    """The state of an interrupted training of models/hgn."""
    epoch = train.train_epoch

    def once(*args: object) -> float:
        patch.setattr(train, "train_epoch", stop)
        return epoch(*args)

    def stop(*args: object) -> float:
        raise KeyboardInterrupt

    patch.setattr(train, "train_epoch", once)
    assert status(["run", "hgn", "events.csv", "--set", "embedding_dim=4", "epochs=9"]) == 130
    patch.setattr(train, "train_epoch", epoch)


NO_SPACE = OSError(errno.ENOSPC, "No space left on device")
RATED = "user,item,time,rating\n" + "".join(f"u{u},{i},{i},5\n" for u in range(4) for i in range(6))
ONE_SECOND = "user,item,time\n" + "".join(f"u{u},{(u + t) % 5},7\n" for u in range(9) for t in range(5))

FILES = {
    "no such file": Bad("data nosuch.csv", r"nosuch\.csv: neither a file nor a data set .*: ml-100k, ml-1m, ml-20m,"),
    "unknown data set": Bad("data ml-100", r"ml-100: .*did you mean 'ml-100k'"),
    "no name": Bad(["data", ""], r"the name is empty; give a named data set, a file or a folder"),
    "folder without a log": Bad(
        "data logs", r"logs: a folder must hold .*readme\.md", prepare=written("logs/readme.md")
    ),
    "folder of a model": Bad("data models/pop", r"models/pop: is a saved model, not a log; give the data"),
    "empty file": Bad("data bad.csv", r"bad\.csv: .*empty", ""),
    "blank lines": Bad("data bad.csv", r"bad\.csv: .*empty", "\n\n\n"),
    "header only": Bad("data bad.csv", r"bad\.csv: a header and no rows", "user,item,time\n"),
    "no user column": Bad(
        "data bad.csv",
        r"bad\.csv: no column looks like the user; the columns are who, item, time\..*--user-col",
        events(header="who,item,time"),
    ),
    "no item column": Bad(
        "data bad.csv", r"no column looks like the item; .*--item-col", events(header="user,what,time")
    ),
    "no header": Bad(
        "data bad.csv", r"first line looks like data: .*columns go by number", events().partition("\n")[2]
    ),
    "column not in the file": Bad(
        "data events.csv --time-col tme", r"no column 'tme' for the time, did you mean 'time'"
    ),
    "one column twice": Bad("data events.csv --item-col user", r"column 'user' cannot be both the user and the item"),
    "duplicate header": Bad("data bad.csv", r"bad\.csv: the header has 'item' twice", events(header="user,item,item")),
    "row too long": Bad("data bad.csv", r"bad\.csv: row 5 has 4 fields", broken(5, "u0,4,1600000400,7")),
    "row too short": Bad("data bad.csv", r"bad\.csv.*row 5", broken(5, "u0,4")),
    "text for a rating": Bad(
        "data bad.csv",
        r"bad\.csv, column 'rating', row 3: 'good' is not a number",
        RATED.replace("u0,2,2,5", "u0,2,2,good"),
    ),
    "NaN for a time": Bad(
        "data bad.csv", r"bad\.csv, column 'time', row 5: empty \(NaN\); fill it in", broken(5, "u0,4,NaN")
    ),
    "negative time": Bad("data bad.csv", r"bad\.csv, column 'time', row 5: -5 is negative", broken(5, "u0,4,-5")),
    "no time": Bad("data bad.csv", r"bad\.csv, column 'time', row 5: empty; fill it in", broken(5, "u0,4,")),
    "text for a time": Bad("data bad.csv", r"row 5: 'tomorrow' is not a time .*2024-01-31", broken(5, "u0,4,tomorrow")),
    "no user": Bad("data bad.csv", r"bad\.csv, column 'user', row 5: empty", broken(5, ",4,1600000400")),
    "no item": Bad("data bad.csv", r"bad\.csv, column 'item', row 5: empty", broken(5, "u0,,1600000400")),
    "one user": Bad(
        "data bad.csv", r"bad: one user only: too few to evaluate .*is the user column the right one", events(users=1)
    ),
    "one item": Bad("data bad.csv", r"bad: one item only: nothing to rank", events(items=1)),
    "cores leave nothing": Bad(
        "data events.csv --user-core 7", r"'at least 7 rows a user.*' leaves nothing of 72 rows"
    ),
    "ratings leave nothing": Bad("data bad.csv --min-rating 6", r"'rating >= 6' leaves nothing of 24 rows", RATED),
    "rule without ratings": Bad(
        "data events.csv --min-rating 4", r"needs ratings and this log has none; name their column"
    ),
    "negative core": Bad("data events.csv --user-core -1", r"user_core=-1"),
    "text for a core": Bad("data events.csv --user-core few", r"--user-core: .*\"few\".*int.*See segue data --help"),
    "unknown choice": Bad("data events.csv --duplicates lst", r"\"lst\" for --duplicates.*\"keep\".*\"last\""),
    "bad delimiter": Bad("data events.csv --delimiter ab", r"events\.csv: 'ab' cannot separate fields"),
    "truncated Parquet": Bad("data bad.parquet", r"bad\.parquet: not a whole Parquet file", prepare=parquet(200)),
    "not gzip": Bad("data bad.csv.gz", r"bad\.csv\.gz: not a gzip file", prepare=written("bad.csv.gz", events())),
    "truncated gzip": Bad(
        "data bad.csv.gz",
        r"bad\.csv\.gz: ",
        prepare=written("bad.csv.gz", gzip.compress(events(99).encode(), mtime=0)[:200]),
    ),
    "binary": Bad("data bad.csv", r"bad\.csv: binary, not text", bytes(range(256))),
    "not UTF-8": Bad("data bad.csv", r"bad\.csv: not UTF-8; convert it", events().replace("u3", "ü3").encode("latin1")),
    "UTF-16": Bad("data bad.csv", r"bad\.csv: UTF-16", events().encode("utf-16")),
    "unsupported suffix": Bad(
        "data bad.xlsx", r"bad\.xlsx: cannot read \.xlsx files; give CSV", prepare=written("bad.xlsx")
    ),
    "titles of other items": Bad(
        "data events.csv --items bad.csv", r"bad\.csv: none of its items \('x', .*same names", "item,title\nx,X\ny,Y\n"
    ),
    "users of another log": Bad(
        "data events.csv --users bad.csv", r"bad\.csv: none of its users \('x', .*same names", "user,age\nx,1\ny,2\n"
    ),
    "titles without items": Bad(
        "data events.csv --items bad.csv", r"bad\.csv: no column looks like the item", "a,b\n1,2\n"
    ),
    "log over something else": Bad(
        "data events.csv -o full", r"full: is there and is not a saved log", prepare=written("full/x")
    ),
    "log over a file": Bad("data events.csv -o events.csv", r"events\.csv: is there and is not a saved log"),
}

SETTINGS = {
    "unknown model": Bad(
        "run popp events.csv", r"no model 'popp', did you mean 'pop'.*: pop, .*item-knn, .*bprmf, .*hgn"
    ),
    "model in capitals": Bad("run HGN events.csv", r"no model 'HGN', did you mean 'hgn'"),
    "unknown setting": Bad(
        "run hgn events.csv --set embedding_dimm=3",
        r"unknown setting 'embedding_dimm', did you mean 'embedding_dim'.*known: .*lr",
    ),
    "setting of another model": Bad(
        "run pop events.csv --set embedding_dim=3", r"unknown setting 'embedding_dim'; known: none"
    ),
    "setting without a value": Bad("run hgn events.csv --set dim", r"--set dim: must look like name=value"),
    "setting without a name": Bad("run hgn events.csv --set =3", r"--set =3: must look like name=value"),
    "no setting": Bad("run hgn events.csv --set", r"--set: needs name=value, such as --set embedding_dim=64"),
    "text for a number": Bad(
        "run hgn events.csv --set embedding_dim=big", r"embedding_dim='big': must be a whole number"
    ),
    "fraction for a number": Bad(
        "run hgn events.csv --set embedding_dim=1.5", r"embedding_dim='1\.5': must be a whole number"
    ),
    "number too large": Bad(
        f"run hgn events.csv --set embedding_dim={10**30}", r"embedding_dim=1000.*: does not fit in 64 bits"
    ),
    "setting out of range": Bad("run hgn events.csv --set embedding_dim=0", r"embedding_dim=0: must be at least 1"),
    "negative lr": Bad("run hgn events.csv --set lr=-1", r"lr=-1\.0: must be above 0"),
    "lr that is not finite": Bad("run hgn events.csv --set lr=nan", r"lr='nan': must be a finite number"),
    "infinite lr": Bad("run hgn events.csv --set lr=inf", r"lr='inf': must be a finite number"),
    "no such choice": Bad("run hgn events.csv --set reduction=summ", r"reduction='summ': must be one of sum, mean"),
    "unknown preset": Bad("run hgn events.csv --preset papr", r"no preset 'papr', did you mean 'paper'.*author"),
    "no presets": Bad("run pop events.csv --preset paper", r"pop has no preset 'paper'; it has: none"),
    "unknown protocol": Bad(
        "run pop events.csv --protocol globaltime", r"unknown protocol 'globaltime', did you mean 'global-time'"
    ),
    "unknown metric": Bad("run pop events.csv --monitor ndgc@10", r"unknown metric 'ndgc@10', did you mean 'ndcg'"),
    "metric without a cut-off": Bad("run pop events.csv --monitor ndcg", r"metric 'ndcg' needs a cut-off .*ndcg@10"),
    "metric too deep": Bad(
        "run pop events.csv --monitor ndcg@50", r"ndcg@50: leave-one-out ranks 20 deep; take ndcg@20"
    ),
    "every 0": Bad("run pop events.csv --eval-every 0", r"eval_every=0: must be at least 1"),
    "patience 0": Bad("run pop events.csv --patience 0", r"patience=0: must be at least 1"),
    "negative seed": Bad("run hgn events.csv --seed -1", r"seed=-1: must lie between 0 and"),
    "text for a seed": Bad("run hgn events.csv --seed x", r"--seed: .*\"x\".*int"),
    "log too short": Bad(
        "run hgn bad.csv",
        r"bad: too short for the protocol leave-one-out.*12 users with nothing held out",
        events(length=2),
    ),
    "one event a user": Bad("run hgn bad.csv --protocol hgn", r"hgn leaves nothing to train on", events(length=1)),
    "unknown groups": Bad("run pop events.csv --by size", r"--by size: must be one of length, history, leak, step"),
    "a picture of nothing": Bad("evaluate models/pop --data events.csv --picture p.svg", r"is of groups; say which"),
    "several items of one question": Bad("run pop events.csv --horizon 3", r"ahead=3: only where every step is asked"),
    "a curve of one step": Bad("evaluate models/pop --data events.csv --by step", r"needs a protocol with ahead of 2"),
    "a curve of nothing": Bad("run pop events.csv --by step", r"--by step: is of several items .* with --ahead"),
    "users cut to pieces": Bad("run pop events.csv --leak drop", r"leak='drop' leaves out whole users .* cuts 12 of"),
    "days without times": Bad(
        "run pop bad.csv --protocol last-day", r"bad: a split by date needs times", events(header="user,item,other")
    ),
    "dates without times": Bad(
        "run pop bad.csv --protocol global-time", r"bad: a split by time needs times", events(header="user,item,other")
    ),
    "one second for all": Bad(
        "run pop bad.csv --protocol global-time", r"bad: .*leaves nothing to train on", ONE_SECOND
    ),
    "loss not finite": Bad(
        "run hgn events.csv --set lr=1e30 batch_size=4",
        r"hgn: the loss is not finite from batch 2 of epoch 1 on; try a smaller lr \(now 1e\+30\)",
    ),
    "scores not finite": Bad("run hgn events.csv --set lr=1e30", r"HGN scores NaN: .*smaller lr"),
    "too large for memory": Bad(
        f"run bprmf events.csv --set embedding_dim={10**13}", r"not enough memory \(.*\); take smaller settings"
    ),
}

SPACE = "search hgn events.csv --space bad.csv"
SEARCHES = {
    "search of an unknown model": Bad("search popp events.csv", r"no model 'popp', did you mean 'pop'"),
    "no space": Bad("search hgn events.csv --space nosuch", r"nosuch: cannot be read as a search space: No such file"),
    "space in another form": Bad(SPACE, r"bad\.csv, line 1: 'lr=0\.1' is no setting with values; .*choice", "lr=0.1\n"),
    "unknown kind": Bad(SPACE, r"bad\.csv, line 2: unknown kind 'normal'; known: choice, uniform", "\nlr normal 0,1\n"),
    "unknown setting in a space": Bad(SPACE, r"search space of hgn: unknown setting 'dimm', did", "dimm choice [1]\n"),
    "value that is none": Bad(SPACE, r"embedding_dim='big': must be a whole number", "embedding_size choice ['big']\n"),
    "value out of range": Bad(SPACE, r"lr=-1\.0: must be above 0", "lr uniform -1,1\n"),
    "searched and fixed": Bad(f"{SPACE} --set lr=0.1", r"lr is both fixed and searched", "learning_rate choice [1]\n"),
    "no trials": Bad("search hgn events.csv --trials 0", r"trials=0: must be at least 1"),
    "no time": Bad("search hgn events.csv --minutes 0", r"minutes=0.0: must be above 0"),
    "no processes": Bad("search hgn events.csv --jobs 0", r"jobs=0: must be at least 1"),
    "file for the trials": Bad(
        "search hgn events.csv", r"hgn\.search: is a file", prepare=written("models/hgn.search")
    ),
    "another search": Bad(
        "search pop events.csv --seed 1",
        r"models/pop\.search: holds a search with another seed; delete it to start afresh",
        prepare=lambda patch: status(["search", "pop", "events.csv", "--no-baselines"]),
    ),
    "search damaged": Bad(
        "search pop events.csv",
        r"models/pop\.search/search\.json: damaged .*; delete models/pop\.search to start afresh",
        prepare=lambda patch: [
            written("models/pop.search/search.json")(patch),
            written("models/pop.search/lock", "")(patch),
        ],
    ),
    "searched where nothing is held out": Bad(
        "search pop bad.csv", r"bad: too short for the protocol", events(length=2)
    ),
    "no optuna": Bad(
        "search pop events.csv",
        r'searching needs optuna, .*: pip install "segue\[tune\]"',
        prepare=lambda patch: patch.setitem(sys.modules, "optuna", None),
    ),
    "comparison of an unknown model": Bad("compare events.csv --models pop,hgm", r"no model 'hgm', did you mean 'hgn'"),
    "comparison without an unknown model": Bad("compare events.csv --exclude hgm", r"no model 'hgm', did you mean"),
    "comparison of nobody": Bad("compare events.csv --models pop --exclude pop", r"no model is left to compare"),
    "comparison of ratings": Bad(
        "compare events.csv --protocol ratings",
        r"ratings: a comparison ranks items, .* segue run mf DATA --protocol ratings",
    ),
    "groups of ratings": Bad(
        "run mf events.csv --protocol ratings --by length", r"--by length: groups are of questions that rank items"
    ),
    "comparison in no time": Bad("compare events.csv --minutes -1", r"minutes=-1\.0: must be above 0"),
    "comparison by nobody": Bad("compare events.csv --jobs 0", r"jobs=0: must be at least 1"),
    "comparison in a folder of other things": Bad(
        "compare events.csv -o models", r"models: is there and is not a comparison; choose another folder with -o"
    ),
    "comparison in a file": Bad("compare events.csv -o events.csv", r"events\.csv: is there and is not a comparison"),
    "comparison on too short a log": Bad("compare bad.csv", r"bad: too short for the protocol", events(length=2)),
}

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
    "file for the state": Bad(
        "run pop events.csv", r"models/pop\.training: is a file", prepare=written("models/pop.training")
    ),
    "state of another run": Bad(
        "run hgn events.csv --set embedding_dim=8 epochs=9",
        r"models/hgn\.training/state\.safetensors: belongs to an interrupted run with another config; delete it",
        prepare=interrupted,
    ),
    "state damaged": Bad(
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
        prepare=full(io, "_move_folder", NO_SPACE),
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
    "JSON over the data": Bad("run hgn events.csv --json events.csv", r"--json events\.csv: is the data to be read"),
    "JSON not writable": Bad("data events.csv --json x.json", r"--json x\.json: .*may write to", prepare=not_writable),
    "JSON on a full disk": Bad(
        "evaluate models/pop --data events.csv --json x.json",
        r"--json x\.json: cannot be written: No space left",
        prepare=full(Path, "write_text", NO_SPACE),
    ),
}

SAVED = {
    "no model": Bad("evaluate --data events.csv", r"which models\? Give the folders .*models/hgn"),
    "no such model": Bad(
        "evaluate models/x --data events.csv", r"models/x: no such model folder; `segue run MODEL DATA"
    ),
    "not a model": Bad("evaluate models --data events.csv", r"models: not the folder of a saved model .*model\.json"),
    "model of another log": Bad(
        "evaluate models/other --data events.csv",
        r"models/other: was trained on another log \(other, .*events \(.*give the data",
    ),
    "two protocols": Bad(
        "evaluate models/pop models/ratio --data events.csv",
        r"'models/pop' and 'models/ratio' cannot be compared: protocol leave-one-out .*hgn",
    ),
    "one model twice": Bad("evaluate models/pop models/pop --data events.csv", r"models/pop is given twice"),
    "k 0": Bad("evaluate models/pop --data events.csv -k 5 0", r"-k 5 0: cut-offs are whole numbers from 1"),
    "negative k": Bad("evaluate models/pop --data events.csv -k -1", r"-k -1: cut-offs are whole numbers from 1"),
    "text for k": Bad("evaluate models/pop --data events.csv -k ten", r"-k: .*\"ten\""),
    "nobody": Bad("recommend models/pop", r"whom to recommend to\? Give a user of the log, or a history"),
    "unknown user": Bad(
        "recommend models/pop --user U3", r"unknown user 'U3', did you mean 'u3'.*12 users, such as u0, u1"
    ),
    "unknown item": Bad("recommend models/pop --history 1,99", r"unknown item '99'.*8 items, such as 0, 1, 2"),
    "empty history": Bad(
        ["recommend", "models/pop", "--history", " , "], r"the history is empty: give at least one item"
    ),
    "no items wanted": Bad("recommend models/pop --user u3 -k 0", r"k=0: must be at least 1"),
    "text for items wanted": Bad("recommend models/pop --user u3 -k x", r"-k: .*\"x\""),
    "another format": Bad(
        "recommend models/pop --user u3",
        r"models/pop: format 2 and this segue reads format 1; install the segue",
        prepare=edited("models/pop/model.json", described(format=2)),
    ),
    "description is no JSON": Bad(
        "recommend models/pop --user u3",
        r"model\.json: damaged",
        prepare=edited("models/pop/model.json", lambda _: b"hello"),
    ),
    "description of something else": Bad(
        "recommend models/pop --user u3",
        r"model\.json: does not describe a saved model",
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
        r"models/pop: saved by another version of segue \(size mismatch",
        prepare=edited("models/pop/model.json", described(sizes={"users": 12, "items": 9})),
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

WORDS = {
    "unknown command": Bad("rum pop events.csv", r"\"rum\"\. Did you mean \"run\"\?.*See segue --help"),
    "unknown option": Bad(
        "run pop events.csv --protocl hgn", r"--protocl\. Did you mean --protocol\? .* See segue run --help"
    ),
    "setting as an option": Bad("run hgn events.csv --lr 0.1", r"--lr\. .*Settings of the model go after --set"),
    "model missing": Bad("run", r"MODEL is missing\. Usage: segue run MODEL DATA"),
    "data missing": Bad("run pop", r"DATA is missing\. Usage: segue run MODEL DATA"),
    "data behind --set": Bad(
        "run hgn --set embedding_dim=4 events.csv", r"DATA is missing\. Usage: segue run MODEL DATA \[OPTIONS\]"
    ),
    "data of models missing": Bad(
        "evaluate models/pop", r"DATA is missing\. Usage: segue evaluate MODELS\.\.\. --data DATA"
    ),
    "value missing": Bad("run pop events.csv --out", r"--out needs a value\. See segue run --help"),
    "one word too many": Bad("recommend models/pop u3", r"'u3' is too much\. See segue recommend --help"),
    "device of a table that takes none": Bad("reproduce hgn-table3 --device cuda", r"only hgn-table5 takes a device"),
    "no such device": Bad(
        "reproduce hgn-table5 --device gpu", r"--device gpu: cannot be used here \(.*take --device cpu"
    ),
    "unknown table": Bad("reproduce hgn-tabel3", r"no table 'hgn-tabel3', did you mean 'hgn-table3'"),
}

CATALOGUE = {**FILES, **SETTINGS, **SEARCHES, **PLACES, **SAVED, **WORDS}


def content(folder: Path) -> dict[str, bytes | None]:
    """All files, and None for all folders."""
    return {str(p.relative_to(folder)): None if p.is_dir() else p.read_bytes() for p in folder.rglob("*")}


@pytest.mark.parametrize("bad", CATALOGUE.values(), ids=CATALOGUE)
def test_bad_input_gives_one_message_and_touches_nothing(bad, here, segue, monkeypatch):
    if bad.file is not None:
        written("bad.csv", bad.file)(monkeypatch)
    bad.prepare(monkeypatch)
    before = content(here)
    code, _, err = segue(bad.words())
    monkeypatch.undo()
    assert code == 2
    assert err.startswith("segue: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert re.search(bad.says, err)
    assert content(here) == before


@pytest.mark.parametrize("name", ["text for a time", "unknown setting", "weights.safetensors damaged"])
def test_as_its_own_process(name, here, monkeypatch):
    bad = CATALOGUE[name]
    if bad.file is not None:
        written("bad.csv", bad.file)(monkeypatch)
    bad.prepare(monkeypatch)
    done = subprocess.run([sys.executable, "-m", "segue", *bad.words()], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("segue: ")
    assert "Traceback" not in done.stderr
