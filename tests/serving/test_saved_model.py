"""Saved models: same scores in another process, atomic replacement, detection of damage, and no code that is run."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from segue import folders
from segue.batches.batch import Batch
from segue.data import synthetic
from segue.data.log import Log, Vocab
from segue.data.splits import leave_last_out
from segue.errors import ArtefactError
from segue.models.base.model import Model, Sizes
from segue.models.registry import MODELS
from segue.serving import model_facts, saved_model
from segue.serving.recommend import recommend
from segue.serving.saved_model import load, save
from segue.training.loop import fit

FILES = {"model.json", "weights.safetensors", "users.parquet", "items.parquet", "history.parquet"}
LOG = synthetic.with_features(synthetic.with_ratings(synthetic.markov(12, 9, 8, seed=1, shortest=0)))


def trained_model(name: str, log: Log = LOG, **settings: Any) -> Model:
    kind = MODELS[name]
    small = {key: value for key, value in {"embedding_dim": 4, "epochs": 1}.items() if key in kind.Config.model_fields}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = kind.configure({**small, **settings})
        model = kind(config, Sizes.of(log, config))
    fit(model, log)
    return model.eval()


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640)])
def test_another_account_can_read_what_the_umask_permits(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        folder = save(trained_model("pop"), LOG, tmp_path / "model")
    finally:
        os.umask(before)
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == dict.fromkeys(FILES, mode)


@pytest.mark.parametrize("column", ["time", "rating"])
def test_histories_keep_times_and_ratings(tmp_path: Path, column: str) -> None:
    model = trained_model("pop")
    bare = replace(LOG, **{column: None})
    for log in (LOG, LOG.until(LOG.stop - (LOG.lengths > 2)), bare):
        assert load(save(model, log, tmp_path / "model")).log.fingerprint == log.fingerprint


def make_batch(log: Log, model: Model) -> Batch:
    instances = leave_last_out(log).instances("test")
    return Batch(torch.from_numpy(instances.user), torch.from_numpy(instances.histories(model.window)))


@torch.inference_mode()
def score_log(model: Model, log: Log) -> np.ndarray:
    return model.score(make_batch(log, model)).numpy()


def log_with_names(users: list[Any], items: list[Any], titles: list[str] | None = None) -> Log:
    """The first users and items of LOG under other names."""
    log = synthetic.markov(len(users), len(items), 6, seed=2)
    table = None if titles is None else pl.DataFrame({"title": titles, "year": range(1990, 1990 + len(titles))})
    people = None if titles is None else pl.DataFrame({"name": titles[: len(users)], "age": range(len(users))})
    vocabs = {"users": Vocab(pl.Series(users)), "items": Vocab(pl.Series(items))}
    return replace(log, **vocabs, user_metadata=people, item_metadata=table)


READER = """
import sys
from pathlib import Path
import numpy as np
import torch
torch.set_num_threads(1)
from segue.batches.batch import Batch
from segue.serving.saved_model import load
for folder in sorted(Path(sys.argv[1]).iterdir()):
    saved = load(folder)
    inputs = np.load(sys.argv[2] + "/" + folder.name + ".npz")
    with torch.inference_mode():
        scores = saved.model.score(Batch(torch.from_numpy(inputs["user"]), torch.from_numpy(inputs["history"])))
    np.save(sys.argv[2] + "/" + folder.name + ".npy", scores.numpy())
