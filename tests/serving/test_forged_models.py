"""Saved models whose hashes are right and whose content is not: one error that names the file, and little memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from forged_models import forge_facts, forge_table, forge_weights, rehash_model

from segue.data import synthetic
from segue.errors import ArtefactError
from segue.evaluation.protocol import Protocol
from segue.experiments.experiment import Experiment
from segue.models.base.model import Sizes
from segue.models.ensembles.blend import Blend
from segue.models.registry import MODELS
from segue.serving.saved_model import load, save

LOG = synthetic.with_ratings(synthetic.markov(12, 9, 8, seed=1))
HUGE = 10**9


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with saved models, as `segue run` writes them, and a blend of two of them."""
    folder = tmp_path_factory.mktemp("saved")
    settings: dict[str, dict[str, Any]] = {"bprmf": {"epochs": 1, "embedding_dim": 4}, "sasrec": {"epochs": 1}}
    models = []
    for name in ("pop", "bprmf", "item-knn", "seq-knn", "vs-knn", "timesvd++", "sasrec"):
        protocol = Protocol.named("leave-one-out")
        outcome = Experiment(model=name, protocol=protocol, settings=settings.get(name, {})).run(LOG)
        save(outcome.model, LOG, folder / name, **outcome.about())
        models.append(outcome.model)
    save(Blend(models[0], models[1], weight=0.5), LOG, folder / "blend")
    return folder


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Callable[[str], Path]:
    """`copy("pop")`: the folder of a copy of one of the saved models."""
    return lambda name: shutil.copytree(saved / name, tmp_path / name)


