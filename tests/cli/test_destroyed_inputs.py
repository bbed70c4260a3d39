"""A command whose output would destroy what it reads is refused before it begins; nothing is changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .bad_input import Bad, Prepare, check, steps, written


def link(name: str, target: str) -> Prepare:
    return lambda patch: os.symlink(Path(target).resolve(), name)


def saved_log(patch: pytest.MonkeyPatch) -> None:
    from segue.data.readers.ingest import read_log
    from segue.data.store import save_log

    save_log(read_log("events.csv"), "log")


comparison = written("field/compare.json")
BLEND = "blend models/hgn models/pop --data events.csv -o"
DESTROYED = {
    "blend over its first model": Bad(f"{BLEND} models/hgn", r"models/hgn: is also what is read, models/hgn; choose"),
    "blend over a model by another path": Bad(
        f"{BLEND} models/../models/pop", r"pop: is also what is read, models/pop"
    ),
    "blend over a model by a link": Bad(
        f"{BLEND} models/link",
        r"models/link: is also what is read, models/pop",
        prepare=link("models/link", "models/pop"),
    ),
    "blend inside a model": Bad(f"{BLEND} models/pop/blend", r"models/pop/blend: lies in the saved model .*models/pop"),
    "re-ranking over the first stage": Bad(
        "run mf events.csv --rerank models/hgn -o models/hgn", r"models/hgn: is also what is read, models/hgn"
    ),
    "model over the history that it is trained on": Bad(
        "run pop models/hgn/history.parquet -o models/hgn", r"models/hgn: contains what is read, models/hgn/history"
    ),
    "fit over the model that it is like": Bad(
        "fit hgn events.csv --like models/hgn -o ./models/hgn", r"models/hgn: is also what is read, models/hgn"
    ),
    "search inside a model": Bad("search pop events.csv -o models/pop/again", r"lies in the saved model .*models/pop"),
    "run over a model of a comparison": Bad(
        "run pop events.csv -o field/pop", r"field/pop: lies in the comparison .*/field; choose", prepare=comparison
    ),
    "fit inside a comparison": Bad("fit pop events.csv -o field/x", r"lies in the comparison", prepare=comparison),
    "blend inside a comparison": Bad(f"{BLEND} field/x", r"lies in the comparison", prepare=comparison),
    "search inside a comparison": Bad("search pop events.csv -o field/x", r"in the comparison", prepare=comparison),
    "log inside a comparison": Bad("data events.csv -o field/log", r"lies in the comparison", prepare=comparison),
    "comparison inside a model": Bad("compare events.csv -o models/pop/all", r"lies in the saved model .*models/pop"),
    "log over the log": Bad("data log -o log", r"log: is also what is read, log; choose", prepare=saved_log),
    "log inside a log": Bad("data events.csv -o log/filtered", r"lies in the saved log .*/log", prepare=saved_log),
    "JSON over the description of a model": Bad(
        "evaluate models/pop --data events.csv --json models/pop/model.json",
        r"json: lies in a saved model",
    ),
    "JSON inside a model by a link": Bad(
        "recommend models/pop --user u1 --json link/x.json",
        r"link/x\.json: lies in a saved model",
        prepare=link("link", "models/pop"),
    ),
    "JSON over a column of a log": Bad(
        "run pop log --json log/item.npy", r"item\.npy: lies in a saved log", prepare=saved_log
    ),
    "JSON over the items": Bad(
        "run pop events.csv --items bad.csv --json bad.csv",
        r"--json bad\.csv: is also what is read",
        "item,title\n1,a\n",
    ),
    "fit over a note in the folder of the model": Bad(
        "fit pop events.csv -o models/pop",
        r"models/pop: holds notes\.txt, no part of a saved model, which would be lost .*; move it to another place",
        prepare=written("models/pop/notes.txt"),
    ),
    "run over a folder in the folder of the model": Bad(
        "run pop events.csv", r"models/pop: holds thesis, no part", prepare=written("models/pop/thesis/1.txt")
    ),
    "run over a folder with the name of a file of a model": Bad(
        "run pop events.csv", r"models/pop: holds training\.jsonl, no", prepare=written("models/pop/training.jsonl/1")
    ),
    "search over two notes in the folder of the model": Bad(
        "search pop events.csv -o models/pop",
        r"models/pop: holds a\.txt and 1 more, no part",
        prepare=steps(written("models/pop/a.txt"), written("models/pop/b.txt")),
    ),
    "comparison over a note in the folder of a model": Bad(
        "compare events.csv --models pop -o field",
        r"field/pop: holds a, no",
        prepare=steps(written("field/compare.json"), written("field/pop/model.json"), written("field/pop/a")),
    ),
    "blend over a note in the folder of a model": Bad(
        f"{BLEND} models/ratio", r"models/ratio: holds a, no", prepare=written("models/ratio/a")
    ),
    "log over a note in the folder of the log": Bad(
        "data events.csv -o log",
        r"log: holds notes\.txt, no part of a saved log",
        prepare=steps(saved_log, written("log/notes.txt")),
    ),
    "page over a file of the model": Bad(
        "explain models/pop --user u1 --html models/pop/items.parquet", r"--html .*: lies in a saved model"
    ),
    "JSON with the name of the folder": Bad("run pop events.csv -o q --json ./q", r"--json q: q is to be the folder"),
    "JSON with the name of the usual folder": Bad(
        "run item-knn events.csv --json models/item-knn", r"item-knn: models/item-knn is to be the folder"
    ),
    "JSON with the name of the folder of a log": Bad("data events.csv -o q --json q", r"--json q: q is to be the"),
    "JSON with the name of the folder above": Bad("search pop events.csv -o q/a --json q", r"give the file another"),
    "page without a folder": Bad(
        "explain models/pop --user u1 --html no/page.html", r"--html no/page\.html: .* no folder .*/no; make it first"
    ),
    "recommendations over the histories": Bad(
        "recommend models/pop --all --out models/pop/history.parquet", r"--out .*: lies in a saved model"
    ),
}


@pytest.mark.parametrize("bad", DESTROYED.values(), ids=DESTROYED)
def test_what_is_read_is_not_destroyed(bad, here, segue, monkeypatch):
    check(bad, here, segue, monkeypatch)


def test_data_that_lie_beside_the_models_are_no_obstacle(segue, here):
    assert segue("run pop events.csv -o models/pop --no-baselines --json models/pop.json")[0] == 0


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "desktop.ini"])  # of macOS and Windows
def test_what_file_managers_leave_in_a_folder_is_no_obstacle(segue, here, name):
    (here / "models/pop" / name).write_bytes(b"")
    assert segue("run pop events.csv --no-baselines")[0] == 0