"""

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in MODELS},
    "hgn-author": ("hgn", {"pooling": "gate_avg", "item_bias": True, "reg_weight": (0.001, 0.00001)}),
    "hgn-bare": ("hgn", {"feature_gate": False, "instance_gate": False, "pooling": "avg"}),
    "item-knn-all": ("item-knn", {"window": None, "num_neighbours": None}),
}


def test_loading_in_another_process_gives_the_same_scores_to_the_bit(tmp_path: Path) -> None:
    """The process has only the folders, not the log."""
    models, inputs = tmp_path / "models", tmp_path / "inputs"
    inputs.mkdir()
    expected = {}
    for variant, (name, settings) in VARIANTS.items():
        model = trained_model(name, **settings)
        save(model, LOG, models / variant)
        batch = make_batch(LOG, model)
        np.savez(inputs / f"{variant}.npz", user=batch.user.numpy(), history=batch.history.numpy())
        expected[variant] = score_log(model, LOG)
    command = [sys.executable, "-c", READER, str(models), str(inputs)]
    subprocess.run(command, check=True, cwd=tmp_path, env={**os.environ, "SEGUE_DATA": str(tmp_path / "nowhere")})
    for variant, scores in expected.items():
        assert np.array_equal(np.load(inputs / f"{variant}.npy"), scores), variant


def test_double_precision_is_kept(tmp_path: Path) -> None:
    model = trained_model("hgn").double()
    again = load(save(model, LOG, tmp_path / "model")).model
    assert next(again.parameters()).dtype == torch.double
    assert np.array_equal(score_log(again, LOG), score_log(model, LOG))


@pytest.mark.parametrize(
    ("users", "items"),
    [
        (["ann", "bob", "cy"], ["b-2", "a-1", "ü 3", "", "42"]),
        ([30, 10, 20], [7, 1, 900_000_000_000, 4, 5]),
        (["1", "2", "3"], [5, 4, 3, 2, 1]),
    ],
    ids=["text", "numbers", "mixed"],
)
def test_names_histories_and_metadata_are_kept(tmp_path: Path, users: list[Any], items: list[Any]) -> None:
    titles = ["One, Two", 'Three "Four"', "Fünf", "", "Sechs\nSieben"]
    log = log_with_names(users, items, titles)
    saved = load(save(trained_model("pop", log), log, tmp_path / "model"))
    assert saved.log.users.tokens.to_list() == users
    assert saved.log.items.tokens.to_list() == items
    assert saved.log.users.ids([users[2]]).tolist() == [3]
    assert saved.log.titles([1, 2, 3, 4, 5]) == titles
    assert saved.log.item_metadata is not None
    assert saved.log.item_metadata["year"].to_list() == list(range(1990, 1995))
    assert saved.log.user_metadata is not None
    assert saved.log.user_metadata.rows() == [(titles[user], user) for user in range(3)]
    for user in (1, 2, 3):
        assert saved.log.history(user).tolist() == log.history(user).tolist()
    assert recommend(saved.model, saved.log, user=users[0]) == recommend(trained_model("pop", log), log, user=users[0])


def test_view_of_a_log_saves_only_its_rows(tmp_path: Path) -> None:
    split = leave_last_out(LOG)
    saved = load(save(trained_model("pop"), split.train, tmp_path / "model"))
    for user in range(LOG.num_users + 1):
        assert saved.log.history(user).tolist() == split.train.history(user).tolist()


def test_model_json_describes_the_model(tmp_path: Path) -> None:
    training = tmp_path / "training.jsonl"
    training.write_text('{"epoch": 1}\n')
    model = trained_model("hgn", reg_weight=(0.1, 0.2))
    folder = save(model, LOG, tmp_path / "deep" / "er" / "model", training_log=training, results={"ndcg@10": 0.25})
    assert {path.name for path in folder.iterdir()} == FILES | {"training.jsonl"}
    assert (folder / "training.jsonl").read_text() == training.read_text()
    about = json.loads((folder / "model.json").read_text())
    without = dict.fromkeys(("num_features", "categories_per_item", "values_per_item", "num_event_types"), 0)
    without["event_features"] = []
    assert (about["model"], about["sizes"]) == ("hgn", {"num_users": 12, "num_items": 9, **without})
    assert about["config"] == {**model.config.as_dict(), "reg_weight": [0.1, 0.2]}
    assert about["log"] == {"name": LOG.name, "fingerprint": LOG.fingerprint, "events": len(LOG)}
    assert set(about["versions"]) == {"segue", "torch", "numpy"}
    assert set(about["files"]) >= FILES - {"model.json"}
    saved = load(folder)
    assert saved.about["results"] == {"ndcg@10": 0.25}
    assert saved.model.config == model.config
    assert not saved.model.training


# ---------------------------------------------------------------------------------------- atomic replacement


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A saved model, alone in its parent."""
    return save(trained_model("bprmf"), LOG, tmp_path / "model")