def at(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Sets the value at a path of keys, such as `log.name`; `...` deletes it."""

    def edit(facts: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for key in parents:
            facts = facts[int(key)] if isinstance(facts, list) else facts[key]  # type: ignore[unreachable]
        if value is ...:
            del facts[last]
        else:
            facts[last] = value

    return edit


FACTS: dict[str, tuple[str, Callable[[dict[str, Any]], None], str]] = {
    "no log": ("pop", at("log", ...), "log is missing"),
    "log without a name": ("pop", at("log.name", ...), r"log\.name is missing"),
    "log of a number": ("pop", at("log", 3), "log: must be an object"),
    "events in words": ("pop", at("log.events", "many"), r"log\.events: must be a valid integer"),
    "no sizes": ("pop", at("sizes", ...), "sizes is missing"),
    "sizes of nothing": ("pop", at("sizes", None), "sizes: must be an object"),
    "fewer than no users": ("pop", at("sizes.num_users", -1), r"sizes\.num_users: must be greater than or equal to 0"),
    "users beyond ids": ("pop", at("sizes.num_users", 2**40), r"sizes\.num_users: must be less than"),
    "half an item": ("pop", at("sizes.num_items", 8.5), r"sizes\.num_items: must be a valid integer"),
    "other users": ("pop", at("sizes.num_users", 20_000_000), r"users\.parquet: 12 rows, expected 20,000,000"),
    "other items": ("pop", at("sizes.num_items", 10), r"items\.parquet: 9 rows, expected 10"),
    "features": ("bprmf", at("sizes.new", 3), r"sizes\.new is not a known key"),
    "no settings": ("bprmf", at("config", ...), "config is missing"),
    "list of settings": ("bprmf", at("config", []), "config: must be an object"),
    "setting of text": ("bprmf", at("config.embedding_dim", "x"), "embedding_dim='x': must be a whole number"),
    "setting of a list": ("bprmf", at("config.embedding_dim", [1]), "embedding_dim=.*must be a whole number"),
    "no model": ("pop", at("model", ...), "model is missing"),
    "model of a number": ("pop", at("model", 7), "model: must be a valid string"),
    "no hashes": ("pop", at("files", {}), r"files has no hash of weights\.safetensors"),
    "hashes of numbers": ("pop", at("files", {"a": 1}), r"files\.a: must be a valid string"),
    "no versions": ("pop", at("versions", None), "versions: must be"),
    "experiment of null": ("pop", at("experiment", None), "experiment: must be an object"),
    "no protocol": ("pop", at("experiment.protocol", ...), r"experiment\.protocol is missing"),
    "arguments of text": ("pop", at("experiment.protocol.arguments", "x"), r"arguments: must be an object"),
    "refit of a number": ("pop", at("experiment.refit", 1), r"experiment\.refit: must be a valid boolean"),
    "seen items of null": ("pop", at("experiment.protocol.exclude_seen", None), r"exclude_seen: must be a valid"),
    "no training": ("pop", at("training", ...), "an experiment needs the facts of its training"),
    "seconds of text": ("pop", at("training.seconds", "1"), r"training\.seconds: must be a valid number"),
    "seed of null": ("pop", at("training.seed", None), r"training\.seed: must be a valid integer"),
    "extent without events": ("pop", at("trained_on.events", ...), r"trained_on\.events is missing"),
    "extent with more": ("pop", at("trained_on.more", 1), r"trained_on\.more is not a known key"),
    "newest of text": ("pop", at("trained_on.newest", "now"), r"trained_on\.newest: must be a valid integer"),
    "no results": ("pop", at("results.models", []), r"results\.models: .*at least 1 item"),
    "results without figures": ("pop", at("results.models", [{}]), r"results\.models\.0\.metrics is missing"),
    "blend of nothing": ("blend", at("parts", ...), "a blend has two parts, but parts is missing"),
    "blend of one": ("blend", lambda facts: facts["parts"].pop(), r"parts\.1 is missing"),
    "blend of null": ("blend", at("parts", None), "parts: must be"),
    "blend without a weight": ("blend", at("config", {}), "weight: is required"),
    "blend of other settings": ("blend", at("config.first", 1), "unknown setting 'first'"),
    "many layers": ("sasrec", at("config.num_blocks", HUGE), "num_blocks=1000000000: must be between 1 and 100"),
    "wide vectors": ("bprmf", at("config.embedding_dim", HUGE), r"weights\.safetensors: too small for a model of the"),
    "long windows": ("sasrec", at("config.window", HUGE), r"weights\.safetensors: too small for a model of the"),
}


@pytest.mark.parametrize(("model", "edit", "message"), FACTS.values(), ids=FACTS)
def test_a_forged_description(copy: Callable[[str], Path], model: str, edit: Any, message: str) -> None:
    folder = copy(model)
    forge_facts(folder, edit)
    with pytest.raises(ArtefactError, match=message) as error:
        load(folder)
    assert str(error.value).startswith(str(folder))
    assert "anew" in str(error.value) or "copy" in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": 2, "a":' + "[" * 100_000, "too deep"),
        ('{"format": 2, "a": ' + "[" * 500 + "]" * 500 + "}", "recursion limit"),
        ('{"format": 2, "format": 2}', "the key 'format' is there twice"),
        ('{"format": 2, "seconds": 1e999}', "the number 1e999 is too large"),
        ('{"format": 2, "log": NaN}', "NaN is not a number of JSON"),
        ('{"format": [2]}', "damaged, its format is not a whole number"),
        ('{"format": 2, "a": "\\ud800"}', "invalid JSON"),
    ],
)
def test_a_description_that_is_no_plain_json(copy: Callable[[str], Path], text: str, message: str) -> None:
    folder = copy("pop")
    (folder / "model.json").write_text(text)
    with pytest.raises(ArtefactError, match=rf"model\.json: .*{message}"):
        load(folder)


def cast(column: str, kind: Any) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda table: table.with_columns(pl.col(column).cast(kind))


def first_cell(column: str, value: Any) -> Callable[[pl.DataFrame], pl.DataFrame]:
    def edit(table: pl.DataFrame) -> pl.DataFrame:
        cells = table[column].to_list()
        return table.with_columns(pl.Series(column, [value, *cells[1:]], table[column].dtype))

    return edit


TABLES: dict[str, tuple[str, Callable[[pl.DataFrame], pl.DataFrame], str]] = {
    "item 0": ("history", first_cell("item", 0), "its column item has an id outside 1 to 9"),
    "negative item": (
        "history",
        first_cell("item", -1),
        "its column item has an id outside 1 to 9",
    ),
    "item beyond the last": (
        "history",
        first_cell("item", 10),
        "its column item has an id outside 1 to 9",
    ),
    "user 0": ("history", first_cell("user", 0), "its column user has an id outside 1 to 12, the users"),
    "users out of order": ("history", lambda table: table.reverse(), "its rows are not sorted by user"),
    "times out of order": (
        "history",
        lambda t: t.with_columns(pl.col("time").reverse()),
        "its column time has a time before that of the same user's row above",
    ),
    "no rating": ("history", first_cell("rating", None), "its column rating has empty cells"),
    "rating that is none": (
        "history",
        first_cell("rating", float("nan")),
        "its column rating has .* not a finite number",
    ),
    "long items": ("history", cast("item", pl.Int64), "its column item of Int64 is not one of a history"),
    "times of text": ("history", cast("time", pl.String), "its column time of String is not one of a history"),
    "further column": ("history", lambda t: t.with_columns(x=1), "its column x of Int32 is not one of a history"),
    "no column of users": ("history", lambda table: table.drop("user"), "has no column user"),
    "name twice": ("items", first_cell("name", 2), "its column items has a name twice"),
    "no name": ("users", first_cell("name", None), "its column users has an empty name"),
    "names of fractions": ("users", cast("name", pl.Float64), "its column users has names of type Float64"),
    "names of lists": (
        "items",
        lambda t: t.select(pl.concat_list("name")),
        "its column items has names of type List",
    ),
    "more names": ("items", lambda t: pl.concat([t, t]), "18 rows, expected 9"),
    "nothing": ("items", lambda t: t.drop("name"), "its users or items have no names"),
}


@pytest.mark.parametrize(("table", "edit", "message"), TABLES.values(), ids=TABLES)
def test_a_forged_table(copy: Callable[[str], Path], table: str, edit: Any, message: str) -> None:
    folder = copy("pop")
    forge_table(folder, table, edit)
    with pytest.raises(ArtefactError, match=rf"pop(/{table}\.parquet)?: {message}"):
        load(folder)


def set_first(name: str, value: float) -> Callable[[dict[str, torch.Tensor]], None]:
    def edit(weights: dict[str, torch.Tensor]) -> None:
        weights[name].view(-1)[0] = value

    return edit


def replace(name: str, make: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[dict[str, torch.Tensor]], None]:
    def edit(weights: dict[str, torch.Tensor]) -> None:
        weights[name] = make(weights[name])

    return edit


WEIGHTS: dict[str, tuple[str, Callable[[dict[str, torch.Tensor]], object], str]] = {
    "NaN": ("bprmf", set_first("item_embedding", float("nan")), "item_embedding has numbers that are not finite"),
    "infinity": ("pop", set_first("count", float("inf")), "count has numbers that are not finite"),
    "complex": (
        "pop",
        replace("count", lambda t: t.to(torch.complex64)),
        "count has numbers of the type torch.c",
    ),
    "one byte": ("pop", replace("count", lambda t: t.to(torch.float8_e5m2)), "of the type torch.float8_e5m2"),
    "whole numbers": (
        "pop",
        replace("count", lambda t: t.long()),
        "count is of the type torch.int64, expected tor",
    ),
    "other sizes": ("pop", replace("count", lambda t: t[:-1]), "size mismatch for count"),
    "missing": ("pop", lambda weights: weights.clear(), r"too small|Missing key"),
    "further": ("pop", lambda weights: weights.update(x=torch.zeros(2)), "Unexpected key"),
    "neighbour below 0": ("item-knn", set_first("neighbour", -5), "neighbours: values from -5 to 9, expected 0 to 9"),
    "neighbour beyond": ("item-knn", set_first("neighbour", HUGE), "neighbours: values from 0 to 1000000000"),
    "rows of a matrix": ("seq-knn", set_first("similarity.indptr", 5), "a sparse matrix has no such rows"),
    "columns of a matrix": ("seq-knn", set_first("similarity.indices", HUGE), "columns of a sparse matrix"),
    "fewer values": ("seq-knn", replace("similarity.values", lambda t: t[:-1]), "a sparse matrix has no such rows"),
    "values of a square": ("seq-knn", replace("similarity.values", lambda t: t[:4].view(2, 2)), "size mismatch"),
    "one value": ("seq-knn", replace("similarity.values", lambda t: t[0]), "size mismatch"),
    "sessions": ("vs-knn", set_first("session_number", 99), "numbers of sessions: values from 0 to 99"),
    "positions": ("vs-knn", set_first("session_items.values", 1e18), "positions in sessions: values from 0 to 999999"),
    "no day": ("timesvd++", set_first("calendar.day_range", 0), "days from .* to .*, 0 long"),
}


@pytest.mark.parametrize(("model", "edit", "message"), WEIGHTS.values(), ids=WEIGHTS)
def test_forged_weights(copy: Callable[[str], Path], model: str, edit: Any, message: str) -> None:
    folder = copy(model)
    forge_weights(folder, edit)
    with pytest.raises(ArtefactError, match=message) as error:
        load(folder)
    assert str(folder) in str(error.value)


def test_a_header_that_lies(copy: Callable[[str], Path]) -> None:
    folder = copy("pop")
    for text in (b'{"count":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4000000000]}}', b"[", b"{}"):
        (folder / "weights.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
        rehash_model(folder)
        with pytest.raises(ArtefactError, match=r"weights\.safetensors: damaged|Missing key"):
            load(folder)
    (folder / "weights.safetensors").write_bytes(b"\xff" * 64)
    rehash_model(folder)
    with pytest.raises(ArtefactError, match=r"weights\.safetensors: damaged"):
        load(folder)


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors", "users.parquet", "history.parquet"])
def test_files_that_are_none(copy: Callable[[str], Path], name: str) -> None:
    folder = copy("pop")
    path, outside = folder / name, folder.parent / name
    path.rename(outside)
    path.symlink_to(outside)
    with pytest.raises(ArtefactError, match=rf"{name}: is a link to a file outside the folder; copy the file itself"):
        load(folder)
    none = "there is no model.json in it" if name == "model.json" else rf"{name}: (cannot be read|is a link)"
    for make in (path.mkdir, lambda: os.mkfifo(path), lambda: path.symlink_to("/dev/zero")):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        make()
        with pytest.raises(ArtefactError, match=none):
            load(folder)


def test_a_link_to_the_whole_folder_is_followed(copy: Callable[[str], Path]) -> None:
    folder = copy("pop")
    folder.with_name("newest").symlink_to(folder)
    assert load(folder.with_name("newest")).model.name == "pop"


CLAIMS: dict[str, tuple[str, Callable[[dict[str, Any]], None]]] = {
    "users": ("pop", at("sizes.num_users", 20_000_000)),
    "vectors": ("bprmf", at("config.embedding_dim", HUGE)),
    "window": ("sasrec", at("config.window", 10**12)),
    "layers": ("sasrec", at("config.num_blocks", 10**8)),
}
READER = """
import resource, sys
from segue.errors import ArtefactError
from segue.serving.saved_model import load
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
load(sys.argv[1])
before = peak()
for folder in sys.argv[2:]:
    try:
        load(folder)
    except ArtefactError:
        print(folder.rpartition("/")[2], peak() - before)
"""


def test_forged_sizes_take_no_memory(saved: Path, tmp_path: Path) -> None:
    """In all at most 100 MB more than a good model takes, whatever the folders claim."""
    folders = []
    for claim, (model, edit) in CLAIMS.items():
        folders.append(shutil.copytree(saved / model, tmp_path / claim))
        forge_facts(folders[-1], edit)
    command = [sys.executable, "-c", READER, str(saved / "sasrec"), *map(str, folders)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    peaks = dict(line.split() for line in lines)
    assert list(peaks) == list(CLAIMS)
    assert int(peaks["layers"]) < 100, peaks


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    model = MODELS["pop"](MODELS["pop"].configure(), Sizes.of(LOG))
    with pytest.raises(ArtefactError, match="model: files is written by segue itself; keep yours under another name"):
        save(model, LOG, tmp_path / "model", files={})
    with pytest.raises(ArtefactError, match=r"model: experiment\.protocol is missing; give the values"):
        save(model, LOG, tmp_path / "model", experiment={"refit": False}, training={"seconds": 1, "cpu_seconds": 1})
    with pytest.raises(ArtefactError, match=r"pop is built for 12 users and 9 items, but .* has 13 and 9; save it"):
        save(model, synthetic.markov(13, 9, 8), tmp_path / "model")
    model.load_state_dict({"count": torch.full((10,), torch.nan)})
    with pytest.raises(ArtefactError, match="pop cannot be saved: count has numbers that are not finite"):
        save(model, LOG, tmp_path / "model")
    assert not (tmp_path / "model").exists()