def read_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_saved_model_replaces_a_saved_model(folder: Path) -> None:
    save(trained_model("pop"), LOG, folder)
    assert load(folder).model.name == "pop"
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("step", ["write", "hash", "first move", "second move"])
def test_failed_write_keeps_the_old_model(folder: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    before = read_files(folder)
    real, moves = os.replace, 0

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    def move(source: Any, target: Any) -> None:
        nonlocal moves
        moves += 1
        if moves == {"first move": 1, "second move": 2}[step]:
            full()
        real(source, target)

    if step == "write":
        monkeypatch.setattr(saved_model, "save_file", full)
    elif step == "hash":
        monkeypatch.setattr(saved_model, "file_hash", full)
    else:
        monkeypatch.setattr(folders, "_exchange", lambda one, other: False)
        monkeypatch.setattr(os, "replace", move)
    with pytest.raises(
        ArtefactError, match=r"model: cannot be written \(No space left on device\); nothing was changed"
    ):
        save(trained_model("pop"), LOG, folder)
    monkeypatch.undo()
    assert read_files(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["model"]
    assert load(folder).model.name == "bprmf"


def test_interrupted_write_keeps_the_old_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    before = read_files(folder)
    monkeypatch.setattr(saved_model, "file_hash", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(trained_model("pop"), LOG, folder)
    assert read_files(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_other_folders_and_files_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    (tmp_path / "note").write_text("milk")
    for name in ("thesis", "note"):
        with pytest.raises(ArtefactError, match=rf"{name}: is there and is not a saved model; choose another name"):
            save(trained_model("pop"), LOG, tmp_path / name)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"
    assert (tmp_path / "note").read_text() == "milk"
    (tmp_path / "empty").mkdir()
    assert load(save(trained_model("pop"), LOG, tmp_path / "empty")).model.name == "pop"


# ---------------------------------------------------------------------------------------- damage


@pytest.mark.parametrize("name", sorted(FILES))
def test_flipped_bit_is_detected_in_every_file(folder: Path, name: str) -> None:
    path = folder / name
    whole = path.read_bytes()
    before = json.loads((folder / "model.json").read_text())
    rng = np.random.default_rng(0)
    for at, bit in zip(rng.integers(len(whole), size=150), rng.integers(8, size=150), strict=True):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << bit)]) + whole[at + 1 :])
        with suppress(ArtefactError):
            load(folder)
            assert json.loads(path.read_text()) == before  # an E for an e in a number says the same
    path.write_bytes(whole)
    assert load(folder).model.name == "bprmf"


@pytest.mark.parametrize("name", sorted(FILES))
def test_missing_and_truncated_files_raise(folder: Path, name: str) -> None:
    path = folder / name
    whole = path.read_bytes()
    for part in (b"", whole[: len(whole) // 2], whole[:-1] if name != "model.json" else whole[:-2], whole + b"x"):
        path.write_bytes(part)
        with pytest.raises(ArtefactError, match=f"{name}: (damaged|does not)"):
            load(folder)
    path.unlink()
    with pytest.raises(ArtefactError, match="there is no model.json" if name == "model.json" else f"{name} is missing"):
        load(folder)


def rewrite_facts(folder: Path, **facts: Any) -> None:
    """Change what `model.json` says, with a hash that fits."""
    about = {**json.loads((folder / "model.json").read_text()), **facts}
    about.pop("hash")
    about["hash"] = model_facts.facts_hash(about)
    (folder / "model.json").write_text(json.dumps(about))


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"format": 1}, "format 1, but this segue reads format 2; install the segue that saved it"),
        ({"format": 3}, "format 3, but this segue reads format 2; install the segue that saved it"),
        ({"model": "unheard-of"}, "holds a model 'unheard-of' that this segue does not have"),
        (
            {"config": {"embedding_dim": 4, "num_heads": 2}},
            "saved by another version of segue .*unknown setting 'num_heads'",
        ),
        ({"config": {"embedding_dim": 5}}, "saved by another version of segue"),
        (
            {"config": {"embedding_dim": 0}},
            r"saved by another version of segue \(embedding_dim=0: must be at least 1\)",
        ),
    ],
)
def test_other_formats_and_versions_raise(folder: Path, facts: dict[str, Any], message: str) -> None:
    rewrite_facts(folder, **facts)
    with pytest.raises(ArtefactError, match=message):
        load(folder)


def test_folder_without_a_model_raises(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="nowhere: no such model folder; `segue run MODEL DATA -o"):
        load(tmp_path / "nowhere")
    with pytest.raises(ArtefactError, match=r"there is no model\.json in it"):
        load(tmp_path)


# ---------------------------------------------------------------------------------------- no code is run


def test_no_pickle_is_read_or_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a pickle is read")

    for module, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load"), (np, "load")):
        monkeypatch.setattr(module, name, fail)
    assert load(folder).model.name == "bprmf"
    assert {path.name for path in folder.iterdir()} == FILES
    for path in folder.iterdir():
        start = path.read_bytes()[:9]
        assert start.startswith({".json": b"{", ".parquet": b"PAR1"}.get(path.suffix, start[:8] + b"{")), path.name


def test_the_split_of_the_log_is_saved_with_its_rows(tmp_path: Path) -> None:
    log = replace(synthetic.cycle(4, 5, 3), part=np.array([0, 1, 2] * 4, np.int8))
    saved = load(save(trained_model("pop", log), log, tmp_path / "pop"))
    assert saved.log.part is not None
    assert saved.log.part.tolist() == log.part.tolist()
    assert saved.log.fingerprint == log.fingerprint
